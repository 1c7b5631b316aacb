from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.yahoo.chart import MalformedChart, local_sessions, read_chart
from etf_pipeline_tests.sources.yahoo_instruments import (
    NEW_YORK,
    SYDNEY,
    Bar,
    Instrument,
    chart_result,
    sessions,
    walk,
)
from etf_pipeline_tests.sources.yahoo_server import DOWN

DAYS = sessions(date(2025, 1, 6), 10)


def body(instrument: Instrument, **changes: object) -> str:
    result = chart_result("VAS.AX", instrument, 0, 2**40) | changes
    return json.dumps({"chart": {"result": [result], "error": None}})


def test_events_keep_their_own_ex_date_where_the_fund_did_not_trade() -> None:
    bars = walk(DAYS, seed=1)
    del bars[3:5]
    fund = Instrument(bars, dividends={DAYS[4]: 0.5}, capital_gains={DAYS[7]: 0.1}, splits={DAYS[3]: (1, 4)})
    chart = read_chart(body(fund))
    assert chart.events["ex_date"].tolist() == [pd.Timestamp(DAYS[i]) for i in (3, 4, 7)]
    assert chart.events["kind"].tolist() == ["split", "dividend", "capital_gain"]
    assert chart.events["value"].tolist() == [0.25, 0.5, 0.1]


def test_metadata_and_missing_values() -> None:
    bars = walk(DAYS, seed=1)
    bars[2].volume = None
    bars[5] = Bar(DAYS[5], None)
    chart = read_chart(body(Instrument(bars)))
    assert (chart.rows, chart.currency, chart.name) == (10, "AUD", "Loopback Fund")
    assert chart.first_trade == DAYS[0]
    assert chart.null_closes.tolist() == [np.datetime64(DAYS[5], "ns").astype(int)]
    assert {pd.Timestamp(t).date() for t in chart.null_volumes} == {DAYS[2], DAYS[5]}


def test_an_amount_in_another_currency_or_without_sense_is_said_and_not_used() -> None:
    fund = Instrument(walk(DAYS, seed=1), dividends={DAYS[4]: 0.5}, dividend_currency="USD")
    chart = read_chart(body(fund))
    assert chart.events.empty
    assert chart.unusable_events == ("dividend of 2025-01-10 is 0.5 USD, prices are AUD",)
    broken = Instrument(walk(DAYS, seed=1), splits={DAYS[4]: (4.0, 1.0)})
    result = json.loads(body(broken))
    next(iter(result["chart"]["result"][0]["events"]["splits"].values()))["denominator"] = 0
    assert read_chart(json.dumps(result)).unusable_events == ("split of 2025-01-10 has value nan",)


def test_a_split_of_one_for_one_is_no_event() -> None:
    assert read_chart(body(Instrument(walk(DAYS, seed=1), splits={DAYS[4]: (1, 1)}))).events.empty


def test_an_empty_window_is_a_chart_without_rows() -> None:
    chart = read_chart(body(Instrument([])))
    assert chart.error is None
    assert chart.rows == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        DOWN,
        "[]",
        "null",
        '"chart"',
        '{"chart": null}',
        '{"chart": {"result": null, "error": null}}',
        '{"chart": {"result": [], "error": null}}',
        '{"chart": {"result": [{"meta": {}}], "error": null}}',
        '{"quoteSummary": {"result": [], "error": null}}',
    ],
)
def test_what_is_not_a_chart_is_refused(text: str) -> None:
    with pytest.raises(MalformedChart):
        read_chart(text)


def test_arrays_of_different_lengths_are_refused() -> None:
    fund = Instrument(walk(DAYS, seed=1))
    stamps = chart_result("VAS.AX", fund, 0, 2**40)["timestamp"]
    with pytest.raises(MalformedChart, match="9 timestamps, 10 closes"):
        read_chart(body(fund, timestamp=stamps[:-1]))


def test_yahoos_error_is_passed_on_in_its_own_words() -> None:
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    chart = read_chart(json.dumps({"chart": {"result": None, "error": error}}))
    assert chart.error is not None
    assert (chart.error.code, chart.error.description) == tuple(error.values())
    gateway = read_chart(json.dumps({"finance": {"result": None, "error": {"code": "Unauthorized"}}}))
    assert gateway.error is not None
    assert gateway.error.code == "Unauthorized"


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2025-01-05T23:00Z", SYDNEY, "2025-01-06"),  # 10:00 daylight saving time
        ("2025-07-07T00:00Z", SYDNEY, "2025-07-07"),  # 10:00 standard time
        ("2025-01-06T14:30Z", NEW_YORK, "2025-01-06"),
        ("2025-07-06T23:00Z", "Europe/London", "2025-07-07"),  # midnight in summer
        ("2025-07-06T22:00Z", "UTC", "2025-07-07"),  # two hours early: a slip of daylight saving time
        ("2025-07-06T22:30Z", "UTC", "2025-07-06"),
    ],
)
def test_sessions_are_the_exchanges_local_dates(moment: str, zone: str, day: str) -> None:
    stamp = int(pd.Timestamp(moment).timestamp())
    assert local_sessions([stamp], zone).tolist() == [np.datetime64(day, "ns").astype(int)]


@pytest.mark.data
def test_every_recorded_chart_is_read_or_refused_for_what_it_is(market_data: Path) -> None:
    read, refused = [], []
    for path in sorted((market_data / "yahoo" / "samples").glob("*chart*.json")):
        response = json.loads(path.read_text())["response"]
        text = json.dumps(response["bodyJson"]) if "bodyJson" in response else response["bodyText"]
        try:
            chart = read_chart(text)
        except MalformedChart:
            refused.append(path.name)
            continue
        read.append(path.name)
        assert chart.error is None
        assert chart.currency
        assert chart.first_trade is None or chart.first_trade < date(2025, 3, 1)
    assert len(read) > 35
    assert all(".fake." in name for name in refused), refused


@pytest.mark.data
def test_recorded_dividends_of_microsoft(market_data: Path) -> None:
    name = "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json"
    response = json.loads((market_data / "yahoo" / "samples" / name).read_text())["response"]
    chart = read_chart(json.dumps(response["bodyJson"]) if "bodyJson" in response else response["bodyText"])
    said = {str(d)[:10]: v for d, v in zip(chart.events["ex_date"], chart.events["value"], strict=True)}
    assert said == {"2021-02-17": 0.56, "2021-05-19": 0.56, "2021-08-18": 0.56, "2021-11-17": 0.62}
