"""Whether funds did better when they were young, and in the history that was filled in before they were listed.

Funds that did well in private are listed; their record is then sold, or written back into the past. What a strategy
could hold is what came later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.validation.annual_performance import scopes
from etf_pipeline.core.validation.information_coefficient import Groups
from etf_pipeline.core.validation.paired_performance import paired_difference
from etf_pipeline.core.validation.periods import complete_years

LISTING_BIASES = np.array(["incubation", "back_filled"])
"""A fund's first sessions against its later ones; its history before the day it was listed against that from this day on."""
PARTS = np.array(["early", "late"])


@dataclass(frozen=True)
class ListingBias:
    """P years, 2 ``periods.SCOPES``, G groups, 2 ``LISTING_BIASES``, 2 ``PARTS``, 2 ``paired_performance.MEASURES``.

    Attributes
    ----------
    year : (P,) int32; group : (G,) str.
    funds : (P, 2, G, 2, 2) int64, distinct funds with a return in each part.
    sessions : (P, 2, G, 2) int64, on which both parts have a return.
    value : (P, 2, G, 2, 2, 2) float64, of the mean return of each part's funds on these sessions.
    difference, lower, upper : (P, 2, G, 2, 2) float64, early less late, and its interval; NaN with fewer than 30 sessions.
    """

    year: np.ndarray
    group: np.ndarray
    funds: np.ndarray
    sessions: np.ndarray
    value: np.ndarray
    difference: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def listing_bias(
    total_return: np.ndarray,
    sessions: np.ndarray,
    listed_on: np.ndarray,
    groups: Groups,
    *,
    first_returns: int = 252,
    min_funds: int = 3,
    replications: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ListingBias:
    """Compare young funds with old ones of the same sessions, and unlisted history with listed.

    Parameters
    ----------
    total_return : (S, N) float64, NaN where a fund has none. Funds with a return on the first session were not seen
        young: their early returns are not counted as such.
    sessions : (S,) datetime64[D], ascending.
    listed_on : (N,) datetime64[D], NaT where not known: such funds take no part in the second comparison.
    groups : everyone and each asset class (``information_coefficient.fund_groups``). Everyone mixes classes, and young funds
        may be of others than old ones.
    first_returns : how many of a fund's returns count as early.
    min_funds : funds that each part needs on a session.
    replications, confidence, seed : of the bootstrap, as ``paired_difference`` takes them.

    Returns
    -------
    ListingBias. Cutting the data leaves the years that were over before as they are.

    Raises
    ------
    ValueError : panels that differ in shape.

    Notes
    -----
    Equally weighted portfolios of the two parts in calendar time, without costs, so that what the market did falls out.
    Evans (2010), Mutual fund incubation, J. of Finance 65, 1581-1611; Fung and Hsieh (2000), Performance characteristics
    of hedge funds: natural vs. spurious biases, JFQA 35, 291-307, for back-filled history.
    """
    r = np.asarray(total_return, dtype=np.float64)
    listed = np.asarray(listed_on, dtype="datetime64[D]")
    if r.shape != (len(sessions), len(listed)) or len(groups.order) != len(listed):
        raise ValueError(
            f"returns {r.shape} must be of {len(sessions)} sessions and {len(listed)} funds, as the groups' "
            f"{len(groups.order)}"
        )
    there = np.isfinite(r)
    age = np.cumsum(there, axis=0)
    seen_young = ~there[:1]
    days = np.asarray(sessions, dtype="datetime64[D]")[:, None]
    known = ~np.isnat(listed)
    parts = (
        (there & seen_young & (age <= first_returns), there & (age > first_returns)),
        (there & known & (days < listed), there & known & (days >= listed)),
    )
    years = complete_years(sessions)
    shape = (len(years.year), 2, len(groups.names), 2)
    funds, count = np.zeros((*shape, 2), dtype=np.int64), np.zeros(shape, dtype=np.int64)
    value = np.full((*shape, 2, 2), np.nan)
    difference, lower, upper = (np.full((*shape, 2), np.nan) for _ in range(3))
    for g, (begin, end) in enumerate(groups.bounds):
        columns = groups.order[begin:end]
        for b, pair in enumerate(parts):
            early, late = (_mean_return(r, part, columns, min_funds) for part in pair)
            for p, scope, rows in scopes(years):
                at = (p, scope, g, b)
                found = paired_difference(
                    early[rows], late[rows], replications=replications, confidence=confidence, seed=seed
                )
                count[at] = found.sessions
                funds[at] = [part[rows][:, columns].any(axis=0).sum() for part in pair]
                value[at] = found.first, found.second
                difference[at], lower[at], upper[at] = found.difference, found.lower, found.upper
    return ListingBias(
        year=years.year,
        group=groups.names,
        funds=funds,
        sessions=count,
        value=value,
        difference=difference,
        lower=lower,
        upper=upper,
    )


def _mean_return(
    total_return: np.ndarray, part: np.ndarray, columns: np.ndarray, min_funds: int
) -> np.ndarray:
    """(S,) mean return of the funds of a part; NaN with fewer than ``min_funds``."""
    own = part[:, columns]
    count = own.sum(axis=1)
    total = np.where(own, total_return[:, columns], 0.0).sum(axis=1)
    return np.where(count >= min_funds, total / np.maximum(count, 1), np.nan)
