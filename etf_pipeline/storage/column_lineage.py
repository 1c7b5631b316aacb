"""Which columns each column is computed from, beside the contracts: shown on every asset's page.

Sources are columns of the assets read directly. What is only asked whether a row exists at all (the key
columns of a joined table) is not repeated for every column.
"""

from __future__ import annotations

from collections.abc import Mapping

from etf_pipeline.core.scoring.components import COMPONENTS
from etf_pipeline.core.signals.forecast import CONTEXT_STATES, FUND_FEATURES
from etf_pipeline.storage.attribution_lineage import ATTRIBUTION_LINEAGE
from etf_pipeline.storage.column_sources import KEY, ColumnSources
from etf_pipeline.storage.column_sources import all_of as _all_of
from etf_pipeline.storage.column_sources import of as _of
from etf_pipeline.storage.column_sources import same as _same
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.contracts.scoring import PENALTY_INPUTS

# Both hold the table raw.bars: the history loaded at once, and the sessions brought in since.
RAW_BARS = ("raw.price_history", "raw.raw_prices")


def _raw(*columns: str) -> tuple[str, ...]:
    return tuple(source for asset in RAW_BARS for source in _of(asset, *columns))


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
    *_of("risk.risk_category", "category"),
)
_MEASURES = {
    "signals.momentum": COMPONENTS["momentum"],
    "risk.volatility": ("volatility_annualised",),
    "risk.beta": ("beta",),
    "risk.tail": ("cvar_95_annualised",),
    "risk.drawdown": ("maximum_drawdown_252",),
    "risk.liquidity": ("amihud_per_million",),
}
_ASSET_OF = {getattr(item, "name", item): asset for asset, items in _MEASURES.items() for item in items}


def _measure(name: str) -> str:
    if name.startswith("beyond_risk_"):
        return f"signals.forecast.corrected_{name.removeprefix('beyond_risk_')}"
    return f"{_ASSET_OF.get(name, 'signals.volume')}.{name}"


def _component_scores() -> dict[str, tuple[str, ...]]:
    # The contrasts are chosen by the final scores they give.
    everything = (
        *(_measure(i.name) for parts in COMPONENTS.values() for i in parts),
        *(*_MEMBER, *_CLASS, *_of("risk.risk_category", "category")),
        *(source for sources in _PENALISED.values() for source in sources),
    )
    everything = tuple(dict.fromkeys(everything))
    columns: dict[str, tuple[str, ...]] = {f"{component}_contrast": everything for component in COMPONENTS}
    for component, inputs in COMPONENTS.items():
        sources = (*(_measure(item.name) for item in inputs), *_MEMBER)
        columns |= {f"{component}_{part}": (*sources, *_CLASS) for part in ("score", "average")}
        columns[f"{component}_known_share"] = sources
        for item in inputs:
            columns[item.name] = (_measure(item.name), *_MEMBER)
            columns[f"{item.name}_score"] = (_measure(item.name), *_MEMBER, *_CLASS)
    return columns


_CLASS = _of("raw.listings", "asset_class")
_PRICE_BAR = _of(_BAR, *_PRICES, "accepted", "scale", "split", "distribution", "basis")
_YEAR = ("session", "year", "scope")
_JUDGED_PARTS = ("raw_", "corrected_", "lower_", "upper_")


