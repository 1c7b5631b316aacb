"""Liquidity measures against their definitions, with every kind of missing volume."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.market.traded_value import traded_value
from etf_pipeline.core.risk.liquidity import liquidity, units_change
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def inputs(market):
    returns = total_return(
        market.close, market.accepted, market.scale, market.split, market.distribution, basis="as_traded"
    )
    return (
        market.close,
        market.volume,
        market.accepted,
        returns.total_return,
        returns.sessions_spanned,
        market.scale,
        market.split,
    )


def steady(sessions=300, funds=3, close=10.0, volume=2_000.0):
    """Panels of funds that trade the same every session, to be spoiled by the test."""
    shape = (sessions, funds)
    one = np.ones(shape)
    returns = np.full(shape, 0.01)
    return {
        "close": np.full(shape, close),
        "volume": np.full(shape, volume),
        "accepted": one > 0,
        "total_return": returns,
        "sessions_spanned": np.ones(shape, dtype=int),
        "scale": one.copy(),
        "split": one.copy(),
    }


def estimate(panels, **options):
    return liquidity(*panels.values(), **{"basis": "as_traded", **options})


def test_units():
    panel = estimate(steady())
    # 1 % for 20,000 traded: 50 % for a million.
    np.testing.assert_allclose(panel.amihud_per_million[-1], 0.5, rtol=1e-12)
    np.testing.assert_allclose(panel.median_traded_value[-1], 20_000.0)
    np.testing.assert_allclose(panel.average_volume[-1], 2_000.0)
    np.testing.assert_allclose(panel.recent_average_volume[-1], 2_000.0)
    assert (panel.zero_volume_sessions == 0).all()
    assert (panel.known_sessions[-1] == 252).all()


@pytest.mark.parametrize("seed", range(3))
def test_every_window_equals_the_definitions(seed):
    market = random_market(seed, sessions=200, funds=6, hole=0.1)
    panels = inputs(market)
    panel = liquidity(*panels, basis="as_traded", long=50, short=10, min_returns=5)
    value = traded_value(market.close, market.volume, market.accepted)
    _, _, _, returns, spanned, scale, split = panels
    change = units_change(market.accepted, scale, split, "as_traded")
    for t in range(0, 200, 7):
        for j in range(6):
            rows = np.arange(max(0, t - 49), t + 1)
            v, r = value[rows, j], returns[rows, j]
            use = (v > 0) & (spanned[rows, j] == 1) & ~np.isnan(r)
            assert panel.amihud_observations[t, j] == use.sum()
            assert panel.known_sessions[t, j] == (~np.isnan(v)).sum()
            assert panel.zero_volume_sessions[t, j] == (v == 0).sum()
            last_bar = market.accepted[: t + 1, j].nonzero()[0]
            if not len(last_bar) or t - last_bar[-1] > 5:
                assert np.isnan(panel.amihud_per_million[t, j])
            elif use.sum() >= 5:
                expected = np.mean(np.abs(r[use]) / (v[use] / 1e6))
                assert panel.amihud_per_million[t, j] == pytest.approx(expected, rel=1e-10)
            known = ~np.isnan(v)
            if known.sum() < 25:
                assert np.isnan(panel.average_volume[t, j])
                assert np.isnan(panel.median_traded_value[t, j])
                continue
            assert panel.median_traded_value[t, j] == pytest.approx(np.median(v[known]), rel=1e-12)
            units = [
                0.0 if value[s, j] == 0 else market.volume[s, j] * np.prod(change[s + 1 : t + 1, j])
                for s in rows[known]
            ]
            assert panel.average_volume[t, j] == pytest.approx(np.mean(units), rel=1e-10)
    assert np.isfinite(panel.amihud_per_million).sum() > 100


def test_missing_zero_and_unknown_volume_are_three_things():
    panels = steady(funds=8)
    panels["accepted"][-10, 0] = False  # silent while the market traded: no volume
    panels["volume"][-20:-10, 0] = 0.0  # a bar without trade: no volume
    panels["volume"][-30:-20, 0] = np.nan  # unknown
    panels["volume"][-40] = 0.0  # nobody shows volume: unknown
    panels["accepted"][-50, 1:] = False  # a hole in the source: unknown
    for name in ("close", "volume", "total_return"):
        panels[name][~panels["accepted"]] = np.nan
    panel = estimate(panels)
    assert panel.zero_volume_sessions[-1, :2].tolist() == [11, 0]
    assert panel.known_sessions[-1, :2].tolist() == [252 - 10 - 1, 252 - 2]
    np.testing.assert_allclose(panel.average_volume[-1, :2], [2_000 * (252 - 22) / 241, 2_000])
    assert panel.amihud_observations[-1, 0] == 252 - 22


def test_sessions_before_the_first_bar_do_not_count():
    panels = steady(funds=8)
    panels["accepted"][:250, 0] = False
    panel = estimate(panels)
    assert panel.known_sessions[-1, 0] == 50
    assert panel.zero_volume_sessions[-1, 0] == 0
    assert np.isnan(panel.average_volume[-1, 0])
    assert panel.recent_average_volume[-1, 0] == 2_000


def test_a_fund_that_stops_is_silent_from_then_on():
    panels = steady(sessions=600, funds=8)
    panels["accepted"][300:, 0] = False
    panels["volume"][300:, 0] = np.nan
    panel = estimate(panels)
    assert panel.zero_volume_sessions[[299, 330, 599], 0].tolist() == [0, 31, 252]
    assert panel.median_traded_value[-1, 0] == panel.average_volume[-1, 0] == 0.0


def test_illiquidity_ends_with_the_fund_though_returns_are_left_in_its_window():
    panels = steady(sessions=400, funds=8)
    panels["accepted"][300:, 0] = False
    for name in ("close", "volume", "total_return"):
        panels[name][300:, 0] = np.nan
    panels["sessions_spanned"][300:, 0] = 0
    panel = estimate(panels)
    assert panel.amihud_observations[[305, 399], 0].tolist() == [246, 152]
    assert np.flatnonzero(np.isnan(panel.amihud_per_million[260:, 0])).tolist() == list(range(45, 140))
    np.testing.assert_allclose(panel.amihud_per_million[304, 0], 0.5, rtol=1e-12)
    assert not np.isnan(panel.amihud_per_million[60:, 1]).any()
    patient = estimate(panels, max_stale_sessions=20).amihud_per_million[:, 0]
    assert np.flatnonzero(~np.isnan(patient)).max() == 319


def test_a_return_over_several_sessions_is_not_set_against_the_volume_of_one():
    panels = steady()
    panels["total_return"][-1] = 5.0
    panels["sessions_spanned"][-1] = 3
    np.testing.assert_allclose(estimate(panels).amihud_per_million[-1], 0.5, rtol=1e-12)


def test_volume_is_in_the_units_of_the_session():
    panels = steady(funds=3)
    panels["split"][290, 0] = 4.0
    panels["scale"][290, 1] = 20.0
    panels["scale"][290, 2] = np.nan
    panels["volume"][290:, 0] *= 4.0
    panels["volume"][290:, 1] /= 20.0
    panel = estimate(panels)
    np.testing.assert_allclose(panel.average_volume[-1], [8_000.0, 100.0, 2_000.0])
    np.testing.assert_allclose(panel.recent_average_volume[-1], [8_000.0, 100.0, 2_000.0])
    np.testing.assert_allclose(panel.average_volume[289], 2_000.0)
    adjusted = estimate(panels, basis="split_adjusted")
    assert adjusted.average_volume[289, 0] == 2_000.0
    assert adjusted.average_volume[-1, 0] == pytest.approx((242 * 2_000 + 10 * 8_000) / 252)


def test_a_price_that_does_not_move_has_no_impact_and_a_smaller_fund_a_larger_one():
    panels = steady(funds=3)
    panels["total_return"][:, 0] = 0.0
    panels["volume"][:, 2] /= 100.0
    ratio = estimate(panels).amihud_per_million[-1]
    np.testing.assert_allclose(ratio, [0.0, 0.5, 50.0], rtol=1e-12)


def test_a_giant_ratio_leaves_no_trace_once_it_has_left_the_window():
    panels = steady(sessions=600)
    clean = estimate(panels).amihud_per_million
    panels["volume"][300] = 1e-9
    dirty = estimate(panels).amihud_per_million
    np.testing.assert_array_equal(dirty[552:], clean[552:])
    assert (dirty[551] > 1e6).all()


def test_no_data():
    panels = {name: panel[:0] for name, panel in steady().items()}
    assert estimate(panels).average_volume.shape == (0, 3)
    panels = steady()
    panels["accepted"][:] = False
    for name in ("close", "volume", "total_return"):
        panels[name][:] = np.nan
    panel = estimate(panels)
    assert (panel.known_sessions == 0).all()
    for name in ("amihud_per_million", "median_traded_value", "average_volume", "recent_average_volume"):
        assert np.isnan(getattr(panel, name)).all()


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier(seed):
    def stage(*panels):
        return vars(liquidity(*panels, basis="as_traded", long=100, min_returns=20))

    assert_causal(stage, inputs(random_market(seed)), (1, 20, 99, 100, 101, 300, 419))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short": 300}, "short"),
        ({"short": 0}, "short"),
        ({"min_known_share": 0.0}, "min_known_share"),
        ({"min_returns": 253}, "min_returns"),
        ({"basis": "raw"}, "basis"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        estimate(steady(sessions=5), **options)
