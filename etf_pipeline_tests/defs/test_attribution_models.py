"""Which model explains a fund on which session, and what its factors are made of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.vintage_factors import MAX_AGE_DAYS
from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.defs.attribution.models import Reference, factor_models
from etf_pipeline.storage.connection import Warehouse, ensure_schema
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS
from etf_pipeline.storage.panels import ReturnPanel
from etf_pipeline_tests.contract_rows import insert
from etf_pipeline_tests.defs.attribution_market import pipeline

SESSIONS = exchange_sessions("asx", "2019-01-02", "2021-06-30")
TICKERS = np.array(["F00", "F01", "F02"])
"""The market fund; a fund of world shares; one of which nothing is known."""
ENDS, RESTATED = np.datetime64("2020-11-30"), np.datetime64("2020-06-30")


def add(warehouse: Warehouse, table: str, frame: pd.DataFrame) -> None:
    with warehouse.write() as connection:
        ensure_schema(connection)
        connection.register("given", frame)
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM given")


def series(warehouse: Warehouse, name: str, days: np.ndarray, value: np.ndarray) -> None:
    frame = pd.DataFrame({"session": days.astype("datetime64[s]"), "value": value})
    known = pd.Timestamp("2022-01-01")
    add(warehouse, "raw.macro", frame.assign(series=name, known_at=known, fetch_id="x", withdrawn=False))


def factors(warehouse: Warehouse, until: np.datetime64) -> None:
    """Developed factors up to a day in two vintages: the second restates all of the first's days."""
    days = np.arange(np.datetime64("2018-12-03"), ENDS + 1)
    days = days[np.is_busday(days)]
    rng = np.random.default_rng(0)
    frames = []
    for construction in ("five_factor", "momentum"):
        for factor in CONSTRUCTION_FACTORS[construction]:
            first = rng.normal(0, 0.01, len(days)) if factor != "risk_free" else np.full(len(days), 4e-5)
            newest = first + (rng.normal(0, 0.001, len(days)) if factor != "risk_free" else 0.0)
            for value, known, held in (
                (first, pd.Timestamp("2020-07-31"), days <= min(until, RESTATED)),
                (newest, pd.Timestamp("2021-07-31"), days <= until),
            ):
                frames.append(
                    pd.DataFrame(
                        {"session": days[held].astype("datetime64[s]"), "value": value[held]}
                    ).assign(construction=construction, factor=factor, known_at=known)
                )
    frame = pd.concat(frames).assign(region="developed", frequency="daily", fetch_id="x", withdrawn=False)
    add(warehouse, "raw.factors", frame)


def held(directory, until=SESSIONS[-1], *, with_factors=True) -> SimpleNamespace:
    """A pipeline whose warehouse knows what happened up to a day."""
    warehouse = Warehouse(directory)
    rng = np.random.default_rng(1)
    days = np.arange(np.datetime64("2018-12-03"), SESSIONS[-1] + 1)
    days = days[np.is_busday(days)]
    for name, level in (
        ("us_10y_yield", 2.0), ("us_high_yield_spread", 4.0), ("wti_oil", 60.0), ("vix", 15.0), ("audusd", 0.7)
    ):  # fmt: skip
        value = level * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        series(warehouse, name, days[days <= until], value[days <= until])
    if with_factors:
        factors(warehouse, min(until, ENDS))
    with warehouse.write() as connection:
        insert(connection, "raw.listings", ticker="F01", asset_class="global_equity", withdrawn=False)
    made = pipeline()
    made.warehouse = warehouse
    return made


