"""A warehouse with a backtest small enough to look at: invented accounts, and everything said about them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.lineage import RunInfo
from etf_pipeline.storage.tables import write_table
from etf_pipeline_tests.contract_rows import insert

FIRST = "2021-03-01"
ODD = "<b>&"
"""A ticker that would break a page it is not escaped on."""
FUNDS = {
    ODD: ("<script>alert('x')</script>", "us_equity", "HIGH"),
    "VAS": ("Shares of Australia", "australian_equity", "MEDIUM"),
    "VGS": ("Shares of the world", "global_equity", "MEDIUM"),
    "VAF": ("Bonds", "fixed_income", "LOW"),
}
SETTINGS = {
    "capital": 100_000.0, "top": 20, "keep": 30, "months": 1, "delay": 1, "trade_at": "close", "delisting_haircut": 0.01,
}  # fmt: skip
RUN = RunInfo("run-1", "abcdef0123456789", {"market": "asx", "backtest": SETTINGS})
_PLAIN = {"VARCHAR": "x", "DATE": pd.Timestamp(FIRST), "BOOLEAN": True, "TIMESTAMP": pd.Timestamp(FIRST)}
DRIFT = {"top_ranked": 0.0002, "benchmark": 0.0004, "equal_weight": 0.0003}
TEARS = {"top_ranked": 0.004, "benchmark": 0.002, "equal_weight": 0.001}


def rows_of(table: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    """A frame that meets the table's contract: what is not given is NULL where it may be, else 1, 'x' or ``FIRST``."""
    columns = CONTRACTS[table].columns
    return pd.DataFrame(
        {
            c.name: [row.get(c.name, None if c.nullable else _PLAIN.get(c.type, 1)) for row in rows]
            for c in columns
        }
    )


def backtest_frames(years: float = 2.3) -> dict[str, pd.DataFrame]:
    """Every table of a backtest, by name; ``years`` of accounts from ``FIRST`` on."""
    sessions = pd.bdate_range(FIRST, pd.Timestamp(FIRST) + pd.DateOffset(days=int(365.25 * years)))
    rng = np.random.default_rng(5)
    market = rng.standard_t(5, len(sessions)) * 0.007
    returns = {
        name: market * (0.9 if name == "top_ranked" else 1.0) + drift + rng.normal(0, TEARS[name], len(sessions))
        for name, drift in DRIFT.items()
    }  # fmt: skip
    daily = pd.concat([_daily(name, sessions, own) for name, own in returns.items()], ignore_index=True)
    ends = pd.Series(sessions, sessions).groupby(sessions.to_period("M")).last().tolist()
    complete = [year for year in sorted({*sessions.year}) if (sessions.year > year).any()]
    summary = [
        {"strategy": name, "session": f"{year + 1}-01-03", "year": year, "scope": scope,
         **_figures(own, sessions, year, scope)}
        for name, own in returns.items()
        for year, scope in product(complete, ("year", "to_date"))
    ]  # fmt: skip
    return {
        "validation.backtest_daily": daily,
        "validation.backtest_trades": rows_of("validation.backtest_trades", _trades(ends)),
        "validation.backtest_holdings": rows_of("validation.backtest_holdings", _holdings(ends, rng)),
        "validation.backtest_summary": rows_of("validation.backtest_summary", summary),
        **_judgements(complete),
        "validation.readiness": rows_of("validation.readiness", GATES),
        "market.sessions": rows_of("market.sessions", [{"session": day} for day in sessions]),
        "scoring.composite_ranking": rows_of(
            "scoring.composite_ranking",
            [
                {"ticker": ticker, "session": day - pd.offsets.BDay(1), "rank": n, "risk_category": FUNDS[ticker][2]}
                for day in ends
                for n, ticker in enumerate(FUNDS, 1)
            ],
        ),
    }  # fmt: skip


