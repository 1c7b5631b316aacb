"""Stress tests on real funds: do predictions of past crises hold for funds that lived through them?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.stress.coverage import coverage, pretend_not_alive
from etf_pipeline.core.attribution.stress.exposures import fit_exposures
from etf_pipeline.core.attribution.stress.factors import FACTORS, factor_moves
from etf_pipeline.core.attribution.stress.losses import fund_losses
from etf_pipeline.core.attribution.stress.replay import realised_returns, window_rows
from etf_pipeline.core.attribution.stress.scenario_set import replay_paths
from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.stress_scenarios import read_stress_scenarios

pytestmark = pytest.mark.data

REPLAYS = read_stress_scenarios().replay
LEVELS = (0.80, 0.95)
NO_ACTIONS = pd.DataFrame(columns=["ticker", "ex_date", "kind", "value"])


def factor_levels(root, days: pd.DatetimeIndex) -> np.ndarray:
    """(D, K) on days of New York."""

    def fred(name: str) -> pd.Series:
        frame = pd.read_csv(root / "macro" / f"FRED_{name}.csv", parse_dates=["date"])
        return frame.set_index("date")["value"].reindex(days)

    french = pd.read_csv(
        root / "ff" / "202511_F-F_Research_Data_5_Factors_2x3_daily.csv", skiprows=4, index_col=0
    )
    french.index = french.index.astype(str).str.strip()
    french = french[french.index.str.fullmatch(r"\d{8}")].astype(float)
    market = (1 + (french["Mkt-RF"] + french["RF"]) / 100).cumprod()
    market.index = pd.to_datetime(market.index, format="%Y%m%d")
    old = pd.read_csv(root / "macro" / "AUDUSD_yahoo_2006-2024.csv")
    old = pd.Series(old["Close"].to_numpy(), pd.to_datetime(old["Date"].str[:10]))
    old = old[~old.index.duplicated()]
    new = pd.read_parquet(root / "asx" / "external_aud_usd.parquet").iloc[:, 0]
    currency = pd.concat([old, new[new.index > old.index[-1]]])
    currency = currency[currency.between(0.4, 1.2)]
    return np.column_stack(
        [
            market.reindex(days),
            fred("DGS10"),
            fred("BAMLH0A0HYM2"),
            currency.reindex(days),
            fred("DCOILWTICO"),
            fred("VIXCLS"),
        ]
    )


def windows_of(sessions: np.ndarray, shift: int):
    found = {
        name: window_rows(sessions, np.datetime64(r.start), np.datetime64(r.end), shift=shift)
        for name, r in REPLAYS.items()
    }
    return {name: window for name, window in found.items() if window is not None}


@pytest.fixture(scope="module")
def us(request):
    root = request.getfixturevalue("market_data")
    frame = pd.read_parquet(root / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet").rename(
        columns={"date": "session"}
    )
    frame = frame.drop_duplicates(["ticker", "session"]).assign(is_final=True)
    frame["close"] = frame["adj_close"]
    sessions = exchange_sessions("us", frame["session"].min(), frame["session"].max())
    panel = from_long(frame, NO_ACTIONS, sessions)[0]
    accepted = panel.close > 0
    one = np.ones_like(panel.close)
    close = np.where(accepted, panel.close, np.nan)
    r = total_return(close, accepted, one, one, 0 * one, basis="total_return_adjusted")
    moves = factor_moves(factor_levels(root, pd.DatetimeIndex(sessions)))
    return panel, r.total_return, r.sessions_spanned == 1, accepted, moves


@pytest.fixture(scope="module")
def asx(request):
    root = request.getfixturevalue("market_data")
    frame = pd.read_parquet(root / "asx" / "asx_prices_adj.parquet").rename(columns={"date": "session"})
    frame = frame.drop_duplicates(["ticker", "session"]).assign(adj_close=np.nan, is_final=True)
    sessions = exchange_sessions("asx", frame["session"].min(), frame["session"].max())
    panel = from_long(frame, NO_ACTIONS, sessions)[0]
    accepted = (panel.close > 0) & (panel.volume > 0)
    close = np.where(accepted, panel.close, np.nan)
    row = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(accepted, row, 0), axis=0)
    before = np.vstack([np.full((1, close.shape[1]), np.nan), np.take_along_axis(close, last, axis=0)[:-1]])
    ratio = close / before
    one = np.ones_like(close)
    scale = np.where((ratio > 1.6) | (ratio < 0.6), np.nan, 1.0)  # the quality stage in one line
    r = total_return(close, accepted, scale, one, 0 * one, basis="total_return_adjusted")
    days = pd.bdate_range("1996-12-31", sessions[-1])
    levels = pd.DataFrame(factor_levels(root, days)).ffill(limit=5).to_numpy()
    seen = np.searchsorted(days.to_numpy(), sessions) - 1  # the last close of New York before Sydney's
    return panel, r.total_return, r.sessions_spanned == 1, accepted, factor_moves(levels[seen])


def test_windows_run_from_highs_to_lows(us) -> None:
    """What the file says of the S&P 500: no close of the window is above its first or below its last."""
    panel, total, _, accepted, _ = us
    spy = list(panel.tickers).index("SPY")
    for name in ("us_downgrade_2011", "china_devaluation_2015", "covid_2020", "rates_2022", "tariffs_2025"):
        window = windows_of(panel.sessions, 0)[name]
        path = np.cumprod(1 + total[window.first + 1 : window.last + 1, spy])
        assert path.argmin() == len(path) - 1, name
        if name != "china_devaluation_2015":
            assert path.max() <= 1.012, name
        realised = realised_returns(total, accepted, window)[0][spy]
        assert realised == pytest.approx(path[-1] - 1)
    assert realised_returns(total, accepted, windows_of(panel.sessions, 0)["covid_2020"])[0][
        spy
    ] == pytest.approx(-0.335, abs=0.005)


@pytest.mark.parametrize(("side", "least_compared"), [("after", 900), ("before", 900)])
def test_coverage_of_us_funds(us, side: str, least_compared: int) -> None:
    panel, total, one_session, accepted, moves = us
    windows = list(windows_of(panel.sessions, 0).values())
    compared = pretend_not_alive(total, accepted, one_session, moves, windows, side=side)
    group = np.full(total.shape[1], -1)
    plain = coverage(compared, LEVELS, group)[0]
    calibrated = coverage(compared, LEVELS, group, calibrated=True)[0]
    assert plain.comparisons > least_compared
    np.testing.assert_allclose(plain.covered, LEVELS, atol=0.06)
    np.testing.assert_allclose(calibrated.covered, LEVELS, atol=0.03)
    assert abs(plain.bias) < 0.01
    assert plain.median_absolute_error < 0.03


def test_coverage_of_asx_funds_lagging_new_york(asx) -> None:
    panel, total, one_session, accepted, moves = asx
    windows = list(windows_of(panel.sessions, 1).values())
    compared = pretend_not_alive(total, accepted, one_session, moves, windows, side="before", lags=(-1, 0))
    group = np.full(total.shape[1], -1)
    plain = coverage(compared, LEVELS, group)[0]
    calibrated = coverage(compared, LEVELS, group, calibrated=True)[0]
    assert plain.comparisons > 800
    # Too wide rather than too narrow; calibration by the other windows narrows them to what they say.
    assert (plain.covered > np.array(LEVELS)).all()
    np.testing.assert_allclose(calibrated.covered, LEVELS, atol=0.04)
    assert abs(plain.bias) < 0.01


def test_the_dot_com_crash_of_funds_that_did_not_exist(request, us) -> None:
    """Funds of today in 2000..2002, without a currency series: the market fund fell as the market did."""
    root = request.getfixturevalue("market_data")
    panel, total, one_session, _, moves = us
    tickers = list(panel.tickers)
    recent = np.arange(len(panel.sessions)) >= len(panel.sessions) - 1500
    exposures = fit_exposures(np.where(one_session, total, np.nan), moves, recent)
    covariance = np.cov(moves[recent & ~np.isnan(moves).any(axis=1)].T)
    days = exchange_sessions("us", "1999-12-31", "2003-01-31")
    levels = factor_levels(root, pd.DatetimeIndex(days))
    assert np.isnan(levels[:, FACTORS.index("currency")]).all()
    replay = REPLAYS["dot_com"]
    dates = {"dot_com": (np.datetime64(replay.start), np.datetime64(replay.end))}
    paths, left_out = replay_paths(dates, days, factor_moves(levels), covariance, len(days) - 1)
    assert not left_out
    path = paths[0].path
    assert path.uncertainty[3, 3] > 0
    losses = fund_losses(exposures, [path])
    spy, qqq, bonds = (losses.total_return[0, tickers.index(t)] for t in ("SPY", "QQQ", "IEF"))
    rows = slice(*np.searchsorted(days, dates["dot_com"]))
    market = levels[rows.stop, 0] / levels[rows.start, 0] - 1
    assert spy == pytest.approx(market, abs=0.06)
    # The S&P 500 returned -47.4 % with dividends; the interval holds it.
    assert losses.low[0, 0, tickers.index("SPY")] < -0.474 < losses.high[0, 0, tickers.index("SPY")]
    assert qqq < spy
    assert bonds > 0
