"""The calendar years over which forecasts are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCOPES = np.array(["year", "to_date"])
"""What a row of a judgement covers: one calendar year, or everything up to that year's end."""


@dataclass(frozen=True)
class CompleteYears:
    """Calendar years whose last session is known, and the panel rows that belong to them.

    Attributes
    ----------
    year : (P,) int32, ascending.
    begin, end : (P,) int64, rows ``begin[p]:end[p]``; each year begins where the one before ends.
    """

    year: np.ndarray
    begin: np.ndarray
    end: np.ndarray


def complete_years(sessions: np.ndarray) -> CompleteYears:
    """Years that are over: a later year's session is among ``sessions``.

    Parameters
    ----------
    sessions : (S,) datetime64, strictly increasing.

    Returns
    -------
    CompleteYears. Empty before the first change of year. The first year may begin late: it holds the
    sessions there are. Cutting ``sessions`` anywhere leaves the years that were over before as they are.

    Raises
    ------
    ValueError : sessions out of order.
    """
    days = np.asarray(sessions, dtype="datetime64[D]")
    if len(days) > 1 and not (days[1:] > days[:-1]).all():
        at = int(np.argmin(days[1:] > days[:-1])) + 1
        raise ValueError(f"sessions must increase: {days[at]} follows {days[at - 1]}")
    year = days.astype("datetime64[Y]").astype(np.int64) + 1970
    end = np.flatnonzero(year[1:] != year[:-1]).astype(np.int64) + 1
    begin = np.concatenate([np.zeros(min(1, len(end)), dtype=np.int64), end[:-1]])
    return CompleteYears(year[end - 1].astype(np.int32), begin, end)