def fill(warehouse: Warehouse, frames: Mapping[str, pd.DataFrame], *, simulated: bool = True) -> None:
    """Write the frames, and the funds they are about."""
    for table, frame in frames.items():
        write_table(warehouse, table, frame, RUN)
    with warehouse.write() as connection:
        for ticker, (name, asset_class, _) in FUNDS.items():
            insert(
                connection, "raw.listings", ticker=ticker, name=name, asset_class=asset_class, withdrawn=False
            )
            insert(connection, "raw.bars", ticker=ticker)
        insert(connection, "raw.fetches", simulated=simulated, source="simulated")


GATES: list[dict[str, object]] = [
    {"gate": "deflated_sharpe", "question": "Is it luck?", "requirement": "at least 0.95", "threshold": 0.95, "value": 0.31,
     "verdict": "fail", "explanation": "31 % is too little", "evidence": "FROM validation.significance"},
    {"gate": "drawdown", "question": "Can it be borne?", "requirement": "above -0.5", "threshold": -0.5, "value": -0.25,
     "verdict": "pass", "explanation": "it fell by a quarter", "evidence": "SELECT 1"},
    {"gate": "restatements", "question": "Are prices restated?", "requirement": "at most 0.01", "threshold": 0.01,
     "verdict": "unknown", "explanation": "a second download is needed", "evidence": "FROM raw.restatements"},
]  # fmt: skip


def _daily(strategy: str, sessions: pd.DatetimeIndex, returns: np.ndarray) -> pd.DataFrame:
    end = 1e5 * np.cumprod(1 + returns)
    start = np.concatenate([[1e5], end[:-1]])
    spread = 1e-5 * start
    frame = pd.DataFrame(
        {
            "session": sessions, "strategy": strategy, "start_value": start, "price_gain": end - start + spread,
            "spread_cost": spread, "end_value": end, "cash": 0.02 * end, "traded_value": 0.01 * end, "funds": 4,
            "largest_weight": 0.3, "covered": True, "net_return": returns, "gross_return": returns + 1e-5,
            "drawdown": end / np.maximum.accumulate(np.concatenate([[1e5], end]))[1:] - 1,
            "income": 0.0, "interest": 0.0, "impact_cost": 0.0, "haircut": 0.0,
        }
    )  # fmt: skip
    return frame[list(CONTRACTS["validation.backtest_daily"].names)]


def _figures(returns: np.ndarray, sessions: pd.DatetimeIndex, year: int, scope: str) -> dict[str, object]:
    own = returns[sessions.year == year] if scope == "year" else returns[sessions.year <= year]
    earned = float(np.prod(1 + own) ** (252 / len(own)) - 1)
    return {
        "sessions": len(own), "annual_return": earned, "gross_annual_return": earned + 0.004,
        "annual_return_low_costs": earned + 0.001, "annual_return_high_costs": earned - 0.002, "cash_annual_return": 0.02,
        "volatility_annualised": float(own.std() * 252**0.5), "sharpe": float(own.mean() / own.std() * 252**0.5),
        "maximum_drawdown": -0.2345, "benchmark_annual_return": earned + 0.021, "excess_annual_return": -0.021,
        "tracking_error": 0.04, "beta": 0.9, "spread_cost_annual": 0.0031, "impact_cost_annual": 0.0009,
        "haircut_annual": 0.0, "traded_annual": 2.5, "average_cash_share": 0.02,
    }  # fmt: skip


def _trades(ends: list[pd.Timestamp]) -> list[dict[str, object]]:
    return [
        {"strategy": "top_ranked", "session": day, "ticker": ticker, "kind": "order", "units": sign * 12.5, "price": 80.0,
         "value": sign * 1000.0, "spread_cost": 1.25, "impact_cost": 0.5}
        for day in ends
        for ticker, sign in ((ODD, 1.0), ("VAS", -1.0))
    ]  # fmt: skip


def _holdings(ends: list[pd.Timestamp], rng: np.random.Generator) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    for day in ends:
        weights = 0.97 * rng.dirichlet(np.full(len(FUNDS), 20.0))
        out += [
            {"strategy": "top_ranked", "session": day, "ticker": ticker, "units": 10.0, "value": 1e5 * w, "weight": w}
            for ticker, w in zip(FUNDS, weights, strict=True)
        ]  # fmt: skip
    return out


