"""When the values of a file can have been known.

Ken French's files say which month's database they were made from; the name a file is stored under may say another
("202108_F-F_Research_Data_Factors_daily.CSV" was made from that of October), so the file's word counts and the name
only where it has none. A table appears some weeks after its database's month; as the day is not recorded, the end of
the month after is taken: rather too late than too early.
"""

from __future__ import annotations

import calendar
import logging
from datetime import UTC, datetime

import numpy as np

from etf_pipeline.sources.base import SourceError

log = logging.getLogger(__name__)


def published_by(month: str) -> datetime:
    """The last second, UTC, of the month after ``month`` ("2021-10": 2021-11-30 23:59:59)."""
    year, number = map(int, month.split("-"))
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, calendar.monthrange(year, number)[1], 23, 59, 59, tzinfo=UTC)


def known_since(
    said: str | None, named: str | None, last_session: np.datetime64, *, now: datetime, where: str
) -> tuple[str, datetime]:
    """A vintage's label and the moment it counts as known.

    Parameters
    ----------
    said : month of the database by the file's own words.  named : month in the file's name.
    last_session : the last day the table is about. A name that is older than that is wrong: the month of the last day
        then counts, with a warning.
    now : the vintage is at hand, so it is known by now at the latest.

    Raises
    ------
    SourceError : neither file nor name tells; the message names the remedy.
    """
    month = said or named
    if month is None:
        raise SourceError(
            f"{where}: says neither in its first lines nor in its name which month's database it was made from (rule: a "
            "vintage needs a date). Say when it was downloaded (--known-at), or put the month before the name (202511_...)."
        )
    newest = str(last_session.astype("datetime64[M]"))
    if said is None and newest > month:
        log.warning("%s: named %s, but it holds %s: taken as the vintage of %s", where, month, newest, newest)
        month = newest
    return month, min(published_by(month), now)
