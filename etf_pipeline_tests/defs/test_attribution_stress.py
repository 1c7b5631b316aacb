"""Replays are what happened, larger accounts are slower to sell, and nothing later or beside changes a row."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.attribution.known_factors import known_factors
from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.attribution.stress import FACTORS
from etf_pipeline.core.market.long import to_long
from etf_pipeline.core.portfolio.costs import CostRules, TradingCosts, trading_costs
from etf_pipeline.defs.attribution.portfolios import held_weights
from etf_pipeline.defs.attribution.stress_liquidity import CAPITALS, selling_losses
from etf_pipeline.defs.attribution.stress_losses import month_losses
from etf_pipeline.defs.attribution.stress_market import LEADS, StressMarket, stress_market
from etf_pipeline.defs.attribution.stress_replays import replay_coverage
from etf_pipeline.defs.attribution.stress_scene import Scene, _costs
from etf_pipeline.defs.attribution.stress_simulation import simulated_months
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.panels import ReturnPanel
from etf_pipeline.stress_scenarios import read_stress_scenarios
from etf_pipeline_tests.contract_rows import insert
from etf_pipeline_tests.core.attribution.stress.stress_market import factor_history
from etf_pipeline_tests.defs import test_attribution_models as models
from etf_pipeline_tests.defs.attribution_market import SESSIONS, account_of, pipeline, small_world

BEFORE = 300
"""Sessions of the factors before the panel's first."""
TABLES = ("losses", "portfolio", "reverse", "fragile")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Warehouse:
    """Funds of even number are of one asset class, the others of none that is known."""
    made = Warehouse(tmp_path_factory.mktemp("listings"))
    with made.write() as connection:
        for number in range(0, 40, 2):
            insert(
                connection,
                "raw.listings",
                ticker=f"F{number:02d}",
                asset_class="global_equity",
                withdrawn=False,
            )
    return made


def scene_of(small, warehouse, *, lags=(-1, 0), shift=1) -> Scene:
    """Accounts on the small market beside stress factors of a longer history."""
    moves = factor_history(BEFORE + SESSIONS)[: BEFORE + len(small.panel.sessions)]
    moves[BEFORE + 1 :, 0] = np.where(
        small.panel.spanned[1:, 0] == 1, small.panel.total_return[1:, 0], np.nan
    )
    moves[BEFORE + 600 :, FACTORS.index("credit")] = np.nan  # a series that ends
    first = small.panel.sessions[0].astype("datetime64[D]")
    axis = np.concatenate([first - np.arange(BEFORE, 0, -1), small.panel.sessions.astype("datetime64[D]")])
    levels = np.full(moves.shape, np.nan)
    levels[:, [1, 2, 5]] = [2.0, 4.0, 20.0]
    market = StressMarket(axis, BEFORE, moves, levels, known_factors(moves), shift, lags)
    account = account_of(small)
    shape = small.panel.total_return.shape
    accepted = small.panel.spanned > 0
    begun = np.argmax(accepted, axis=0)
    accepted[np.maximum(begun - 1, 0), np.arange(shape[1])] = True
    rng = np.random.default_rng(4)
    half, impact = rng.uniform(5e-4, 2e-3, (SESSIONS + 1, 400)), rng.uniform(1e-6, 5e-6, (SESSIONS + 1, 400))
    column = np.array([int(ticker[1:]) for ticker in small.panel.tickers])
    costs = TradingCosts(half[: shape[0] + 1, column], impact[: shape[0] + 1, column])
    made = pipeline()
    made.warehouse = warehouse
    return Scene(
        pipeline=made,
        scenarios=replace_replays(read_stress_scenarios(None)),
        market=market,
        panel=small.panel,
        made=None,  # type: ignore[arg-type]
        weight={"top_ranked": held_weights(account, shape)},
        accepted=accepted,
        single=np.where(small.panel.spanned == 1, small.panel.total_return, np.nan),
        traded_value=np.full(shape, 2e6),
        costs=costs,
    )


def replace_replays(scenarios):
    """The shipped ones whose days the market knows: within its two and a half years, and one before its funds."""
    one = scenarios.replay["covid_2020"]
    days = {
        "covid_2020": ("2020-02-19", "2020-03-23"),
        "second": ("2020-09-01", "2020-10-15"),
        "third": ("2021-03-01", "2021-04-01"),
        "fourth": ("2020-05-01", "2020-06-01"),
        "fifth": ("2020-12-01", "2021-01-05"),
        "before_the_funds": ("2019-06-03", "2019-08-01"),
    }
    made = {
        name: one.model_copy(update={"start": pd.Timestamp(a).date(), "end": pd.Timestamp(b).date()})
        for name, (a, b) in days.items()
    }
    return scenarios.model_copy(update={"replay": made})


