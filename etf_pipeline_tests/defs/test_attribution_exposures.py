"""What the exposure tables say of funds, from tables to tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.factor_regression import factor_regression
from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.market.long import to_long
from etf_pipeline.defs.attribution.exposures import factor_exposures, style_weights
from etf_pipeline.defs.attribution.models import factor_models
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline_tests.contract_rows import insert
from etf_pipeline_tests.defs import test_attribution_models as models

SESSIONS, TICKERS = models.SESSIONS, models.TICKERS


def body(asset):
    return asset.op.compute_fn.decorated_fn


def frames(panel):
    there = panel.spanned > 0
    returns = to_long(
        panel.sessions, panel.tickers, there, total_return=panel.total_return, sessions_spanned=panel.spanned
    )
    return returns, pd.DataFrame({"session": panel.sessions.astype("datetime64[s]")})


def exposures(directory, until=SESSIONS[-1]):
    outputs = body(factor_exposures)(*frames(models.panel(until)), models.held(directory, until))
    return {output.output_name: output.value for output in outputs}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return exposures(tmp_path_factory.mktemp("exposures"))


def test_the_tables_keep_their_contracts(whole):
    for name, frame in whole.items():
        contract = CONTRACTS[f"attribution.{name}"]
        assert set(frame.columns) == set(contract.names)
        assert not frame.duplicated(list(contract.key)).any()
        assert len(frame)
        mandatory = [c.name for c in contract.columns if not c.nullable]
        assert frame[mandatory].notna().all(axis=None)


def test_a_fund_has_at_most_one_main_model_a_session(whole):
    main = whole["rolling_exposure"][whole["rolling_exposure"]["is_main"]]
    assert not main.duplicated(["ticker", "session"]).any()
    world = main[main["ticker"] == "F01"].set_index("session")["model"].sort_index()
    assert set(world) == {"house", "developed_six"}
    assert world.iloc[-1] == "house"
    ends = whole["factor_exposure"].query(
        "ticker == 'F01' and span == 'rolling' and factor in ('market_excess', 'market')"
    )
    monthly = ends[ends["is_main"]].set_index("session")["model"].sort_index()
    pd.testing.assert_series_equal(monthly, world.loc[monthly.index], check_dtype=False)


def test_month_ends_tell_which_vintage_they_were_read_from(whole):
    frame = whole["factor_exposure"]
    published = frame[frame["model"] == "developed_six"].groupby("session")["factors_known_at"].first()
    assert published.loc["2020-06-30"] == pd.Timestamp("2020-07-31")
    assert published.loc["2020-07-31"] == pd.Timestamp("2021-07-31")
    assert published.index.max() == pd.Timestamp("2020-11-30")
    assert frame[frame["model"] == "house"]["factors_known_at"].isna().all()


def test_weekly_returns_are_annualised_as_weekly(whole, tmp_path):
    panel = models.panel()
    one = factor_models(models.held(tmp_path), panel)[0][0]
    assert one.return_sessions == 5
    ends = period_ends(panel.sessions, "asx")[-1:]
    k = np.flatnonzero(one.available[ends[0]])
    fit = factor_regression(
        one.excess, one.spanned, one.factors[..., k], ends, window=252, vintage=np.array([0])
    )
    rows = whole["factor_exposure"].query("model == 'house' and span == 'rolling'")
    rows = (
        rows[rows["session"] == pd.Timestamp(panel.sessions[ends[0]])]
        .drop_duplicates("ticker")
        .set_index("ticker")
    )
    np.testing.assert_allclose(rows["alpha_annualised"].loc[TICKERS], 252 / 5 * fit.alpha[0], rtol=1e-12)
    np.testing.assert_allclose(
        rows["residual_volatility_annualised"].loc[TICKERS],
        np.sqrt(252 / 5 * fit.residual_variance[0]),
        rtol=1e-12,
    )
    # Independent returns of 1 % a session: about 16 % a year, whatever they span.
    assert rows["residual_volatility_annualised"].loc[["F01", "F02"]].between(0.11, 0.22).all()
    assert (rows["return_sessions"] == 5).all()
    assert (rows["lag_days"] == 1).all()


@pytest.mark.parametrize("until", ["2020-06-30", "2020-09-10"])
def test_nothing_known_later_changes_a_row(whole, tmp_path, until):
    """On the last day of a month too: it is known to be one."""
    for name, frame in exposures(tmp_path, np.datetime64(until)).items():
        key = list(CONTRACTS[f"attribution.{name}"].key)
        expected = whole[name][whole[name]["session"] <= pd.Timestamp(until)].sort_values(key)
        assert len(frame)
        assert (frame["session"] == pd.Timestamp(until)).any() == (
            name == "rolling_exposure" or until == "2020-06-30"
        )
        pd.testing.assert_frame_equal(
            frame.sort_values(key).reset_index(drop=True),
            expected.reset_index(drop=True),
            check_exact=True,
            obj=name,
        )


def mixes(directory, until=SESSIONS[-1]):
    """Three funds of shares, three of bonds, a mix of both and one that never moves."""
    tickers = np.array(
        [*models.TICKERS[:1], *(f"B{i}" for i in range(3)), *(f"S{i}" for i in range(3)), "MIX", "STILL"]
    )
    tickers.sort()
    rng = np.random.default_rng(3)
    size = (len(SESSIONS), len(tickers))
    shares, bonds = rng.normal(0, 0.01, (len(SESSIONS), 1)), rng.normal(0, 0.003, (len(SESSIONS), 1))
    returns = np.where(np.char.startswith(tickers, "B"), bonds, shares) + rng.normal(0, 0.0002, size)
    at = {name: int(np.searchsorted(tickers, name)) for name in ("MIX", "STILL")}
    returns[:, at["MIX"]] = (0.6 * shares + 0.4 * bonds)[:, 0] + rng.normal(0, 0.0002, len(SESSIONS))
    returns[:, at["STILL"]] = 0.0
    spanned = np.ones(size, dtype=np.int64)
    returns[0], spanned[0] = np.nan, 0
    rows = int(np.searchsorted(SESSIONS, until, side="right"))
    panel = models.ReturnPanel(SESSIONS[:rows], tickers, returns[:rows], spanned[:rows])
    made = models.held(directory, until, with_factors=False)
    with made.warehouse.write() as connection:
        for ticker in tickers:
            kind = {"B": "fixed_income", "S": "australian_equity"}.get(ticker[0])
            if ticker in at:
                kind = "multi_asset"
            insert(connection, "raw.listings", ticker=ticker, asset_class=kind, withdrawn=False)
    everywhere = np.ones((rows, len(tickers)), dtype=bool)
    universe = to_long(SESSIONS[:rows], tickers, everywhere, is_member=everywhere)
    return body(style_weights)(*frames(panel), universe, made).value


def test_a_mix_is_found_and_a_fund_that_does_not_move_has_none(tmp_path):
    frame = mixes(tmp_path)
    assert set(frame["ticker"]) == {"MIX"}
    for _, part in frame.groupby("session"):
        weight = part.set_index("style")["weight"]
        assert weight.sum() == pytest.approx(1.0, abs=1e-12)
        assert weight["australian_equity"] == pytest.approx(0.6, abs=0.02)
        assert weight["fixed_income"] == pytest.approx(0.4, abs=0.02)
    assert frame["r_squared"].notna().all()


def test_later_quarters_change_no_mix(tmp_path):
    whole, part = mixes(tmp_path / "whole"), mixes(tmp_path / "cut", np.datetime64("2020-09-30"))
    expected = whole[whole["session"] <= pd.Timestamp("2020-09-30")].reset_index(drop=True)
    assert part["session"].max() == pd.Timestamp("2020-09-30")
    pd.testing.assert_frame_equal(part, expected, check_exact=True)
