"""Intervals: they hold four outcomes in five, after the world has changed too."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.signals.forecast.interval import BORROWED, MISS, ConformalBands


def walk(errors, classes, memory=24):
    """Share inside, of (months, n) errors: each month's band from the months before."""
    bands = ConformalBands(int(classes.max()) + 1)
    inside = []
    for month in range(memory, len(errors)):
        past = errors[month - memory : month]
        day = np.repeat(np.arange(memory), errors.shape[1])
        edges = bands.quantiles(past.ravel(), np.tile(classes, memory), day)[classes]
        within = (errors[month] >= edges[:, 0]) & (errors[month] <= edges[:, 1])
        bands.adapt(~within)
        inside.append(within)
    return np.array(inside)


def test_holds_eighty_per_cent_of_skewed_errors():
    rng = np.random.default_rng(0)
    errors = rng.exponential(1, (200, 40)) - 1
    assert walk(errors, np.zeros(40, int)).mean() == pytest.approx(1 - MISS, abs=0.015)


def test_recovers_when_errors_double():
    rng = np.random.default_rng(1)
    errors = rng.normal(0, 1, (300, 40)) * np.where(np.arange(300) < 150, 1, 2)[:, None]
    inside = walk(errors, np.zeros(40, int))
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    assert inside[-100:].mean() == pytest.approx(0.8, abs=0.02)


def test_a_class_has_its_own_width_as_its_past_grows():
    rng = np.random.default_rng(2)
    days = 400
    classes = np.tile([0, 1], days)
    error = rng.normal(0, np.where(classes == 0, 1.0, 4.0))
    edges = ConformalBands(3).quantiles(error, classes, np.repeat(np.arange(days), 2))
    assert edges[1, 1] > 2.5 * edges[0, 1]
    pool = np.quantile(error, [0.1, 0.9])
    np.testing.assert_allclose(edges[2], pool)
    own = np.quantile(error[classes == 0], [0.1, 0.9])
    np.testing.assert_allclose(edges[0], (days * own + BORROWED * pool) / (days + BORROWED))


def test_nothing_new_adapts_nothing():
    bands = ConformalBands(1)
    bands.adapt(np.zeros(0, dtype=bool))
    assert bands.nominal == MISS
    bands.adapt(np.ones(10, dtype=bool))
    assert bands.nominal < MISS
