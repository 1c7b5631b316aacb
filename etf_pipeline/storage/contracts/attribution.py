"""Why funds and portfolios moved, and what they would lose."""

from __future__ import annotations

from etf_pipeline.core.attribution.factor_models import FRENCH_FACTORS
from etf_pipeline.storage.contracts.backtest import STRATEGY
from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.risk import count, optional
from etf_pipeline.storage.contracts.validation import KNOWN

HOUSE = ("market", "term", "credit", "currency", "oil", "volatility")
LOADINGS = (*FRENCH_FACTORS, *HOUSE)
"""Columns of loadings: those of published styles, then those of the house's own factors."""
SPANS = ("rolling", "to_date")
STRESS_FACTORS = ("equity", "rates", "credit", "currency", "oil", "volatility")

MODEL = Column("model", "VARCHAR", "factor model, see reference/factor_models.toml")
IS_MAIN = Column(
    "is_main",
    "BOOLEAN",
    "the model that explains the fund's asset class; the house model where that is unknown or its factors have ended",
)
VOLATILITY = "fraction a year"
PART = Column(
    "part",
    "VARCHAR",
    "a factor; specific: what the funds did beyond the factors; risk_free; translation: into the factors' currency; "
    "unexplained: funds without exposures, and sessions on which no factor is known; interest, spread_cost, impact_cost, "
    "haircut; other: trades within the session and what is left",
)
MONTH_END = "last session of a month, by the exchange's calendar"


def _moves(what: str) -> tuple[Column, ...]:
    return tuple(optional(name, f"{what} {name}", "fraction") for name in STRESS_FACTORS)


_LOSS = (
    Column("kind", "VARCHAR", "replay or hypothetical"),
    Column("scenario", "VARCHAR", "see reference/stress_scenarios.toml"),
    Column(
        "others",
        "VARCHAR",
        "factors that the scenario does not name: conditional (as expected given it) or unchanged",
    ),
    optional("total_return", "over the scenario, from exposures; losses are negative", "fraction"),
    optional("low_80", "lower end of the 80 % interval", "fraction"),
    optional("high_80", "upper end", "fraction"),
    optional("low_95", "lower end of the 95 % interval", "fraction"),
    optional("high_95", "upper end", "fraction"),
)
_LOSS_KEY = ("session", "kind", "scenario", "others")

