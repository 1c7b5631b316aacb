"""Total returns from one accepted close to the next.

A missing bar stays missing: its return is NaN, and the next accepted bar carries the whole return since
the previous accepted one, with the number of sessions it spans beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

PriceBasis = Literal["as_traded", "split_adjusted", "total_return_adjusted"]
ReturnBasis = Literal["actions", "close_ratio", "adj_close_ratio", "price_only"]
"""How a total return was made.

``actions``: closes with the source's splits and distributions.
``close_ratio``: the closes are adjusted for both already.
``adj_close_ratio``: the vendor's adjusted closes, for a source that gives those but no actions.
``price_only``: neither is known; distributions are missing from the return.
"""

PRICE_BASES = ("as_traded", "split_adjusted", "total_return_adjusted")


@dataclass(frozen=True)
class ReturnPanel:
    """Total returns on accepted bars.

    Attributes
    ----------
    total_return : (S, N) float64, simple return (0.01 = 1 %) since the previous accepted close. NaN where
        there is no accepted bar, at a fund's first one, and where the return is unknown.
    sessions_spanned : (S, N) int32, sessions from the previous accepted close to this one; 1 for
        consecutive bars, 0 where there is no accepted bar or no earlier one.
    return_basis : how the returns of this panel were made.
    """

    total_return: np.ndarray
    sessions_spanned: np.ndarray
    return_basis: ReturnBasis

    @property
    def unknown(self) -> np.ndarray:
        """(S, N) bool: two accepted bars whose closes cannot be compared."""
        return (self.sessions_spanned > 0) & np.isnan(self.total_return)


def total_return(
    close: np.ndarray,
    accepted: np.ndarray,
    scale: np.ndarray,
    split: np.ndarray,
    distribution: np.ndarray,
    *,
    basis: PriceBasis,
    adj_close: np.ndarray | None = None,
    has_actions: bool = True,
) -> ReturnPanel:
    """Return of one unit held from the previous accepted close p to this one, t.

    ``(close_t / scale_t * U_t + cash) / close_p - 1``, where U_t is the number of units one unit at p has
    become by the splits in (p, t], and cash is the sum over s in (p, t] of ``distribution_s`` times the
    units held into session s. For consecutive bars this is the architecture's
    ``(close_t * split_t + distribution_t) / close_{t-1} - 1``.

    Parameters
    ----------
    close : (S, N) float64, finite and positive where accepted.
    accepted : (S, N) bool, bars the quality stage let through.
    scale : (S, N) float64; ``close / scale`` is comparable with the previous accepted close. 1 as a rule,
        20 after an unrecorded 1-for-20 consolidation, NaN where the two cannot be compared.
    split : (S, N) float64, new units for one old unit with that ex-date, 1 where none.
    distribution : (S, N) float64, cash with that ex-date, 0 where none, for each unit held at the close
        before: when a split goes ex on the same session the cash is for the old unit.
    basis : what the closes are. ``as_traded`` applies splits and distributions; ``split_adjusted``
        distributions only; ``total_return_adjusted`` takes the close ratio.
    adj_close : (S, N) float64, the vendor's adjusted close, or None.
    has_actions : whether the source supplies distributions at all. Without them ``adj_close`` is used
        where given, else the price return, with the splits of ``as_traded`` prices applied. A property of
        the source, not of the rows at hand: decided from the rows, a fund's first distribution would
        change its earlier returns.

    Returns
    -------
    ReturnPanel. Unknown (NaN with ``sessions_spanned > 0``) where ``scale`` is NaN, an adjusted close is
    missing, or an action in the span is impossible (a split that is not positive, a negative or
    non-finite distribution). The bar still serves as the base of the next return.

    Raises
    ------
    ValueError : unknown basis, shapes that differ, or an accepted close that is not positive.

    Notes
    -----
    Cash inside a span is not reinvested: there is no price to reinvest it at. Distributions are in the
    scale of the previous accepted close and are not divided by ``scale``.
    """
    if basis not in PRICE_BASES:
        raise ValueError(f"basis {basis!r} is none of {', '.join(PRICE_BASES)}")
    _check(close, accepted, scale, split, distribution)
    label: ReturnBasis = "actions"
    price = close
    if basis == "total_return_adjusted":
        label = "close_ratio"
    elif not has_actions:
        label = "price_only" if adj_close is None else "adj_close_ratio"
        if adj_close is not None:
            price = np.where(adj_close > 0, adj_close, np.nan)
    # An adjusted close has the splits in it; a traded one never has, whether distributions are known or not.
    apply_splits = basis == "as_traded" and label in ("actions", "price_only")
    units_factor = split if apply_splits else np.ones((1, 1))
    cash_per_unit = distribution if label == "actions" else np.zeros((1, 1))
    returns, spanned = _compound(
        price,
        accepted,
        scale,
        np.broadcast_to(np.where(units_factor > 0, units_factor, np.nan), close.shape),
        np.broadcast_to(np.where(cash_per_unit >= 0, cash_per_unit, np.nan), close.shape),
    )
    return ReturnPanel(total_return=returns, sessions_spanned=spanned, return_basis=label)


def _check(close: np.ndarray, accepted: np.ndarray, *others: np.ndarray) -> None:
    """Shapes agree and accepted closes are positive."""
    for panel in (accepted, *others):
        if panel.shape != close.shape:
            raise ValueError(f"panels differ in shape: {panel.shape} beside close {close.shape}")
    wrong = accepted & ~((close > 0) & (close < np.inf))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{int(wrong.sum())} accepted closes are not positive, first {close[row, column]} at session "
            f"{row}, ticker {column}: reject them in the quality stage"
        )


def _compound(
    price: np.ndarray, accepted: np.ndarray, scale: np.ndarray, split: np.ndarray, cash_per_unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One pass over the sessions, all funds at once, carrying units and cash since the last accepted bar."""
    sessions, funds = price.shape
    returns = np.full((sessions, funds), np.nan)
    spanned = np.zeros((sessions, funds), dtype=np.int32)
    previous = np.full(funds, np.nan)
    previous_row = np.full(funds, -1, dtype=np.int32)
    units, cash = np.ones(funds), np.zeros(funds)
    with np.errstate(invalid="ignore", over="ignore"):
        for t in range(sessions):
            cash += units * cash_per_unit[t]
            units *= split[t]
            bar = accepted[t]
            value = (price[t] / scale[t] * units + cash) / previous - 1.0
            returns[t] = np.where(bar & np.isfinite(value), value, np.nan)
            spanned[t] = np.where(bar & (previous_row >= 0), t - previous_row, 0)
            previous = np.where(bar, price[t], previous)
            previous_row = np.where(bar, np.int32(t), previous_row)
            units = np.where(bar, 1.0, units)
            cash = np.where(bar, 0.0, cash)
    return returns, spanned
