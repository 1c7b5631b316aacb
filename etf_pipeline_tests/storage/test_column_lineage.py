"""Column lineage names only what exists: columns of the table, columns of assets the table is read from."""

from __future__ import annotations

import dagster as dg
import pytest

from etf_pipeline.definitions import defs
from etf_pipeline.storage.column_lineage import COLUMN_LINEAGE, RAW_BARS
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.io_manager import column_lineage

# Columns that come from no other column: labels, and facts of the run.
STAND_ALONE = {
    "market.bars": {"split", "distribution", "has_actions"},  # of raw.actions, which is no asset of its own
    "risk.garch_fits": {"model"},
    "risk.beta": {"benchmark"},
    "risk.regime": {"benchmark"},
    "risk.regime_states": {"states", "state"},
    "validation.volatility_losses": {"horizon", "model"},
    "validation.volatility_tests": {"horizon", "model", "baseline"},
    "validation.value_at_risk": {"model", "level"},
    "validation.value_at_risk_exceptions": {"level"},
    "validation.hedging": {"horizon", "benchmark", "estimator"},
    "validation.signal_evaluation": {"signal", "horizon"},
    "validation.signal_correlation": {"signal", "other"},
    "validation.signal_decay": {"signal", "lag", "horizon"},
    "scoring.device_effects": {"device"},
    "scoring.adaptive_weight_fits": {"regime", "component", "base_weight"},
    "scoring.ablation_gate": {"overlay"},
    "signals.forecast_models": {"horizon", "member"},
    "validation.forecast_bias": {"horizon"},
    **{
        f"validation.{table}": {"strategy"}
        for table in ("backtest_daily", "backtest_trades", "backtest_holdings", "backtest_summary")
    },
    "validation.random_portfolios": {"strategy", "draws"},
    "validation.capacity": {"strategy", "capital"},
    "validation.trials": {
        "trial_id",
        "asked_by",
        "configuration",
        "settings_hash",
        "code_version",
        "run_id",
        "recorded_at",
    },
    "validation.trial_returns": {"trial_id"},
    "validation.parameter_sweep": {
        "trial_id",
        "momentum_weight",
        "forecast_weight",
        "risk_weight",
        "volume_weight",
        "multipliers",
        "penalties",
        "top",
        "keep",
        "months",
        "is_default",
    },
    "validation.walk_forward": {"scheme", "window_number"},
    "validation.cross_validation": {"path"},
    "validation.significance": {"strategy", "against"},
    "validation.survivorship": {"comparison"},
    "validation.listing_bias": {"comparison"},
    "validation.readiness": {"gate", "question", "evidence"},
    "production.published_ranking": {"simulated", "published_at"},
    "attribution.factor_exposure": {"model", "span", "factor", "return_sessions", "lag_days", "converted"},
    "attribution.rolling_exposure": {"model"},
    **{
        f"attribution.{table}": {"strategy", "model", "part"}
        for table in ("return_attribution", "annual_attribution", "portfolio_risk")
    },
    "attribution.stress_losses": {"kind", "scenario", "others"},
    "attribution.portfolio_stress": {"strategy", "kind", "scenario", "others"},
    "attribution.reverse_stress": {"strategy", "scenario", "loss", "horizon_sessions"},
    "attribution.portfolio_fragility": {"strategy", "scenario"},
    "attribution.liquidity_stress": {"strategy", "scenario", "capital"},
    "attribution.simulated_losses": {"kind", "paths"},
    "attribution.replay_coverage": {"level"},
}
TABLE_OF = {
    **dict.fromkeys(RAW_BARS, "raw.bars"),
    "raw.reference_series": "raw.macro",
    "raw.factor_returns": "raw.factors",
}
EDGES = [
    (table, column, source)
    for table, columns in COLUMN_LINEAGE.items()
    for column, sources in columns.items()
    for source in sources
]


def test_every_research_and_production_table_is_described() -> None:
    described = {name for name in CONTRACTS if name.split(".")[0] not in {"raw", "meta"}}
    assert set(COLUMN_LINEAGE) == described


@pytest.mark.parametrize("table", COLUMN_LINEAGE)
def test_every_column_has_sources_or_stands_alone(table: str) -> None:
    columns = set(CONTRACTS[table].names)
    assert set(COLUMN_LINEAGE[table]) == columns - STAND_ALONE.get(table, set())
    assert all(COLUMN_LINEAGE[table].values())


def test_every_source_column_exists() -> None:
    unknown = []
    for table, column, source in EDGES:
        asset, _, name = source.rpartition(".")
        if name not in CONTRACTS[TABLE_OF.get(asset, asset)].names:
            unknown.append(f"{table}.{column} <- {source}")
    assert not unknown


def test_every_source_is_an_asset_that_the_graph_says_is_read() -> None:
    graph = defs.resolve_asset_graph()
    unread = []
    for table, column, source in EDGES:
        parents = graph.get(dg.AssetKey(table.split("."))).parent_keys
        if dg.AssetKey(source.rpartition(".")[0].split(".")) not in parents:
            unread.append(f"{table}.{column} <- {source}")
    assert not unread


def test_what_dagster_is_handed() -> None:
    deps = column_lineage("scoring.composite_ranking").deps_by_column["final_score"]
    named = {(dep.asset_key.to_user_string(), dep.column_name) for dep in deps}
    assert ("scoring/component_scores", "momentum_score") in named
    assert ("market/universe", "is_member") in named
