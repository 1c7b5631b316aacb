"""Which of several models to believe, from past data alone."""

from __future__ import annotations

from typing import Literal

import numpy as np

from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.risk.garch.history import GarchHistory
from etf_pipeline.core.risk.garch.likelihood import NU

Criterion = Literal["predictive", "bic", "aic"]

MIN_JUDGED = 21
"""Forecasts a fund's models need to have made before they are compared by them."""

MIN_DEGREES_OF_FREEDOM = 2.5
"""Below this a Student t says next to nothing about the variance, which is infinite at 2: such a fit is never chosen."""


def choose(
    history: GarchHistory,
    returns: np.ndarray,
    known: np.ndarray,
    free_parameters: np.ndarray,
    *,
    criterion: Criterion,
    window: int,
) -> np.ndarray:
    """The model to use from each refit to the next.

    Parameters
    ----------
    history : fits and one-session forecasts.
    returns : (S, N) float64, one-session returns, NaN where there is none; known : (S, N) bool.
    free_parameters : (M,) of the models.
    criterion : ``bic`` and ``aic`` look at the fit of the window; ``predictive`` at what the models forecast in the last
        ``window`` sessions: the sum of log h + r**2 / h over the sessions that all of them had forecast, each with the
        parameters it had then. Before a fund has ``MIN_JUDGED`` such sessions, ``bic`` decides.
    window : sessions.

    Returns
    -------
    (R, N) int64, index of the model; -1 where there is no fit, or none with ``MIN_DEGREES_OF_FREEDOM``.

    Notes
    -----
    The predictive criterion is the prequential one of Dawid (1984, Present position and potential developments, JRSS A 147)
    with the Gaussian quasi-likelihood: it penalises parameters by what they do out of sample, and judges a variance as a
    variance whatever the distribution it was estimated with.
    """
    scores = -2.0 * history.log_likelihood
    if criterion == "aic":
        scores = scores + 2.0 * free_parameters
    else:
        scores = scores + np.log(np.maximum(history.observations, 1))[:, :, None] * free_parameters
    if criterion == "predictive" and len(history.refit_rows):
        loss, judged = _past_losses(history, returns, known, window)
        scores = np.where((judged >= MIN_JUDGED)[:, :, None], loss, scores)
    nu = history.parameters[..., NU]
    heavy = (nu > 0.0) & (nu < MIN_DEGREES_OF_FREEDOM)
    scores = np.where(np.isnan(history.log_likelihood) | np.isnan(scores) | heavy, np.inf, scores)
    best = np.argmin(scores, axis=2)
    return np.where(np.isfinite(scores).any(axis=2), best, -1).astype(np.int64)


def _past_losses(
    history: GarchHistory, returns: np.ndarray, known: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """(R, N, M) sums of the models' losses up to each refit, and (R, N) over how many sessions."""
    rows = np.arange(len(returns))[:, None]
    last_bar = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    before = np.concatenate([np.full((1, returns.shape[1]), -1), last_bar[:-1]])
    forecast = np.take_along_axis(history.variance[0], np.maximum(before, 0)[None], axis=1)
    usable = (before >= 0) & known & (forecast > 0.0).all(axis=0)
    judged = rolling_sum(usable.astype(np.int64), window)[history.refit_rows]
    squares = np.where(usable, returns, 0.0) ** 2
    losses = np.empty((*judged.shape, len(history.models)))
    for m in range(len(history.models)):
        variance = np.where(usable, forecast[m], 1.0)
        loss = np.where(usable, np.log(variance) + squares / variance, 0.0)
        losses[:, :, m] = rolling_sum(loss, window)[history.refit_rows]
    return losses, judged
