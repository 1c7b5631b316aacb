"""What becomes of a fund: assets, trading activity and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.catalogue import Fund
from etf_pipeline.core.market.simulation.fund_returns import FundReturns
from etf_pipeline.core.market.simulation.model import TRADING_DAYS
from etf_pipeline.core.market.simulation.streams import fund_panel, stream

ALIVE = np.iinfo(np.int64).max
_RECORD_MEMORY = 0.9972
"""Daily memory of a fund's record, on which investors and trustees act: about a year."""
_ACTIVITY_MEMORY, _ACTIVITY_STEP = 0.90, 0.30
_SMALL = 25e6
"""Assets below which a fund does not pay for itself."""
_MERGER_RATE, _SMALL_RATE = 0.008, 0.30


@dataclass(frozen=True)
class Lives:
    """S sessions, N funds.

    Attributes
    ----------
    assets : (S, N) quote currency, after the session.
    activity : (S, N) multiple of ordinary trading.
    last : (N,) index of the last session quoted, ALIVE where no end was announced.
    cause : (N,) "too_small", "merged" or "".
    """

    assets: np.ndarray
    activity: np.ndarray
    last: np.ndarray
    cause: np.ndarray


def simulate_lives(seed: int, funds: Sequence[Fund], returns: FundReturns) -> Lives:
    """Assets follow returns and money follows the record; small and losing funds are closed.

    The chance of an announcement in a session rises from ``_MERGER_RATE`` a year by up to ``_SMALL_RATE`` as
    assets fall from ``_SMALL`` to nothing, and is multiplied by up to five on a poor record. The fund trades
    on for three to eight weeks after. No fund ends before ``Fund.safe_until``.
    """
    n_sessions, n_funds = returns.total_return.shape
    fate = fund_panel(seed, "death", n_sessions, n_funds, "uniform")
    bustle = fund_panel(seed, "activity", n_sessions, n_funds, "normal")
    notice = np.array([15 + int(25 * stream(seed, "defect", 1_000_000 + f.index).random()) for f in funds])
    listing = np.array([f.listing for f in funds])
    safe_until = np.array([f.safe_until for f in funds])
    growth = np.array([f.growth for f in funds]) / TRADING_DAYS
    own = returns.idiosyncratic_return + returns.alpha_annualised / TRADING_DAYS
    money = np.array([f.assets for f in funds])
    record, log_activity = np.zeros(n_funds), np.zeros(n_funds)
    last = np.full(n_funds, ALIVE)
    cause = np.full(n_funds, "", dtype="<U9")
    assets, activity = np.empty((n_sessions, n_funds)), np.empty((n_sessions, n_funds))
    for t in range(n_sessions):
        # Judged on what was known before the session.
        smallness = np.clip(1.0 - money / _SMALL, 0.0, 1.0)
        closing = _SMALL_RATE * smallness * np.clip(1.0 - 20.0 * record, 0.3, 5.0) / TRADING_DAYS
        merging = _MERGER_RATE / TRADING_DAYS
        ends = (fate[t] < closing + merging) & (t >= safe_until) & (last == ALIVE)
        if ends.any():
            cause[ends & (fate[t] < merging)] = "merged"
            cause[ends & (fate[t] >= merging)] = "too_small"
            last[ends] = t + notice[ends]
        live = t > listing
        flow = np.clip(growth + 0.010 * record, -0.003, 0.003)
        money = np.where(live, money * (1.0 + returns.total_return[t]) * (1.0 + flow), money)
        record = np.where(live, _RECORD_MEMORY * record + own[t], 0.0)
        log_activity = _ACTIVITY_MEMORY * log_activity + _ACTIVITY_STEP * bustle[t]
        assets[t] = money
        surprise = np.abs(returns.total_return[t]) / returns.daily_volatility[t]
        activity[t] = np.exp(log_activity) * (1.0 + 0.4 * surprise)
    return Lives(assets=assets, activity=activity, last=last, cause=cause)
