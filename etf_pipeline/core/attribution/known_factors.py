"""Exposures to those factors of a model that are known: a series that has ended, or not begun, leaves the rest standing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np

from etf_pipeline.core.attribution.factor_regression import FactorRegression, factor_regression
from etf_pipeline.core.attribution.rolling_exposure import RollingExposure, rolling_exposure

_BY_FACTOR = ("loading", "standard_error", "t_value")


def known_factors(value: np.ndarray, *, window: int = 252, share: float = 0.8) -> np.ndarray:
    """Which factors are a part of the model at each session.

    Parameters
    ----------
    value : (S, K) float64, moves of single sessions, NaN where not known.
    window : sessions looked back; share : of them on which a factor must be known.

    Returns
    -------
    (S, K) bool; the window is shorter at the start, where nothing is known long enough.
    """
    there = np.cumsum(np.isfinite(value), axis=0)
    before = np.vstack(
        [np.zeros((min(window, len(value)), value.shape[1]), dtype=there.dtype), there[:-window]]
    )
    return np.asarray(there - before >= share * window)


def last_known(value: np.ndarray) -> np.ndarray:
    """(S,) each value, or the last one before it that was known; NaN before the first."""
    row = np.maximum.accumulate(np.where(np.isnan(value), -1, np.arange(len(value))))
    return np.where(row >= 0, value[np.maximum(row, 0)], np.nan)


def rolling_on_known(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    available: np.ndarray,
    *,
    vintage: np.ndarray | None = None,
    window: int = 252,
    min_observations: int = 126,
) -> RollingExposure:
    """``rolling_exposure`` with the factors that are available at each session; NaN for the loadings of the others.

    Parameters
    ----------
    available : (S, K) bool. The rest as ``rolling_exposure`` takes it; factors (V, M, S, K).
    """
    whole: RollingExposure | None = None
    for chosen, rows in _sets(available):
        found = rolling_exposure(
            excess_return,
            sessions_spanned,
            factors[..., chosen],
            vintage=vintage,
            window=window,
            min_observations=min_observations,
        )
        whole = _merged(whole, found, chosen, rows, available.shape[1])
    return whole if whole is not None else _nothing(excess_return.shape, available.shape[1])


def regression_on_known(
    excess_return: np.ndarray,
    sessions_spanned: np.ndarray,
    factors: np.ndarray,
    available: np.ndarray,
    ends: np.ndarray,
    *,
    vintage: np.ndarray | None = None,
    window: int | None = 252,
    min_observations: int = 126,
) -> FactorRegression | None:
    """``factor_regression`` with the factors that are available at each end; None where there is none at any.

    Parameters
    ----------
    available : (R, K) bool, at each end; vintage : (R,) int. The rest as ``factor_regression`` takes it.
    """
    whole: FactorRegression | None = None
    for chosen, rows in _sets(available):
        found = factor_regression(
            excess_return,
            sessions_spanned,
            factors[..., chosen],
            ends[rows],
            vintage=None if vintage is None else vintage[rows],
            window=window,
            min_observations=min_observations,
        )
        if whole is None:
            whole = _empty(found, len(ends), available.shape[1])
        for item in fields(FactorRegression):
            into, part = getattr(whole, item.name), getattr(found, item.name)
            if item.name in _BY_FACTOR:
                into[np.ix_(rows, np.arange(into.shape[1]), chosen)] = part
            else:
                into[rows] = part
    return whole


def _sets(available: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each set of factors that occurs, as columns, with its rows."""
    if not len(available):
        return
    sets, which = np.unique(available, axis=0, return_inverse=True)
    for number, one in enumerate(sets):
        if one.any():
            yield np.flatnonzero(one), np.flatnonzero(which.ravel() == number)


def _merged(
    whole: RollingExposure | None, found: RollingExposure, chosen: np.ndarray, rows: np.ndarray, count: int
) -> RollingExposure:
    if whole is None:
        whole = _nothing(found.alpha.shape, count)
    for item in fields(RollingExposure):
        into, part = getattr(whole, item.name), getattr(found, item.name)
        if item.name in _BY_FACTOR:
            for place, k in enumerate(chosen):
                into[rows, :, k] = part[rows, :, place]
        else:
            into[rows] = part[rows]
    return whole


def _nothing(shape: tuple[int, ...], count: int) -> RollingExposure:
    def panel() -> np.ndarray:
        return np.full(shape, np.nan)

    return RollingExposure(
        np.full((*shape, count), np.nan),
        np.full((*shape, count), np.nan),
        panel(),
        panel(),
        panel(),
        panel(),
        np.zeros(shape, dtype=np.int32),
        np.full(shape, 4, dtype=np.int8),
    )


def _empty(like: FactorRegression, ends: int, count: int) -> FactorRegression:
    made = {}
    for item in fields(FactorRegression):
        part = getattr(like, item.name)
        shape = (ends, part.shape[1], count) if item.name in _BY_FACTOR else (ends, part.shape[1])
        made[item.name] = np.full(shape, np.nan if part.dtype.kind == "f" else -1, dtype=part.dtype)
    return replace(like, **made)
