"""Listing: planted incubation and back-filled history are recovered."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.information_coefficient import fund_groups
from etf_pipeline.core.validation.listing_bias import ListingBias, listing_bias
from etf_pipeline_tests.core.validation.plain_market import weekdays

SESSIONS, FUNDS = 2000, 60
DAYS = weekdays(SESSIONS)


def young_market(seed: int, incubation: float, filled: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns of funds that begin throughout and are listed 300 sessions later; both biases are daily drifts."""
    rng = np.random.default_rng(seed)
    begin = np.where(np.arange(FUNDS) < 20, 0, rng.integers(100, SESSIONS - 500, FUNDS))
    row = np.arange(SESSIONS)[:, None]
    returns = 0.008 * rng.standard_normal((SESSIONS, 1)) + 0.006 * rng.standard_normal((SESSIONS, FUNDS))
    returns += np.where((row >= begin) & (row < begin + 252) & (begin > 0), incubation, 0.0)
    returns += np.where((row >= begin) & (row < begin + 300), filled, 0.0)
    listed = DAYS[begin + 300]
    listed[::7] = np.datetime64("NaT")
    return np.where(row >= begin, returns, np.nan), listed


def run(returns: np.ndarray, listed: np.ndarray, days: np.ndarray = DAYS, **more: object) -> ListingBias:
    groups = fund_groups(np.arange(FUNDS) % 2, np.array(["one", "other"]))
    return listing_bias(returns, days, listed, groups, **{"replications": 200, **more})


def test_incubation_is_recovered() -> None:
    """10 % a year in the first year of 40 funds: the mean of six markets within 2 points of it (two errors)."""
    drift = 0.10 / 252
    found = [
        run(*young_market(seed, drift, 0.0), replications=2).difference[-1, 1, 0, 0, 0] for seed in range(6)
    ]
    none = [
        run(*young_market(seed, 0.0, 0.0), replications=2).difference[-1, 1, 0, 0, 0] for seed in range(6)
    ]
    assert np.mean(found) - np.mean(none) == pytest.approx(0.10, abs=0.015)
    assert np.mean(found) == pytest.approx(0.10, abs=0.03)


def test_back_filled_history_is_told_by_the_day_of_listing() -> None:
    """25 % a year before listing; the interval of one market lies above zero, without drift it holds it."""
    found = run(*young_market(1, 0.0, 0.25 / 252))
    assert found.lower[-1, 1, 0, 1, 0] > 0
    assert found.difference[-1, 1, 0, 1, 0] == pytest.approx(0.25, abs=0.12)
    none = run(*young_market(1, 0.0, 0.0))
    assert none.lower[-1, 1, 0, 1, 0] < 0 < none.upper[-1, 1, 0, 1, 0]


def test_portfolios_by_hand() -> None:
    """Plain loops over one year."""
    returns, listed = young_market(2, 0.0, 0.0)
    found = run(returns, listed)
    p = 3
    rows = np.flatnonzero(DAYS.astype("datetime64[Y]").astype(int) + 1970 == found.year[p])
    for b in range(2):
        apart = []
        for t in rows:
            early, late = [], []
            for i in range(1, FUNDS, 2):  # group 2, "other"
                if np.isnan(returns[t, i]):
                    continue
                age = np.isfinite(returns[: t + 1, i]).sum()
                if b == 0:
                    if age > 252:
                        late.append(returns[t, i])
                    elif np.isnan(returns[0, i]):
                        early.append(returns[t, i])
                elif not np.isnat(listed[i]):
                    (early if DAYS[t] < listed[i] else late).append(returns[t, i])
            if min(len(early), len(late)) >= 3:
                apart.append((np.mean(early), np.mean(late)))
        assert found.sessions[p, 0, 2, b] == len(apart)
        growth = np.prod(1 + np.array(apart), axis=0) ** (252 / len(apart)) - 1
        np.testing.assert_allclose(found.value[p, 0, 2, b, :, 0], growth)


def test_more_history_changes_no_year_that_is_over() -> None:
    returns, listed = young_market(3, 0.0, 0.0)
    whole, part = run(returns, listed), run(returns[:1200], listed, DAYS[:1200])
    for name in ("funds", "sessions", "value", "difference", "lower", "upper"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: len(part.year)])


def test_funds_of_unknown_youth_or_listing_are_left_out() -> None:
    returns, listed = young_market(4, 0.0, 0.0)
    listed[:] = np.datetime64("NaT")
    found = run(returns, listed)
    assert np.isnan(found.difference[..., 1, :]).all()
    assert (found.funds[..., 1, :] == 0).all()
    assert found.funds[-1, 1, 0, 0].tolist() == [40, 60]
    with pytest.raises(ValueError, match="as the groups"):
        run(returns[:, 1:], listed)
