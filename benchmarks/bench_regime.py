"""Markov-switching regimes: our fit against hmmlearn and statsmodels, the walk-forward, and how often it is right."""

from __future__ import annotations

import logging
import time
import warnings

import numpy as np
from bench_rolling_beta import median_seconds

from etf_pipeline.core.risk.regime import walk_forward_regimes
from etf_pipeline.core.risk.regime_fit import fit_regimes, hamilton_filter

STARTS = 10
VOLATILITY = {2: np.array([0.11, 0.30]), 3: np.array([0.10, 0.18, 0.40])}
MEAN = {2: np.array([0.12, -0.20]), 3: np.array([0.12, 0.06, -0.20])}
STAY = {2: np.array([150, 40]), 3: np.array([150, 80, 40])}


def simulated(seed: int, length: int, states: int) -> tuple[np.ndarray, np.ndarray]:
    """Daily returns and true states, each stay lasting ``STAY`` sessions on average."""
    rng = np.random.default_rng(seed)
    state = np.zeros(length, dtype=int)
    leave = rng.random(length)
    for t in range(1, length):
        s = state[t - 1]
        moves = leave[t] < 1 / STAY[states][s]
        # The middle state is next door to both others.
        state[t] = (
            (rng.choice([0, 2]) if s == 1 and states == 3 else 1 - s if states == 2 else 1) if moves else s
        )
    mean, deviation = MEAN[states] / 252, VOLATILITY[states] / np.sqrt(252)
    return mean[state] + deviation[state] * rng.standard_normal(length), state


def fits(states: int, length: int) -> None:
    """Print seconds, ratio and log-likelihood for each peer."""
    x, _ = simulated(1, length, states)
    base = median_seconds(lambda: fit_regimes(x, states), 5)
    ours = fit_regimes(x, states).log_likelihood
    print(f"{states} states, {length} sessions (simulated), {STARTS} starts")
    print(f"  {'ours':<32}{base:9.4f} s{'':12}log-likelihood {ours:.4f}")

    def report(name: str, seconds: float, value: float) -> None:
        print(f"  {name:<32}{seconds:9.4f} s  {seconds / base:7.1f} x  lower than ours by {ours - value:.4f}")

    try:
        from hmmlearn.hmm import GaussianHMM
    except ImportError:
        print("  hmmlearn is not installed: make bench installs it")
    else:
        logging.getLogger("hmmlearn").setLevel(logging.ERROR)
        column = 100 * x[:, None]

        def with_hmmlearn() -> GaussianHMM:
            models = [
                GaussianHMM(
                    states,
                    covariance_type="diag",
                    n_iter=200,
                    tol=1e-3,
                    random_state=i,
                    implementation="scaling",
                )
                for i in range(STARTS)
            ]
            return max((m.fit(column) for m in models), key=lambda m: m.score(column))

        start = time.perf_counter()
        best = with_hmmlearn()
        seconds = time.perf_counter() - start
        # Its first state has free probabilities; ours are ergodic, so its parameters are compared there.
        mean, variance = best.means_[:, 0] / 100, best.covars_[:, 0, 0] / 1e4
        report(f"hmmlearn, {STARTS} starts", seconds, hamilton_filter(x, mean, variance, best.transmat_)[1])
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    model = MarkovRegression(100 * x, k_regimes=states, trend="c", switching_variance=True)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(disp=False)
    seconds = time.perf_counter() - start
    report("statsmodels, its one start", seconds, fit.llf + len(x) * np.log(100))
    parameters = fit.params
    p = model.regime_transition_matrix(parameters)[:, :, 0].T
    mean, variance = parameters[-2 * states : -states] / 100, parameters[-states:] / 1e4
    probability, value = hamilton_filter(x, mean, variance, p)
    gap = np.abs(probability - fit.filtered_marginal_probabilities).max()
    theirs = fit.llf + len(x) * np.log(100)
    print(
        f"  at statsmodels' parameters: log-likelihood differs by {abs(value / theirs - 1):.1e} (relative),"
    )
    print(f"  filtered probabilities by {gap:.1e} at most")


def walk(length: int = 4_536) -> None:
    """Print the seconds of both walk-forwards over 18 years."""
    x, _ = simulated(2, length, 3)
    sessions = np.busday_offset("2008-01-01", np.arange(length), roll="forward")
    spanned = np.ones(length, dtype=np.int64)
    seconds, processor = {}, {}
    for k in (2, 3):
        walk_forward_regimes(x[:700], spanned[:700], sessions[:700], states=k)
        start, used = time.perf_counter(), time.process_time()
        walk_forward_regimes(x, spanned, sessions, states=k)
        seconds[k], processor[k] = time.perf_counter() - start, time.process_time() - used
    refits = len(walk_forward_regimes(x, spanned, sessions, states=2).refit_rows)
    print(f"walk-forward, {length} sessions, {refits} monthly refits to at most 2520 sessions")
    print(
        f"  2 states {seconds[2]:.3f} s, 3 states {seconds[3]:.3f} s, together {sum(seconds.values()):.3f} s"
    )
    print(f"  of the processor: {processor[2]:.3f} s and {processor[3]:.3f} s")


def accuracy(seeds: int = 30, length: int = 2_520) -> None:
    """Print how often the likeliest filtered state is the true one."""
    for states in (2, 3):
        at_estimate, at_truth = [], []
        for seed in range(seeds):
            x, truth = simulated(1000 + seed, length, states)
            fit = fit_regimes(x, states)
            if not fit.estimated:
                continue
            at_estimate.append(
                (hamilton_filter(x, fit.mean, fit.variance, fit.transition)[0].argmax(1) == truth).mean()
            )
            leave = 1 / STAY[states]
            p = np.diag(1 - leave)
            if states == 2:
                p[0, 1], p[1, 0] = leave
            else:
                p[0, 1], p[1, 0], p[1, 2], p[2, 1] = leave[0], leave[1] / 2, leave[1] / 2, leave[2]
            known = hamilton_filter(x, MEAN[states] / 252, VOLATILITY[states] ** 2 / 252, p)[0]
            at_truth.append((known.argmax(1) == truth).mean())
        print(
            f"true regime, {states} states, {len(at_estimate)} of {seeds} samples of {length} sessions with an estimate: "
            f"right on {np.mean(at_estimate):.1%} of sessions (worst {np.min(at_estimate):.1%}), "
            f"with the true parameters {np.mean(at_truth):.1%}"
        )


def main() -> None:
    """Run all of it."""
    for states in (2, 3):
        fits(states, 4_500)
    walk()
    accuracy()


if __name__ == "__main__":
    main()
