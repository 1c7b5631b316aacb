"""Style factors of the simulated market: those that move its funds, those that do not, and what is revised."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import pytest

from etf_pipeline.core.market.simulation import (
    STYLES,
    SimulationConfig,
    StyleReturns,
    daily_styles,
    monthly_styles,
    simulate,
)
from etf_pipeline_tests.core.market.simulation_fixtures import market, weekdays


@lru_cache(maxsize=1)
def daily() -> StyleReturns:
    return daily_styles(market())


def column(name: str) -> np.ndarray:
    return daily().newest[:, STYLES.index(name)]


def test_market_size_and_cash_are_those_of_the_economy() -> None:
    truth, reference = market().truth, market().reference
    for style, factor in (("market_excess", "market"), ("size", "small_size")):
        np.testing.assert_allclose(
            column(style), truth.factor_return[:, truth.factors.index(factor)], rtol=0, atol=5.1e-7
        )
    cash = reference[reference["series"] == "cash_rate"]["value"].to_numpy()
    np.testing.assert_allclose(column("risk_free")[1:], cash[:-1] / 100 / 252, rtol=0, atol=5.1e-7)


def test_no_fund_loads_on_the_other_styles() -> None:
    """Correlations with any fund are those of noise; those with the market are not."""
    truth = market().truth
    names = ["value", "profitability", "investment", "momentum", "market_excess"]
    x = np.column_stack([column(name) for name in names])
    t = []
    for fund in range(len(truth.tickers)):
        known = np.isfinite(truth.total_return[:, fund])
        if known.sum() > 1000:
            found = np.corrcoef(truth.total_return[known, fund], x[known].T)[0, 1:]
            t.append(np.abs(found) * np.sqrt(known.sum()))
    beyond_three = (np.array(t) > 3).mean(axis=0)
    assert len(t) > 40
    assert (beyond_three[:4] < 0.05).all()
    assert beyond_three[4] > 0.5


def test_the_benchmark_is_the_market_and_cash() -> None:
    truth = market().truth
    benchmark = truth.total_return[1:, truth.column("MKT.SIM")]
    assert np.corrcoef(benchmark, column("market_excess")[1:])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "volatility"),
    [("value", 0.06), ("profitability", 0.045), ("investment", 0.04), ("momentum", 0.095)],
)
def test_volatilities_are_those_stated(name: str, volatility: float) -> None:
    assert np.std(column(name)) * np.sqrt(252) == pytest.approx(volatility, rel=0.08)


def test_the_first_publication_differs_here_and_there_and_little() -> None:
    difference = daily().newest - daily().first
    changed = np.abs(difference) > 1e-9
    share = changed.mean(axis=0)
    assert share[STYLES.index("risk_free")] == 0.0
    assert 0.01 < share[STYLES.index("market_excess")] < 0.05
    for name in ("size", "value", "profitability", "investment", "momentum"):
        at = STYLES.index(name)
        assert 0.12 < share[at] < 0.18
        assert np.std(difference[changed[:, at], at]) == pytest.approx(0.0004, rel=0.1)
    assert np.abs(difference).max() < 0.001


def test_a_longer_market_or_more_funds_change_nothing_before() -> None:
    days = weekdays("2016-01-04", "2017-12-29")
    short = daily_styles(simulate(SimulationConfig(days[:300], n_funds=3)))
    longer = daily_styles(simulate(SimulationConfig(days, n_funds=20)))
    np.testing.assert_array_equal(short.newest, longer.newest[:300])
    np.testing.assert_array_equal(short.first, longer.first[:300])
    months = monthly_styles(short)
    np.testing.assert_array_equal(months.newest, monthly_styles(longer).newest[: len(months.sessions)])


def test_months_are_compounded_and_only_complete_ones_told() -> None:
    """Reference: money that is put into the factor at the month's beginning."""
    months = monthly_styles(daily())
    assert str(months.sessions[0]) == "2016-01-31"
    assert str(months.sessions[-1]) == "2026-05-31", "June is not over before a session of July"
    of_month = daily().sessions.astype("datetime64[M]") == np.datetime64("2020-03")
    row = np.flatnonzero(months.sessions == np.datetime64("2020-03-31"))[0]
    wealth, invested, cash = 1.0, 1.0, 1.0
    for value, excess, free in zip(
        column("value")[of_month],
        column("market_excess")[of_month],
        column("risk_free")[of_month],
        strict=True,
    ):
        wealth *= 1 + value
        invested *= 1 + excess + free
        cash *= 1 + free
    found = dict(zip(STYLES, months.newest[row], strict=True))
    assert found["value"] == pytest.approx(wealth - 1, abs=1e-6)
    assert found["market_excess"] == pytest.approx(invested - cash, abs=1e-6)
    assert found["risk_free"] == pytest.approx(cash - 1, abs=1e-6)


def test_a_market_of_one_month_has_no_complete_one() -> None:
    short = daily_styles(simulate(SimulationConfig(weekdays("2016-01-04", "2016-01-20"), n_funds=1)))
    assert monthly_styles(short).newest.shape == (0, len(STYLES))


def test_the_streams_are_the_recorded_ones() -> None:
    """Of the streams that are the styles' own; a changed digest means that everybody's history changed."""
    text = ",".join(f"{v:.6f}" for v in np.concatenate([column("value")[:50], daily().first[:50, 2]]))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "1d2231847ea1a6b1"
