"""Raw tier: append-only, bitemporal. ``session`` says what day, ``known_at`` when it was learned."""

from __future__ import annotations

from etf_pipeline.storage.contracts.base import Column, Contract, session, ticker

KNOWN_AT = Column("known_at", "TIMESTAMP", "when the vendor told us, UTC", volatile=True)
FETCH_ID = Column(
    "fetch_id", "VARCHAR", "the fetch that brought this version, see raw.fetches", volatile=True
)
WITHDRAWN = Column("withdrawn", "BOOLEAN", "true where the vendor no longer has what it once had")
PRICE = "quote currency a unit"

RAW_CONTRACTS = (
    Contract(
        "raw.fetches",
        "Every time a source was asked, whether or not it said anything new.",
        "one row a fetch",
        (
            FETCH_ID,
            Column("source", "VARCHAR", "which source: files, yahoo, simulated"),
            Column("market", "VARCHAR", "asx or us"),
            Column("simulated", "BOOLEAN", "true where the data is invented"),
            Column("detail", "VARCHAR", "path, address or seed"),
            Column("basis", "VARCHAR", "as_traded, split_adjusted or total_return_adjusted"),
            Column("basis_evidence", "VARCHAR", "how the basis is known"),
            Column("has_distributions", "BOOLEAN", "whether the source supplies distributions at all"),
            KNOWN_AT,
            Column("stored_at", "TIMESTAMP", "when it was written here, UTC", volatile=True),
            Column("bars", "BIGINT", "bars received", "rows"),
            Column("new_versions", "BIGINT", "bar versions this fetch added", "rows"),
            Column("run_id", "VARCHAR", "Dagster run that asked", volatile=True),
        ),
        ("fetch_id",),
    ),
    Contract(
        "raw.coverage",
        "What each fetch was asked about and what came back, ticker by ticker.",
        "one row a fetch and ticker",
        (
            FETCH_ID,
            ticker(),
            Column("status", "VARCHAR", "ok, no_such_symbol, rate_limited, server_error or empty"),
            Column("requested_start", "DATE", "first session asked for; NULL: unlimited", nullable=True),
            Column(
                "requested_end", "DATE", "last session the answer vouches for; NULL: not said", nullable=True
            ),
            Column("first_session", "DATE", "first bar received", nullable=True),
            Column("last_session", "DATE", "last bar received", nullable=True),
            Column("rows", "BIGINT", "bars received", "rows"),
            Column("message", "VARCHAR", "what the vendor said; never interpreted"),
            KNOWN_AT,
        ),
        ("fetch_id", "ticker"),
    ),
    Contract(
        "raw.bars",
        "Daily bars as the vendor gave them, every version ever learned.",
        "one row a ticker, session, occurrence and version",
        (
            ticker(),
            session("the exchange's local date; closed days are kept as they came"),
            Column("occurrence", "SMALLINT", "0, or 1, 2, ... where one answer holds the session repeatedly"),
            KNOWN_AT,
            FETCH_ID,
            Column("open", "DOUBLE", "first price", PRICE, nullable=True),
            Column("high", "DOUBLE", "highest price", PRICE, nullable=True),
            Column("low", "DOUBLE", "lowest price", PRICE, nullable=True),
            Column("close", "DOUBLE", "last price", PRICE, nullable=True),
            Column(
                "adj_close",
                "DOUBLE",
                "the vendor's adjusted close, as first told where prices are as_traded",
                PRICE,
                nullable=True,
            ),
            Column("volume", "DOUBLE", "units traded", "units", nullable=True),
            Column("basis", "VARCHAR", "what the prices are, see raw.fetches"),
            Column("is_final", "BOOLEAN", "false for a bar that may still change"),
            WITHDRAWN,
        ),
        ("ticker", "session", "occurrence", "known_at"),
    ),
    Contract(
        "raw.actions",
        "Splits and distributions as the vendor gave them, every version ever learned.",
        "one row a ticker, ex-date, kind and version",
        (
            ticker(),
            Column("ex_date", "DATE", "first day the unit trades without it"),
            Column("kind", "VARCHAR", "dividend, capital_gain or split"),
            KNOWN_AT,
            FETCH_ID,
            Column("value", "DOUBLE", "cash a unit, or new units for one old", nullable=True),
            WITHDRAWN,
        ),
        ("ticker", "ex_date", "kind", "known_at"),
    ),
    Contract(
        "raw.listings",
        "What is known of each fund: name, class, listing and delisting dates, every version.",
        "one row a ticker and version",
        (
            ticker(),
            KNOWN_AT,
            FETCH_ID,
            Column("name", "VARCHAR", "fund name", nullable=True),
            Column("asset_class", "VARCHAR", "see sources.base.ASSET_CLASSES", nullable=True),
            Column("currency", "VARCHAR", "quote currency, ISO code", nullable=True),
            Column("listed_on", "DATE", "first day quoted", nullable=True),
            Column("delisted_on", "DATE", "last day quoted", nullable=True),
            Column("is_leveraged", "BOOLEAN", "leveraged, inverse or geared", nullable=True),
            Column("expense_ratio", "DOUBLE", "management cost", "fraction a year", nullable=True),
            Column("fund_size", "DOUBLE", "net assets", "quote currency", nullable=True),
            Column("former_ticker_of", "VARCHAR", "an earlier fund under this code", nullable=True),
            WITHDRAWN,
        ),
        ("ticker", "known_at"),
    ),
    Contract(
        "raw.macro",
        "Reference series: volatility index, yields, exchange rates, every version ever learned.",
        "one row a series, session and version",
        (
            Column("series", "VARCHAR", "vix, us_10y_yield, audusd, ..."),
            session("day the value is about"),
            KNOWN_AT,
            FETCH_ID,
            Column("value", "DOUBLE", "the value, in ``unit``", nullable=True),
            Column("unit", "VARCHAR", "percent, index points, USD per AUD, ...", nullable=True),
            WITHDRAWN,
        ),
        ("series", "session", "known_at"),
    ),
)
