"""A warehouse of exposures and stress losses known by heart: three ranked funds, two accounts, two month's ends."""

from __future__ import annotations

import duckdb

from etf_pipeline.storage.connection import ensure_schema
from etf_pipeline_tests.contract_rows import insert

RANKED, END, BEFORE, FIRST = "2026-01-07", "2025-12-31", "2025-11-28", "2025-10-31"
HOUSE = {"market": 0.512, "term": -0.204, "currency": 0.301, "volatility": -0.0304}
STYLES = {"market_excess": 0.951, "size": -0.152, "value": 0.0312}
T_VALUES = {
    "market": 11.0,
    "market_excess": 45.3,
    "size": -2.0,
    "value": 1.9,
    "term": -1.2,
    "currency": 3.4,
    "volatility": -2.6,
}
YEARS = {2023: 0.0, 2024: 0.01}
PARTS = {
    "market": 0.05, "term": -0.01, "credit": 0.002, "currency": 0.003, "oil": 0.0, "volatility": -0.004,
    "specific": 0.02, "risk_free": 0.04, "unexplained": 0.0, "interest": 0.0, "spread_cost": -0.002,
    "impact_cost": -0.001, "haircut": 0.0, "other": 0.0, "translation": 0.0,
}  # fmt: skip
"""They sum to 0.108."""
FACTORS = ("equity", "rates", "credit", "currency", "oil", "volatility")


def fill(connection: duckdb.DuckDBPyConnection, *, simulated: bool = False) -> None:
    """FUND1 by the model of its class, FUND2 by the house's in its place, FUND3 without exposures."""
    ensure_schema(connection)
    insert(connection, "raw.fetches", simulated=simulated)
    for rank, (ticker, kind) in enumerate(
        {"FUND1.AX": "us_equity", "FUND2.AX": "us_equity", "FUND3.AX": None}.items(), 1
    ):
        insert(
            connection,
            "raw.listings",
            ticker=ticker,
            name=f"Fund [{rank}]",
            asset_class=kind,
            withdrawn=False,
        )
        insert(connection, "raw.bars", ticker=ticker, withdrawn=False)
        insert(connection, "scoring.composite_ranking", ticker=ticker, session=RANKED, rank=rank)
        for day in (BEFORE, END, RANKED):
            insert(
                connection, "market.universe", ticker=ticker, session=day, is_member=True, observed_sessions=40 * rank,
                stale_sessions=0,
            )  # fmt: skip
    for ticker, model, end in (
        ("FUND1.AX", "us_six", END), ("FUND1.AX", "us_six", BEFORE), ("FUND1.AX", "house", END),
        ("FUND1.AX", "us_three", END), ("FUND2.AX", "us_six", BEFORE), ("FUND2.AX", "house", END),
    ):  # fmt: skip
        regression(connection, ticker, model, end)
    _accounts(connection)
    _stress(connection)


def regression(connection: duckdb.DuckDBPyConnection, ticker: str, model: str, end: str) -> None:
    """Both spans of a model at a month's end, and the loadings of the close."""
    factors = HOUSE if model == "house" else STYLES
    for span, more in (("rolling", 0.0), ("to_date", 0.1)):
        for factor, value in factors.items():
            insert(
                connection, "attribution.factor_exposure", ticker=ticker, session=end, model=model, span=span, factor=factor,
                is_main=model == "us_six", loading=value + more, standard_error=0.021, t_value=T_VALUES[factor],
                shrunk_loading=value / 2, shrunk_error=0.01, own_weight=0.87, alpha_annualised=0.0123, alpha_t_value=0.7,
                r_squared=0.83, residual_volatility_annualised=0.045, observations=240, window_start="2025-01-03",
                return_sessions=5, lag_days=1, converted=model != "house",
                factors_known_at=None if model == "house" else "2025-12-30 23:59",
            )  # fmt: skip
    for day in ("2024-12-30", "2024-12-31", end) if end == END and model != "us_three" else ():
        insert(
            connection, "attribution.rolling_exposure", ticker=ticker, session=day, model=model, is_main=model != "house",
            **(factors | {"size": -0.35} if model != "house" and day == "2024-12-30" else factors), alpha_annualised=0.02,
            r_squared=0.83, observations=240,
        )  # fmt: skip


