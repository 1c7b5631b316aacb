"""What a walk-forward leaves behind: fits, forecasts, and which model was in force when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HORIZONS: tuple[int, ...] = (1, 5, 21)
"""Sessions ahead."""


@dataclass(frozen=True)
class GarchHistory:
    """Monthly fits of M models to N funds and what they forecast on S sessions; R refits.

    Attributes
    ----------
    models : names, in the order of the axis M.
    horizons : sessions ahead, in the order of the axis H.
    refit_rows : (R,) int64, sessions at whose close the models were refitted.
    parameters : (R, N, M, 7) natural parameters in units of returns (fractions); NaN where there is no fit.
    log_likelihood : (R, N, M) of the window's returns; NaN where there is no fit.
    observations : (R, N) int64, returns in the window.
    converged : (R, N, M) bool.
    fresh : (R, N) bool, estimated from the coarse grid rather than from last month's optimum.
    variance : (H, M, S, N) variance of the return over the next h sessions, forecast at the close; NaN without a bar or fit.
    chosen : (R, N) int64, model that the criterion chose; -1 where there is no fit.
    """

    models: tuple[str, ...]
    horizons: tuple[int, ...]
    refit_rows: np.ndarray
    parameters: np.ndarray
    log_likelihood: np.ndarray
    observations: np.ndarray
    converged: np.ndarray
    fresh: np.ndarray
    variance: np.ndarray
    chosen: np.ndarray

    def model_in_force(self) -> np.ndarray:
        """(S, N) int64, the model chosen at the last refit up to each session; -1 where there was none."""
        sessions, funds = self.variance.shape[2:]
        last = np.searchsorted(self.refit_rows, np.arange(sessions), side="right") - 1
        if not len(self.refit_rows):
            return np.full((sessions, funds), -1)
        return np.where((last >= 0)[:, None], self.chosen[np.maximum(last, 0)], -1)

    def served_variance(self) -> np.ndarray:
        """(H, S, N) forecast of the model in force; NaN where there is none."""
        model = self.model_in_force()
        picked = np.take_along_axis(self.variance, np.maximum(model, 0)[None, None], axis=1)[:, 0]
        return np.where(model >= 0, picked, np.nan)
