"""How many of many findings may be luck: the false discovery rate under any dependence."""

from __future__ import annotations

import numpy as np


def benjamini_yekutieli(p_value: np.ndarray) -> np.ndarray:
    """Adjusted p-values: rejecting those below q keeps the expected share of false ones below q.

    Parameters
    ----------
    p_value : (K,) float64 between 0 and 1; NaN was not tested and does not count.

    Returns
    -------
    (K,) float64, never below ``p_value``, at most 1; NaN where it is.

    Raises
    ------
    ValueError : a p-value outside 0 to 1.

    Notes
    -----
    Benjamini and Yekutieli (2001), The control of the false discovery rate in multiple testing under dependency,
    Annals of Statistics 29: Benjamini and Hochberg's steps times ``sum 1 / i``, valid however the tests depend on each
    other. Signals, horizons and years share their returns, so nothing less would do.
    """
    p = np.asarray(p_value, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    outside = tested[(p[tested] < 0.0) | (p[tested] > 1.0)]
    if len(outside):
        raise ValueError(f"p-value {p[outside[0]]} at {outside[0]} must lie between 0 and 1")
    adjusted = np.full(p.shape, np.nan)
    if len(tested):
        order = tested[np.argsort(p[tested], kind="stable")]
        place = np.arange(1, len(order) + 1)
        scaled = p[order] * (len(order) * (1.0 / place).sum() / place)
        adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def adjusted_to_date(p_value: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Adjust each p-value for everything that had been tried when it became known.

    Parameters
    ----------
    p_value : (K,) float64, NaN where not tested.
    known : (K,) integer or datetime64, when each was known; those of the same moment are judged together with all
        that came before, and later ones do not touch them.

    Returns
    -------
    (K,) float64, as ``benjamini_yekutieli``.
    """
    moment = np.asarray(known)
    adjusted = np.full(np.shape(p_value), np.nan)
    for now in np.unique(moment):
        so_far = np.flatnonzero(moment <= now)
        values = benjamini_yekutieli(np.asarray(p_value)[so_far])
        newest = moment[so_far] == now
        adjusted[so_far[newest]] = values[newest]
    return adjusted
