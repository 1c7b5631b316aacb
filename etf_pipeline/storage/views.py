"""What a person would look for: as-of macros, restatements, the ranking of today, a card per fund."""

from __future__ import annotations

import duckdb

_AS_OF = """
CREATE OR REPLACE MACRO raw.{name}_as_of(ts) AS TABLE
SELECT * EXCLUDE (withdrawn) FROM (
    SELECT * FROM raw.{name} WHERE known_at <= ts::TIMESTAMP
    QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_at DESC) = 1
) WHERE NOT withdrawn
"""

VIEWS: tuple[str, ...] = (
    _AS_OF.format(name="bars", key="ticker, session, occurrence"),
    _AS_OF.format(name="actions", key="ticker, ex_date, kind"),
    _AS_OF.format(name="listings", key="ticker"),
    _AS_OF.format(name="macro", key="series, session"),
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
    SELECT b.* EXCLUDE (withdrawn) FROM (
        SELECT v.* FROM raw.bars v
        WHERE v.known_at <= (SELECT known_at FROM raw.fetches WHERE fetch_id = id)
        QUALIFY row_number() OVER (PARTITION BY ticker, session, occurrence ORDER BY known_at DESC) = 1
    ) b
    JOIN raw.coverage c ON c.fetch_id = id AND c.ticker = b.ticker AND c.status = 'ok'
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
    """
    CREATE OR REPLACE VIEW main.latest_ranking AS
    WITH newest AS (SELECT max(session) AS session FROM scoring.composite_ranking WHERE rank IS NOT NULL)
    SELECT r.session, r.rank, r.ticker, l.name, l.asset_class, r.final_score, c.momentum_score,
           c.risk_score, c.volume_score, r.confidence, m.momentum_12_1, v.volatility_annualised, b.beta,
           u.median_traded_value, r.exclusion_reason,
           (SELECT coalesce(bool_or(simulated), false) FROM raw.fetches) AS simulated
    FROM scoring.composite_ranking r JOIN newest USING (session)
    LEFT JOIN raw.listings_as_of(TIMESTAMP '9999-12-31') l USING (ticker)
    LEFT JOIN scoring.component_scores c USING (ticker, session)
    LEFT JOIN signals.momentum m USING (ticker, session)
    LEFT JOIN risk.volatility v USING (ticker, session)
    LEFT JOIN risk.beta b USING (ticker, session)
    LEFT JOIN market.universe u USING (ticker, session)
    ORDER BY r.rank NULLS LAST, r.ticker
    """,
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
           r.final_score, r.momentum_score, r.risk_score, r.volume_score, r.momentum_12_1,
           r.volatility_annualised, r.beta, r.median_traded_value, r.exclusion_reason, r.simulated
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
    WITH RECURSIVE walk AS (
        SELECT id::BIGINT AS materialization_id, 0 AS depth
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
    """Create or replace every view and macro; call it inside a transaction."""
    for statement in VIEWS:
        connection.execute(statement)