def panel(until=SESSIONS[-1]) -> ReturnPanel:
    rows = int(np.searchsorted(SESSIONS, until, side="right"))
    returns = np.random.default_rng(2).normal(0, 0.01, (len(SESSIONS), 3))
    spanned = np.ones(returns.shape, dtype=np.int64)
    returns[0], spanned[0] = np.nan, 0
    return ReturnPanel(SESSIONS[:rows], TICKERS, returns[:rows], spanned[:rows])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return held(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def models(whole):
    found, main, cash = factor_models(whole, panel())
    return {one.model.name: one for one in found}, main, cash


def test_each_fund_has_one_main_model_a_session(models):
    found, main, _ = models
    assert set(found) == set(main) == {"house", "developed_six"}
    assert found["developed_six"].funds.tolist() == [1]
    np.testing.assert_array_equal(sum(main.values()), np.ones((len(SESSIONS), 3)))
    assert not main["developed_six"][:, [0, 2]].any()


def test_the_house_model_takes_over_where_published_factors_end(models):
    found, main, _ = models
    served = main["developed_six"][:, 1]
    begin, last = int(np.argmax(served)), int(np.flatnonzero(served)[-1])
    assert served[begin : last + 1].all()
    assert begin == int(np.argmax(found["developed_six"].available.any(axis=1))) > 200
    age = SESSIONS[last] - 1 - ENDS  # New York's day, seen the day after
    assert 0 < age.astype(int) <= MAX_AGE_DAYS
    fit = found["developed_six"].rolling(252, 126)
    estimated = fit.reason[:, 0] == 0
    assert estimated[begin + 20 : last + 1].all()
    assert not estimated[last + 1 :].any()


def test_the_window_is_read_as_known_when_its_last_day_first_was(models):
    one = models[0]["developed_six"]
    day = int(np.searchsorted(SESSIONS, RESTATED))
    assert SESSIONS[day] == RESTATED
    # With the lag of a day 30 June in New York is seen on 1 July.
    assert one.known_at[day + 1] == np.datetime64("2020-07-31")
    assert one.known_at[day + 2] == np.datetime64("2021-07-31")
    assert one.vintage[day + 1] != one.vintage[day + 2]
    assert np.isnat(one.known_at[-1])
    assert np.isnat(models[0]["house"].known_at).all()


@pytest.mark.parametrize("until", ["2020-02-17", "2020-07-01", "2020-12-04", "2019-02-06"])
def test_nothing_known_later_changes_a_row(models, tmp_path, until):
    """Series, factors and sessions end at the cut; before the library begins the model is not there at all."""
    day = np.datetime64(until)
    found, main, _ = factor_models(held(tmp_path, day), panel(day))
    rows = len(panel(day).sessions)
    for name, flags in main.items():
        np.testing.assert_array_equal(flags, models[1][name][:rows], err_msg=name)
    for one in found:
        other = models[0][one.model.name]
        np.testing.assert_array_equal(one.single.value, other.single.value[:, :rows], err_msg=one.model.name)
        np.testing.assert_array_equal(one.known_at, other.known_at[:rows])
        np.testing.assert_array_equal(one.available, other.available[:rows])
        np.testing.assert_array_equal(one.excess, other.excess[:rows])
        np.testing.assert_array_equal(one.alive, other.alive[:rows])
        a, b = one.rolling(252, 126), other.rolling(252, 126)
        np.testing.assert_array_equal(a.loading, b.loading[:rows])


def test_without_a_library_the_house_model_is_everyones_main_one(tmp_path):
    found, main, cash = factor_models(held(tmp_path, with_factors=False), panel())
    assert [one.model.name for one in found] == ["house"]
    assert main["house"].all()
    assert cash == "unknown: taken as 0"


def test_before_the_library_begins_the_main_model_is_the_one_it_is_without(whole, tmp_path):
    """A cut in which no factor is held yet: what the whole says of those sessions must be the same."""
    _, alone, _ = factor_models(held(tmp_path, SESSIONS[100], with_factors=False), panel(SESSIONS[100]))
    _, main, _ = factor_models(whole, panel())
    np.testing.assert_array_equal(alone["house"], main["house"][:101])


def test_sydney_sees_new_yorks_level_the_day_after_and_the_exchange_rate_at_once(tmp_path):
    warehouse = Warehouse(tmp_path)
    days = SESSIONS[:40]
    for name in ("vix", "audusd"):
        series(warehouse, name, days, np.arange(40.0))
    made = pipeline()
    made.warehouse = warehouse
    sydney = Reference(made, days)
    plain = np.diff(days.astype(int)) == 1
    np.testing.assert_array_equal(sydney.of("vix")[1:][plain], np.arange(39.0)[plain])
    np.testing.assert_array_equal(sydney.level("audusd"), np.arange(40.0))
    for change in ({"market": "us"}, {}):
        made.settings = SimpleNamespace(**{**vars(made.settings), "market": "asx", **change})
        made.source.simulated = not change
        np.testing.assert_array_equal(Reference(made, days).of("vix"), np.arange(40.0))


def test_another_series_does_not_stand_in_for_the_spread(whole, tmp_path):
    """Its scale is another: a fund would change its loading on the day the better series begins."""
    made = held(tmp_path)
    series(made.warehouse, "us_investment_grade_spread", SESSIONS, np.full(len(SESSIONS), 1.2))
    np.testing.assert_array_equal(
        Reference(made, SESSIONS).of("credit_spread"), Reference(whole, SESSIONS).of("credit_spread")
    )
    with made.warehouse.write() as connection:
        connection.execute("DELETE FROM raw.macro WHERE series = 'us_high_yield_spread'")
    assert np.isnan(Reference(made, SESSIONS).of("credit_spread")).all()


def test_cash_earns_the_last_decided_rate_and_before_it_the_librarys(tmp_path):
    warehouse = Warehouse(tmp_path)
    series(warehouse, "cash_rate", SESSIONS[[50]], np.array([1.5]))
    made = pipeline()
    made.warehouse = warehouse
    rate, source = Reference(made, SESSIONS).cash_rate()
    assert source == "cash_rate"
    assert (rate[:50] == 0.0).all()
    assert (rate[50:] == 1.5).all()  # two and a half years without a decision
    library = np.full(len(SESSIONS), 2.5)
    library[:10] = np.nan
    library[30:] = np.nan
    rate, _ = Reference(made, SESSIONS).cash_rate(library)
    assert (rate[:10] == 0.0).all()
    assert (rate[10:50] == 2.5).all()
    assert (rate[50:] == 1.5).all()
    # On the eve of the first decision nothing is held of the series, and the rows are the same.
    with warehouse.write() as connection:
        connection.execute("DELETE FROM raw.macro")
    before, source = Reference(made, SESSIONS[:50]).cash_rate(library[:50])
    np.testing.assert_array_equal(before, rate[:50])
    assert source == "risk-free rate of the factor library"


def test_cash_of_new_york_is_not_that_of_sydney(tmp_path):
    warehouse = Warehouse(tmp_path)
    series(warehouse, "cash_rate", SESSIONS[[0]], np.array([1.5]))
    made = pipeline(market="us")
    made.warehouse = warehouse
    assert (Reference(made, SESSIONS).cash_rate()[0] == 0.0).all()
    series(warehouse, "us_cash_rate", SESSIONS[[0]], np.array([2.5]))
    assert (Reference(made, SESSIONS).cash_rate()[0] == 2.5).all()
