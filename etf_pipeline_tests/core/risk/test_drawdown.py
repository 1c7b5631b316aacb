"""Drawdowns and downside measures against hand examples, plain references and each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.risk.drawdown import drawdowns
from etf_pipeline.core.risk.drawdown_kernels import fall_reference, rolling_peak_and_fall
from etf_pipeline_tests.core.random_market import assert_causal, random_market


def of_prices(prices, **options):
    close = np.array(prices, dtype=float)
    returns = np.r_[np.nan, close[1:] / close[:-1] - 1][:, None]
    spanned = np.ones((len(close), 1), dtype=np.int64)
    spanned[0] = 0
    return drawdowns(returns, spanned, **{"min_observations": 1, **options})


def market_inputs(seed, **options):
    m = random_market(seed, **options)
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    return p.total_return, p.sessions_spanned


def series(seed, sessions=1200, funds=3):
    return 0.0003 + 0.01 * np.random.default_rng(seed).standard_t(4, (sessions, funds))


def consecutive(returns):
    return np.ones(returns.shape, dtype=np.int64)


@pytest.mark.parametrize("window", [1, 2, 10, 64, 500])
def test_kernel_equals_the_reference_in_every_window(window):
    level = np.cumprod(1 + series(1, 300), axis=0)
    peak, fall = rolling_peak_and_fall(level, window)
    for t, j in np.ndindex(level.shape):
        seen = level[max(0, t - window + 1) : t + 1, j]
        assert peak[t, j] == seen.max()
        assert fall[t, j] == pytest.approx(fall_reference(seen), rel=1e-14)


def test_kernel_on_worthless_levels():
    level = np.array([[1.0], [0.5], [0.0], [0.0], [0.0]])
    np.testing.assert_array_equal(rolling_peak_and_fall(level, 2)[1][:, 0], [0, -0.5, -1, -1, -1])
    np.testing.assert_array_equal(rolling_peak_and_fall(level, 2)[0][:, 0], [1, 1, 0.5, 0, 0])


def test_hand_computed():
    panel = of_prices([100, 120, 90, 108, 60, 130])
    np.testing.assert_allclose(panel.current[1:, 0], [0, -0.25, -0.10, -0.50, 0], atol=1e-15)
    np.testing.assert_array_equal(panel.sessions_under_water[:, 0], [-1, 0, 1, 2, 3, 0])
    np.testing.assert_allclose(panel.maximum_252[1:, 0], [0, -0.25, -0.25, -0.5, -0.5], atol=1e-15)
    ulcer = np.sqrt((0.25**2 + 0.10**2 + 0.50**2) / 5)
    assert panel.ulcer_index[5, 0] == pytest.approx(ulcer, rel=1e-14)
    downside = np.sqrt(252 * (0.25**2 + (1 - 60 / 108) ** 2) / 5)
    assert panel.downside_deviation_annualised[5, 0] == pytest.approx(downside, rel=1e-14)


def test_a_drawdown_may_begin_at_the_close_before_the_first_return():
    panel = of_prices([100, 80, 90])
    np.testing.assert_allclose(panel.current[1:, 0], [-0.2, -0.1], atol=1e-15)
    np.testing.assert_allclose(panel.maximum_756[1:, 0], [-0.2, -0.2], atol=1e-15)
    np.testing.assert_array_equal(panel.sessions_under_water[1:, 0], [1, 2])


def test_a_peak_regained_by_the_cent_is_a_peak():
    panel = of_prices([50.10, 50.07, 50.10, 50.09, 50.11, 50.10, 50.11] * 40)
    assert (panel.current[13::7, 0] == 0).all()
    assert (panel.sessions_under_water[13::7, 0] == 0).all()


def test_maximum_drawdown_of_the_last_252_returns():
    returns = series(2)
    panel = drawdowns(returns, consecutive(returns))
    for t in (200, 251, 252, 700, 1199):
        for window, ours in ((252, panel.maximum_252), (756, panel.maximum_756)):
            used = returns[max(0, t - window + 1) : t + 1]
            for j in range(3):
                expected = fall_reference(np.cumprod(np.r_[1.0, 1 + used[:, j]]))
                assert ours[t, j] == pytest.approx(expected, rel=1e-11)


def test_ulcer_index_and_downside_deviation_equal_pandas():
    returns = series(3)
    panel = drawdowns(returns, consecutive(returns))
    level = pd.DataFrame(np.cumprod(1 + returns, axis=0))
    below = level / level.rolling(253, min_periods=1).max() - 1
    ulcer = (below**2).rolling(252).mean() ** 0.5
    np.testing.assert_allclose(panel.ulcer_index[600:], ulcer[600:], rtol=1e-9)
    downside = ((pd.DataFrame(returns).clip(upper=0) ** 2).rolling(252).mean() * 252) ** 0.5
    np.testing.assert_allclose(panel.downside_deviation_annualised[251:], downside[251:], rtol=1e-9)


def test_tail_ratio_equals_its_quantiles():
    returns = series(4, 400)
    panel = drawdowns(returns, consecutive(returns))
    low, high = np.quantile(returns[-252:], [0.05, 0.95], axis=0, method="weibull")
    np.testing.assert_allclose(panel.tail_ratio[-1], high / -low, rtol=1e-13)


def test_tail_ratio_of_mirrored_returns_is_its_inverse():
    returns = series(5, 400)
    ratio = drawdowns(returns, consecutive(returns)).tail_ratio
    mirrored = drawdowns(-np.clip(returns, -0.9, 0.9), consecutive(returns)).tail_ratio
    np.testing.assert_allclose(ratio * mirrored, np.where(np.isnan(ratio), np.nan, 1.0), rtol=1e-12)


def test_deeper_windows_and_longer_memories_fall_deeper():
    panel = drawdowns(*market_inputs(1, sessions=900))
    both = ~np.isnan(panel.maximum_252) & ~np.isnan(panel.maximum_756)
    assert both.any()
    assert (panel.maximum_756[both] <= panel.maximum_252[both]).all()
    short = drawdowns(*market_inputs(1, sessions=900), peak_window=60)
    known = ~np.isnan(panel.current)
    assert (panel.current[known] <= short.current[known] + 1e-12).all()
    assert (panel.ulcer_index[both] <= -panel.maximum_756[both] + 1).all()


def test_a_worse_session_never_betters_any_measure():
    returns = series(6, 500)
    worse = returns.copy()
    worse[400] -= 0.05
    before, after = (drawdowns(r, consecutive(r)) for r in (returns, worse))
    assert (after.current[400:] <= before.current[400:] + 1e-12).all()
    assert (after.maximum_252[400:] <= before.maximum_252[400:] + 1e-12).all()
    assert (after.downside_deviation_annualised[400:] >= before.downside_deviation_annualised[400:]).all()


@pytest.mark.parametrize("k", [0.5, 0.1])
def test_downside_scales_with_returns(k):
    returns = series(7, 400)
    full, part = drawdowns(returns, consecutive(returns)), drawdowns(k * returns, consecutive(returns))
    np.testing.assert_allclose(
        part.downside_deviation_annualised, k * full.downside_deviation_annualised, rtol=1e-12
    )
    np.testing.assert_allclose(part.tail_ratio, full.tail_ratio, rtol=1e-12)
    assert (part.maximum_252[251:] >= full.maximum_252[251:]).all()


def test_an_unknown_return_carries_the_index_over_the_break():
    returns = np.array([0.10, -0.20, np.nan, -0.10])[:, None]
    panel = drawdowns(returns, consecutive(returns), min_observations=1)
    np.testing.assert_allclose(panel.current[:, 0], [0, -0.2, -0.2, -0.28], atol=1e-15)
    np.testing.assert_array_equal(panel.unknown_returns[:, 0], [0, 0, 1, 1])


def test_a_hole_holds_the_index_and_its_return_counts_once():
    returns = np.array([0.10, -0.20, np.nan, np.nan, -0.10])[:, None]
    spanned = np.array([1, 1, 0, 0, 3])[:, None]
    panel = drawdowns(returns, spanned, min_observations=1)
    np.testing.assert_allclose(panel.current[:, 0], [0, -0.2, -0.2, -0.2, -0.28], atol=1e-15)
    np.testing.assert_array_equal(panel.sessions_under_water[:, 0], [0, 1, 2, 3, 4])
    expected = np.sqrt(252 * (0.2**2 + 0.1**2) / 5)
    assert panel.downside_deviation_annualised[4, 0] == pytest.approx(expected, rel=1e-14)


def test_nothing_before_the_first_return_or_long_after_the_last_bar():
    returns = np.full((40, 1), np.nan)
    returns[10:20] = 0.01
    spanned = np.where(np.isnan(returns), 0, 1)
    panel = drawdowns(returns, spanned, min_observations=5, max_stale_sessions=3)
    known = np.arange(40)
    np.testing.assert_array_equal(~np.isnan(panel.current[:, 0]), (known >= 10) & (known <= 22))
    np.testing.assert_array_equal(~np.isnan(panel.maximum_756[:, 0]), (known >= 14) & (known <= 22))
    np.testing.assert_array_equal(panel.sessions_under_water[:, 0] == -1, np.isnan(panel.current[:, 0]))


def test_history_before_a_fund_began_does_not_dilute_it():
    returns = series(8, 300, 1)
    later = np.vstack([np.full((500, 1), np.nan), returns])
    spanned = np.where(np.isnan(later), 0, 1)
    young, same = drawdowns(later, spanned), drawdowns(returns, consecutive(returns))
    for name in ("current", "maximum_252", "ulcer_index", "downside_deviation_annualised", "tail_ratio"):
        np.testing.assert_allclose(getattr(young, name)[500:], getattr(same, name), rtol=1e-9)


def test_a_price_that_never_moves():
    panel = drawdowns(np.zeros((300, 1)), np.ones((300, 1), int))
    for name in ("current", "maximum_252", "maximum_756", "ulcer_index", "downside_deviation_annualised"):
        assert (getattr(panel, name)[125:] == 0).all()
    assert np.isnan(panel.tail_ratio).all()
    assert (panel.sessions_under_water == 0).all()


def test_a_total_loss_is_total():
    returns = np.array([0.1, -1.0, 0.5, 0.0])[:, None]
    panel = drawdowns(returns, consecutive(returns), min_observations=1)
    np.testing.assert_array_equal(panel.current[:, 0], [0, -1, -1, -1])
    assert panel.maximum_252[-1, 0] == -1


def test_a_giant_jump_leaves_no_trace_in_the_windows_it_has_left():
    returns = series(9, 900, 1)
    struck = returns.copy()
    struck[100] = -0.99
    calm, hit = drawdowns(returns, consecutive(returns)), drawdowns(struck, consecutive(struck))
    assert hit.maximum_756[800, 0] == pytest.approx(-0.99, abs=0.01)
    for name, first in (("maximum_252", 353), ("downside_deviation_annualised", 352), ("ulcer_index", 605)):
        np.testing.assert_allclose(getattr(hit, name)[first:], getattr(calm, name)[first:], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_cutting_and_adding_funds_change_nothing(seed):
    inputs = market_inputs(seed, sessions=560, funds=7)

    def stage(returns, spanned, **options):
        return vars(drawdowns(returns, spanned, **options))

    assert_causal(stage, inputs, (1, 126, 252, 253, 254, 505, 559))
    assert_causal(lambda *p: stage(*p, peak_window=100), inputs, (1, 101, 202, 400))
    whole, alone = stage(*inputs), stage(inputs[0][:, 3:4], inputs[1][:, 3:4])
    for name, values in alone.items():
        assert values[:, 0].tobytes() == whole[name][:, 3].tobytes(), name


def test_no_sessions_give_no_rows():
    assert drawdowns(np.zeros((0, 2)), np.zeros((0, 2), int)).ulcer_index.shape == (0, 2)


def test_a_loss_beyond_everything_is_refused():
    with pytest.raises(ValueError, match=r"-1\.5 at session 1, ticker 0"):
        drawdowns(np.array([[0.0], [-1.5]]), np.ones((2, 1), int))


def test_impossible_window():
    with pytest.raises(ValueError, match="at least 1 session"):
        rolling_peak_and_fall(np.ones((2, 1)), 0)


@pytest.mark.data
def test_fixture_returns_equal_the_plain_definitions(market_data):
    frame = pd.read_csv(market_data / "numerics" / "empyrical_returns.csv", index_col=0)
    returns = frame.iloc[:, :1].to_numpy(dtype=float) / 100
    known = ~np.isnan(returns)
    panel = drawdowns(returns, known.astype(int), min_observations=1)
    plain = returns[known]
    level = np.cumprod(np.r_[1.0, 1 + plain])
    at = np.flatnonzero(known)[-1]
    assert panel.current[at, 0] == pytest.approx(level[-1] / level.max() - 1, abs=1e-10)
    last = np.cumprod(np.r_[1.0, 1 + plain[-252:]])
    assert panel.maximum_252[at, 0] == pytest.approx(fall_reference(last), rel=1e-9)
    downside = np.sqrt(252 * np.mean(np.minimum(plain[-252:], 0) ** 2))
    assert panel.downside_deviation_annualised[at, 0] == pytest.approx(downside, rel=1e-9)
