"""How large a position in one fund may be, as a fraction of the portfolio, before funds are weighed against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, UNKNOWN_CATEGORY, PositionRules


@dataclass(frozen=True)
class PositionPanel:
    """The size and what it is the product of.

    Attributes
    ----------
    base, quality_factor, confidence_factor, volatility_factor : (S, N) float64.
    size : (S, N) float64, fraction of the portfolio; NaN where the fund is not ranked or its volatility is not known.
    """

    base: np.ndarray
    quality_factor: np.ndarray
    confidence_factor: np.ndarray
    volatility_factor: np.ndarray
    size: np.ndarray


def position_size(
    ranked: np.ndarray,
    category: np.ndarray,
    momentum_score: np.ndarray,
    forecast_confidence: np.ndarray,
    volatility_annualised: np.ndarray,
    rules: PositionRules,
) -> PositionPanel:
    """Base by risk category x quality of momentum x confidence in the forecast x volatility targeting.

    Parameters
    ----------
    ranked : (S, N) bool.
    category : (S, N) int, index into ``CATEGORY_NAMES``; -1, unknown, is treated as MEDIUM.
    momentum_score : (S, N) float64, 0 to 100.
    forecast_confidence : (S, N) float64, 0 to 1; NaN, no forecast, counts as 0.
    volatility_annualised : (S, N) float64, forecast, fraction.

    Returns
    -------
    PositionPanel. The quality and confidence factors rise linearly from their least to 1; the volatility factor is the
    target over the forecast, at most 1: a quiet fund is not levered up. The sizes are upper limits of single positions
    and do not sum to one.
    """
    base = np.array([rules.base[name] for name in CATEGORY_NAMES])
    base = base[np.where(category < 0, UNKNOWN_CATEGORY, category)]
    quality = rules.least_quality + (1.0 - rules.least_quality) * momentum_score / 100.0
    confidence = np.clip(np.nan_to_num(forecast_confidence, nan=0.0), 0.0, 1.0)
    confidence = rules.least_confidence + (1.0 - rules.least_confidence) * confidence
    moves = volatility_annualised > 0.0
    targeted = np.full(base.shape, np.nan)
    np.divide(rules.target_volatility, volatility_annualised, out=targeted, where=moves)
    targeted = np.where(volatility_annualised == 0.0, 1.0, np.minimum(targeted, 1.0))
    size = np.where(ranked, base * quality * confidence * targeted, np.nan)
    return PositionPanel(base, quality, confidence, targeted, size)
