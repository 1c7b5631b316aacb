"""Fund and benchmark returns that belong together: what every beta is estimated from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import sessions_since


@dataclass(frozen=True)
class PairedReturns:
    """Contiguous panels, ready for the kernels.

    Attributes
    ----------
    fund : (S, N) float64, simple returns.
    benchmark : (S, 1) or (S, N) float64: one benchmark for all funds, or one for each.
    usable : (S, N) bool, fund and benchmark both have a known one-session return.
    serves : (S, N) bool, the fund's last bar is recent enough for an estimate to stand.
    """

    fund: np.ndarray
    benchmark: np.ndarray
    usable: np.ndarray
    serves: np.ndarray


def pair_returns(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    max_stale_sessions: int,
) -> PairedReturns:
    """Mark the sessions on which fund and benchmark both have a known one-session return.

    A return over several sessions has no partner of the same length and is left out.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, sessions each return spans; 0 where there is no bar.
    benchmark_return, benchmark_spanned : (S,) for one benchmark, (S, N) for one a fund.
    max_stale_sessions : an estimate stands for this many sessions without a bar of the fund.

    Raises
    ------
    ValueError : a benchmark of another shape.
    """
    if benchmark_return.shape not in {total_return.shape[:1], total_return.shape}:
        raise ValueError(
            f"benchmark_return {benchmark_return.shape} must be (sessions,) or have the shape "
            f"of total_return {total_return.shape}"
        )
    if benchmark_spanned.shape != benchmark_return.shape:
        raise ValueError(f"benchmark_spanned {benchmark_spanned.shape} must match {benchmark_return.shape}")
    known = (benchmark_spanned == 1) & ~np.isnan(benchmark_return)
    benchmark = benchmark_return
    if benchmark.ndim == 1:
        benchmark, known = benchmark[:, None], known[:, None]
    stale = sessions_since(sessions_spanned > 0)
    return PairedReturns(
        fund=np.ascontiguousarray(total_return, dtype=np.float64),
        benchmark=np.ascontiguousarray(benchmark, dtype=np.float64),
        usable=(sessions_spanned == 1) & ~np.isnan(total_return) & known,
        serves=(stale >= 0) & (stale <= max_stale_sessions),
    )
