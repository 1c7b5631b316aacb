"""How long it takes to sell, and what it costs, when spreads widen and volumes dry up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.portfolio.costs import CostRules

DAYS = (1, 5, 20)
"""Sessions after which the share sold is told."""


@dataclass(frozen=True)
class LiquidityRules:
    """The stressed market.

    Attributes
    ----------
    spread_multiple : factor on spreads, at least 1.
    volume_share : what is left of the value traded, above 0, at most 1.
    participation : share of a session's stressed volume that is sold at most.
    volatility_multiple : factor on the volatility in the price impact, at least 1.
    """

    spread_multiple: float = 3.0
    volume_share: float = 1.0 / 3.0
    participation: float = 0.10
    volatility_multiple: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no stress."""
        for name in ("spread_multiple", "volatility_multiple"):
            if not 1 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("volume_share", "participation"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1], not {getattr(self, name)}")


@dataclass(frozen=True)
class LiquidityStress:
    """Of one portfolio.

    Attributes
    ----------
    days : (N,) float64, sessions until a position is sold, a whole number; 0 where nothing is held.
    cost : (N,) float64, of selling it, a fraction of the position; 0 where nothing is held.
    cost_of_portfolio : fraction of the portfolio's value.
    share_sold : (3,) float64, share of all positions by value sold after ``DAYS`` sessions.
    days_to_sell_all : sessions.
    """

    days: np.ndarray
    cost: np.ndarray
    cost_of_portfolio: float
    share_sold: np.ndarray
    days_to_sell_all: float


def liquidity_stress(
    weights: np.ndarray,
    value: float,
    half_spread: np.ndarray,
    impact: np.ndarray,
    traded_value: np.ndarray,
    *,
    rules: LiquidityRules | None = None,
    costs: CostRules | None = None,
) -> LiquidityStress:
    """Sell everything, every session as much as the participation allows.

    Parameters
    ----------
    weights : (N,) float64, shares of the value; short positions are bought back likewise.
    value : of the portfolio, quote currency.
    half_spread, impact : (N,) float64, of the session, as ``core.portfolio.costs.trading_costs`` gives them in its next
        row: a trade of Q loses the fraction ``half_spread + impact * sqrt(Q)``.
    traded_value : (N,) float64, value traded a session, quote currency; NaN or less counts as ``least_traded_value`` of
        ``costs``, as it does in ``impact``.
    rules : LiquidityRules, the defaults if None. costs : CostRules, the defaults if None.

    Returns
    -------
    LiquidityStress. Each session's sale pays the stressed half spread, and an impact of its own that has faded by the
    next: ``impact * volatility_multiple / sqrt(volume_share) * sqrt(sold)``.

    Raises
    ------
    ValueError : shapes that differ, a value that is not positive, or costs that are NaN or negative.
    """
    rules, costs = rules or LiquidityRules(), costs or CostRules()
    for name, given in (("half_spread", half_spread), ("impact", impact), ("traded_value", traded_value)):
        if given.shape != weights.shape:
            raise ValueError(f"{name} has shape {given.shape} beside weights {weights.shape}")
    held = np.abs(np.where(np.isnan(weights), 0.0, weights)) * value
    if not value > 0:
        raise ValueError(f"the portfolio's value must be positive, not {value}")
    wrong = (held > 0) & ~((half_spread >= 0) & (impact >= 0))
    if wrong.any():
        raise ValueError(
            f"fund {int(np.argmax(wrong))} is held but its half_spread or impact is NaN or negative"
        )
    volume = np.maximum(np.where(np.isfinite(traded_value), traded_value, 0.0), costs.least_traded_value)
    each = rules.participation * rules.volume_share * volume
    # A billionth of a session's sale is rounding, no session more.
    days = np.ceil(held / each - 1e-9)
    full = np.floor(held / each)
    rest = held - full * each
    stressed = np.where(held > 0, impact, 0.0) * rules.volatility_multiple / np.sqrt(rules.volume_share)
    money = rules.spread_multiple * np.where(held > 0, half_spread, 0.0) * held
    money = money + stressed * (full * each**1.5 + np.maximum(rest, 0.0) ** 1.5)
    gross = float(held.sum())
    sold = np.array([np.minimum(held, day * each).sum() for day in DAYS])
    return LiquidityStress(
        days=days,
        cost=np.divide(money, held, out=np.zeros_like(money), where=held > 0),
        cost_of_portfolio=float(money.sum()) / value,
        share_sold=sold / gross if gross > 0 else np.ones(len(DAYS)),
        days_to_sell_all=float(days.max(initial=0.0)),
    )