def _accounts(connection: duckdb.DuckDBPyConnection) -> None:
    for strategy in ("top_ranked", "benchmark"):
        for year, more in YEARS.items():
            for part, value in PARTS.items():
                insert(
                    connection, "attribution.annual_attribution", strategy=strategy, session=f"{year + 1}-01-02", year=year,
                    model="house", part=part, contribution=value + (more if part == "market" else 0.0),
                )  # fmt: skip
        for part, exposure, volatility, share in (("market", 0.61, 0.08, 0.9), ("term", 0.1, -0.004, -0.05),
                                                  ("specific", None, 0.013, 0.15)):  # fmt: skip
            insert(
                connection, "attribution.portfolio_risk", strategy=strategy, session=END, model="house", part=part,
                exposure=exposure, volatility_annualised=volatility, share_of_variance=share,
                unexplained_weight=0.25 if strategy == "top_ranked" else 0.0,
            )  # fmt: skip
        insert(
            connection, "attribution.portfolio_fragility", strategy=strategy, session=END, scenario="correlations_to_one",
            volatility_annualised=0.081, volatility_worst_annualised=0.162, loss=0.055, loss_worst=0.11, covered_weight=0.75,
        )  # fmt: skip
        insert(
            connection, "attribution.simulated_losses", kind="strategy", name=strategy, session=END, paths=10_000,
            value_at_risk_95=-0.031, expected_shortfall_95=-0.042, value_at_risk_99=-0.053, expected_shortfall_99=-0.064,
            probability_of_losing_10=0.0021, probability_of_losing_20=0.0,
        )  # fmt: skip
    insert(
        connection, "attribution.reverse_stress", strategy="top_ranked", session=END, scenario="lose_20", loss=0.2,
        horizon_sessions=63, equity=-0.26, rates=-0.53, credit=3.2, currency=0.038, oil=-0.248, volatility=0.2,
        specific=-0.056, distance=7.71, probability_normal=6e-15, probability_student_t=0.0002,
    )  # fmt: skip
    for capital, days in ((1e5, 2.0), (1e7, 1195.0)):
        insert(
            connection, "attribution.liquidity_stress", strategy="top_ranked", session=END, scenario="dry_market",
            capital=capital, days_to_sell_all=days, share_sold_1=0.96, share_sold_5=1.0, share_sold_20=1.0,
            cost_to_sell=0.0073,
        )  # fmt: skip
    for level, covered in ((0.80, 0.78), (0.95, 0.94)):
        for name, pairs in (("all", 898), ("us_equity", 36)):
            insert(
                connection, "attribution.replay_coverage", session="2026-01-02", year=2025, asset_class=name, level=level,
                windows=7, pairs=pairs, covered=covered, bias=-0.0087, median_absolute_error=0.0222,
            )  # fmt: skip


def _stress(connection: duckdb.DuckDBPyConnection) -> None:
    for ticker, factor in (("FUND1.AX", 1.0), ("FUND2.AX", 0.5)):
        loss(
            connection,
            ticker,
            "replay",
            "covid_2020",
            -0.24 * factor,
            realised=-0.232 if factor == 1.0 else None,
        )
        loss(connection, ticker, "hypothetical", "equity_down_20", -0.08 * factor)
        loss(connection, ticker, "hypothetical", "equity_down_20", -0.07 * factor, others="unchanged")
    insert(
        connection, "attribution.simulated_losses", kind="fund", name="FUND1.AX", session=END, paths=10_000,
        value_at_risk_95=-0.05, expected_shortfall_95=-0.07, value_at_risk_99=-0.09, expected_shortfall_99=-0.11,
        probability_of_losing_10=0.0055, probability_of_losing_20=0.0,
    )  # fmt: skip
    for strategy, share in (("top_ranked", 0.75), ("benchmark", 1.0)):
        for kind, name, value in (
            ("replay", "covid_2020", -0.12),
            ("hypothetical", "equity_down_20", -0.037),
        ):
            insert(
                connection, "attribution.portfolio_stress", strategy=strategy, session=END, kind=kind, scenario=name,
                others="conditional", total_return=value, low_95=value - 0.05, high_95=value + 0.05,
                served_return=value + 0.011, covered_weight=share,
            )  # fmt: skip


def loss(
    connection: duckdb.DuckDBPyConnection,
    ticker: str,
    kind: str,
    scenario: str,
    value: float,
    *,
    realised: float | None = None,
    others: str = "conditional",
    session: str = END,
) -> None:
    """One fund's loss in a scenario: half of it from equity, the rest from credit."""
    insert(
        connection, "attribution.stress_losses", ticker=ticker, session=session, kind=kind, scenario=scenario, others=others,
        total_return=value, low_80=value - 0.03, high_80=value + 0.03, low_95=value - 0.05, high_95=value + 0.05,
        **{f"from_{name}": value / 2 if name in ("equity", "credit") else 0.0 for name in FACTORS},
        realised_return=realised, served_return=value if realised is None else realised,
    )  # fmt: skip
