"""Market regimes on each session, from a Markov-switching model of the benchmark refitted month by month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.risk.regime_fit import RegimeFit, fit_regimes, hamilton_filter
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

REGIME_NAMES = {2: ("calm", "stress"), 3: ("calm", "normal", "stress")}
"""The states in order of variance."""


RETRY_REFITS = 3
"""Where the last optimum leads to nothing admissible, all starts are tried at once, but no oftener than this."""


@dataclass(frozen=True)
class RegimeHistory:
    """Filtered probabilities per session and the estimates behind them. K states, calmest first; R refits.

    Attributes
    ----------
    names : of the K states.
    probability : (S, K) of each state given the returns up to the session and the last refit's parameters;
        NaN before the first estimate.
    refit_rows : (R,) int64, rows on which the model was refitted.
    mean_return_annualised : (R, K), 252 times the mean of a session's return given the state.
    volatility_annualised : (R, K), 0.20 = 20 % a year, given the state; ascending.
    expected_duration_sessions : (R, K), mean length of a stay.
    ergodic_share : (R, K), long-run share of sessions.
    transition : (R, K, K), probability of moving from row to column by the next session.
    occupation : (R, K), expected number of the window's returns in each state.
    log_likelihood : (R,), of the window.
    observations : (R,) int32, returns in the window.

    A refit that found no admissible optimum has NaN and leaves the parameters before it in force.
    """

    names: tuple[str, ...]
    probability: np.ndarray
    refit_rows: np.ndarray
    mean_return_annualised: np.ndarray
    volatility_annualised: np.ndarray
    expected_duration_sessions: np.ndarray
    ergodic_share: np.ndarray
    transition: np.ndarray
    occupation: np.ndarray
    log_likelihood: np.ndarray
    observations: np.ndarray


def walk_forward_regimes(
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    sessions: np.ndarray,
    *,
    states: int = 3,
    window: int = 2520,
    min_observations: int = 504,
    min_occupation: float = 20.0,
) -> RegimeHistory:
    """Filtered regime probabilities with parameters that no later return has touched.

    On the first session of a calendar month the model is refitted to the last ``window`` sessions, that one
    included, from the last optimum; from fixed starts as well at the first refit and once each calendar year,
    and where the last optimum leads to no admissible one. The filter then runs again from the window's first
    row, so that a session's probabilities come from one set of parameters, and goes on to the next refit.

    Parameters
    ----------
    benchmark_return, benchmark_spanned : (S,), of the market's fund or index: simple total returns and the
        sessions each spans. A return over several sessions may span several regimes: its row, like one
        without a return, predicts and learns nothing.
    sessions : (S,) datetime64[D], ascending.
    states : 2 (calm, stress) or 3 (calm, normal, stress).
    window : sessions.
    min_observations : one-session returns a refit needs in its window.
    min_occupation : returns each state must be expected to hold, see ``fit_regimes``.

    Returns
    -------
    RegimeHistory. A benchmark that does not move has no regimes: NaN.

    Notes
    -----
    States are ordered by variance at every refit, so labels cannot change places; which volatility counts
    as stress does move with the window. The probabilities are never smoothed.

    Hamilton (1989), Econometrica 57, 357-384; Kim (1994), Journal of Econometrics 60, 1-22.
    """
    if states not in REGIME_NAMES:
        raise ValueError(f"the model has 2 or 3 states, not {states}")
    if not 2 <= min_observations <= window:
        raise ValueError(f"2 <= min_observations ({min_observations}) <= window ({window}) must hold")
    days = np.asarray(sessions, dtype="datetime64[D]")
    if not (np.diff(days) > np.timedelta64(0, "D")).all():
        raise ValueError("sessions must be ascending, each once")
    x = np.where(np.asarray(benchmark_spanned) == 1, benchmark_return, np.nan)
    rows = _refit_rows(x, days, window, min_observations)
    years = days[rows].astype("datetime64[Y]")
    fits: list[RegimeFit] = []
    in_force: list[tuple[int, int, RegimeFit]] = []
    searched = -RETRY_REFITS
    for r, row in enumerate(rows.tolist()):
        begin = max(0, row + 1 - window)
        previous = in_force[-1][2] if in_force else None
        sample = x[begin : row + 1]
        fresh = previous is None or years[r] != years[r - 1]
        fit = fit_regimes(sample, states, previous=previous, fresh=fresh, min_occupation=min_occupation)
        if not (fit.estimated or fresh) and r - searched >= RETRY_REFITS:
            fit, searched = fit_regimes(sample, states, min_occupation=min_occupation), r
        fits.append(fit)
        if fit.estimated:
            in_force.append((begin, row, fit))
    return RegimeHistory(
        names=REGIME_NAMES[states],
        probability=_probabilities(x, in_force, states),
        refit_rows=rows,
        **_numbers(fits, states),
    )


def _refit_rows(x: np.ndarray, days: np.ndarray, window: int, min_observations: int) -> np.ndarray:
    """(R,) first sessions of a month with enough returns in the window that ends there."""
    first = np.zeros(len(x), dtype=bool)
    first[month_starts(days)] = True
    seen = np.cumsum(~np.isnan(x))
    before = np.concatenate([np.zeros(min(window, len(x)), dtype=seen.dtype), seen[:-window]])
    return np.flatnonzero(first & (seen - before >= min_observations))


def _probabilities(x: np.ndarray, in_force: list[tuple[int, int, RegimeFit]], states: int) -> np.ndarray:
    """(S, K): from each refit's row to the row before the next."""
    probability = np.full((len(x), states), np.nan)
    end = len(x)
    for begin, row, fit in reversed(in_force):
        path, _ = hamilton_filter(x[begin:end], fit.mean, fit.variance, fit.transition)
        probability[row:end] = path[row - begin :]
        end = row
    return probability


def _numbers(fits: list[RegimeFit], states: int) -> dict[str, np.ndarray]:
    """The refits' estimates, stacked and annualised."""
    refits = len(fits)

    def stacked(values: list[np.ndarray], *shape: int) -> np.ndarray:
        return np.array(values, dtype=np.float64).reshape(refits, *shape)

    return {
        "mean_return_annualised": SESSIONS_A_YEAR * stacked([f.mean for f in fits], states),
        "volatility_annualised": np.sqrt(SESSIONS_A_YEAR * stacked([f.variance for f in fits], states)),
        "expected_duration_sessions": stacked([f.expected_duration_sessions for f in fits], states),
        "ergodic_share": stacked([f.ergodic_share for f in fits], states),
        "transition": stacked([f.transition for f in fits], states, states),
        "occupation": stacked([f.occupation for f in fits], states),
        "log_likelihood": stacked([np.array(f.log_likelihood) for f in fits]),
        "observations": np.array([f.observations for f in fits], dtype=np.int32),
    }
