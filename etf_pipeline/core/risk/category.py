"""Risk category of each fund on each session: LOW, MEDIUM or HIGH, and slow to change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.category_kernels import categorise
from etf_pipeline.core.risk.volatility import SESSIONS_A_YEAR

RISK_CATEGORIES = ("UNKNOWN", "LOW", "MEDIUM", "HIGH")
"""Names of the category codes 0 to 3."""

DECIDING_MEASURES = ("", "volatility", "cvar", "maximum_drawdown", "leveraged")
"""Names of the codes in ``RiskCategoryPanel.decided_by``; empty where the score is unknown."""


@dataclass(frozen=True)
class Thresholds:
    """Where a measure leaves LOW and where it enters HIGH; sizes, positive.

    Attributes
    ----------
    medium, high : a measure of at least this size is MEDIUM, HIGH.
    """

    medium: float
    high: float

    def __post_init__(self) -> None:
        """Refuse thresholds out of order."""
        if not 0.0 < self.medium < self.high:
            raise ValueError(f"0 < medium ({self.medium}) < high ({self.high}) must hold")


@dataclass(frozen=True)
class CategoryRules:
    """Absolute thresholds, and how far and how long they must be passed.

    Attributes
    ----------
    volatility_annualised, cvar_95_annualised, maximum_drawdown : Thresholds, fractions.
    margin : a change needs measures beyond the threshold by this fraction of it, in [0, 1).
    sessions_up, sessions_down : and that for so many sessions on end (those with a measure missing are
        passed over), at least 1.
    max_stale_sessions : the category stands for this many sessions with a measure missing.

    Notes
    -----
    The defaults were read off ASX funds (2008 to 2026) and US funds (2005 to 2026), with the historical
    expected shortfall of 1,000 returns and the drawdown of 756 sessions. Both remember: broad equity never
    had a shortfall below 0.187, though its volatility fell to 0.055, a bond fund's; Australian bond and cash
    funds mostly stay below 0.146. So 0.15 parts the two where volatility alone would not. Above 0.55 lie oil,
    crypto, miners, technology sectors and leveraged funds nearly always, broad ASX equity while 2008 is
    remembered. Broad equity fell by 0.45 in 2008 only, and held a volatility above 0.35 by the margin for
    ``sessions_up`` sessions in 2008, 2009 and 2020 only. US broad equity after 2020 comes to 0.54 to 0.58 and
    stays HIGH until that leaves the window. A sector no riskier than the market (consumer staples, banks in
    most years) is MEDIUM, for its measures are the market's.
    """

    volatility_annualised: Thresholds = Thresholds(0.07, 0.35)
    cvar_95_annualised: Thresholds = Thresholds(0.15, 0.55)
    maximum_drawdown: Thresholds = Thresholds(0.10, 0.45)
    margin: float = 0.10
    sessions_up: int = 42
    sessions_down: int = 126
    max_stale_sessions: int = 5

    def __post_init__(self) -> None:
        """Refuse rules that cannot be kept."""
        if not 0.0 <= self.margin < 1.0:
            raise ValueError(f"margin must lie in [0, 1), not {self.margin}")
        if min(self.sessions_up, self.sessions_down) < 1 or self.max_stale_sessions < 0:
            raise ValueError(
                f"sessions_up ({self.sessions_up}) and sessions_down ({self.sessions_down}) must be at least 1, "
                f"max_stale_sessions ({self.max_stale_sessions}) at least 0"
            )


@dataclass(frozen=True)
class RiskCategoryPanel:
    """Category per session.

    Attributes
    ----------
    category : (S, N) int8, index into ``RISK_CATEGORIES``.
    raw_category : (S, N) int8, what the session's measures alone say.
    score : (S, N) float64, of the worst measure: 1 at its MEDIUM threshold, 2 at its HIGH threshold, in
        proportion below and in between, ``1 + measure / high`` above. NaN where a measure is missing.
    decided_by : (S, N) int8, index into ``DECIDING_MEASURES``: the worst measure (the first of equals), and
        ``leveraged`` throughout for a flagged fund.
    """

    category: np.ndarray
    raw_category: np.ndarray
    score: np.ndarray
    decided_by: np.ndarray


def risk_category(
    volatility_annualised: np.ndarray,
    cvar_95_annualised: np.ndarray,
    maximum_drawdown: np.ndarray,
    leveraged: np.ndarray,
    rules: CategoryRules | None = None,
) -> RiskCategoryPanel:
    """Category of each fund by its worst measure, kept until the measures have left it for good.

    A session's raw category is that of the worst measure. The category starts as the first raw one. It rises
    when measures beyond the threshold by the margin have said so for ``sessions_up`` sessions on end, to the
    lowest category they named in that time; it falls when all measures have been below the threshold by the
    margin for ``sessions_down`` sessions, to the highest they named.

    Parameters
    ----------
    volatility_annualised : (S, N) float64, 0.20 = 20 % a year.
    cvar_95_annualised : (S, N) float64, a return, so negative. Give the historical one: the category is to
        outlast the spell that a conditional forecast describes, and volatility describes it already.
    maximum_drawdown : (S, N) float64, negative, of 756 sessions.
    leveraged : (N,) bool, leveraged and inverse funds: HIGH on every session, whatever is known.
    rules : thresholds and hysteresis; the defaults if None.

    Returns
    -------
    RiskCategoryPanel. UNKNOWN until all three measures exist. With one missing later, the category stands
    for ``max_stale_sessions`` sessions and is then UNKNOWN; when the measures are back it starts anew.

    Raises
    ------
    ValueError : shapes that differ.
    """
    rules = rules or CategoryRules()
    shape = volatility_annualised.shape
    for panel in (cvar_95_annualised, maximum_drawdown):
        if panel.shape != shape:
            raise ValueError(f"panels differ in shape: {panel.shape} beside volatility {shape}")
    if leveraged.shape != shape[1:]:
        raise ValueError(f"leveraged must have one flag a fund {shape[1:]}, not {leveraged.shape}")
    measures = np.stack([volatility_annualised, -cvar_95_annualised, -maximum_drawdown]).astype(np.float64)
    limits = (rules.volatility_annualised, rules.cvar_95_annualised, rules.maximum_drawdown)
    medium = np.array([limit.medium for limit in limits])
    high = np.array([limit.high for limit in limits])
    patience = np.array([rules.sessions_up, rules.sessions_down, rules.max_stale_sessions], dtype=np.int64)
    margin = float(rules.margin)
    category, raw_category, decided_by = (np.zeros(shape, dtype=np.int8) for _ in range(3))
    score = np.full(shape, np.nan)
    over_columns(
        lambda funds: categorise(
            measures, funds, medium, high, margin, patience, category, raw_category, score, decided_by
        ),
        shape[1],
    )
    flagged = leveraged.astype(bool)
    category[:, flagged] = raw_category[:, flagged] = RISK_CATEGORIES.index("HIGH")
    decided_by[:, flagged] = DECIDING_MEASURES.index("leveraged")
    return RiskCategoryPanel(category, raw_category, score, decided_by)


def flips_per_fund_year(category: np.ndarray) -> float:
    """Changes between two known categories a year of 252 sessions and fund.

    Parameters
    ----------
    category : (S, N) int8, 0 = unknown.

    Returns
    -------
    Changes over sessions that have a known category after a known one, times 252; NaN without any.
    """
    known = (category[1:] > 0) & (category[:-1] > 0)
    if not known.any():
        return float("nan")
    changes = known & (category[1:] != category[:-1])
    return float(changes.sum() / known.sum() * SESSIONS_A_YEAR)
