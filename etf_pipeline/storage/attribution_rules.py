"""Questions put to the tables of attribution and stress: what is split into parts must be their sum."""

from __future__ import annotations

from etf_pipeline.storage.contracts.attribution import STRESS_FACTORS
from etf_pipeline.storage.rules import Rule

_PARTS = " + ".join(f"from_{name}" for name in STRESS_FACTORS)


def _stress_rule(table: str, key: str) -> Rule:
    return Rule(
        table,
        "parts_add_up",
        "What the factors bring in a scenario sums to the whole return, and none loses more than everything.",
        "error",
        f"SELECT {key}, session, kind, scenario, others FROM {table} "  # noqa: S608
        f"WHERE NOT coalesce(abs(total_return - ({_PARTS})) <= 1e-9, total_return IS NULL) "
        + ("OR total_return < -1 - 1e-9 " if key == "ticker" else ""),
    )


ATTRIBUTION_RULES = (
    Rule(
        "attribution.return_attribution",
        "contributions_add_up",
        "The parts of a session's return sum to the account's net return.",
        "error",
        "SELECT strategy, session, model FROM (SELECT strategy, session, model, sum(contribution) AS whole "
        "FROM attribution.return_attribution GROUP BY ALL) LEFT JOIN validation.backtest_daily USING (strategy, session) "
        "WHERE NOT coalesce(abs(whole - net_return) <= 1e-12, false)",
    ),
    Rule(
        "attribution.portfolio_risk",
        "parts_add_up",
        "Shares of an account's variance sum to one, and each part's volatility is that share of the whole.",
        "error",
        "SELECT strategy, session, model FROM (SELECT *, sum(share_of_variance) OVER account AS shares, "
        "sum(volatility_annualised) OVER account AS whole FROM attribution.portfolio_risk "
        "WINDOW account AS (PARTITION BY strategy, session, model)) WHERE abs(shares - 1) > 1e-9 "
        "OR abs(volatility_annualised - share_of_variance * whole) > 1e-9 OR unexplained_weight < 0",
    ),
    _stress_rule("attribution.stress_losses", "ticker"),
    _stress_rule("attribution.portfolio_stress", "strategy"),
)
