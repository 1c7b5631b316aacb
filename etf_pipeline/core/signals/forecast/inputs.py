"""What forecasts are made from, by the table it stands in."""

FUND_FEATURES = {
    "signals.momentum": (
        "momentum_12_1", "momentum_6_1", "risk_adjusted_momentum", "residual_momentum", "trend_slope_annualised",
        "trend_t_value", "hull_trend", "efficiency_ratio", "divergence",
    ),
    "signals.volume": (
        "accumulation", "relative_turnover", "volume_spike", "accumulation_distribution", "on_balance_volume",
        "price_volume_correlation", "zero_volume_share", "traded_share",
    ),
    "risk.volatility": ("volatility_annualised", "volatility_5_annualised"),
    "risk.beta": ("beta", "downside_beta", "correlation"),
    "risk.tail": ("cvar_95",),
    "risk.drawdown": ("drawdown", "maximum_drawdown_252", "ulcer_index", "tail_ratio"),
    "risk.liquidity": ("spread", "amihud_per_million", "median_traded_value"),
}  # fmt: skip
"""Table -> columns whose rank among the session's funds is a feature."""
