"""Signals of each fund at each close, from its own past and the market fund's; and of the market as a whole."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker

KEY = ("ticker", "session")
ROW = "one row a ticker and session with a value, until five sessions after the last bar"


def _signal(name: str, doc: str, unit: str) -> Column:
    """A measure that is NULL where the fund's history or trading does not carry it."""
    return Column(name, "DOUBLE", doc, unit, nullable=True)


SIGNAL_CONTRACTS = (
    Contract(
        "signals.momentum",
        "Momentum and trend of total returns; NULL where history is short, bars are few or a return is unknown.",
        ROW,
        (
            ticker(),
            session(),
            _signal("momentum_12_1", "return from 252 to 21 sessions ago", "fraction"),
            _signal("momentum_6_1", "return from 126 to 21 sessions ago", "fraction"),
            _signal(
                "risk_adjusted_momentum",
                "momentum_12_1 over the annualised volatility of the same window; no riskless rate taken off",
                "ratio",
            ),
            _signal(
                "residual_momentum",
                "market-model residuals from 252 to 21 sessions ago, summed; model of the last 756 sessions",
                "standard deviations of the sum",
            ),
            _signal(
                "trend_slope_annualised",
                "filtered slope of the log total-return index, local linear trend",
                "log return a year",
            ),
            _signal("trend_t_value", "the slope over its standard error", "ratio"),
            _signal(
                "hull_trend",
                "change over 5 sessions of the 126-session Hull average of the log index, annualised",
                "log return a year",
            ),
            _signal(
                "efficiency_ratio",
                "change over the sum of absolute changes, 126 sessions, signed: 1 a straight rise, -1 a straight fall",
                "-1 to 1",
            ),
            _signal(
                "divergence",
                "positive: momentum rises though the price is low in its year's range; negative: it fades at a high",
                "standard deviations",
            ),
        ),
        KEY,
    ),
    Contract(
        "signals.volume",
        "What trading says, by the fund's own past; NULL where too little is traded or known.",
        ROW,
        (
            ticker(),
            session(),
            _signal(
                "accumulation",
                "signed traded value of the last month over normal; 0: as much on up-days as on down-days",
                "normal sessions a session",
            ),
            _signal("relative_turnover", "traded value of the last month over normal", "ratio"),
            _signal(
                "volume_spike",
                "log traded value against the 252 sessions before; NULL on a session without trade",
                "robust standard deviations",
            ),
            _signal(
                "accumulation_distribution",
                "Chaikin money flow, 21 sessions: 1 where all closed at the high, -1 at the low",
                "-1 to 1",
            ),
            _signal(
                "on_balance_volume",
                "slope of the units of rising less falling sessions over 63, by their average",
                "normal sessions a session",
            ),
            _signal(
                "price_volume_correlation",
                "of the return with the change of the log of units, 63 sessions",
                "-1 to 1",
            ),
            _signal("zero_volume_share", "of the last 252 known sessions, those without trade", "0-1"),
            _signal(
                "average_daily_units", "mean of the last 63 sessions, silent ones as zero", "units a session"
            ),
            _signal(
                "traded_share", "of the last 63 sessions, those with trade; unknown ones count as none", "0-1"
            ),
        ),
        KEY,
    ),
    Contract(
        "signals.market_context",
        "How the market goes together: correlations over 63 sessions, NULL with fewer than 42 known pairs of changes.",
        "one row a session with a value",
        (
            session(),
            _signal(
                "equity_bond_correlation",
                "daily returns of the market fund and of the mean member of class fixed_income",
                "-1 to 1",
            ),
            _signal(
                "gold_equity_correlation",
                "daily returns of the market fund and of the mean commodity member (gold, silver, oil on the ASX)",
                "-1 to 1",
            ),
            _signal(
                "vix_rates_correlation",
                "daily changes of the VIX and the American ten-year yield on days both have, held back two sessions",
                "-1 to 1",
            ),
            _signal(
                "dispersion",
                "standard deviation across members of their returns of 21 sessions; NULL with fewer than five",
                "fraction",
            ),
        ),
        ("session",),
        allow_empty=True,
    ),
)
