"""Return forecasts, the models behind them, and how wrong they were."""

from __future__ import annotations

from etf_pipeline.core.signals.forecast import HORIZONS
from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.risk import count, optional
from etf_pipeline.storage.contracts.validation import HORIZON, KNOWN, YEAR

OVER_HORIZON = "fraction over the horizon"


def _of_horizon(horizon: int) -> tuple[Column, ...]:
    ahead = f"total return over the next {horizon} sessions"
    return (
        optional(
            f"raw_{horizon}", f"the ensemble's forecast of the {ahead}, before correction", OVER_HORIZON
        ),
        optional(f"corrected_{horizon}", "what past forecasts leave of it", OVER_HORIZON),
        optional(f"lower_{horizon}", "of the interval that should hold 80 % of outcomes", OVER_HORIZON),
        optional(f"upper_{horizon}", "of the same", OVER_HORIZON),
        optional(
            f"hit_rate_{horizon}", "past corrected forecasts with the right sign, drawn to the class's", "0-1"
        ),
        optional(
            f"confidence_{horizon}",
            "share of the ensemble's ordering of funds that past forecasts support, times that of features known",
            "0-1",
        ),
    )


FORECAST_CONTRACTS = (
    Contract(
        "signals.forecast",
        "Total return ahead, forecast at the close by models refitted quarterly and corrected for their past bias.",
        "one row a member of the universe and session, from the first refit on",
        (
            ticker(),
            session(),
            Column("fitted_on", "DATE", "session on whose close the models were last refitted"),
            *(column for horizon in HORIZONS for column in _of_horizon(horizon)),
        ),
        ("ticker", "session"),
        allow_empty=True,
    ),
    Contract(
        "signals.forecast_models",
        "What each refit made of its members, and what past forecasts made of the refit.",
        "one row a refit, horizon and member",
        (
            session("the refit"),
            HORIZON,
            Column("member", "VARCHAR", "timing (the market), or for selection ridge, boosting, extra_trees"),
            Column("weight", "DOUBLE", "in its stack; those of selection add up to at most 1", "0-1"),
            optional("past_r_squared", "of its forecasts that had come due, against none; negative: worse"),
            Column("past_observations", "BIGINT", "forecasts that had come due", "rows"),
            Column("premium_market", "DOUBLE", "mean of the market's part in force", "standard deviations"),
            Column("premium_own", "DOUBLE", "mean of the funds' own part in force", "standard deviations"),
            Column("bias", "DOUBLE", "added to all forecasts, shrunk", "standard deviations"),
            Column("slope", "DOUBLE", "what the member's part is multiplied by, shrunk", "0-1"),
            Column("slope_kept", "DOUBLE", "share of the estimated slope that is believed", "0-1"),
        ),
        ("session", "horizon", "member"),
        allow_empty=True,
    ),
    Contract(
        "validation.forecast_bias",
        "Return forecasts against what followed, before and after their correction; a forecast counts in the year in "
        "which its outcome was known.",
        "one row a horizon, asset class, year and scope; complete years only",
        (
            KNOWN,
            *YEAR,
            HORIZON,
            Column("asset_class", "VARCHAR", "all, or a class"),
            count("observations", "forecasts with outcome and interval", "rows"),
            count("sessions", "on which they were made"),
            Column("mean_realised", "DOUBLE", "what followed, its mean", OVER_HORIZON),
            Column("bias_raw", "DOUBLE", "mean of realised less raw", OVER_HORIZON),
            Column("bias_corrected", "DOUBLE", "mean of realised less corrected", OVER_HORIZON),
            optional("slope_raw", "Mincer-Zarnowitz: of realised on raw; 1: neither exaggerated nor timid"),
            optional("slope_raw_standard_error", "clustered by session, one set without overlap"),
            optional("slope_corrected", "of realised on corrected"),
            optional("slope_corrected_standard_error", "clustered by session, one set without overlap"),
            optional(
                "slope_within_raw",
                "of realised on raw, both less their session's mean: what an ordering uses",
            ),
            optional("slope_within_raw_standard_error", "clustered by session, one set without overlap"),
            optional("slope_within_corrected", "of realised on corrected, both less their session's mean"),
            optional(
                "slope_within_corrected_standard_error", "clustered by session, one set without overlap"
            ),
            Column("dispersion_raw", "DOUBLE", "standard deviation of raw", OVER_HORIZON),
            Column("dispersion_corrected", "DOUBLE", "standard deviation of corrected", OVER_HORIZON),
            Column("coverage", "DOUBLE", "outcomes inside the 80 % interval", "0-1"),
            Column("brier_raw", "DOUBLE", "mean squared error of P(return > 0) from raw and interval width"),
            Column("brier_corrected", "DOUBLE", "the same from corrected"),
            optional(
                "rank_correlation", "of corrected with realised across funds, mean over sessions", "-1 to 1"
            ),
            optional("rank_t_value", "of it, robust to overlap"),
            Column("verdict", "VARCHAR", "skill, no_skill_shown or too_short (below 12 horizons)"),
        ),
        ("year", "scope", "horizon", "asset_class"),
        allow_empty=True,
    ),
)
