"""Factors made of the warehouse's own series: market, term, credit, currency, oil, gold, volatility."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

HOUSE_FACTORS = ("market", "term", "credit", "currency", "oil", "gold", "volatility")
_DAYS_A_YEAR = 365.0
_NEEDS: dict[str, tuple[str, ...]] = {
    "market": ("market_return", "cash_rate"),
    "term": ("yield_10y", "cash_rate"),
    "credit": ("credit_spread",),
    "currency": ("audusd",),
    "oil": ("oil",),
    "gold": ("gold",),
    "volatility": ("vix",),
}


@dataclass(frozen=True)
class HouseRules:
    """What the factors assume.

    Attributes
    ----------
    maturity_years : of the par bond behind ``term``; its coupon is paid twice a year.
    credit_duration : years; ``credit`` is the spread's fall times this. Of US high-yield bonds to their worst call about 3
        to 4.5 in the last twenty years; the loadings take the error up, the factor's own scale carries it.
    """

    maturity_years: float = 10.0
    credit_duration: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        half_years = 2.0 * self.maturity_years
        if not (half_years > 0 and half_years == round(half_years)):
            raise ValueError(
                f"maturity_years must be a positive number of half years, not {self.maturity_years}"
            )
        if not self.credit_duration > 0:
            raise ValueError(f"credit_duration must be positive, not {self.credit_duration}")


def level_on_sessions(
    sessions: np.ndarray, days: np.ndarray, value: np.ndarray, *, lag_days: int, max_age_days: int = 5
) -> np.ndarray:
    """Level of a series as a market's close of each session knows it.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending. days : (D,) datetime64, ascending; value : (D,), NaN where missing.
    lag_days : 1 where the series' day ends after the market's close (a New York yield in Sydney), else 0: the last
        value of a day ``<= session - lag_days`` counts, as in ``align_factors``.
    max_age_days : a value older than this many calendar days, counted from there, is none. While the series' own market
        rests, nothing moves: the level stands.

    Returns
    -------
    (S,) float64, NaN where there is none.

    Raises
    ------
    ValueError : days out of order, or of another length than the values.
    """
    t = np.asarray(sessions, dtype="datetime64[D]") - lag_days
    d = np.asarray(days, dtype="datetime64[D]")
    if d.shape != value.shape or (np.diff(d).astype(np.int64) <= 0).any():
        raise ValueError(f"days {d.shape} must ascend without repeats and have one value each {value.shape}")
    known = ~np.isnan(value)
    d, v = d[known], np.asarray(value, dtype=np.float64)[known]
    if not len(d):
        return np.full(len(t), np.nan)
    place = np.searchsorted(d, t, side="right") - 1
    age = (t - d[np.maximum(place, 0)]).astype(np.int64)
    return np.where((place >= 0) & (age <= max_age_days), v[np.maximum(place, 0)], np.nan)


def house_factors(
    sessions: np.ndarray,
    series: Mapping[str, np.ndarray],
    names: tuple[str, ...] = HOUSE_FACTORS,
    rules: HouseRules | None = None,
) -> np.ndarray:
    """Factor returns from the close of the session before to each session's.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending.
    series : each (S,) float64 on the sessions, NaN where unknown, already as the market's close knows them
        (``level_on_sessions``): ``market_return``, total return of the market's fund over one session, a fraction;
        ``cash_rate``, ``yield_10y`` and ``credit_spread`` in percent (a year); ``audusd``, USD per AUD; ``oil``, ``gold``,
        prices; ``vix``, points.
    names : the factors wanted, of ``HOUSE_FACTORS``.
    rules : assumptions.

    Returns
    -------
    (S, len(names)) float64; row 0 is NaN, and so is a factor where one of its series is missing at either end.

    * ``market``: the fund's return less cash.
    * ``term``: a par bond bought at the session before, repriced exactly at the new yield, plus its yield over the
      calendar days, less cash. Its maturity stays: the roll of a few days is left out.
    * ``credit``: the spread's fall times ``credit_duration``; positive when spreads narrow. Without carry.
    * ``currency``: ``audusd before / audusd - 1``: what a US dollar gained in AUD; positive when the AUD falls.
    * ``oil``, ``gold``: change of price. Where one end is zero or below (WTI on 2020-04-20) there is no return: NaN.
    * ``volatility``: change of the VIX's logarithm.

    Raises
    ------
    ValueError : an unknown factor, a missing series, a series of another length.

    Notes
    -----
    Cash and the yield earn what they paid at the session before, on actual days over 365. Rows up to T use the series up
    to T.
    """
    chosen = rules or HouseRules()
    days = np.asarray(sessions, dtype="datetime64[D]")
    unknown = [name for name in names if name not in _NEEDS]
    if unknown:
        raise ValueError(f"no house factor {', '.join(unknown)}; there are {', '.join(HOUSE_FACTORS)}")
    held = {}
    for name in names:
        for need in _NEEDS[name]:
            if need not in series:
                raise ValueError(
                    f"the house factor {name} needs the series {need}: hand it in, NaN where unknown"
                )
            held[need] = np.asarray(series[need], dtype=np.float64)
            if held[need].shape != days.shape:
                raise ValueError(
                    f"series {need} {held[need].shape} must be ({len(days)},), one value a session"
                )
    year = np.diff(days).astype(np.float64) / _DAYS_A_YEAR
    out = np.full((len(days), len(names)), np.nan)
    for k, name in enumerate(names):
        if len(days) > 1:
            out[1:, k] = _factor(name, held, year, chosen)
    return out


def par_bond_return(
    yield_before: np.ndarray, yield_now: np.ndarray, maturity_years: float, year: np.ndarray
) -> np.ndarray:
    """Return of a bond bought at par and repriced at another yield, with the yield earned over ``year``.

    Parameters
    ----------
    yield_before, yield_now : a year, compounded twice, fractions above -2; broadcast together.
    maturity_years : a whole number of half years. year : held for, years.

    Returns
    -------
    float64: ``(y0 - y1) * annuity(y1) + y0 * year`` with the annuity of one a year paid in halves; NaN where a yield is.
    """
    half = 0.5 * np.asarray(yield_now, dtype=np.float64)
    periods = 2.0 * maturity_years
    small = np.abs(half) < 1e-9
    rate = np.where(small, 1.0, half)
    annuity = np.where(small, periods, -np.expm1(-periods * np.log1p(rate)) / rate) / 2.0
    return np.asarray((yield_before - 2.0 * half) * annuity + yield_before * year, dtype=np.float64)


def _factor(name: str, series: Mapping[str, np.ndarray], year: np.ndarray, rules: HouseRules) -> np.ndarray:
    """(S - 1,) of one factor."""
    if name == "market":
        return np.asarray(series["market_return"][1:] - _cash(series, year), dtype=np.float64)
    if name == "term":
        y = series["yield_10y"] / 100.0
        return par_bond_return(y[:-1], y[1:], rules.maturity_years, year) - _cash(series, year)
    if name == "credit":
        return -rules.credit_duration * np.diff(series["credit_spread"]) / 100.0
    if name == "currency":
        return 1.0 / (1.0 + _change(series["audusd"])) - 1.0
    if name == "volatility":
        return np.log1p(_change(series["vix"]))
    return _change(series[name])


def _cash(series: Mapping[str, np.ndarray], year: np.ndarray) -> np.ndarray:
    return np.asarray(series["cash_rate"][:-1] / 100.0 * year, dtype=np.float64)


def _change(price: np.ndarray) -> np.ndarray:
    """Simple return of a price, NaN where either end is not positive."""
    good = np.where(price > 0, price, np.nan)
    return np.asarray(good[1:] / good[:-1] - 1.0, dtype=np.float64)
