"""What could break it: crises replayed, shocks supposed, simulated months and dry markets, for funds and accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.stress import (
    FACTORS,
    Comparison,
    Exposures,
    FactorPath,
    Losses,
    Window,
    correlations_to_one,
    coverage,
    ewma_parameters,
    exposure_covariance,
    filter_returns,
    fund_losses,
    hypothetical_paths,
    inflation_factors,
    joint_residuals,
    liquidity_stress,
    portfolio_losses,
    pretend_not_alive,
    realised_returns,
    replay_paths,
    reverse_stress,
    simulate_returns,
    simulated_tail,
    window_rows,
)
from etf_pipeline.core.attribution.stress.factors import IS_RETURN
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.validation.backtest import every, month_ends
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.defs.attribution.portfolios import TRADED, held_weights, traded_accounts
from etf_pipeline.defs.attribution.stress_market import StressMarket, stress_market
from etf_pipeline.defs.resources import Pipeline, PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.backtest import together
from etf_pipeline.defs.validation.trading import Trading
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.panels import ReturnPanel, read_classes
from etf_pipeline.stress_scenarios import StressScenarios, read_stress_scenarios

LEVELS = (0.80, 0.95)
STRATEGIES = ("top_ranked", "top_ranked_sized", "benchmark")
"""Accounts that are stressed; the whole universe in equal parts is none that anybody holds."""
CAPITALS = (1e5, 1e6, 1e7, 1e8)
FRESH_SESSIONS = 5
SIMULATED_WINDOW = 1000
LEAST_SIMULATED = 126


@dataclass(frozen=True)
class Scene:
    """Everything the stress tables are made from."""

    pipeline: Pipeline
    scenarios: StressScenarios
    market: StressMarket
    panel: ReturnPanel
    made: Trading
    weight: dict[str, np.ndarray]
    accepted: np.ndarray
    single: np.ndarray
    traded_value: np.ndarray

    def alive(self, row: int) -> np.ndarray:
        """(N,) bool, funds with a bar of late."""
        return np.asarray(self.accepted[max(0, row - FRESH_SESSIONS) : row + 1].any(axis=0))


@dg.multi_asset(
    outs={
        "stress_losses": table_out(
            "attribution.stress_losses", "What each fund would lose in each scenario."
        ),
        "portfolio_stress": table_out("attribution.portfolio_stress", "What the accounts would lose."),
        "reverse_stress": table_out("attribution.reverse_stress", "The most likely way to a given loss."),
        "portfolio_fragility": table_out(
            "attribution.portfolio_fragility", "The accounts when diversification fails."
        ),
        "liquidity_stress": table_out(
            "attribution.liquidity_stress", "Selling the accounts in a dry market."
        ),
        "simulated_losses": table_out(
            "attribution.simulated_losses", "The next month, simulated from past shocks."
        ),
        "replay_coverage": table_out(
            "attribution.replay_coverage", "How good predictions of past crises are."
        ),
    },
    ins={name: dg.AssetIn(table.split(".")) for name, table in TRADED.items()},
    deps=[dg.AssetKey(["raw", name]) for name in ("factor_returns", "reference_series", "listings")],
    name="stress_tests",
    pool="warehouse",
)
def stress_tests(
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    universe: pd.DataFrame,
    liquidity: pd.DataFrame,
    volatility: pd.DataFrame,
    ranking: pd.DataFrame,
    returns: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Put every scenario to the funds and accounts of each month's end, by what was known then."""
    frames = {
        "bars": bars, "sessions": sessions, "universe": universe, "liquidity": liquidity, "volatility": volatility,
        "ranking": ranking, "returns": returns,
    }  # fmt: skip
    scene = _scene(frames, pipeline)
    judged, inflation = _coverage(scene)
    yield dg.Output(
        judged,
        "replay_coverage",
        metadata={
            "to_date": dg.MetadataValue.md(markdown_table(judged[judged["year"] == judged["year"].max()]))
        },
    )
    funds, accounts, reverse, fragile = [], [], [], []
    settings = pipeline.settings.attribution
    rows = month_ends(scene.panel.sessions)
    found = scene.market.exposures(scene.single, rows, settings.stress_window, settings.min_observations)
    left_out: dict[str, str] = {}
    for row, exposures in zip(rows, found, strict=True):
        made = _month(scene, int(row), exposures, inflation[row], left_out)
        if made is not None:
            funds.append(made[0])
            accounts.append(made[1])
            reverse.append(made[2])
            fragile.append(made[3])
    losses = together(funds, "attribution.stress_losses")
    yield dg.Output(
        losses,
        "stress_losses",
        metadata={
            "simulated": pipeline.source.simulated,
            "left_out": dg.MetadataValue.json(left_out),
            "newest": dg.MetadataValue.md(_worst(losses)),
        },
    )
    yield dg.Output(together(accounts, "attribution.portfolio_stress"), "portfolio_stress")
    yield dg.Output(together(reverse, "attribution.reverse_stress"), "reverse_stress")
    yield dg.Output(together(fragile, "attribution.portfolio_fragility"), "portfolio_fragility")
    yield dg.Output(_liquidity(scene, rows), "liquidity_stress")
    yield dg.Output(_simulated(scene), "simulated_losses")


