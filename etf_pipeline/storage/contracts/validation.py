"""How good the forecasts were, judged out of sample, year by year."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.risk import RETURN, count, optional

YEAR = (
    Column("year", "INTEGER", "calendar year", "year"),
    Column("scope", "VARCHAR", "year, or to_date: everything up to the year's end"),
)
KNOWN = session("the year's successor's first session: when the row could be known")
HORIZON = Column("horizon", "INTEGER", "sessions ahead", "sessions")
HISTORY = Column(
    "history",
    "VARCHAR",
    "long: sessions with a forecast of every GARCH model; short: sessions on which ewma_shrunk served in their stead",
)

VALIDATION_CONTRACTS = (
    Contract(
        "validation.volatility_losses",
        "Losses of every volatility forecast against the squared returns that followed. Smaller is better.",
        "one row a ticker, model, horizon, history, year and scope; complete years only",
        (
            ticker(),
            KNOWN,
            *YEAR,
            HORIZON,
            HISTORY,
            Column(
                "model",
                "VARCHAR",
                "served or a GARCH model (long), ewma_shrunk (short), or a baseline: ewma, rolling_63, rolling_252",
            ),
            count(
                "targets",
                "complete realised variances; short: of forecasts that ewma_shrunk made, long: of all others",
            ),
            count("observations", "of them forecast by all models"),
            count("forecasts_missing", "targets the model had no forecast for"),
            count("forecasts_not_positive", "targets it forecast as zero"),
            optional("qlike", "mean of log h + r2 / h (Patton 2011)"),
            optional("mse", "mean squared error of the variance"),
            optional("forecast_variance", "mean forecast", "squared return"),
            optional("realised_variance", "mean of what followed", "squared return"),
        ),
        ("ticker", "year", "scope", "horizon", "history", "model"),
        allow_empty=True,
    ),
    Contract(
        "validation.volatility_tests",
        "Diebold-Mariano tests of each model's losses against the baselines'. Negative: the model is better.",
        "one row a ticker, model, baseline, horizon, history, year and scope; complete years only",
        (
            ticker(),
            KNOWN,
            *YEAR,
            HORIZON,
            HISTORY,
            Column("model", "VARCHAR", "which forecast"),
            Column("baseline", "VARCHAR", "against which"),
            count("observations", "forecast by all models"),
            optional("qlike_difference", "mean loss less the baseline's"),
            optional("qlike_statistic", "Diebold-Mariano, autocorrelation-robust"),
            optional("qlike_p_value", "two-sided", "0-1"),
            optional("mse_difference", "mean loss less the baseline's"),
            optional("mse_statistic", "Diebold-Mariano, autocorrelation-robust"),
            optional("mse_p_value", "two-sided", "0-1"),
        ),
        ("ticker", "year", "scope", "horizon", "history", "model", "baseline"),
        allow_empty=True,
    ),
    Contract(
        "validation.value_at_risk",
        "Backtests of value at risk and expected shortfall: how often it was exceeded, whether in clusters, by how much.",
        "one row a ticker, model, level, year and scope; complete years only",
        (
            ticker(),
            KNOWN,
            *YEAR,
            Column("model", "VARCHAR", "served, historical, student_t or filtered"),
            Column("level", "DOUBLE", "0.95 or 0.99"),
            count("observations", "returns held against a forecast"),
            count("forecasts_missing", "returns without a forecast"),
            count("forecasts_invalid", "not finite, or shortfall above value at risk: left out"),
            count(
                "forecasts_not_negative",
                "observations whose value at risk was zero or a gain: left out of Z1 and Z2 alone",
            ),
            count("exceptions", "returns below the value at risk"),
            Column("expected_exceptions", "DOUBLE", "observations times (1 - level)", "sessions"),
            Column(
                "judged", "BOOLEAN", "one exception or more was to be expected; if not, the tests are NULL"
            ),
            count("lowest_accepted", "smallest count Kupiec's test accepts at 5 %"),
            count("highest_accepted", "largest count Kupiec's test accepts at 5 %"),
            optional("kupiec_statistic", "likelihood ratio of unconditional coverage"),
            optional("kupiec_p_value", "chi-squared, 1", "0-1"),
            optional("independence_statistic", "Christoffersen's likelihood ratio of independence"),
            optional("independence_p_value", "chi-squared, 1", "0-1"),
            optional("conditional_coverage_statistic", "sum of the two"),
            optional("conditional_coverage_p_value", "chi-squared, 2", "0-1"),
            optional(
                "z1_statistic", "Acerbi-Szekely, severity given an exception; negative: too mild a forecast"
            ),
            optional("z1_p_value", "one-sided", "0-1"),
            optional("z2_statistic", "Acerbi-Szekely, frequency and severity; negative: too mild a forecast"),
            optional("z2_p_value", "one-sided", "0-1"),
        ),
        ("ticker", "year", "scope", "model", "level"),
        allow_empty=True,
    ),
    Contract(
        "validation.value_at_risk_exceptions",
        "Every session on which the served value at risk was exceeded.",
        "one row a ticker, session and level",
        (
            ticker(),
            session(),
            Column("level", "DOUBLE", "0.95 or 0.99"),
            Column("total_return", "DOUBLE", "what happened", RETURN),
            count("sessions_spanned", "sessions the return spans; the forecast is scaled by its root"),
            Column("value_at_risk", "DOUBLE", "forecast at the close before", RETURN),
            Column("expected_shortfall", "DOUBLE", "forecast at the close before", RETURN),
        ),
        ("ticker", "session", "level"),
        allow_empty=True,
    ),
    Contract(
        "validation.hedging",
        "What each beta left of a fund's return: r_t - beta_(t-1) r_m,t, against a static beta's.",
        "one row a ticker, benchmark, estimator, horizon, year and scope; complete years only",
        (
            ticker(),
            KNOWN,
            *YEAR,
            HORIZON,
            Column("benchmark", "VARCHAR", "market, or asset_class: the mean of the class's other members"),
            Column("estimator", "VARCHAR", "static, rolling, ewma, kalman, dimson or shrunk"),
            count("observations", "errors, the same for all estimators of a fund and benchmark"),
            Column("rmse_annualised", "DOUBLE", "root mean squared error", "fraction a year"),
            optional("ratio_to_static", "mean squared error over the static beta's", "ratio"),
            optional("statistic", "Diebold-Mariano; negative: better than static"),
            optional("p_value", "two-sided", "0-1"),
        ),
        ("ticker", "year", "scope", "horizon", "benchmark", "estimator"),
        allow_empty=True,
    ),
)
