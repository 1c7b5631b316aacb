"""Rolling quantiles and the means beyond them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from etf_pipeline.core.risk.tail_kernels import rolling_tails, tail_reference
from etf_pipeline_tests.core.random_market import assert_causal

LEVELS = (0.05, 0.01)


def observations(seed, sessions=700, funds=5, missing=0.15):
    rng = np.random.default_rng(seed)
    values = 0.01 * rng.standard_t(3, (sessions, funds))
    values[rng.random(values.shape) < missing] = np.nan
    values[:, 1] = np.round(values[:, 1], 2)  # ties, as the returns of a low price
    return values


@pytest.mark.parametrize(("window", "need"), [(250, 100), (100, 100), (400, 120)])
def test_equals_the_reference_in_every_window(window, need):
    values = observations(1)
    quantile, beyond = rolling_tails(values, LEVELS, window=window, min_observations=need)
    for j in range(values.shape[1]):
        for t in range(0, len(values), 7):
            seen = values[: t + 1, j]
            seen = seen[~np.isnan(seen)][-window:]
            for p, level in enumerate(LEVELS):
                expected = tail_reference(seen, level) if len(seen) >= need else (np.nan, np.nan)
                ours = quantile[p, t, j], beyond[p, t, j]
                np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("steps", [1, 7])
def test_trends_that_empty_or_flood_the_tail(direction, steps):
    values = direction * (np.arange(400) // steps).astype(float)[:, None]
    for level in (0.5, 0.05):
        quantile, beyond = rolling_tails(values, (level,), window=100, min_observations=100)
        for t in range(99, 400):
            expected = tail_reference(values[t - 99 : t + 1, 0], level)
            np.testing.assert_allclose([quantile[0, t, 0], beyond[0, t, 0]], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.3, 0.5, 0.9])
def test_the_quantile_is_weibulls(level):
    values = np.random.default_rng(2).normal(size=(150, 1))
    quantile, _ = rolling_tails(values, (level,), window=150, min_observations=150)
    assert quantile[0, -1, 0] == pytest.approx(np.quantile(values[:, 0], level, method="weibull"), rel=1e-13)


def test_hand_computed():
    # n = 99, p = 0.05: h = 5, so the quantile is the fifth smallest of 1..99, and the area below it is
    # 1 (flat) + 1.5 + 2.5 + 3.5 + 4.5 over 5 cells.
    values = np.random.default_rng(3).permutation(np.arange(1.0, 100.0))[:, None]
    quantile, beyond = rolling_tails(values, (0.05,), window=99, min_observations=99)
    assert quantile[0, -1, 0] == 5.0
    assert beyond[0, -1, 0] == pytest.approx(13.0 / 5.0, rel=1e-14)


@pytest.mark.parametrize("level", LEVELS)
def test_the_next_draw_falls_below_with_the_stated_probability(level):
    # 99 observations each and 40,000 windows: the standard error of the rate is that of the coin alone.
    draws = np.random.default_rng(4).standard_t(4, (100, 40_000))
    quantile, _ = rolling_tails(draws[:99], (level,), window=99, min_observations=99)
    rate = (draws[99] < quantile[0, -1]).mean()
    assert abs(rate - level) < 4 * np.sqrt(level * (1 - level) / 40_000)
    # numpy's default position, (n - 1) p, is broken too often.
    linear = (draws[99] < np.quantile(draws[:99], level, axis=0)).mean()
    assert linear > rate


def test_the_mean_beyond_is_close_to_the_expected_shortfall_of_the_distribution():
    draws = np.random.default_rng(5).normal(size=(1000, 400))
    _, beyond = rolling_tails(draws, LEVELS, window=1000, min_observations=1000)
    truth = [-stats.norm.pdf(stats.norm.ppf(p)) / p for p in LEVELS]
    np.testing.assert_allclose(beyond[:, -1].mean(axis=1), truth, rtol=0.01)


def test_a_quantile_is_never_better_than_the_mean_beyond_it():
    quantile, beyond = rolling_tails(observations(6), LEVELS, window=200, min_observations=99)
    known = ~np.isnan(quantile)
    assert (beyond[known] <= quantile[known]).all()
    assert (quantile[1][known[1]] <= quantile[0][known[1]]).all()


def test_scaling_scales_and_shifting_shifts():
    values = observations(7)
    quantile, beyond = rolling_tails(values, LEVELS, window=200, min_observations=99)
    scaled = rolling_tails(4.0 * values, LEVELS, window=200, min_observations=99)
    np.testing.assert_array_equal(scaled, (4.0 * quantile, 4.0 * beyond))
    shifted = rolling_tails(values + 0.01, LEVELS, window=200, min_observations=99)
    np.testing.assert_allclose(shifted, (quantile + 0.01, beyond + 0.01), atol=1e-15)


def test_a_giant_observation_leaves_no_trace_when_it_leaves():
    values = observations(8, missing=0.0)
    struck = values.copy()
    struck[300] = -1e12
    clean, _ = rolling_tails(values, LEVELS, window=200, min_observations=99)
    hit, _ = rolling_tails(struck, LEVELS, window=200, min_observations=99)
    assert (hit[1, 300:500] < clean[1, 300:500]).all()
    assert hit[:, 500:].tobytes() == clean[:, 500:].tobytes()
    assert hit[:, :300].tobytes() == clean[:, :300].tobytes()


def test_missing_sessions_repeat_the_estimate_and_take_no_place():
    values = observations(9, missing=0.0)
    spaced = np.full((2 * len(values), values.shape[1]), np.nan)
    spaced[::2] = values
    dense, _ = rolling_tails(values, LEVELS, window=150, min_observations=100)
    sparse, _ = rolling_tails(spaced, LEVELS, window=150, min_observations=100)
    np.testing.assert_array_equal(sparse[:, ::2], dense)
    np.testing.assert_array_equal(sparse[:, 1::2], dense)


def test_constant_and_empty_series():
    values = np.column_stack([np.zeros(300), np.full(300, np.nan)])
    quantile, beyond = rolling_tails(values, LEVELS, window=200, min_observations=100)
    assert (quantile[:, 99:, 0] == 0).all()
    assert (beyond[:, 99:, 0] == 0).all()
    assert np.isnan(quantile[:, :99]).all()
    assert np.isnan(quantile[..., 1]).all()
    assert rolling_tails(np.zeros((0, 3)), LEVELS, window=200, min_observations=100)[0].shape == (2, 0, 3)


def test_cutting_and_adding_funds_change_nothing():
    values = observations(10)

    def stage(panel):
        quantile, beyond = rolling_tails(panel, LEVELS, window=200, min_observations=99)
        return {"quantile": quantile[1], "beyond": beyond[1]}

    assert_causal(stage, (values,), (1, 120, 333, 699))
    alone = stage(values[:, 2:3])["beyond"][:, 0]
    assert alone.tobytes() == stage(values)["beyond"][:, 2].tobytes()


@pytest.mark.parametrize(
    ("level", "window", "need", "message"),
    [(0.05, 100, 101, "min_observations 101"), (0.01, 200, 98, "need more than 98"), (1.0, 200, 99, "1.0")],
)
def test_impossible_requests(level, window, need, message):
    with pytest.raises(ValueError, match=message):
        rolling_tails(np.zeros((5, 1)), (level,), window=window, min_observations=need)
