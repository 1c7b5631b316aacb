"""The factor models on a warehouse's market: published factors by vintage, and the house's own from its series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etf_pipeline.core.attribution.alignment import AlignedFactors
from etf_pipeline.core.attribution.explained import LONGEST_SPAN, Explained, explained, over_spans
from etf_pipeline.core.attribution.factor_models import FRENCH_FACTORS, FactorModel
from etf_pipeline.core.attribution.house_factors import house_factors, level_on_sessions
from etf_pipeline.core.attribution.vintage_factors import vintage_factors
from etf_pipeline.defs.resources import Pipeline
from etf_pipeline.factor_models_file import read_factor_models
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS
from etf_pipeline.storage.factors import FactorVintages, NoFactorsError, read_factor_vintages
from etf_pipeline.storage.panels import ReturnPanel, column_of, read_classes, read_reference

HOME_CURRENCY = {"asx": "AUD", "us": "USD"}
SERIES = {
    "yield_10y": ("us_10y_yield",),
    "credit_spread": ("us_high_yield_spread", "us_investment_grade_spread"),
    "oil": ("wti_oil",),
    "vix": ("vix",),
}
"""What a house factor needs, and the reference series that may be it, the first held is; all are New York's."""
SIMULATED = "simulated_six"
_OLD_RATE_DAYS = 100


class Reference:
    """Reference series as a market's close of each session knows them."""

    def __init__(self, pipeline: Pipeline, sessions: np.ndarray) -> None:
        self._held = read_reference(pipeline.warehouse)
        self._sessions = sessions
        self._market = pipeline.settings.market
        # New York's day ends after Sydney's; the invented market's series are those of its own day.
        self.lag_days = 1 if self._market == "asx" and not pipeline.source.simulated else 0

    def level(self, name: str, *, lag_days: int = 0, max_age_days: int = 5) -> np.ndarray:
        """(S,) level of a series, NaN where unknown or where it is not held at all."""
        days, value = self._held.get(name, (np.array([], "datetime64[D]"), np.array([])))
        return level_on_sessions(self._sessions, days, value, lag_days=lag_days, max_age_days=max_age_days)

    def of(self, need: str) -> np.ndarray:
        """(S,) what a factor needs, from the first series held that can be it."""
        held = [name for name in SERIES[need] if name in self._held]
        return self.level(held[0] if held else SERIES[need][0], lag_days=self.lag_days)

    def cash_rate(self, fallback: np.ndarray | None = None) -> tuple[np.ndarray, str]:
        """(S,) percent a year, and where it is from; the ``fallback``, else 0 where nothing is known."""
        name = "us_cash_rate" if self._market == "us" and "us_cash_rate" in self._held else "cash_rate"
        if name in self._held and (self._market != "us" or name == "us_cash_rate"):
            # A central bank's rate stands until the next decision.
            rate = self.level(name, max_age_days=400)
            return np.nan_to_num(rate, nan=0.0), name
        if fallback is not None and np.isfinite(fallback).any():
            return np.nan_to_num(fallback, nan=0.0), "risk-free rate of the factor library"
        return np.zeros(len(self._sessions)), "unknown: taken as 0"


def factor_models(
    pipeline: Pipeline, panel: ReturnPanel
) -> tuple[list[Explained], dict[str, np.ndarray], str]:
    """Every model beside the funds it explains: the house model for all of them, the published ones by asset class.

    Returns
    -------
    models; for each by name (N,) bool, the funds whose main model it is; where the cash rate is from.
    """
    settings = pipeline.settings
    shipped = read_factor_models()
    index, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    vintages = read_factor_vintages(pipeline.warehouse, "daily")
    reference = Reference(pipeline, panel.sessions)
    wanted: dict[str, tuple[FactorModel, np.ndarray]] = {}
    main = {"house": np.ones(len(panel.tickers), dtype=bool)}

    def add(model: FactorModel, funds: np.ndarray) -> None:
        before = wanted.get(model.name)
        wanted[model.name] = (model, funds if before is None else before[1] | funds)

    for number, name in enumerate(names):
        own = index == number
        model = shipped.main_model(settings.market, str(name))
        if model.name == "house":
            continue
        if pipeline.source.simulated:
            model = _of_simulation(model)
        add(model, own)
        if model.name == "us_six":
            # The classic, beside it: its vintages reach back furthest.
            add(shipped.models["us_three"], own)
    made = []
    risk_free: np.ndarray | None = None
    for model, funds in wanted.values():
        try:
            one = _published(pipeline, panel, model, np.flatnonzero(funds), vintages, reference)
        except NoFactorsError:
            continue
        made.append(one)
        if model.currency in (HOME_CURRENCY[settings.market], "local") and risk_free is None:
            risk_free = 100.0 * 252.0 * one.single.risk_free[0]
        if model.name != "us_three":
            main[model.name] = funds
            main["house"] = main["house"] & ~funds
    own = shipped.models["house"]
    if pipeline.source.simulated:
        own = _on_the_day(own)
    house, cash = _house(pipeline, panel, own, reference, risk_free)
    return [house, *made], main, cash


