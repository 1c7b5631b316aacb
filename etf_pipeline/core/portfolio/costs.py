"""What a trade costs where no brokerage is charged: half the bid-ask spread, and the price it moves; and what cash earns.

A fund's own fees are in its price already and are charged nowhere here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Scenario = Literal["low", "base", "high"]
SCENARIOS: tuple[Scenario, ...] = ("low", "base", "high")
"""Spreads at the lower end of their interval, as estimated, and at its upper end."""
DAYS_A_YEAR = 365.0


@dataclass(frozen=True)
class CostRules:
    """Assumptions about costs.

    Attributes
    ----------
    impact_coefficient : Y in ``Y * sigma * sqrt(Q / V)``, the share of its value that a trade of Q loses by moving the
        price of a fund of daily volatility sigma and daily traded value V. Of order one in every market measured:
        Toth et al. (2011), Physical Review X 1, 021006; 0.5 to 1 in Bouchaud et al. (2018), Trades, Quotes and
        Prices, chapter 12. Estimates are of peak impact of stocks; market makers of a fund can also create units,
        so that for large funds it errs on the dear side.
    least_half_spread : fraction of the price below which no half spread is believed: an exchange's price steps set a
        floor that an estimate from daily ranges cannot see (one cent on 50: half of it is 0.0001).
    least_traded_value : quote currency a session; a fund that trades less, or nothing, is taken to trade this much.
    usual_half_spread : where no fund's spread is known at all.
    usual_volatility : daily, where a fund's is unknown and so is every other's.
    """

    impact_coefficient: float = 1.0
    least_half_spread: float = 0.0001
    least_traded_value: float = 10_000.0
    usual_half_spread: float = 0.001
    usual_volatility: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("impact_coefficient", "least_half_spread", "usual_half_spread", "usual_volatility"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a number of at least 0, not {getattr(self, name)}")
        if not self.least_traded_value > 0:
            raise ValueError(f"least_traded_value must be positive, not {self.least_traded_value}")


@dataclass(frozen=True)
class TradingCosts:
    """What trades of a session cost, from what was known at the close before.

    Attributes
    ----------
    half_spread : (S, N) float64, fraction of the value traded.
    impact : (S, N) float64; a trade of value Q loses the fraction ``impact * sqrt(Q)``.
    """

    half_spread: np.ndarray
    impact: np.ndarray


def trading_costs(
    spread: np.ndarray,
    volatility: np.ndarray,
    traded_value: np.ndarray,
    member: np.ndarray,
    rules: CostRules | None = None,
) -> TradingCosts:
    """Costs of trading every fund on every session.

    Parameters
    ----------
    spread : (S, N) float64, bid-ask spread as a fraction of the price, estimated at the session's close; NaN where
        unknown: the members' median stands in, after that the last known such median.
    volatility : (S, N) float64, daily standard deviation; filled likewise.
    traded_value : (S, N) float64, median value traded a session, quote currency; NaN: ``least_traded_value``.
    member : (S, N) bool, whose medians stand in.
    rules : CostRules, the defaults if None.

    Returns
    -------
    TradingCosts, finite everywhere: row t uses the estimates of row t - 1 only.

    Raises
    ------
    ValueError : panels that differ in shape, or a negative volatility.
    """
    rules = rules or CostRules()
    for name, panel in (("volatility", volatility), ("traded_value", traded_value), ("member", member)):
        if panel.shape != spread.shape:
            raise ValueError(f"{name} has shape {panel.shape} beside spread {spread.shape}")
    if (volatility < 0).any():
        row, column = np.argwhere(volatility < 0)[0]
        raise ValueError(f"volatility is negative at session {row}, ticker {column}")
    half = np.maximum(_filled(0.5 * spread, member, rules.usual_half_spread), rules.least_half_spread)
    sigma = _filled(volatility, member, rules.usual_volatility)
    value = np.maximum(np.where(np.isfinite(traded_value), traded_value, 0.0), rules.least_traded_value)
    return TradingCosts(_lagged(half), _lagged(rules.impact_coefficient * sigma / np.sqrt(value)))


def _filled(values: np.ndarray, member: np.ndarray, otherwise: float) -> np.ndarray:
    """NaN replaced by the median of the session's members, or of the last session that had one."""
    out = np.where(np.isfinite(values), values, np.nan)
    ordered = np.sort(np.where(member, out, np.nan), axis=1)  # NaN comes last
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(out))
    middle = (np.maximum(count - 1, 0) // 2, np.minimum(count // 2, max(out.shape[1] - 1, 0)))
    usual = np.full(len(out), otherwise)
    if out.size:
        median = 0.5 * (ordered[row, middle[0]] + ordered[row, middle[1]])
        last = np.maximum.accumulate(np.where(count > 0, row, -1))
        usual = np.where(last >= 0, median[np.maximum(last, 0)], otherwise)
    return np.where(np.isnan(out), usual[:, None], out)


def _lagged(values: np.ndarray) -> np.ndarray:
    """Row t - 1 at row t; the first row, on which nothing can be traded yet, keeps its own."""
    return np.concatenate([values[:1], values[:-1]])


def carry(sessions: np.ndarray, rate: np.ndarray, margin: float = 0.0, *, floor: float = 0.0) -> np.ndarray:
    """What one unit of cash held from the close before earns by each session.

    Parameters
    ----------
    sessions : (S,) datetime64[D], ascending.
    rate : (S,) float64, annual rate known at each session's close, a fraction; NaN counts as the last known one, before
        the first as zero.
    margin : added to the rate, negative for a deposit that pays less than it.
    floor : least annual rate paid.

    Returns
    -------
    (S,) float64; 0 at the first session. Simple interest over calendar days / 365 at the rate known at the close before.
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    out = np.zeros(len(days))
    known = np.asarray(rate, dtype=float)
    last = np.maximum.accumulate(np.where(np.isfinite(known), np.arange(len(known)), -1))
    annual = np.where(last >= 0, known[np.maximum(last, 0)], 0.0)
    annual = np.where(last >= 0, np.maximum(annual + margin, floor), 0.0)
    span = np.diff(days).astype(np.int64)
    out[1:] = annual[:-1] * span / DAYS_A_YEAR
    return out
