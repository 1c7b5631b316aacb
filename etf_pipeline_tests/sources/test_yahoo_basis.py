"""Split-adjusted prices back to the prices paid: properties, and published prices of real funds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.sources.yahoo.basis import (
    as_traded,
    carried_back,
    later_split_factor,
    round_price,
    round_significant,
)
from etf_pipeline.sources.yahoo.chart import EVENT_COLUMNS, read_chart

PRICES = ["open", "high", "low", "close"]


def events(*rows: tuple[str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=EVENT_COLUMNS)
    return frame.astype({"ex_date": "datetime64[ns]", "value": "float64"})


def frame(close: np.ndarray, volume: float = 1e6, start: str = "2024-01-01") -> pd.DataFrame:
    sessions = pd.bdate_range(start, periods=len(close)).to_numpy().astype("datetime64[ns]")
    close = np.asarray(close, dtype=float)
    bars = pd.DataFrame({"session": sessions, "open": close, "high": close * 1.01, "low": close * 0.99})
    return bars.assign(close=close, adj_close=close * 0.9, volume=volume)


def as_yahoo_gives(traded: pd.DataFrame, acts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The vendor's view: single precision prices divided by later splits, distributions to six decimals."""
    splits = acts[acts["kind"] == "split"]
    factor = later_split_factor(traded["session"].to_numpy(), splits)
    served = traded.copy()
    for column in PRICES:
        served[column] = (traded[column] / factor).astype("float32").astype("float64")
    served["volume"] = np.round(traded["volume"] * factor)
    given_acts = acts.copy()
    cash = acts["kind"] != "split"
    later = later_split_factor(acts["ex_date"].to_numpy(), splits)
    given_acts.loc[cash, "value"] = np.round((acts["value"] / later)[cash], 6)
    return served, given_acts


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from([2.0, 3.0, 4.0, 10.0, 0.5, 0.1, 0.05, 1.5]), max_size=2),
    st.floats(0.5, 900.0),
)
def test_round_trip_through_the_vendors_view(seed: int, ratios: list[float], level: float) -> None:
    rng = np.random.default_rng(seed)
    days = 120
    at = np.sort(rng.choice(np.arange(10, days - 10, 5), size=len(ratios), replace=False))
    log_price = np.log(level) + np.cumsum(rng.normal(0, 0.008, days))
    for where, ratio in zip(at, ratios, strict=True):
        log_price[where:] -= np.log(ratio)
    traded = frame(np.round(np.exp(log_price), 3) + 0.001)
    for column in PRICES:
        traded[column] = round_price(traded[column].to_numpy())
    traded["volume"] = 600_000.0 * 400
    sessions = traded["session"].astype(str)
    acts = events(
        *[(sessions[w], "split", r) for w, r in zip(at, ratios, strict=True)],
        (sessions[5], "dividend", 1.25),
        (sessions[60], "capital_gain", 0.4),
    )
    served, given_acts = as_yahoo_gives(traded, acts)
    back, back_acts, notes = as_traded(served, given_acts)
    assert notes == []
    pd.testing.assert_frame_equal(back[PRICES], traded[PRICES], check_exact=True)
    np.testing.assert_allclose(back["volume"], traded["volume"], rtol=1e-6)
    np.testing.assert_allclose(back_acts["value"], acts["value"], rtol=0, atol=1e-6 * 1000)
    assert (back["adj_close"] == served["adj_close"]).all(), "the vendor's own column is left alone"


def test_a_later_split_changes_no_earlier_row() -> None:
    rng = np.random.default_rng(3)
    traded = frame(np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 80))), 2))
    later = traded.copy()
    later.loc[60:, PRICES] = round_price(later.loc[60:, PRICES].to_numpy() / 4)
    split = events((str(later["session"][60])[:10], "split", 4.0))
    before, _, _ = as_traded(as_yahoo_gives(traded[:60], events())[0], events())
    after, _, _ = as_traded(as_yahoo_gives(later, split)[0], split)
    pd.testing.assert_frame_equal(
        after[:60][[*PRICES, "volume"]], before[[*PRICES, "volume"]], check_exact=True
    )