@pytest.fixture(scope="module")
def small():
    return small_world()


@pytest.fixture(scope="module")
def scene(small, warehouse):
    return scene_of(small, warehouse)


def month(scene, row, left_out=None):
    settings = scene.pipeline.settings.attribution
    found = scene.market.exposures(
        scene.single, np.array([row]), settings.stress_window, settings.min_observations
    )[0]
    made = month_losses(scene, row, found, np.ones(2), {} if left_out is None else left_out)
    assert made is not None
    return dict(zip(TABLES, made, strict=True))


def test_a_replay_is_the_funds_own_compounded_return_where_it_lived(scene):
    losses = month(scene, 700)["losses"]
    replays = losses[losses["kind"] == "replay"]
    assert set(replays["scenario"]) == set(scene.scenarios.replay)
    days = scene.panel.sessions.astype("datetime64[D]")
    lived = 0
    for _, row in replays.iterrows():
        one = scene.scenarios.replay[row["scenario"]]
        j = int(np.flatnonzero(scene.panel.tickers == row["ticker"])[0])
        # New York's days reach this market a session later.
        first, last = (
            int(np.searchsorted(days, np.datetime64(day), side="right")) for day in (one.start, one.end)
        )
        own = scene.panel.total_return[first + 1 : last + 1, j]
        whole = first > 0 and scene.accepted[first, j] and scene.accepted[last, j]
        if whole and not np.isnan(own[scene.accepted[first + 1 : last + 1, j]]).any():
            expected = np.prod(1 + own[scene.accepted[first + 1 : last + 1, j]]) - 1
            assert row["realised_return"] == pytest.approx(expected, abs=1e-14)
            assert row["served_return"] == row["realised_return"]
            lived += 1
        else:
            assert np.isnan(row["realised_return"])
            assert row["served_return"] == row["total_return"]
    assert lived > 10
    assert replays[replays["scenario"] == "before_the_funds"]["realised_return"].isna().all()


def test_a_crisis_is_replayed_once_it_is_over(scene):
    days = scene.panel.sessions.astype("datetime64[D]")
    end = int(np.searchsorted(days, np.datetime64("2021-04-01")))
    left_out: dict[str, str] = {}
    before = month(scene, end, left_out)["losses"]  # its last day is seen on the next session
    assert "third" not in set(before["scenario"])
    assert "third" in left_out
    assert "third" in set(month(scene, end + 1)["losses"]["scenario"])


def test_factors_parts_add_up_and_accounts_are_their_funds(scene):
    tables = month(scene, 700)
    for name in ("losses", "portfolio"):
        parts = tables[name][[f"from_{factor}" for factor in FACTORS]].sum(axis=1)
        np.testing.assert_allclose(parts, tables[name]["total_return"], rtol=0, atol=1e-12)
    weight = pd.Series(scene.weight["top_ranked"][700], index=scene.panel.tickers)
    losses = tables["losses"].assign(weight=lambda f: f["ticker"].map(weight))
    key = ["kind", "scenario", "others"]
    for column in ("total_return", "served_return"):
        of_funds = (losses["weight"] * losses[column]).groupby([losses[k] for k in key]).sum()
        np.testing.assert_allclose(
            tables["portfolio"].set_index(key)[column].loc[of_funds.index], of_funds, rtol=0, atol=1e-12
        )
    held = weight[weight > 0]
    share = held[held.index.isin(losses["ticker"])].sum() / held.sum()
    np.testing.assert_allclose(tables["portfolio"]["covered_weight"], share, rtol=1e-12)


def test_an_account_without_exposures_has_no_row(scene):
    row = 700
    weight = np.zeros_like(scene.weight["top_ranked"])
    weight[row, 1] = 0.9  # gone since a while, still in the books
    assert not scene.alive(row)[1]
    tables = month(replace(scene, weight=scene.weight | {"benchmark": weight}), row)
    for name in ("portfolio", "reverse", "fragile"):
        assert set(tables[name]["strategy"]) == {"top_ranked"}


def test_a_factor_that_has_ended_is_no_scenario_and_has_no_part(scene):
    left_out: dict[str, str] = {}
    row = 880
    assert not scene.market.available[BEFORE + row, FACTORS.index("credit")]
    tables = month(scene, row, left_out)
    assert left_out["credit_up_300"] == "credit is not among the reference series at this session"
    assert (tables["losses"]["from_credit"] == 0.0).all()
    assert tables["reverse"]["credit"].isna().all()
    assert tables["reverse"]["rates"].notna().all()


