"""Factor returns with all their versions, as arrays: what was known of each session, and since when.

The rule by which exposures are computed: the window that ends at session T is read as it was known when the factors of T
first were known. ``first_known`` gives that moment for every T, ``as_known`` the values of that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.tables import from_arrow

Named = tuple[str, str]
"""A factor and the table it is of: ("five_factor", "size")."""


class NoFactorsError(LookupError):
    """The raw tier does not hold what was asked for; the message says what it holds."""


@dataclass(frozen=True)
class FactorHistory:
    """Every version of some factors of one region.

    Attributes
    ----------
    region : whose.
    columns : F pairs of construction and factor.
    sessions : (S,) datetime64[D], ascending; every session on which any of them was ever told.
    row, column : (V,) int64, the cell each version is of.
    known_at : (V,) datetime64[us], UTC, ascending: when it was learned.
    value : (V,) float64, fraction a period; NaN where it was withdrawn.
    """

    region: str
    columns: tuple[Named, ...]
    sessions: np.ndarray
    row: np.ndarray = field(repr=False)
    column: np.ndarray = field(repr=False)
    known_at: np.ndarray = field(repr=False)
    value: np.ndarray = field(repr=False)

    @cached_property
    def moments(self) -> np.ndarray:
        """(K,) datetime64[us] at which anything was learned, ascending."""
        return np.unique(self.known_at)

    def as_known(self, moment: np.datetime64) -> np.ndarray:
        """(S, F) values as they were known at ``moment`` (UTC), NaN where nothing was or it had been withdrawn.

        Costs one pass over the versions: ask once for each distinct moment of ``first_known``, not for each session.
        """
        upto = int((self.known_at <= moment).sum())
        out = np.full((len(self.sessions), len(self.columns)), np.nan)
        begin = 0
        # Learned at one moment, no cell twice; moment by moment the later one overwrites.
        for end in np.searchsorted(self.known_at[:upto], self.moments, side="right"):
            out[self.row[begin:end], self.column[begin:end]] = self.value[begin:end]
            begin = int(end)
        return out

    def first_known(self) -> np.ndarray:
        """(S,) datetime64[us]: the first moment at which all F values of the session were known; NaT where never.

        Known at once: not the latest of their first moments where one had been withdrawn meanwhile. The moment is before
        any restatement, so no later vintage moves it.
        """
        held = np.zeros((len(self.sessions), len(self.columns)), dtype=bool)
        first = np.full(len(self.sessions), np.datetime64("NaT", "us"))
        begin = 0
        for moment, end in zip(
            self.moments, np.searchsorted(self.known_at, self.moments, side="right"), strict=True
        ):
            rows = self.row[begin:end]
            held[rows, self.column[begin:end]] = ~np.isnan(self.value[begin:end])
            touched = np.unique(rows)
            first[touched[np.isnat(first[touched]) & held[touched].all(axis=1)]] = moment
            begin = int(end)
        return first


@dataclass(frozen=True)
class FactorVintages:
    """Every version of every factor table of one frequency, by region and construction."""

    frequency: str
    tables: dict[Named, FactorHistory]

    @property
    def regions(self) -> list[str]:
        """Regions held, sorted."""
        return sorted({region for region, _ in self.tables})

    def select(self, region: str, columns: Sequence[Named]) -> FactorHistory:
        """The factors of a region that are wanted, of one table or several, on the sessions of all of them.

        Parameters
        ----------
        columns : pairs of construction and factor, e.g. ``("five_factor", "size"), ("momentum", "momentum")``.

        Raises
        ------
        NoFactorsError : a table or a factor of it is not held.
        """
        held = {(c, f) for (r, _), t in self.tables.items() if r == region for c, f in t.columns}
        missing = [f"{c}.{f}" for c, f in columns if (c, f) not in held]
        if missing:
            raise NoFactorsError(
                f"{self.frequency} factors of {region}: {', '.join(missing)} not held; held are "
                f"{', '.join(sorted(f'{r}: {c}' for r, c in self.tables)) or 'none'}. Name a directory that has them "
                "(--factor-path) and build again."
            )
        parts = [self.tables[region, c] for c in dict.fromkeys(c for c, _ in columns)]
        sessions = np.unique(np.concatenate([part.sessions for part in parts]))
        rows, cols, known, values = [], [], [], []
        for part in parts:
            to_column = np.array([columns.index(named) if named in columns else -1 for named in part.columns])
            keep = to_column[part.column] >= 0
            rows.append(np.searchsorted(sessions, part.sessions)[part.row[keep]])
            cols.append(to_column[part.column[keep]])
            known.append(part.known_at[keep])
            values.append(part.value[keep])
        order = np.argsort(np.concatenate(known), kind="stable")
        return FactorHistory(
            region, tuple(columns), sessions, np.concatenate(rows)[order], np.concatenate(cols)[order],
            np.concatenate(known)[order], np.concatenate(values)[order],
        )  # fmt: skip


def read_factor_vintages(warehouse: Warehouse, frequency: str) -> FactorVintages:
    """All versions of all factor tables of ``frequency`` ("daily" or "monthly"); no table where none is held."""
    with warehouse.read() as connection:
        frame = from_arrow(
            connection.execute(
                "SELECT region, construction, factor, session, known_at, CASE WHEN NOT withdrawn THEN value END AS value "
                "FROM raw.factors WHERE frequency = ? ORDER BY region, construction, known_at, session, factor",
                [frequency],
            ).to_arrow_table()
        )
    tables = {}
    for (region, construction), part in frame.groupby(["region", "construction"], sort=True):
        sessions, row = np.unique(part["session"].to_numpy(dtype="datetime64[D]"), return_inverse=True)
        names, column = np.unique(part["factor"].to_numpy(dtype=str), return_inverse=True)
        tables[str(region), str(construction)] = FactorHistory(
            str(region), tuple((str(construction), str(name)) for name in names), sessions, row, column,
            part["known_at"].to_numpy(dtype="datetime64[us]"), part["value"].to_numpy(dtype=float),
        )  # fmt: skip
    return FactorVintages(frequency, tables)