def _scene(frames: Mapping[str, pd.DataFrame], pipeline: Pipeline) -> Scene:
    made, panel, accounts = traded_accounts(frames, pipeline)
    bars = frames["bars"]
    bars = bars[bars["ticker"].isin(panel.tickers)]
    liquidity = frames["liquidity"]
    liquidity = liquidity[liquidity["ticker"].isin(panel.tickers)]
    return Scene(
        pipeline,
        read_stress_scenarios(pipeline.settings.attribution.scenario_file),
        stress_market(pipeline, panel),
        panel,
        made,
        {
            name: held_weights(accounts[name], panel.total_return.shape)
            for name in STRATEGIES
            if name in accounts
        },
        from_long_column(bars, "accepted", panel.sessions, panel.tickers) == 1.0,
        np.where(panel.spanned == 1, panel.total_return, np.nan),
        from_long_column(liquidity, "median_traded_value", panel.sessions, panel.tickers),
    )


def _coverage(scene: Scene) -> tuple[pd.DataFrame, np.ndarray]:
    """How good replays of past crises are, by complete year; and (S, L) the factors on intervals known at each session."""
    sessions = scene.panel.sessions
    size = len(sessions)
    inflation = np.ones((size, len(LEVELS)))
    index, names, _ = read_classes(scene.pipeline.warehouse, scene.panel.tickers)
    frames = []
    years = complete_years(sessions)
    for year, stop in zip(years.year, years.end, strict=True):
        compared, funds = _compared(scene, int(stop))
        if compared is None:
            continue
        inflation[stop:] = inflation_factors(compared.surprise, LEVELS)
        group = index[funds]
        plain = coverage(compared, LEVELS, group)
        fitted = coverage(compared, LEVELS, group, calibrated=True)
        for one, other in zip(plain, fitted, strict=True):
            frames.append(
                pd.DataFrame(
                    {
                        "session": sessions[stop].astype("datetime64[s]"),
                        "year": np.int32(year),
                        "asset_class": "all" if one.group < 0 else str(names[one.group]),
                        "level": LEVELS,
                        "windows": np.int32(one.windows),
                        "pairs": np.int32(one.comparisons),
                        "covered_plain": one.covered,
                        "covered": other.covered,
                        "bias": one.bias,
                        "median_absolute_error": one.median_absolute_error,
                    }
                )
            )
    return together(frames, "attribution.replay_coverage"), inflation


def _compared(scene: Scene, stop: int) -> tuple[Comparison | None, np.ndarray]:
    """Funds that lived through the crises over by row ``stop - 1``, predicted by what came after; nothing later is read."""
    days, market = scene.panel.sessions[:stop], scene.market
    found = [
        window_rows(days, np.datetime64(one.start), np.datetime64(one.end), shift=market.shift)
        for one in scene.scenarios.replay.values()
    ]
    windows = [window for window in found if window is not None]
    funds = np.flatnonzero(scene.accepted[:stop].any(axis=0))
    if not windows or not len(funds):
        return None, funds
    compared = pretend_not_alive(
        scene.panel.total_return[:stop, funds],
        scene.accepted[:stop, funds],
        (scene.panel.spanned[:stop, funds] == 1),
        market.panel_moves(stop - 1)[:stop],
        windows,
        longest=scene.pipeline.settings.attribution.stress_window,
        lags=market.lags,
    )
    return (compared if np.isfinite(compared.surprise).any() else None), funds


