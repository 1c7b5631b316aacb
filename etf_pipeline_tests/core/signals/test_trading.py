"""The volume signals: equal to their definitions, indifferent to units, silent about funds that hardly trade."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.signals import (
    VOLUME_REASONS,
    money_flow,
    on_balance_volume,
    price_volume_correlation,
    trading,
    trading_activity,
    volume_spike,
)
from etf_pipeline.core.signals.on_balance_volume import on_balance_reference
from etf_pipeline.core.signals.volume_spike import robust_score_reference
from etf_pipeline_tests.core.random_market import assert_causal, random_market


class Market:
    """Funds without defects, to be changed and asked for their signals."""

    def __init__(self, seed=0, sessions=400, funds=3):
        rng = np.random.default_rng(seed)
        self.shape = (sessions, funds)
        self.returns = rng.normal(0.0003, 0.01, self.shape)
        self.close = 10.0 * np.cumprod(1 + self.returns, axis=0)
        self.high = self.close * (1 + np.abs(rng.normal(0, 0.005, self.shape)))
        self.low = self.close * (1 - np.abs(rng.normal(0, 0.005, self.shape)))
        self.volume = np.round(rng.lognormal(8, 1, self.shape)) + 1
        self.accepted = np.ones(self.shape, dtype=bool)
        self.split, self.scale = np.ones(self.shape), np.ones(self.shape)
        self.spanned = np.ones(self.shape, dtype=np.int64)

    def silence(self, where, fund):
        """Bars without trade."""
        self.volume[where, fund] = 0.0

    def die(self, row, fund):
        """No bar after ``row``."""
        self.accepted[row + 1 :, fund] = False
        for panel in (self.close, self.high, self.low, self.volume, self.returns):
            panel[row + 1 :, fund] = np.nan
        self.spanned[row + 1 :, fund] = 0

    def trades(self):
        return trading(self.close, self.volume, self.accepted, self.scale, self.split, basis="as_traded")

    def signals(self):
        """name -> (values, reasons)."""
        trades = self.trades()
        spike, flow = volume_spike(trades), money_flow(self.high, self.low, self.close, trades)
        balance = on_balance_volume(self.returns, trades)
        together = price_volume_correlation(self.returns, self.spanned, trades)
        activity = trading_activity(trades)
        return {
            "volume_spike": (spike.volume_spike, spike.reason),
            "accumulation_distribution": (flow.accumulation_distribution, flow.reason),
            "on_balance_volume": (balance.on_balance_volume, balance.reason),
            "price_volume_correlation": (together.price_volume_correlation, together.reason),
            "zero_volume_share": (activity.zero_volume_share, activity.long_reason),
            "average_daily_units": (activity.average_daily_units, activity.short_reason),
        }


SIGNALS = tuple(Market(sessions=70).signals())
OF_TRADE = SIGNALS[:4]


def named(reason):
    return np.array(VOLUME_REASONS)[reason]


# --- each by its definition ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(20, 200))
def test_spike_is_the_robust_score_among_the_sessions_before(seed, window):
    market = Market(seed, sessions=260)
    rng = np.random.default_rng(seed)
    market.silence(rng.random(260) < 0.3, 1)
    market.volume[:, 2] = rng.integers(1, 4, 260)  # ties
    market.close[:] = 10.0
    x = np.where(market.volume > 0, np.log(np.where(market.volume > 0, 10.0 * market.volume, 1.0)), np.nan)
    panel = volume_spike(market.trades(), window=window, min_traded=10)
    for t in (60, 149, 150, 259):
        for j in range(3):
            if panel.reason[t, j] == 0:
                expected = robust_score_reference(x[:, j], t, window)
                assert panel.volume_spike[t, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert (panel.reason[60:, 0] == 0).all()


def test_a_tenfold_day_is_a_spike_and_does_not_hide_the_next():
    market = Market(1)
    market.volume[350, 0] = market.volume[351, 0] = 1000 * np.median(market.volume[:, 0])
    spike = volume_spike(market.trades()).volume_spike
    assert spike[350, 0] > 5
    assert spike[351, 0] == pytest.approx(spike[350, 0], rel=0.05)


def test_spikes_of_lognormal_volume_are_standard_normal():
    market = Market(2, sessions=1000, funds=20)
    market.close[:] = 10.0
    spike = volume_spike(market.trades()).volume_spike[252:]
    assert spike.mean() == pytest.approx(0.0, abs=0.05)
    assert spike.std() == pytest.approx(1.0, abs=0.05)


def test_money_flow_is_chaikins():
    market = Market(3)
    m = {name: pd.DataFrame(getattr(market, name)) for name in ("high", "low", "close", "volume")}
    value = m["close"] * m["volume"]
    place = ((m["close"] - m["low"]) - (m["high"] - m["close"])) / (m["high"] - m["low"])
    expected = (place * value).rolling(21).sum() / value.rolling(21).sum()
    flow, _ = market.signals()["accumulation_distribution"]
    np.testing.assert_allclose(flow[20:], expected.to_numpy()[20:], rtol=1e-10, atol=1e-12)


def test_money_flow_leaves_out_sessions_at_one_price():
    market = Market(4)
    market.close = market.high.copy()
    at_one_price = np.arange(400) % 3 == 0
    market.low[at_one_price] = market.high[at_one_price]
    flow, _ = market.signals()["accumulation_distribution"]
    np.testing.assert_allclose(flow[21:], 1.0)
    market.low[np.arange(400) % 3 != 1] = market.high[np.arange(400) % 3 != 1]
    flow, reason = market.signals()["accumulation_distribution"]
    assert (named(reason)[21:] == "too_little_trading").all()
    assert np.isnan(flow).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_on_balance_volume_is_the_slope_of_its_line(seed):
    market = Market(seed, sessions=100)
    value, _ = market.signals()["on_balance_volume"]
    for t in (62, 63, 99):
        for j in range(3):
            rows = slice(t - 62, t + 1)
            expected = on_balance_reference(market.returns[rows, j], market.volume[rows, j])
            assert value[t, j] == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_steady_volume_on_rising_sessions_is_one_and_on_falling_minus_one():
    market = Market(5)
    market.volume[:] = 500.0
    market.returns[:, 0], market.returns[:, 1], market.returns[:, 2] = 0.01, -0.01, 0.0
    value, _ = market.signals()["on_balance_volume"]
    np.testing.assert_allclose(value[63:], np.tile([1.0, -1.0, 0.0], (337, 1)), atol=1e-12)


def test_units_traded_in_an_unknown_direction_count_on_neither_side():
    market = Market(6)
    market.volume[:] = 500.0
    market.returns[:] = 0.01
    market.returns[390:395, 0] = np.nan
    market.returns[340:380, 1] = np.nan
    value, reason = market.signals()["on_balance_volume"]
    assert 0.9 < value[399, 0] < 1.1
    assert named(reason)[399, 1] == "volume_unknown"


def test_price_volume_correlation_is_that_of_changes():
    market = Market(7)
    change = pd.DataFrame(np.log(market.volume)).diff()
    expected = change.rolling(63).corr(pd.DataFrame(market.returns)).to_numpy()
    value, _ = market.signals()["price_volume_correlation"]
    np.testing.assert_allclose(value[63:], expected[63:], rtol=1e-8, atol=1e-10)


def test_volume_that_swells_on_rises_correlates():
    market = Market(8)
    market.volume = np.exp(
        8 + np.cumsum(np.where(np.arange(400)[:, None] % 2, 0.5, -0.5), axis=0) * np.ones(3)
    )
    market.returns[:, 0] = np.where(np.arange(400) % 2, 0.01, -0.01)
    market.returns[:, 1] = -market.returns[:, 0]
    value, _ = market.signals()["price_volume_correlation"]
    assert value[399, 0] == pytest.approx(1.0)
    assert value[399, 1] == pytest.approx(-1.0)


def test_activity_counts():
    market = Market(9)
    market.volume[:] = 100.0
    market.silence(slice(390, 400), 1)
    market.volume[395:, 2] = np.nan
    activity = trading_activity(market.trades())
    np.testing.assert_allclose(activity.zero_volume_share[399], [0, 10 / 252, 0])
    np.testing.assert_allclose(activity.average_daily_units[399], [100, 100 * 53 / 63, 100])
    np.testing.assert_allclose(activity.traded_share[399], [1, 53 / 63, 58 / 63])


# --- what must not matter --------------------------------------------------------------------------------------------


def test_price_level_and_number_of_units_do_not_matter():
    one, other = Market(10), Market(10)
    other.volume *= 1000
    for name in ("close", "high", "low"):
        setattr(other, name, 7.0 * getattr(other, name))
    for name, (value, _) in one.signals().items():
        scaled, _ = other.signals()[name]
        factor = 1000.0 if name == "average_daily_units" else 1.0
        np.testing.assert_allclose(scaled, factor * value, rtol=1e-7, atol=1e-9, err_msg=name)


def test_a_split_leaves_no_trace_but_in_todays_units():
    one, other = Market(11), Market(11)
    other.split[300] = 10.0
    other.volume[300:] *= 10
    for name in ("close", "high", "low"):
        getattr(other, name)[300:] /= 10
    for name, (value, _) in one.signals().items():
        split, _ = other.signals()[name]
        factor = np.where(np.arange(400) >= 300, 10.0, 1.0)[:, None] if name == "average_daily_units" else 1.0
        np.testing.assert_allclose(split, factor * value, rtol=1e-8, atol=1e-9, err_msg=name)


# --- thin and dead funds ---------------------------------------------------------------------------------------------


def test_a_fund_that_never_trades_has_no_signal_and_says_so():
    market = Market(12)
    market.silence(slice(None), 1)
    signals = market.signals()
    for name in OF_TRADE:
        value, reason = signals[name]
        assert np.isnan(value[:, 1]).all(), name
        assert set(named(reason)[260:, 1]) == {"no_trading"}, name
        assert np.isfinite(value[260:, [0, 2]]).all(), name
    # That it does not trade is known.
    assert (signals["zero_volume_share"][0][260:, 1] == 1.0).all()
    assert (signals["average_daily_units"][0][260:, 1] == 0.0).all()


@pytest.mark.parametrize("name", OF_TRADE)
def test_a_fund_that_trades_once_a_week_has_no_signal(name):
    market = Market(13)
    market.silence(np.arange(400) % 5 != 0, 1)
    value, reason = market.signals()[name]
    assert np.isnan(value[:, 1]).all()
    assert set(named(reason)[260:, 1]) <= {"too_little_trading", "silent_session"}


def test_a_silent_session_has_no_spike_and_the_next_one_has():
    market = Market(14)
    market.silence(380, 0)
    value, reason = market.signals()["volume_spike"]
    assert named(reason)[379:382, 0].tolist() == ["", "silent_session", ""]
    assert np.isnan(value[380, 0])


def test_volume_that_never_varies_is_nothing_to_measure_by():
    market = Market(15)
    market.volume[:], market.close[:] = 100.0, 10.0
    signals = market.signals()
    for name in ("volume_spike", "price_volume_correlation"):
        assert set(named(signals[name][1])[260:].ravel()) == {"no_variation"}, name


@pytest.mark.parametrize("name", SIGNALS)
def test_a_value_outlives_its_fund_by_five_sessions(name):
    market = Market(16)
    market.die(350, 1)
    value, reason = market.signals()[name]
    assert np.isnan(value[356:, 1]).all()
    assert set(named(reason)[356:, 1]) == {"no_recent_bar"}
    if name != "volume_spike":  # days without a bar are days without trade
        assert np.isfinite(value[350:356, 1]).all()
    activity = trading_activity(market.trades())
    assert np.isfinite(activity.traded_share[350:356, 1]).all()
    assert np.isnan(activity.traded_share[356:, 1]).all()


@pytest.mark.parametrize("name", SIGNALS)
def test_where_there_is_no_value_there_is_a_reason(name):
    market = Market(17)
    market.die(300, 1)
    market.volume[250:, 2] = np.nan
    value, reason = market.signals()[name]
    assert (np.isfinite(value) == (reason == 0)).all()
    assert {"volume_unknown", "no_recent_bar"} <= set(named(reason).ravel()) | {""}


@pytest.mark.parametrize("seed", range(2))
def test_cutting_changes_nothing_earlier(seed):
    m = random_market(seed)
    rng = np.random.default_rng(seed)
    wide = np.abs(rng.normal(0, 0.01, (2, *m.close.shape)))
    panels = (m.close, m.volume, m.accepted, m.scale, m.split, m.distribution)

    def stage(close, volume, accepted, scale, split, distribution):
        rows = len(close)
        p = total_return(close, accepted, scale, split, distribution, basis="as_traded")
        trades = trading(close, volume, accepted, scale, split, basis="as_traded")
        parts = (
            volume_spike(trades, window=100, min_traded=50),
            money_flow(close * (1 + wide[0, :rows]), close * (1 - wide[1, :rows]), close, trades),
            on_balance_volume(p.total_return, trades),
            price_volume_correlation(p.total_return, p.sessions_spanned, trades),
            trading_activity(trades, long=100),
        )
        return {f"{n} {name}": value for n, part in enumerate(parts) for name, value in vars(part).items()}

    assert_causal(stage, panels, (1, 21, 63, 64, 100, 101, 300, 419))


# --- refused ---------------------------------------------------------------------------------------------------------


def test_impossible_options():
    market = Market(18, sessions=30)
    trades = market.trades()
    with pytest.raises(ValueError, match="must hold"):
        volume_spike(trades, min_traded=1)
    with pytest.raises(ValueError, match="must hold"):
        price_volume_correlation(market.returns, market.spanned, trades, min_observations=64)
    with pytest.raises(ValueError, match="at least 2"):
        on_balance_volume(market.returns, trades, window=1)
    with pytest.raises(ValueError, match="must lie"):
        trading_activity(trades, min_known_share=0.0)
    with pytest.raises(ValueError, match="basis"):
        trading(
            market.close, market.volume, market.accepted, market.scale, market.split,
            basis="unheard_of",
        )  # fmt: skip
