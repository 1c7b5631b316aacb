"""Figures of an account by year."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.backtest import ITEMS, Account
from etf_pipeline.core.validation.performance import annual_return, maximum_drawdown, performance

DAYS = np.arange(np.datetime64("2020-07-01"), np.datetime64("2023-03-01"))
DAYS = DAYS[np.is_busday(DAYS)]


def account_of(net: np.ndarray, first: int = 0, cost: float = 0.0) -> Account:
    daily = np.zeros((len(net), len(ITEMS)))
    value = 100.0 * np.cumprod(1.0 + net)
    daily[:, ITEMS.index("end")] = value
    daily[:, ITEMS.index("start")] = np.concatenate([[100.0], value[:-1]])
    start = daily[:, ITEMS.index("start")]
    daily[:, ITEMS.index("spread_cost")] = cost * start
    daily[:, ITEMS.index("traded")] = 0.02 * start
    daily[:, ITEMS.index("price_gain")] = value - start + cost * start
    return Account(first, daily)


def figures(
    net: np.ndarray, first: int = 0, days: np.ndarray = DAYS, **more: object
) -> dict[str, np.ndarray]:
    benchmark = more.pop("benchmark", np.zeros(len(days)))
    return performance(account_of(net, first, **more), days, benchmark, np.zeros(len(days)))  # type: ignore[arg-type]


def test_years_and_to_date_of_a_constant_return() -> None:
    rate = 0.0004
    found = figures(np.full(len(DAYS), rate))
    assert found["year"].tolist() == [2020, 2020, 2021, 2021, 2022, 2022]
    assert found["scope"].tolist() == ["year", "to_date"] * 3
    np.testing.assert_allclose(found["annual_return"], (1 + rate) ** 252 - 1)
    np.testing.assert_allclose(found["maximum_drawdown"], 0.0)
    # No deviation: no ratio, rather than an infinite one.
    assert np.isnan(found["sharpe"]).all()
    assert (found["positive_months"] == 1.0).all()


def test_figures_by_hand() -> None:
    rng = np.random.default_rng(0)
    net = 0.01 * rng.standard_normal(len(DAYS))
    other = 0.01 * rng.standard_normal(len(DAYS))
    found = figures(net, benchmark=other, cost=0.0001)
    at = int(np.flatnonzero((found["year"] == 2021) & (found["scope"] == "year"))[0])
    in_year = DAYS.astype("datetime64[Y]") == np.datetime64("2021")
    own, base = net[in_year], other[in_year]
    assert found["sessions"][at] == in_year.sum()
    assert found["sharpe"][at] == pytest.approx(own.mean() / own.std(ddof=1) * 252**0.5)
    assert found["beta"][at] == pytest.approx(np.cov(own, base)[0, 1] / base.var(ddof=1))
    assert found["information_ratio"][at] == pytest.approx(
        (own - base).mean() / (own - base).std(ddof=1) * 252**0.5
    )
    assert found["spread_cost_annual"][at] == pytest.approx(0.0252)
    assert found["traded_annual"][at] == pytest.approx(2.52)
    assert found["gross_annual_return"][at] == pytest.approx(annual_return(own + 0.0001))
    path = np.cumprod(1 + own)
    assert found["maximum_drawdown"][at] == pytest.approx(
        min(path[i] / max(1.0, path[: i + 1].max()) - 1 for i in range(len(path)))
    )


def test_later_sessions_change_no_row() -> None:
    net = 0.01 * np.random.default_rng(1).standard_normal(len(DAYS))
    whole, part = figures(net[50:], 50), figures(net[50:450], 50, DAYS[:450])
    for name, values in part.items():
        np.testing.assert_array_equal(values, whole[name][: len(values)], err_msg=name)
    assert len(part["year"]) < len(whole["year"])


def test_a_short_first_year_is_not_annualised() -> None:
    found = figures(np.full(len(DAYS) - 120, 0.001), 120)
    assert found["sessions"][0] < 60
    assert np.isnan(found["annual_return"][0])
    assert np.isfinite(found["worst_session"][0])


def test_drawdown_counts_from_the_beginning() -> None:
    assert maximum_drawdown(np.array([-0.1, 0.05])) == pytest.approx(-0.1)
    assert np.isnan(maximum_drawdown(np.array([])))
