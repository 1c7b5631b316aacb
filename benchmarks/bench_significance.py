"""Judging a backtest: the bootstraps, SPA, StepM and block lengths against arch, cross-validation against a plain loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
from arch.bootstrap import SPA, StationaryBootstrap, StepM
from arch.bootstrap import optimal_block_length as arch_block_length
from bench_rolling_beta import median_seconds

from etf_pipeline.core.validation.effective_trials import effective_trials
from etf_pipeline.core.validation.factor_alpha import factor_alphas
from etf_pipeline.core.validation.overfitting import probability_of_backtest_overfitting
from etf_pipeline.core.validation.sharpe_difference import resampled_sharpe_difference, sharpe_difference
from etf_pipeline.core.validation.stationary_bootstrap import (
    optimal_block_length,
    resample_indices,
    resampled_means,
)
from etf_pipeline.core.validation.step_m import step_m, step_m_from_means
from etf_pipeline.core.validation.superior_predictive_ability import (
    spa_from_means,
    superior_predictive_ability,
)

REPLICATIONS = 10_000
SESSIONS = 4_000
STRATEGIES = 200
BLOCK = 20
"""Mean block of the bootstraps, about what ``moment_block_length`` finds in daily returns whose volatility clusters."""


def gains(observations: int, candidates: int) -> np.ndarray:
    """Autocorrelated gains of which none is worth anything."""
    noise = np.random.default_rng(1).standard_normal((observations + 1, candidates))
    return noise[1:] + 0.3 * noise[:-1]


def daily_returns(columns: int) -> np.ndarray:
    """Daily returns with heavy tails and a factor in common."""
    rng = np.random.default_rng(2)
    common = rng.standard_t(4, (SESSIONS, 1))
    return 0.01 * (0.6 * common + 0.6 * rng.standard_t(4, (SESSIONS, columns))) + 0.0003


def seconds_of(work: Callable[[], object]) -> tuple[float, object]:
    """Wall-clock seconds of one run, and what it returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def report(ours: float, theirs: float, name: str, agreement: str) -> None:
    print(f"  ours {ours:8.3f} s")
    print(f"  {name} {theirs:8.3f} s  {theirs / ours:6.1f} x  {agreement}")


def main() -> None:
    """Print seconds, ratios and differences."""
    sharpe_differences()
    for observations, candidates, block in (
        (180, 1, 3),
        (SESSIONS, STRATEGIES, 10),
        (SESSIONS, STRATEGIES, BLOCK),
    ):
        spa(observations, candidates, block)
    stepwise()
    block_lengths()
    cross_validation()
    alone()


def sharpe_differences() -> None:
    """Resampled differences of two Sharpe ratios."""
    returns = daily_returns(2)

    first, second = np.ascontiguousarray(returns.T)

    def ratio(r: np.ndarray) -> float:
        mean = r.mean()
        return mean / np.sqrt((r @ r - len(r) * mean * mean) / (len(r) - 1))

    def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.atleast_1d(ratio(a) - ratio(b))

    for block in (10, BLOCK, 40):

        def ours(block: int = block) -> np.ndarray:
            return resampled_sharpe_difference(first, second, block, REPLICATIONS, 1)

        seconds = median_seconds(ours, 9)
        theirs = StationaryBootstrap(block, first, second, seed=1)
        spent, drawn = seconds_of(lambda theirs=theirs: theirs.apply(difference, REPLICATIONS))
        mine = ours()
        written = (resample_indices(SESSIONS, block, b, 1) for b in range(200))
        apart = max(abs(mine[b] - difference(first[i], second[i])[0]) for b, i in enumerate(written))
        print(f"Sharpe difference, {SESSIONS} days, blocks of {block}, {REPLICATIONS} resamples (simulated)")
        report(
            seconds, spent, "arch",
            f"standard deviation over theirs {mine.std() / np.std(drawn):.3f}; the same resamples written out {apart:.0e}",
        )  # fmt: skip
    whole = median_seconds(lambda: sharpe_difference(first, second, block_length=BLOCK), 5)
    print(f"  with an error of each resample's own, interval and p-value (Ledoit and Wolf): {whole:.3f} s")


def spa(observations: int, candidates: int, block: int) -> None:
    """Hansen's test."""
    gain = gains(observations, candidates)

    def ours() -> object:
        return superior_predictive_ability(
            gain, block_length=block, replications=REPLICATIONS, studentised=False
        )

    seconds = median_seconds(ours, 5)
    theirs = SPA(np.zeros(observations), -gain, block_size=block, reps=REPLICATIONS, seed=1)
    spent, _ = seconds_of(theirs.compute)
    mine = ours()
    apart = np.abs(np.array([mine.lower, mine.consistent, mine.upper]) - theirs.pvalues.to_numpy()).max()
    print(
        f"SPA, {candidates} candidates x {observations} observations, blocks of {block}, {REPLICATIONS} resamples"
    )
    report(
        seconds, spent, "arch",
        f"largest difference of a p-value, own resamples each {apart:.4f}, the same resamples "
        f"{same_resamples(gain, block):.1e}",
    )  # fmt: skip