def test_an_unknown_factor_stands_still_and_covers_nothing(scene):
    credit = FACTORS.index("credit")
    assert (scene.market.panel_moves(880)[:, credit] == 0.0).all()
    assert (scene.market.covariance(880, 250)[credit] == 0.0).all()
    assert (scene.market.panel_moves(500)[1:, credit] != 0.0).any()
    recent = scene.market.moves[BEFORE + 500 - 249 : BEFORE + 501]
    recent = recent[~np.isnan(recent).any(axis=1)]
    np.testing.assert_allclose(scene.market.covariance(500, 250), np.cov(recent.T), rtol=1e-12)


def test_a_lead_reads_no_session_after_the_one_at_hand(scene):
    row, settings = 500, scene.pipeline.settings.attribution
    assert LEADS["asx"] == scene.market.lags == (-1, 0)

    def fitted(market):
        return market.exposures(
            scene.single, np.array([row]), settings.stress_window, settings.min_observations
        )[0]

    later = scene.market.moves.copy()
    later[BEFORE + row + 1 :] *= -3.0
    np.testing.assert_array_equal(
        fitted(replace(scene.market, moves=later)).loadings, fitted(scene.market).loadings
    )
    later[BEFORE + row] *= 2.0  # and does read that session, as the lead of the one before
    assert (fitted(replace(scene.market, moves=later)).loadings != fitted(scene.market).loadings).any()


def test_selling_takes_the_costs_known_at_the_close_and_longer_for_more(scene):
    row = len(scene.panel.sessions) - 1  # the last session's close has its costs too
    frame = selling_losses(scene, np.array([600, row]))
    assert frame["session"].nunique() == 2
    for _, part in frame.groupby(["session", "scenario"]):
        assert part["capital"].tolist() == list(CAPITALS)
        assert part["days_to_sell_all"].is_monotonic_increasing
        assert part["cost_to_sell"].is_monotonic_increasing
        assert part["share_sold_1"].is_monotonic_decreasing
    half = scene.costs.half_spread.copy()
    half[601] *= 2.0
    dearer = selling_losses(
        replace(scene, costs=replace(scene.costs, half_spread=half)), np.array([600, row])
    )
    changed = dearer["cost_to_sell"] != frame["cost_to_sell"]
    assert (dearer["session"][changed] == frame["session"].min()).all()
    assert changed.sum() == (frame["session"] == frame["session"].min()).sum()


def test_an_account_is_simulated_only_where_its_funds_are(scene):
    frame = simulated_months(scene)
    told = frame[frame["kind"] == "strategy"]
    assert len(told)
    assert (told["expected_shortfall_95"] <= told["value_at_risk_95"]).all()
    assert (told["value_at_risk_99"] <= told["value_at_risk_95"]).all()
    weight = {"top_ranked": scene.weight["top_ranked"].copy()}
    row = period_ends(scene.panel.sessions, "asx", 3)[-1]
    young = np.flatnonzero(weight["top_ranked"][row])[0]
    single = scene.single.copy()
    single[:, young] = np.nan
    frame = simulated_months(replace(scene, single=single))
    assert not (
        (frame["kind"] == "strategy") & (frame["session"] == pd.Timestamp(scene.panel.sessions[row]))
    ).any()


def test_the_judgement_of_replays_is_that_of_years_gone_by(scene):
    judged, inflation = replay_coverage(scene)
    assert set(judged["year"]) == {2020, 2021}
    assert set(judged["asset_class"]) == {"all", "global_equity"}
    assert (judged["session"] == pd.to_datetime(judged["year"].add(1).astype(str) + "-01-01")).all()
    # Four crises have long enough behind them by the end of 2021, and one by the end of 2020.
    learned = int(np.searchsorted(scene.panel.sessions, np.datetime64("2022-01-01")))
    assert (inflation[:learned] == 1.0).all()
    assert (inflation[learned:] == inflation[learned]).all()
    assert (inflation[learned] != 1.0).all()
    assert judged[judged["level"] == 0.80]["pairs"].max() > 5


def everything(scene):
    rows = period_ends(scene.panel.sessions, "asx")
    rows = rows[rows >= 360]
    judged, inflation = replay_coverage(scene)
    settings = scene.pipeline.settings.attribution
    found = scene.market.exposures(scene.single, rows, settings.stress_window, settings.min_observations)
    made = [
        month_losses(scene, int(row), one, inflation[row], {}) for row, one in zip(rows, found, strict=True)
    ]
    frames = {name: pd.concat([one[k] for one in made]) for k, name in enumerate(TABLES)}
    return frames | {
        "selling": selling_losses(scene, rows),
        "simulated": simulated_months(scene),
        "judged": judged,
    }


