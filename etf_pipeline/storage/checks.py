"""Questions put to the warehouse after each stage; every answer is a count of rows that should not be there."""

from __future__ import annotations

from collections.abc import Sequence

from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.core.scoring.rules import COMPONENT_NAMES, PENALTY_LABELS
from etf_pipeline.storage.attribution_rules import ATTRIBUTION_RULES
from etf_pipeline.storage.backtest_rules import BACKTEST_RULES
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.rules import Rule, breaking, contract_rule, stale_rule

ESTIMATES = ("volatility", "range_volatility", "beta", "class_beta", "tail", "drawdown", "risk_category")
"""Tables of the risk stage with a row for as long as a fund is quoted."""

FORECASTS = tuple(f"{model}_variance_{horizon}" for model in MODELS for horizon in HORIZONS)
TAILS = ("", "_historical", "_student_t", "_filtered")
"""Endings of the columns of risk.tail: the served model, then the three it is served by."""


LIQUIDITY_ESTIMATES = (
    "spread",
    "spread_standard_error",
    "spread_lower",
    "spread_upper",
    "edge_signed",
    "corwin_schultz_signed",
    "abdi_ranaldo_signed",
    "amihud_per_million",
)
"""Columns of risk.liquidity that end with the fund. Its counts, median and averages hold silence itself and go on."""


"""Of the accounts, and of what is left of them."""