def _paths(
    scene: Scene, row: int, left_out: dict[str, str]
) -> tuple[list[tuple[str, str, str]], list[FactorPath]]:
    """Labels (kind, scenario, others) and paths of every scenario that can be put at the row."""
    market, settings = scene.market, scene.pipeline.settings.attribution
    covariance = market.covariance(row, settings.stress_window)
    at = market.offset + row
    known = {name for k, name in enumerate(FACTORS) if market.available[at, k]}
    replays, why = replay_paths(
        {
            name: (np.datetime64(one.start), np.datetime64(one.end))
            for name, one in scene.scenarios.replay.items()
        },
        market.sessions,
        market.moves,
        covariance,
        at,
        shift=market.shift,
    )
    left_out |= why
    wanted = {}
    levels = {name: float(market.levels[at, k]) for k, name in enumerate(FACTORS)}
    for name, one in scene.scenarios.hypothetical.items():
        missing = sorted(set(one.shocks) - known)
        if missing:
            left_out[name] = f"{', '.join(missing)} is not among the reference series at this session"
            continue
        try:
            wanted[name] = (one.moves(levels), one.horizon_sessions)
        except ValueError as error:
            left_out[name] = str(error)
    for name in {one.name for one in replays} | set(wanted):
        left_out.pop(name, None)
    paths = [*replays, *hypothetical_paths(wanted, covariance)]
    return [(one.kind, one.name, one.others) for one in paths], [one.path for one in paths]


