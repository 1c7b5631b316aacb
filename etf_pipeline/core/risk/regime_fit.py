"""Gaussian Markov-switching model of one return series by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.risk.regime_kernels import backward, forward, slope

VARIANCE_FLOOR = 1e-2
"""Lowest variance of a state in squared mean absolute deviations of the sample: a tenth of it as a deviation."""
TRANSITION_FLOOR = 1e-12
"""Lowest probability of any transition: no state is ever ruled out."""
_LARGEST_LOG_ODDS = 16.0
_EM_ITERATIONS, _FINALISTS = 6, 3
_TOLERANCE, _MOST_ITERATIONS = 1e-7, 200

# Starting deviations of the states, in mean absolute deviations of the sample, and chances to stay.
_LADDERS = {
    2: ((0.9, 2.0), (0.7, 1.6), (1.0, 3.5), (1.1, 6.0), (0.4, 1.4)),
    3: ((0.7, 1.2, 2.5), (0.5, 1.0, 1.8), (0.8, 1.3, 4.0), (0.9, 2.0, 6.0), (0.3, 0.9, 1.6)),
}
_STAYS = (0.98, 0.90)


@dataclass(frozen=True)
class RegimeFit:
    """A Markov-switching model of K states, calmest first. NaN where there is no estimate.

    Attributes
    ----------
    mean : (K,) of the return a session, given the state.
    variance : (K,) of the return a session, given the state, ascending.
    transition : (K, K) probability of moving from row to column by the next session.
    occupation : (K,) expected number of the sample's returns in each state (smoothed).
    log_likelihood : of the sample.
    observations : returns in the sample.
    metric : (K (K + 1), K (K + 1)) the optimiser's last inverse Hessian, from which the next refit starts.
    """

    mean: np.ndarray
    variance: np.ndarray
    transition: np.ndarray
    occupation: np.ndarray
    log_likelihood: float
    observations: int
    metric: np.ndarray

    @property
    def estimated(self) -> bool:
        """Whether there is an estimate."""
        return bool(np.isfinite(self.log_likelihood))

    @property
    def ergodic_share(self) -> np.ndarray:
        """(K,) long-run share of sessions in each state."""
        return ergodic_share(self.transition)

    @property
    def expected_duration_sessions(self) -> np.ndarray:
        """(K,) mean length of a stay in each state."""
        off_diagonal = ~np.eye(len(self.mean), dtype=bool)
        return 1.0 / np.where(off_diagonal, self.transition, 0.0).sum(axis=1)


def ergodic_share(transition: np.ndarray) -> np.ndarray:
    """Long-run distribution of a chain of two or three states.

    Parameters
    ----------
    transition : (K, K), from row to column, all entries positive.

    Returns
    -------
    (K,), by the Markov chain tree theorem: sums of products, so nothing cancels.
    """
    p = transition.tolist()
    if len(p) == 2:
        trees = np.array([p[1][0], p[0][1]])
    else:
        trees = np.array(
            [
                p[1][0] * p[2][0] + p[1][0] * p[2][1] + p[1][2] * p[2][0],
                p[0][1] * p[2][1] + p[0][1] * p[2][0] + p[0][2] * p[2][1],
                p[0][2] * p[1][2] + p[0][2] * p[1][0] + p[0][1] * p[1][2],
            ]
        )
    return trees / sum(trees.tolist())


def hamilton_filter(
    returns: np.ndarray, mean: np.ndarray, variance: np.ndarray, transition: np.ndarray
) -> tuple[np.ndarray, float]:
    """Probability of each state given the returns so far, and the log-likelihood.

    Parameters
    ----------
    returns : (T,) float64; NaN where there is none: the probabilities of such a row are the prediction.
    mean, variance : (K,), transition : (K, K) from row to column; K is 2 or 3.

    Returns
    -------
    (T, K) filtered probabilities and the log-likelihood of the T returns. The first row starts from the
    ergodic distribution. Transitions are taken as at least ``TRANSITION_FLOOR``. NaN for NaN parameters.

    Raises
    ------
    ValueError : another number of states, or a variance that is not positive.

    Notes
    -----
    Hamilton (1989), Econometrica 57, 357-384. Cutting ``returns`` leaves the earlier rows as they are.
    """
    states = _checked_states(len(mean))
    if np.isnan(mean).any():
        return np.full((len(returns), states), np.nan), float("nan")
    if not (variance > 0.0).all():
        raise ValueError(f"variances must be positive, not {variance}")
    sample = _Sample(np.ascontiguousarray(returns, dtype=np.float64), states)
    value = sample.filter(mean, variance, np.maximum(transition, TRANSITION_FLOOR))
    alpha = sample.alpha[:, :states]
    return alpha / alpha.sum(axis=1, keepdims=True), value


def fit_regimes(
    returns: np.ndarray,
    states: int,
    *,
    previous: RegimeFit | None = None,
    fresh: bool = True,
    min_occupation: float = 20.0,
    min_duration_sessions: float = 3.0,
) -> RegimeFit:
    """Maximum-likelihood means, variances and transition probabilities of a Markov-switching model.

    Ten fixed starts take a few steps of expectation-maximisation; the best three, and the previous optimum
    where there is one, climb to their optima by a quasi-Newton method on the exact gradient; the highest
    admissible optimum is the estimate. The chain starts from its ergodic distribution.

    Parameters
    ----------
    returns : (T,) float64, NaN where there is none.
    states : 2 or 3.
    previous : an optimum to start from too.
    fresh : False climbs from ``previous`` alone, which must then be an estimate.
    min_occupation : returns each state must be expected to hold.
    min_duration_sessions : expected length of a stay in each state at least.

    Returns
    -------
    RegimeFit, states ordered by variance. NaN where the returns do not differ from one another, or where no
    optimum is admissible.

    Raises
    ------
    ValueError : another number of states.

    Notes
    -----
    The likelihood of a normal mixture is unbounded: a state that sits on one return, or on a run of equal
    ones, has density without limit. Hence a state's variance is at least ``VARIANCE_FLOOR``, and an optimum
    with a state of fewer than ``min_occupation`` returns is not admissible. Nor is one with a state that is
    left at once: it gathers scattered outliers, or scattered quiet sessions, and is no regime.

    Hamilton (1989); Hamilton (1990), Journal of Econometrics 45, 39-70, for the EM steps; Kim (1994),
    Journal of Econometrics 60, 1-22, for the smoother; the gradient is Fisher's identity with the ergodic
    distribution's part.
    """
    _checked_states(states)
    observed = returns[~np.isnan(returns)]
    count = len(observed)
    centre = float(observed.mean()) if count else 0.0
    deviation = float(np.abs(observed - centre).mean()) if count else 0.0
    if count == 0 or deviation <= 1e-12 * float(np.abs(observed).max()):
        return no_regimes(states, count)
    sample = _Sample(np.ascontiguousarray((returns - centre) / deviation, dtype=np.float64), states)
    starts: list[tuple[np.ndarray, np.ndarray | None]] = []
    if fresh:
        starts += [(start, None) for start in _approach(sample)]
    if previous is not None and previous.estimated:
        mean, variance = (previous.mean - centre) / deviation, previous.variance / deviation**2
        starts.append((_pack(mean, variance, previous.transition), previous.metric))
    best, highest = no_regimes(states, count), -np.inf
    for start, metric in starts:
        theta, value, metric = _climb(sample, start, metric)
        if value <= highest:
            continue
        sample.evaluate(theta)
        occupation = sample.moments[:states, 0].copy()
        mean, variance, transition = _unpack(theta, states)
        if occupation.min() < min_occupation or np.diag(transition).min() < 1.0 - 1.0 / min_duration_sessions:
            continue
        highest = value
        order = np.argsort(variance, kind="stable")
        free = _free_order(order)
        best = RegimeFit(
            mean=centre + deviation * mean[order],
            variance=deviation**2 * variance[order],
            transition=transition[np.ix_(order, order)],
            occupation=occupation[order],
            log_likelihood=value - count * float(np.log(deviation)),
            observations=count,
            metric=metric[np.ix_(free, free)],
        )
    return best


def no_regimes(states: int, observations: int) -> RegimeFit:
    """The answer where there is no estimate."""

    def nothing(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan)

    free = states * (states + 1)
    return RegimeFit(
        mean=nothing(states),
        variance=nothing(states),
        transition=nothing(states, states),
        occupation=nothing(states),
        log_likelihood=float("nan"),
        observations=observations,
        metric=nothing(free, free),
    )


class _Sample:
    """Standardised returns with the work space of the recursions and, after ``smooth``, their sums."""

    def __init__(self, x: np.ndarray, states: int) -> None:
        self.x, self.states = x, states
        self.alpha, self.density = np.empty((len(x), 3)), np.empty((len(x), 3))
        self.rescale = np.empty(len(x))
        self.moments, self.moves, self.first = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
        self._mean, self._initial, self._variance = np.zeros(3), np.zeros(3), np.full(3, np.inf)
        self._transition = np.eye(3)

    def filter(self, mean: np.ndarray, variance: np.ndarray, transition: np.ndarray) -> float:
        """Forward recursion; the log-likelihood."""
        k = self.states
        self._mean[:k], self._variance[:k], self._transition[:k, :k] = mean, variance, transition
        self._initial[:k] = ergodic_share(transition)
        return forward(
            self.x,
            self._mean,
            self._variance,
            self._transition,
            self._initial,
            self.alpha,
            self.density,
            self.rescale,
        )

    def smooth(self) -> None:
        """Backward recursion after ``filter``."""
        backward(
            self.x,
            self._transition,
            self.alpha,
            self.density,
            self.rescale,
            self.moments,
            self.moves,
            self.first,
        )

    def log_likelihood(self, theta: np.ndarray) -> float:
        """At a free vector."""
        return self.filter(*_unpack(theta, self.states))

    def evaluate(self, theta: np.ndarray) -> float:
        """At a free vector, with the smoother's sums."""
        value = self.log_likelihood(theta)
        self.smooth()
        return value

    def slope(self) -> tuple[np.ndarray, np.ndarray]:
        """Gradient in the free vector and the diagonal of the complete data's information, after ``smooth``."""
        gradient = np.empty(self.states * (self.states + 1))
        information = np.empty_like(gradient)
        slope(
            VARIANCE_FLOOR,
            self._mean,
            self._variance,
            self._transition,
            self._initial,
            self.moments,
            self.moves,
            self.first,
            gradient,
            information,
        )
        return gradient, information


