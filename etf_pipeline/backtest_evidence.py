"""What the warehouse holds about a strategy, for the command, the tear sheet and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from etf_pipeline.storage.connection import stored_columns

Row = Mapping[str, Any]

YARDSTICKS = ("benchmark", "equal_weight")
LABELS = {
    "top_ranked": "best-ranked funds, equally weighted",
    "top_ranked_sized": "best-ranked funds, by the ranking's position sizes",
    "benchmark": "market fund",
    "equal_weight": "all funds of the universe, equally weighted",
}


class NoBacktestError(LookupError):
    """There is no backtest to show for what was asked; the message says what there is."""


@dataclass(frozen=True)
class Evidence:
    """What is stored of one strategy up to its newest complete year; a row that is not there is empty.

    Attributes
    ----------
    summary, random : of the strategy, to date.
    over_cash, over_benchmark : of ``validation.significance``.
    overfitting : over all trials; survivorship : survivors less all funds, all classes.
    settings : the backtest's, as they were when it ran.
    """

    strategy: str
    summary: Row = field(default_factory=dict)
    over_cash: Row = field(default_factory=dict)
    over_benchmark: Row = field(default_factory=dict)
    overfitting: Row = field(default_factory=dict)
    random: Row = field(default_factory=dict)
    survivorship: Row = field(default_factory=dict)
    settings: Row = field(default_factory=dict)


def gather(connection: duckdb.DuckDBPyConnection, strategy: str) -> Evidence:
    """All the evidence on one strategy that the warehouse holds."""
    return Evidence(
        strategy,
        summary=_newest(connection, "backtest_summary", strategy=strategy, scope="to_date"),
        over_cash=_newest(connection, "significance", strategy=strategy, against="cash"),
        over_benchmark=_newest(connection, "significance", strategy=strategy, against="benchmark"),
        overfitting=_newest(connection, "overfitting"),
        random=_newest(connection, "random_portfolios", strategy=strategy, scope="to_date"),
        survivorship=_newest(
            connection, "survivorship", comparison="survivors_less_all", asset_class="all", scope="to_date"
        ),
        settings=provenance(connection).get("settings", {}),
    )


def provenance(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Run, code, settings and time of the newest backtest; ``settings`` are those of the backtest alone."""
    found = records(
        connection,
        "meta.materializations",
        "SELECT m.run_id, m.code_version, m.settings_hash, m.finished, s.settings FROM meta.materializations m "
        "LEFT JOIN meta.settings s USING (settings_hash) WHERE m.asset = 'validation.backtest_daily' "
        "ORDER BY m.materialization_id DESC LIMIT 1",
    )
    if not found:
        return {}
    settings = json.loads(found[0]["settings"] or "{}")
    return {**found[0], "settings": settings.get("backtest") or {}, "all_settings": settings}


def strategy_or_error(connection: duckdb.DuckDBPyConnection, strategy: str) -> str:
    """The strategy, where it has an account.

    Raises
    ------
    NoBacktestError : nothing has an account, or not this strategy.
    """
    names = [
        str(row["strategy"])
        for row in records(
            connection,
            "validation.backtest_daily",
            "SELECT DISTINCT strategy FROM validation.backtest_daily ORDER BY strategy",
        )
    ]
    own = [name for name in names if name not in YARDSTICKS]
    if not own:
        raise NoBacktestError(
            "no strategy has been put to the test in this warehouse: run `etf build`; it needs a month's end with as "
            "many ranked funds as the strategy holds (backtest.top)"
        )
    if strategy not in own:
        raise NoBacktestError(f"{strategy} is not a strategy in this warehouse; there are {', '.join(own)}")
    return strategy


def records(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, values: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """A query's rows as dictionaries, NaN as None; none where a warehouse of an earlier version lacks ``table``."""
    if not stored_columns(connection, table):
        return []
    answer = connection.execute(query, list(values))
    names = [column[0] for column in answer.description or ()]
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in zip(names, row, strict=True)}
        for row in answer.fetchall()
    ]  # fmt: skip


def _newest(connection: duckdb.DuckDBPyConnection, table: str, **where: str) -> dict[str, Any]:
    condition = " AND ".join(f"{name} = ?" for name in where) or "true"
    found = records(
        connection,
        f"validation.{table}",
        f"SELECT * FROM validation.{table} WHERE {condition} ORDER BY year DESC LIMIT 1",  # noqa: S608
        list(where.values()),
    )
    return found[0] if found else {}
