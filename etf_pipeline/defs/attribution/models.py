"""The factor models on a warehouse's market: published factors by vintage, and the house's own from its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from etf_pipeline.core.attribution.alignment import AlignedFactors
from etf_pipeline.core.attribution.explained import LONGEST_SPAN, Explained, explained, over_spans
from etf_pipeline.core.attribution.factor_models import FRENCH_FACTORS, FactorModel
from etf_pipeline.core.attribution.house_factors import house_factors, level_on_sessions
from etf_pipeline.core.attribution.known_factors import last_known
from etf_pipeline.core.attribution.monthly_returns import monthly_returns
from etf_pipeline.core.attribution.vintage_factors import distinct_vintages, last_factor_day, vintage_factors
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.defs.resources import Pipeline
from etf_pipeline.factor_models_file import read_factor_models
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS
from etf_pipeline.storage.factors import FactorVintages, NoFactorsError, read_factor_vintages
from etf_pipeline.storage.panels import ReturnPanel, column_of, read_classes, read_reference

HOME_CURRENCY = {"asx": "AUD", "us": "USD"}
SERIES = {
    "yield_10y": "us_10y_yield",
    "credit_spread": "us_high_yield_spread",
    "oil": "wti_oil",
    "vix": "vix",
}
"""What a house factor needs, and the reference series that is it: always the same, or its scale would change on the day
that a better one begins. All are New York's."""
FOR_EVER = 36_525
"""Days."""
SIMULATED = "simulated_six"
CLASSIC = "us_three"
"""Beside the six factors of American shares: its vintages reach back furthest."""
MONTHLY = {
    "us_six": "us_six_monthly",
    "developed_six": "us_six_monthly",
    "asia_pacific_five": "developed_ex_us_six_monthly",
    SIMULATED: SIMULATED,
}
"""Models of daily factors, and of monthly ones beside them; of a developed index, two thirds are American."""
MONTHLY_WINDOW, MONTHLY_OBSERVATIONS, SESSIONS_A_MONTH = 60, 36, 21
PORTFOLIO_MODEL = {"asx": "developed_six", "us": "us_six"}
"""The published model that accounts are explained by, beside the house's."""


class Reference:
    """Reference series as a market's close of each session knows them."""

    def __init__(self, pipeline: Pipeline, sessions: np.ndarray) -> None:
        self._held = read_reference(pipeline.warehouse)
        self._sessions = sessions
        self._market = pipeline.settings.market
        self._simulated = pipeline.source.simulated
        # New York's day ends after Sydney's; the invented market's series are those of its own day.
        self.lag_days = 1 if self._market == "asx" and not pipeline.source.simulated else 0

    def level(self, name: str, *, lag_days: int = 0, max_age_days: int = 5) -> np.ndarray:
        """(S,) level of a series, NaN where unknown or where it is not held at all."""
        days, value = self._held.get(name, (np.array([], "datetime64[D]"), np.array([])))
        return level_on_sessions(self._sessions, days, value, lag_days=lag_days, max_age_days=max_age_days)

    def of(self, need: str) -> np.ndarray:
        """(S,) what a factor needs, as its series has it."""
        return self.level(SERIES[need], lag_days=self.lag_days)

    def cash_rate(self, fallback: np.ndarray | None = None) -> tuple[np.ndarray, str]:
        """(S,) percent a year, and where it is from; where it is not known the last ``fallback`` that is, else 0.

        Session by session: that a series begins later does not change what stood in for it before.
        """
        name = "us_cash_rate" if self._market == "us" and not self._simulated else "cash_rate"
        # A central bank's rate stands until the next decision, which may be years away.
        rate, source = self.level(name, max_age_days=FOR_EVER), name
        if fallback is not None:
            source = name if np.isfinite(rate).any() else "risk-free rate of the factor library"
            rate = np.where(np.isnan(rate), last_known(fallback), rate)
        return np.nan_to_num(rate, nan=0.0), source if np.isfinite(rate).any() else "unknown: taken as 0"


def factor_models(
    pipeline: Pipeline, panel: ReturnPanel
) -> tuple[list[Explained], dict[str, np.ndarray], str]:
    """Every model beside the funds it explains: the house model for all of them, the published ones by asset class.

    Returns
    -------
    models; for each by name (S, N) bool, sessions on which it is a fund's main one: a published model while its factors
    are, the house model else; where the cash rate is from.
    """
    market = pipeline.settings.market
    library = Library(pipeline, panel)
    index, names, _ = read_classes(pipeline.warehouse, panel.tickers)
    wanted: dict[str, np.ndarray] = {}
    main = {"house": np.ones((len(panel.sessions), len(panel.tickers)), dtype=bool)}
    for number, name in enumerate(names):
        chosen = library.shipped.main_model(market, str(name)).name
        if chosen != "house":
            for key in (chosen, CLASSIC) if chosen == "us_six" and not library.simulated else (chosen,):
                wanted[key] = wanted.get(key, False) | (index == number)
    made = {name: library.published(name, np.flatnonzero(funds)) for name, funds in wanted.items()}
    found = [one for one in made.values() if one is not None]
    for name, one in made.items():
        if one is not None and name != CLASSIC:
            serves = (one.available.any(axis=1) & (one.vintage >= 0))[:, None] & wanted[name]
            main[one.model.name] = main.get(one.model.name, False) | serves
            main["house"] = main["house"] & ~serves
    return [library.house(), *found], main, library.cash


