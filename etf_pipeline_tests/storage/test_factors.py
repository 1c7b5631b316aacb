"""Factor versions as arrays: what was known when, since when all of it, and that later sessions change none of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etf_pipeline.storage.bitemporal_factors import append_factors
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.factors import FactorHistory, NoFactorsError, read_factor_vintages
from etf_pipeline.storage.truncation import cut_raw_tier
from etf_pipeline_tests.factor_vintages import as_of, moment, vintage

DAYS = [str(day) for day in np.arange(np.datetime64("2015-01-05"), np.datetime64("2015-01-25"))]
WANTED = (("five_factor", "market_excess"), ("five_factor", "size"), ("momentum", "momentum"))


def at(year: int) -> np.datetime64:
    return np.datetime64(f"{year}-01-01", "us")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Three vintages of five factors, which grow, are revised and lose a value; momentum comes late."""
    made = Warehouse(tmp_path / "full")
    rng = np.random.default_rng(1)
    for number, days in enumerate((8, 14, 20)):
        told = {
            (f, d): round(float(rng.normal()), 4)
            for d in DAYS[:days]
            for f in ("market_excess", "size", "value")
        }
        if number == 1:
            del told["size", DAYS[3]]
        append_factors(made, vintage(moment(2020 + number), told))
    winners = {("momentum", d): 0.01 * n for n, d in enumerate(DAYS[2:16])}
    append_factors(made, vintage(moment(2021), winners, construction="momentum"))
    return made


def plain_first_known(history: FactorHistory) -> np.ndarray:
    """Reference: ask for every moment what was known."""
    first = np.full(len(history.sessions), np.datetime64("NaT", "us"))
    for known in history.moments[::-1]:
        first[~np.isnan(history.as_known(known)).any(axis=1)] = known
    return first


def test_as_known_is_what_the_macro_says(warehouse: Warehouse) -> None:
    history = read_factor_vintages(warehouse, "daily").tables["us", "five_factor"]
    assert [factor for _, factor in history.columns] == ["market_excess", "size", "value"]
    for year in (2019, 2020, 2021, 2022, 2030):
        panel = history.as_known(at(year))
        assert panel.shape == (20, 3)
        expected = as_of(warehouse, moment(year), "construction = 'five_factor'")
        found = {
            (factor, str(history.sessions[row])): panel[row, column]
            for column, (_, factor) in enumerate(history.columns)
            for row in np.flatnonzero(~np.isnan(panel[:, column]))
        }
        assert found == expected


def test_a_session_is_known_when_the_last_of_its_factors_is(warehouse: Warehouse) -> None:
    history = read_factor_vintages(warehouse, "daily").select("us", WANTED)
    first = history.first_known()
    np.testing.assert_array_equal(first, plain_first_known(history))
    by_day = dict(zip(history.sessions.astype(str), first, strict=True))
    assert np.isnat(by_day[DAYS[0]]), "no momentum was ever told"
    assert by_day[DAYS[2]] == at(2021), "momentum came later than the others"
    assert by_day[DAYS[3]] == at(2022), "size had been withdrawn when momentum came"
    assert by_day[DAYS[15]] == at(2022)
    alone = read_factor_vintages(warehouse, "daily").select("us", WANTED[:1]).first_known()
    assert (alone[:8] == at(2020)).all()
    assert (alone[8:14] == at(2021)).all()
    assert (alone[14:] == at(2022)).all()


def test_columns_come_as_asked_for(warehouse: Warehouse) -> None:
    vintages = read_factor_vintages(warehouse, "daily")
    one, other = vintages.select("us", WANTED), vintages.select("us", WANTED[::-1])
    assert one.columns == WANTED
    np.testing.assert_array_equal(one.as_known(at(2030)), other.as_known(at(2030))[:, ::-1])
    assert np.isnan(one.as_known(at(2030))[0]).tolist() == [False, False, True]


def test_what_is_not_held_is_named_with_what_is(warehouse: Warehouse) -> None:
    vintages = read_factor_vintages(warehouse, "daily")
    with pytest.raises(
        NoFactorsError,
        match=r"daily factors of us: five_factor\.investment not held; held are us: five_factor, us: mom.*--factor-path",
    ):
        vintages.select("us", (("five_factor", "investment"),))
    assert vintages.regions == ["us"]
    monthly = read_factor_vintages(warehouse, "monthly")
    assert monthly.tables == {}
    with pytest.raises(NoFactorsError, match="held are none"):
        monthly.select("us", WANTED)


@pytest.mark.parametrize("cut_at", [DAYS[4], DAYS[9], DAYS[16]])
def test_later_sessions_change_no_earlier_answer(warehouse: Warehouse, tmp_path: Path, cut_at: str) -> None:
    cut = Warehouse(tmp_path / "cut")
    cut_raw_tier(warehouse, cut, cut_at)
    full = read_factor_vintages(warehouse, "daily").select("us", WANTED)
    part = read_factor_vintages(cut, "daily").select("us", WANTED)
    rows = len(part.sessions)
    assert str(part.sessions[-1]) == cut_at
    np.testing.assert_array_equal(part.sessions, full.sessions[:rows])
    np.testing.assert_array_equal(part.first_known(), full.first_known()[:rows])
    for known in full.moments:
        np.testing.assert_array_equal(part.as_known(known), full.as_known(known)[:rows])
    with cut.read() as connection:
        last = connection.execute("SELECT max(last_session)::VARCHAR FROM raw.factor_vintages").fetchone()
    assert last == (cut_at,)