_OFF_DIAGONAL = {k: ~np.eye(k, dtype=bool) for k in (2, 3)}


def _checked_states(states: int) -> int:
    if states not in (2, 3):
        raise ValueError(f"the model has 2 or 3 states, not {states}")
    return states


def _pack(mean: np.ndarray, variance: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """Parameters as a free vector: means, log variances above the floor, log odds of leaving to staying."""
    free = np.maximum(variance - VARIANCE_FLOOR, 1e-3 * VARIANCE_FLOOR)
    p = np.maximum(transition, TRANSITION_FLOOR)
    odds = np.log(p / np.diag(p)[:, None])[_OFF_DIAGONAL[len(mean)]]
    return np.concatenate([mean, np.log(free), np.clip(odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)])


def _unpack(theta: np.ndarray, states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of ``_pack``."""
    odds = np.ones((states, states))
    odds[_OFF_DIAGONAL[states]] = np.exp(theta[2 * states :])
    variance = VARIANCE_FLOOR + np.exp(theta[states : 2 * states])
    return theta[:states], variance, odds / odds.sum(axis=1)[:, None]


def _free_order(order: np.ndarray) -> np.ndarray:
    """Where the elements of the free vector go when the states are reordered."""
    states = len(order)
    odds = np.zeros((states, states), dtype=np.int64)
    odds[_OFF_DIAGONAL[states]] = np.arange(2 * states, states * (states + 1))
    return np.concatenate([order, states + order, odds[np.ix_(order, order)][_OFF_DIAGONAL[states]]])


def _approach(sample: _Sample) -> list[np.ndarray]:
    """The free vectors with the highest likelihoods after a few EM steps from each fixed start, best first.

    The M-step leaves out the first row's part in the transition probabilities: ``_climb`` makes it good.
    """
    states = sample.states
    reached, thetas = [], []
    for stay in _STAYS:
        for ladder in _LADDERS[states]:
            mean, variance = np.zeros(states), np.square(ladder)
            transition = np.where(_OFF_DIAGONAL[states], (1.0 - stay) / (states - 1), stay)
            for _ in range(_EM_ITERATIONS):
                value = sample.filter(mean, variance, transition)
                sample.smooth()
                count, total, squares = sample.moments[:states].T
                count = np.maximum(count, 1e-6)
                mean = total / count
                variance = np.maximum(squares / count - mean**2, 2.0 * VARIANCE_FLOOR)
                moves = np.maximum(sample.moves[:states, :states], 1e-8)
                transition = moves / moves.sum(axis=1)[:, None]
            reached.append(value)
            thetas.append(_pack(mean, variance, transition))
    return [thetas[i] for i in np.argsort(-np.array(reached), kind="stable")[:_FINALISTS]]


def _climb(
    sample: _Sample, theta: np.ndarray, metric: np.ndarray | None
) -> tuple[np.ndarray, float, np.ndarray]:
    """BFGS with backtracking; the optimum reached, its log-likelihood and the last metric.

    Without a metric the first one is the inverse of the complete data's information, so that the first step
    is about one of EM. It ends where the step it would take, and one of EM, promise to gain next to nothing.
    """
    states = sample.states
    value = sample.evaluate(theta)
    gradient, information = sample.slope()
    if metric is None:
        metric = np.diag(1.0 / np.maximum(information, 0.1))
    for _ in range(_MOST_ITERATIONS):
        # What presses against its bound stays there: a transition that never happens is left at that.
        pressing = (np.abs(theta) >= _LARGEST_LOG_ODDS) & (theta * gradient > 0.0)
        pressing[:states] = False
        pull = np.where(pressing, 0.0, gradient)
        step = np.where(pressing, 0.0, (metric * pull).sum(axis=1))
        promise = float((step * pull).sum())
        if promise < _TOLERANCE and (pull**2 / np.maximum(information, 0.1)).sum() < _TOLERANCE:
            break
        length = min(1.0, 4.0 / float(np.abs(step).max()))
        for _ in range(30):
            trial = theta + length * step
            trial[states:] = np.clip(trial[states:], -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
            reached = sample.log_likelihood(trial)
            if reached >= value + 1e-4 * length * promise:
                break
            length *= 0.4
        if not reached > value:
            break
        sample.smooth()
        new_gradient, information = sample.slope()
        moved, bent = trial - theta, gradient - new_gradient
        curvature = float((moved * bent).sum())
        if curvature > 1e-12:
            turned = (metric * bent).sum(axis=1)
            stretch = 1.0 + float((turned * bent).sum()) / curvature
            crossed = np.multiply.outer(moved, turned)
            metric = metric + (stretch * np.multiply.outer(moved, moved) - crossed - crossed.T) / curvature
        theta, value, gradient = trial, reached, new_gradient
    return theta, value, metric
