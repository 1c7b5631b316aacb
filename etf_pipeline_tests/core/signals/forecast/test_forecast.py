"""The whole stage on invented markets: a planted signal is found, noise is not, and nothing is known too early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from etf_pipeline.core import parallel
from etf_pipeline.core.parallel import set_workers
from etf_pipeline.core.signals.forecast import (
    HORIZONS,
    ForecastRules,
    Forecasts,
    causal_score,
    forecast_returns,
)
from etf_pipeline.core.validation.forecast_bias import JudgedForecasts, judge_forecasts
from etf_pipeline.core.validation.forward_return import forward_return

RULES = ForecastRules(window=1000, minimum=252, embargo=5, seed=3)
CUTS = (700, 1011)


@pytest.fixture(autouse=True)
def _as_many_as_before() -> Iterator[None]:
    before = parallel._workers
    yield
    set_workers(before)


@dataclass(frozen=True)
class Market:
    """Panels of an invented market; ``signal`` foretells returns by ``strength`` daily standard deviations."""

    funds: dict[str, np.ndarray]
    state: np.ndarray
    eligible: np.ndarray
    volatility: np.ndarray
    exposure: np.ndarray
    total_return: np.ndarray
    spanned: np.ndarray
    classes: np.ndarray
    categories: np.ndarray
    sessions: np.ndarray

    def until(self, cut: int) -> Market:
        """As it was: the sessions before ``cut``, and the funds that had been heard of."""
        heard_of = (self.spanned[:cut] > 0).any(axis=0)

        def part(panel: np.ndarray) -> np.ndarray:
            return panel[:cut, heard_of].copy() if panel.ndim == 2 else panel[:cut].copy()

        cut_down = {k: part(v) for k, v in vars(self).items() if k not in ("funds", "classes")}
        funds = {k: part(v) for k, v in self.funds.items()}
        return Market(funds=funds, classes=self.classes[heard_of], **cut_down)

    def forecast(self) -> Forecasts:
        return forecast_returns(
            self.funds,
            {"state": causal_score(self.state, 300, 100)},
            eligible=self.eligible,
            volatility=dict.fromkeys(HORIZONS, self.volatility),
            exposure=self.exposure,
            total_return=self.total_return,
            sessions_spanned=self.spanned,
            classes=self.classes,
            categories=self.categories,
            sessions=self.sessions,
            rules=RULES,
        )

    def judged(self, forecasts: Forecasts, horizon: int) -> dict[str, np.ndarray]:
        """To the last year's end, over all funds."""
        served = forecasts.served[HORIZONS.index(horizon)]
        panels = {}
        for name in ("raw", "corrected", "lower", "upper"):
            panels[name] = np.full(self.total_return.shape, np.nan)
            panels[name][forecasts.features.row, forecasts.features.column] = getattr(served, name)
        realised = forward_return(self.total_return, self.spanned, horizon, delay=0)
        table = judge_forecasts(
            JudgedForecasts(horizon=horizon, realised=realised, **panels),
            self.sessions, self.classes, np.array(["a", "b"], dtype=object),
        )  # fmt: skip
        at = np.flatnonzero((table["asset_class"] == "all") & (table["scope"] == "to_date"))[-1]
        return {name: values[at] for name, values in table.items()}


