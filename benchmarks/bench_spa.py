"""Hansen's test and the block length of its bootstrap: ours against arch, and the same p-values for the same resamples."""

from __future__ import annotations

import time

import numpy as np
from arch.bootstrap import SPA, StationaryBootstrap
from arch.bootstrap import optimal_block_length as arch_block_length
from bench_rolling_beta import median_seconds

from etf_pipeline.core.validation.stationary_bootstrap import optimal_block_length
from etf_pipeline.core.validation.superior_predictive_ability import (
    spa_from_means,
    superior_predictive_ability,
)

REPLICATIONS = 10_000


def gains(observations: int, candidates: int) -> np.ndarray:
    """Autocorrelated gains of which none is worth anything."""
    noise = np.random.default_rng(1).standard_normal((observations + 1, candidates))
    return noise[1:] + 0.3 * noise[:-1]


def main() -> None:
    """Print seconds, ratios and differences of the p-values."""
    for observations, candidates, block in ((180, 1, 3), (1000, 200, 10)):
        gain = gains(observations, candidates)

        def ours(gain: np.ndarray = gain, block: int = block) -> object:
            return superior_predictive_ability(
                gain, block_length=block, replications=REPLICATIONS, studentised=False
            )

        seconds = median_seconds(ours, 5)
        theirs = SPA(np.zeros(observations), -gain, block_size=block, reps=REPLICATIONS, seed=1)
        start = time.perf_counter()
        theirs.compute()
        spent = time.perf_counter() - start
        mine = ours()
        apart = np.abs(np.array([mine.lower, mine.consistent, mine.upper]) - theirs.pvalues.to_numpy()).max()
        print(
            f"SPA, {candidates} candidates x {observations} observations, {REPLICATIONS} resamples (simulated)"
        )
        print(f"  ours {seconds:8.3f} s")
        print(
            f"  arch {spent:8.3f} s  {spent / seconds:6.1f} x  largest difference of a p-value, own resamples "
            f"each {apart:.4f}, the same resamples {same_resamples(gain, block):.1e}"
        )
    block_lengths()


def same_resamples(gain: np.ndarray, block: int, replications: int = 500) -> float:
    """Largest difference of the three p-values where both use arch's resamples."""
    theirs = SPA(np.zeros(len(gain)), -gain, block_size=block, reps=replications, seed=2)
    theirs.compute()
    drawn = StationaryBootstrap(block, gain, seed=2).bootstrap(replications)
    means = np.array([positional[0].mean(axis=0) for positional, _ in drawn])
    mine = spa_from_means(gain, means, block, studentised=False)
    return float(
        np.abs(np.array([mine.lower, mine.consistent, mine.upper]) - theirs.pvalues.to_numpy()).max()
    )


def block_lengths() -> None:
    """Optimal block lengths of 200 series, one after the other."""
    series = np.ascontiguousarray(gains(1000, 200).T)
    seconds = median_seconds(lambda: [optimal_block_length(x) for x in series], 3)
    spent = median_seconds(lambda: [arch_block_length(x) for x in series], 3)
    mine = np.array([optimal_block_length(x) for x in series])
    theirs = np.array([max(1.0, arch_block_length(x)["stationary"].iloc[0]) for x in series])
    print("optimal block length, 200 series x 1000 observations")
    print(f"  ours {seconds:8.3f} s")
    print(
        f"  arch {spent:8.3f} s  {spent / seconds:6.1f} x  largest relative difference "
        f"{np.abs(mine / theirs - 1).max():.1e}"
    )


if __name__ == "__main__":
    main()