def _month(
    scene: Scene, row: int, exposures: Exposures, inflation: np.ndarray, left_out: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    """Losses of funds and accounts at one month's end; None where nothing has exposures yet."""
    sure = np.isfinite(exposures.loadings).all(axis=1) & scene.alive(row)
    funds = np.flatnonzero(sure)
    if not len(funds):
        return None
    labels, paths = _paths(scene, row, left_out)
    if not paths:
        return None
    own = Exposures(
        exposures.loadings[funds], exposures.loading_covariance[funds], exposures.residual_variance[funds]
    )
    losses = fund_losses(own, paths, levels=LEVELS, inflation=inflation)
    realised = _realised(scene, row, labels, funds)
    served = np.where(np.isfinite(realised), realised, losses.total_return)
    day = scene.panel.sessions[row].astype("datetime64[s]")
    fund_frame = _frame(labels, losses, {"ticker": scene.panel.tickers[funds]}).assign(
        session=day, realised_return=realised.ravel(), served_return=served.ravel()
    )
    held = {name: weight[row] for name, weight in scene.weight.items() if weight[row].any()}
    if not held:
        nothing = [
            together([], f"attribution.{name}")
            for name in ("portfolio_stress", "reverse_stress", "portfolio_fragility")
        ]
        return fund_frame, nothing[0], nothing[1], nothing[2]
    weights = np.array([weight[funds] for weight in held.values()])
    account = portfolio_losses(losses, own, paths, weights, levels=LEVELS, inflation=inflation)
    # Of what is held, and no zeros beside it: a sum that funds listed later cannot change.
    gross = np.array([np.abs(weight[weight != 0.0]).sum() for weight in held.values()])
    covered = np.abs(weights).sum(axis=1) / gross
    account_frame = _frame(labels, account, {"strategy": np.array(list(held), dtype=object)}).assign(
        session=day,
        # A fund at a time, in order: a sum that other funds beside it cannot change.
        served_return=_in_order(served, weights).ravel(),
        covered_weight=np.tile(covered, len(paths)),
    )
    return fund_frame, account_frame, *_accounts(scene, row, own, held, weights, covered)


def _in_order(served: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C, P) returns of portfolios (P, N) in scenarios (C, N)."""
    out = np.zeros((len(served), len(weights)))
    for j in range(weights.shape[1]):
        out += np.nan_to_num(served[:, j])[:, None] * weights[:, j]
    return out


def _frame(
    labels: Sequence[tuple[str, str, str]], losses: Losses, names: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """One row a scenario and fund (or account)."""
    count = losses.total_return.shape[1]
    kinds, scenarios, others = (
        np.repeat(np.array(column, dtype=object), count) for column in zip(*labels, strict=True)
    )
    data: dict[str, object] = {
        **{name: np.tile(values.astype(object), len(labels)) for name, values in names.items()},
        "kind": kinds,
        "scenario": scenarios,
        "others": others,
        "total_return": losses.total_return.ravel(),
        "low_80": losses.low[0].ravel(),
        "high_80": losses.high[0].ravel(),
        "low_95": losses.low[1].ravel(),
        "high_95": losses.high[1].ravel(),
    }
    data |= {f"from_{name}": losses.contribution[..., k].ravel() for k, name in enumerate(FACTORS)}
    return pd.DataFrame(data)


def _realised(
    scene: Scene, row: int, labels: Sequence[tuple[str, str, str]], funds: np.ndarray
) -> np.ndarray:
    """(C, n) what the funds returned in the replays by their own prices; NaN elsewhere."""
    out = np.full((len(labels), len(funds)), np.nan)
    days = scene.panel.sessions[: row + 1]
    for c, (kind, name, _) in enumerate(labels):
        if kind != "replay":
            continue
        one = scene.scenarios.replay[name]
        window = window_rows(days, np.datetime64(one.start), np.datetime64(one.end), shift=scene.market.shift)
        if window is not None:
            inside = slice(window.first, window.last + 1)
            own = Window(0, window.last - window.first, window.known_from - window.first)
            out[c] = realised_returns(
                scene.panel.total_return[inside, funds], scene.accepted[inside, funds], own
            )[0]
    return out


def _accounts(
    scene: Scene,
    row: int,
    own: Exposures,
    held: Mapping[str, np.ndarray],
    weights: np.ndarray,
    covered: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reverse stress and correlations at one, of each account."""
    covariance = scene.market.covariance(row, scene.pipeline.settings.attribution.stress_window)
    reverse, fragile = [], []
    for strategy, weight, share in zip(held, weights, covered, strict=True):
        at = np.flatnonzero(weight)
        if not len(at):
            continue
        w = weight[at]
        loadings, residual = own.loadings[at], own.residual_variance[at]
        together_ = exposure_covariance(loadings, covariance, residual)
        label = {"strategy": strategy, "session": scene.panel.sessions[row].astype("datetime64[s]")}
        for name, wanted in scene.scenarios.reverse.items():
            if not float(w @ together_ @ w) > 0:
                continue
            found = reverse_stress(
                w, loadings, covariance, residual, loss=wanted.loss, horizon=wanted.horizon_sessions,
                degrees_of_freedom=wanted.degrees_of_freedom,
            )  # fmt: skip
            known = scene.market.available[scene.market.offset + row]
            moves = np.where(IS_RETURN, np.expm1(found.moves), found.moves)
            reverse.append(
                {
                    **label,
                    "scenario": name,
                    "loss": wanted.loss,
                    "horizon_sessions": np.int32(wanted.horizon_sessions),
                    **{factor: moves[k] if known[k] else np.nan for k, factor in enumerate(FACTORS)},
                    "specific": found.contribution[-1],
                    "distance": found.distance,
                    "probability_normal": found.probability_normal,
                    "probability_student_t": found.probability_t,
                }
            )
        for name, one in scene.scenarios.correlation.items():
            result = correlations_to_one(
                w, together_, horizon=one.horizon_sessions, confidence=one.confidence
            )
            year = np.sqrt(SESSIONS_A_YEAR)
            fragile.append(
                {
                    **label,
                    "scenario": name,
                    "volatility_annualised": year * result.volatility,
                    "volatility_same_sign_annualised": year * result.volatility_same_sign,
                    "volatility_worst_annualised": year * result.volatility_worst,
                    "diversification": result.diversification,
                    "loss": result.loss,
                    "loss_worst": result.loss_worst,
                    "covered_weight": share,
                }
            )
    return pd.DataFrame(reverse), pd.DataFrame(fragile)


def _liquidity(scene: Scene, rows: np.ndarray) -> pd.DataFrame:
    """What it takes to sell the accounts, larger ones too, held in the same parts."""
    found = []
    costs = scene.made.market.costs
    for strategy, weight in scene.weight.items():
        for row in rows:
            at = np.flatnonzero(weight[row])
            if not len(at):
                continue
            # The costs known at this close are those of the next session's row.
            half_spread, impact = costs.half_spread[row + 1, at], costs.impact[row + 1, at]
            if not (np.isfinite(half_spread) & np.isfinite(impact)).all():
                continue
            for name, one in scene.scenarios.liquidity.items():
                for capital in CAPITALS:
                    sold = liquidity_stress(
                        weight[row, at],
                        capital,
                        half_spread,
                        impact,
                        scene.traded_value[row, at],
                        rules=one.rules(),
                    )
                    found.append(
                        {
                            "strategy": strategy,
                            "session": scene.panel.sessions[row].astype("datetime64[s]"),
                            "scenario": name,
                            "capital": capital,
                            "days_to_sell_all": sold.days_to_sell_all,
                            **dict(
                                zip(
                                    ("share_sold_1", "share_sold_5", "share_sold_20"),
                                    sold.share_sold,
                                    strict=True,
                                )
                            ),
                            "cost_to_sell": sold.cost_of_portfolio,
                        }
                    )
    return pd.DataFrame(found) if found else together([], "attribution.liquidity_stress")


def _simulated(scene: Scene) -> pd.DataFrame:
    """The next month of every fund and account at quarters' ends, from shocks of the past at the volatility of the day."""
    settings = scene.pipeline.settings.attribution
    equity = scene.market.moves[scene.market.offset :, FACTORS.index("equity")]
    frames = []
    for row in every(scene.panel.sessions, 3):
        rows = slice(max(0, int(row) + 1 - SIMULATED_WINDOW - 260), int(row) + 1)
        recent = np.isfinite(scene.single[rows][-SIMULATED_WINDOW:]).sum(axis=0) >= LEAST_SIMULATED
        funds = np.flatnonzero(recent & scene.alive(int(row)))
        driver = equity[rows]
        if not len(funds) or np.isfinite(driver[-SIMULATED_WINDOW:]).sum() < LEAST_SIMULATED:
            continue
        own = np.where(scene.single[rows][:, funds] > -1.0, scene.single[rows][:, funds], np.nan)
        filtered = filter_returns(np.column_stack([own, driver]), ewma_parameters(len(funds) + 1))
        residuals = joint_residuals(
            filtered.standardised[:, :-1], filtered.standardised[:, -1:], window=SIMULATED_WINDOW,
            min_observations=LEAST_SIMULATED, seed=settings.seed,
        )  # fmt: skip
        drawn = simulate_returns(
            residuals,
            filtered.variance[:-1],
            ewma_parameters(len(funds)),
            paths=settings.paths,
            seed=settings.seed,
        )
        held = {name: weight[row, funds] for name, weight in scene.weight.items() if weight[row].any()}
        accounts = [np.nan_to_num(drawn) @ weight for weight in held.values()]
        tail = simulated_tail(np.column_stack([drawn, *accounts]))
        frames.append(
            pd.DataFrame(
                {
                    "kind": ["fund"] * len(funds) + ["strategy"] * len(held),
                    "name": [*scene.panel.tickers[funds], *held],
                    "session": scene.panel.sessions[row].astype("datetime64[s]"),
                    "value_at_risk_95": tail.value_at_risk[0],
                    "value_at_risk_99": tail.value_at_risk[1],
                    "expected_shortfall_95": tail.expected_shortfall[0],
                    "expected_shortfall_99": tail.expected_shortfall[1],
                    "probability_of_losing_10": tail.probability_of_loss[0],
                    "probability_of_losing_20": tail.probability_of_loss[1],
                    "paths": np.int32(settings.paths),
                }
            )
        )
    frame = together(frames, "attribution.simulated_losses")
    return frame[frame["value_at_risk_95"].notna()]


def _worst(losses: pd.DataFrame) -> str:
    """The newest month's worst funds by scenario."""
    newest = losses[(losses["session"] == losses["session"].max()) & (losses["others"] == "conditional")]
    if newest.empty:
        return "nothing has exposures yet"
    at = newest.groupby(["kind", "scenario"])["served_return"].agg(["min", "median", "max"]).reset_index()
    return markdown_table(at)
