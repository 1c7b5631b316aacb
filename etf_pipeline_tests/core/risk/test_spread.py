"""Spread estimators against published values, the published code, and spreads that are known."""

from __future__ import annotations

import json
from dataclasses import replace

import bidask
import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.risk.spread import (
    abdi_ranaldo_reference,
    corwin_schultz_reference,
    edge_reference,
    signed_root,
    spread_estimates,
)
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.ohlc_fixtures import Bars, messy_bars, traded_bars, with_corporate_actions


def estimate(bars, **options):
    return spread_estimates(*bars.panels, **{"basis": "as_traded", **options})


def bars_of(open_, high, low, close):
    columns = [np.asarray(prices, dtype=float)[:, None] for prices in (open_, high, low, close)]
    one = np.ones(columns[0].shape)
    return Bars(*columns, accepted=one > 0, scale=one, split=one, distribution=0 * one)


def squares(spreads):
    return np.sign(spreads) * np.square(spreads)


@pytest.fixture(scope="module")
def published(market_data):
    frame = pd.read_csv(market_data / "numerics" / "edge_ohlc.csv")
    values = json.loads((market_data / "numerics" / "reference_values.json").read_text())["EDGE_bid_ask"]
    return [frame[name].to_numpy() for name in ("Open", "High", "Low", "Close")], values


@pytest.mark.data
def test_published_value_of_the_full_sample(published):
    prices, values = published
    panel = estimate(bars_of(*prices), window=len(prices[0]))
    assert values["full_sample"] == 0.0101849034905478
    assert panel.edge[-1, 0] == pytest.approx(values["full_sample"], abs=1e-12)
    assert edge_reference(*prices) == pytest.approx(values["full_sample"], abs=1e-12)


@pytest.mark.data
def test_published_signed_value_of_ten_sessions(published):
    prices, values = published
    panel = estimate(bars_of(*(p[:10] for p in prices)), window=10, min_pairs=3, block=2)
    assert panel.edge[9, 0] == pytest.approx(values["first10_signed"], abs=1e-12)
    assert panel.spread[9, 0] == 0.0


@pytest.mark.data
def test_published_degenerate_case(published):
    case = published[1]["degenerate_returns_nan"]
    bars = bars_of(*(case[name] for name in ("open", "high", "low", "close")))
    assert np.isnan(estimate(bars, window=8, min_pairs=2, block=2).edge).all()


@pytest.mark.parametrize(("window", "seed"), [(252, 1), (63, 2), (21, 3)])
def test_every_window_equals_the_published_code_with_holes_and_missing_opens(window, seed):
    rng = np.random.default_rng(seed)
    bars = traded_bars(seed, trade_chance=0.06, funds=3).without(rng.random((420, 3)) < 0.1)
    bars = replace(bars, open=np.where(rng.random((420, 3)) < 0.05, np.nan, bars.open))
    panel = estimate(bars, window=window, min_pairs=2, block=5, max_stale_sessions=420)
    compared = 0
    for t in range(window - 1, 420, 3):
        rows = slice(t - window + 1, t + 1)
        for j in range(3):
            theirs = bidask.edge(*(p[rows, j] for p in bars.panels[:4]), sign=True)
            ours = panel.edge[t, j]
            np.testing.assert_allclose(squares(ours), squares(theirs), rtol=1e-9, atol=1e-15)
            compared += not np.isnan(ours)
    assert compared > 150


@pytest.mark.parametrize("chance", [1.0, 0.05])
def test_the_reference_equals_the_published_code(chance):
    bars = traded_bars(7, trade_chance=chance, sessions=60, funds=8)
    for prices in zip(*(panel.T for panel in bars.panels[:4]), strict=True):
        assert edge_reference(*prices) == pytest.approx(bidask.edge(*prices, sign=True), rel=1e-10)


@pytest.mark.parametrize("chance", [1.0, 0.03])
def test_every_window_equals_the_references(chance):
    bars = traded_bars(8, trade_chance=chance, sessions=150, funds=2)
    panel = estimate(bars, window=40, min_pairs=2, block=8)
    for t in range(39, 150):
        for j in range(2):
            o, h, low, c = (p[t - 39 : t + 1, j] for p in bars.panels[:4])
            ours = squares(np.array([panel.edge[t, j], panel.abdi_ranaldo[t, j]]))
            theirs = squares(np.array([edge_reference(o, h, low, c), abdi_ranaldo_reference(h, low, c)]))
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)
            assert panel.corwin_schultz[t, j] == pytest.approx(corwin_schultz_reference(h, low, c), rel=1e-9)