def test_cuts_change_no_row_though_funds_vanish(warehouse):
    """Funds that are listed after the cut are no columns then."""
    small = small_world(seed=11, funds=40)
    late = np.arange(40) % 3 == 2
    small.traded.mark[: SESSIONS - 1, late] = np.nan
    small.traded.fill[: SESSIONS - 1, late] = np.nan
    small.panel.total_return[:, late] = np.nan
    small.panel.spanned[:, late] = 0
    begun = np.where(late, SESSIONS, np.argmax(np.isfinite(small.traded.mark), axis=0))
    scene = scene_of(small, warehouse)
    scene.accepted[:, late] = False
    whole = everything(scene)
    # The last session of a month, and a day well within one (here weekends are sessions, in the calendar not).
    ends = period_ends(small.panel.sessions, "asx")
    for rows in (int(ends[ends > 600][0]) + 1, 855):
        columns = np.flatnonzero(begun < rows)
        part = everything(scene_of(small.cut(rows, columns), warehouse))
        last = pd.Timestamp(small.panel.sessions[rows - 1])
        for name, frame in part.items():
            expected = whole[name][whole[name]["session"] <= last]
            assert len(frame) or name == "judged"
            pd.testing.assert_frame_equal(
                frame.reset_index(drop=True), expected.reset_index(drop=True), check_exact=True, obj=name
            )


def test_the_costs_of_tomorrow_are_known_today():
    """Row t + 1 as the accounts pay it, the one after the last session too."""
    small = small_world()
    panel, made = (
        small.panel,
        pipeline(backtest=SimpleNamespace(impact_coefficient=1.0, least_half_spread=1e-4)),
    )
    rng = np.random.default_rng(6)
    shape = panel.total_return.shape
    member = rng.random(shape) < 0.8
    spread, value = rng.uniform(1e-4, 5e-3, shape), rng.uniform(1e5, 1e7, shape)
    annual = np.where(rng.random(shape) < 0.9, rng.uniform(0.05, 0.4, shape), np.nan)

    def costs(rows):
        axis = panel.sessions[:rows]
        everywhere = np.ones((rows, shape[1]), dtype=bool)
        frames = {
            "liquidity": to_long(
                axis, panel.tickers, everywhere, spread=spread[:rows], median_traded_value=value[:rows]
            ),
            "volatility": to_long(axis, panel.tickers, everywhere, volatility_annualised=annual[:rows]),
        }
        cut = ReturnPanel(axis, panel.tickers, panel.total_return[:rows], panel.spanned[:rows])
        return _costs(frames, SimpleNamespace(member=member[:rows]), cut, value[:rows], made)

    whole = costs(SESSIONS)
    paid = trading_costs(
        spread,
        annual / np.sqrt(252),
        value,
        member,
        CostRules(impact_coefficient=1.0, least_half_spread=1e-4),
    )
    np.testing.assert_array_equal(whole.half_spread[:SESSIONS], paid.half_spread)
    np.testing.assert_array_equal(whole.impact[:SESSIONS], paid.impact)
    part = costs(400)
    np.testing.assert_array_equal(part.half_spread, whole.half_spread[:401])
    np.testing.assert_array_equal(part.impact, whole.impact[:401])


@pytest.fixture(scope="module")
def whole_market(tmp_path_factory):
    return stress_market(models.held(tmp_path_factory.mktemp("stress")), models.panel())


def test_equity_is_the_market_fund_and_the_rest_as_sydneys_close_knows_it(whole_market):
    own = whole_market.moves[whole_market.offset :]
    np.testing.assert_array_equal(own[:, 0], models.panel().total_return[:, 0])
    assert str(whole_market.sessions[0]) == "1990-01-02"
    assert np.isnan(whole_market.moves[: whole_market.offset, 0]).all()  # no library of the region is held
    assert whole_market.shift == 1
    assert np.isnan(whole_market.levels[:, [0, 3, 4]]).all()
    rates = whole_market.levels[whole_market.offset :, 1]
    np.testing.assert_allclose(np.diff(rates)[1:], own[2:, 1], atol=1e-15)


@pytest.mark.parametrize("until", ["2019-03-04", "2020-07-01", "2020-12-04"])
def test_stress_factors_do_not_know_what_comes(whole_market, tmp_path, until):
    day = np.datetime64(until)
    part = stress_market(models.held(tmp_path, day), models.panel(day))
    assert part.offset == whole_market.offset
    rows = len(part.sessions)
    for name in ("sessions", "moves", "levels", "available"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole_market, name)[:rows], err_msg=name)
