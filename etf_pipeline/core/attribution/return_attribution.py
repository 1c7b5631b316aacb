"""A portfolio's return, session by session and linked, split into what it was exposed to and what it was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReturnAttribution:
    """Contributions to a portfolio's return; all (S,) or (S, K) float64, fractions of the value at the close before.

    Row t explains the return from the close of t - 1 to that of t; row 0 is NaN. Of each row
    ``factor.sum() + alpha + specific + risk_free + translation + unexplained + items + other`` is ``portfolio_return``.

    Attributes
    ----------
    factor : (S, K), weights times loadings times factor returns.
    alpha : weights times the constants: what the regressions expected beyond the factors.
    specific : what the funds returned beyond all of that (selection).
    risk_free : weights times the risk-free rate of the factors' currency.
    translation : of funds whose return was converted into it: their return in their own currency less that in the factors'.
    unexplained : return of funds held without exposures or on sessions without factors.
    items : what the caller knows of: costs, interest on cash, trading after the close.
    other : what is left of the portfolio's return.
    portfolio_return : as handed in.
    unexplained_weight : gross weight behind ``unexplained``.
    weight_without_return : gross weight of funds held that had no return on the session; their price stood still in the
        portfolio's value, and the next bar brings the whole return.
    """

    factor: np.ndarray
    alpha: np.ndarray
    specific: np.ndarray
    risk_free: np.ndarray
    translation: np.ndarray
    unexplained: np.ndarray
    items: dict[str, np.ndarray]
    other: np.ndarray
    portfolio_return: np.ndarray
    unexplained_weight: np.ndarray
    weight_without_return: np.ndarray

    def contributions(self, factor_names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """All parts by name, each (S,); they sum to ``portfolio_return``.

        Raises
        ------
        ValueError : a wrong number of names, or one that stands twice.
        """
        if len(factor_names) != self.factor.shape[1]:
            raise ValueError(f"{len(factor_names)} factor_names for {self.factor.shape[1]} factors")
        rest = {
            name: getattr(self, name)
            for name in ("alpha", "specific", "risk_free", "translation", "unexplained", "other")
        }
        parts = dict(zip(factor_names, self.factor.T, strict=True)) | rest | self.items
        if len(parts) != len(factor_names) + len(rest) + len(self.items):
            raise ValueError("a factor, an item and a part of the attribution share a name: rename the item")
        return parts


def attribute_return(
    portfolio_return: np.ndarray,
    weight: np.ndarray,
    total_return: np.ndarray,
    excess_return: np.ndarray,
    risk_free: np.ndarray,
    loading: np.ndarray,
    alpha: np.ndarray,
    factor_return: np.ndarray,
    items: Mapping[str, np.ndarray] | None = None,
) -> ReturnAttribution:
    """Explain each session by what was held and known at the close before.

    Parameters
    ----------
    portfolio_return : (S,) float64, after everything; NaN where unknown.
    weight : (S, N) float64, at the close of each session, fractions of the portfolio's value; what is not in funds is cash.
        Row t - 1 earns the return of t. No NaN.
    total_return : (S, N) float64 in the portfolio's currency, since the fund's bar before.
    excess_return : (S, N) float64 in the factors' currency over the risk-free rate (``alignment``).
    risk_free : (S,) of the factors' days that session t sees.
    loading, alpha : (S, N, K) and (S, N), as estimated at the close of each session. Row t - 1 explains t.
    factor_return : (S, K) as session t sees them.
    items : (S,) each, on the session they fell, NaN nowhere but in row 0: costs negative.

    Returns
    -------
    ReturnAttribution. A fund whose loadings at the close before, excess return or factors are unknown goes into
    ``unexplained`` with all of its return.

    Raises
    ------
    ValueError : shapes that do not belong together, a NaN in weights or items.

    Notes
    -----
    A return over several sessions falls on its last, with the factors of that one session; the rest is in ``specific``.
    Sums run from fund to fund, so that funds that are not held, or not listed yet, cannot change a digit.
    """
    sessions, funds = weight.shape
    count = factor_return.shape[1]
    given = {name: np.asarray(values, dtype=np.float64) for name, values in (items or {}).items()}
    _check(
        (portfolio_return, risk_free, *given.values()), (sessions,), "portfolio_return, risk_free and items"
    )
    _check((total_return, excess_return, alpha), (sessions, funds), "total_return, excess_return and alpha")
    _check((loading,), (sessions, funds, count), "loading")
    _check((factor_return,), (sessions, count), "factor_return")
    if np.isnan(weight).any():
        row, column = np.argwhere(np.isnan(weight))[0]
        raise ValueError(
            f"weight is NaN at session {row}, fund {column}: a fund that is not held has weight 0"
        )
    for name, values in given.items():
        if np.isnan(values[1:]).any():
            raise ValueError(
                f"item {name} is NaN at session {1 + np.flatnonzero(np.isnan(values[1:]))[0]}: 0 is none"
            )
    held = weight[:-1]
    now, over = total_return[1:], excess_return[1:]
    known_factors = ~np.isnan(factor_return[1:]).any(axis=1) & ~np.isnan(risk_free[1:])
    modelled = ~np.isnan(loading[:-1]).any(axis=2) & ~np.isnan(alpha[:-1])
    returned = ~np.isnan(now)
    explained = returned & modelled & ~np.isnan(over) & known_factors[:, None]
    w = np.where(explained, held, 0.0)
    left = np.where(returned & ~explained, held, 0.0)
    exposure = in_order(w[:, :, None] * np.where(explained[:, :, None], loading[:-1], 0.0))
    by_factor = np.where(known_factors[:, None], exposure * factor_return[1:], 0.0)
    constant = in_order(w * np.where(explained, alpha[:-1], 0.0))
    in_excess = in_order(w * np.where(explained, over, 0.0))
    bank = np.where(known_factors, in_order(w) * risk_free[1:], 0.0)
    in_total = in_order(w * np.where(explained, now, 0.0))
    unexplained = in_order(left * np.where(returned, now, 0.0))
    parts = [
        by_factor, constant, in_excess - by_factor.sum(axis=1) - constant, bank, in_total - in_excess - bank, unexplained,
    ]  # fmt: skip
    explained_sum = (
        in_total + unexplained + sum((values[1:] for values in given.values()), np.zeros(sessions - 1))
    )
    full = [np.concatenate([np.full((1, *part.shape[1:]), np.nan), part]) for part in parts]
    first = np.array([np.nan])
    return ReturnAttribution(
        factor=full[0],
        alpha=full[1],
        specific=full[2],
        risk_free=full[3],
        translation=full[4],
        unexplained=full[5],
        items={name: np.concatenate([first, values[1:]]) for name, values in given.items()},
        other=np.concatenate([first, portfolio_return[1:] - explained_sum]),
        portfolio_return=np.concatenate([first, portfolio_return[1:]]),
        unexplained_weight=np.concatenate([first, in_order(np.abs(left))]),
        weight_without_return=np.concatenate([first, in_order(np.abs(np.where(returned, 0.0, held)))]),
    )


def in_order(value: np.ndarray) -> np.ndarray:
    """Sums over the funds of (S, N, ...), one after the other.

    numpy's own sums add in pairs: a column of zeros more, a fund listed later, would change the last digit.
    """
    total = np.zeros((len(value), *value.shape[2:]))
    for j in range(value.shape[1]):
        total += value[:, j]
    return total


def link_contributions(contribution: np.ndarray, portfolio_return: np.ndarray) -> np.ndarray:
    """Contributions to the return over all sessions, which they add up to.

    ``C_p = sum_t c_pt k_t / k`` with ``k_t = ln(1 + r_t) / r_t`` and ``k = ln(1 + R) / R`` of the whole return R.

    Parameters
    ----------
    contribution : (S, P) float64 whose rows sum to ``portfolio_return``. portfolio_return : (S,), all above -1.

    Returns
    -------
    (P,) float64 of sum R; zeros for no session.

    Raises
    ------
    ValueError : a NaN, a return of -100 % or less (no logarithm has it), rows that do not add up.

    Notes
    -----
    Carino (1999), Combining attribution effects over time, Journal of Performance Measurement 3(4), 5-14.
    """
    r = np.asarray(portfolio_return, dtype=np.float64)
    c = np.asarray(contribution, dtype=np.float64)
    if np.isnan(r).any() or np.isnan(c).any():
        raise ValueError("contributions cannot be linked over a NaN: choose sessions on which all are known")
    if (r <= -1.0).any():
        raise ValueError(
            f"the portfolio lost everything at session {int(np.argmax(r <= -1.0))}: nothing to link"
        )
    gap = np.abs(c.sum(axis=1) - r)
    if (gap > 1e-9).any():
        raise ValueError(
            f"contributions of session {int(np.argmax(gap > 1e-9))} differ from its return by {gap.max():.1e}"
        )
    logs = np.log1p(r)
    whole = float(np.expm1(logs.sum()))
    linked = (c * _log_over(r)[:, None]).sum(axis=0) / float(_log_over(np.array([whole]))[0])
    return np.asarray(linked, dtype=np.float64)


def _log_over(r: np.ndarray) -> np.ndarray:
    """``ln(1 + r) / r``, 1 at 0."""
    return np.where(r == 0.0, 1.0, np.log1p(r) / np.where(r == 0.0, 1.0, r))


def _check(panels: tuple[np.ndarray, ...], shape: tuple[int, ...], what: str) -> None:
    for panel in panels:
        if panel.shape != shape:
            raise ValueError(f"{what} must be {shape}, not {panel.shape}")
