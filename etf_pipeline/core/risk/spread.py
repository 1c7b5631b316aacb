"""Bid-ask spreads from daily open, high, low and close prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.returns import PriceBasis
from etf_pipeline.core.market.rolling import sessions_since
from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.previous_bar import log_prices, previous_bar_shift
from etf_pipeline.core.risk.spread_kernels import rolling_spreads


@dataclass(frozen=True)
class SpreadPanel:
    """Effective full spreads, ask less bid as a fraction of the price (0.001 = 10 basis points).

    Estimates keep their sign: noise makes that of a liquid fund negative nearly as often as not, and an
    average over sessions or funds is unbiased only if these stay in it.

    Attributes
    ----------
    edge : (S, N) float64, Ardia, Guidotti and Kroencke; the one to use.
    lower, upper : (S, N) float64, ``edge`` less and plus two standard errors, taken on its square.
    abdi_ranaldo, corwin_schultz : (S, N) float64, the older estimators, for comparison.
    pairs : (S, N) int32, sessions of the window with a comparable bar on the session before.
    """

    edge: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    abdi_ranaldo: np.ndarray
    corwin_schultz: np.ndarray
    pairs: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """(S, N) ``edge``, zero where it is negative: what buying and selling again is reckoned to cost."""
        return np.maximum(self.edge, 0.0)

    @property
    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """(S, N) twice: 95 % interval of ``spread``, ``lower`` and ``upper`` with zero where they are negative."""
        return np.maximum(self.lower, 0.0), np.maximum(self.upper, 0.0)

    @property
    def standard_error(self) -> np.ndarray:
        """(S, N) a quarter of the interval from ``lower`` to ``upper``."""
        return 0.25 * (self.upper - self.lower)


def spread_estimates(
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    *,
    basis: PriceBasis,
    window: int = 252,
    min_pairs: int = 60,
    block: int = 21,
    max_stale_sessions: int = 5,
) -> SpreadPanel:
    """Spreads over the last ``window`` sessions by three estimators.

    Parameters
    ----------
    open_, high, low, close : (S, N) float64, prices, positive or NaN. Where only the open is missing, what
        does not need it still counts.
    accepted : (S, N) bool.
    scale, split, distribution : (S, N) float64, what moved the price besides the market, as in
        ``previous_bar.previous_bar_shift``.
    basis : ``as_traded``, ``split_adjusted`` or ``total_return_adjusted``.
    window : sessions; the first serves only as the bar before the second.
    min_pairs : sessions with a comparable bar on the session before that an estimate needs, at least 2.
    block : sessions of the disjoint blocks, the last ``window // block`` completed ones, whose estimates give
        the standard error.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    SpreadPanel. NaN where there are too few pairs or the last bar is too long ago. ``edge`` is NaN too where
    no open or no close ever left the end of its range. A bar after a hole has no partner. Bars that a
    vendor repeats where nothing was traded count as sessions without a new price. ``lower`` and ``upper``
    are NaN with fewer than four blocks.

    Raises
    ------
    ValueError : windows that cannot be, an unknown basis, panels that differ in shape.

    Notes
    -----
    Signed means ``sign(s2) sqrt(|s2|)`` of the squared spread. One root over the whole window is served
    because its median stays near the true spread however seldom a fund trades (0.7 to 1.3 of it on the
    simulated market), where the mean of monthly signed roots falls to half of it and less: each month's
    noise pulls its root to zero. For the same reason the monthly mean errs less, in the root mean square,
    where a spread is too small to be seen by either: below a fifth of the daily volatility. ``lower`` and
    ``upper`` say so; on the simulated market they hold the true spread in nine cases of ten, but not where
    it is of the size of the price tick, which widens what is traded at. ``benchmarks/bench_spread.py``
    prints the figures.

    All three suppose that an efficient price has no memory. Where moves carry on from the close through the
    open into the session, as those of broad equity funds on some exchanges do, ``edge`` is negative by more
    than noise: such a fund's spread is small and not measured.

    Ardia, Guidotti and Kroencke (2024), Efficient estimation of bid-ask spreads from open, high, low, and
    close prices, Journal of Financial Economics 161, 103916. Abdi and Ranaldo (2017), A simple estimation of
    bid-ask spreads from daily close, high, and low prices, Review of Financial Studies 30(12), 4437-4480:
    one root over the window. Corwin and Schultz (2012), A simple way to estimate bid-ask spreads from daily
    high and low prices, Journal of Finance 67(2), 719-760: the mean of two-session spreads, negative ones
    kept, with their overnight adjustment.
    """
    if not 2 <= min_pairs < window:
        raise ValueError(f"2 <= min_pairs ({min_pairs}) < window ({window}) must hold")
    if not 2 <= block <= window // 4:
        raise ValueError(f"2 <= block ({block}) <= window / 4 ({window // 4}) must hold")
    shift = previous_bar_shift(close, accepted, scale, split, distribution, basis=basis)
    logs = log_prices(open_, high, low, close, accepted)
    moves = np.ascontiguousarray(shift.T)
    funds, length = moves.shape
    edge2, error2, ranaldo2, schultz = (np.full((funds, length), np.nan) for _ in range(4))
    pairs = np.zeros((funds, length), dtype=np.int32)

    def work(columns: np.ndarray) -> None:
        rolling_spreads(
            columns, *logs, moves, window, min_pairs, block, edge2, error2, ranaldo2, schultz, pairs
        )

    over_columns(work, funds)
    stale = sessions_since(accepted)
    serves = ((stale >= 0) & (stale <= max_stale_sessions)).T
    for panel in (edge2, ranaldo2, schultz):
        panel[~serves] = np.nan
    by_fund = (
        signed_root(edge2),
        signed_root(edge2 - 2.0 * error2),
        signed_root(edge2 + 2.0 * error2),
        signed_root(ranaldo2),
        schultz,
        pairs,
    )
    return SpreadPanel(*(np.ascontiguousarray(panel.T) for panel in by_fund))


def signed_root(squared: np.ndarray) -> np.ndarray:
    """Square root of the size with the sign, element by element; NaN stays."""
    return np.copysign(np.sqrt(np.abs(squared)), squared)


def edge_reference(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> float:
    """Signed EDGE spread of one window, from the moment conditions spelled out.

    Parameters
    ----------
    open_, high, low, close : (K,) float64, prices without NaN, K >= 3, comparable throughout.
    """
    o, h, low_, c = np.log(open_), np.log(high), np.log(low), np.log(close)
    m = 0.5 * (h + low_)
    h1, l1, c1, m1 = h[:-1], low_[:-1], c[:-1], m[:-1]
    o, h, low_, m = o[1:], h[1:], low_[1:], m[1:]
    moved = (h != low_) | (low_ != c1)
    open_inside = (moved & (o != h)).mean() + (moved & (o != low_)).mean()
    close_inside = (moved & (c1 != h1)).mean() + (moved & (c1 != l1)).mean()
    if moved.sum() < 2 or open_inside == 0 or close_inside == 0:
        return float("nan")

    def centred(r: np.ndarray) -> np.ndarray:
        return r - moved * r.mean() / moved.mean()

    to_open, to_close = -4.0 / open_inside, -4.0 / close_inside
    x1 = to_open * centred(m - o) * (o - m1) + to_close * centred(m - c1) * (c1 - m1)
    x2 = to_open * centred(m - o) * (o - c1) + to_close * centred(o - c1) * (c1 - m1)
    v1, v2 = x1.var(), x2.var()
    squared = (v2 * x1.mean() + v1 * x2.mean()) / (v1 + v2) if v1 + v2 > 0 else 0.5 * (x1.mean() + x2.mean())
    return float(signed_root(squared))


def abdi_ranaldo_reference(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> float:
    """Signed Abdi-Ranaldo spread of one window: ``s2 = 4 E[(c_t - eta_t)(c_t - eta_{t+1})]``.

    Parameters
    ----------
    high, low, close : (K,) float64, prices without NaN, K >= 2. ``eta`` is the middle of the logarithmic
        range.
    """
    c, middle = np.log(close), 0.5 * (np.log(high) + np.log(low))
    return float(signed_root(4.0 * np.mean((c[:-1] - middle[:-1]) * (c[:-1] - middle[1:]))))


def corwin_schultz_reference(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> float:
    """Mean of the signed Corwin-Schultz spreads of one window's pairs of sessions.

    Parameters
    ----------
    high, low, close : (K,) float64, prices without NaN, K >= 2. A later range that lies above or below the
        earlier close is moved to touch it.
    """
    spreads = []
    for t in range(1, len(close)):
        move = close[t - 1] / np.clip(close[t - 1], low[t], high[t])
        h, low_ = high[t] * move, low[t] * move
        beta = np.log(high[t - 1] / low[t - 1]) ** 2 + np.log(h / low_) ** 2
        gamma = np.log(max(high[t - 1], h) / min(low[t - 1], low_)) ** 2
        root = 3.0 - 2.0 * np.sqrt(2.0)
        alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / root - np.sqrt(gamma / root)
        spreads.append(2.0 * (np.exp(alpha) - 1.0) / (1.0 + np.exp(alpha)))
    return float(np.mean(spreads))
