"""The ledger of trials, the settings around the default, and what is left of the record once they are counted."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.scoring.rules import CATEGORY_NAMES, COMPONENT_NAMES
from etf_pipeline.core.validation.backtest import month_ends
from etf_pipeline.core.validation.luck import judge_strategies, judge_trials
from etf_pipeline.core.validation.parameter_stability import stability
from etf_pipeline.core.validation.parameter_sweep import (
    Configuration,
    SweepGrid,
    parameter_sweep,
    ranking_inputs,
    weight_lattice,
)
from etf_pipeline.core.validation.periods import complete_years
from etf_pipeline.core.validation.splits import combinatorial_purged, walk_forward_windows
from etf_pipeline.core.validation.trial_ledger import merge_trials, monthly_returns, ranking_hash, trial_id
from etf_pipeline.core.validation.walk_forward import cross_validated_choice, walk_forward
from etf_pipeline.defs.resources import Pipeline, PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.backtest import BASELINES, STRATEGIES, together
from etf_pipeline.defs.validation.trading import Trading, trading
from etf_pipeline.plots import markdown_table
from etf_pipeline.settings import Backtest
from etf_pipeline.storage.lineage import code_version, utc_now
from etf_pipeline.storage.tables import from_arrow

STEP = 0.1
TRAIN, TEST = 756, 21
"""Sessions of the past a configuration is chosen on, and of the time it is then held."""
GROUPS, TEST_GROUPS, EMBARGO = 10, 2, 21
ACCOUNT = (
    "delay", "trade_at", "capital", "whole_units", "delisting_haircut", "impact_coefficient", "least_half_spread",
    "cash_margin", "loan_margin",
)  # fmt: skip
"""Settings of the account that are part of a configuration."""


def sweep_grid(settings: Backtest, base_weights: dict[str, float]) -> SweepGrid:
    """The settings' own configuration and what lies around it: weights moved by a tenth, devices on and off, and sizes."""
    ratio = settings.keep / settings.top
    return SweepGrid(
        weight_lattice(
            tuple(base_weights[name] for name in COMPONENT_NAMES), STEP, reach=settings.weight_steps
        ),
        STEP,
        top=tuple(sorted({max(1, settings.top // 2), settings.top, 2 * settings.top})),
        keep=tuple(sorted({1.0, ratio, 2.0})),
        months=tuple(sorted({1, 3, settings.months})),
    )


def configuration_of(
    wanted: Configuration, settings: Backtest, *, sized: bool = False, served: bool = False
) -> dict[str, Any]:
    """A configuration as the ledger writes it down.

    Parameters
    ----------
    sized : funds held by their position sizes instead of in equal parts.
    served : ranked with the weights the gate served, instead of the base weights.
    """
    return {
        "weights": "served" if served else dict(zip(COMPONENT_NAMES, (round(w, 6) for w in wanted.weights), strict=True)),
        "multipliers": wanted.multipliers, "penalties": wanted.penalties, "top": wanted.top,
        "keep": wanted.kept, "months": wanted.months, "sized": sized,
        **{name: getattr(settings, name) for name in ACCOUNT},
    }  # fmt: skip


@dg.multi_asset(
    outs={
        "trials": table_out("validation.trials", "Every backtest configuration ever run here."),
        "trial_returns": table_out("validation.trial_returns", "Monthly returns of every trial."),
        "parameter_sweep": table_out("validation.parameter_sweep", "The settings around the default."),
        "walk_forward": table_out("validation.walk_forward", "Choosing on the past, holding it next."),
        "cross_validation": table_out(
            "validation.cross_validation", "Histories that the choice could have led to."
        ),
        "overfitting": table_out(
            "validation.overfitting", "How probable it is that choosing by backtest fails."
        ),
        "significance": table_out(
            "validation.significance", "Is it luck? Sharpe ratios with errors, discounted for all trials."
        ),
    },
    ins={
        name: dg.AssetIn(table.split("."))
        for name, table in {
            "bars": "market.bars",
            "sessions": "market.sessions",
            "universe": "market.universe",
            "liquidity": "risk.liquidity",
            "volatility": "risk.volatility",
            "categories": "risk.risk_category",
            "scores": "scoring.component_scores",
            "ranking": "scoring.composite_ranking",
            "daily": "validation.backtest_daily",
        }.items()
    },
    deps=[dg.AssetKey(["raw", "reference_series"])],
    name="trial_judgement",
    pool="warehouse",
)
def trial_judgement(
    context: dg.AssetExecutionContext,
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    universe: pd.DataFrame,
    liquidity: pd.DataFrame,
    volatility: pd.DataFrame,
    categories: pd.DataFrame,
    scores: pd.DataFrame,
    ranking: pd.DataFrame,
    daily: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Run the grid around the default, enter every configuration in the ledger, and discount the record for all of them."""
    made = trading(bars, sessions, universe, liquidity, volatility, pipeline)
    days = made.market.sessions
    axis = pd.DatetimeIndex(days.astype("datetime64[s]"))
    strategy = {
        str(name): own.set_index("session")["net_return"].reindex(axis).to_numpy()
        for name, own in daily[daily["covered"]].groupby("strategy")
    }  # fmt: skip
    grid, swept = _sweep(made, universe, categories, scores, ranking, pipeline, strategy.get("top_ranked"))
    trials, returns = _ledger(context.run.run_id, made, grid, swept, strategy, pipeline)
    yield dg.Output(trials, "trials", metadata={"trials": len(trials)})
    yield dg.Output(returns, "trial_returns")
    yield dg.Output(_stable(grid, swept, made, pipeline), "parameter_sweep")
    names = [trial_id(one, _settings_hash(pipeline)) for one in _configurations(grid, pipeline)]
    yield dg.Output(_walked(names, grid, swept, made, pipeline), "walk_forward")
    yield dg.Output(_crossed(swept, made), "cross_validation")
    judged, rows = _judged(returns, strategy, made, pipeline)
    yield dg.Output(
        judged, "overfitting", metadata={"to_date": dg.MetadataValue.md(markdown_table(judged.tail(1)))}
    )
    newest = rows[rows["year"] == rows["year"].max()] if len(rows) else rows
    shown = ["strategy", "against", "sharpe", "sharpe_standard_error", "effective_trials", "expected_maximum_sharpe",
             "deflated_sharpe", "years", "years_for_power"]  # fmt: skip
    yield dg.Output(
        rows, "significance", metadata={"to_date": dg.MetadataValue.md(markdown_table(newest[shown]))}
    )


def _sweep(
    made: Trading,
    universe: pd.DataFrame,
    categories: pd.DataFrame,
    scores: pd.DataFrame,
    ranking: pd.DataFrame,
    pipeline: Pipeline,
    default: np.ndarray | None,
) -> tuple[SweepGrid, np.ndarray]:
    """The grid, and (S, K) daily returns after costs; no column where the strategy itself never traded."""
    market, settings, rules = made.market, pipeline.settings.backtest, pipeline.rules
    grid = sweep_grid(settings, dict(rules.base_weights))
    if default is None:
        return grid, np.empty((len(market.sessions), 0))
    first = int(np.flatnonzero(np.isfinite(default))[0]) - settings.delay
    rows = month_ends(market.sessions)
    rows = rows[rows >= first]

    def at(frame: pd.DataFrame, column: str) -> np.ndarray:
        own = frame[frame["session"].isin(pd.DatetimeIndex(market.sessions[rows].astype("datetime64[s]")))]
        return from_long_column(own, column, market.sessions[rows], market.tickers)

    code = categories["category"].map({name: code for code, name in enumerate(CATEGORY_NAMES)})
    inputs = ranking_inputs(
        rows,
        {name: at(scores, f"{name}_score") for name in COMPONENT_NAMES},
        at(universe, "is_member") == 1.0,
        np.nan_to_num(at(categories.assign(code=code), "code"), nan=-1.0).astype(np.int64),
        np.nan_to_num(at(ranking, "penalty_points")),
        at(universe, "median_traded_value"),
        market.tickers,
    )
    swept = parameter_sweep(market, inputs, grid, rules, made.rules, delay=settings.delay)
    return grid, np.where(made.covered[:, None], swept, np.nan)


def _ledger(
    run_id: str,
    made: Trading,
    grid: SweepGrid,
    swept: np.ndarray,
    strategy: dict[str, np.ndarray],
    pipeline: Pipeline,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the ledger holds already, and what this run tried."""
    settings, days = pipeline.settings.backtest, made.market.sessions
    settings_hash = _settings_hash(pipeline)
    default = default_configuration(settings, dict(pipeline.rules.base_weights))
    tried = [
        (
            configuration_of(default, settings, sized=name == "top_ranked_sized", served=True),
            "strategy",
            strategy[name],
        )
        for name in STRATEGIES
        if name in strategy
    ]
    tried += [
        (configuration_of(grid.configuration(k), settings), "sweep", swept[:, k])
        for k in range(swept.shape[1])
    ]
    names = [trial_id(configuration, settings_hash) for configuration, _, _ in tried]
    panel = np.column_stack([one for _, _, one in tried]) if tried else np.empty((len(days), 0))
    traded = np.isfinite(panel)
    found = pd.DataFrame(
        {
            "trial_id": names,
            "session": days[traded.argmax(axis=0)].astype("datetime64[s]") if names else pd.DatetimeIndex([]),
            "asked_by": [asked for _, asked, _ in tried],
            "configuration": [json.dumps(configuration, sort_keys=True) for configuration, _, _ in tried],
            "settings_hash": settings_hash,
            "code_version": code_version(),
            "run_id": run_id,
            "recorded_at": utc_now(),
        }
    )
    known, monthly = monthly_returns(panel, days)
    month, column = np.nonzero(np.isfinite(monthly))
    found_returns = pd.DataFrame(
        {
            "trial_id": np.array(names, dtype=object)[column],
            "session": days[known[month]].astype("datetime64[s]"),
            "net_return": monthly[month, column],
        }
    )
    return merge_trials(*held_trials(pipeline), found, found_returns)


def _settings_hash(pipeline: Pipeline) -> str:
    return ranking_hash(pipeline.settings.research_settings())


def _configurations(grid: SweepGrid, pipeline: Pipeline) -> list[dict[str, Any]]:
    return [configuration_of(grid.configuration(k), pipeline.settings.backtest) for k in range(len(grid))]


def default_configuration(settings: Backtest, base_weights: dict[str, float]) -> Configuration:
    """The settings' own way to run the strategy."""
    weights = tuple(base_weights[name] for name in COMPONENT_NAMES)
    return Configuration(weights, top=settings.top, keep=settings.keep / settings.top, months=settings.months)


def held_trials(pipeline: Pipeline) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ledger as it stands."""
    with pipeline.warehouse.read() as connection:
        trials, returns = (
            from_arrow(connection.execute(f"SELECT * FROM validation.{table}").to_arrow_table())  # noqa: S608
            for table in ("trials", "trial_returns")
        )
    return trials, returns


def _stable(grid: SweepGrid, swept: np.ndarray, made: Trading, pipeline: Pipeline) -> pd.DataFrame:
    """Every configuration beside its neighbours, to each year's end."""
    days = made.market.sessions
    years = complete_years(days)
    settings = pipeline.settings.backtest
    settings_hash = _settings_hash(pipeline)
    frames = []
    if swept.shape[1]:
        neighbours = grid.neighbours()
        wanted = [grid.configuration(k) for k in range(len(grid))]
        fixed = pd.DataFrame(
            {
                "trial_id": [trial_id(configuration_of(one, settings), settings_hash) for one in wanted],
                **{f"{name}_weight": [one.weights[c] for one in wanted] for c, name in enumerate(COMPONENT_NAMES)},
                **{name: [getattr(one, name) for one in wanted] for name in ("multipliers", "penalties", "top", "months")},
                "keep": [one.kept for one in wanted],
                "is_default": np.arange(len(wanted))
                == grid.number(default_configuration(settings, dict(pipeline.rules.base_weights))),
            }
        )  # fmt: skip
        for year, end in zip(years.year, years.end, strict=True):
            excess = swept[:end] - made.market.deposit[:end, None]
            usable = np.isfinite(excess).all(axis=1)
            if usable.sum() < 252:
                continue
            found = stability(excess, neighbours)
            grown = np.log1p(swept[:end][usable]).sum(axis=0)
            frames.append(
                fixed.assign(
                    year=year,
                    session=year_after(days, np.array([year]))[0],
                    annual_return=np.expm1(grown * 252.0 / usable.sum()),
                    sharpe=found.sharpe,
                    neighbours=found.neighbours.astype("int32"),
                    neighbours_sharpe=found.mean_sharpe,
                    worst_neighbour_sharpe=found.worst_sharpe,
                    neighbours_error=found.mean_error,
                    stability=found.verdict.astype(object),
                )
            )
    return together(frames, "validation.parameter_sweep")


def _compared(swept: np.ndarray, made: Trading) -> tuple[int, np.ndarray]:
    """First row from which every configuration has returns, and those over cash from there on."""
    complete = np.isfinite(swept).all(axis=1) if swept.shape[1] else np.zeros(len(swept), dtype=bool)
    first = int(complete.argmax()) if complete.any() else len(swept)
    last = len(swept) - int(complete[::-1].argmax()) if complete.any() else len(swept)
    return first, swept[first:last] - made.market.deposit[first:last, None]


def _walked(
    names: list[str], grid: SweepGrid, swept: np.ndarray, made: Trading, pipeline: Pipeline
) -> pd.DataFrame:
    """The best configuration of the past three years, or of all the past, held for the next month, again and again."""
    first, excess = _compared(swept, made)
    days, settings = made.market.sessions, pipeline.settings.backtest
    default = grid.number(default_configuration(settings, dict(pipeline.rules.base_weights)))
    frames = []
    for scheme in ("rolling", "expanding"):
        if len(excess) < TRAIN + TEST + 1:
            break
        # One session less: an outcome is written down at the session after it.
        windows = walk_forward_windows(
            len(excess) - 1, train=TRAIN, test=TEST, expanding=scheme == "expanding", horizon=settings.delay
        )
        found = walk_forward(excess, windows)
        chosen = np.maximum(found.chosen, 0)
        rank = np.where(found.test_rank > 0, found.test_rank, np.nan)
        held = [np.prod(1.0 + swept[first + a : first + b, default]) - 1.0
                for a, b in zip(windows.test_begin, windows.test_end, strict=True)]  # fmt: skip
        gained = [np.prod(1.0 + swept[first + a : first + b, k]) - 1.0
                  for a, b, k in zip(windows.test_begin, windows.test_end, chosen, strict=True)]  # fmt: skip
        day = days[first:].astype("datetime64[s]")
        frames.append(
            pd.DataFrame(
                {
                    "scheme": scheme, "window_number": np.arange(len(windows), dtype="int32"),
                    "session": day[windows.test_end],
                    "train_start": day[windows.train_begin], "train_end": day[windows.train_end - 1],
                    "test_start": day[windows.test_begin], "test_end": day[windows.test_end - 1],
                    "trial_id": np.array(names, dtype=object)[chosen], "train_sharpe": found.training_sharpe,
                    "test_sharpe": found.test_sharpe, "test_return": gained, "default_test_return": held,
                    "test_place": (found.candidates - rank) / np.where(found.candidates > 1, found.candidates - 1.0, np.nan),
                }
            )[found.chosen >= 0]
        )  # fmt: skip
    return together(frames, "validation.walk_forward")


def _crossed(swept: np.ndarray, made: Trading) -> pd.DataFrame:
    """Paths of combinatorial purged cross-validation, to the end of each year."""
    first, excess = _compared(swept, made)
    days = made.market.sessions
    years = complete_years(days)
    frames = []
    for year, end in zip(years.year, years.end, strict=True):
        own = excess[: max(0, int(end) - first)]
        if len(own) < GROUPS * 60:
            continue
        splits = combinatorial_purged(len(own), GROUPS, TEST_GROUPS, embargo=EMBARGO)
        found = cross_validated_choice(own, splits)
        frames.append(
            pd.DataFrame(
                {
                    "year": year, "session": year_after(days, np.array([year]))[0],
                    "path": np.arange(len(found.path_sharpe), dtype="int32"), "splits": np.int32(len(found.chosen)),
                    "sharpe": found.path_sharpe, "annual_return": found.path_annual_return,
                }
            )
        )  # fmt: skip
    return together(frames, "validation.cross_validation")


def _judged(
    returns: pd.DataFrame, strategy: dict[str, np.ndarray], made: Trading, pipeline: Pipeline
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All trials, and each strategy, to the end of each year."""
    days, seed = made.market.sessions, pipeline.settings.backtest.seed
    years = complete_years(days)
    wide = returns.pivot_table("net_return", "session", "trial_id") if len(returns) else None
    judged, rows = [], []
    if wide is not None and set(BASELINES) <= set(strategy):
        measures = {"cash": made.market.deposit, **{name: strategy[name] for name in BASELINES}}
        known, yard = monthly_returns(np.column_stack(list(measures.values())), days)
        yard_days = pd.DatetimeIndex(days[known].astype("datetime64[s]"))
        monthly = wide.reindex(yard_days).to_numpy()
        for year, end in zip(years.year, years.end, strict=True):
            over = known <= end
            if not np.isfinite(monthly[over]).any():
                continue
            yards = {name: yard[over, k] for k, name in enumerate(measures)}
            found, counts = judge_trials(monthly[over], yards, seed=seed)
            session = year_after(days, np.array([year]))[0]
            judged.append({**found, "year": year, "session": session})
            past = {name: one[:end] for name, one in strategy.items()}
            rows += [
                {**row, "year": year, "session": session}
                for row in judge_strategies(
                    {name: past[name] for name in STRATEGIES if name in past},
                    {name: past[name] for name in BASELINES},
                    made.market.deposit[:end],
                    int(found["trials"]),
                    counts,
                    seed=seed,
                )
            ]
    whole = ("trials", "months", "splits", "step_m_rejections")
    frame = pd.DataFrame(judged).astype(dict.fromkeys(whole, "int32")) if judged else None
    return (
        together([frame] if frame is not None else [], "validation.overfitting"),
        together([pd.DataFrame(rows)] if rows else [], "validation.significance"),
    )