def market(seed: int, strength: float, sessions: int = 1250, funds: int = 21) -> Market:
    rng = np.random.default_rng(seed)
    shape = (sessions, funds)
    daily = rng.uniform(0.004, 0.02, funds)
    signal = np.zeros(shape)
    for t in range(1, sessions):
        signal[t] = 0.97 * signal[t - 1] + rng.normal(0, 0.24, funds)
    beta = rng.uniform(0.3, 0.9, funds)
    noise = np.sqrt(1 - beta**2) * rng.normal(size=shape) + beta * rng.normal(size=(sessions, 1))
    move = noise + 0.02 * beta
    move[1:] += strength * signal[:-1]
    total = daily * move
    member = rng.random(shape) > 0.02
    member[: sessions // 4, : funds // 4] = False  # listed later
    spanned = np.where(rng.random(shape) < 0.01, 0, 1)
    spanned[:1050, 5] = 0  # not heard of before
    member[:1200, 5] = False
    total[spanned == 0] = np.nan
    days = np.arange(np.datetime64("2016-02-01"), np.datetime64("2030-01-01"))
    measures = {"signal": signal, **{f"noise_{k}": rng.normal(size=shape) for k in range(3)}}
    measures["noise_0"][rng.random(shape) < 0.2] = np.nan
    volatility = np.broadcast_to(daily * np.sqrt(252), shape) * np.exp(rng.normal(0, 0.05, shape))
    exposure = np.broadcast_to(beta, shape).copy()
    exposure[rng.random(shape) < 0.02] = np.nan
    return Market(
        measures, np.cumsum(rng.normal(size=sessions)), member, volatility, exposure, total, spanned,
        np.where(np.arange(funds) % 3 == 2, -1, np.arange(funds) % 3), rng.integers(-1, 3, shape),
        days[np.is_busday(days)][:sessions],
    )  # fmt: skip


@pytest.fixture(scope="module")
def planted() -> tuple[Market, Forecasts]:
    one = market(1, 0.15)
    return one, one.forecast()


@pytest.fixture(scope="module")
def noise() -> tuple[Market, Forecasts]:
    one = market(2, 0.0)
    return one, one.forecast()


def contents(forecasts: Forecasts, rows: int, refits_before: int) -> dict[str, bytes]:
    """Everything the stage says of the first ``rows`` rows, and of refits up to a session."""
    out = {"values": forecasts.features.values[:rows].tobytes()}
    for ensemble, served in zip(forecasts.ensembles, forecasts.served, strict=True):
        h = served.horizon
        for name in ("raw", "corrected", "lower", "upper", "hit_rate", "confidence"):
            out[f"{name}_{h}"] = getattr(served, name)[:rows].tobytes()
        many = ensemble.folds.refit < refits_before
        for name in ("mean", "weights", "past_r_squared", "past_rows"):
            out[f"{name}_{h}"] = np.ascontiguousarray(getattr(ensemble, name)[many]).tobytes()
        out[f"corrections_{h}"] = b"".join(
            c.pooled.tobytes() + c.believed.tobytes() + c.by_class.tobytes() + c.by_category.tobytes()
            for row, c in served.corrections
            if row < refits_before
        )
    return out


class TestAPlantedSignal:
    @pytest.mark.parametrize("horizon", [5, 21])  # the longest has too few outcomes in so short a market
    def test_is_found(self, planted, horizon):
        row = planted[0].judged(planted[1], horizon)
        assert row["rank_correlation"] > 0.1
        assert row["verdict"] == "skill"
        assert 0.7 < row["slope_corrected"] < 1.3
        assert row["brier_corrected"] < 0.25

    @pytest.mark.parametrize("horizon", HORIZONS)
    def test_intervals_hold_four_outcomes_in_five(self, planted, horizon):
        assert planted[0].judged(planted[1], horizon)["coverage"] == pytest.approx(0.8, abs=0.06)

    def test_the_slope_is_believed_and_the_signal_used(self, planted):
        newest = planted[1].served[0].corrections[-1][1]
        assert newest.believed[2] > 0.9
        assert newest.pooled[2] > 0.7
        r_squared = planted[1].ensembles[0].past_r_squared[-1]
        assert (r_squared[1:] > 0.01).all()  # every member found it


class TestPureNoise:
    @pytest.mark.parametrize("horizon", HORIZONS)
    def test_shows_no_skill(self, noise, horizon):
        row = noise[0].judged(noise[1], horizon)
        assert abs(row["rank_correlation"]) < 0.2  # the longest has eight outcomes
        assert row["verdict"] != "skill"

    def test_leaves_no_ordering_of_funds(self, noise):
        for ensemble, served in zip(noise[1].ensembles, noise[1].served, strict=True):
            slopes = np.array([c.pooled[2] for _, c in served.corrections])
            assert slopes.mean() < 0.35, ensemble.horizon


@pytest.mark.parametrize("cut", CUTS)
def test_what_comes_later_changes_no_bit(planted, cut):
    one, whole = planted
    part = one.until(cut).forecast()
    rows = len(part.features.row)
    assert rows == whole.features.start[cut]
    expected, got = contents(whole, rows, cut), contents(part, rows, cut)
    assert got.keys() == expected.keys()
    different = [name for name in got if got[name] != expected[name]]
    assert not different


def test_a_shuffled_future_changes_no_forecast(planted):
    """Returns and measures after a session are drawn anew: what was forecast up to it stays."""
    one, whole = planted
    cut, rng = 1011, np.random.default_rng(9)
    later = rng.permutation(np.arange(cut, len(one.sessions)))
    order = np.concatenate([np.arange(cut), later])
    shuffled = Market(
        funds={k: v[order] for k, v in one.funds.items()},
        **{k: v[order] for k, v in vars(one).items() if k not in ("funds", "classes", "sessions")},
        classes=one.classes,
        sessions=one.sessions,
    )
    rows = int(whole.features.start[cut])
    assert contents(shuffled.forecast(), rows, cut) == contents(whole, rows, cut)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_workers_changes_no_bit(planted, threads):
    set_workers(threads)
    one = planted[0].until(1011)
    reference = contents(planted[1], int(planted[1].features.start[1011]), 1011)
    assert contents(one.forecast(), int(planted[1].features.start[1011]), 1011) == reference


def test_the_test_can_see_a_look_ahead(planted):
    """A measure that holds tomorrow's return is found by the same comparison."""
    one, whole = planted
    leak = np.vstack([one.total_return[1:], np.full((1, one.total_return.shape[1]), np.nan)])
    leaky = Market(**{**vars(one), "funds": {**one.funds, "signal": leak}})
    cut = 1011
    part = leaky.until(cut)
    part.funds["signal"][-1] = np.nan
    rows = int(whole.features.start[cut])
    assert contents(leaky.forecast(), rows, cut) != contents(part.forecast(), rows, cut)


def test_too_short_a_history_forecasts_nothing():
    forecasts = market(4, 0.1, sessions=200).forecast()
    for served in forecasts.served:
        assert np.isnan(served.corrected).all()
        assert served.corrections == ()


def test_a_market_without_funds_forecasts_nothing():
    one = market(5, 0.1, sessions=400)
    none = Market(**{**vars(one), "eligible": np.zeros_like(one.eligible)})
    assert len(none.forecast().features.row) == 0
