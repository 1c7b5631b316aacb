"""Rarer members of the family, one fund at a time, by the ``arch`` library: a second opinion, not the universe's model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from etf_pipeline.core.risk.garch.history import HORIZONS

EXOTIC: dict[str, dict[str, Any]] = {
    "aparch_t": {"vol": "APARCH", "p": 1, "o": 1, "q": 1, "dist": "t"},
    "figarch_t": {"vol": "FIGARCH", "p": 1, "q": 1, "dist": "t"},
    "harch_t": {"vol": "HARCH", "p": [1, 5, 22], "dist": "t"},
    "tgarch_t": {"vol": "GARCH", "p": 1, "o": 1, "q": 1, "power": 1.0, "dist": "t"},
    "gjr_skewt": {"vol": "GARCH", "p": 1, "o": 1, "q": 1, "dist": "skewt"},
    "egarch_skewt": {"vol": "EGARCH", "p": 1, "o": 1, "q": 1, "dist": "skewt"},
    "gjr_ged": {"vol": "GARCH", "p": 1, "o": 1, "q": 1, "dist": "ged"},
}
"""What ``arch.arch_model`` is asked for, by name; the mean is constant."""

SIMULATIONS = 2000
_SEED = 20_120
_SESSIONS_A_YEAR = 252


@dataclass(frozen=True)
class ExoticForecast:
    """One model's fit and forecast.

    Attributes
    ----------
    model : a name of ``EXOTIC``.
    log_likelihood : of the returns in percent. Comparable between models of the same returns.
    parameters : how many were estimated.
    observations : returns entering the likelihood.
    converged : whether the optimiser says so.
    volatility_annualised : (3,) fraction a year, mean over the next 1, 5 and 21 sessions; NaN where it is not finite.
    """

    model: str
    log_likelihood: float
    parameters: int
    observations: int
    converged: bool
    volatility_annualised: np.ndarray

    @property
    def bic(self) -> float:
        """-2 log-likelihood + parameters log(observations); smaller is better."""
        return float(-2.0 * self.log_likelihood + self.parameters * np.log(self.observations))


def exotic_forecast(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    model: str,
    *,
    window: int = 1000,
    min_observations: int = 250,
) -> ExoticForecast | None:
    """Fit a model to the last returns of one fund and forecast from the last of them.

    Parameters
    ----------
    total_return : (S,) float64 simple returns, NaN where unknown; the last row is the session of the forecast.
    sessions_spanned : (S,) int; a return over n sessions enters as one observation of r / sqrt(n).
    model : a name of ``EXOTIC``.
    window, min_observations : sessions looked back; returns needed among them.

    Returns
    -------
    The forecast; None with too few returns, with a price that never moves, or where ``arch`` cannot fit the model.

    Raises
    ------
    ValueError : no such model.

    Notes
    -----
    Beyond one session by simulation (2,000 paths, fixed seed), which all these models allow: the same input gives the same
    numbers. Sheppard, arch; Ding, Granger, Engle (1993); Baillie, Bollerslev, Mikkelsen (1996); Hansen (1994).
    """
    # Loaded only for those who ask.
    from arch import arch_model

    if model not in EXOTIC:
        raise ValueError(f"no model {model!r}: there are {', '.join(EXOTIC)}")
    recent, spanned = total_return[-window:], np.asarray(sessions_spanned)[-window:]
    known = ~np.isnan(recent) & (spanned > 0)
    y = 100.0 * recent[known] / np.sqrt(spanned[known])
    if len(y) < min_observations or not y.std() > 0.0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            asked = arch_model(y, mean="Constant", rescale=False, **EXOTIC[model])
            asked.distribution = type(asked.distribution)(seed=np.random.default_rng(_SEED))
            fit = asked.fit(disp="off", show_warning=False)
            ahead = fit.forecast(
                horizon=max(HORIZONS), method="simulation", simulations=SIMULATIONS, reindex=False
            )
        except (ValueError, np.linalg.LinAlgError, FloatingPointError):
            return None
        variance = ahead.variance.to_numpy()[-1]
        means = np.array([variance[:horizon].mean() for horizon in HORIZONS])
        volatility = np.sqrt(_SESSIONS_A_YEAR * np.where(np.isfinite(means), means, np.nan)) / 100.0
    if not np.isfinite(fit.loglikelihood):
        return None
    return ExoticForecast(
        model=model,
        log_likelihood=float(fit.loglikelihood),
        parameters=len(fit.params),
        observations=len(y),
        converged=fit.convergence_flag == 0,
        volatility_annualised=volatility,
    )
