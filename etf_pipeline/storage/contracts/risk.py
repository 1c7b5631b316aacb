"""Risk of each fund at each close, and the fits behind it."""

from __future__ import annotations

from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker

FRACTION = "fraction a year"
RETURN = "fraction"
KEY = ("ticker", "session")
ROW = "one row a ticker and session with an estimate"


def optional(name: str, doc: str, unit: str | None = None) -> Column:
    """A DOUBLE that may be NULL where there is no estimate."""
    return Column(name, "DOUBLE", doc, unit, nullable=True)


def count(name: str, doc: str, unit: str = "sessions") -> Column:
    """A whole number that is always known."""
    return Column(name, "INTEGER", doc, unit)


def _tails() -> tuple[Column, ...]:
    told = {
        "historical": "last 1,000 returns",
        "student_t": "Student t fitted monthly",
        "filtered": "standardised residuals",
    }
    return tuple(
        optional(f"{measure}_{level}_{model}", f"{doc} at {level} %, next session, {how}", RETURN)
        for model, how in told.items()
        for measure, doc in (("var", "value at risk"), ("cvar", "expected shortfall"))
        for level in (95, 99)
    )


RISK_CONTRACTS = (
    Contract(
        "risk.volatility",
        "The volatility forecast to use, made at the close, by the model that past data chose.",
        ROW,
        (
            ticker(),
            session(),
            Column("volatility_annualised", "DOUBLE", "forecast for the next 21 sessions", FRACTION),
            Column("volatility_1_annualised", "DOUBLE", "forecast for the next session", FRACTION),
            Column("volatility_5_annualised", "DOUBLE", "forecast for the next 5 sessions", FRACTION),
            optional("ewma_annualised", "exponentially weighted, for comparison", FRACTION),
            Column(
                "model",
                "VARCHAR",
                "garch, gjr or egarch _normal or _t; ewma_shrunk for short histories; constant",
            ),
        ),
        KEY,
    ),
    Contract(
        "risk.volatility_forecasts",
        "What every model forecast at the close: variance of the return over the next 1, 5 and 21 sessions.",
        "one row a ticker and session with a bar and at least one fit",
        (
            ticker(),
            session(),
            *(
                optional(f"{model}_variance_{h}", f"{model}, next {h} sessions", "squared return")
                for model in MODELS
                for h in HORIZONS
            ),
        ),
        KEY,
    ),
    Contract(
        "risk.garch_fits",
        "Monthly maximum-likelihood fits on the last 1,000 sessions, and the model the criterion chose.",
        "one row a ticker, refit and model",
        (
            ticker(),
            session("first session of a month: the fit holds returns up to its close"),
            Column("model", "VARCHAR", "which member of the family"),
            Column("chosen", "BOOLEAN", "serves until the next refit: best by the criterion of the settings"),
            Column("mu", "DOUBLE", "mean return", "fraction a session"),
            Column("phi", "DOUBLE", "first autoregressive coefficient; 0 without"),
            Column("omega", "DOUBLE", "constant of the variance (EGARCH: of its logarithm)"),
            Column("alpha", "DOUBLE", "weight of the last squared residual (EGARCH: of |z|)"),
            Column("gamma", "DOUBLE", "extra weight after a loss (EGARCH: of z)"),
            Column("beta", "DOUBLE", "weight of the last variance (EGARCH: of its logarithm)"),
            optional("nu", "degrees of freedom of Student's t; NULL for normal errors"),
            Column("persistence", "DOUBLE", "alpha + gamma / 2 + beta (EGARCH: beta)"),
            Column("log_likelihood", "DOUBLE", "of the window's returns"),
            Column("observations", "INTEGER", "returns in the window", "sessions"),
            Column("converged", "BOOLEAN", "the search met its tolerance"),
            Column("fresh", "BOOLEAN", "searched from a coarse grid, not from last month's optimum"),
        ),
        ("ticker", "session", "model"),
    ),
    Contract(
        "risk.range_volatility",
        "Volatility from daily ranges over the last 63 sessions.",
        ROW,
        (
            ticker(),
            session(),
            optional("parkinson_annualised", "high and low; without the overnight move", FRACTION),
            optional(
                "garman_klass_annualised", "open, high, low, close; without the overnight move", FRACTION
            ),
            optional("yang_zhang_annualised", "overnight move included", FRACTION),
            count("observations", "bars in the window"),
        ),
        KEY,
    ),
    Contract(
        "risk.beta",
        "Regression of total returns on the benchmark's, by several estimators.",
        ROW,
        (
            ticker(),
            session(),
            Column("benchmark", "VARCHAR", "the market fund regressed on"),
            Column("beta", "DOUBLE", "slope over 252 sessions, least squares", "ratio"),
            Column("standard_error", "DOUBLE", "ordinary standard error of the slope", "ratio"),
            optional("hac_standard_error", "Newey-West, 5 lags", "ratio"),
            optional("correlation", "of fund and benchmark", "-1..1"),
            count("observations", "one-session returns in the window"),
            optional("ewma_beta", "exponentially weighted, half-life 63 sessions", "ratio"),
            optional("kalman_beta", "random-walk slope, filtered", "ratio"),
            optional("kalman_standard_error", "of the filtered slope, variances not being known", "ratio"),
            optional(
                "dimson_beta", "sum of the slopes on this and the previous session's benchmark", "ratio"
            ),
            optional("dimson_standard_error", "of that sum", "ratio"),
            optional("lagged_slope", "slope on the previous session's benchmark", "ratio"),
            optional("downside_beta", "on sessions with the benchmark below its mean", "ratio"),
            optional("shrunk_beta", "slope drawn towards its peers (Vasicek)", "ratio"),
            optional("shrunk_standard_error", "posterior", "ratio"),
            optional("static_beta", "slope over all past returns", "ratio"),
        ),
        KEY,
    ),
    Contract(
        "risk.class_beta",
        "Regression on the mean return of the other members of the fund's asset class.",
        ROW,
        (
            ticker(),
            session(),
            Column("asset_class", "VARCHAR", "whose other members are the benchmark"),
            Column("beta", "DOUBLE", "slope over 252 sessions, least squares", "ratio"),
            Column("standard_error", "DOUBLE", "ordinary standard error of the slope", "ratio"),
            optional("hac_standard_error", "Newey-West, 5 lags", "ratio"),
            optional("correlation", "of fund and class", "-1..1"),
            count("observations", "common one-session returns in the window"),
            optional("ewma_beta", "exponentially weighted, half-life 63 sessions", "ratio"),
            optional("kalman_beta", "random-walk slope, filtered", "ratio"),
            optional("kalman_standard_error", "of the filtered slope, variances not being known", "ratio"),
            optional("static_beta", "slope over all past returns", "ratio"),
        ),
        KEY,
        allow_empty=True,
    ),
    Contract(
        "risk.kalman_fits",
        "Monthly maximum-likelihood variances of the random-walk beta, on the last 756 sessions.",
        "one row a ticker and refit",
        (
            ticker(),
            session("first session of a month: the fit holds returns up to its close"),
            Column("observation_variance", "DOUBLE", "of the residual", "squared return"),
            Column("state_variance", "DOUBLE", "of beta's step a session; 0: a constant beta fits best"),
            Column("log_likelihood", "DOUBLE", "exact diffuse"),
            count("observations", "common returns in the window"),
        ),
        KEY,
    ),
    Contract(
        "risk.tail",
        "Value at risk and expected shortfall of the next session, as returns: losses are negative, at most -1.",
        ROW,
        (
            ticker(),
            session(),
            Column("var_95", "DOUBLE", "served value at risk, 95 %", RETURN),
            Column("cvar_95", "DOUBLE", "served expected shortfall, 95 %", RETURN),
            Column("var_99", "DOUBLE", "served value at risk, 99 %", RETURN),
            Column("cvar_99", "DOUBLE", "served expected shortfall, 99 %", RETURN),
            Column("cvar_95_annualised", "DOUBLE", "served, times sqrt(252)", FRACTION),
            Column(
                "model",
                "VARCHAR",
                "filtered; historical before it has 250 residuals or while fewer than a tenth of returns moved",
            ),
            *_tails(),
            optional("cvar_95_annualised_historical", "what the risk category uses", FRACTION),
        ),
        KEY,
    ),
    Contract(
        "risk.drawdown",
        "Falls from the peak of the total-return index, and downside risk.",
        ROW,
        (
            ticker(),
            session(),
            optional(
                "drawdown",
                "from the highest close ever, before the last 756 sessions too; -0.2 = 20 % below",
                RETURN,
            ),
            count("sessions_under_water", "since that peak"),
            optional("maximum_drawdown_252", "deepest fall from a peak within the last 252 sessions", RETURN),
            optional("maximum_drawdown_756", "deepest fall from a peak within the last 756 sessions", RETURN),
            optional("ulcer_index", "root mean square drawdown of the last 252 sessions", RETURN),
            optional("downside_deviation_annualised", "below zero, last 252 sessions", FRACTION),
            optional("tail_ratio", "95th percentile over the size of the 5th, last 252 returns", "ratio"),
            count("unknown_returns", "breaks over which the index was carried, so far"),
        ),
        KEY,
    ),
    Contract(
        "risk.risk_category",
        "LOW, MEDIUM or HIGH, from volatility, shortfall and drawdown, slow to change.",
        "one row a ticker and session with a category, until five sessions after the last bar",
        (
            ticker(),
            session(),
            Column("category", "VARCHAR", "LOW, MEDIUM or HIGH; leveraged and inverse funds are HIGH"),
            Column(
                "raw_category",
                "VARCHAR",
                "what the session's measures alone say; UNKNOWN without, HIGH if leveraged",
            ),
            optional("score", "of the worst measure: 1 at its MEDIUM threshold, 2 at its HIGH threshold"),
            Column("decided_by", "VARCHAR", "the worst measure, or leveraged", nullable=True),
        ),
        KEY,
    ),
    Contract(
        "risk.regime",
        "Filtered probabilities of the market's regimes, from the benchmark's returns up to the close.",
        "one row a session with an estimate",
        (
            session(),
            Column("calm_probability", "DOUBLE", "three-state model", "0-1"),
            Column("normal_probability", "DOUBLE", "three-state model", "0-1"),
            Column("stress_probability", "DOUBLE", "three-state model", "0-1"),
            optional("two_state_stress_probability", "two-state model", "0-1"),
            Column("benchmark", "VARCHAR", "whose returns"),
        ),
        ("session",),
        allow_empty=True,
    ),
    Contract(
        "risk.regime_states",
        "What each regime meant in numbers at each refit. NULL where no admissible fit was found.",
        "one row a refit, number of states and state",
        (
            session("first session of a month: the fit holds returns up to its close"),
            Column("states", "INTEGER", "how many the model has", "states"),
            Column("state", "VARCHAR", "calm, normal or stress, by rising variance"),
            optional(
                "mean_return_annualised",
                "given the state: arithmetic, 252 times a session's mean, so that it may be below -1; no forecast",
                FRACTION,
            ),
            optional("volatility_annualised", "given the state", FRACTION),
            optional("expected_duration_sessions", "mean length of a stay", "sessions"),
            optional("ergodic_share", "long-run share of sessions", "0-1"),
            optional("stay_probability", "of the same state on the next session", "0-1"),
            optional("occupation", "expected returns of the window in the state", "sessions"),
            optional("log_likelihood", "of the window"),
            count("observations", "returns in the window"),
        ),
        ("session", "states", "state"),
        allow_empty=True,
    ),
    Contract(
        "risk.liquidity",
        "What trading costs and whether one can: spreads from daily ranges, illiquidity, silent sessions. Spreads and "
        "illiquidity end five sessions after the fund's last bar; counts, median and averages hold silence and go on.",
        "one row a ticker and session from its first bar on, for ever",
        (
            ticker(),
            session(),
            optional(
                "spread",
                "full bid-ask spread, EDGE over 252 sessions, negatives as zero",
                "fraction of price",
            ),
            optional("spread_standard_error", "of it", "fraction of price"),
            optional(
                "spread_lower",
                "95 % interval of it: two standard errors on the squared spread, zero at least",
                "fraction of price",
            ),
            optional("spread_upper", "the interval's other end; zero: not measured", "fraction of price"),
            optional(
                "edge_signed", "EDGE with its sign; average these, not the floored ones", "fraction of price"
            ),
            optional("corwin_schultz_signed", "for comparison", "fraction of price"),
            optional("abdi_ranaldo_signed", "for comparison", "fraction of price"),
            count("spread_pairs", "pairs of sessions in the estimate"),
            optional(
                "amihud_per_million",
                "mean |return| for each million traded, of the sessions with trade in 252",
                "fraction a million",
            ),
            count("zero_volume_sessions", "of the last 252 without trade"),
            count("known_sessions", "of the last 252 on which that is known"),
            optional(
                "median_traded_value", "over 252 sessions, silent ones as zero", "quote currency a session"
            ),
            optional("average_volume", "over 252 sessions, silent ones as zero", "units a session"),
            optional("recent_average_volume", "over 21 sessions", "units a session"),
        ),
        KEY,
    ),
)
