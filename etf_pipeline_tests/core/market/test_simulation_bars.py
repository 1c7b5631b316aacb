"""What the simulated vendor delivers: contract, coherence, accounting, labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.simulation import BENCHMARK
from etf_pipeline.core.market.simulation import model as simulation_model
from etf_pipeline.sources import base
from etf_pipeline_tests.core.market.simulation_fixtures import market, own_defects, wide


def test_columns_are_those_of_the_sources_contract() -> None:
    for name in ("BAR_COLUMNS", "ACTION_COLUMNS", "LISTING_COLUMNS", "REFERENCE_COLUMNS"):
        assert getattr(simulation_model, name) == getattr(base, name)
    simulated = market()
    assert list(simulated.bars.columns) == base.BAR_COLUMNS
    assert list(simulated.actions.columns) == base.ACTION_COLUMNS
    assert list(simulated.listings.columns) == base.LISTING_COLUMNS
    assert list(simulated.reference.columns) == base.REFERENCE_COLUMNS


def test_types() -> None:
    bars = market().bars.dtypes.astype(str).to_dict()
    assert bars["ticker"] == "str"
    assert bars["session"] == "datetime64[us]"
    assert {bars[c] for c in ("open", "high", "low", "close", "adj_close", "volume")} == {"float64"}
    assert bars["is_final"] == "bool"
    actions = market().actions.dtypes.astype(str).to_dict()
    assert actions == {"ticker": "str", "ex_date": "datetime64[us]", "kind": "str", "value": "float64"}
    listings = market().listings.dtypes.astype(str).to_dict()
    assert listings["listed_on"] == listings["delisted_on"] == "datetime64[us]"
    assert listings["is_leveraged"] == "object"
    assert market().reference.dtypes.astype(str).to_dict()["value"] == "float64"


def test_one_sorted_row_a_ticker_and_session() -> None:
    bars = market().bars
    keys = pd.MultiIndex.from_frame(bars[["ticker", "session"]])
    assert keys.is_unique
    assert keys.is_monotonic_increasing
    assert not pd.MultiIndex.from_frame(market().actions[["ticker", "ex_date", "kind"]]).duplicated().any()


def test_prices_are_coherent_and_volumes_whole() -> None:
    bars = market().bars
    prices = bars[["open", "high", "low", "close"]]
    assert np.isfinite(prices).all().all()
    assert bars["adj_close"].isna().all()
    quoted = bars[bars["open"] > 0]
    assert (quoted["low"] <= quoted[["open", "close"]].min(axis=1)).all()
    assert (quoted["high"] >= quoted[["open", "close"]].max(axis=1)).all()
    assert (bars["close"] > 0).all()
    assert (bars["volume"] >= 0).all()
    assert (bars["volume"] == np.rint(bars["volume"])).all()


def test_prices_are_on_the_exchange_grid() -> None:
    truth = market().truth
    price = truth.clean_close[truth.traded]
    cents = np.where(price >= 2.0, price * 100, np.where(price >= 0.10, price * 200, price * 1000))
    np.testing.assert_allclose(cents, np.rint(cents), atol=1e-6)
    decimals = price[price >= 2.0]
    assert (decimals == np.round(decimals, 2)).all()


def test_all_asset_classes_and_the_benchmark() -> None:
    listings = market().listings
    assert set(listings["asset_class"]) == set(base.ASSET_CLASSES)
    assert listings["is_leveraged"].eq(listings["asset_class"] == "leveraged_inverse").all()
    benchmark = listings.set_index("ticker").loc[BENCHMARK]
    assert benchmark["asset_class"] == "australian_equity"
    assert benchmark["listed_on"] == pd.Timestamp(market().truth.sessions[0])
    assert pd.isna(benchmark["delisted_on"])
    assert BENCHMARK not in set(market().truth.defects["ticker"])
    bars = market().bars
    own = bars[bars["ticker"] == BENCHMARK]
    assert len(own) == len(market().truth.sessions)
    assert (own["volume"] > 0).all()
    assert (own["close"] * own["volume"]).median() > 5e6


@pytest.mark.parametrize("where", ["asx", "us"])
def test_simulated_is_written_on_every_fund(where: str) -> None:
    listings = market(n_funds=40, where=where).listings
    assert listings["ticker"].str.endswith(".SIM").all()
    assert listings["name"].str.contains("(simulated)", regex=False).all()
    assert listings["ticker"].is_unique


def test_us_market_has_its_currency_class_and_no_lag() -> None:
    simulated = market(n_funds=40, where="us")
    assert set(simulated.listings["currency"]) == {"USD"}
    classes = simulated.listings.set_index("ticker")["asset_class"]
    assert classes[BENCHMARK] == "us_equity"
    assert "australian_equity" not in set(classes)
    assert not simulated.truth.factor_lag.any()
    truth = simulated.truth
    fund = truth.column("FEQ01.SIM")
    shock = truth.factor_return[1:, truth.factors.index("overseas_equity")]
    own = truth.total_return[1:, fund]
    seen = np.isfinite(own)
    assert np.corrcoef(own[seen], shock[seen])[0, 1] > 0.7


def test_reference_series() -> None:
    reference = market().reference
    wanted = {"vix", "us_10y_yield", "au_10y_yield", "audusd", "cash_rate", "us_high_yield_spread", "wti_oil"}
    assert set(reference["series"]) == wanted
    panel = reference.pivot_table(index="session", columns="series", values="value")
    assert panel.notna().all().all()
    assert panel["vix"].between(8, 150).all()
    assert panel["audusd"].between(0.4, 1.3).all()
    assert panel["us_high_yield_spread"].between(1.5, 25).all()
    assert panel["wti_oil"].between(5, 400).all()
    assert panel["us_high_yield_spread"].std() > 0.2
    assert panel["wti_oil"].std() > 5
    assert (
        panel[["us_10y_yield", "au_10y_yield", "cash_rate"]].apply(lambda s: s.between(0.05, 9).all()).all()
    )
    steps = panel["cash_rate"].diff().dropna()
    assert set(np.round(np.abs(steps.to_numpy()), 2)) <= {0.0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.50}
    vix_in_stress = panel["vix"][market().truth.regime == 2].mean()
    assert vix_in_stress > 1.4 * panel["vix"][market().truth.regime == 0].mean()


def test_true_return_is_price_split_and_distribution() -> None:
    truth = market().truth
    price = truth.efficient_price
    by_hand = (price[1:] * truth.split[1:] + truth.distribution[1:]) / price[:-1] - 1.0
    here = np.isfinite(truth.total_return[1:])
    assert here.sum() > 200_000
    np.testing.assert_allclose(by_hand[here], truth.total_return[1:][here], atol=1e-12)


def test_true_return_is_its_parts() -> None:
    truth = market().truth
    total = truth.expected_return + truth.idiosyncratic_return
    for k, lag in enumerate(truth.factor_lag):
        felt = np.roll(truth.factor_return[:, k], lag)
        felt[:lag] = 0.0
        total = total + felt[:, None] * truth.factor_loading[None, :, k]
    here = np.isfinite(truth.total_return)
    np.testing.assert_allclose(np.maximum(total, -0.95)[here], truth.total_return[here], atol=1e-12)


def test_vendor_bars_and_actions_give_the_true_return_up_to_spread_and_tick() -> None:
    simulated = market()
    truth = simulated.truth
    panel, off_session = from_long(simulated.bars, simulated.actions, truth.sessions, truth.tickers)
    assert len(off_session)  # the bars on closed days
    seen = (panel.close[1:] * panel.split[1:] + panel.distribution[1:]) / panel.close[:-1] - 1.0
    # The last price is within half a spread and half a tick of the efficient one.
    tick = np.where(truth.efficient_price >= 2.0, 0.01, 0.005)
    off = truth.efficient_price * truth.half_spread + tick / 2 + 1e-9
    bound = (off[1:] * truth.split[1:] + off[:-1] * (1 + np.abs(seen))) / truth.efficient_price[:-1]
    clean = ~np.isin(truth.tickers, own_defects(simulated)["ticker"])
    here = np.isfinite(truth.total_return[1:]) & np.isfinite(seen) & clean
    # A closing auction takes place where there are enough trades; liquid funds only.
    value = np.nanmedian(panel.close * panel.volume, axis=0)
    here &= value > 2e6
    error = np.abs(seen - truth.total_return[1:])
    assert here.sum() > 30_000
    assert (error[here] <= bound[here]).mean() > 0.999
    assert (error <= bound)[:, 0].all()


def test_distributions_fall_on_quarters_and_are_heavy_in_june() -> None:
    simulated = market()
    truth = simulated.truth
    paid = truth.distribution / np.where(np.isfinite(truth.efficient_price), truth.efficient_price, np.nan)
    month = truth.sessions.astype("datetime64[M]").astype(int) % 12 + 1
    quarterly = [
        i
        for i, name in enumerate(truth.tickers)
        if name.startswith("AEQ") and 3.5 < (paid[:, i] > 0).sum() / np.isfinite(paid[:, i]).sum() * 252 < 4.5
    ]
    assert len(quarterly) > 5
    rows, columns = np.nonzero(truth.distribution[:, quarterly])
    # The 30th, or the first session after it.
    assert set(month[rows]) <= {3, 4, 6, 7, 9, 10, 12, 1}
    share = np.array([paid[r, quarterly[c]] for r, c in zip(rows, columns, strict=True)])
    june = np.isin(month[rows], [6, 7])
    assert share[june].mean() > 1.6 * share[~june].mean()
    yields = np.nansum(paid[:, quarterly], axis=0) / np.isfinite(paid[:, quarterly]).sum(axis=0) * 252
    assert (yields > 0.02).all()
    assert (yields < 0.09).all()


def test_splits_and_consolidations_happen_and_are_recorded() -> None:
    simulated = market()
    splits = simulated.actions[simulated.actions["kind"] == "split"]
    assert (splits["value"] > 1).sum() >= 3
    assert (splits["value"] < 1).sum() >= 3
    assert not ((simulated.truth.split != 1) & (simulated.truth.distribution > 0)).any()
    assert (splits["value"] > 0).all()


def test_thin_funds_trade_on_some_days_only() -> None:
    simulated = market()
    truth = simulated.truth
    alive = np.isfinite(truth.efficient_price) & np.isfinite(truth.expected_return)
    idle = (alive & ~truth.traded).sum(axis=0) / np.maximum(alive.sum(axis=0), 1)
    assert 0.05 < (idle > 0.05).mean() < 0.4
    assert idle[0] == 0.0
    volume, close = wide(simulated, "volume"), wide(simulated, "close")
    stale = alive & ~truth.traded & (volume == 0)
    left_out = alive & ~truth.traded & np.isnan(close)
    assert stale.sum() > 1000
    assert left_out.sum() > 300


def test_vendor_listing_data_has_gaps() -> None:
    simulated = market()
    listings = simulated.listings.set_index("ticker")
    assert 0 < listings["listed_on"].isna().sum() < 30
    assert 0 < listings["expense_ratio"].isna().sum() < 30
    dead = simulated.truth.deaths.set_index("ticker")["last_session"]
    said = listings.loc[dead.index, "delisted_on"]
    assert said.isna().any()
    assert (said.dropna() == dead[said.notna()]).all()
    assert listings["delisted_on"].drop(dead.index).isna().all()
    fees = listings["expense_ratio"].dropna()
    assert fees.between(0.0003, 0.02).all()


def test_ex_dates_and_splits_take_effect_at_the_open() -> None:
    simulated = market()
    truth = simulated.truth
    panel, _ = from_long(simulated.bars, simulated.actions, truth.sessions, truth.tickers)
    clean = ~np.isin(truth.tickers, own_defects(simulated)["ticker"])
    before = panel.close[:-1]
    large = (panel.distribution[1:] > 0.02 * before) & clean
    assert large.sum() > 50
    with_cash = (panel.open[1:] + panel.distribution[1:]) / before - 1.0
    without = panel.open[1:] / before - 1.0
    seen = large & np.isfinite(with_cash)
    assert np.abs(with_cash[seen]).mean() < 0.6 * np.abs(without[seen]).mean()
    assert abs(with_cash[seen].mean()) < 0.005
    split = (panel.split[1:] != 1.0) & clean & np.isfinite(panel.open[1:])
    assert split.sum() >= 5
    assert (np.abs(panel.high[1:] / panel.low[1:] - 1.0)[split] < 0.3).all()
    assert (np.abs(panel.open[1:] * panel.split[1:] / before - 1.0)[split] < 0.3).all()
