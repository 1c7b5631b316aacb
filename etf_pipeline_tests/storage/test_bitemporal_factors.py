"""Vintages of factor tables: each reads back as published, whatever the order in which they came."""

from __future__ import annotations

import itertools
import shutil
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.storage.bitemporal import OutOfOrderError
from etf_pipeline.storage.bitemporal_factors import UnusableVintageError, append_factors
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline_tests.factor_vintages import Cells, as_of, moment, vintage

DAYS = ["2015-01-05", "2015-01-06", "2015-01-07", "2015-01-08"]
SIZE = {("size", day): 0.01 * n for n, day in enumerate(DAYS)}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with every table and nothing in them: making one takes a second, copying one does not."""
    made = Warehouse(tmp_path_factory.mktemp("empty"))
    with made.write():
        pass
    return made.path


@pytest.fixture
def warehouse(tmp_path: Path, empty: Path) -> Warehouse:
    made = Warehouse(tmp_path)
    shutil.copy(empty, made.path)
    return made


def count(warehouse: Warehouse, table: str) -> int:
    with warehouse.read() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int((row or (0,))[0])


def test_a_vintage_adds_what_differs_and_again_nothing(warehouse: Warehouse) -> None:
    first, newer = vintage(moment(2020), SIZE), vintage(moment(2021), {**SIZE, ("size", DAYS[1]): 0.5})
    assert append_factors(warehouse, first) == 4
    assert append_factors(warehouse, newer) == 1
    for one in (first, newer):
        assert append_factors(warehouse, one) == 0
    assert count(warehouse, "raw.factors") == 5
    assert count(warehouse, "raw.factor_vintages") == 2
    assert as_of(warehouse, "2019-12-31") == {}
    assert as_of(warehouse, moment(2020)) == SIZE
    assert as_of(warehouse, moment(2021)) == {**SIZE, ("size", DAYS[1]): 0.5}


def test_tables_of_one_region_and_regions_are_kept_apart(warehouse: Warehouse) -> None:
    append_factors(warehouse, vintage(moment(2020), SIZE))
    other = {k: v + 1 for k, v in SIZE.items()}
    assert append_factors(warehouse, vintage(moment(2021), other, construction="three_factor")) == 4
    assert append_factors(warehouse, vintage(moment(2021), other, region="japan")) == 4
    assert append_factors(warehouse, vintage(moment(2021), other, frequency="monthly")) == 4
    kept = "region = 'us' AND frequency = 'daily' AND construction = 'five_factor'"
    assert as_of(warehouse, moment(2022), kept) == SIZE


def test_what_a_vintage_no_longer_has_is_withdrawn_within_its_span(warehouse: Warehouse) -> None:
    append_factors(warehouse, vintage(moment(2020), SIZE))
    short = {("size", DAYS[1]): 0.01, ("size", DAYS[3]): 0.03}
    assert append_factors(warehouse, vintage(moment(2021), short)) == 1
    assert as_of(warehouse, moment(2020)) == SIZE
    assert as_of(warehouse, moment(2021)) == {**short, ("size", DAYS[0]): 0.0}, (
        "it says nothing of earlier days"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_an_older_vintage_may_come_after_newer_ones(warehouse: Warehouse, order: tuple[int, ...]) -> None:
    """The newest repeats the oldest: it had nothing to write, and must speak up when the one between comes last."""
    told: list[Cells] = [SIZE, {**SIZE, ("size", DAYS[1]): 0.9}, SIZE]
    vintages = [vintage(moment(2020 + n), cells) for n, cells in enumerate(told)]
    for n in order:
        append_factors(warehouse, vintages[n])
    for n, cells in enumerate(told):
        assert as_of(warehouse, moment(2020 + n)) == cells
    for one in vintages:
        assert append_factors(warehouse, one) == 0


def test_a_vintage_put_before_one_without_a_value_does_not_bring_it_back(warehouse: Warehouse) -> None:
    newer = {k: v for k, v in SIZE.items() if k != ("size", DAYS[2])}
    append_factors(warehouse, vintage(moment(2021), newer))
    append_factors(warehouse, vintage(moment(2020), SIZE))
    assert as_of(warehouse, moment(2020)) == SIZE
    assert as_of(warehouse, moment(2021)) == newer


cells = st.dictionaries(
    st.tuples(st.sampled_from(["size", "value"]), st.sampled_from(DAYS)),
    st.sampled_from([-0.01, 0.0, 0.02]),
    min_size=1,
)


@given(st.lists(cells, min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_any_vintages_in_any_order_read_back_as_published(
    tmp_path_factory: pytest.TempPathFactory, empty: Path, told: list[Cells], random: Random
) -> None:
    """Plain reference: a dictionary that each vintage, in the order of publication, overwrites within its span."""
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse"))
    shutil.copy(empty, warehouse.path)
    numbers = list(range(len(told)))
    random.shuffle(numbers)
    for n in numbers:
        append_factors(warehouse, vintage(moment(2020 + n), told[n]))
    expected: dict[tuple[str, str], float] = {}
    for n, content in enumerate(told):
        days = [session for _, session in content]
        expected = {k: v for k, v in expected.items() if not min(days) <= k[1] <= max(days)} | dict(content)
        assert as_of(warehouse, moment(2020 + n)) == expected, f"vintage {n}, loaded in the order {numbers}"


def test_two_contents_of_one_moment_are_refused(warehouse: Warehouse) -> None:
    append_factors(warehouse, vintage(moment(2020), SIZE))
    changed = {**SIZE, ("size", DAYS[1]): 0.5}
    with pytest.raises(
        OutOfOrderError,
        match=r"us daily five_factor size 2015-01-06: .*says 0\.5, and 0\.01 is held.*known_at",
    ):
        append_factors(warehouse, vintage(moment(2020), changed))
    without = {k: v for k, v in SIZE.items() if k != ("size", DAYS[1])}
    with pytest.raises(OutOfOrderError, match="size 2015-01-06"):
        append_factors(warehouse, vintage(moment(2020), without))
    with pytest.raises(OutOfOrderError, match="value 2015-01-06"):
        append_factors(warehouse, vintage(moment(2020), {**SIZE, ("value", DAYS[1]): 0.1}))
    assert as_of(warehouse, moment(2022)) == SIZE


def test_a_longer_reading_of_the_same_vintage_adds_its_sessions(warehouse: Warehouse) -> None:
    part = {k: v for k, v in SIZE.items() if k[1] in DAYS[1:3]}
    append_factors(warehouse, vintage(moment(2020), part))
    assert append_factors(warehouse, vintage(moment(2020), SIZE)) == 2
    assert append_factors(warehouse, vintage(moment(2020), part)) == 0
    with warehouse.read() as connection:
        spans = connection.execute("SELECT first_session, last_session FROM raw.factor_vintages").fetchall()
    assert [(str(a), str(b)) for a, b in spans] == [(DAYS[0], DAYS[3])]


def test_the_same_vintage_read_again_later_is_not_logged_again(warehouse: Warehouse) -> None:
    """Before its usual day of publication a vintage counts as known since it was read, which moves."""
    append_factors(warehouse, vintage(moment(2020), SIZE, label="2019-12"))
    assert append_factors(warehouse, vintage(moment(2020, 2), SIZE, label="2019-12")) == 0
    assert count(warehouse, "raw.factor_vintages") == 1


def test_a_vintage_without_news_is_on_record(warehouse: Warehouse) -> None:
    append_factors(warehouse, vintage(moment(2020), SIZE))
    append_factors(warehouse, vintage(moment(2021), SIZE))
    with warehouse.read() as connection:
        rows = connection.execute(
            "SELECT vintage, rows, new_versions FROM raw.factor_vintages ORDER BY known_at"
        ).fetchall()
    assert rows == [("2020-01", 4, 4), ("2021-01", 4, 0)]


def test_missing_values_are_no_observations(warehouse: Warehouse) -> None:
    assert append_factors(warehouse, vintage(moment(2020), {**SIZE, ("value", DAYS[1]): float("nan")})) == 4
    assert append_factors(warehouse, vintage(moment(2020), {("value", DAYS[1]): float("nan")})) == 0


@pytest.mark.parametrize(
    ("told", "changes", "message"),
    [
        ({("momentum", DAYS[0]): 0.1}, {}, r"factor momentum is not one of market_excess"),
        (SIZE, {"construction": "six_factor"}, "construction must be one of three_factor"),
        (SIZE, {"frequency": "weekly"}, "frequency must be one of daily, monthly"),
        (
            {**SIZE, ("size", "2021-01-04"): 0.1}, {},
            r"us daily five_factor \(202001\.csv\): holds 2021-01-04, and is said to be known at 2020-01-01.*--known-at",
        ),
    ],
    ids=["factor", "construction", "frequency", "future"],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    warehouse: Warehouse, told: Cells, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UnusableVintageError, match=message):
        append_factors(warehouse, vintage(moment(2020), told, **changes))
    assert count(warehouse, "raw.factors") == count(warehouse, "raw.factor_vintages") == 0


def test_two_values_of_one_cell_and_a_naive_time_are_refused(warehouse: Warehouse) -> None:
    one = vintage(moment(2020), SIZE)
    twice = one.returns.iloc[[0, 1, 1]]
    with pytest.raises(UnusableVintageError, match="size has two values on 2015-01-06"):
        append_factors(warehouse, vintage(moment(2020), SIZE, returns=twice))
    with pytest.raises(ValueError, match="needs a time zone"):
        append_factors(warehouse, vintage(datetime(2020, 1, 1), SIZE))


class TestRevisions:
    def rows(self, warehouse: Warehouse, columns: str) -> list[tuple[object, ...]]:
        with warehouse.read() as connection:
            return connection.execute(f"SELECT {columns} FROM raw.factor_revisions ORDER BY ALL").fetchall()

    def test_first_and_newest_value_with_their_moments(self, warehouse: Warehouse) -> None:
        append_factors(warehouse, vintage(moment(2020), SIZE))
        append_factors(warehouse, vintage(moment(2021), {**SIZE, ("size", DAYS[1]): 0.5}))
        append_factors(warehouse, vintage(moment(2022), {**SIZE, ("size", DAYS[1]): 0.25}))
        assert self.rows(
            warehouse,
            "region, frequency, construction, factor, session::VARCHAR, first_value, newest_value, difference, "
            "first_known_at::VARCHAR, newest_known_at::VARCHAR",
        ) == [
            ("us", "daily", "five_factor", "size", DAYS[1], 0.01, 0.25, 0.24, "2020-01-01 00:00:00", "2022-01-01 00:00:00")
        ]  # fmt: skip

    def test_a_value_that_came_back_is_no_revision_and_one_withdrawn_is(self, warehouse: Warehouse) -> None:
        append_factors(warehouse, vintage(moment(2020), SIZE))
        changed = {**SIZE, ("size", DAYS[1]): 0.5}
        del changed["size", DAYS[2]]
        append_factors(warehouse, vintage(moment(2021), changed))
        changed["size", DAYS[1]] = 0.01
        append_factors(warehouse, vintage(moment(2022), changed))
        assert self.rows(warehouse, "session::VARCHAR, newest_value, newest_known_at::VARCHAR") == [
            (DAYS[2], None, "2021-01-01 00:00:00")
        ]

    def test_what_both_tables_build_alike_is_followed_from_one_to_the_other(
        self, warehouse: Warehouse
    ) -> None:
        old = {(f, DAYS[0]): 0.01 for f in ("market_excess", "size", "value", "risk_free")}
        new = {(f, DAYS[0]): 0.02 for f in ("market_excess", "size", "value", "risk_free")}
        append_factors(warehouse, vintage(moment(2021), old, construction="three_factor"))
        append_factors(warehouse, vintage(moment(2025), new))
        assert self.rows(warehouse, "factor, construction, first_construction, newest_construction") == [
            (factor, "common", "three_factor", "five_factor")
            for factor in ("market_excess", "risk_free", "value")
        ]

    def test_a_value_counts_since_the_vintage_that_first_told_it(self, warehouse: Warehouse) -> None:
        """Whatever the order of loading: the newest repeats what the one before it, loaded later, already says."""
        revised = {**SIZE, ("size", DAYS[1]): 0.5}
        for year, told in ((2020, SIZE), (2022, revised), (2021, revised)):
            append_factors(warehouse, vintage(moment(year), told))
        assert self.rows(warehouse, "newest_known_at::VARCHAR") == [("2021-01-01 00:00:00",)]

    @pytest.mark.parametrize("first", [0, 1])
    def test_tables_of_one_moment_are_not_compared_with_each_other(
        self, warehouse: Warehouse, first: int
    ) -> None:
        """Where both are known, five factors speak first and last: their rounding differs."""
        for year, plus in ((2021, 0.0), (2025, 0.001)):
            for construction, value in (("three_factor", 0.00009), ("five_factor", 0.0001))[:: 1 - 2 * first]:
                told = {("risk_free", DAYS[0]): value + plus}
                append_factors(warehouse, vintage(moment(year), told, construction=construction))
        assert self.rows(warehouse, "round(difference, 6), first_construction, newest_construction") == [
            (0.001, "five_factor", "five_factor")
        ]
