"""A second opinion on one fund's volatility: models that are not fitted to the whole universe."""

from __future__ import annotations

import duckdb
import numpy as np
from rich.console import Console

from etf_pipeline.core.risk.garch.exotic import EXOTIC, exotic_forecast
from etf_pipeline.risk_report import grid


def print_exotic(connection: duckdb.DuckDBPyConnection, console: Console, ticker: str, day: str) -> None:
    """Fit every model of ``EXOTIC`` to the fund's returns up to the session, and print what each forecasts."""
    rows = connection.execute(
        "SELECT total_return, sessions_spanned FROM market.total_return WHERE ticker = ? AND session <= ?::DATE "
        "ORDER BY session DESC LIMIT 1000",
        [ticker, day],
    ).fetchall()
    returns = np.array([r for r, _ in reversed(rows)], dtype=float)  # a missing one becomes NaN
    spanned = np.array([n or 0 for _, n in reversed(rows)], dtype=np.int64)
    table = grid(
        "Rarer volatility models, annualised, fitted now to the last 1,000 returns by arch",
        "model", ">1 session", ">5 sessions", ">21 sessions", ">log-likelihood", ">BIC", "",
    )  # fmt: skip
    for model in EXOTIC:
        found = exotic_forecast(returns, spanned, model)
        if found is None:
            table.add_row(model, "–", "–", "–", "–", "–", "no fit: too few returns, or none that settles")
            continue
        table.add_row(
            model,
            *(f"{100 * v:.1f} %" if np.isfinite(v) else "–" for v in found.volatility_annualised),
            f"{found.log_likelihood:,.1f}",
            f"{found.bic:,.1f}",
            "" if found.converged else "the search did not settle",
        )
    console.print(table)
