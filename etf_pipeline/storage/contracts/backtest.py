"""What the ranking would have earned: accounts day by day, their trades, and figures by year."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.risk import count, optional
from etf_pipeline.storage.contracts.validation import KNOWN, YEAR

STRATEGY = Column(
    "strategy", "VARCHAR", "top_ranked, top_ranked_sized, or what it is held against: benchmark, equal_weight"
)
MONEY = "quote currency"
A_YEAR = "fraction a year"


def _money(name: str, doc: str) -> Column:
    return Column(name, "DOUBLE", doc, MONEY)


BACKTEST_CONTRACTS = (
    Contract(
        "validation.backtest_daily",
        "The account of each strategy: ranked at a close, traded at a later session, after half spreads and impact. "
        "start_value + price_gain + income + interest - spread_cost - impact_cost - haircut = end_value, to the cent.",
        "one row a strategy and session from its first trade on",
        (
            STRATEGY,
            session(),
            _money("start_value", "of the account, at the close before"),
            _money("price_gain", "of what was held"),
            _money("income", "distributions, at their ex-dates"),
            _money("interest", "on cash, or owed on a loan"),
            _money("spread_cost", "half the bid-ask spread of what was traded"),
            _money("impact_cost", "the price moved against what was traded"),
            _money("haircut", "lost on funds known to be gone, over their last marks"),
            _money("end_value", "cash and holdings at their marks"),
            _money("cash", "in it"),
            _money("traded_value", "bought and sold, at the session's prices"),
            count("funds", "held", "funds"),
            Column("largest_weight", "DOUBLE", "largest holding over the account", "0-1"),
            Column(
                "covered",
                "BOOLEAN",
                "the source still covers the market fund; sessions that are not covered count in no figure",
            ),
            Column("net_return", "DOUBLE", "after costs", "fraction"),
            Column("gross_return", "DOUBLE", "before spread and impact", "fraction"),
            Column("drawdown", "DOUBLE", "below the account's highest close so far", "fraction"),
        ),
        ("strategy", "session"),
        allow_empty=True,
    ),
    Contract(
        "validation.backtest_trades",
        "Every trade of the accounts.",
        "one row a strategy, session, fund and kind",
        (
            STRATEGY,
            session(),
            ticker(),
            Column(
                "kind",
                "VARCHAR",
                "order; catch_up: the fund had not traded when ordered; delisted: paid at its last mark less the haircut",
            ),
            Column("units", "DOUBLE", "bought; negative: sold", "units"),
            Column("price", "DOUBLE", "without costs", "quote currency a unit"),
            _money("value", "units at the price"),
            _money("spread_cost", "half the bid-ask spread"),
            _money("impact_cost", "coefficient x daily volatility x root of value over daily traded value"),
        ),
        ("strategy", "session", "ticker", "kind"),
        allow_empty=True,
    ),
    Contract(
        "validation.backtest_holdings",
        "What the accounts held after each day of orders.",
        "one row a strategy, session of orders and fund held",
        (
            STRATEGY,
            session(),
            ticker(),
            Column("units", "DOUBLE", "held", "units"),
            _money("value", "at the close"),
            Column("weight", "DOUBLE", "over the account", "fraction"),
        ),
        ("strategy", "session", "ticker"),
        allow_empty=True,
    ),
    Contract(
        "validation.backtest_summary",
        "What each account earned, risked and paid. Returns compound; 252 sessions a year; NULL below 60 sessions.",
        "one row a strategy, year and scope; complete years only",
        (
            STRATEGY,
            KNOWN,
            *YEAR,
            count("sessions", "in the account"),
            optional("annual_return", "after costs", A_YEAR),
            optional("gross_annual_return", "before spread and impact", A_YEAR),
            optional("annual_return_low_costs", "spreads at the lower end of their intervals", A_YEAR),
            optional("annual_return_high_costs", "spreads at the upper end of their intervals", A_YEAR),
            optional("cash_annual_return", "what cash earned, which the ratios are in excess of", A_YEAR),
            optional("volatility_annualised", "of daily net returns", A_YEAR),
            optional("sharpe", "excess over cash, annualised"),
            optional("sortino", "excess over cash to its downside deviation, annualised"),
            optional("maximum_drawdown", "within the span", "fraction"),
            optional("calmar", "annual return over the deepest drawdown"),
            optional("value_at_risk_95", "of one session, historical", "fraction"),
            optional("worst_session", "return", "fraction"),
            optional("worst_month", "return", "fraction"),
            optional("positive_months", "share of calendar months", "0-1"),
            optional("benchmark_annual_return", "of the market fund, on the same sessions", A_YEAR),
            optional("excess_annual_return", "over it", A_YEAR),
            optional("tracking_error", "against it", A_YEAR),
            optional("information_ratio", "against it, annualised"),
            optional("beta", "to it"),
            optional("spread_cost_annual", "of the account", A_YEAR),
            optional("impact_cost_annual", "of the account", A_YEAR),
            optional("income_annual", "distributions paid in cash", A_YEAR),
            optional("haircut_annual", "lost on funds that were gone", A_YEAR),
            optional("traded_annual", "one-sided turnover", "times the account a year"),
            optional("average_funds", "held", "funds"),
            optional("average_cash_share", "of the account", "fraction"),
            optional("average_largest_weight", "of the account", "fraction"),
        ),
        ("strategy", "year", "scope"),
        allow_empty=True,
    ),
    Contract(
        "validation.random_portfolios",
        "The strategy beside portfolios drawn at random from the same ranked funds, with as many funds, the same days of "
        "orders, the same buffer and costs, and scores as persistent as give the same turnover.",
        "one row a strategy, year and scope; complete years only",
        (
            STRATEGY,
            KNOWN,
            *YEAR,
            count("draws", "random portfolios", "portfolios"),
            optional("persistence", "month-to-month autocorrelation of their scores"),
            optional("annual_return", "of the strategy, after costs", A_YEAR),
            optional("sharpe", "of the strategy"),
            *(
                optional(f"random_{name}_{q:02d}", f"{100 - q} % of the random portfolios had more", unit)
                for name, unit in (("annual_return", A_YEAR), ("sharpe", None))
                for q in (5, 25, 50, 75, 95)
            ),
            optional("beaten_in_return", "share of random portfolios below the strategy", "0-1"),
            optional("beaten_in_sharpe", "share of random portfolios below the strategy", "0-1"),
        ),
        ("strategy", "year", "scope"),
        allow_empty=True,
    ),
    Contract(
        "validation.capacity",
        "What is left of the return as the account grows and moves prices more.",
        "one row a strategy, capital and year, to date; complete years only",
        (
            STRATEGY,
            KNOWN,
            YEAR[0],
            _money("capital", "at the start"),
            optional("annual_return", "after costs", A_YEAR),
            optional("spread_cost_annual", "of the account", A_YEAR),
            optional("impact_cost_annual", "of the account", A_YEAR),
            optional("excess_annual_return", "over the market fund", A_YEAR),
        ),
        ("strategy", "year", "capital"),
        allow_empty=True,
    ),
)
