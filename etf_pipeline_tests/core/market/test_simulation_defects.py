"""Every labelled defect is really in the vendor's data, and the dead stay dead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.simulation import BENCHMARK, DEFECT_KINDS
from etf_pipeline_tests.core.market.simulation_fixtures import market, own_defects, wide

SEEDS = (7, 3)


def _one(seed: int, kind: str) -> list[tuple[pd.Series, pd.DataFrame, int, int, int]]:
    """Each defect of a kind with its fund's bars, column, first and last row."""
    simulated = market(seed)
    truth = simulated.truth
    found = []
    for _, defect in own_defects(simulated).query("kind == @kind").iterrows():
        bars = simulated.bars[simulated.bars["ticker"] == defect["ticker"]].set_index("session")
        start, end = (
            int(np.searchsorted(truth.sessions, np.datetime64(defect[c], "D")))
            for c in ("session_start", "session_end")
        )
        found.append((defect, bars, truth.column(defect["ticker"]), start, end))
    return found


@pytest.mark.parametrize("seed", [7, 1, 2, 3])
def test_a_minority_of_funds_and_every_kind(seed: int) -> None:
    simulated = market(seed)
    spoiled = own_defects(simulated)["ticker"].nunique() / len(simulated.truth.tickers)
    assert 0.12 < spoiled < 0.20
    assert set(simulated.truth.defects["kind"]) == set(DEFECT_KINDS)
    assert own_defects(simulated)["ticker"].is_unique
    assert BENCHMARK not in set(simulated.truth.defects["ticker"])


@pytest.mark.parametrize("seed", SEEDS)
def test_unadjusted_consolidation(seed: int) -> None:
    truth, actions = market(seed).truth, market(seed).actions
    for defect, bars, i, start, end in _one(seed, "consolidation_unadjusted_history"):
        jump = bars["close"][defect["session_end"]] / bars["close"][defect["session_start"]]
        assert 0.7 < jump * truth.split[end, i] < 1.4
        assert truth.split[end, i] in (0.05, 0.1, 0.2)
        on_day = actions[
            (actions["ticker"] == defect["ticker"]) & (actions["ex_date"] == defect["session_end"])
        ]
        assert not len(on_day)
        assert start < end


