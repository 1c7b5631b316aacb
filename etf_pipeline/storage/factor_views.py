"""What became of factor returns after they were first published."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import quoted
from etf_pipeline.storage.contracts.factors import COMMON_FACTORS

_COMMON = ", ".join(quoted(name) for name in COMMON_FACTORS)

# The factors that tables of three and of five factors share are followed from one to the other; where one moment
# knows both, the table of five speaks, first as last, so that nothing is compared across tables without need.
FACTOR_REVISIONS = f"""
CREATE OR REPLACE VIEW raw.factor_revisions AS
WITH told AS (
    SELECT region, frequency, CASE WHEN factor IN ({_COMMON}) THEN 'common' ELSE construction END AS followed,
           factor, session, construction, known_at, value,
           lag((value, withdrawn)) OVER (
               PARTITION BY region, frequency, construction, factor, session ORDER BY known_at
           ) IS DISTINCT FROM (value, withdrawn) AS is_news
    FROM raw.factors
),
ends AS (
    SELECT region, frequency, followed, factor, session,
           min_by((known_at, construction, value), (known_at, construction)) AS first_told,
           max_by((known_at, construction, value), (known_at, CASE construction WHEN 'five_factor' THEN 1 ELSE 0 END))
               AS newest_told
    FROM told WHERE is_news GROUP BY ALL
)
SELECT region, frequency, followed AS construction, factor, session, first_told[3] AS first_value,
       newest_told[3] AS newest_value, newest_told[3] - first_told[3] AS difference,
       first_told[1] AS first_known_at, newest_told[1] AS newest_known_at,
       first_told[2] AS first_construction, newest_told[2] AS newest_construction
FROM ends WHERE first_told[1] < newest_told[1] AND first_told[3] IS DISTINCT FROM newest_told[3]
"""  # noqa: S608 (names of this package)
