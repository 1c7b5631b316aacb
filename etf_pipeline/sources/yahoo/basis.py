"""Yahoo's split-adjusted prices turned back into the prices paid on the day, and the doubt about them.

With ``auto_adjust=False`` Yahoo's open, high, low and close on session t are divided by every split whose
ex-date lies after t, up to the moment of asking; its dividends and capital gains likewise, its volumes are
multiplied. The bar of the ex-date itself is already in new units (AAPL 2020-08-31, 4:1: close 129.04, as
traded; NVDA 2021-07-20, 4:1, asked in 2025: close 18.612, which is 186.12 divided by the 10:1 split of 2024
alone). Stored that way, one split would rewrite every earlier row. As traded, no row changes ever again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

PRICES = ("open", "high", "low", "close")
SMALLEST_TESTABLE_RATIO = 1.2
"""A split closer to 1 than this cannot be told from a market move; the vendor is taken at its word."""
LARGEST_WITH_CENTS = 65_536.0
"""Single precision no longer tells cents apart beyond this price."""
_LEVEL_BARS = 3


def later_split_factor(days: np.ndarray, splits: pd.DataFrame) -> np.ndarray:
    """Product of the ratios of ``splits`` with an ex-date after each of ``days``, (k,) float64."""
    factor = np.ones(len(days))
    for ex_date, ratio in zip(splits["ex_date"].to_numpy(), splits["value"].to_numpy(), strict=True):
        factor[days < ex_date] *= ratio
    return factor


def carried_back(sessions: np.ndarray, close: np.ndarray, splits: pd.DataFrame) -> np.ndarray:
    """Which splits the vendor did divide earlier closes by, (k,) bool.

    Splits between the same two bars are judged together: the vendor's closes step by about 1 across the
    ex-date where they were carried back, and by about 1/ratio where they were not. The nearer of the two,
    in logarithms, decides; the level on either side is the median of up to three bars, so that one bad
    print does not decide. Without bars on both sides, or for a ratio within 20 % of 1, the answer is True.

    Parameters
    ----------
    sessions : (n,) ascending datetime64.
    close : (n,) the vendor's closes, positive where they can be judged.
    splits : ex_date and value (new units for one old).
    """
    applied = np.ones(len(splits), dtype=bool)
    position = np.searchsorted(sessions, splits["ex_date"].to_numpy(), side="left")
    ratio = splits["value"].to_numpy(dtype=float)
    for bar in np.unique(position):
        together = position == bar
        step = np.log(ratio[together].prod())
        before, after = close[max(0, bar - _LEVEL_BARS) : bar], close[bar : bar + _LEVEL_BARS]
        before, after = before[before > 0], after[after > 0]
        if abs(step) < np.log(SMALLEST_TESTABLE_RATIO) or not len(before) or not len(after):
            continue
        move = np.log(np.median(after) / np.median(before))
        applied[together] = abs(move) <= abs(move + step)
    return applied


def as_traded(bars: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Undo the vendor's division by later splits.

    Parameters
    ----------
    bars : session ascending, open, high, low, close, adj_close, volume; NaN stays NaN.
    events : ex_date, kind, value; every split from the first bar up to the moment of asking.

    Returns
    -------
    bars : prices and volumes as traded. ``adj_close`` is left as the vendor says it.
    events : distributions in the quote currency of their own day; splits unchanged.
    notes : one for each split that the vendor lists but has not carried back, and was not undone.

    Notes
    -----
    Yahoo keeps prices in single precision. Prices are rounded to six significant digits (to cents where
    those are coarser) and volumes to units, so that the same day gives the same value whichever splits
    follow.
    What Yahoo itself has rounded away does not come back: volumes before a consolidation, to whole new
    units, and distributions before a split, to its six decimals.
    """
    splits = events[events["kind"] == "split"]
    sessions = bars["session"].to_numpy()
    applied = carried_back(sessions, bars["close"].to_numpy(dtype=float), splits)
    undone = splits[applied]
    factor = later_split_factor(sessions, undone)
    traded = bars.copy()
    for column in PRICES:
        traded[column] = round_price(bars[column].to_numpy(dtype=float) * factor)
    traded["volume"] = np.round(bars["volume"].to_numpy(dtype=float) / factor)
    own_day = events.copy()
    is_cash = (events["kind"] != "split").to_numpy()
    cash = events["value"].to_numpy(dtype=float) * later_split_factor(events["ex_date"].to_numpy(), undone)
    # Nine digits: enough for any amount, few enough to drop the noise of the multiplication.
    own_day["value"] = np.where(is_cash, round_significant(cash, 9), events["value"].to_numpy(dtype=float))
    notes = [
        f"split {value:g}:1 of {str(ex_date)[:10]} is not in the earlier prices: not undone"
        for ex_date, value in splits[~applied][["ex_date", "value"]].itertuples(index=False)
    ]
    return traded, own_day, notes


def round_significant(values: np.ndarray, digits: int, least_decimals: int | np.ndarray = 0) -> np.ndarray:
    """``values`` to so many significant digits, but never to fewer decimals than ``least_decimals``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
    decimals = np.where(np.isfinite(exponent), digits - 1 - exponent, least_decimals)
    scale = 10.0 ** np.clip(decimals, least_decimals, 15)
    return np.round(values * scale) / scale


def round_price(values: np.ndarray) -> np.ndarray:
    """Prices without the noise of single precision: six significant digits, and cents where it has them."""
    return round_significant(values, 6, np.where(np.abs(values) < LARGEST_WITH_CENTS, 2, 0))
