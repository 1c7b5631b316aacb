"""Which columns each column is computed from, beside the contracts: shown on every asset's page.

Sources are columns of the assets read directly. What is only asked whether a row exists at all (the key
columns of a joined table) is not repeated for every column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etf_pipeline.core.scoring.components import COMPONENTS

ColumnSources = Mapping[str, tuple[str, ...]]
"""column -> the columns it is computed from, each written "schema.asset.column"."""

# Both hold the table raw.bars: the history loaded at once, and the sessions brought in since.
RAW_BARS = ("raw.price_history", "raw.raw_prices")
KEY = ("ticker", "session")


def _of(asset: str, *columns: str) -> tuple[str, ...]:
    return tuple(f"{asset}.{column}" for column in columns)


def _raw(*columns: str) -> tuple[str, ...]:
    return tuple(source for asset in RAW_BARS for source in _of(asset, *columns))


def _same(asset: str, columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns taken over unchanged."""
    return {column: _of(asset, column) for column in columns}


_PRICES = ("open", "high", "low", "close")
_JUDGED = _raw("session", *_PRICES, "adj_close", "volume", "basis")
_BAR = "market.bars"
_RETURN = _of("market.total_return", "total_return", "sessions_spanned")
_ELIGIBLE = (
    *_of(_BAR, "close", "volume", "accepted", "doubt"),
    *_of("raw.listings", "listed_on", "delisted_on", "is_leveraged"),
)
_MEMBER = _of("market.universe", "is_member")
_WEIGHTED = (
    *_of("scoring.component_scores", *(f"{name}_score" for name in COMPONENTS)),
    *_MEMBER,
)
_MEASURES = {
    "momentum_12_1": "signals.momentum",
    "volatility_annualised": "risk.volatility",
    "beta": "risk.beta",
    "accumulation": "signals.volume",
}


def _component_scores() -> dict[str, tuple[str, ...]]:
    columns = {
        f"{component}_score": (
            *(f"{_MEASURES[i.name]}.{i.name}" for i in inputs),
            *_MEMBER,
        )
        for component, inputs in COMPONENTS.items()
    }
    for measure, asset in _MEASURES.items():
        for column in (measure, f"{measure}_rank", f"{measure}_count", f"{measure}_percentile"):
            columns[column] = (*_of(asset, measure), *_MEMBER)
    return columns


COLUMN_LINEAGE: Mapping[str, ColumnSources] = {
    "market.sessions": {
        "session": _raw("session"),
        "closes_at": _raw("session"),
        "bars": _raw("session"),
    },
    "market.quality_events": {
        "ticker": _raw("ticker"),
        **dict.fromkeys(("session_start", "session_end", "detected_on"), _raw("session")),
        **dict.fromkeys(("rule", "severity", "action", "evidence"), _JUDGED),
    },
    "market.bars": {
        **{column: _raw(column) for column in (*KEY, *_PRICES, "adj_close", "volume", "basis")},
        **dict.fromkeys(("accepted", "traded", "scale", "doubt"), _JUDGED),
    },
    "market.total_return": {
        **_same(_BAR, KEY),
        "total_return": _of(_BAR, "close", "adj_close", "accepted", "scale", "split", "distribution"),
        "sessions_spanned": (*_of(_BAR, "accepted"), *_of("market.sessions", "session")),
        "return_basis": _of(_BAR, "basis", "has_actions"),
    },
    "market.universe": {
        **_same(_BAR, KEY),
        "is_member": _ELIGIBLE,
        "exclusion_reason": _ELIGIBLE,
        "observed_sessions": _of(_BAR, "accepted"),
        "stale_sessions": _of(_BAR, "accepted"),
        "median_traded_value": _of(_BAR, "close", "volume", "accepted"),
    },
    "risk.volatility": {**_same("market.total_return", KEY), "volatility_annualised": _RETURN},
    "risk.beta": {
        **_same("market.total_return", KEY),
        **dict.fromkeys(("beta", "standard_error", "correlation", "observations"), _RETURN),
    },
    "signals.momentum": {
        **_same("market.total_return", KEY),
        "momentum_12_1": _RETURN,
        "momentum_6_1": _RETURN,
    },
    "signals.volume": {
        **_same(_BAR, KEY),
        "accumulation": (
            *_of(_BAR, "close", "volume", "accepted"),
            *_of("market.total_return", "total_return"),
        ),
        "relative_turnover": _of(_BAR, "close", "volume", "accepted"),
    },
    "scoring.component_scores": {**_same("market.universe", KEY), **_component_scores()},
    "scoring.composite_ranking": {
        **_same("market.universe", KEY),
        **dict.fromkeys(("raw_score", "final_score", "confidence", "ranked_funds"), _WEIGHTED),
        **dict.fromkeys((f"{name}_weight" for name in COMPONENTS), _WEIGHTED),
        "rank": (*_WEIGHTED, *_of("market.universe", "median_traded_value", "ticker")),
        "exclusion_reason": (*_of("market.universe", "exclusion_reason"), *_WEIGHTED),
    },
    "production.published_ranking": {
        **_same(
            "scoring.composite_ranking",
            (*KEY, "rank", "raw_score", "final_score", "confidence", "exclusion_reason"),
        ),
        **_same("scoring.component_scores", (f"{name}_score" for name in COMPONENTS)),
    },
}
"""asset -> its columns' sources. A column that stands alone (a label, the time of writing) has no entry."""
