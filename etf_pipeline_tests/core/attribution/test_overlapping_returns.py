"""Returns over several sessions, and that they show exposures which daily returns across time zones hide."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.alignment import align_factors, excess_return
from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.house_factors import level_on_sessions
from etf_pipeline.core.attribution.overlapping_returns import overlapping_returns
from etf_pipeline_tests.core.attribution.factor_fixtures import us_six
from etf_pipeline_tests.core.random_market import assert_causal


def bars(seed, sessions=120, funds=5, hole=0.2):
    rng = np.random.default_rng(seed)
    close = 10 * np.cumprod(1 + rng.normal(0, 0.01, (sessions, funds)), axis=0)
    close[rng.random(close.shape) < hole] = np.nan
    returns, spanned = np.full(close.shape, np.nan), np.zeros(close.shape, dtype=np.int64)
    for j in range(funds):
        rows = np.flatnonzero(~np.isnan(close[:, j]))
        returns[rows[1:], j] = close[rows[1:], j] / close[rows[:-1], j] - 1
        spanned[rows[1:], j] = np.diff(rows)
    return close, returns, spanned


@pytest.mark.parametrize("length", [1, 2, 5, 21])
def test_equals_the_ratio_of_closes_where_both_ends_have_a_bar(length):
    close, returns, spanned = bars(0)
    found, span = overlapping_returns(returns, spanned, length)
    expected = np.full(close.shape, np.nan)
    expected[length:] = close[length:] / close[:-length] - 1
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(span, np.where(np.isnan(expected), 0, length))


def test_an_unknown_return_makes_every_span_over_it_unknown():
    _, returns, spanned = bars(1, hole=0.0)
    returns[50, 2] = np.nan
    found, _ = overlapping_returns(returns, spanned, 5)
    assert np.isnan(found[50:55, 2]).all()
    assert not np.isnan(found[55, 2])
    assert not np.isnan(found[49, 2])


def test_cuts_change_nothing():
    _, returns, spanned = bars(2)

    def stage(r, s):
        found, span = overlapping_returns(r, s, 5)
        return {"return": found, "span": span}

    assert_causal(stage, (returns, spanned), (1, 4, 5, 6, 77))


def test_a_price_between_two_closes_loads_fully_over_a_week_only():
    rng = np.random.default_rng(3)
    f = 0.01 * rng.normal(size=1500)
    known = 0.3 * f  # of the factors' day that the earlier close already has
    fund = known[1:] + (f - known)[:-1]
    days = np.arange("2015-01-01", "2024-01-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)][:1500]
    r, spanned = np.r_[np.nan, fund][:, None], np.r_[0, np.ones(1499, dtype=int)][:, None]
    loading = {}
    for length in (1, 5):
        aligned = align_factors(
            days, days, f[:, None], np.zeros(1500), ("market_excess",), lag_days=1, longest_span=length
        )
        y, span = overlapping_returns(r, spanned, length)
        fit = factor_regression(
            excess_return(y, span, aligned), span, aligned.value, np.array([1499]), window=None
        )
        loading[length] = fit.loading[0, 0, 0]
    assert loading[1] == pytest.approx(0.7, abs=0.05)
    assert loading[5] == pytest.approx(1 - 0.3 / 5, abs=0.05)


def test_what_cannot_be_meant_is_refused():
    _, returns, spanned = bars(4)
    with pytest.raises(ValueError, match="length"):
        overlapping_returns(returns, spanned, 0)
    with pytest.raises(ValueError, match="sessions_spanned"):
        overlapping_returns(returns, spanned[1:], 5)


@pytest.mark.data
def test_american_shares_on_the_asx_load_as_at_home(market_data):
    frame = pd.read_parquet(
        market_data / "asx" / "asx_prices_adj.parquet",
        columns=["ticker", "date", "close"],
        filters=[("ticker", "in", ["IVV.AX", "VTS.AX"])],
    )
    wide = frame.pivot_table(index="date", columns="ticker", values="close", observed=True)
    wide = wide[(wide.index >= "2015-06-01") & (wide.index < "2023-12-01")].dropna()
    sessions, close = wide.index.to_numpy().astype("datetime64[D]"), wide.to_numpy()
    r = np.vstack([np.full((1, 2), np.nan), close[1:] / close[:-1] - 1])
    r[np.abs(r) > 0.25] = np.nan  # scale breaks of the vendor
    spanned = np.where(np.arange(len(r))[:, None] > 0, 1, 0) * np.ones((1, 2), dtype=np.int64)
    dollar = pd.read_csv(market_data / "macro" / "AUDUSD_yahoo_2006-2024.csv")
    # This vendor's close of a date is the rate at its beginning in London: Sydney's afternoon knows it.
    rate = level_on_sessions(
        sessions,
        dollar["Date"].str[:10].to_numpy().astype("datetime64[D]"),
        dollar["Close"].to_numpy(),
        lag_days=0,
    )
    names = ("market_excess", "size", "value", "profitability", "investment", "momentum")
    days, value, rf = us_six(market_data)
    found = {}
    for length in (1, 5):
        for lag in (0, 1):
            aligned = align_factors(sessions, days, value, rf, names, lag_days=lag, longest_span=length)
            y, span = overlapping_returns(r, spanned, length)
            y = excess_return(y, span, aligned, exchange_rate=rate)
            fit = factor_regression(y, span, aligned.value, np.array([len(r) - 1]), window=1000)
            found[length, lag] = fit.loading[0, :, 0], fit.r_squared[0]
    assert (np.abs(found[5, 1][0] - 1) < 0.1).all()
    assert (found[5, 1][1] > 0.85).all()
    assert (found[1, 1][0] < 0.8).all()  # the day's own futures are in neither day alone
    assert (found[1, 0][1] < 0.2).all()  # and without the lag there is next to nothing
