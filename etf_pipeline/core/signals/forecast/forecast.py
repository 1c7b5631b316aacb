"""From panels to published forecasts: features, ensemble, correction, for every horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_tasks
from etf_pipeline.core.signals.forecast.ensemble import EnsembleForecast, walk_forward
from etf_pipeline.core.signals.forecast.features import FeatureTable, feature_table
from etf_pipeline.core.signals.forecast.folds import quarterly_folds
from etf_pipeline.core.signals.forecast.served import ServedForecast, serve
from etf_pipeline.core.signals.forecast.targets import horizon_scale
from etf_pipeline.core.validation.forward_return import forward_return

HORIZONS = (5, 21, 63)
"""Sessions ahead."""

FEWEST_FUNDS = 5
"""Funds a session needs before it counts as one to learn from."""


@dataclass(frozen=True)
class ForecastRules:
    """How the ensemble is refitted.

    Attributes
    ----------
    window : sessions a refit looks back at most.
    minimum : sessions with enough funds that the first refit needs.
    embargo : sessions between the end of the last outcome learned from and the refit.
    seed : of the randomised trees.
    """

    window: int = 2520
    minimum: int = 756
    embargo: int = 5
    seed: int = 7


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of every horizon, as rows of ``features``.

    Attributes
    ----------
    features : R rows, ordered by session, then fund.
    ensembles : the members' part, in units of expected standard deviation.
    served : what is published, in simple returns.
    """

    features: FeatureTable
    ensembles: tuple[EnsembleForecast, ...]
    served: tuple[ServedForecast, ...]


def forecast_returns(
    funds: Mapping[str, np.ndarray],
    market: Mapping[str, np.ndarray],
    *,
    eligible: np.ndarray,
    volatility: Mapping[int, np.ndarray],
    exposure: np.ndarray,
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    classes: np.ndarray,
    categories: np.ndarray,
    sessions: np.ndarray,
    rules: ForecastRules | None = None,
) -> Forecasts:
    """Forecast the total return of every eligible fund over 5, 21 and 63 sessions.

    Parameters
    ----------
    funds : name -> (S, N) float64, measures of each fund as known at the close.
    market : name -> (S,) float64, the market's state, scaled to within +-3 (``causal_score``).
    eligible : (S, N) bool, funds to learn from and to forecast; they need a volatility.
    volatility : horizon -> (S, N) float64, annualised, forecast made at the close.
    exposure : (S, N) float64, correlation with the market.
    total_return, sessions_spanned : (S, N), simple returns and the sessions each spans.
    classes : (N,) int64, asset class, -1 unknown; categories : (S, N) int64, risk category, -1 unknown.
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    Forecasts. Row for row a function of what was known at its session's close: cutting the panels after any
    session leaves what was forecast before as it is, bit for bit.
    """
    rules = rules or ForecastRules()
    known = np.logical_and.reduce([np.isfinite(volatility[h]) for h in HORIZONS])
    features = feature_table(funds, market, eligible & known)
    at = features.row, features.column
    scale = np.array([horizon_scale(volatility[h], eligible, h)[at] for h in HORIZONS])
    realised = np.array([forward_return(total_return, sessions_spanned, h, delay=0)[at] for h in HORIZONS])
    usable = np.diff(features.start) >= FEWEST_FUNDS
    folds = [
        quarterly_folds(
            sessions, usable, h, window=rules.window, minimum=rules.minimum, embargo=rules.embargo
        )
        for h in HORIZONS
    ]
    ensembles = walk_forward(features, realised / scale, exposure[at], HORIZONS, folds, seed=rules.seed)

    def publish(h: int) -> ServedForecast:
        groups = classes[features.column], categories[at]
        return serve(features, ensembles[h], realised[h], scale[h], *groups, sessions)

    return Forecasts(features, tuple(ensembles), tuple(over_tasks(publish, len(HORIZONS))))