def same_resamples(gain: np.ndarray, block: int, replications: int = 500) -> float:
    """Largest difference of the three p-values where both use arch's resamples."""
    theirs = SPA(np.zeros(len(gain)), -gain, block_size=block, reps=replications, seed=2)
    theirs.compute()
    mine = spa_from_means(gain, arch_means(gain, block, replications), block, studentised=False)
    return float(
        np.abs(np.array([mine.lower, mine.consistent, mine.upper]) - theirs.pvalues.to_numpy()).max()
    )


def arch_means(gain: np.ndarray, block: int, replications: int) -> np.ndarray:
    drawn = StationaryBootstrap(block, gain, seed=2).bootstrap(replications)
    return np.array([positional[0].mean(axis=0) for positional, _ in drawn])


def stepwise() -> None:
    """Which of many candidates are better, with a tenth of arch's resamples."""
    replications = REPLICATIONS // 10
    gain = gains(SESSIONS, STRATEGIES) + np.linspace(-0.1, 0.15, STRATEGIES)
    seconds = median_seconds(
        lambda: step_m(gain, block_length=BLOCK, replications=replications, studentised=False), 5
    )
    theirs = StepM(np.zeros(SESSIONS), -gain, block_size=BLOCK, reps=replications, seed=2)
    spent, _ = seconds_of(theirs.compute)
    mine = step_m_from_means(gain, arch_means(gain, BLOCK, replications), BLOCK, size=0.05, studentised=False)
    named = set(np.flatnonzero(mine.superior).tolist())
    print(
        f"StepM, {STRATEGIES} candidates x {SESSIONS} observations, blocks of {BLOCK}, {replications} resamples"
    )
    report(
        seconds, spent, "arch",
        f"named by both for the same resamples {len(named & set(theirs.superior_models))}, by one alone "
        f"{len(named ^ set(theirs.superior_models))}",
    )  # fmt: skip


def block_lengths() -> None:
    """Optimal block lengths of 200 series, one after the other."""
    series = np.ascontiguousarray(gains(1000, STRATEGIES).T)
    seconds = median_seconds(lambda: [optimal_block_length(x) for x in series], 3)
    spent = median_seconds(lambda: [arch_block_length(x) for x in series], 3)
    mine = np.array([optimal_block_length(x) for x in series])
    theirs = np.array([max(1.0, arch_block_length(x)["stationary"].iloc[0]) for x in series])
    print("optimal block length, 200 series x 1000 observations")
    report(seconds, spent, "arch", f"largest relative difference {np.abs(mine / theirs - 1).max():.1e}")


def cross_validation() -> None:
    """Probability of backtest overfitting, 16 blocks; the loop does one split in thirty."""
    returns = daily_returns(STRATEGIES)
    seconds = median_seconds(lambda: probability_of_backtest_overfitting(returns), 5)
    found = probability_of_backtest_overfitting(returns)
    parts = np.array_split(np.arange(SESSIONS), 16)
    splits = list(enumerate(combinations(range(16), 8)))[::30]

    def ratio(r: np.ndarray) -> np.ndarray:
        return r.mean(axis=0) / r.std(axis=0, ddof=1)

    apart = 0.0
    start = time.perf_counter()
    for c, half in splits:
        trained = ratio(returns[np.concatenate([parts[b] for b in half])])
        tested = ratio(returns[np.concatenate([parts[b] for b in range(16) if b not in half])])
        best = int(trained.argmax())
        share = (tested <= tested[best]).sum() / (STRATEGIES + 1)
        apart = max(apart, abs(np.log(share / (1 - share)) - found.logit[c]))
    spent = (time.perf_counter() - start) * len(found.logit) / len(splits)
    print(
        f"probability of backtest overfitting, {STRATEGIES} strategies x {SESSIONS} days, {len(found.logit)} splits"
    )
    report(
        seconds,
        spent,
        "loop",
        f"(extrapolated from {len(splits)} splits)  largest difference of a logit {apart:.0e}",
    )


def alone() -> None:
    """What has no peer here: seconds alone."""
    rng = np.random.default_rng(3)
    print(f"alone, {SESSIONS} days")
    means = median_seconds(lambda: resampled_means(gains(SESSIONS, STRATEGIES), BLOCK, REPLICATIONS, 1), 3)
    print(f"  means of {STRATEGIES} series, {REPLICATIONS} resamples, blocks of {BLOCK}: {means:.3f} s")
    for trials in (200, 2_000):
        of = rng.integers(0, 40, trials)
        returns = rng.standard_normal((SESSIONS, 40))[:, of] + 0.6 * rng.standard_normal((SESSIONS, trials))
        spent = median_seconds(lambda returns=returns: effective_trials(returns), 3)
        found = effective_trials(returns).number
        print(
            f"  effective trials of {trials} trials: {spent:.3f} s, {found} found of {len(np.unique(of))} ideas"
        )
    returns, factors = daily_returns(STRATEGIES), daily_returns(5)
    spent = median_seconds(lambda: factor_alphas(returns, factors, block_length=BLOCK), 3)
    print(f"  alphas of {STRATEGIES} strategies on 5 factors, {REPLICATIONS} resamples: {spent:.3f} s")


if __name__ == "__main__":
    main()