def _judged(table: str, forecasts: tuple[str, ...], labels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """A table of judgements: returns against forecasts, by fund and year."""
    return {
        "ticker": _of("market.total_return", "ticker"),
        **dict.fromkeys(_YEAR, _of("market.sessions", "session")),
        **_all_of(table, (*_RETURN, *forecasts), but=("ticker", *_YEAR, *labels)),
    }


def _risk() -> dict[str, ColumnSources]:
    returns_key = _same("market.total_return", KEY)
    plain = ("risk.volatility_forecasts", "risk.garch_fits", "risk.kalman_fits", "risk.drawdown")
    lineage: dict[str, ColumnSources] = {
        table: {**returns_key, **_all_of(table, _RETURN, but=(*KEY, "model"))} for table in plain
    }
    lineage["risk.volatility"] = {**returns_key, **_all_of("risk.volatility", (*_RETURN, *_CLASS))}
    lineage["risk.beta"] = {
        **returns_key,
        **_all_of("risk.beta", (*_RETURN, *_CLASS), but=(*KEY, "benchmark")),
    }
    lineage["risk.class_beta"] = {
        **returns_key,
        "asset_class": _CLASS,
        **_all_of("risk.class_beta", (*_RETURN, *_MEMBER, *_CLASS), but=(*KEY, "asset_class")),
    }
    lineage["risk.range_volatility"] = {
        **_same(_BAR, KEY),
        **_all_of("risk.range_volatility", _PRICE_BAR),
    }
    lineage["risk.tail"] = {
        **returns_key,
        **_all_of("risk.tail", (*_RETURN, *_of("risk.volatility", "volatility_1_annualised"))),
    }
    measures = (
        *_of("risk.volatility", "volatility_annualised"),
        *_of("risk.tail", "cvar_95_annualised_historical"),
        *_of("risk.drawdown", "maximum_drawdown_756"),
        *_of("raw.listings", "is_leveraged", "asset_class"),
    )
    lineage["risk.risk_category"] = {
        **_same("market.universe", KEY),
        **_all_of("risk.risk_category", measures),
    }
    for table in ("risk.regime", "risk.regime_states"):
        labels = ("session", "benchmark", "states", "state")
        lineage[table] = {
            "session": _of("market.sessions", "session"),
            **_all_of(table, _RETURN, but=labels),
        }
    lineage["risk.liquidity"] = {
        **_same(_BAR, KEY),
        **_all_of("risk.liquidity", (*_PRICE_BAR, *_of(_BAR, "volume"), *_RETURN)),
    }
    losses = (
        *_of(
            "risk.volatility", "volatility_annualised", "volatility_1_annualised", "volatility_5_annualised"
        ),
        *_of("risk.volatility", "ewma_annualised", "model"),
        *_of("risk.volatility_forecasts", *CONTRACTS["risk.volatility_forecasts"].names[2:]),
    )
    for name in ("volatility_losses", "volatility_tests"):
        table = f"validation.{name}"
        lineage[table] = _judged(table, losses, ("horizon", "model", "baseline"))
    tails = _of("risk.tail", *(n for n in CONTRACTS["risk.tail"].names if n.startswith(("var", "cvar"))))
    lineage["validation.value_at_risk"] = _judged("validation.value_at_risk", tails, ("model", "level"))
    exceptions = "validation.value_at_risk_exceptions"
    lineage[exceptions] = {
        **returns_key,
        **_same("market.total_return", ("total_return", "sessions_spanned")),
        "value_at_risk": _of("risk.tail", "var_95", "var_99"),
        "expected_shortfall": _of("risk.tail", "cvar_95", "cvar_99"),
    }
    betas = (
        *_of("risk.beta", "static_beta", "beta", "ewma_beta", "kalman_beta", "dimson_beta", "shrunk_beta"),
        *_of("risk.class_beta", "static_beta", "beta", "ewma_beta", "kalman_beta"),
        *_MEMBER,
        *_CLASS,
    )
    lineage["validation.hedging"] = _judged(
        "validation.hedging", betas, ("horizon", "benchmark", "estimator")
    )
    return lineage


_PENALISED = {
    "cvar": _of("risk.tail", "cvar_95_annualised"),
    "units": _of("signals.volume", "average_daily_units"),
    "amihud": _of("risk.liquidity", "amihud_per_million"),
    "silence": _of("risk.liquidity", "zero_volume_sessions", "known_sessions"),
    "expense": _of("raw.listings", "expense_ratio"),
    "size": _of("raw.listings", "fund_size"),
}


def _scoring() -> dict[str, ColumnSources]:
    ranking, adjustments = "scoring.composite_ranking", "scoring.adjustments"
    category = _of("risk.risk_category", "category")
    penalised = tuple(source for sources in _PENALISED.values() for source in sources)
    served = (
        *_of("scoring.adaptive_weights", *(f"{c}_weight" for c in COMPONENTS)),
        *_of("scoring.ablation_gate", "served"),
    )
    volatility = _of("risk.volatility", "volatility_annualised")
    confidence = _of("signals.forecast", "confidence_21")
    momentum = _of("scoring.component_scores", "momentum_score", "momentum_contrast")
    known = _of("scoring.component_scores", *(f"{c}_known_share" for c in COMPONENTS))
    ties = _of("market.universe", "median_traded_value", "ticker")
    final = (*_WEIGHTED, *penalised, *served)
    return {
        ranking: {
            **_same("market.universe", KEY),
            "risk_category": category,
            **{f"{name}_score": _of("scoring.component_scores", f"{name}_score") for name in COMPONENTS},
            **{
                f"{name}_{part}": (*_WEIGHTED, *served)
                for name in COMPONENTS
                for part in ("adjusted", "weight")
            },
            "weights_from": served,
            **dict.fromkeys(("unadjusted_score", "raw_score"), (*_WEIGHTED, *served)),
            **{f"{name}_points": sources for name, sources in _PENALISED.items()},
            "penalty_points": (*penalised, *category),
            "unknown_inputs": (*penalised, *category),
            **dict.fromkeys(("final_score", "adaptive_score"), final),
            "static_score": (*_WEIGHTED, *penalised),
            "position_size": (*_WEIGHTED, *momentum[1:], *volatility, *confidence),
            "confidence": (*_WEIGHTED, *known),
            "ranked_funds": _WEIGHTED,
            **dict.fromkeys(
                ("rank", "rank_in_category"),
                (*final, *ties),
            ),
            "exclusion_reason": (*_of("market.universe", "exclusion_reason"), *_WEIGHTED),
        },
        adjustments: {
            **_same("market.universe", KEY),
            **{column.name: _PENALISED[name] for name, column in PENALTY_INPUTS.items()},
            "penalty_share": category,
            "penalty_total": (*penalised, *category),
            "position_base": category,
            "quality_factor": momentum,
            "confidence_factor": confidence,
            "volatility_factor": volatility,
        },
    }


def _volume() -> dict[str, tuple[str, ...]]:
    value = _of(_BAR, "close", "volume", "accepted")
    units = (*value, *_of(_BAR, "scale", "split", "basis"))
    direction = _of("market.total_return", "total_return")
    return {
        **_same(_BAR, KEY),
        "accumulation": (*value, *direction),
        "accumulation_distribution": (*value, *_of(_BAR, "high", "low")),
        "on_balance_volume": (*units, *direction),
        "price_volume_correlation": (*units, *_RETURN),
        "average_daily_units": units,
        **dict.fromkeys(("relative_turnover", "volume_spike", "zero_volume_share", "traded_share"), value),
    }


def _weights() -> dict[str, ColumnSources]:
    """The regimes' weights, and the gate they have to pass."""
    scores = _of("scoring.component_scores", *(f"{name}_score" for name in COMPONENTS))
    states = tuple(f"{name}_probability" for name in ("calm", "normal", "stress"))
    learned = (*scores, *_RETURN, *_of("risk.regime", *states))
    weights, fits, gate = (
        "scoring.adaptive_weights",
        "scoring.adaptive_weight_fits",
        "scoring.ablation_gate",
    )
    session = {"session": _of("market.sessions", "session")}
    judged = (
        *scores,
        *_RETURN,
        *_of(weights, *(f"{name}_weight" for name in COMPONENTS)),
        *_of("risk.risk_category", "category"),
    )
    decided = _all_of(gate, judged, but=("session", "overlay"))
    return {
        weights: {
            **session,
            **_all_of(weights, learned, but=("session", *states)),
            **_same("risk.regime", states),
        },
        fits: {**session, **_all_of(fits, learned, but=("session", "regime", "component", "base_weight"))},
        gate: {
            **session,
            **decided,
            "mean_gain_after_costs": (*judged, *_of("risk.liquidity", "spread")),
        },
    }


RISK_LINEAGE = _risk()


def _evaluation() -> dict[str, ColumnSources]:
    ranking = _of("scoring.composite_ranking", "unadjusted_score", "raw_score", "final_score")
    measures = (item.name for inputs in COMPONENTS.values() for item in inputs)
    scores = _of("scoring.component_scores", *(f"{name}_score" for name in (*COMPONENTS, *measures)))
    judged, cost = (*scores, *ranking, *_RETURN), _of("risk.liquidity", "spread")
    labels = (*_YEAR, "signal", "other", "horizon", "lag", "asset_class")
    years = dict.fromkeys(_YEAR, _of("market.sessions", "session"))
    evaluation = {**years, **_all_of("validation.signal_evaluation", (*judged, *_CLASS), but=labels)}
    evaluation["asset_class"] = _CLASS
    evaluation |= {
        name: (*evaluation[name], *cost)
        for name in ("quintile_cost", "quintile_spread_after_costs", "decile_spread_after_costs")
    }
    uncertainty, effects = "scoring.rank_uncertainty", "scoring.device_effects"
    weights = tuple(f"{name}_weight" for name in COMPONENTS)
    resampled = (
        *_RETURN,
        *_of(_BAR, "close", "volume", "accepted"),
        *_of(
            "scoring.component_scores",
            *(f"{c}_{part}" for c in COMPONENTS for part in ("average", "contrast")),
        ),
        *_of("scoring.composite_ranking", "rank", "penalty_points", *weights),
        *_CLASS,
    )
    compared = (
        *_of("scoring.composite_ranking", "rank", "unadjusted_score", "raw_score", "static_score"),
        *_of("scoring.composite_ranking", *(f"{name}_points" for name in _PENALISED)),
        *_of("scoring.adjustments", "penalty_share"),
    )
    return {
        "validation.signal_evaluation": evaluation,
        "validation.signal_correlation": {
            **years,
            **_all_of("validation.signal_correlation", (*scores, *ranking), but=labels),
        },
        "validation.signal_decay": {
            **years,
            **_all_of("validation.signal_decay", judged, but=labels),
        },
        uncertainty: {
            **_same("scoring.composite_ranking", (*KEY, "rank")),
            **_all_of(uncertainty, resampled, but=(*KEY, "rank")),
        },
        effects: {
            **_same("scoring.composite_ranking", ("session", "ranked_funds")),
            **_all_of(effects, compared, but=("session", "ranked_funds", "device")),
        },
    }


def _forecasts() -> dict[str, ColumnSources]:
    """Forecasts from every signal and risk measure, and their judgement."""
    features = tuple(source for table, columns in FUND_FEATURES.items() for source in _of(table, *columns))
    learned = (
        *features,
        *_RETURN,
        *_MEMBER,
        *_CLASS,
        *_of("risk.risk_category", "category"),
        *_of("risk.regime", "calm_probability", "stress_probability"),
        *_of("signals.market_context", *CONTEXT_STATES),
        *_of("raw.reference_series", "value", "session"),
    )
    session = _of("market.sessions", "session")
    judged = _of(
        "signals.forecast", *(n for n in CONTRACTS["signals.forecast"].names if n.startswith(_JUDGED_PARTS))
    )
    bias = "validation.forecast_bias"
    return {
        "signals.forecast": {
            **_same("market.universe", KEY),
            "fitted_on": session,
            **_all_of("signals.forecast", learned, but=(*KEY, "fitted_on")),
        },
        "signals.forecast_models": {
            "session": session,
            **_all_of("signals.forecast_models", learned, but=("session", "horizon", "member")),
        },
        bias: {
            **dict.fromkeys(_YEAR, session),
            "asset_class": _CLASS,
            **_all_of(bias, (*judged, *_RETURN, *_CLASS), but=(*_YEAR, "horizon", "asset_class")),
        },
    }


def _backtest() -> dict[str, ColumnSources]:
    """Accounts and what is made of them."""
    held = (
        *_of(_BAR, "open", "close", "accepted", "scale", "split", "distribution", "basis"),
        *_of("market.universe", "is_member", "exclusion_reason"),
        *_of("risk.liquidity", "spread", "median_traded_value"),
        *_of("risk.volatility", "volatility_annualised"),
        *_of("raw.reference_series", "value", "session"),
    )
    ranked = (*_of("scoring.composite_ranking", "rank", "position_size"), *held)
    intervals = _of("risk.liquidity", "spread_lower", "spread_upper")
    session = _of("market.sessions", "session")
    labels = ("strategy", "against", "comparison", "scheme", "path", "capital", "draws", "replications")
    tables = (
        "backtest_daily",
        "backtest_trades",
        "backtest_holdings",
        "backtest_summary",
        "random_portfolios",
        "capacity",
    )
    lineage: dict[str, dict[str, tuple[str, ...]]] = {}
    for table in (f"validation.{name}" for name in tables):
        dates = tuple(name for name in _YEAR if name in CONTRACTS[table].names)
        columns = _all_of(table, ranked, but=(*labels, *dates, "ticker"))
        lineage[table] = {**dict.fromkeys(dates, session), **columns}
        if "ticker" in CONTRACTS[table].names:
            lineage[table] |= {"ticker": _of(_BAR, "ticker")}
    lineage["validation.backtest_summary"] |= {
        f"annual_return_{scenario}_costs": (*ranked, *intervals) for scenario in ("low", "high")
    }
    tried = (
        *held,
        *_WEIGHTED,
        *_of("scoring.composite_ranking", "penalty_points"),
        *_of("market.universe", "median_traded_value"),
        *_of("validation.backtest_daily", "net_return"),
    )
    tried = tuple(dict.fromkeys(tried))
    written = ("code_version", "run_id", "recorded_at", "settings_hash", "asked_by", "configuration")
    grid = (
        *(f"{name}_weight" for name in COMPONENTS), "multipliers", "penalties", "top", "keep", "months", "is_default",
    )  # fmt: skip
    for name in (
        "trials", "trial_returns", "parameter_sweep", "walk_forward", "cross_validation", "overfitting", "significance",
    ):  # fmt: skip
        table = f"validation.{name}"
        dates = tuple(name for name in _YEAR if name in CONTRACTS[table].names)
        alone = (
            (
                *labels,
                *dates,
                *written,
                *(grid if name == "parameter_sweep" else ()),
                "window_number",
                "trial_id",
            )
            if name != "walk_forward"
            else (*labels, *dates, "window_number")
        )
        lineage[table] = {**dict.fromkeys(dates, session), **_all_of(table, tried, but=alone)}
    for name, sources in (
        ("survivorship", (*_of("scoring.composite_ranking", "rank"), *held)),
        ("listing_bias", (*_of("market.total_return", "total_return"), *_of("raw.listings", "listed_on"))),
    ):
        table = f"validation.{name}"
        columns = _all_of(table, (*sources, *_CLASS), but=(*labels, *_YEAR, "asset_class"))
        lineage[table] = {**dict.fromkeys(_YEAR, session), "asset_class": _CLASS, **columns}
    asked = (
        *_of(_BAR, "accepted"),
        *_of("scoring.composite_ranking", "rank"),
        *_of("validation.backtest_summary", "excess_annual_return", "spread_cost_annual", "maximum_drawdown"),
        *_of("validation.significance", "deflated_sharpe"),
        *_of("validation.overfitting", "spa_p_value", "probability_of_overfitting"),
        *_of("validation.random_portfolios", "beaten_in_sharpe"),
        *_of("validation.survivorship", "annual_return_difference"),
        *_of("validation.value_at_risk", "kupiec_p_value"),
    )
    judged = dict.fromkeys(("threshold", "value", "verdict", "explanation", "requirement"), asked)
    lineage["validation.readiness"] = {"session": session, **judged}
    return dict(lineage)


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
    **RISK_LINEAGE,
    **_forecasts(),
    **_weights(),
    **_evaluation(),
    **_backtest(),
    **ATTRIBUTION_LINEAGE,
    "signals.momentum": {**_same("market.total_return", KEY), **_all_of("signals.momentum", _RETURN)},
    "signals.volume": _volume(),
    "signals.market_context": {
        "session": _of("market.sessions", "session"),
        **dict.fromkeys(
            ("equity_bond_correlation", "gold_equity_correlation"), (*_RETURN, *_MEMBER, *_CLASS)
        ),
        "vix_rates_correlation": _of("raw.reference_series", "value", "session"),
        "dispersion": (*_RETURN, *_MEMBER),
    },
    "scoring.component_scores": {**_same("market.universe", KEY), **_component_scores()},
    **_scoring(),
    "production.published_ranking": _same(
        "scoring.composite_ranking",
        [
            n
            for n in CONTRACTS["production.published_ranking"].names
            if n not in ("simulated", "published_at")
        ],
    ),
}
"""asset -> its columns' sources. A column that stands alone (a label, the time of writing) has no entry."""
