"""What separates a bar from the bar of the session before, besides the market."""

from __future__ import annotations

import numpy as np

from etf_pipeline.core.market.returns import PRICE_BASES, PriceBasis


def previous_bar_shift(
    close: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    *,
    basis: PriceBasis,
) -> np.ndarray:
    """Logarithm of the factor that puts the previous session's prices on this session's terms.

    Without any news a fund opens at ``(close_{t-1} - distribution_t) * scale_t / split_t``: ex the
    distribution, in new units. The factor is that price over ``close_{t-1}`` and holds for the whole
    previous bar.

    Parameters
    ----------
    close : (S, N) float64, positive where accepted.
    accepted : (S, N) bool.
    scale : (S, N) float64; ``close / scale`` is on the basis of the previous accepted close, NaN where the
        two cannot be compared.
    split : (S, N) float64, new units for one old unit with that ex-date, 1 where none.
    distribution : (S, N) float64, cash for each old unit with that ex-date, 0 where none.
    basis : what the prices are. ``as_traded`` applies splits and distributions, ``split_adjusted``
        distributions only, ``total_return_adjusted`` neither.

    Returns
    -------
    (S, N) float64; 0 as a rule. NaN where there is no bar, none on the session before, or the two cannot
    be compared (``scale`` unknown, an impossible split, a distribution that is negative or no smaller than
    the price).

    Raises
    ------
    ValueError : an unknown basis, or panels that differ in shape.
    """
    if basis not in PRICE_BASES:
        raise ValueError(f"basis {basis!r} is none of {', '.join(PRICE_BASES)}")
    for panel in (accepted, scale, split, distribution):
        if panel.shape != close.shape:
            raise ValueError(f"panels differ in shape: {panel.shape} beside close {close.shape}")
    factor = np.full(close.shape, np.nan)
    both = accepted[1:] & accepted[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        change = scale[1:].copy()
        if basis == "as_traded":
            change /= split[1:]
        if basis != "total_return_adjusted":
            cash = distribution[1:]
            change *= np.where(cash >= 0, 1.0 - cash / close[:-1], np.nan)
        np.log(change, out=factor[1:], where=both & (change > 0) & (change < np.inf))
    return factor


def log_prices(
    open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray, accepted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of the accepted bars, one fund a row, as kernels walk them.

    Parameters
    ----------
    open_, high, low, close : (S, N) float64, prices.
    accepted : (S, N) bool.

    Returns
    -------
    Four (N, S) float64, open, high, low, close. High, low and close are NaN together: where there is no
    accepted bar, or one of the three is missing or not positive. The open also where only it is.
    """
    bar = accepted & (high > 0) & (low > 0) & (close > 0)
    logs = []
    for price in (open_, high, low, close):
        known = np.ascontiguousarray((bar & (price > 0)).T)
        logs.append(np.log(np.ascontiguousarray(price.T), out=np.full(known.shape, np.nan), where=known))
    return logs[0], logs[1], logs[2], logs[3]