def test_hand_computed_two_session_spreads():
    # The same range twice about the middle: a spread of all of it, as Corwin and Schultz reckon.
    h, low, c = np.array([1.02, 1.02]), np.array([0.98, 0.98]), np.array([1.0, 1.0])
    ratio = 1.02 / 0.98
    assert corwin_schultz_reference(h, low, c) == pytest.approx(2 * (ratio - 1) / (ratio + 1), rel=1e-12)
    # Close at the ask, a hundredth (of logarithm) above both middles: half the spread.
    middle = np.exp(np.array([0.0, 0.0]))
    spread = abdi_ranaldo_reference(middle * 1.02, middle / 1.02, np.exp(np.array([0.01, 0.0])))
    assert spread == pytest.approx(0.02, rel=1e-12)
    # The next middle lies on the other side of the close: a negative square, and the sign is kept.
    spread = abdi_ranaldo_reference(np.exp([0.0, 0.02]), np.exp([0.0, 0.02]), np.exp([0.01, 0.01]))
    assert spread == pytest.approx(-0.02, rel=1e-12)


def test_a_gap_overnight_is_no_range():
    h, low, c = np.array([1.02, 1.20]), np.array([0.98, 1.16]), np.array([1.0, 1.18])
    moved = c[0] / low[1]
    expected = corwin_schultz_reference(h * [1, moved], low * [1, moved], c)
    assert corwin_schultz_reference(h, low, c) == pytest.approx(expected, rel=1e-12)
    bars = bars_of(c, h, low, c)
    panel = estimate(
        bars_of(*(np.tile(p[:, 0], 10) for p in bars.panels[:4])), window=8, min_pairs=2, block=2
    )
    tiled = [np.tile(p, 10)[-8:] for p in (h, low, c)]
    assert panel.corwin_schultz[-1, 0] == pytest.approx(corwin_schultz_reference(*tiled), rel=1e-12)


def test_splits_distributions_and_recognised_scales_change_nothing():
    bars = traded_bars(5)
    plain, acted = estimate(bars), estimate(with_corporate_actions(bars))
    for name, values in vars(plain).items():
        np.testing.assert_allclose(getattr(acted, name), values, rtol=1e-6, atol=1e-9, err_msg=name)
    ignored = replace(with_corporate_actions(bars), split=bars.split, distribution=bars.distribution)
    assert np.nanmax(np.abs(estimate(ignored).edge - plain.edge)) > 0.01


def test_a_bar_after_a_hole_or_a_break_has_no_partner():
    bars = traded_bars(6, funds=1, sessions=100)
    missing = np.zeros((100, 1), dtype=bool)
    missing[[30, 60, 61]] = True
    scale = bars.scale.copy()
    scale[80] = np.nan
    panel = estimate(replace(bars, scale=scale).without(missing), window=100, min_pairs=2)
    assert panel.pairs[:, 0].tolist()[-1] == 99 - 2 - 3 - 1
    jump = replace(bars, scale=scale, **{n: np.where(np.arange(100)[:, None] < 80, 1, 50) * getattr(bars, n)
                                         for n in ("open", "high", "low", "close")})  # fmt: skip
    np.testing.assert_allclose(
        estimate(jump, window=100, min_pairs=2).edge,
        estimate(replace(bars, scale=scale), window=100, min_pairs=2).edge,
        rtol=1e-7,
    )


def test_one_giant_jump_leaves_no_trace_once_it_has_left_the_window():
    bars = traded_bars(9, funds=1)
    jump = np.where(np.arange(420)[:, None] < 100, 1.0, 1e8)
    prices = {name: jump * getattr(bars, name) for name in ("open", "high", "low", "close")}
    clean, dirty = estimate(bars), estimate(replace(bars, **prices))
    np.testing.assert_allclose(dirty.edge[351:], clean.edge[351:], rtol=1e-6)
    assert abs(dirty.edge[350, 0] - clean.edge[350, 0]) > 0.005


def test_prices_that_never_move_and_no_bars_at_all():
    flat = np.full((300, 1), 5.0)
    panel = estimate(bars_of(*(flat[:, 0],) * 4))
    assert np.isnan(panel.edge).all()
    assert panel.abdi_ranaldo[-1, 0] == panel.corwin_schultz[-1, 0] == 0.0
    none = traded_bars(1, sessions=300).without(np.ones((300, 4), dtype=bool))
    assert np.isnan(estimate(none).edge).all()
    assert (estimate(none).pairs == 0).all()
    for cut in (none.cut(slice(0)), none.cut(slice(None), slice(0))):
        assert estimate(cut).edge.shape == cut.close.shape


def test_minimum_history_and_staleness():
    bars = traded_bars(10, funds=1, sessions=120)
    missing = (np.arange(120) >= 100)[:, None]
    known = ~np.isnan(estimate(bars.without(missing), max_stale_sessions=3).edge[:, 0])
    assert np.flatnonzero(known).tolist() == list(range(60, 103))


