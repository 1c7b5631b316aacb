"""Which columns the tables of attribution and stress are computed from; see ``column_lineage``."""

from __future__ import annotations

from collections.abc import Mapping

from etf_pipeline.storage.column_sources import KEY, ColumnSources, all_of, of, same

_RETURN = of("market.total_return", "total_return", "sessions_spanned")
_SERIES = of("raw.reference_series", "value", "session")
_FACTORS = (*of("raw.factor_returns", "value", "session", "known_at"), *_SERIES)
_CLASS = of("raw.listings", "asset_class")
_SESSION = of("market.sessions", "session")
_ACCEPTED = of("market.bars", "accepted")
# What an account holds, and what that is worth: as for the accounts of the backtest.
_HELD = (
    *of("market.bars", "open", "close", "accepted", "scale", "split", "distribution", "basis"),
    *of("market.universe", "is_member", "exclusion_reason"),
    *of("risk.liquidity", "spread", "median_traded_value"),
    *of("risk.volatility", "volatility_annualised"),
    *of("scoring.composite_ranking", "rank", "position_size"),
    *_SERIES,
)
# The equity factor is the market fund, before its first return the library's market.
_STRESS = tuple(dict.fromkeys((*_RETURN, *_ACCEPTED, *_FACTORS)))
_ACCOUNTS = tuple(dict.fromkeys((*_HELD, *_RETURN, *_FACTORS)))
_LABELS = (
    "strategy",
    "session",
    "year",
    "model",
    "part",
    "kind",
    "scenario",
    "others",
    "level",
    "capital",
    "paths",
)


def _exposures() -> dict[str, ColumnSources]:
    key = same("market.total_return", KEY)
    fitted = (*_RETURN, *_FACTORS)
    exposure, rolling, style = (
        f"attribution.{name}" for name in ("factor_exposure", "rolling_exposure", "style_weights")
    )
    labels = (*KEY, "model", "span", "factor", "return_sessions", "lag_days", "converted")
    drawn = dict.fromkeys(("shrunk_loading", "shrunk_error", "own_weight"), (*fitted, *_CLASS))
    main = {"is_main": (*_CLASS, *of("raw.factor_returns", "session", "known_at"))}
    mixed = (*_RETURN, *of("market.universe", "is_member"), *_CLASS, *_SERIES)
    return {
        exposure: {
            **key,
            **all_of(exposure, fitted, but=labels),
            **drawn,
            **main,
            "window_start": (*_RETURN, *_SESSION),
            "factors_known_at": of("raw.factor_returns", "known_at", "session"),
        },
        rolling: {**key, **all_of(rolling, fitted, but=(*KEY, "model")), **main},
        style: {**key, "style": _CLASS, **all_of(style, mixed, but=(*KEY, "style"))},
    }


def _portfolios() -> dict[str, ColumnSources]:
    lineage: dict[str, ColumnSources] = {}
    for name in ("return_attribution", "annual_attribution", "portfolio_risk"):
        table = f"attribution.{name}"
        dates = ("session", "year") if name.startswith("annual") else ("session",)
        lineage[table] = {**dict.fromkeys(dates, _SESSION), **all_of(table, _ACCOUNTS, but=_LABELS)}
    return lineage


def _stress() -> dict[str, ColumnSources]:
    losses, simulated, judged = (
        f"attribution.{name}" for name in ("stress_losses", "simulated_losses", "replay_coverage")
    )
    either = tuple(dict.fromkeys((*_ACCOUNTS, *_ACCEPTED)))
    lineage: dict[str, ColumnSources] = {
        losses: {
            "ticker": of("market.universe", "ticker"),
            "session": _SESSION,
            **all_of(losses, _STRESS, but=(*_LABELS, "ticker")),
            "realised_return": (*_RETURN, *_ACCEPTED),
        },
        simulated: {
            "name": of("market.universe", "ticker"),
            "session": _SESSION,
            **all_of(simulated, either, but=(*_LABELS, "name")),
        },
        judged: {
            **dict.fromkeys(("session", "year"), _SESSION),
            "asset_class": _CLASS,
            **all_of(judged, (*_STRESS, *_CLASS), but=(*_LABELS, "asset_class")),
        },
    }
    for name, sources, alone in (
        ("portfolio_stress", either, ()),
        ("reverse_stress", either, ("loss", "horizon_sessions")),
        ("portfolio_fragility", either, ()),
        ("liquidity_stress", _HELD, ()),
    ):
        table = f"attribution.{name}"
        lineage[table] = {"session": _SESSION, **all_of(table, sources, but=(*_LABELS, *alone))}
    return lineage


ATTRIBUTION_LINEAGE: Mapping[str, ColumnSources] = {**_exposures(), **_portfolios(), **_stress()}
"""asset -> its columns' sources; of reverse stress the losses are the scenarios' own."""
