"""Traded value per session, telling "nothing was traded" from "nobody knows"."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.coverage import market_traded
from etf_pipeline.core.market.rolling import sessions_since


def traded_value(close: np.ndarray, volume: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """Close times volume; zero where a fund did not trade, NaN where that is not known.

    Parameters
    ----------
    close : (S, N) float64, quote currency.
    volume : (S, N) float64, units; NaN where the source has none.
    accepted : (S, N) bool.

    Returns
    -------
    (S, N) float64, quote currency a session. Zero on a session without an accepted bar while the market
    traded. NaN before a fund's first bar, on sessions that are holes in the source, where a bar has no
    volume, and on sessions where no fund at all shows any volume (the source did not record it then).

    Notes
    -----
    On prices adjusted for later splits and distributions the value is understated for earlier sessions;
    only as-traded prices give it exactly.
    """
    recorded = (accepted & (volume > 0)).any(axis=1, keepdims=True)
    seen = recorded & market_traded(accepted)[:, None] & (sessions_since(accepted) >= 0)
    value = np.where(accepted, close * volume, 0.0)
    return np.where(seen | (accepted & recorded), value, np.nan)