ATTRIBUTION_CONTRACTS = (
    Contract(
        "attribution.factor_exposure",
        "What each fund's returns load on, at months' ends, with errors robust to autocorrelation, and "
        "drawn to its peers "
        "where its history is short. A window is read as the factors were known when its last day first was.",
        "one row a ticker, month's end, model, span and factor",
        (
            ticker(),
            session(MONTH_END),
            MODEL,
            Column(
                "span", "VARCHAR", "rolling (the last 252 sessions, or 60 months) or to_date (all so far)"
            ),
            Column(
                "factor",
                "VARCHAR",
                "market_excess, size, ... or of the house: market, term, credit, currency, oil, volatility",
            ),
            IS_MAIN,
            Column("loading", "DOUBLE", "slope: return for a factor return of one", "ratio"),
            optional("standard_error", "Newey-West", "ratio"),
            optional("t_value", "loading over its error"),
            optional("shrunk_loading", "posterior mean, drawn to the asset class", "ratio"),
            optional("shrunk_error", "its posterior standard deviation", "ratio"),
            optional("own_weight", "of the fund's own estimate in it", "0-1"),
            optional("alpha_annualised", "constant of the regression, beyond cash", VOLATILITY),
            optional("alpha_t_value", "of the constant"),
            optional("r_squared", "share of the variance that the factors explain", "0-1"),
            optional("residual_volatility_annualised", "of what they do not", VOLATILITY),
            Column("observations", "BIGINT", "returns", "returns"),
            Column("window_start", "DATE", "session of the first of them"),
            count(
                "return_sessions",
                "that each (overlapping) return spans: 5 where funds close at another hour than what "
                "they hold",
            ),
            count("lag_days", "by which the market sees the factors' day", "days"),
            Column("converted", "BOOLEAN", "returns were converted into the factors' currency"),
            Column(
                "factors_known_at",
                "TIMESTAMP",
                "moment as of which the factors are read; NULL: the house's own",
                nullable=True,
            ),
        ),
        ("ticker", "session", "model", "span", "factor"),
        allow_empty=True,
    ),
    Contract(
        "attribution.rolling_exposure",
        "Loadings of each fund over the last 252 sessions, at every close: its main model and the house "
        "model.",
        "one row a ticker, session and model with an estimate",
        (
            ticker(),
            session(),
            MODEL,
            IS_MAIN,
            *(
                optional(name, f"loading on {name}; NULL: not in the model or not known", "ratio")
                for name in LOADINGS
            ),
            optional("alpha_annualised", "constant of the regression, beyond cash", VOLATILITY),
            optional("r_squared", "share of the variance that the factors explain", "0-1"),
            optional("residual_volatility_annualised", "of what they do not", VOLATILITY),
            count("observations", "returns in the window", "returns"),
        ),
        ("ticker", "session", "model"),
        allow_empty=True,
    ),
    Contract(
        "attribution.style_weights",
        "What mix of asset classes a multi-asset fund moves like: weights of at least 0 that sum to 1 "
        "(Sharpe 1992), the best subset.",
        "one row a ticker, quarter's end and asset class in the mix",
        (
            ticker(),
            session("last session of a quarter, by the exchange's calendar"),
            Column("style", "VARCHAR", "asset class, the mean return of its funds; or cash_rate"),
            Column("weight", "DOUBLE", "share", "0-1"),
            optional("standard_error", "asymptotic, of the active weights", "0-1"),
            Column("r_squared", "DOUBLE", "share of the variance that the mix explains", "0-1"),
            Column("observations", "BIGINT", "returns", "returns"),
        ),
        ("ticker", "session", "style"),
        allow_empty=True,
    ),
    Contract(
        "attribution.return_attribution",
        "Each session's return of the accounts by factor, with the weights and exposures of the close "
        "before; the parts add up to "
        "the return.",
        "one row a strategy, session, model and part",
        (
            STRATEGY,
            session(),
            MODEL,
            PART,
            Column("contribution", "DOUBLE", "to the session's return after costs", "fraction"),
        ),
        ("strategy", "session", "model", "part"),
        allow_empty=True,
    ),
    Contract(
        "attribution.annual_attribution",
        "The same by year, linked so that the parts add up to the year's compound return (Carino 1999).",
        "one row a strategy, complete year, model and part",
        (
            STRATEGY,
            KNOWN,
            count("year", "complete calendar year", "year"),
            MODEL,
            PART,
            Column("contribution", "DOUBLE", "to the year's return after costs", "fraction"),
        ),
        ("strategy", "year", "model", "part"),
        allow_empty=True,
    ),
    Contract(
        "attribution.portfolio_risk",
        "Where the volatility of the accounts comes from: exposures and contributions that add up (Euler).",
        "one row a strategy, month's end and part",
        (
            STRATEGY,
            session(MONTH_END),
            MODEL,
            Column("part", "VARCHAR", "a factor, or specific"),
            optional("exposure", "of the account; NULL for specific", "ratio"),
            optional("volatility_annualised", "contribution; the parts sum to the account's", VOLATILITY),
            optional("share_of_variance", "contribution", "fraction"),
            Column(
                "unexplained_weight", "DOUBLE", "held in funds without exposures, which are left out", "0-1"
            ),
        ),
        ("strategy", "session", "model", "part"),
        allow_empty=True,
    ),
    Contract(
        "attribution.stress_losses",
        "What each fund would lose: past crises replayed, by its own prices where it lived and by its "
        "exposures, and supposed shocks.",
        "one row a ticker, month's end, scenario and treatment of the other factors",
        (
            ticker(),
            session(MONTH_END),
            *_LOSS,
            *(
                optional(f"from_{name}", f"part of the return that {name} brings; they sum to it", "fraction")
                for name in STRESS_FACTORS
            ),
            optional(
                "realised_return",
                "of a replay, from the fund's own prices; NULL where it did not live then",
                "fraction",
            ),
            Column("served_return", "DOUBLE", "realised where there is one, else from exposures", "fraction"),
        ),
        ("ticker", *_LOSS_KEY),
        allow_empty=True,
    ),
    Contract(
        "attribution.portfolio_stress",
        "The same for the accounts as they were held at the month's end.",
        "one row a strategy, month's end, scenario and treatment of the other factors",
        (
            STRATEGY,
            session(MONTH_END),
            *_LOSS,
            *(
                optional(f"from_{name}", f"part of the return that {name} brings; they sum to it", "fraction")
                for name in STRESS_FACTORS
            ),
            optional(
                "served_return", "the same, funds that lived through a replay by their own prices", "fraction"
            ),
            Column(
                "covered_weight",
                "DOUBLE",
                "share of what is held that has exposures; nothing is assumed of the rest",
                "0-1",
            ),
        ),
        ("strategy", *_LOSS_KEY),
        allow_empty=True,
    ),
    Contract(
        "attribution.reverse_stress",
        "The most likely moves of the factors that lose a given share of an account.",
        "one row a strategy, month's end and scenario",
        (
            STRATEGY,
            session(MONTH_END),
            Column("scenario", "VARCHAR", "see reference/stress_scenarios.toml"),
            Column("loss", "DOUBLE", "share lost", "fraction"),
            count("horizon_sessions", "within"),
            *_moves("move over the horizon of"),
            optional("specific", "return beside the factors", "fraction"),
            optional("distance", "standard deviations from no move (Mahalanobis)"),
            optional("probability_normal", "of a loss as large, normal moves", "0-1"),
            optional("probability_student_t", "the same with fat tails", "0-1"),
        ),
        ("strategy", "session", "scenario"),
        allow_empty=True,
    ),
    Contract(
        "attribution.portfolio_fragility",
        "Diversification that fails: the accounts' volatility and loss with all correlations at one.",
        "one row a strategy, month's end and scenario",
        (
            STRATEGY,
            session(MONTH_END),
            Column("scenario", "VARCHAR", "see reference/stress_scenarios.toml"),
            optional("volatility_annualised", "as exposures have it", VOLATILITY),
            optional(
                "volatility_same_sign_annualised", "every fund fully with or against the account", VOLATILITY
            ),
            optional("volatility_worst_annualised", "all positions lose at once", VOLATILITY),
            optional("diversification", "volatility over the worst; 1 for none", "0-1"),
            optional("loss", "at the scenario's confidence and horizon, normal", "fraction"),
            optional("loss_worst", "the same with all correlations at one", "fraction"),
            Column("covered_weight", "DOUBLE", "share of what is held that has exposures", "0-1"),
        ),
        ("strategy", "session", "scenario"),
        allow_empty=True,
    ),
    Contract(
        "attribution.liquidity_stress",
        "What it takes to sell an account in a market that has dried up.",
        "one row a strategy, month's end, scenario and size of the account",
        (
            STRATEGY,
            session(MONTH_END),
            Column("scenario", "VARCHAR", "see reference/stress_scenarios.toml"),
            Column("capital", "DOUBLE", "of the account, held in the same parts", "quote currency"),
            optional("days_to_sell_all", "until the last position is gone", "sessions"),
            *(
                optional(f"share_sold_{day}", f"of the value, after {day} sessions", "0-1")
                for day in (1, 5, 20)
            ),
            optional("cost_to_sell", "half spread and impact", "fraction of the account"),
        ),
        ("strategy", "session", "scenario", "capital"),
        allow_empty=True,
    ),
    Contract(
        "attribution.simulated_losses",
        "Filtered historical simulation of the next 21 sessions: past shocks, drawn for all funds "
        "together, at today's volatility. An account is there where 95 % of what it holds is simulated.",
        "one row a fund or account and quarter's end",
        (
            Column("kind", "VARCHAR", "fund or strategy"),
            Column("name", "VARCHAR", "ticker, or name of the account"),
            session("last session of a quarter, by the exchange's calendar"),
            *(
                optional(f"{what}_{level}", f"{doc} at {level} %", "fraction")
                for what, doc in (
                    ("value_at_risk", "value at risk"),
                    ("expected_shortfall", "expected shortfall"),
                )
                for level in (95, 99)
            ),
            *(optional(f"probability_of_losing_{loss}", f"{loss} % or more", "0-1") for loss in (10, 20)),
            count("paths", "simulated", "paths"),
        ),
        ("kind", "name", "session"),
        allow_empty=True,
    ),
    Contract(
        "attribution.replay_coverage",
        "How good predictions of past crises are: funds that lived through them, predicted as if they "
        "had not, from "
        "exposures estimated after the window.",
        "one row a complete year, asset class and level",
        (
            KNOWN,
            count("year", "complete calendar year: crises that had ended by then", "year"),
            Column("asset_class", "VARCHAR", "of the funds, or all"),
            Column("level", "DOUBLE", "nominal coverage", "0-1"),
            count("windows", "crises with a comparison", "windows"),
            count("pairs", "of fund and crisis", "pairs"),
            optional("covered_plain", "share inside the intervals", "0-1"),
            optional("covered", "share inside the calibrated intervals, each crisis by the others", "0-1"),
            optional("bias", "mean of realised less predicted", "fraction"),
            optional("median_absolute_error", "of the prediction", "fraction"),
        ),
        ("year", "asset_class", "level"),
        allow_empty=True,
    ),
)