RULES: tuple[Rule, ...] = (
    *(
        contract_rule(table)
        for table in CONTRACTS
        if table.split(".")[0] in {"market", "risk", "signals", "scoring", "validation", "attribution"}
    ),
    Rule(
        "market.bars",
        "coherent_prices",
        "An accepted bar has a positive close inside its own range.",
        "error",
        "SELECT ticker, session, low, close, high FROM market.bars WHERE accepted AND (close IS NULL OR close <= 0 "
        "OR close > high * (1 + 1e-9) OR close < low * (1 - 1e-9))",
    ),
    Rule(
        "market.bars",
        "few_refusals",
        "At most a tenth of a year's newest bars are refused, market-wide.",
        "warn",
        "SELECT count(*) FILTER (NOT accepted) AS refused, count(*) AS bars FROM market.bars "
        "WHERE session > (SELECT max(session) FROM market.bars) - INTERVAL 365 DAY "
        "HAVING count(*) FILTER (NOT accepted) > 0.1 * count(*)",
    ),
    Rule(
        "market.total_return",
        "no_unexplained_jumps",
        "No return between consecutive bars beyond +300 % or -90 %: that is a corporate action, not a market.",
        "error",
        "SELECT ticker, session, total_return FROM market.total_return "
        "WHERE sessions_spanned = 1 AND (total_return > 3 OR total_return < -0.9)",
    ),
    Rule(
        "market.bars",
        "few_withdrawals",
        "Vendors have withdrawn at most half a per cent of the bars they once gave.",
        "warn",
        "SELECT count(*) FILTER (withdrawn) AS withdrawn, count(*) AS bars FROM (SELECT withdrawn FROM raw.bars "
        "QUALIFY row_number() OVER (PARTITION BY ticker, session, occurrence ORDER BY known_at DESC) = 1) "
        "HAVING count(*) FILTER (withdrawn) > 0.005 * count(*)",
    ),
    Rule(
        "market.sessions",
        "no_empty_session",
        "Every session of the last year has at least one bar.",
        "warn",
        "SELECT session FROM market.sessions WHERE bars = 0 "
        "AND session > (SELECT max(session) FROM market.sessions) - INTERVAL 365 DAY",
    ),
    Rule(
        "market.total_return",
        "returns_are_known",
        "At most one in a hundred returns between two accepted bars is unknown. If more are: look at the price "
        "basis in raw.fetches, and declare `adjusted`.",
        "error",
        "SELECT count(*) FILTER (total_return IS NULL) AS unknown, count(*) AS returns FROM market.total_return "
        "WHERE sessions_spanned > 0 HAVING count(*) FILTER (total_return IS NULL) > 0.01 * count(*)",
    ),
    Rule(
        "scoring.component_scores",
        "risk_is_known",
        "On the newest session, at most a tenth of the members with momentum lack a risk score. If more do, the "
        "benchmark has lost its bars: set `benchmark` to a fund that has them.",
        "error",
        "SELECT count(*) FILTER (risk_score IS NULL) AS without, count(*) AS funds FROM scoring.component_scores "
        "WHERE momentum_score IS NOT NULL AND session = (SELECT max(session) FROM scoring.component_scores) "
        "HAVING count(*) FILTER (risk_score IS NULL) > 0.1 * count(*)",
    ),
    Rule(
        "market.universe",
        "no_doubted_member",
        "No member of the universe is under a corporate-action doubt.",
        "error",
        "SELECT ticker, session FROM market.universe u JOIN market.bars b USING (ticker, session) "
        "WHERE u.is_member AND b.doubt",
    ),
    Rule(
        "market.universe",
        "reason_or_member",
        "Everyone left out has a reason, and no member has one.",
        "error",
        "SELECT ticker, session FROM market.universe WHERE is_member = (exclusion_reason IS NOT NULL)",
    ),
    *(stale_rule(f"risk.{table}") for table in ESTIMATES),
    stale_rule("risk.liquidity", LIQUIDITY_ESTIMATES),
    stale_rule("signals.momentum"),
    stale_rule("signals.volume"),
    Rule(
        "signals.momentum",
        "values_in_range",
        "Every value is finite, an efficiency ratio within -1 and 1, a return not below a total loss.",
        "error",
        breaking(
            "signals.momentum",
            "NOT isfinite({0}) OR abs(efficiency_ratio) > 1 OR least(momentum_12_1, momentum_6_1) < -1",
            CONTRACTS["signals.momentum"].names[2:],
        ),
    ),
    Rule(
        "signals.volume",
        "values_in_range",
        "Every value is finite, correlation and money flow within -1 and 1, shares within 0 and 1, units not negative.",
        "error",
        breaking(
            "signals.volume",
            "NOT isfinite({0}) OR average_daily_units < 0 OR greatest(abs(price_volume_correlation), "
            "abs(accumulation_distribution), abs(2 * zero_volume_share - 1), abs(2 * traded_share - 1)) > 1",
            CONTRACTS["signals.volume"].names[2:],
        ),
    ),
    Rule(
        "signals.market_context",
        "values_in_range",
        "Every value is finite, correlations within -1 and 1, dispersion not negative.",
        "error",
        breaking(
            "signals.market_context",
            "NOT isfinite({0}) OR dispersion < 0 OR abs(equity_bond_correlation) > 1 "
            "OR abs(gold_equity_correlation) > 1 OR abs(vix_rates_correlation) > 1",
            CONTRACTS["signals.market_context"].names[1:],
            key="session",
        ),
    ),
    Rule(
        "risk.volatility",
        "positive_forecasts",
        "Every forecast is finite and positive; zero only for a price that has never moved.",
        "error",
        breaking(
            "risk.volatility",
            "NOT isfinite({0}) OR {0} < 0 OR ({0} = 0) <> (model = 'constant')",
            ("volatility_1_annualised", "volatility_5_annualised", "volatility_annualised"),
        ),
    ),
    Rule(
        "risk.volatility",
        "served_by_a_fit",
        "A forecast served by a GARCH model has a fit of that model behind it, of that session or before.",
        "error",
        "SELECT v.ticker, v.session, v.model FROM risk.volatility v LEFT JOIN (SELECT ticker, model, "
        "min(session) AS first_fit FROM risk.garch_fits GROUP BY ALL) f USING (ticker, model) "
        "WHERE v.model NOT IN ('ewma_shrunk', 'constant') AND (first_fit IS NULL OR first_fit > v.session)",
    ),
    Rule(
        "risk.volatility_forecasts",
        "positive_forecasts",
        "What a model forecast is finite and positive.",
        "error",
        breaking("risk.volatility_forecasts", "NOT (isfinite({0}) AND {0} > 0)", FORECASTS),
    ),
    Rule(
        "risk.beta",
        "kalman_after_its_fit",
        "A random-walk beta with an error rests on a fit of that session or before.",
        "error",
        "SELECT b.ticker, b.session FROM risk.beta b LEFT JOIN (SELECT ticker, min(session) AS first_fit "
        "FROM risk.kalman_fits GROUP BY ticker) f USING (ticker) WHERE b.kalman_standard_error > 0 "
        "AND (first_fit IS NULL OR first_fit > b.session)",
    ),
    Rule(
        "risk.beta",
        "errors_not_negative",
        "Standard errors are finite and not negative, correlations within -1 and 1.",
        "error",
        breaking(
            "risk.beta",
            "abs(correlation) > 1 + 1e-9 OR NOT (isfinite({0}standard_error) AND {0}standard_error >= 0)",
            ("", "hac_", "kalman_", "dimson_", "shrunk_"),
        ),
    ),
    Rule(
        "risk.tail",
        "severity_in_order",
        "Of every model, expected shortfall is at least as severe as value at risk, and 99 % as 95 %.",
        "error",
        breaking(
            "risk.tail",
            "cvar_95{0} > var_95{0} + 1e-12 OR cvar_99{0} > var_99{0} + 1e-12 "
            "OR var_99{0} > var_95{0} + 1e-12 OR cvar_99{0} > cvar_95{0} + 1e-12",
            TAILS,
        ),
    ),
    Rule(
        "risk.drawdown",
        "depths_in_order",
        "Drawdowns lie between -1 and 0, and three years' deepest is at least one year's.",
        "error",
        breaking(
            "risk.drawdown",
            "maximum_drawdown_756 > maximum_drawdown_252 + 1e-12 OR NOT {0} BETWEEN -1 AND 0",
            ("drawdown", "maximum_drawdown_252", "maximum_drawdown_756"),
        ),
    ),
    Rule(
        "risk.risk_category",
        "leveraged_is_high",
        "Leveraged and inverse funds are HIGH, whatever is known of them.",
        "error",
        "SELECT c.ticker, c.session, c.category FROM risk.risk_category c "
        "JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker) "
        "WHERE (l.is_leveraged OR l.asset_class = 'leveraged_inverse') "
        "AND (c.category <> 'HIGH' OR c.raw_category <> 'HIGH' OR c.decided_by IS DISTINCT FROM 'leveraged')",
    ),
    Rule(
        "risk.risk_category",
        "members_have_one",
        "On the newest session, at most a tenth of the universe's members lack a risk category.",
        "warn",
        "SELECT count(*) FILTER (c.category IS NULL) AS without, count(*) AS members FROM market.universe u "
        "LEFT JOIN risk.risk_category c USING (ticker, session) WHERE u.is_member "
        "AND u.session = (SELECT max(session) FROM market.universe) "
        "HAVING count(*) FILTER (c.category IS NULL) > 0.1 * count(*)",
    ),
    Rule(
        "risk.regime",
        "probabilities_sum_to_one",
        "Calm, normal and stress are probabilities and sum to one.",
        "error",
        breaking(
            "risk.regime",
            "NOT {0}_probability BETWEEN 0 AND 1 "
            "OR abs(calm_probability + normal_probability + stress_probability - 1) > 1e-9",
            ("calm", "normal", "stress", "two_state_stress"),
            key="session",
        ),
    ),
    Rule(
        "risk.regime",
        "after_the_first_fit",
        "No probability is dated before the first admissible fit.",
        "error",
        "SELECT session FROM risk.regime WHERE NOT session >= coalesce((SELECT min(session) FROM risk.regime_states "
        "WHERE states = 3 AND log_likelihood IS NOT NULL), DATE '9999-12-31')",
    ),
    Rule(
        "risk.regime_states",
        "states_in_order",
        "Calm, normal and stress are named by rising volatility.",
        "error",
        "SELECT session, states FROM (SELECT *, lag(volatility_annualised) OVER (PARTITION BY session, states "
        "ORDER BY CASE state WHEN 'calm' THEN 1 WHEN 'normal' THEN 2 ELSE 3 END) AS calmer FROM risk.regime_states) "
        "WHERE volatility_annualised <= calmer OR volatility_annualised <= 0",
    ),
    Rule(
        "risk.liquidity",
        "counts_and_spreads",
        "Spreads and illiquidity are not negative, a spread lies in its interval, no more sessions are silent than known.",
        "error",
        "SELECT ticker, session FROM risk.liquidity WHERE spread < 0 OR spread <> greatest(edge_signed, 0) "
        "OR spread_lower < 0 OR spread_lower > spread OR spread_upper < spread "
        "OR amihud_per_million < 0 OR zero_volume_sessions > known_sessions",
    ),
    Rule(
        "validation.volatility_losses",
        "judged_on_the_same_days",
        "All models of a fund, horizon, history and year are judged on the same sessions.",
        "error",
        "SELECT ticker, year, scope, horizon, history FROM validation.volatility_losses GROUP BY ALL "
        "HAVING min(observations) <> max(observations)",
    ),
    Rule(
        "validation.value_at_risk",
        "exceptions_are_listed",
        "The exceptions counted in a year are the ones listed.",
        "error",
        "SELECT ticker, year, level, v.exceptions, e.listed FROM validation.value_at_risk v LEFT JOIN (SELECT ticker, "
        "year(session) AS year, level, count(*) AS listed FROM validation.value_at_risk_exceptions GROUP BY ALL) e "
        "USING (ticker, year, level) WHERE v.model = 'served' AND v.scope = 'year' "
        "AND v.exceptions <> coalesce(e.listed, 0)",
    ),
    Rule(
        "validation.value_at_risk_exceptions",
        "beyond_the_forecast",
        "A listed return is below its value at risk, and expected shortfall below that.",
        "error",
        "SELECT ticker, session, level FROM validation.value_at_risk_exceptions "
        "WHERE total_return >= value_at_risk OR expected_shortfall > value_at_risk + 1e-12",
    ),
    Rule(
        "validation.hedging",
        "judged_on_the_same_days",
        "All estimators of a fund and benchmark are judged on the same sessions; the static one's ratio is one.",
        "error",
        "SELECT ticker, year, scope, horizon, benchmark FROM validation.hedging GROUP BY ALL "
        "HAVING min(observations) <> max(observations) "
        "OR bool_or(estimator = 'static' AND abs(ratio_to_static - 1) > 1e-9)",
    ),
    Rule(
        "validation.signal_evaluation",
        "figures_agree",
        "Coefficients are possible, adjusting raises p-values, and what is discovered is what the adjusted ones say.",
        "error",
        "SELECT signal, horizon, asset_class, year, scope FROM validation.signal_evaluation "
        "WHERE NOT abs(mean_ic) <= 1 + 1e-9 OR adjusted_p_value < p_value - 1e-12 "
        "OR discovered <> coalesce(adjusted_p_value <= 0.05, false) OR (p_value IS NULL) <> (adjusted_p_value IS NULL)",
    ),
    Rule(
        "scoring.rank_uncertainty",
        "quantiles_in_order",
        "Resampled ranks are in order, chances lie between 0 and 1, and the rank is the one served.",
        "error",
        "SELECT u.ticker, u.session FROM scoring.rank_uncertainty u LEFT JOIN scoring.composite_ranking r "
        "USING (ticker, session) WHERE rank_10 > rank_50 OR rank_50 > rank_90 OR rank_10 < 1 OR rank_90 > r.ranked_funds "
        "OR NOT top_20_probability BETWEEN 0 AND 1 OR u.rank IS DISTINCT FROM r.rank",
    ),
    Rule(
        "scoring.device_effects",
        "as_many_in_as_out",
        "As many funds enter the first 20 as leave it.",
        "error",
        "SELECT session, device FROM scoring.device_effects WHERE changed <> coalesce(len(string_split(entered, ', ')), 0) "
        "OR changed <> coalesce(len(string_split(displaced, ', ')), 0)",
    ),
    Rule(
        "scoring.adaptive_weights",
        "weights_are_slow_weights",
        "Weights are not negative, sum to one, and move by at most two hundredths in a session.",
        "error",
        "SELECT session FROM scoring.adaptive_weights WHERE "
        "NOT abs(momentum_weight + forecast_weight + risk_weight + volume_weight - 1) <= 1e-9 "
        "OR NOT least(momentum_weight, forecast_weight, risk_weight, volume_weight) >= 0 "
        "OR NOT turnover BETWEEN 0 AND 0.02 + 1e-9",
    ),
    Rule(
        "scoring.ablation_gate",
        "served_on_evidence",
        "An overlay is served only where it was admitted or kept, gained on the baseline and passes Hansen's test at 0.10.",
        "error",
        "SELECT session, overlay FROM scoring.ablation_gate WHERE served <> (decision IN ('admitted', 'kept')) "
        "OR (served AND NOT coalesce(p_value < 0.1 AND mean_gain > 0, false))",
    ),
    Rule(
        "signals.forecast",
        "fitted_before_and_in_order",
        "A forecast comes from models fitted on its session or before, and its interval has its ends in order.",
        "error",
        "SELECT ticker, session FROM signals.forecast WHERE fitted_on > session OR lower_5 > upper_5 "
        "OR lower_21 > upper_21 OR lower_63 > upper_63",
    ),
    Rule(
        "signals.forecast_models",
        "weights_of_a_stack",
        "No weight is negative, those of timing are at most one, and so are those of selection together.",
        "error",
        "SELECT session, horizon FROM signals.forecast_models GROUP BY session, horizon, member = 'timing' "
        "HAVING NOT (min(weight) >= 0 AND sum(weight) <= 1 + 1e-9)",
    ),
    Rule(
        "validation.forecast_bias",
        "intervals_keep_their_promise",
        "To date, over all funds, the 80 % intervals of a horizon have held between 75 and 85 % of outcomes.",
        "warn",
        "SELECT year, horizon, coverage FROM validation.forecast_bias WHERE asset_class = 'all' AND scope = 'to_date' "
        "AND verdict <> 'too_short' AND year = (SELECT max(year) FROM validation.forecast_bias) "
        "AND NOT coverage BETWEEN 0.75 AND 0.85",
    ),
    *BACKTEST_RULES,
    *ATTRIBUTION_RULES,
    Rule(
        "scoring.component_scores",
        "scores_in_range",
        "Component scores lie between 0 and 100, and there is none of which less than half the measures are known.",
        "error",
        breaking(
            "scoring.component_scores",
            "NOT coalesce({0}_score, 0) BETWEEN 0 AND 100 OR (({0}_score IS NULL) <> ({0}_known_share < 0.5))",
            COMPONENT_NAMES,
        ),
    ),
    Rule(
        "scoring.composite_ranking",
        "ranks_are_complete",
        "Each session's ranks run from 1 to the number of ranked funds, best score first.",
        "error",
        "SELECT session FROM scoring.composite_ranking WHERE rank IS NOT NULL GROUP BY session "
        "HAVING count(DISTINCT rank) <> count(*) OR min(rank) <> 1 OR max(rank) <> count(*) "
        "OR any_value(ranked_funds) <> count(*) "
        "UNION ALL SELECT session FROM (SELECT session, final_score - lag(final_score) OVER "
        "(PARTITION BY session ORDER BY rank) AS step FROM scoring.composite_ranking WHERE rank IS NOT NULL) "
        "WHERE step > 1e-6",
    ),
    Rule(
        "scoring.composite_ranking",
        "scores_add_up",
        "Weights sum to one, weighted components to the raw score, and less the penalties that is the final score.",
        "error",
        "SELECT ticker, session, raw_score, final_score FROM scoring.composite_ranking WHERE rank IS NOT NULL AND ("  # noqa: S608
        f"abs({' + '.join(f'{n}_weight' for n in COMPONENT_NAMES)} - 1) > 1e-9 "
        f"OR abs(raw_score - {' - '.join(f'{n}_weight * coalesce({n}_score, 0)' for n in COMPONENT_NAMES)}) > 1e-9 "
        "OR abs(final_score - raw_score * (1 - penalty_points / 100)) > 1e-9 "
        "OR final_score <> CASE weights_from WHEN 'static' THEN static_score ELSE adaptive_score END)",
    ),
    Rule(
        "scoring.adjustments",
        "penalties_add_up",
        "The sum before the cap is the points times the category's share; what is taken off is no more, and the position no "
        "larger than its base.",
        "error",
        "SELECT a.ticker, a.session FROM scoring.composite_ranking r JOIN scoring.adjustments a USING (ticker, session) "  # noqa: S608
        f"WHERE abs(penalty_total - penalty_share * ({' + '.join(f'{n}_points' for n in PENALTY_LABELS)})) > 1e-9 "
        "OR penalty_points > penalty_total OR penalty_points < 0 OR position_size > position_base OR position_size < 0",
    ),
    Rule(
        "scoring.composite_ranking",
        "only_members_are_ranked",
        "A ranked fund was a member of that session's universe; everyone else has a reason.",
        "error",
        "SELECT r.ticker, r.session FROM scoring.composite_ranking r JOIN market.universe u USING (ticker, session) "
        "WHERE (r.rank IS NOT NULL AND NOT u.is_member) OR (r.rank IS NULL) = (r.exclusion_reason IS NULL)",
    ),
    Rule(
        "scoring.composite_ranking",
        "scores_spread_out",
        "Of 50 funds or more, the newest scores span 45 points from the 5th to the 95th percentile, and no band of 20 "
        "points holds more than half of them.",
        "warn",
        "WITH newest AS (SELECT session, final_score FROM scoring.composite_ranking WHERE rank IS NOT NULL AND session = "
        "(SELECT max(session) FROM scoring.composite_ranking WHERE rank IS NOT NULL)), "
        "bands AS (SELECT a.final_score, count(*) AS inside FROM newest a JOIN newest b "
        "ON b.final_score BETWEEN a.final_score AND a.final_score + 20 GROUP BY a.final_score) "
        "SELECT quantile_cont(final_score, 0.95) - quantile_cont(final_score, 0.05) AS span, count(*) AS funds, "
        "(SELECT max(inside) FROM bands) AS fullest_band FROM newest "
        "HAVING count(*) >= 50 AND (span < 45 OR fullest_band > 0.5 * count(*))",
    ),
)


def offenders(
    warehouse: Warehouse, rules: Sequence[Rule], limit: int = 5
) -> list[tuple[int, list[tuple[object, ...]]]]:
    """For each rule how many rows break it, and the first few of them."""
    found = []
    with warehouse.read() as connection:
        for rule in rules:
            count = connection.execute(f"SELECT count(*) FROM ({rule.offenders})").fetchone()  # noqa: S608
            first = f"SELECT * FROM ({rule.offenders}) ORDER BY ALL LIMIT {limit}"  # noqa: S608
            rows = connection.execute(first).fetchall()
            found.append((int(count[0]) if count else 0, rows))
    return found