@pytest.mark.parametrize("spread", [0.005, 0.02])
def test_finds_the_spread_in_continuous_trading(spread):
    panel = estimate(traded_bars(11, spread=spread, volatility=0.01, funds=40))
    for values in (panel.edge, panel.abdi_ranaldo):
        assert np.median(values[-1]) == pytest.approx(spread, rel=0.1)
    # Its ranges are too short between 60 moments a session, the more so where the spread does not dominate.
    assert 0.65 * spread < np.median(panel.corwin_schultz[-1]) < 1.1 * spread


@pytest.mark.parametrize("trades_a_session", [4, 2, 1])
def test_few_trades_bias_the_older_estimators_and_hardly_edge(trades_a_session):
    bars = traded_bars(12, spread=0.02, volatility=0.02, trade_chance=trades_a_session / 60, funds=60)
    panel = estimate(bars)
    ratio = {n: np.median(getattr(panel, n)[-1]) / 0.02 for n in ("edge", "abdi_ranaldo", "corwin_schultz")}
    assert abs(ratio["edge"] - 1.0) < 0.12
    assert ratio["abdi_ranaldo"] < min(0.9, ratio["edge"])
    assert ratio["corwin_schultz"] < min(0.75, ratio["abdi_ranaldo"])


def test_no_spread_is_as_often_negative_as_positive():
    panel = estimate(traded_bars(13, spread=0.0, volatility=0.01, funds=200, sessions=253))
    assert 0.4 < (panel.edge[-1] > 0).mean() < 0.6
    assert panel.spread[-1].min() == 0.0
    np.testing.assert_array_equal(panel.spread[-1], np.where(panel.edge[-1] > 0, panel.edge[-1], 0.0))


@pytest.mark.parametrize("spread", [0.0, 0.002, 0.02])
def test_the_interval_covers_the_spread(spread):
    panel = estimate(traded_bars(14, spread=spread, volatility=0.015, funds=200, sessions=253, moments=40))
    covered = (panel.lower[-1] <= spread) & (spread <= panel.upper[-1])
    assert 0.88 < covered.mean() < 0.99
    assert (panel.lower[-1] < panel.edge[-1]).all()
    assert (panel.edge[-1] < panel.upper[-1]).all()
    lower, upper = panel.interval
    assert ((lower[-1] <= spread) & (spread <= upper[-1])).mean() >= covered.mean()
    assert ((lower[-1] >= 0.0) & (lower[-1] <= panel.spread[-1]) & (panel.spread[-1] <= upper[-1])).all()
    assert (lower[-1] == 0.0).any() == (spread < 0.02)


def test_the_standard_error_is_the_scatter_of_a_large_spread():
    panel = estimate(traded_bars(15, spread=0.03, volatility=0.015, funds=200, sessions=253, moments=40))
    assert np.median(panel.standard_error[-1]) == pytest.approx(panel.edge[-1].std(), rel=0.2)


def test_one_root_is_nearer_the_median_than_the_mean_of_monthly_roots():
    truth = 0.003
    bars = traded_bars(16, spread=truth, volatility=0.015, funds=200, sessions=253, moments=40)
    year = estimate(bars).edge[-1]
    monthly = estimate(bars, window=21, min_pairs=10, block=5).edge
    monthly_mean = np.mean([monthly[-1 - 21 * k] for k in range(12)], axis=0)
    assert abs(np.median(year) / truth - 1.0) < 0.15
    assert np.median(monthly_mean) / truth < 0.7


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    def stage(*panels):
        return vars(spread_estimates(*panels, basis="as_traded", window=100, min_pairs=20, block=10))

    assert_causal(stage, messy_bars(seed).panels, (1, 2, 98, 99, 100, 101, 250, 300, 419))


def test_neither_other_funds_nor_workers_change_a_bit():
    bars = messy_bars(20)
    alone, together = estimate(bars.cut(slice(None), slice(1, 3))), estimate(bars)
    try:
        set_workers(1)
        one_by_one = estimate(bars)
    finally:
        set_workers(0)
    for name, values in vars(together).items():
        np.testing.assert_array_equal(getattr(one_by_one, name), values)
        np.testing.assert_array_equal(getattr(alone, name), values[:, 1:3])
    assert np.isfinite(together.edge).any(axis=0).sum() >= 4


def test_signed_root():
    np.testing.assert_array_equal(signed_root(np.array([4.0, -9.0, 0.0, np.nan])), [2.0, -3.0, 0.0, np.nan])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_pairs": 1}, "min_pairs"),
        ({"window": 60}, "min_pairs"),
        ({"block": 1}, "block"),
        ({"block": 64}, "block"),
        ({"basis": "raw"}, "basis"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        estimate(traded_bars(1, sessions=5), **options)
