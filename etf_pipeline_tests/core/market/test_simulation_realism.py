"""The simulated market looks like a market: bands an investor would accept, and the truth it states."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.simulation.prices import payment_months
from etf_pipeline_tests.core.market.simulation_fixtures import market, weekdays, wide

SEEDS = (7, 1, 2, 3)


def _annual_volatility(returns: np.ndarray) -> float:
    return float(np.nanstd(returns) * np.sqrt(252))


def _max_drawdown(returns: np.ndarray) -> float:
    wealth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    return float(-(wealth / np.maximum.accumulate(wealth) - 1.0).min())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[both], b[both])[0, 1])


@pytest.mark.parametrize("seed", SEEDS)
def test_benchmark(seed: int) -> None:
    returns = market(seed).truth.total_return[1:, 0]
    assert 0.12 < _annual_volatility(returns) < 0.22
    assert 0.20 < _max_drawdown(returns) < 0.60
    centred = returns - returns.mean()
    squared = centred**2
    assert (centred**4).mean() / squared.mean() ** 2 - 3.0 > 2.0
    clustering = [np.corrcoef(squared[lag:], squared[:-lag])[0, 1] for lag in range(1, 11)]
    assert clustering[0] > 0.05
    assert np.mean(clustering) > 0.05
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.08
    assert -0.05 < returns.mean() / returns.std() * np.sqrt(252) < 0.8


def test_benchmark_as_the_vendor_shows_it_has_the_same_volatility() -> None:
    simulated = market()
    close = wide(simulated, "close")[:, 0]
    seen = (close[1:] + simulated.truth.distribution[1:, 0]) / close[:-1] - 1.0
    true = simulated.truth.total_return[1:, 0]
    assert _annual_volatility(seen) == pytest.approx(_annual_volatility(true), rel=0.01)
    assert _correlation(seen, true) > 0.999


@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_by_asset_class(seed: int) -> None:
    truth = market(seed).truth
    enough = np.isfinite(truth.total_return).sum(axis=0) > 500
    bands = {
        "fixed_income": (0.03, 0.08),
        "cash": (0.0010, 0.0035),
        "australian_equity": (0.09, 0.24),
        "us_equity": (0.11, 0.27),
        "multi_asset": (0.03, 0.15),
        "crypto": (0.45, 1.0),
        "leveraged_inverse": (0.11, 0.50),
        "commodity": (0.11, 0.60),
    }
    for asset_class, (low, high) in bands.items():
        funds = np.flatnonzero((truth.asset_class == asset_class) & enough)
        assert len(funds)
        for i in funds:
            assert low < _annual_volatility(truth.total_return[:, i]) < high, truth.tickers[i]


@pytest.mark.parametrize("seed", SEEDS)
def test_true_sharpe_ratios_are_sober_and_not_all_funds_win(seed: int) -> None:
    truth = market(seed).truth
    long_lived = np.isfinite(truth.total_return).sum(axis=0) > 1250
    chosen = long_lived & ~np.isin(truth.asset_class, ["cash"])
    reference = market(seed).reference
    cash = reference.loc[reference["series"] == "cash_rate", "value"].to_numpy() / 100.0 / 252
    excess = (truth.total_return - cash[:, None])[:, chosen]
    sharpe = np.nanmean(excess, axis=0) / np.nanstd(excess, axis=0) * np.sqrt(252)
    assert -0.3 < np.median(sharpe) < 0.8
    assert (sharpe < 0).mean() > 0.02
    assert sharpe.max() < 1.5


@pytest.mark.parametrize("seed", SEEDS)
def test_leveraged_funds_multiply_the_day_and_lose_by_the_path(seed: int) -> None:
    truth = market(seed).truth
    base = truth.total_return[:, 0]
    for name, multiple in (("LEV01.SIM", 2.0), ("LEV02.SIM", -1.0), ("LEV03.SIM", -2.0)):
        i = truth.column(name)
        own = truth.total_return[:, i]
        both = np.isfinite(own) & np.isfinite(base)
        slope = np.polyfit(base[both], own[both], 1)[0]
        assert slope == pytest.approx(multiple, abs=0.06)
        assert truth.market_beta[i] == pytest.approx(multiple, abs=1e-9)
        # Financing, fees and tracking apart, a constant daily multiple m of an index grows by less than m
        # times its log growth: by half of (m^2 - m) times the variance (Cheng and Madhavan 2009).
        apart = (truth.expected_return + truth.idiosyncratic_return)[both]
        gained = np.log1p(own[both]).sum() - (apart[:, i] - multiple * apart[:, 0]).sum()
        decay = multiple * np.log1p(base[both]).sum() - gained
        assert decay == pytest.approx((multiple**2 - multiple) / 2 * (base[both] ** 2).sum(), rel=0.1)


def test_stated_beta_is_the_regression_beta() -> None:
    truth = market().truth
    base = truth.total_return[:, 0]
    assert truth.market_beta[0] == 1.0
    for i in np.flatnonzero(np.isfinite(truth.total_return).sum(axis=0) > 2000):
        own = truth.total_return[:, i]
        both = np.isfinite(own) & np.isfinite(base)
        x, y = base[both], own[both]
        slope, intercept = np.polyfit(x, y, 1)
        residual = y - intercept - slope * x
        # White's standard error: volatility moves together.
        centred = x - x.mean()
        error = np.sqrt((centred**2 * residual**2).sum()) / (centred**2).sum()
        stated = np.average(truth.conditional_market_beta[both, i], weights=centred**2)
        assert abs(slope - stated) < 4.5 * error + 0.02, truth.tickers[i]


@pytest.mark.parametrize("seed", SEEDS)
def test_stated_volatility_is_the_size_of_the_surprises(seed: int) -> None:
    truth = market(seed).truth
    surprise = truth.total_return - truth.expected_return
    scaled = surprise / truth.conditional_volatility_annualised * np.sqrt(252)
    mean_square = np.nanmean(scaled**2, axis=0)
    assert np.nanmedian(mean_square) == pytest.approx(1.0, abs=0.06)
    stress, calm = truth.regime == 2, truth.regime == 0
    vol = truth.conditional_volatility_annualised[:, 0]
    assert vol[stress].mean() > 2.0 * vol[calm].mean()
    assert np.nanmean(scaled[stress] ** 2) == pytest.approx(1.0, abs=0.15)
    factor = truth.factor_return / truth.factor_volatility * np.sqrt(252)
    np.testing.assert_allclose((factor**2).mean(axis=0), 1.0, atol=0.25)


@pytest.mark.parametrize("seed", SEEDS)
def test_us_funds_follow_the_session_of_the_day_before(seed: int) -> None:
    truth = market(seed).truth
    united_states = truth.factor_return[:, truth.factors.index("overseas_equity")]
    fund = truth.total_return[:, truth.column("USQ03.SIM")]  # currency-hedged
    assert _correlation(fund[1:], united_states[:-1]) > 0.9
    assert abs(_correlation(fund, united_states)) < 0.1
    home = truth.total_return[:, 0]
    assert 0.3 < _correlation(home[1:], united_states[:-1]) < 0.7


def test_correlations_have_the_right_signs() -> None:
    truth = market().truth

    def between(a: str, b: str) -> float:
        return _correlation(truth.total_return[:, truth.column(a)], truth.total_return[:, truth.column(b)])

    assert between("AEQ01.SIM", "MKT.SIM") > 0.95
    assert between("PRP01.SIM", "MKT.SIM") > 0.5
    assert between("FIX01.SIM", "MKT.SIM") < 0.1
    assert abs(between("COM01.SIM", "MKT.SIM")) < 0.45
    assert between("LEV03.SIM", "MKT.SIM") < -0.95
    assert between("CUR01.SIM", "MKT.SIM") < 0.0
    assert between("AEQ02.SIM", "AEQ06.SIM") > between("AEQ02.SIM", "USQ03.SIM")


def test_regimes_persist_and_all_occur() -> None:
    regime = market().truth.regime
    share = np.bincount(regime, minlength=3) / len(regime)
    assert (share > 0.04).all()
    assert share[2] < 0.25
    changes = (np.diff(regime) != 0).mean()
    assert 1 / 120 < changes < 1 / 30


@pytest.mark.parametrize("seed", SEEDS)
def test_the_dead_were_small_and_survivorship_flatters(seed: int) -> None:
    truth = market(seed).truth
    dead = np.isin(truth.tickers, truth.deaths["ticker"])
    size = np.array([col[np.isfinite(col)][-1] for col in truth.assets_under_management.T])
    assert np.median(size[dead]) < 0.4 * np.median(size[~dead])
    assert 0.0 < truth.survivorship_bias_annualised() < 0.02


def test_volume_is_heavy_tailed_and_follows_size() -> None:
    simulated = market()
    truth = simulated.truth
    volume = wide(simulated, "volume")
    value = np.where(truth.traded, volume * truth.clean_close, np.nan)
    size = np.nanmean(truth.assets_under_management, axis=0)
    assert np.corrcoef(np.log(np.nanmean(value, axis=0)), np.log(size))[0, 1] > 0.7
    liquid = np.nanmedian(value, axis=0) > 1e6
    ratio = np.nanmax(value[:, liquid], axis=0) / np.nanmedian(value[:, liquid], axis=0)
    assert np.median(ratio) > 8
    log_value = np.log(value[:, 0])
    assert np.corrcoef(log_value[1:], log_value[:-1])[0, 1] > 0.3
    surprise = np.abs(truth.total_return[1:, 0]) / truth.conditional_volatility_annualised[1:, 0]
    assert np.corrcoef(log_value[1:], surprise)[0, 1] > 0.1


def test_closes_bounce_between_bid_and_ask() -> None:
    truth = market().truth
    assert truth.half_spread.min() > 0.00005
    assert truth.half_spread.max() < 0.02
    bounce = truth.clean_close / truth.efficient_price - 1.0
    value = np.where(truth.traded, wide(market(), "volume") * truth.clean_close, np.nan)
    # Funds that take part in nearly every closing auction, with prices that ticks do not matter to.
    liquid = np.nanpercentile(value, 2, axis=0) > 3e5
    wide_price = [i for i in np.flatnonzero(liquid) if np.nanmin(truth.efficient_price[:, i]) > 20]
    assert len(wide_price) > 8
    for i in wide_price:
        seen = bounce[np.isfinite(bounce[:, i]), i]
        tick = 0.005 / np.nanmin(truth.efficient_price[:, i])
        assert np.mean(np.abs(seen)) == pytest.approx(truth.half_spread[i], abs=tick)
        assert abs(np.mean(seen)) < 0.2 * truth.half_spread[i]
        side = np.sign(seen)
        assert abs(np.corrcoef(side[1:], side[:-1])[0, 1]) < 0.1


def test_days_range_measures_the_open_to_close_volatility() -> None:
    simulated = market()
    truth = simulated.truth
    high, low = wide(simulated, "high")[1:, 0], wide(simulated, "low")[1:, 0]
    parkinson = np.log(high / low) ** 2 / (4 * np.log(2))
    within = 0.65 * truth.conditional_volatility_annualised[1:, 0] ** 2 / 252
    # Twelve looks a day miss part of the range (Garman and Klass 1980, figure 1).
    assert 0.6 < parkinson.mean() / within.mean() < 1.1


def test_us_funds_move_mostly_at_the_open() -> None:
    simulated = market()
    truth = simulated.truth
    opens, close = wide(simulated, "open"), wide(simulated, "close")

    def overnight_share(name: str) -> float:
        i = truth.column(name)
        ordinary = (truth.split[1:, i] == 1) & (truth.distribution[1:, i] == 0)
        gap = np.log(opens[1:, i] / close[:-1, i])[ordinary]
        day = np.log(close[1:, i] / opens[1:, i])[ordinary]
        return float(np.nanvar(gap) / (np.nanvar(gap) + np.nanvar(day)))

    assert overnight_share("USQ03.SIM") > 0.65
    assert overnight_share("MKT.SIM") < 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_skill_is_predictable_but_barely(seed: int) -> None:
    truth = market(seed).truth
    skill, returns = truth.alpha_annualised[1:, 1:], truth.idiosyncratic_return[1:, 1:]
    scaled = (returns + skill / 252) / truth.conditional_volatility_annualised[1:, 1:]
    skill = skill / truth.conditional_volatility_annualised[1:, 1:]
    both = np.isfinite(skill) & np.isfinite(scaled)
    coefficient = np.corrcoef(skill[both], scaled[both])[0, 1]
    assert 0.0 < coefficient < 0.04


def test_payment_dates_by_hand() -> None:
    days = np.array(
        [
            "2024-02-27",
            "2024-02-28",
            "2024-03-28",
            "2024-04-02",
            "2024-05-30",
            "2024-06-28",
            "2024-07-01",
            "2024-09-30",
        ],
        dtype="datetime64[D]",
    )
    # 28 February itself; Good Friday and Easter Monday push March's to 2 April; 30 June is a Sunday.
    assert payment_months(days).tolist() == [0, 2, 0, 3, 5, 0, 6, 9]
    assert payment_months(days[:1]).tolist() == [0]
    months = payment_months(weekdays())
    assert (np.bincount(months, minlength=13)[1:] >= 10).all()
