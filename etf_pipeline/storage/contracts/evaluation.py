"""Which signals work, how they go together, how certain ranks are, and what each device of the score changes."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker
from etf_pipeline.storage.contracts.risk import count, optional
from etf_pipeline.storage.contracts.validation import HORIZON, KNOWN, YEAR

OVER_HORIZON = "fraction over the horizon"
SIGNAL = Column("signal", "VARCHAR", "a component's or the ranking's score, or a measure in a component")

EVALUATION_CONTRACTS = (
    Contract(
        "validation.signal_evaluation",
        "Does a signal order funds as their later returns do? Traded at the next session's close, funds that die included; "
        "a session counts in the year in which its outcome was known.",
        "one row a signal, horizon, asset class, year and scope; complete years only",
        (
            KNOWN,
            *YEAR,
            SIGNAL,
            HORIZON,
            Column("asset_class", "VARCHAR", "all, or a class: compared among its funds only"),
            count("observations", "sessions with a coefficient: at least 5 funds"),
            Column("average_funds", "DOUBLE", "funds in them", "funds"),
            Column("mean_ic", "DOUBLE", "rank information coefficient (Spearman), its mean", "-1 to 1"),
            optional("ic_standard_deviation", "of single sessions"),
            optional("icir", "their ratio, of single sessions, not annualised"),
            optional("positive_share", "sessions with a coefficient above zero", "0-1"),
            optional("t_value", "of the mean, robust to overlap; NULL: too few sessions for the horizon"),
            optional("p_value", "two-sided", "0-1"),
            optional("adjusted_p_value", "Benjamini-Yekutieli over all rows known by then", "0-1"),
            optional("adjusted_p_value_of_scope", "the same over the rows of this year and scope", "0-1"),
            Column(
                "discovered", "BOOLEAN", "adjusted_p_value at most 0.05; for or against: see mean_ic's sign"
            ),
            count("quantile_observations", "sessions with quintiles: at least 10 funds"),
            *(
                optional(f"quintile_{q}_return", f"mean{', lowest signals' if q == 1 else ''}", OVER_HORIZON)
                for q in range(1, 6)
            ),
            optional("monotonicity", "rank correlation of quintiles with their mean returns", "-1 to 1"),
            optional("quintile_spread", "top less bottom", OVER_HORIZON),
            optional("quintile_spread_t_value", "robust to overlap; a description, not among the tests"),
            optional(
                "quintile_cost", "half the bid-ask spread on all that is traded, both sides", OVER_HORIZON
            ),
            optional("quintile_spread_after_costs", "sessions with known costs", OVER_HORIZON),
            optional("decile_spread", "sessions with at least 20 funds", OVER_HORIZON),
            optional("decile_spread_after_costs", "sessions with known costs", OVER_HORIZON),
            optional("top_quintile_turnover", "share of the top quintile renewed per horizon", "0-1"),
            optional(
                "rank_autocorrelation", "rank correlation with the signal one horizon before", "-1 to 1"
            ),
        ),
        ("year", "scope", "signal", "horizon", "asset_class"),
        allow_empty=True,
    ),
    Contract(
        "validation.signal_correlation",
        "How signals go together across funds, on the first session of each month.",
        "one row a pair of signals, year and scope; complete years only",
        (
            KNOWN,
            *YEAR,
            SIGNAL,
            Column("other", "VARCHAR", "the other signal of the pair"),
            count("observations", "months with at least 5 funds that have both", "months"),
            optional("mean_correlation", "Spearman, mean of the months", "-1 to 1"),
        ),
        ("year", "scope", "signal", "other"),
        allow_empty=True,
    ),
    Contract(
        "validation.signal_decay",
        "What a signal that is some sessions old still knows of the next month. All classes; not among the tests.",
        "one row a signal, lag, year and scope; complete years only",
        (
            KNOWN,
            *YEAR,
            SIGNAL,
            Column("lag", "INTEGER", "age of the signal; 0 is the newest that could be traded", "sessions"),
            HORIZON,
            count("observations", "sessions with a coefficient"),
            optional("mean_ic", "rank information coefficient, its mean", "-1 to 1"),
            optional("icir", "over its standard deviation"),
        ),
        ("year", "scope", "signal", "lag", "horizon"),
        allow_empty=True,
    ),
    Contract(
        "scoring.rank_uncertainty",
        "Where a fund would stand without the luck of the past year's days: block bootstrap, shrunk by the share of noise.",
        "one row a ranked fund and first session of a week, from a year after the first session on",
        (
            ticker(),
            session(),
            Column("rank", "INTEGER", "as served"),
            optional("rank_10", "a tenth of the resamples rank it here or better"),
            optional("rank_50", "median; far from rank: the rank is owed to luck in part"),
            optional("rank_90", "nine tenths rank it here or better"),
            optional("top_20_probability", "share of the resamples in which it is among the first 20", "0-1"),
            optional("score_standard_error", "standard deviation of the final score", "points"),
        ),
        ("ticker", "session"),
        allow_empty=True,
    ),
    Contract(
        "scoring.device_effects",
        "How the first 20 differ from what they would be without one device of the score.",
        "one row a session with a ranking and device",
        (
            session(),
            Column(
                "device",
                "VARCHAR",
                "multipliers, penalties, penalty_cap, penalty_share, penalty_<name>, adaptive_weights, everything",
            ),
            count("ranked_funds", "funds ranked on the session", "funds"),
            count("changed", "of the first 20, would not be there without it", "funds"),
            Column("entered", "VARCHAR", "those funds, best first", nullable=True),
            Column("displaced", "VARCHAR", "funds that would be there instead, best first", nullable=True),
            count("moved", "funds with another rank than without it", "funds"),
            count("largest_move", "most that a fund moves", "places"),
        ),
        ("session", "device"),
        allow_empty=True,
    ),
)
