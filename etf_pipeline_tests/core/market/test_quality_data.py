"""The labelled real file: recall, genuine extremes, causality and what an investor loses."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.calendar import Market, exchange_sessions
from etf_pipeline.core.market.panel import BarPanel, from_long
from etf_pipeline.core.market.quality import QualityResult, assess
from etf_pipeline_tests.core.market.test_quality_market import cut

pytestmark = pytest.mark.data

NO_ACTIONS = pd.DataFrame(
    {
        "ticker": pd.Series(dtype="str"),
        "ex_date": pd.Series(dtype="datetime64[ns]"),
        "kind": pd.Series(dtype="str"),
        "value": pd.Series(dtype=float),
    }
)
RULES_OF_KIND = {
    # A label is recalled by its own rule, or by one that says the same of the bars.
    "bad_scale_block": {"bad_scale_block", "scale_flip_flop"},
    "scale_flip_flop": {"scale_flip_flop"},
    "adjustment_break": {"adjustment_break", "distribution_adjusted_on_wrong_date"},
    "distribution_adjusted_on_wrong_date": {"distribution_adjusted_on_wrong_date", "adjustment_break"},
    "pre_listing_bar": {"pre_listing_bar", "prelisting_nav_history"},
}
GLIN = pd.DataFrame(
    {
        "ticker": ["GLIN.AX"],
        "listed_on": [pd.NaT],
        "former_ticker_of": ["AMP Capital Global Infrastructure, ceased trading 2020-12-04"],
    }
)
Judged = tuple[BarPanel, pd.DataFrame, QualityResult]


def _panel(
    bars: pd.DataFrame, market: Market, actions: pd.DataFrame = NO_ACTIONS
) -> tuple[BarPanel, pd.DataFrame]:
    """Wide bars; the last bar of a ticker is not final where at least five tickers end with it."""
    bars = bars.assign(volume=bars["volume"].astype(float))
    last = bars.groupby("ticker")["session"].transform("max")
    together = bars.groupby("ticker")["session"].max().value_counts()
    bars["is_final"] = ~((bars["session"] == last) & (last.map(together) >= 5))
    sessions = exchange_sessions(market, bars["session"].min().date(), bars["session"].max().date())
    return from_long(bars, actions, sessions)


@lru_cache(maxsize=1)
def _asx(root: Path) -> Judged:
    bars = pd.read_parquet(root / "asx" / "asx_prices_adj.parquet").rename(columns={"date": "session"})
    panel, off = _panel(bars.assign(adj_close=np.nan), "asx")
    return panel, off, assess(panel, off, ticker_suffix=".AX", listings=GLIN)


@pytest.fixture(scope="module")
def asx(market_data: Path) -> Judged:
    return _asx(market_data)


def _cell(panel: BarPanel, ticker: str, day: str) -> tuple[int, int]:
    return int(np.searchsorted(panel.sessions, np.datetime64(day))), list(panel.tickers).index(ticker)


def test_recall_of_labelled_defects(asx: Judged, market_data: Path) -> None:
    events = asx[2].events
    labels = pd.read_csv(market_data / "asx" / "anomalies.csv", parse_dates=["start", "end"])
    missed = []
    for label in labels.itertuples():
        near = events[
            (events.ticker == label.ticker)
            & (events.session_start <= label.end)
            & (events.session_end >= label.start)
        ]
        if not near.rule.isin(RULES_OF_KIND.get(label.kind, {label.kind})).any():
            missed.append((label.ticker, label.kind, sorted(near.rule.unique())))
    assert len(missed) <= 0.1 * len(labels), missed


def test_market_wide_holes(asx: Judged) -> None:
    events = asx[2].events
    holes = events[events.rule == "market_wide_hole"].session_start.dt.strftime("%Y-%m-%d")
    assert {"2025-10-24", "2024-10-30", "2024-11-05", "2024-08-27", "2011-08-01", "2011-10-03"} <= set(holes)


@pytest.mark.parametrize(
    ("ticker", "day"), [("OOO.AX", "2020-03-09"), ("OOO.AX", "2020-04-22"), ("GCAP.AX", "2023-03-20")]
)
def test_genuine_extremes_stay(asx: Judged, ticker: str, day: str) -> None:
    panel, _, result = asx
    t, j = _cell(panel, ticker, day)
    assert result.accepted[t - 1 : t + 2, j].all()
    assert (result.scale[t - 1 : t + 2, j] == 1.0).all()
    assert not result.doubt[t - 1 : t + 2, j].any()


def test_a_wild_fund_keeps_every_move(asx: Judged) -> None:
    panel, _, result = asx
    j = list(panel.tickers).index("CRYP.AX")
    present = ~np.isnan(panel.close[:, j]) & panel.is_final[:, j]
    assert not (present & ~result.accepted[:, j] & (panel.volume[:, j] > 0)).any()
    assert not result.doubt[:, j].any()


@pytest.mark.parametrize(("ticker", "since"), [("SNAS.AX", "2024-11-01"), ("BBOZ.AX", "2024-05-20")])
def test_no_return_contains_a_scale_break(asx: Judged, ticker: str, since: str) -> None:
    panel, _, result = asx
    t, j = _cell(panel, ticker, since)
    rows = t + np.flatnonzero(result.accepted[t:, j])
    close, scale = panel.close[rows, j], result.scale[rows, j]
    assert np.nanmax(np.abs(np.log(close[1:] / scale[1:] / close[:-1]))) < 0.3
    assert sorted(set(scale[scale != 1.0])) == pytest.approx([20.0] if ticker == "SNAS.AX" else [10.0])


def test_an_investor_does_not_lose_good_funds(asx: Judged) -> None:
    panel, _, result = asx
    seasoned = np.cumsum(result.traded, axis=0) > 252
    liquid = seasoned & (panel.volume * panel.close > 50_000) & panel.is_final
    assert (liquid & ~result.accepted).sum() / liquid.sum() < 0.002
    assert (liquid & result.doubt).sum() / liquid.sum() < 0.005


@pytest.mark.parametrize("day", ["2011-01-06", "2020-05-05", "2024-06-03"])
def test_truncation_of_the_real_file(asx: Judged, day: str) -> None:
    panel, off, result = asx
    rows = int(np.searchsorted(panel.sessions, np.datetime64(day))) + 1
    part = assess(cut(panel, rows), off[off.session <= pd.Timestamp(day)], ticker_suffix=".AX", listings=GLIN)
    for name in ("accepted", "traded", "scale", "doubt", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(result, name)[:rows], getattr(part, name), err_msg=name)
    known = result.events[result.events.detected_on <= panel.sessions[rows - 1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(known, part.events)


def test_every_bar_kept_out_is_accounted_for(asx: Judged) -> None:
    """An event covers it, or one opened a condition that had not ended."""
    panel, _, result = asx
    present = ~np.isnan(panel.close)
    events = result.events[result.events.action.isin(["quarantined", "excluded", "resolved", "repaired"])]
    column = {t: j for j, t in enumerate(panel.tickers)}
    covered = np.zeros(panel.shape, dtype=bool)
    days = panel.sessions.astype("datetime64[ns]")
    for ticker, rows in events.groupby("ticker"):
        if ticker not in column:
            continue
        j = column[ticker]
        starts = np.searchsorted(days, rows.session_start.to_numpy())
        ends = np.searchsorted(days, rows.session_end.to_numpy(), side="right")
        for start, end in zip(starts, ends, strict=True):
            covered[start:end, j] = True
        if "wrong_namespace" in set(rows.rule):
            covered[:, j] = True
        last = rows.iloc[-1]
        if last.session_end == last.detected_on and last.rule in ("stale_run", "pre_listing_bar"):
            covered[ends.max() :, j] = True  # still open when the data end
    missing = present & ~result.accepted & ~covered
    assert not missing.any(), [(panel.sessions[t], panel.tickers[j]) for t, j in np.argwhere(missing)[:10]]


def test_clean_us_data_raise_few_alarms(market_data: Path) -> None:
    bars = pd.read_parquet(market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet")
    bars = bars.rename(columns={"date": "session"}).assign(ticker=bars["ticker"].astype(str))
    bars = bars[bars.session >= "2018"].astype(dict.fromkeys(("open", "high", "low", "close"), float))
    paid = bars[bars.dividend > 0].rename(columns={"session": "ex_date", "dividend": "value"})
    panel, off = _panel(bars.reset_index(drop=True), "us", paid.assign(kind="dividend"))
    result = assess(panel, off, basis="split_adjusted")
    alarms = result.events[result.events.severity != "info"]
    assert not (alarms.severity == "error").any()
    assert len(alarms) <= 20
    for ticker, day in (("KWEB", "2022-03-16"), ("SOXL", "2025-04-09")):
        t, j = _cell(panel, ticker, day)
        assert result.accepted[t, j]
        assert result.scale[t, j] == 1.0
        assert not result.doubt[t, j]
