"""Month's end to month's end."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.monthly_returns import monthly_returns

ENDS = np.array([20, 41, 62, 83])


def market(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    price = 10 * np.cumprod(1 + 0.01 * rng.standard_normal((90, 3)), axis=0)
    there = rng.random((90, 3)) > 0.2
    there[:30, 2] = False
    returns, spanned = np.full((90, 3), np.nan), np.zeros((90, 3), dtype=np.int64)
    for j in range(3):
        rows = np.flatnonzero(there[:, j])
        spanned[rows[1:], j] = np.diff(rows)
        returns[rows[1:], j] = price[rows[1:], j] / price[rows[:-1], j] - 1
    return returns, spanned


def test_it_is_the_ratio_of_the_last_prices() -> None:
    returns, spanned = market()
    found = monthly_returns(returns, spanned, ENDS, max_stale_sessions=90)
    assert np.isnan(found[0]).all()
    index = np.cumprod(1 + np.nan_to_num(returns), axis=0)
    for m in (2, 3):
        np.testing.assert_allclose(found[m], index[ENDS[m]] / index[ENDS[m - 1]] - 1, rtol=1e-12)
    assert np.isnan(found[1, 2])  # it had no bar at the end of the first month
    assert np.isfinite(found[1, :2]).all()


def test_a_fund_that_has_not_traded_lately_has_no_month() -> None:
    returns, spanned = market()
    spanned[56:63, 0] = 0
    returns[56:63, 0] = np.nan
    found = monthly_returns(returns, spanned, ENDS)
    assert np.isnan(found[2:, 0]).all()
    assert np.isfinite(found[2, 1])


def test_an_unknown_return_inside_leaves_the_month_out() -> None:
    returns, spanned = market()
    inside = 42 + int(np.flatnonzero(spanned[42:60, 1] > 0)[0])
    returns[inside, 1] = np.nan
    found = monthly_returns(returns, spanned, ENDS, max_stale_sessions=90)
    assert np.isnan(found[2, 1])
    assert np.isfinite(found[3, 1])


def test_later_rows_and_other_funds_change_nothing() -> None:
    returns, spanned = market()
    whole = monthly_returns(returns, spanned, ENDS)
    cut = monthly_returns(returns[:63, :2], spanned[:63, :2], ENDS[:3])
    np.testing.assert_array_equal(cut, whole[:3, :2])


def test_what_does_not_fit_is_refused() -> None:
    returns, spanned = market()
    with pytest.raises(ValueError, match="must match"):
        monthly_returns(returns, spanned[:-1], ENDS)
    with pytest.raises(ValueError, match="ascend"):
        monthly_returns(returns, spanned, ENDS[::-1])
    with pytest.raises(ValueError, match="ascend"):
        monthly_returns(returns, spanned, np.array([5, 95]))
