"""Whether trading swells on rising or on falling prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.signals.return_path import FLAT
from etf_pipeline.core.signals.trading import (
    NO_RECENT_BAR,
    NO_TRADING,
    NO_VARIATION,
    TOO_LITTLE_TRADING,
    VOLUME_UNKNOWN,
    Trading,
)


@dataclass(frozen=True)
class PriceVolumePanel:
    """Correlation of price and volume changes per session.

    Attributes
    ----------
    price_volume_correlation : (S, N) float64 in [-1, 1].
    reason : (S, N) int8, index into ``VOLUME_REASONS``: why there is no value.
    observations : (S, N) int32, pairs of consecutive traded sessions in the window.
    """

    price_volume_correlation: np.ndarray
    reason: np.ndarray
    observations: np.ndarray


def price_volume_correlation(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    trades: Trading,
    *,
    window: int = 63,
    min_observations: int = 42,
) -> PriceVolumePanel:
    """Correlation of the return with the change of the log of traded units, both since the session before.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    trades : of ``trading``.
    window : sessions.
    min_observations : pairs of consecutive sessions with trade and a known return between them, at least 3.

    Returns
    -------
    PriceVolumePanel. Positive: rises come on swelling volume. NaN with a reason where pairs are too few or price
    or volume do not vary. Its error is about ``1 / sqrt(observations)``, 0.13 on a full window.

    Notes
    -----
    Karpoff (1987), The relation between price changes and trading volume: a survey, Journal of Financial and
    Quantitative Analysis 22.
    """
    if not 3 <= min_observations <= window:
        raise ValueError(f"3 <= min_observations ({min_observations}) <= window ({window}) must hold")
    size = np.full(trades.units.shape, np.nan)
    np.log(trades.units, out=size, where=trades.traded)
    change = np.diff(size, axis=0, prepend=np.full((1, trades.units.shape[1]), np.nan))
    usable = ~np.isnan(change) & ~np.isnan(total_return) & (np.asarray(sessions_spanned) == 1)
    x, y = np.where(usable, change, 0.0), np.where(usable, total_return, 0.0)
    n = rolling_sum(usable.astype(np.int32), window)
    sx, sy, xx, xy, yy = (rolling_sum(v, window) for v in (x, y, x * x, x * y, y * y))
    count = np.maximum(n, 1)
    own, other = xx - sx * sx / count, yy - sy * sy / count

    reason = np.zeros(n.shape, dtype=np.int8)
    reason[(own <= FLAT * xx) | (other <= FLAT * yy)] = NO_VARIATION
    reason[n < min_observations] = TOO_LITTLE_TRADING
    reason[rolling_sum(trades.traded.astype(np.int32), window) == 0] = NO_TRADING
    reason[rolling_sum(trades.known.astype(np.int32), window) < min_observations] = VOLUME_UNKNOWN
    reason[~trades.serves] = NO_RECENT_BAR
    value = np.full(x.shape, np.nan)
    has_value = reason == 0
    scale = np.sqrt(np.where(has_value, own * other, 1.0))
    np.divide(xy - sx * sy / count, scale, out=value, where=has_value)
    return PriceVolumePanel(np.clip(value, -1.0, 1.0), reason, n)
