"""Intervals that have held what they promised: conformal, by asset class, adapting to their own misses."""

from __future__ import annotations

import numpy as np

MISS = 0.2
"""Share of outcomes that may fall outside."""

ADAPTATION = 0.1
"""How fast the nominal share follows the realised one, a month."""

BORROWED = 60.0
"""Sessions of a class's own past at which its quantiles weigh as much as the pool's."""

MEMORY = 1260
"""Sessions whose errors are remembered."""


class ConformalBands:
    """Quantiles of past errors, updated once a month.

    Errors are outcomes less corrected forecasts in units of expected standard deviation, so that a band widens
    with volatility. The nominal share outside follows ``a + gamma * (0.2 - share of the newly due outside)``.

    Notes
    -----
    Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World; Gibbs and Candes (2021), Adaptive
    conformal inference under distribution shift, NeurIPS 34.

    Parameters
    ----------
    classes : how many asset classes, the unknown one included.
    """

    def __init__(self, classes: int) -> None:
        self.nominal = MISS
        self._classes = classes

    def adapt(self, outside: np.ndarray) -> None:
        """Take note of forecasts that have come due: (n,) bool, whether the outcome was outside."""
        if len(outside):
            self.nominal += ADAPTATION * (MISS - float(outside.mean()))
            self.nominal = float(np.clip(self.nominal, 0.02, 0.5))

    def quantiles(self, error: np.ndarray, classes: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Lower and upper error to expect of each class.

        Parameters
        ----------
        error : (n,) finite errors remembered; classes : (n,) int64; day : (n,) int64, the session of each.

        Returns
        -------
        (C, 2) float64. A class's own quantiles, drawn to those of all the less its past counts.
        """
        levels = np.array([0.5 * self.nominal, 1.0 - 0.5 * self.nominal])
        pool = np.quantile(error, levels)
        out = np.tile(pool, (self._classes, 1))
        for c in range(self._classes):
            mine = classes == c
            sessions = len(np.unique(day[mine]))
            if sessions:
                own = np.quantile(error[mine], levels)
                out[c] = (sessions * own + BORROWED * pool) / (sessions + BORROWED)
        return out
