"""The research stages one after the other on 18 years of real bars, defects left in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.market.universe import REASONS, presumed_delistings, universe
from etf_pipeline.core.risk import ewma_volatility, rolling_beta
from etf_pipeline.core.scoring import COMPONENTS, component_scores, composite
from etf_pipeline.core.signals import accumulation, momentum
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.scoring.shipped_rules import RULES

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def bars(request):
    root = request.getfixturevalue("market_data")
    frame = pd.read_parquet(root / "asx" / "asx_prices_adj.parquet").rename(columns={"date": "session"})
    frame = frame.drop_duplicates(["ticker", "session"]).assign(adj_close=np.nan, is_final=True)
    sessions = exchange_sessions("asx", frame["session"].min(), frame["session"].max())
    no_actions = pd.DataFrame(columns=["ticker", "ex_date", "kind", "value"])
    return from_long(frame, no_actions, sessions)[0]


def crude_scale(close: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """Moves beyond +-40 % cannot be compared: enough to run the stages without the quality stage."""
    row = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(accepted, row, 0), axis=0)
    before = np.vstack([np.full((1, close.shape[1]), np.nan), np.take_along_axis(close, last, axis=0)[:-1]])
    ratio = close / np.where(before > 0, before, np.nan)
    return np.where((ratio > 1.6) | (ratio < 0.6), np.nan, 1.0)


def research(sessions, close, volume, tickers, benchmark):
    accepted = close > 0
    close = np.where(accepted, close, np.nan)
    volume = np.where(accepted, volume, np.nan)
    scale = crude_scale(close, accepted)
    one = np.ones_like(close)
    r = total_return(close, accepted, scale, one, 0 * one, basis="total_return_adjusted")
    u = universe(sessions, close, volume, accepted, accepted & np.isnan(scale))
    market = (r.total_return[:, benchmark], r.sessions_spanned[:, benchmark])
    inputs = {
        "momentum_12_1": momentum(r.total_return, r.sessions_spanned).momentum,
        "volatility_annualised": ewma_volatility(r.total_return, r.sessions_spanned).volatility_annualised,
        "beta": rolling_beta(r.total_return, r.sessions_spanned, *market).beta,
        "accumulation": accumulation(close, volume, accepted, r.total_return).accumulation,
    }
    known = {
        c: tuple(i for i in parts if i.name in inputs) for c, parts in COMPONENTS.items() if c != "forecast"
    }
    classes = np.full(close.shape[1], -1)
    scores = component_scores(inputs, u.member, classes, RULES, components=known).scores
    category = np.full(close.shape, -1)
    ranking = composite(scores, u.member, category, u.median_traded_value, tickers, rules=RULES)
    return r, u, inputs, scores, ranking


@pytest.fixture(scope="module")
def benchmark(bars):
    return int(np.flatnonzero(bars.tickers == "STW.AX")[0])


@pytest.fixture(scope="module")
def whole(bars, benchmark):
    return research(bars.sessions, bars.close, bars.volume, bars.tickers, benchmark)


def test_cutting_the_history_changes_nothing_earlier(bars, benchmark):
    def stage(sessions, close, volume):
        r, u, inputs, scores, ranking = research(sessions, close, volume, bars.tickers, benchmark)
        return {
            "total_return": r.total_return,
            "reason": u.reason,
            "median_traded_value": u.median_traded_value,
            **inputs,
            **scores,
            "raw_score": ranking.raw_score,
            "rank": ranking.rank,
        }

    assert_causal(stage, (bars.sessions, bars.close, bars.volume), (253, 1200, 2345, 3400, 4500))


def test_the_end_of_the_file_for_most_funds_is_not_their_death(bars, whole):
    _, panel, *_ = whole
    reasons = np.array(REASONS)[panel.reason[-1]]
    # 186 of 253 funds have their last bar on 2025-10-31, 48 go on to 2026-01-02.
    assert (reasons == "not_covered").sum() > 150
    gone = presumed_delistings(panel, bars.sessions, bars.tickers)
    assert gone["resumed_on"].isna().sum() < 20
    assert "XCO2.AX" in set(gone.loc[gone["resumed_on"].isna(), "ticker"])  # ended in May 2025


def test_components_are_there_for_nearly_every_member(whole):
    _, panel, _, scores, ranking = whole
    for name, score in scores.items():
        assert np.isfinite(score[panel.member]).mean() > 0.9, name
    assert (ranking.rank[panel.member] > 0).mean() > 0.9


def test_scores_discriminate_at_month_ends(bars, whole):
    final = whole[-1].final_score
    month = bars.sessions.astype("datetime64[M]")
    ends = np.flatnonzero((month[1:] != month[:-1]) & (bars.sessions[:-1] >= np.datetime64("2015-01-01")))
    quartiles = np.nanpercentile(final[ends], [5, 25, 75, 95], axis=1)
    assert np.median(quartiles[2] - quartiles[1]) > 15
    assert np.median(quartiles[3] - quartiles[0]) > 45


def test_beta_of_the_benchmark_and_of_a_geared_fund(bars, benchmark, whole):
    beta = whole[2]["beta"]
    assert np.nanmin(beta[:, benchmark]) == np.nanmax(beta[:, benchmark]) == 1.0
    geared = int(np.flatnonzero(bars.tickers == "GEAR.AX")[0])
    assert np.nanmedian(beta[:, geared]) > 1.5