def _of_simulation(model: FactorModel) -> FactorModel:
    """The invented market has factors of its own, in its own currency."""
    return replace(
        _on_the_day(model), name=SIMULATED, region="simulated", constructions=("five_factor", "momentum"),
        factors=FRENCH_FACTORS, currency="local",
    )  # fmt: skip


def _on_the_day(model: FactorModel) -> FactorModel:
    """As seen where everything closes at one hour."""
    return replace(
        model,
        lag_days=dict.fromkeys(model.lag_days, 0),
        return_sessions=dict.fromkeys(model.return_sessions, 1),
    )


def _published(
    pipeline: Pipeline,
    panel: ReturnPanel,
    model: FactorModel,
    funds: np.ndarray,
    vintages: FactorVintages,
    reference: Reference,
) -> Explained:
    market = pipeline.settings.market
    columns = [(_table_of(model, factor), factor) for factor in (*model.factors, "risk_free")]
    history = vintages.select(model.region, columns)
    first = history.first_known()
    moments = np.unique(first[~np.isnat(first)])
    cube = np.array([history.as_known(moment) for moment in moments]).reshape(
        len(moments), len(history.sessions), len(columns)
    )
    place = np.searchsorted(moments, first)
    found = vintage_factors(
        panel.sessions,
        history.sessions,
        cube[..., :-1],
        cube[..., -1],
        np.where(np.isnat(first), -1, place),
        model.factors,
        lag_days=model.lag_days[market],
        longest_span=max(LONGEST_SPAN, model.return_sessions[market]),
    )
    foreign = model.currency not in (HOME_CURRENCY[market], "local")
    return explained(
        model, funds, panel.total_return, panel.spanned, found.value, found.vintage, moments, found.first_known,
        return_sessions=model.return_sessions[market], exchange_rate=reference.level("audusd") if foreign else None,
    )  # fmt: skip


def _table_of(model: FactorModel, factor: str) -> str:
    """The first of the model's tables that has the factor."""
    return next(
        (name for name in model.constructions if factor in CONSTRUCTION_FACTORS.get(name, ())),
        model.constructions[0],
    )


def _house(
    pipeline: Pipeline,
    panel: ReturnPanel,
    model: FactorModel,
    reference: Reference,
    risk_free: np.ndarray | None,
) -> tuple[Explained, str]:
    market = pipeline.settings.market
    sessions, column = panel.sessions, column_of(panel.tickers, pipeline.settings.benchmark_ticker)
    rate, cash = reference.cash_rate(risk_free)
    one = panel.spanned[:, column] == 1
    series = {
        "market_return": np.where(one, panel.total_return[:, column], np.nan),
        "cash_rate": rate,
        "audusd": reference.level("audusd"),
        **{need: reference.of(need) for need in SERIES},
    }
    value = house_factors(sessions, series, model.factors)
    length = model.return_sessions[market]
    longest = max(LONGEST_SPAN, length)
    compounded = np.array([name != "volatility" for name in model.factors])
    days = np.diff(sessions.astype("datetime64[D]")).astype(np.int64)
    earned = np.concatenate([[np.nan], rate[:-1] / 100.0 * days / 365.0])
    single = AlignedFactors(
        over_spans(value, longest, compounded),
        over_spans(earned[:, None], longest, np.array([True]))[..., 0],
        np.full(len(sessions), np.datetime64("NaT", "D")),
        np.full(len(sessions), np.datetime64("NaT", "D")),
        np.ones(len(sessions), dtype=np.int32),
        tuple(model.factors),
    )
    return (
        explained(
            model,
            np.arange(len(panel.tickers)),
            panel.total_return,
            panel.spanned,
            single.value[None],
            np.zeros(len(sessions), dtype=np.int64),
            np.array(["NaT"], dtype="datetime64[us]"),
            single,
            return_sessions=length,
            exchange_rate=None,
        ),
        cash,
    )
