"""Raw tier: factor returns of styles and markets, every vintage of every published table."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session
from etf_pipeline.storage.contracts.raw import FETCH_ID, KNOWN_AT, WITHDRAWN

FREQUENCIES = ("daily", "monthly")
CONSTRUCTION_FACTORS: dict[str, tuple[str, ...]] = {
    "three_factor": ("market_excess", "size", "value", "risk_free"),
    "five_factor": ("market_excess", "size", "value", "profitability", "investment", "risk_free"),
    "momentum": ("momentum",),
}
"""The published tables and the factors each holds.

``size`` of three factors is another portfolio than ``size`` of five (the one averages over a sort on value, the other
over sorts on value, profitability and investment), so the table is part of a factor's name.
"""
COMMON_FACTORS = ("market_excess", "value", "risk_free")
"""Built alike in the tables of three and of five factors: one may be compared with the other across vintages."""

REGION = Column("region", "VARCHAR", "us, developed, developed_ex_us, asia_pacific_ex_japan, ..., simulated")
FREQUENCY = Column("frequency", "VARCHAR", "daily or monthly")
CONSTRUCTION = Column(
    "construction",
    "VARCHAR",
    "the published table: three_factor, five_factor or momentum; one factor is built differently in two of them",
)

FACTOR_CONTRACTS = (
    Contract(
        "raw.factors",
        "Returns of market, style and momentum factors, every version ever learned; percent made fractions, else as told.",
        "one row a region, frequency, construction, factor, session and version",
        (
            REGION,
            FREQUENCY,
            CONSTRUCTION,
            Column(
                "factor",
                "VARCHAR",
                "market_excess, size, value, profitability, investment, momentum or risk_free",
            ),
            session("day the return is of; of a month its last calendar day"),
            KNOWN_AT,
            FETCH_ID,
            Column("value", "DOUBLE", "return of the period", "fraction a session or month", nullable=True),
            WITHDRAWN,
        ),
        ("region", "frequency", "construction", "factor", "session", "known_at"),
    ),
    Contract(
        "raw.factor_vintages",
        "Every vintage of a factor table that was read and the sessions it vouches for, even if it said nothing new.",
        "one row a region, frequency, construction, moment and fetch",
        (
            REGION,
            FREQUENCY,
            CONSTRUCTION,
            KNOWN_AT,
            FETCH_ID,
            Column("source", "VARCHAR", "which source: files, french, simulated"),
            Column("vintage", "VARCHAR", "month of the database, YYYY-MM; NULL: not said", nullable=True),
            Column("detail", "VARCHAR", "file, address or seed"),
            Column("first_session", "DATE", "first session of the table"),
            Column(
                "last_session", "DATE", "last session of the table; between the two it holds all there is"
            ),
            Column("rows", "BIGINT", "values in it, when it was last read", "rows"),
            Column("new_versions", "BIGINT", "versions it added", "rows", volatile=True),
        ),
        ("region", "frequency", "construction", "known_at", "fetch_id"),
    ),
)
