"""Bias and slope of past forecasts: found where they are, not where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.signals.forecast.correction import (
    LEVEL,
    SELECTION,
    Moments,
    believed_share,
    clustered_regression,
    shrink_to_zero,
)


def moments_of(outcome, timing, selection, classes, days, funds):
    day = np.repeat(np.arange(days), funds)
    flat = tuple(np.ravel(a) for a in (timing, selection, outcome))
    shape = (days, int(classes.max()) + 1, 1)
    return Moments(
        day,
        np.tile(classes, days),
        np.zeros(days * funds, dtype=np.int64),
        shape,
        flat,
        np.ones(days * funds),
        1,
    )


def drawn(seed, days=300, funds=30, slope=0.6, level=0.3, noise=1.0):
    rng = np.random.default_rng(seed)
    timing = np.repeat(rng.normal(0, 0.2, (days, 1)), funds, axis=1)
    selection = rng.normal(0, 0.3, (days, funds))
    common = 0.2 * rng.normal(size=(days, 1))
    outcome = level + slope * selection + common + noise * rng.normal(size=(days, funds))
    classes = np.arange(funds) % 3
    return outcome, timing, selection, classes, days, funds


def test_bias_and_slope_are_found():
    correction = moments_of(*drawn(0)).fit(300)
    assert correction.pooled[LEVEL] == pytest.approx(0.3, abs=0.05)
    assert correction.pooled[SELECTION] == pytest.approx(0.6, abs=0.07)
    assert correction.believed[SELECTION] > 0.9
    assert np.abs(correction.by_class).max() < 0.1


def test_a_level_needs_twice_its_error_and_a_slope_once():
    estimate, variance = np.array([0.3, 0.3, 0.3]), np.array([0.04, 0.04, np.inf])  # t = 1.5, 1.5, none
    np.testing.assert_allclose(believed_share(estimate, variance), [0.0, 1.0 - 1.0 / 2.25, 0.0])
    np.testing.assert_allclose(believed_share(2.0 * estimate, variance)[0], 1.0 - 4.0 / 9.0)


def test_noise_is_rarely_believed():
    slopes = np.array(
        [moments_of(*drawn(s, days=120, slope=0.0, level=0.0)).fit(120).pooled for s in range(40)]
    )
    assert (slopes[:, SELECTION] == 0).mean() > 0.6
    assert slopes[:, SELECTION].mean() < 0.03
    assert np.abs(slopes[:, LEVEL]).mean() < 0.03


def test_a_slope_is_never_above_one_nor_below_zero():
    for slope, kept in ((3.0, 1.0), (-2.0, 0.0)):
        outcome, timing, selection, classes, days, funds = drawn(1, slope=slope)
        correction = moments_of(outcome, timing, selection, classes, days, funds).fit(days)
        assert correction.pooled[SELECTION] == kept
        zero = np.zeros(3)
        applied = correction.apply(zero, np.array([0.0, 1.0, -1.0]), np.zeros(3, int), np.zeros(3, int))
        assert applied[1] - applied[0] == pytest.approx(kept, abs=0.2)
        assert applied[1] - applied[0] <= 1.0


def test_a_class_that_differs_is_set_apart_and_the_others_are_not():
    outcome, timing, selection, classes, days, funds = drawn(2, level=0.0)
    outcome[:, classes == 2] += 1.0
    correction = moments_of(outcome, timing, selection, classes, days, funds).fit(days)
    level = correction.pooled[LEVEL] + correction.by_class[:, 0]
    np.testing.assert_allclose(level, [0.0, 0.0, 1.0], atol=0.07)


def test_too_few_outcomes_correct_nothing():
    correction = moments_of(*drawn(3)).fit(11)
    assert not correction.pooled.any()
    assert not correction.by_class.any()


def test_errors_are_those_of_a_regression_clustered_by_session():
    rng = np.random.default_rng(5)
    days, funds = 40, 12
    x = np.stack([np.ones((days, funds)), rng.normal(size=(days, funds))], axis=2)
    y = x @ np.array([0.2, 0.5]) + rng.normal(size=(days, 1)) + rng.normal(size=(days, funds))
    z = np.concatenate([x, y[:, :, None]], axis=2)
    estimate, variance = clustered_regression(np.einsum("dfi,dfj->dij", z, z), np.array([0, 1]))
    flat, target = x.reshape(-1, 2), y.ravel()
    inverse = np.linalg.inv(flat.T @ flat)
    beta = inverse @ flat.T @ target
    score = np.einsum("dfi,df->di", x, y - x @ beta)
    np.testing.assert_allclose(estimate, beta)
    np.testing.assert_allclose(variance, np.diag(inverse @ score.T @ score @ inverse) * days / (days - 2))


def test_groups_that_differ_by_chance_are_not_told_apart():
    rng = np.random.default_rng(6)
    variance = rng.uniform(0.5, 2, 400)
    estimate = rng.normal(0, np.sqrt(variance))
    assert np.abs(shrink_to_zero(estimate, variance)).mean() < 0.15 * np.abs(estimate).mean()
    truth = rng.normal(0, 3, 400)
    shrunk = shrink_to_zero(truth + estimate, variance)
    assert ((shrunk - truth) ** 2).mean() < (estimate**2).mean()


def test_a_class_without_rows_changes_no_bit():
    outcome, timing, selection, classes, days, funds = drawn(7, days=80)
    one = moments_of(outcome, timing, selection, classes, days, funds).fit(days)
    two = moments_of(outcome, timing, selection, np.where(classes == 2, 5, classes), days, funds).fit(days)
    assert one.pooled.tobytes() == two.pooled.tobytes()
    assert one.by_class.tobytes() == two.by_class[[0, 1, 5]].tobytes()
