"""The source against a loopback server: every kind of trouble, and exactly what is said about it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.base import (
    ACTION_COLUMNS,
    BAR_COLUMNS,
    COVERAGE_COLUMNS,
    Fetch,
    Source,
    SourceError,
)
from etf_pipeline.sources.yahoo import YahooSource
from etf_pipeline_tests.sources.yahoo_instruments import (
    LATER,
    NEW_YORK,
    Bar,
    Fault,
    Instrument,
    sessions,
    sixty_tickers,
    walk,
)
from etf_pipeline_tests.sources.yahoo_server import FakeClock, YahooServer

pytest_plugins = ["etf_pipeline_tests.sources.yahoo_fixtures"]

DAYS = sessions(date(2025, 1, 6), 30)
VAS = "VAS.AX"


def one(source: YahooSource, start: date | None = None, end: date | None = None) -> Fetch:
    (fetch,) = source.fetch(source.tickers(), start, end)
    return fetch


def verdict(fetch: Fetch) -> tuple[str, str]:
    row = fetch.coverage.iloc[0]
    return row["status"], row["message"]


def fund(*faults: Fault, **changes: Any) -> Instrument:
    return Instrument(walk(DAYS, seed=1), faults=list(faults), **changes)


def test_a_fetch_meets_the_contract(open_source: Any) -> None:
    instrument = fund(dividends={DAYS[10]: 0.37}, capital_gains={DAYS[20]: 0.05})
    with YahooServer({VAS: instrument}).running() as server:
        source = open_source(server, [VAS])
        assert isinstance(source, Source)
        assert (source.name, source.simulated, source.resumable, source.ticker_suffix) == (
            "yahoo",
            False,
            True,
            ".AX",
        )
        fetch = one(source)
    assert list(fetch.bars) == BAR_COLUMNS
    assert list(fetch.actions) == ACTION_COLUMNS
    assert list(fetch.coverage) == COVERAGE_COLUMNS
    assert fetch.basis == "as_traded"
    assert "split" in fetch.basis_evidence
    assert fetch.known_at == LATER
    expected = pd.DataFrame([(b.day, b.open, b.high, b.low, b.close, b.volume) for b in instrument.bars])
    got = fetch.bars[["session", "open", "high", "low", "close", "volume"]]
    assert got["session"].dt.date.tolist() == expected[0].tolist()
    np.testing.assert_array_equal(got.iloc[:, 1:].to_numpy(), expected.iloc[:, 1:].to_numpy(dtype=float))
    assert fetch.bars["is_final"].all()
    assert (fetch.bars["adj_close"][:20] < fetch.bars["close"][:20]).all()
    assert fetch.actions[["kind", "value"]].to_numpy().tolist() == [
        ["dividend", 0.37],
        ["capital_gain", 0.05],
    ]
    row = fetch.coverage.iloc[0]
    assert (row["status"], row["rows"], row["message"]) == ("ok", 30, "")
    assert (row["first_session"].date(), row["last_session"].date()) == (DAYS[0], DAYS[-1])
    assert row["requested_end"] == pd.Timestamp("2025-06-02")
    assert pd.isna(row["requested_start"]), "no start means all there is"


@pytest.mark.parametrize(
    ("faults", "status", "requests"),
    [
        ([], "ok", 1),
        ([500, 502, 503], "ok", 4),
        ([429, 429], "ok", 3),
        (["down"], "ok", 2),
        (["truncated"], "ok", 2),
        (["mismatch"], "ok", 2),
        (["hang_up"], "ok", 2),
        ([401], "ok", 2),
        ([500, 429, "down", "hang_up", "truncated"], "ok", 6),
    ],
    ids=str,
)
def test_passing_trouble_is_retried(
    open_source: Any, faults: list[Fault], status: str, requests: int
) -> None:
    with YahooServer({VAS: fund(*faults)}).running() as server:
        fetch = one(open_source(server, [VAS]))
        assert verdict(fetch) == (status, "")
        assert len(fetch.bars) == 30
        assert server.symbols_asked() == {VAS: requests}


@pytest.mark.parametrize(
    ("always", "status", "words", "requests"),
    [
        (404, "no_such_symbol", "HTTP 404 Not Found: No data found, symbol may be delisted", 1),
        ("no_such_window", "empty", "HTTP 400 Bad Request: Data doesn't exist for startDate", 1),
        ("empty", "empty", "", 1),
        (422, "server_error", "HTTP 422 Unprocessable Entity: 1d data not available", 1),
        (429, "rate_limited", "HTTP 429 after 6 attempts: Too Many Requests", 6),
        (500, "server_error", "HTTP 500: <html><body>Internal Server Error", 6),
        ("down", "server_error", "HTTP 200 with an unusable body: not JSON", 6),
        ("truncated", "server_error", "HTTP 200 with an unusable body: not JSON", 6),
        ("mismatch", "server_error", "HTTP 200 with an unusable body: ValueError 29 timestamps", 6),
    ],
    ids=str,
)
def test_lasting_trouble_is_a_status(
    open_source: Any, always: Fault, status: str, words: str, requests: int
) -> None:
    with YahooServer({VAS: fund(always=always)}).running() as server:
        fetch = one(open_source(server, [VAS]))
        said, message = verdict(fetch)
        assert said == status
        assert message.startswith(words)
        assert server.symbols_asked() == {VAS: requests}
    assert fetch.bars.empty
    assert list(fetch.bars) == BAR_COLUMNS
    assert fetch.coverage["rows"].tolist() == [0]
    assert fetch.coverage["first_session"].isna().all()


def test_a_ticker_in_order_costs_one_request(open_source: Any) -> None:
    funds = {f"ONE{i}.AX": fund() for i in range(5)}
    with YahooServer(funds).running() as server:
        one(open_source(server, list(funds)))
        assert server.symbols_asked() == dict.fromkeys(funds, 1)


def test_a_hang_up_after_other_answers_is_a_status(open_source: Any) -> None:
    with YahooServer({"AAA.AX": fund(), VAS: fund(always="hang_up")}).running() as server:
        fetch = one(open_source(server, ["AAA.AX", VAS]))
    row = fetch.coverage.set_index("ticker").loc[VAS]
    assert row["status"] == "server_error"
    assert row["message"].startswith("no answer: ")


def test_nobody_there_is_an_error_of_the_source(open_source: Any) -> None:
    server = YahooServer({})
    with server.running():
        pass
    with pytest.raises(SourceError, match="nothing answers at http://127"):
        one(open_source(server, [VAS]))


def test_a_refused_crumb_does_not_stop_the_prices(open_source: Any) -> None:
    with YahooServer({VAS: fund()}, crumb_status=429).running() as server:
        assert verdict(one(open_source(server, [VAS]))) == ("ok", "")


def test_a_stale_cookie_is_renewed_and_nothing_leaves_the_loopback(open_source: Any) -> None:
    with YahooServer({VAS: fund(401, 401, 401)}).running() as server:
        assert verdict(one(open_source(server, [VAS])))[0] == "ok"
    # Four hosts of Yahoo's, one address: the cookie, the crumb, the consent form, the prices.
    paths = {r.path for r in server.log}
    assert {"/consent", "/v2/collectConsent", "/copyConsent", "/v1/test/getcrumb"} <= paths


def test_back_off_grows_jitters_and_respects_the_cap(open_source: Any, clock: FakeClock) -> None:
    funds = {f"F{i:02d}.AX": fund(always=500) for i in range(8)}
    with YahooServer(funds).running() as server:
        source = open_source(
            server, list(funds), threads=1, requests_per_minute=6e7, base_delay=1.0, max_delay=5.0
        )
        one(source)
    waits = np.array([s for s in clock.slept if s > 1e-3]).reshape(8, 5)
    assert (waits <= np.array([1.0, 2.0, 4.0, 5.0, 5.0])).all()
    assert waits.max() > 4.0
    mean = waits.mean(axis=0)
    assert mean[0] < mean[2] < 4.0
    assert len(np.unique(np.round(waits[:, 2], 6))) == 8, "tickers do not wait in step"


def test_retry_after_is_honoured(open_source: Any, clock: FakeClock) -> None:
    with YahooServer({VAS: fund(429)}, retry_after="97").running() as server:
        one(open_source(server, [VAS]))
    assert clock.time >= 97.0


def test_a_vendor_that_keeps_refusing_is_left_alone(open_source: Any) -> None:
    funds = {f"F{i:02d}.AX": fund(always=429) for i in range(40)}
    with YahooServer(funds).running() as server:
        source = open_source(server, list(funds), batch_size=10, threads=2)
        fetches = list(source.fetch(source.tickers(), None, None))
        assert len(server.chart_requests()) < 30
        coverage = pd.concat([f.coverage for f in fetches])
        assert coverage["ticker"].tolist() == list(funds)
        assert set(coverage["status"]) == {"rate_limited"}
        assert coverage["message"].iloc[-1] == "not asked: Yahoo refuses all requests"
        # The next run begins anew.
        for instrument in funds.values():
            instrument.always = None
        again = list(source.fetch(source.tickers(), None, None))
    assert set(pd.concat([f.coverage for f in again])["status"]) == {"ok"}


def test_many_short_refusals_do_not_end_a_run(open_source: Any) -> None:
    funds = {f"F{i:02d}.AX": fund(429) for i in range(14)}
    with YahooServer(funds).running() as server:
        fetch = one(open_source(server, list(funds), threads=1))
    assert set(fetch.coverage["status"]) == {"ok"}


def test_null_rows_are_no_bars_but_are_counted(open_source: Any) -> None:
    instrument = fund()
    for i in (4, 9, 10):
        instrument.bars[i] = Bar(DAYS[i], None)
    instrument.bars[15].volume = None
    with YahooServer({VAS: instrument}).running() as server:
        fetch = one(open_source(server, [VAS]))
    assert verdict(fetch) == ("ok", "3 rows without a close (2025-01-10..2025-01-20)")
    assert len(fetch.bars) == 27
    assert not fetch.bars["close"].isna().any()
    missing = fetch.bars.loc[fetch.bars["volume"].isna(), "session"].dt.date.tolist()
    assert missing == [DAYS[15]], "an unknown volume is not a volume of zero"


def test_only_null_rows_are_an_empty_window(open_source: Any) -> None:
    with YahooServer({VAS: Instrument([Bar(d, None) for d in DAYS])}).running() as server:
        fetch = one(open_source(server, [VAS]))
    assert verdict(fetch)[0] == "empty"
    assert "30 rows without a close" in verdict(fetch)[1]


def test_prices_of_a_window_are_undone_by_the_splits_after_it(open_source: Any) -> None:
    instrument = fund(splits={DAYS[20]: (1, 10)}, dividends={DAYS[5]: 0.5, DAYS[25]: 5.0})
    for bar in instrument.bars[20:]:
        for name in ("open", "high", "low", "close"):
            setattr(bar, name, round(getattr(bar, name) * 10, 2))
    with YahooServer({VAS: instrument}).running() as server:
        fetch = one(open_source(server, [VAS]), DAYS[3], DAYS[12])
    assert fetch.bars["session"].dt.date.tolist() == DAYS[3:13], "both ends belong to the window"
    np.testing.assert_array_equal(fetch.bars["close"], [b.close for b in instrument.bars[3:13]])
    # Yahoo rounds the divided volume to whole units: half a new unit is five old ones.
    np.testing.assert_allclose(fetch.bars["volume"], [b.volume for b in instrument.bars[3:13]], atol=5)
    assert fetch.actions[["kind", "value"]].to_numpy().tolist() == [["dividend", 0.5]]
    row = fetch.coverage.iloc[0]
    assert (row["requested_start"].date(), row["requested_end"].date()) == (DAYS[3], DAYS[12])


def test_a_split_the_vendor_forgot_is_reported(open_source: Any) -> None:
    instrument = fund(splits={DAYS[20]: (5, 1)}, not_carried_back=frozenset([DAYS[20]]))
    for bar in instrument.bars[20:]:
        for name in ("open", "high", "low", "close"):
            setattr(bar, name, round(getattr(bar, name) / 5, 2))
    with YahooServer({VAS: instrument}).running() as server:
        fetch = one(open_source(server, [VAS]))
    assert verdict(fetch) == ("ok", "split 5:1 of 2025-02-03 is not in the earlier prices: not undone")
    np.testing.assert_array_equal(fetch.bars["close"], [b.close for b in instrument.bars])
    assert fetch.actions["kind"].tolist() == ["split"]


def test_an_event_without_a_bar_keeps_its_date(open_source: Any) -> None:
    instrument = fund(dividends={DAYS[10]: 0.4})
    del instrument.bars[10]
    with YahooServer({VAS: instrument}).running() as server:
        source = open_source(server, [VAS])
        assert one(source).actions["ex_date"].dt.date.tolist() == [DAYS[10]]
        # Also where it is the first day of the window, before the first bar.
        assert one(source, DAYS[10], DAYS[12]).actions["value"].tolist() == [0.4]


@pytest.mark.parametrize(
    ("now", "final"),
    [
        ("2025-02-14T02:00Z", False),  # 13:00 in Sydney
        ("2025-02-14T05:05Z", False),  # 16:05: the closing auction is not over
        ("2025-02-14T05:44Z", False),
        ("2025-02-14T05:45Z", True),  # 16:00 + 45 minutes
        ("2025-02-14T12:00Z", True),
    ],
)
def test_the_bar_of_an_open_session_is_not_final(open_source: Any, now: str, *, final: bool) -> None:
    assert DAYS[29] == date(2025, 2, 14)
    with YahooServer({VAS: fund()}).running() as server:
        moment = datetime.fromisoformat(now)
        fetch = one(open_source(server, [VAS], now=lambda: moment))
    assert fetch.bars["is_final"].tolist() == [True] * 29 + [final]


def test_an_early_close_is_known(open_source: Any) -> None:
    """New York closes at 13:00 on the day after Thanksgiving."""
    days = [date(2024, 11, 27), date(2024, 11, 29)]
    instrument = Instrument(walk(days, seed=2), zone=NEW_YORK, currency="USD")
    moment = datetime(2024, 11, 29, 18, 50, tzinfo=UTC)
    with YahooServer({"SPY": instrument}).running() as server:
        fetch = one(open_source(server, ["SPY"], market="us", now=lambda: moment))
    assert fetch.bars["is_final"].tolist() == [True, True]


def test_a_bar_on_a_closed_day_is_final_when_the_day_is_over(open_source: Any) -> None:
    days = [*DAYS[:15], date(2025, 1, 27)]  # the day on which Australia Day was kept
    instrument = Instrument(walk(days, seed=2))
    with YahooServer({VAS: instrument}).running() as server:
        noon = datetime(2025, 1, 27, 2, 0, tzinfo=UTC)
        during = one(open_source(server, [VAS], now=lambda: noon))
        after = one(open_source(server, [VAS], now=lambda: noon.replace(day=28)))
    assert not during.bars["is_final"].iloc[-1]
    assert after.bars["is_final"].all()


def test_a_live_quote_replaces_the_row_it_doubles(open_source: Any) -> None:
    instrument = fund(live_quote=Bar(DAYS[-1], 61.5, 4242.0))
    moment = datetime(2025, 2, 14, 2, 0, tzinfo=UTC)
    with YahooServer({VAS: instrument}).running() as server:
        fetch = one(open_source(server, [VAS], now=lambda: moment))
    assert not fetch.bars["session"].duplicated().any()
    last = fetch.bars.iloc[-1]
    assert (last["close"], last["volume"], bool(last["is_final"])) == (61.5, 4242.0, False)


def test_a_second_fetch_asks_again_and_sees_what_changed(open_source: Any) -> None:
    instrument = fund()
    with YahooServer({VAS: instrument}).running() as server:
        source = open_source(server, [VAS])
        first = one(source, DAYS[0], DAYS[5])
        instrument.bars[2].close = 77.0
        second = one(source, DAYS[0], DAYS[5])
        assert server.symbols_asked() == {VAS: 2}
    assert first.bars["close"][2] != 77.0
    assert second.bars["close"][2] == 77.0


def test_sixty_tickers_with_every_trouble_end_as_they_must(open_source: Any) -> None:
    instruments, expected = sixty_tickers()
    with YahooServer(instruments, burst=range(20, 26)).running() as server:
        source = open_source(server, list(expected))
        fetches = list(source.fetch(source.tickers(), None, None))
    coverage = pd.concat([f.coverage for f in fetches], ignore_index=True)
    assert [len(f.coverage) for f in fetches] == [20, 20, 20]
    assert dict(zip(coverage["ticker"], coverage["status"], strict=True)) == expected
    bars = pd.concat([f.bars for f in fetches])
    for ticker, status in expected.items():
        got = bars[bars["ticker"] == ticker].set_index("session")["close"]
        told = [b for b in instruments[ticker].bars if b.close is not None] if status == "ok" else []
        assert got.index.date.tolist() == [b.day for b in told] if told else got.empty
        np.testing.assert_array_equal(got, [b.close for b in told])
    for row in coverage[coverage["status"] != "ok"].itertuples():
        assert row.message or row.status == "empty", f"{row.ticker} does not say why it is missing"


def test_batches_are_not_fetched_ahead(open_source: Any) -> None:
    funds = {f"F{i:02d}.AX": fund() for i in range(9)}
    with YahooServer(funds).running() as server:
        source = open_source(server, list(funds), batch_size=3)
        answers = source.fetch(["F08.AX", "F01.AX", "F05.AX", "F00.AX", "F01.AX"], None, None)
        assert not server.log, "nothing is asked before the first batch is wanted"
        first = next(answers)
        assert first.coverage["ticker"].tolist() == ["F08.AX", "F01.AX", "F05.AX"]
        assert set(server.symbols_asked()) == {"F08.AX", "F01.AX", "F05.AX"}
        assert next(answers).coverage["ticker"].tolist() == ["F00.AX"]
        assert next(answers, None) is None
        assert set(server.symbols_asked().values()) == {1}


@pytest.mark.parametrize(
    ("market", "ticker", "words"),
    [
        ("asx", "VAS", "another instrument. Write VAS.AX"),
        ("us", "BRK.B", "BRK-B"),
        ("asx", "vas.AX", "capitals"),
        ("us", "", "is not a symbol"),
        ("lse", "VUSA", "unknown market"),
    ],
)
def test_symbols_of_another_market_are_refused(market: Any, ticker: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        YahooSource([ticker], market=market)


def test_fetch_checks_its_arguments_at_once(open_source: Any) -> None:
    source = YahooSource([VAS], market="asx")
    with pytest.raises(SourceError, match="another instrument"):
        source.fetch(["VAS"], None, None)
    with pytest.raises(SourceError, match="after its end"):
        source.fetch([VAS], DAYS[3], DAYS[0])
    with pytest.raises(SourceError, match="at least 1"):
        YahooSource([VAS], market="asx", batch_size=0)