class Library:
    """The shipped models on one market's sessions and funds."""

    def __init__(self, pipeline: Pipeline, panel: ReturnPanel) -> None:
        self.shipped = read_factor_models()
        self.simulated = pipeline.source.simulated
        self.reference = Reference(pipeline, panel.sessions)
        self._pipeline, self._panel, self._market = pipeline, panel, pipeline.settings.market
        self._vintages = read_factor_vintages(pipeline.warehouse, "daily")
        self._risk_free: np.ndarray | None = None
        self.cash = ""
        home = self.published(PORTFOLIO_MODEL[pipeline.settings.market], np.array([], dtype=np.int64))
        if home is not None and home.model.currency in (HOME_CURRENCY[pipeline.settings.market], "local"):
            self._risk_free = 100.0 * SESSIONS_A_YEAR * home.single.risk_free[0]

    def published(self, name: str, funds: np.ndarray) -> Explained | None:
        """A model of published factors for the funds; None where the raw tier does not hold its factors."""
        model = self.shipped.models[name]
        if self.simulated:
            model = _of_simulation(model)
        try:
            audusd = self.reference.level("audusd")
            return _published(self._market, self._panel, model, funds, self._vintages, audusd)
        except NoFactorsError:
            return None

    def house(self) -> Explained:
        """The house's own model, for all funds."""
        model = self.shipped.models["house"]
        if self.simulated:
            model = _on_the_day(model)
        made, self.cash = _house(self._pipeline, self._panel, model, self.reference, self._risk_free)
        return made


def monthly_models(
    pipeline: Pipeline, panel: ReturnPanel, ends: np.ndarray, main: Mapping[str, np.ndarray]
) -> list[Explained]:
    """Models of monthly factors beside the funds whose main model is one of daily factors.

    Parameters
    ----------
    ends : (M,) int, rows of the months' last sessions: the sessions of the models returned.
    main : by model (S, N) bool, as ``factor_models`` returns it.
    """
    shipped, reference = read_factor_models(), Reference(pipeline, panel.sessions)
    vintages = read_factor_vintages(pipeline.warehouse, "monthly")
    returns = monthly_returns(panel.total_return, panel.spanned, ends)
    # A month is known by its last calendar day, whichever session ends it.
    days = (panel.sessions[ends].astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    months = ReturnPanel(days, panel.tickers, returns, np.isfinite(returns).astype(np.int64))
    wanted: dict[str, np.ndarray] = {}
    for name, funds in main.items():
        if name in MONTHLY:
            wanted[MONTHLY[name]] = wanted.get(MONTHLY[name], False) | np.asarray(funds.any(axis=0))
    made = []
    for name, funds in wanted.items():
        model = (
            _of_simulation(shipped.models["us_six_monthly"]) if name == SIMULATED else shipped.models[name]
        )
        if name == SIMULATED:
            model = replace(model, name=f"{SIMULATED}_monthly")
        try:
            one = _published(
                pipeline.settings.market, months, model, np.flatnonzero(funds), vintages,
                reference.level("audusd")[ends], longest_span=1, known_window=MONTHLY_WINDOW,
            )  # fmt: skip
        except NoFactorsError:
            continue
        made.append(replace(one, return_sessions=SESSIONS_A_MONTH))
    return made


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
    market: str,
    panel: ReturnPanel,
    model: FactorModel,
    funds: np.ndarray,
    vintages: FactorVintages,
    audusd: np.ndarray,
    *,
    longest_span: int = LONGEST_SPAN,
    known_window: int = 252,
) -> Explained:
    columns = [(_table_of(model, factor), factor) for factor in (*model.factors, "risk_free")]
    history = vintages.select(model.region, columns)
    first = history.first_known()
    moments = np.unique(first[~np.isnat(first)])
    number = np.where(np.isnat(first), -1, np.searchsorted(moments, first))
    kept, stands_for = distinct_vintages(history.as_known(moment) for moment in moments)
    kept = kept.reshape(len(kept), len(history.sessions), len(columns))
    found = vintage_factors(
        panel.sessions,
        history.sessions,
        kept[..., :-1],
        kept[..., -1],
        np.append(stands_for, -1)[number],
        model.factors,
        lag_days=model.lag_days[market],
        longest_span=max(longest_span, model.return_sessions[market]),
    )
    foreign = model.currency not in (HOME_CURRENCY[market], "local")
    day = last_factor_day(panel.sessions, history.sessions, model.lag_days[market])
    known_at = np.append(first, np.datetime64("NaT", "us"))[day]
    return explained(
        model, funds, panel.total_return, panel.spanned, found.value, found.vintage, known_at, found.first_known,
        return_sessions=model.return_sessions[market], exchange_rate=audusd if foreign else None, known_window=known_window,
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
            np.full(len(sessions), np.datetime64("NaT", "us")),
            single,
            return_sessions=length,
            exchange_rate=None,
        ),
        cash,
    )
