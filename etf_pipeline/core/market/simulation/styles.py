"""Style factors of the simulated market, as a vendor would publish them: daily and monthly, and once revised.

Market excess return and size are factors of the simulated economy, which move its funds; the risk-free rate is its cash
rate. Value, profitability, investment and momentum are streams of their own that no fund loads on: an estimate that
finds an exposure to them has found noise. An earlier publication says some sessions slightly differently, as real ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.model import TRADING_DAYS, SimulatedMarket
from etf_pipeline.core.market.simulation.streams import standard_student_t, stream

STYLES = ("market_excess", "size", "value", "profitability", "investment", "momentum", "risk_free")
_OWN_STREAMS = {
    "value": (0.060, 0.020),
    "profitability": (0.045, 0.025),
    "investment": (0.040, 0.015),
    "momentum": (0.095, 0.040),
}
"""Annualised volatility and mean."""
_DEGREES_OF_FREEDOM = 5.0
_DECIMALS = 6
# Share of sessions that the first publication says otherwise, and by how much: standard deviation, fraction a session.
_REVISED = {"market_excess": (0.03, 0.00005), "risk_free": (0.0, 0.0)}
_REVISED_STYLE = (0.15, 0.0004)


@dataclass(frozen=True)
class StyleReturns:
    """Simple returns of ``STYLES``, fractions a period.

    Attributes
    ----------
    sessions : (S,) datetime64[D]: exchange sessions, or last calendar days of complete months.
    newest, first : (S, 7) as published last, and as published first.
    """

    sessions: np.ndarray
    newest: np.ndarray
    first: np.ndarray


def daily_styles(market: SimulatedMarket) -> StyleReturns:
    """Style returns of every session; a longer market or more funds change none of them."""
    seed, sessions, truth = market.config.seed, market.config.sessions, market.truth
    reference = market.reference
    cash = reference.loc[reference["series"] == "cash_rate", "value"].to_numpy(dtype=float)
    paths = {
        "market_excess": truth.factor_return[:, truth.factors.index("market")],
        "size": truth.factor_return[:, truth.factors.index("small_size")],
        # Funds earn on a session the rate that stood at the close before.
        "risk_free": np.concatenate([cash[:1], cash[:-1]]) / 100.0 / TRADING_DAYS,
    }
    for i, (name, (volatility, mean)) in enumerate(_OWN_STREAMS.items()):
        shock = standard_student_t(stream(seed, "style", i), _DEGREES_OF_FREEDOM, len(sessions))
        paths[name] = mean / TRADING_DAYS + volatility / np.sqrt(TRADING_DAYS) * shock
    newest = np.round(np.column_stack([paths[name] for name in STYLES]), _DECIMALS)
    return StyleReturns(sessions, newest, np.round(newest + _first_errors(seed, len(sessions)), _DECIMALS))


def _first_errors(seed: int, n_sessions: int) -> np.ndarray:
    """(S, 7) what the first publication adds; mostly zero."""
    errors = np.zeros((n_sessions, len(STYLES)))
    for i, name in enumerate(STYLES):
        share, size = _REVISED.get(name, _REVISED_STYLE)
        chosen, shock = stream(seed, "style_revision", i).random((n_sessions, 2)).T
        # Uniform, of the given standard deviation.
        errors[:, i] = np.where(chosen < share, size * np.sqrt(12.0) * (shock - 0.5), 0.0)
    return errors


def monthly_styles(daily: StyleReturns) -> StyleReturns:
    """The complete months of daily styles, compounded; a month is complete when a later one has begun.

    Market excess return is the compounded market less the compounded risk-free rate; the other factors compound as they
    are.
    """
    months, begin = np.unique(daily.sessions.astype("datetime64[M]"), return_index=True)
    months, ends = months[:-1], begin[1:]
    last_day = (months + 1).astype("datetime64[D]") - 1
    newest, first = (_compound(panel, begin[:-1], ends) for panel in (daily.newest, daily.first))
    return StyleReturns(last_day, newest, first)


def _compound(panel: np.ndarray, begin: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(M, 7) of (S, 7), rows ``begin[m]`` to ``ends[m]`` exclusive."""
    growth = 1.0 + panel
    market, cash = STYLES.index("market_excess"), STYLES.index("risk_free")
    growth[:, market] += panel[:, cash]
    out = np.empty((len(begin), panel.shape[1]))
    for m, (start, end) in enumerate(zip(begin, ends, strict=True)):
        out[m] = growth[start:end].prod(axis=0) - 1.0
    if len(out):
        out[:, market] -= out[:, cash]
    return np.round(out, _DECIMALS)