def _judgements(complete: list[int]) -> dict[str, pd.DataFrame]:
    last = complete[-1]
    key = {"strategy": "top_ranked", "session": f"{last + 1}-01-03", "year": last}
    random = [
        {**key, "year": year, "session": f"{year + 1}-01-03", "scope": scope, "draws": 500, "persistence": 0.91,
         "annual_return": 0.05, "sharpe": 0.4, "beaten_in_return": 0.42, "beaten_in_sharpe": 0.47,
         **{f"random_annual_return_{q:02d}": 0.05 + 0.0008 * (q - 50) for q in (5, 25, 50, 75, 95)}}
        for year in complete
        for scope in ("year", "to_date")
    ]  # fmt: skip
    against = [
        {**key, "against": name, "sessions": 500, "sharpe": sharpe, "sharpe_standard_error": 0.31,
         "sharpe_lower": sharpe - 0.6,         "sharpe_upper": sharpe + 0.6, "probabilistic_sharpe": 0.9,
         "trials": 2880, "effective_trials": 14.2,
         "expected_maximum_sharpe": 0.62, "deflated_sharpe": 0.31, "minimum_track_record_years": 19.0, "years": 2.0,
         "years_for_power": 57.3, "sharpe_difference": -0.1, "difference_p_value": 0.44}
        for name, sharpe in (("cash", 0.55), ("benchmark", 0.21), ("equal_weight", 0.10))
    ]  # fmt: skip
    sweep = [
        {"trial_id": f"t{n}", "session": key["session"], "year": last, "momentum_weight": m, "forecast_weight": 0.25,
         "risk_weight": 0.25, "volume_weight": 0.5 - m, "top": top, "keep": int(top * keep), "months": 1,
         "multipliers": True,         "penalties": True, "is_default": (m, top, keep) == (0.35, 20, 1.5),
         "sharpe": 0.2 + m - 0.01 * abs(top - 20),
         "neighbours": 6, "neighbours_sharpe": 0.5, "worst_neighbour_sharpe": 0.4,
         "stability": "plateau"}
        for n, (m, top, keep) in enumerate(product((0.15, 0.25, 0.35, 0.45), (10, 15, 20, 30), (1.0, 1.5, 2.0)))
    ]  # fmt: skip
    windows = [
        {"scheme": scheme, "window_number": n, "session": key["session"], "train_start": FIRST, "train_end": "2021-12-31",
         "test_start": "2022-01-03", "test_end": "2022-06-30", "trial_id": "t1", "train_sharpe": 1.2, "test_sharpe": 0.3,
         "test_return": 0.02, "default_test_return": 0.025, "test_place": 0.45}
        for scheme in ("expanding", "rolling")
        for n in range(2)
    ]  # fmt: skip
    gone = [
        {"comparison": comparison, "asset_class": kind, "session": key["session"], "year": last, "scope": "to_date",
         "funds": 240, "dead_funds": 31, "annual_return_difference": 0.011, "difference_lower": 0.002,
         "difference_upper": 0.02, "sharpe_difference": 0.06}
        for comparison in ("survivors_less_all", "dead_less_all")
        for kind in ("all", "fixed_income")
    ]  # fmt: skip
    capacity = [
        {**key, "capital": 10.0**power, "annual_return": 0.1 - 0.01 * power, "excess_annual_return": -0.01 * (power - 6)}
        for power in range(4, 10)
    ]  # fmt: skip
    overfitting = {
        "session": key["session"], "year": last, "trials": 2880, "months": 150, "effective_trials": 14.2, "splits": 924,
        "probability_of_overfitting": 0.48, "degradation_slope": -0.2, "probability_of_loss": 0.3, "spa_p_value": 0.41,
        "spa_lower_p_value": 0.39, "spa_upper_p_value": 0.44, "step_m_rejections": 0,
    }  # fmt: skip
    return {
        f"validation.{name}": rows_of(f"validation.{name}", rows)
        for name, rows in {
            "random_portfolios": random, "significance": against, "parameter_sweep": sweep, "walk_forward": windows,
            "survivorship": gone, "capacity": capacity, "overfitting": [overfitting],
        }.items()
    }  # fmt: skip
