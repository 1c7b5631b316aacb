"""What a person would look for: as-of macros, restatements, the ranking and the risk of today, a card per fund.

DuckDB puts a macro's argument into its text as it is written, so a column given as the argument could be taken for one
of the macro's own of that name. Every macro therefore binds its arguments first, in ``"__asked"``, which reads no table,
and under names that nothing else has.
"""

from __future__ import annotations

import duckdb

from etf_pipeline.storage.explain_macro import EXPLAIN_SCORE
from etf_pipeline.storage.factor_views import FACTOR_REVISIONS
from etf_pipeline.storage.view_comments import comments

_AS_OF = """
CREATE OR REPLACE MACRO raw.{name}_as_of(ts) AS TABLE
WITH "__asked" AS (SELECT ts::TIMESTAMP AS "__moment")
SELECT * EXCLUDE (withdrawn) FROM (
    SELECT v.* FROM "__asked" JOIN raw.{name} v ON v.known_at <= "__moment"
    QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC) = 1
) WHERE NOT withdrawn
"""

VIEWS: tuple[str, ...] = (
    _AS_OF.format(name="bars", key="ticker, session, occurrence"),
    _AS_OF.format(name="actions", key="ticker, ex_date, kind"),
    _AS_OF.format(name="listings", key="ticker"),
    _AS_OF.format(name="macro", key="series, session"),
    _AS_OF.format(name="factors", key="region, frequency, construction, factor, session"),
    FACTOR_REVISIONS,
    """
    CREATE OR REPLACE VIEW raw.bars_latest AS
    SELECT * EXCLUDE (withdrawn) FROM (
        SELECT * FROM raw.bars
        QUALIFY row_number() OVER (PARTITION BY ticker, session, occurrence ORDER BY known_at DESC) = 1
    ) WHERE NOT withdrawn
    """,
    # What one download held: the funds it answered for, as they stood when it was made.
    """
    CREATE OR REPLACE MACRO raw.bars_of_fetch(id) AS TABLE
    WITH "__asked" AS (SELECT id AS "__fetch")
    SELECT b.* EXCLUDE (withdrawn) FROM (
        SELECT v.* FROM "__asked" JOIN raw.fetches f ON f.fetch_id = "__fetch"
        JOIN raw.bars v ON v.known_at <= f.known_at
        QUALIFY row_number() OVER (PARTITION BY v.ticker, v.session, v.occurrence ORDER BY v.known_at DESC) = 1
    ) b
    CROSS JOIN "__asked"
    JOIN raw.coverage c ON c.fetch_id = "__fetch" AND c.ticker = b.ticker AND c.status = 'ok'
        AND b.session BETWEEN c.first_session AND c.last_session
    WHERE NOT b.withdrawn
    """,
    """
    CREATE OR REPLACE VIEW raw.restatements AS
    WITH versions AS (
        SELECT *, lag(known_at) OVER w AS previously_known_at, lag(withdrawn) OVER w AS was_withdrawn,
               lag(open) OVER w AS o0, lag(high) OVER w AS h0, lag(low) OVER w AS l0, lag(close) OVER w AS c0,
               lag(adj_close) OVER w AS a0, lag(volume) OVER w AS v0
        FROM raw.bars WINDOW w AS (PARTITION BY ticker, session, occurrence ORDER BY known_at)
    ),
    fields AS (
        SELECT ticker, session, known_at, previously_known_at, withdrawn, fetch_id,
               unnest(['open', 'high', 'low', 'close', 'adj_close', 'volume']) AS field,
               unnest([o0, h0, l0, c0, a0, v0]) AS old_value,
               unnest([open, high, low, close, adj_close, volume]) AS new_value
        FROM versions WHERE previously_known_at IS NOT NULL
    )
    SELECT ticker, session, field, old_value, new_value,
           CASE WHEN old_value <> 0 THEN new_value / old_value - 1 END AS relative_change,
           withdrawn, previously_known_at, known_at AS known_since, fetch_id
    FROM fields WHERE old_value IS DISTINCT FROM new_value
    """,
    # A fund once answered for that the same source's newest answer no longer mentions, or calls unknown.
    """
    CREATE OR REPLACE VIEW raw.vanished_funds AS
    WITH answers AS (
        SELECT c.ticker, f.source, f.market, c.status, c.known_at, c.last_session
        FROM raw.coverage c JOIN raw.fetches f USING (fetch_id)
    ),
    newest AS (SELECT source, market, max(known_at) AS known_at FROM answers GROUP BY ALL),
    held AS (
        SELECT ticker, source, market, max(known_at) FILTER (status = 'ok') AS last_seen,
               max(last_session) FILTER (status = 'ok') AS last_session,
               arg_max(status, known_at) AS last_status, max(known_at) AS last_asked
        FROM answers GROUP BY ticker, source, market
    )
    SELECT h.ticker, h.source, h.last_session, h.last_seen, n.known_at AS absent_since_download,
           CASE WHEN h.last_asked < n.known_at THEN 'not in the download' ELSE h.last_status END AS how
    FROM held h JOIN newest n USING (source, market)
    WHERE h.last_seen IS NOT NULL AND h.last_seen < n.known_at
      AND NOT EXISTS (
        SELECT 1 FROM answers a WHERE a.ticker = h.ticker AND a.source = h.source
          AND a.known_at > h.last_seen AND a.status IN ('rate_limited', 'server_error', 'empty'))
    """,
    # The regime of a session, and what calm, normal and stress meant in numbers at the refit then in force.
    """
    CREATE OR REPLACE VIEW main.market_regime AS
    WITH states AS (
        SELECT session AS fitted_on, max(volatility_annualised) FILTER (state = 'calm') AS calm_volatility_annualised,
               max(volatility_annualised) FILTER (state = 'normal') AS normal_volatility_annualised,
               max(volatility_annualised) FILTER (state = 'stress') AS stress_volatility_annualised
        FROM risk.regime_states WHERE states = 3 AND log_likelihood IS NOT NULL GROUP BY session
    )
    SELECT r.session, r.benchmark,
           CASE greatest(r.calm_probability, r.normal_probability, r.stress_probability)
               WHEN r.calm_probability THEN 'calm' WHEN r.normal_probability THEN 'normal' ELSE 'stress'
           END AS regime,
           r.calm_probability, r.normal_probability, r.stress_probability, r.two_state_stress_probability,
           s.fitted_on, s.calm_volatility_annualised, s.normal_volatility_annualised, s.stress_volatility_annualised
    FROM risk.regime r ASOF LEFT JOIN states s ON r.session >= s.fitted_on
    """,
    # Every fund with a bar or an estimate: what its risk was on a session, by the measures that are served.
    """
    CREATE OR REPLACE MACRO main.risk_at(day) AS TABLE
    WITH "__asked" AS (SELECT day::DATE AS "__session")
    SELECT u.session, u.ticker, l.name, l.asset_class, u.is_member, u.exclusion_reason, c.category AS risk_category,
           c.raw_category, c.score AS category_score, c.decided_by, v.volatility_1_annualised,
           v.volatility_5_annualised, v.volatility_annualised, v.model AS volatility_model, t.var_95, t.cvar_95,
           t.var_99, t.cvar_99, t.model AS tail_model, d.drawdown, d.maximum_drawdown_252, d.maximum_drawdown_756,
           b.beta, b.kalman_beta, b.benchmark, q.spread, q.spread_lower, q.spread_upper, q.amihud_per_million,
           q.zero_volume_sessions, q.known_sessions, g.regime,
           (SELECT coalesce(bool_or(simulated), false) FROM raw.fetches) AS simulated
    FROM "__asked" JOIN market.universe u ON u.session = "__session"
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    LEFT JOIN risk.risk_category c USING (ticker, session)
    LEFT JOIN risk.volatility v USING (ticker, session)
    LEFT JOIN risk.tail t USING (ticker, session)
    LEFT JOIN risk.drawdown d USING (ticker, session)
    LEFT JOIN risk.beta b USING (ticker, session)
    LEFT JOIN risk.liquidity q USING (ticker, session)
    LEFT JOIN main.market_regime g USING (session)
    WHERE u.is_member OR v.model IS NOT NULL OR c.category IS NOT NULL OR u.stale_sessions = 0
    ORDER BY v.volatility_annualised DESC NULLS LAST, u.ticker
    """,
    # Of the session that latest_ranking shows; of the newest with an estimate as long as nothing is ranked.
    """
    CREATE OR REPLACE VIEW main.latest_risk AS
    FROM main.risk_at((
        SELECT coalesce((SELECT max(session) FROM scoring.composite_ranking WHERE rank IS NOT NULL),
                        (SELECT max(session) FROM risk.volatility))))
    """,
    """
    CREATE OR REPLACE VIEW main.latest_ranking AS
    WITH newest AS (SELECT max(session) AS session FROM scoring.composite_ranking WHERE rank IS NOT NULL)
    SELECT r.session, r.rank, r.ranked_funds, r.ticker, l.name, l.asset_class, k.category AS risk_category,
           r.rank_in_category, r.final_score, r.raw_score, r.penalty_points, r.momentum_score, r.forecast_score,
           r.risk_score, r.volume_score, r.confidence, r.position_size, r.weights_from, r.unknown_inputs,
           m.momentum_12_1, f.corrected_21 AS forecast_21,
           v.volatility_annualised, b.beta, u.median_traded_value, r.exclusion_reason, g.regime,
           (SELECT coalesce(bool_or(simulated), false) FROM raw.fetches) AS simulated
    FROM scoring.composite_ranking r JOIN newest USING (session)
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    LEFT JOIN signals.momentum m USING (ticker, session)
    LEFT JOIN signals.forecast f USING (ticker, session)
    LEFT JOIN risk.volatility v USING (ticker, session)
    LEFT JOIN risk.beta b USING (ticker, session)
    LEFT JOIN market.universe u USING (ticker, session)
    LEFT JOIN risk.risk_category k USING (ticker, session)
    LEFT JOIN main.market_regime g USING (session)
    ORDER BY r.rank NULLS LAST, r.ticker
    """,
    EXPLAIN_SCORE,
    # The newest month's end of each fund so far: by the model that explains its class; where that ends earlier (published
    # factors come late), by the house's own. The whole history's loadings, of the same close, stand beside the year's.
    """
    CREATE OR REPLACE MACRO main.exposures_at(day) AS TABLE
    WITH "__asked" AS (SELECT day::DATE AS "__session"),
    told AS (
        SELECT e.* FROM "__asked" JOIN attribution.factor_exposure e ON e.session <= "__session"
        WHERE e.is_main OR e.model = 'house'
    ),
    own_model AS (
        SELECT ticker, max(model) AS main_model, max(session) AS main_model_session FROM told WHERE is_main GROUP BY ticker
    ),
    newest AS (
        SELECT * FROM told WHERE span = 'rolling'
        QUALIFY dense_rank() OVER (PARTITION BY ticker ORDER BY session DESC, is_main DESC) = 1
    )
    SELECT n.session, n.ticker, l.name, l.asset_class, n.model, n.is_main, o.main_model, o.main_model_session, n.factor,
           n.loading, n.standard_error, n.t_value, n.shrunk_loading, n.shrunk_error, n.own_weight,
           h.loading AS loading_to_date, h.t_value AS t_value_to_date, n.alpha_annualised, n.alpha_t_value, n.r_squared,
           n.residual_volatility_annualised, n.observations, n.window_start, n.factors_known_at,
           (SELECT coalesce(bool_or(simulated), false) FROM raw.fetches) AS simulated
    FROM newest n
    LEFT JOIN told h ON h.span = 'to_date' AND h.ticker = n.ticker AND h.session = n.session AND h.model = n.model
        AND h.factor = n.factor
    LEFT JOIN own_model o ON o.ticker = n.ticker
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l ON l.ticker = n.ticker
    ORDER BY n.ticker, n.factor
    """,
    "CREATE OR REPLACE VIEW main.latest_exposures AS FROM main.exposures_at(DATE '9999-12-31')",
    """
    CREATE OR REPLACE MACRO main.stress_at(day) AS TABLE
    WITH "__asked" AS (SELECT day::DATE AS "__session"),
    month AS (
        SELECT max(e.session) AS session FROM "__asked" JOIN attribution.stress_losses e ON e.session <= "__session"
    )
    SELECT s.session, s.ticker, l.name, l.asset_class, s.kind, s.scenario, s.others, s.served_return,
           s.realised_return IS NOT NULL AS is_realised, s.total_return, s.low_80, s.high_80, s.low_95, s.high_95,
           s.from_equity, s.from_rates, s.from_credit, s.from_currency, s.from_oil, s.from_volatility, s.realised_return,
           (SELECT coalesce(bool_or(simulated), false) FROM raw.fetches) AS simulated
    FROM attribution.stress_losses s JOIN month USING (session)
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    ORDER BY s.kind, s.scenario, s.others, s.served_return, s.ticker
    """,
    "CREATE OR REPLACE VIEW main.latest_stress AS FROM main.stress_at(DATE '9999-12-31')",
    """
    CREATE OR REPLACE VIEW main.fund_card AS
    WITH seen AS (
        SELECT ticker, min(session) AS first_session, max(session) AS last_session,
               count(*) FILTER (accepted) AS accepted_bars, count(*) FILTER (NOT accepted) AS refused_bars
        FROM market.bars GROUP BY ticker
    ),
    doubts AS (SELECT ticker, count(*) AS quality_events FROM market.quality_events GROUP BY ticker)
    SELECT s.ticker, l.name, l.asset_class, s.first_session, s.last_session, l.delisted_on, s.accepted_bars,
           s.refused_bars, coalesce(d.quality_events, 0) AS quality_events, r.session AS ranked_session, r.rank,
           r.final_score, r.raw_score, r.penalty_points, r.position_size, r.momentum_score, r.forecast_score,
           r.risk_score, r.volume_score, r.momentum_12_1, r.forecast_21,
           r.volatility_annualised, r.beta, r.median_traded_value, r.exclusion_reason, r.risk_category, r.simulated
    FROM seen s
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    LEFT JOIN doubts d USING (ticker)
    LEFT JOIN main.latest_ranking r USING (ticker)
    """,
    """
    CREATE OR REPLACE VIEW main.data_health AS
    WITH bars AS (
        SELECT ticker, count(*) AS bars, count(*) FILTER (NOT accepted) AS refused_bars,
               max(session) AS last_bar, bool_or(doubt) FILTER (session = last) AS in_doubt
        FROM (SELECT *, max(session) OVER (PARTITION BY ticker) AS last FROM market.bars) GROUP BY ticker
    ),
    events AS (
        SELECT ticker, count(*) FILTER (severity = 'error') AS errors,
               count(*) FILTER (severity = 'warning') AS warnings,
               arg_max(rule || ': ' || evidence, (detected_on, session_start)) AS newest_event,
               max(detected_on) AS newest_event_on
        FROM market.quality_events GROUP BY ticker
    ),
    asked AS (
        SELECT ticker, arg_max(status, known_at) AS last_fetch_status, max(known_at) AS last_fetch
        FROM raw.coverage GROUP BY ticker
    )
    SELECT coalesce(b.ticker, a.ticker) AS ticker, b.bars, b.refused_bars, b.last_bar, b.in_doubt,
           coalesce(e.errors, 0) AS errors, coalesce(e.warnings, 0) AS warnings, e.newest_event_on,
           e.newest_event, a.last_fetch_status, a.last_fetch
    FROM bars b FULL JOIN asked a USING (ticker) LEFT JOIN events e USING (ticker)
    """,
    # From any materialisation back to everything it was made of.
    """
    CREATE OR REPLACE MACRO meta.ancestry(id) AS TABLE
    WITH RECURSIVE "__asked" AS (SELECT id::BIGINT AS "__id"),
    walk AS (
        SELECT "__id" AS materialization_id, 0 AS depth FROM "__asked"
        UNION
        SELECT i.input_id, w.depth + 1 FROM meta.inputs i JOIN walk w USING (materialization_id)
    )
    SELECT m.*, min(w.depth) AS depth FROM walk w JOIN meta.materializations m USING (materialization_id)
    GROUP BY ALL
    """,
    """
    CREATE OR REPLACE VIEW meta.latest_materializations AS
    SELECT * FROM meta.materializations
    QUALIFY row_number() OVER (PARTITION BY asset, partition ORDER BY materialization_id DESC) = 1
    """,
    """
    CREATE OR REPLACE VIEW production.drift AS
    SELECT p.session, p.ticker, p.rank AS published_rank, r.rank AS research_rank,
           p.final_score AS published_score, r.final_score AS research_score, p.published_at
    FROM production.published_ranking p
    LEFT JOIN scoring.composite_ranking r USING (session, ticker)
    WHERE p.rank IS DISTINCT FROM r.rank OR p.final_score IS DISTINCT FROM r.final_score
    """,
)


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace every view and macro, and say what they are; call it inside a transaction."""
    for statement in VIEWS:
        connection.execute(statement)
    for statement in comments(connection):
        connection.execute(statement)
