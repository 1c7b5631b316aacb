"""Betas of well-known US funds, 2005 to 2026, against what their names promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.risk.beta import downside_beta, ewma_beta, hac_standard_error, rolling_beta
from etf_pipeline.core.risk.dimson_beta import dimson_beta
from etf_pipeline.core.risk.kalman_beta import kalman_beta

pytestmark = pytest.mark.data
FUNDS = ["SPY", "SH", "QQQ", "TLT", "EFA", "XLU"]


@pytest.fixture(scope="module")
def panels(market_data: Path):
    path = market_data / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet"
    bars = pd.read_parquet(path, columns=["ticker", "date", "adj_close"])
    close = bars[bars.ticker.isin(FUNDS)].pivot_table(index="date", columns="ticker", values="adj_close")[
        FUNDS
    ]
    r = close.to_numpy()[1:] / close.to_numpy()[:-1] - 1
    spanned = (~np.isnan(r)).astype(int)
    sessions = close.index.to_numpy().astype("datetime64[D]")[1:]
    return sessions, (r, spanned, r[:, 0].copy(), spanned[:, 0].copy())


def test_every_estimator_finds_the_inverse_fund_and_the_market_itself(panels):
    sessions, p = panels
    found = {
        "rolling": rolling_beta(*p).beta,
        "ewma": ewma_beta(*p).beta,
        "downside": downside_beta(*p).beta,
        "kalman": kalman_beta(*p, month_starts(sessions)).beta,
        "dimson": dimson_beta(*p).beta,
    }
    for name, beta in found.items():
        np.testing.assert_allclose(beta[300:, 0], 1.0, atol=1e-9, err_msg=name)
        assert np.nanmedian(beta[:, 1]) == pytest.approx(-1.0, abs=0.03), name
        assert np.nanmin(beta[:, 1]) > -1.5, name
        assert np.nanmedian(beta[:, 2]) == pytest.approx(1.1, abs=0.1), name  # Nasdaq 100
        assert np.nanmedian(beta[:, 3]) < 0, name  # long Treasuries
        assert 0.3 < np.nanmedian(beta[:, 5]) < 0.8, name  # utilities


def test_robust_errors_are_mostly_larger_than_classical(panels):
    _, p = panels
    ratio = hac_standard_error(*p)[:, 2:] / rolling_beta(*p).standard_error[:, 2:]
    assert 1.0 < np.nanmedian(ratio) < 2.5
    assert np.nanmin(ratio) > 0.3


def test_against_a_market_of_the_same_hours_nothing_shows_late(panels):
    _, p = panels
    late = np.nanmedian(np.abs(dimson_beta(*p).slopes[1]), axis=0)
    assert (late < 0.15).all()
