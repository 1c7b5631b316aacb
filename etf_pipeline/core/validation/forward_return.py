"""What a fund bought after a signal returned over the sessions that followed."""

from __future__ import annotations

import numpy as np
from numba import njit

from etf_pipeline.core.parallel import over_columns

DELAY = 1
"""Sessions between a signal and the trade: known at one close, traded at the next."""


def forward_return(
    total_return: np.ndarray, sessions_spanned: np.ndarray, horizon: int, *, delay: int = DELAY
) -> np.ndarray:
    """Total return from the close ``delay`` sessions after each session to ``horizon`` sessions later.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int, sessions each return spans; 0 where there is no bar to compare.
    horizon : sessions held, at least 1.
    delay : sessions from the signal to the purchase, not negative.

    Returns
    -------
    (S, N) float64, stamped with the session of the *signal*; known ``delay + horizon`` sessions later, and NaN in
    the panel's last ``delay + horizon`` rows.

    A fund without a bar at the purchase is bought at its first bar after it: the return that ends there began before
    and is not earned. A fund that dies inside the horizon counts with its return up to its last bar and lies idle
    afterwards, so that no fund is left out because of how it ended; one that shows no bar after the purchase stands
    at its price, 0. NaN where there is no bar to buy at, and where a return that would be earned is unknown.

    Raises
    ------
    ValueError : a horizon or a delay that cannot be.
    """
    if horizon < 1 or delay < 0:
        raise ValueError(f"horizon ({horizon}) must be at least 1 session, delay ({delay}) not negative")
    out = np.full(total_return.shape, np.nan)

    def work(funds: np.ndarray) -> None:
        own, spanned = total_return[:, funds].T.copy(), sessions_spanned[:, funds].T.astype(np.int64)
        result = np.empty(own.shape)
        _forward(own, spanned, horizon, delay, result)
        out[:, funds] = result.T

    over_columns(work, total_return.shape[1])
    return out


@njit(cache=True, nogil=True)
def _forward(returns: np.ndarray, spanned: np.ndarray, horizon: int, delay: int, out: np.ndarray) -> None:
    """``returns``, ``spanned`` and ``out`` are (K, S)."""
    funds, rows = returns.shape
    for j in range(funds):
        for t in range(rows):
            out[j, t] = np.nan
            entry = t + delay
            if entry + horizon >= rows:
                continue
            held = spanned[j, entry] > 0
            growth = 1.0
            for s in range(entry + 1, entry + horizon + 1):
                if spanned[j, s] > 0:
                    if held:
                        growth *= 1.0 + returns[j, s]
                    held = True
            if held:
                out[j, t] = growth - 1.0


def forward_return_reference(
    total_return: np.ndarray, sessions_spanned: np.ndarray, t: int, horizon: int, delay: int = DELAY
) -> float:
    """One fund's forward return after session ``t``, spelled out; the arguments are (S,)."""
    entry = t + delay
    if entry + horizon >= len(total_return):
        return float("nan")
    bars = [s for s in range(entry, entry + horizon + 1) if sessions_spanned[s] > 0]
    if not bars:
        return float("nan")
    return float(np.prod([1.0 + total_return[s] for s in bars[1:]]) - 1.0)