def test_the_ex_date_itself_is_already_in_new_units() -> None:
    bars = frame(np.array([25.0, 25.0, 25.0, 25.0]))
    day = str(bars["session"][2])[:10]
    acts = events(
        (day, "dividend", 0.1), (str(bars["session"][1])[:10], "dividend", 0.1), (day, "split", 4.0)
    )
    traded, own, _ = as_traded(bars, acts)
    assert traded["close"].tolist() == [100.0, 100.0, 25.0, 25.0]
    assert traded["volume"].tolist() == [250_000.0, 250_000.0, 1e6, 1e6]
    assert own["value"].tolist() == [0.1, 0.4, 4.0]


def test_a_split_that_was_not_carried_back_is_not_undone() -> None:
    bars = frame(np.array([100.0, 101.0, 99.5, 100.2, 25.1, 24.9, 25.3]))
    acts = events((str(bars["session"][4])[:10], "split", 4.0))
    traded, own, notes = as_traded(bars, acts)
    assert traded["close"].tolist() == bars["close"].tolist()
    assert own["value"].tolist() == [4.0], "the split itself stays: the prices need it"
    assert notes == ["split 4:1 of 2024-01-05 is not in the earlier prices: not undone"]


def test_each_split_is_judged_on_its_own() -> None:
    # 2:1 carried back, later 1:10 consolidation not carried back.
    close = np.array([50.0] * 5 + [50.5] * 5 + [505.0] * 5)
    bars = frame(close)
    acts = events((str(bars["session"][5])[:10], "split", 2.0), (str(bars["session"][10])[:10], "split", 0.1))
    traded, _, notes = as_traded(bars, acts)
    assert traded["close"].tolist() == [100.0] * 5 + [50.5] * 5 + [505.0] * 5
    assert len(notes) == 1
    assert "0.1:1" in notes[0]


def test_one_bad_print_on_the_ex_date_does_not_decide() -> None:
    close = np.array([3.5, 3.5, 3.7, 0.37, 3.65, 3.7, 3.7])  # the ex-date's own print is at the old scale
    bars = frame(close)
    splits = events((str(bars["session"][3])[:10], "split", 0.1))
    assert carried_back(bars["session"].to_numpy(), close, splits).tolist() == [True]


@pytest.mark.parametrize("ratio", [1.05, 1.19, 0.85])
def test_small_ratios_are_taken_at_the_vendors_word(ratio: float) -> None:
    close = np.array([10.0] * 5 + [10.0 / ratio] * 5)
    bars = frame(close)
    splits = events((str(bars["session"][5])[:10], "split", ratio))
    assert carried_back(bars["session"].to_numpy(), close, splits).tolist() == [True]


def test_a_crash_on_the_ex_date_is_not_a_missing_split() -> None:
    close = np.array([40.0, 40.5, 40.0, 30.0, 29.0, 30.5])  # -25 % on the day of a 2:1
    bars = frame(close)
    splits = events((str(bars["session"][3])[:10], "split", 2.0))
    assert carried_back(bars["session"].to_numpy(), close, splits).tolist() == [True]


def test_splits_outside_the_bars_are_undone_without_a_judgement() -> None:
    bars = frame(np.array([10.0, 11.0, 12.0]))
    acts = events(("2025-06-01", "split", 2.0), ("2023-01-01", "split", 3.0))
    traded, _, notes = as_traded(bars, acts)
    assert traded["close"].tolist() == [20.0, 22.0, 24.0], "the later one counts, the earlier does not"
    assert notes == []


def test_missing_values_stay_missing() -> None:
    bars = frame(np.array([10.0, 10.0, 10.0, 10.0]))
    bars.loc[0, "open"] = np.nan
    bars.loc[1, "volume"] = np.nan
    traded, _, _ = as_traded(bars, events((str(bars["session"][2])[:10], "split", 2.0)))
    assert np.isnan(traded["open"][0])
    assert np.isnan(traded["volume"][1])
    assert traded["close"].tolist() == [20.0, 20.0, 10.0, 10.0]


def test_no_bars_at_all() -> None:
    traded, own, notes = as_traded(frame(np.array([])), events(("2024-02-01", "split", 2.0)))
    assert len(traded) == 0
    assert own["value"].tolist() == [2.0]
    assert notes == []


