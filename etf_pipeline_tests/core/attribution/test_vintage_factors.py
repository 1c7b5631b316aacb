"""Each session is read from the vintage in which its factors first were known; later ones move nothing."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.rolling_exposure import rolling_exposure
from etf_pipeline.core.attribution.vintage_factors import (
    MAX_AGE_DAYS,
    distinct_vintages,
    last_factor_day,
    vintage_factors,
)

NAMES = ("market_excess", "size")
DAYS = np.busday_offset("2020-01-01", np.arange(500), roll="forward")
CUT = 260
"""Days known in the first vintage; the second restates them and goes on to the end."""


def two_vintages():
    """(2, D, K) values, (2, D) rates, (D,) which first knew the day."""
    rng = np.random.default_rng(0)
    newest = rng.normal(0, 0.01, (len(DAYS), 2))
    first = newest + rng.normal(0, 0.002, newest.shape)
    first[CUT:] = np.nan
    rate = np.full((2, len(DAYS)), 1e-4)
    rate[0, CUT:] = np.nan
    known = np.where(np.arange(len(DAYS)) < CUT, 0, 1)
    return np.array([first, newest]), rate, known


def found(values, rate, known, **more):
    return vintage_factors(
        DAYS, DAYS, values, rate, known, NAMES, **({"lag_days": 0, "longest_span": 2} | more)
    )


def test_a_session_is_read_from_the_vintage_of_its_day():
    values, rate, known = two_vintages()
    f = found(values, rate, known)
    assert (f.vintage[:CUT] == 0).all()
    assert (f.vintage[CUT:] == 1).all()
    np.testing.assert_array_equal(f.value[0, 0, 1:CUT], values[0, 1:CUT])
    assert np.isnan(f.value[0, 0, CUT:]).all()
    np.testing.assert_array_equal(f.value[1, 0, 1:], values[1, 1:])
    # As it first was known: the first vintage's days as that had them.
    np.testing.assert_array_equal(f.first_known.value[0, 1:CUT], values[0, 1:CUT])
    np.testing.assert_array_equal(f.first_known.value[0, CUT:], values[1, CUT:])
    # With a lag of a day the session after the cut still sees a day of the first vintage.
    assert found(values, rate, known, lag_days=1).vintage[CUT] == 0


def test_exposures_before_a_later_vintage_are_those_of_the_earlier_alone():
    values, rate, known = two_vintages()
    rng = np.random.default_rng(1)
    y = values[1] @ np.array([[1.0, 0.2], [0.3, -0.5]]) + rng.normal(0, 0.003, (len(DAYS), 2))
    spanned = np.ones(y.shape, dtype=np.int64)

    def loading(f):
        return rolling_exposure(
            y, spanned, f.value, vintage=f.vintage, window=126, min_observations=60
        ).loading

    both = loading(found(values, rate, known))
    alone = loading(found(values[:1], rate[:1], np.where(known == 0, 0, -1)))
    np.testing.assert_array_equal(both[:CUT], alone[:CUT])
    assert np.isnan(alone[CUT + MAX_AGE_DAYS :]).all()
    # A window that ends after it is read from the newer one throughout.
    newest = loading(found(values[1:], rate[1:], np.zeros(len(DAYS), dtype=np.int64)))
    np.testing.assert_array_equal(both[CUT:], newest[CUT:])
    assert (both[125:CUT] != newest[125:CUT]).any()


def test_a_day_that_was_never_known_as_a_whole_serves_nothing():
    values, rate, known = two_vintages()
    known[-3:] = -1
    f = found(values, rate, known)
    assert (f.vintage[-3:] == -1).all()
    assert np.isnan(f.first_known.value[0, -3:]).all()
    none = found(values[:0], rate[:0], np.full(len(DAYS), -1))
    assert (none.vintage == -1).all()
    assert np.isnan(none.first_known.value).all()
    assert np.isnan(none.first_known.risk_free).all()
    assert none.value.shape == (0, 2, len(DAYS), 2)


def test_old_days_say_nothing_of_a_session():
    at = np.array(["2021-11-30", "2021-12-01", "2021-12-06", "2021-12-08"], dtype="datetime64[D]")
    last = np.datetime64("2021-11-29")
    assert last_factor_day(at, np.array([last]), 0).tolist() == [0, 0, 0, -1]
    assert last_factor_day(at, np.array([last]), 1).tolist() == [0, 0, 0, -1]
    assert last_factor_day(np.array([last]), np.array([last]), 1).tolist() == [-1]


def grown(restate_at=None, days=12):
    """A library that tells a day more each evening, and once restates an old one."""
    rng = np.random.default_rng(3)
    value = rng.normal(size=(days, 3))
    for v in range(1, days + 1):
        if v == restate_at:
            value = value.copy()
            value[2] += 1.0
        table = np.full(value.shape, np.nan)
        table[:v] = value[:v]
        yield table


def test_vintages_that_restate_nothing_share_a_table():
    kept, place = distinct_vintages(grown())
    assert len(kept) == 1
    assert (place == 0).all()
    np.testing.assert_array_equal(kept[0], list(grown())[-1])
    kept, place = distinct_vintages(grown(restate_at=7))
    assert len(kept) == 2
    assert place.tolist() == [0] * 6 + [1] * 6
    assert len(distinct_vintages([])[1]) == 0


def test_a_hole_that_is_filled_later_is_a_restatement():
    whole = np.arange(6.0).reshape(3, 2)
    hole = whole.copy()
    hole[1, 0] = np.nan
    assert distinct_vintages([hole, whole])[1].tolist() == [0, 1]


@pytest.mark.parametrize("restate_at", [None, 200])
def test_shared_tables_give_what_a_table_a_vintage_gives(restate_at):
    days = 320
    tables = np.array(list(grown(restate_at, days)))
    first = np.arange(days)
    y, spanned = np.random.default_rng(4).normal(size=(days, 2)), np.ones((days, 2), dtype=np.int64)
    kept, place = distinct_vintages(tables)
    assert len(kept) == (1 if restate_at is None else 2)
    results = []
    for values, known in ((tables, first), (kept, place[first])):
        f = vintage_factors(
            DAYS[:days],
            DAYS[:days],
            values[..., :2],
            values[..., 2],
            known,
            NAMES,
            lag_days=0,
            longest_span=1,
        )
        fit = rolling_exposure(y, spanned, f.value, vintage=f.vintage, window=60, min_observations=30)
        results.append((fit.loading, fit.standard_error, f.first_known.value))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
