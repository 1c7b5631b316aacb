"""Questions put to the warehouse after each stage; every answer is a count of rows that should not be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS


@dataclass(frozen=True)
class Rule:
    """One check: a query that returns the offending rows.

    ``severity`` error stops what lies downstream, warn does not.
    """

    table: str
    name: str
    description: str
    severity: Literal["error", "warn"]
    offenders: str


def contract_rule(table: str) -> Rule:
    """The key is unique and what may not be NULL is not: the contract, asked of the stored rows."""
    contract = CONTRACTS[table]
    key = ", ".join(contract.key)
    nulls = " OR ".join(f'"{c.name}" IS NULL' for c in contract.columns if not c.nullable)
    return Rule(
        table,
        "contract",
        f"Key ({key}) unique, mandatory columns filled.",
        "error",
        f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1 "  # noqa: S608
        f"UNION ALL SELECT {key} FROM {table} WHERE {nulls}",
    )


RULES: tuple[Rule, ...] = (
    *(
        contract_rule(table)
        for table in CONTRACTS
        if table.split(".")[0] in {"market", "risk", "signals", "scoring", "validation"}
    ),
    Rule(
        "market.bars",
        "coherent_prices",
        "An accepted bar has a positive close inside its own range.",
        "error",
        "SELECT ticker, session, low, close, high FROM market.bars WHERE accepted AND (close IS NULL OR close <= 0 "
        "OR close > high * (1 + 1e-9) OR close < low * (1 - 1e-9))",
    ),
    Rule(
        "market.bars",
        "few_refusals",
        "At most a tenth of a year's newest bars are refused, market-wide.",
        "warn",
        "SELECT count(*) FILTER (NOT accepted) AS refused, count(*) AS bars FROM market.bars "
        "WHERE session > (SELECT max(session) FROM market.bars) - INTERVAL 365 DAY "
        "HAVING count(*) FILTER (NOT accepted) > 0.1 * count(*)",
    ),
    Rule(
        "market.total_return",
        "no_unexplained_jumps",
        "No return between consecutive bars beyond +300 % or -90 %: that is a corporate action, not a market.",
        "error",
        "SELECT ticker, session, total_return FROM market.total_return "
        "WHERE sessions_spanned = 1 AND (total_return > 3 OR total_return < -0.9)",
    ),
    Rule(
        "market.bars",
        "few_withdrawals",
        "Vendors have withdrawn at most half a per cent of the bars they once gave.",
        "warn",
        "SELECT count(*) FILTER (withdrawn) AS withdrawn, count(*) AS bars FROM (SELECT withdrawn FROM raw.bars "
        "QUALIFY row_number() OVER (PARTITION BY ticker, session, occurrence ORDER BY known_at DESC) = 1) "
        "HAVING count(*) FILTER (withdrawn) > 0.005 * count(*)",
    ),
    Rule(
        "market.sessions",
        "no_empty_session",
        "Every session of the last year has at least one bar.",
        "warn",
        "SELECT session FROM market.sessions WHERE bars = 0 "
        "AND session > (SELECT max(session) FROM market.sessions) - INTERVAL 365 DAY",
    ),
    Rule(
        "market.total_return",
        "returns_are_known",
        "At most one in a hundred returns between two accepted bars is unknown. If more are: look at the price "
        "basis in raw.fetches, and declare `adjusted`.",
        "error",
        "SELECT count(*) FILTER (total_return IS NULL) AS unknown, count(*) AS returns FROM market.total_return "
        "WHERE sessions_spanned > 0 HAVING count(*) FILTER (total_return IS NULL) > 0.01 * count(*)",
    ),
    Rule(
        "scoring.component_scores",
        "risk_is_known",
        "On the newest session, at most a tenth of the members with momentum lack a risk score. If more do, the "
        "benchmark has lost its bars: set `benchmark` to a fund that has them.",
        "error",
        "SELECT count(*) FILTER (risk_score IS NULL) AS without, count(*) AS funds FROM scoring.component_scores "
        "WHERE momentum_score IS NOT NULL AND session = (SELECT max(session) FROM scoring.component_scores) "
        "HAVING count(*) FILTER (risk_score IS NULL) > 0.1 * count(*)",
    ),
    Rule(
        "market.universe",
        "no_doubted_member",
        "No member of the universe is under a corporate-action doubt.",
        "error",
        "SELECT ticker, session FROM market.universe u JOIN market.bars b USING (ticker, session) "
        "WHERE u.is_member AND b.doubt",
    ),
    Rule(
        "market.universe",
        "reason_or_member",
        "Everyone left out has a reason, and no member has one.",
        "error",
        "SELECT ticker, session FROM market.universe WHERE is_member = (exclusion_reason IS NOT NULL)",
    ),
    Rule(
        "scoring.component_scores",
        "scores_in_range",
        "Component scores lie between 0 and 100.",
        "error",
        "SELECT ticker, session FROM scoring.component_scores WHERE NOT coalesce(momentum_score, 0) BETWEEN 0 AND 100 "
        "OR NOT coalesce(risk_score, 0) BETWEEN 0 AND 100 OR NOT coalesce(volume_score, 0) BETWEEN 0 AND 100",
    ),
    Rule(
        "scoring.composite_ranking",
        "ranks_are_complete",
        "Each session's ranks run from 1 to the number of ranked funds, best score first.",
        "error",
        "SELECT session FROM scoring.composite_ranking WHERE rank IS NOT NULL GROUP BY session "
        "HAVING count(DISTINCT rank) <> count(*) OR min(rank) <> 1 OR max(rank) <> count(*) "
        "OR any_value(ranked_funds) <> count(*) "
        "UNION ALL SELECT session FROM (SELECT session, final_score - lag(final_score) OVER "
        "(PARTITION BY session ORDER BY rank) AS step FROM scoring.composite_ranking WHERE rank IS NOT NULL) "
        "WHERE step > 1e-6",
    ),
    Rule(
        "scoring.composite_ranking",
        "scores_add_up",
        "Weights sum to one and weighted components to the raw score.",
        "error",
        "SELECT r.ticker, r.session, r.raw_score FROM scoring.composite_ranking r "
        "JOIN scoring.component_scores s USING (ticker, session) WHERE r.rank IS NOT NULL AND ("
        "abs(momentum_weight + risk_weight + volume_weight - 1) > 1e-12 OR abs(raw_score "
        "- momentum_weight * coalesce(momentum_score, 0) - risk_weight * coalesce(risk_score, 0) "
        "- volume_weight * coalesce(volume_score, 0)) > 1e-9)",
    ),
    Rule(
        "scoring.composite_ranking",
        "only_members_are_ranked",
        "A ranked fund was a member of that session's universe; everyone else has a reason.",
        "error",
        "SELECT r.ticker, r.session FROM scoring.composite_ranking r JOIN market.universe u USING (ticker, session) "
        "WHERE (r.rank IS NOT NULL AND NOT u.is_member) OR (r.rank IS NULL) = (r.exclusion_reason IS NULL)",
    ),
    Rule(
        "scoring.composite_ranking",
        "scores_spread_out",
        "The newest scores do not cluster: their interquartile range is at least ten points.",
        "warn",
        "SELECT session, quantile_cont(final_score, 0.75) - quantile_cont(final_score, 0.25) AS spread "
        "FROM scoring.composite_ranking WHERE session = (SELECT max(session) FROM scoring.composite_ranking "
        "WHERE rank IS NOT NULL) AND rank IS NOT NULL GROUP BY session HAVING spread < 10",
    ),
)


def offenders(warehouse: Warehouse, rule: Rule, limit: int = 5) -> tuple[int, list[tuple[object, ...]]]:
    """How many rows break the rule, and the first few of them."""
    with warehouse.read() as connection:
        count = connection.execute(f"SELECT count(*) FROM ({rule.offenders})").fetchone()  # noqa: S608
        rows = connection.execute(f"SELECT * FROM ({rule.offenders}) ORDER BY ALL LIMIT {limit}").fetchall()  # noqa: S608
    return (int(count[0]) if count else 0), rows