@given(st.floats(1e-4, 1e6))
def test_rounding_is_idempotent_and_costs_less_than_a_tenth_of_a_basis_point(x: float) -> None:
    once = round_price(np.array([x]))
    assert round_price(once)[0] == once[0]
    assert abs(once[0] - x) <= 5.001e-6 * x


@given(st.integers(1, 6_000_000))
def test_rounding_recovers_cents_from_single_precision(cents: int) -> None:
    price = cents / 100
    assert round_price(np.array([float(np.float32(price))]))[0] == price


def test_rounding_leaves_zero_and_nan() -> None:
    np.testing.assert_array_equal(round_significant(np.array([0.0, np.nan]), 6), [0.0, np.nan])


def recorded(folder: Path, name: str) -> str:
    response = json.loads((folder / "yahoo" / "samples" / name).read_text())["response"]
    return json.dumps(response["bodyJson"]) if "bodyJson" in response else response["bodyText"]


def recorded_bars(body: str) -> pd.DataFrame:
    result = json.loads(body)["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    days = pd.to_datetime(result["timestamp"], unit="s").normalize().astype("datetime64[ns]")
    bars = pd.DataFrame({"session": days, **{c: quote[c] for c in [*PRICES, "volume"]}})
    return bars.assign(adj_close=result["indicators"]["adjclose"][0]["adjclose"])


@pytest.mark.data
def test_recorded_nvidia_split_of_2021_seen_from_2025(market_data: Path) -> None:
    """Prices paid: 751.19 on the eve of the 4:1, 186.12 on its ex-date; a 10:1 followed in June 2024."""
    body = recorded(market_data, "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json")
    chart = read_chart(body)
    assert chart.events.to_dict("list")["value"] == [4.0]
    later = pd.concat([chart.events, events(("2024-06-10", "split", 10.0))], ignore_index=True)
    traded, _, notes = as_traded(recorded_bars(body), later)
    close = traded.set_index("session")["close"]
    assert close["2021-07-19"] == 751.19
    assert close["2021-07-20"] == 186.12
    assert close["2022-01-28"] == 228.4
    assert notes == []
    # The window alone, without the split that came after it, is wrong by a factor of ten: the reason why
    # events are always asked for up to now.
    wrong, _, _ = as_traded(recorded_bars(body), chart.events)
    assert wrong.set_index("session")["close"]["2021-07-20"] == pytest.approx(18.612)


@pytest.mark.data
def test_recorded_apple_on_the_day_of_its_split(market_data: Path) -> None:
    """AAPL closed at 129.04 on 2020-08-31, the ex-date of its 4:1, and paid 0.205 a new share."""
    body = recorded(market_data, "chart-AAPL-2020-08-31-to-2020-11-07.json")
    chart = read_chart(body)
    traded, own, _ = as_traded(recorded_bars(body), chart.events)
    assert traded["close"][0] == 129.04
    assert traded["volume"][0] == 225_702_700
    assert own.to_dict("records") == [
        {"ex_date": pd.Timestamp("2020-08-31"), "kind": "split", "value": 4.0},
        {"ex_date": pd.Timestamp("2020-11-06"), "kind": "dividend", "value": 0.205},
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "ex_date", "ratio", "applied"),
    [
        ("4063-T", "2023-03-30", 5.0, False),  # carried back to the eve only: the level before is old
        ("MOB-ST", "2023-05-24", 0.1, True),  # one print at a tenth two days before
        ("LA-V", "2020-08-26", 0.1, True),  # one print at a tenth on the ex-date
        ("SPM-MI", "2022-06-13", 0.1, True),
    ],
)
def test_recorded_defects(market_data: Path, name: str, ex_date: str, ratio: float, *, applied: bool) -> None:
    path = market_data / "yahoo" / "yfinance_repair" / f"{name}-1d-bad-stock-split.csv"
    table = pd.read_csv(path)
    table["session"] = pd.to_datetime(table.iloc[:, 0].str[:10])
    table = table.sort_values("session")
    splits = events((ex_date, "split", ratio))
    said = carried_back(table["session"].to_numpy(), table["Close"].to_numpy(dtype=float), splits)
    assert said.tolist() == [applied]