@pytest.mark.parametrize("seed", SEEDS)
def test_bad_scale_block(seed: int) -> None:
    truth = market(seed).truth
    for defect, bars, i, _, _ in _one(seed, "bad_scale_block"):
        block = bars.loc[defect["session_start"] : defect["session_end"]]
        assert len(block) == 3
        rows = np.searchsorted(truth.sessions, block.index.to_numpy().astype("datetime64[D]"))
        ratio = block["close"].to_numpy() / truth.efficient_price[rows, i]
        np.testing.assert_allclose(ratio, 0.1, rtol=0.05)
        before = bars.loc[: defect["session_start"]].iloc[-2]
        assert before["close"] > 5 * block["close"].iloc[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_bad_print(seed: int) -> None:
    truth = market(seed).truth
    for defect, bars, i, start, _ in _one(seed, "bad_print"):
        bar = bars.loc[defect["session_start"]]
        assert bar["close"] == bar["high"]
        assert 1.15 < bar["close"] / truth.efficient_price[start, i] < 1.6
        assert bar["volume"] <= 450


@pytest.mark.parametrize("seed", SEEDS)
def test_holiday_bar(seed: int) -> None:
    truth = market(seed).truth
    for defect, bars, _, _, _ in _one(seed, "holiday_bogus_bar"):
        day = np.datetime64(defect["session_start"], "D")
        assert day not in truth.sessions
        assert np.is_busday(day)
        assert bars.loc[defect["session_start"], "volume"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_open_zero(seed: int) -> None:
    for defect, bars, _, _, _ in _one(seed, "open_zero"):
        inside = bars.loc[defect["session_start"] : defect["session_end"]]
        assert (inside["open"] == 0).all()
        assert len(inside) >= 10
        assert (bars["open"] == 0).sum() == len(inside)


@pytest.mark.parametrize("seed", SEEDS)
def test_net_asset_values_before_listing(seed: int) -> None:
    truth = market(seed).truth
    for defect, bars, i, start, end in _one(seed, "prelisting_nav_history"):
        before = bars.loc[: defect["session_end"]]
        assert (before["volume"] == 0).all()
        assert len(before) > 200
        assert bars.index[0] == defect["session_start"]
        assert bars.loc[defect["session_end"] :].iloc[1]["volume"] > 0
        assert np.isnan(truth.total_return[start : end + 2, i]).all()
        assert np.isfinite(truth.total_return[end + 2, i])


@pytest.mark.parametrize("seed", SEEDS)
def test_stale_run(seed: int) -> None:
    for defect, bars, _, _, _ in _one(seed, "stale_run"):
        inside = bars.loc[defect["session_start"] : defect["session_end"]]
        assert len(inside) >= 8
        columns = ["open", "high", "low", "close", "volume"]
        assert (inside[columns] == inside[columns].iloc[0]).all().all()
        assert (inside["volume"] > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_long_hole(seed: int) -> None:
    truth = market(seed).truth
    for defect, bars, i, start, end in _one(seed, "long_hole"):
        assert not len(bars.loc[defect["session_start"] : defect["session_end"]])
        assert end - start >= 50
        assert truth.traded[start : end + 1, i].any()
        assert len(bars.loc[defect["session_end"] :])


@pytest.mark.parametrize("seed", SEEDS)
def test_deferred_settlement(seed: int) -> None:
    truth, actions = market(seed).truth, market(seed).actions
    for defect, bars, i, start, _ in _one(seed, "deferred_settlement_gap"):
        inside = bars.loc[defect["session_start"] : defect["session_end"]]
        assert (inside["volume"] == 0).all()
        assert (inside["close"] == inside["close"].iloc[0]).all()
        before = bars.loc[: defect["session_start"]].iloc[-2]["close"]
        split = truth.split[start, i]
        assert split > 1
        assert inside["close"].iloc[0] == pytest.approx(before / split, abs=0.006)
        own = actions[(actions["ticker"] == defect["ticker"]) & (actions["kind"] == "split")]
        assert split in own.loc[own["ex_date"] == defect["session_start"], "value"].tolist()
        assert bars.loc[defect["session_end"] :].iloc[1]["volume"] > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_distribution_on_the_wrong_date(seed: int) -> None:
    truth, actions = market(seed).truth, market(seed).actions
    for defect, _, i, start, end in _one(seed, "distribution_adjusted_on_wrong_date"):
        own = actions[(actions["ticker"] == defect["ticker"]) & (actions["kind"] == "dividend")]
        assert not (own["ex_date"] == defect["session_start"]).any()
        recorded = own.loc[own["ex_date"] == defect["session_end"], "value"].iloc[0]
        assert recorded == truth.distribution[start, i]
        assert recorded / truth.efficient_price[start, i] > 0.08
        assert end > start


@pytest.mark.parametrize("seed", SEEDS)
def test_market_wide_holes(seed: int) -> None:
    simulated = market(seed)
    truth = simulated.truth
    holes = truth.defects.query("kind == 'market_wide_hole'")
    days = holes.groupby("session_start").size()
    assert len(days) >= 3
    shown = np.isfinite(wide(simulated, "close"))
    for day, count in zip(days.index, days, strict=True):
        row = int(np.searchsorted(truth.sessions, np.datetime64(day, "D")))
        alive = np.isfinite(truth.efficient_price[row]).sum()
        assert 0.35 < count / alive < 0.75
        lost = [truth.column(t) for t in holes.loc[holes["session_start"] == day, "ticker"]]
        assert not shown[row, lost].any()
        assert shown[row, 0]


@pytest.mark.parametrize("seed", SEEDS)
def test_bars_differ_from_the_clean_ones_only_where_labelled(seed: int) -> None:
    simulated = market(seed)
    truth = simulated.truth
    close = wide(simulated, "close")
    differs = np.isfinite(close) & truth.traded & (close != truth.clean_close)
    labelled = np.zeros_like(differs)
    for _, defect in truth.defects.iterrows():
        start, end = (np.datetime64(defect[c], "D") for c in ("session_start", "session_end"))
        labelled[(truth.sessions >= start) & (truth.sessions <= end), truth.column(defect["ticker"])] = True
    assert differs.sum() > 20
    assert not (differs & ~labelled).any()


@pytest.mark.parametrize("seed", [7, 1, 2, 3])
def test_the_dead_have_no_bars_afterwards(seed: int) -> None:
    simulated = market(seed)
    truth = simulated.truth
    assert 5 <= len(truth.deaths) <= 40
    assert set(truth.deaths["cause"]) <= {"too_small", "merged"}
    last_bar = simulated.bars.groupby("ticker")["session"].max()
    for _, death in truth.deaths.iterrows():
        column = truth.column(death["ticker"])
        row = int(np.searchsorted(truth.sessions, np.datetime64(death["last_session"], "D")))
        assert last_bar[death["ticker"]] <= death["last_session"]
        assert np.isnan(truth.efficient_price[row + 1 :, column]).all()
        assert np.isfinite(truth.efficient_price[row, column])
        assert not truth.distribution[row + 1 :, column].any()
    alive = ~np.isin(truth.tickers, truth.deaths["ticker"])
    begun = np.isfinite(truth.efficient_price).any(axis=0)
    assert np.isfinite(truth.efficient_price[-1, alive & begun]).all()


def test_funds_list_during_the_period() -> None:
    truth = market().truth
    first = np.argmax(np.isfinite(truth.expected_return), axis=0)
    assert 0.3 < (first > 0).mean() < 0.7
    assert np.isfinite(truth.efficient_price).any(axis=0).all()
    assert first.max() > 1800
