"""What holds for every estimator of beta: no look ahead, no influence of other funds, degenerate prices."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core import parallel
from etf_pipeline.core.risk.beta import downside_beta, ewma_beta, hac_standard_error, rolling_beta
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.beta_fixtures import consecutive, inputs, own_benchmarks


def rolling(*panels, **options):
    return vars(rolling_beta(*panels, **{"window": 100, "min_observations": 30, **options}))


def hac(*panels, **options):
    return {"error": hac_standard_error(*panels, **{"window": 100, "min_observations": 30, **options})}


def ewma(*panels, **options):
    return vars(ewma_beta(*panels, **{"half_life": 20.0, "min_observations": 30, **options}))


def static(*panels, **options):
    return vars(ewma_beta(*panels, **{"half_life": np.inf, "min_observations": 30, **options}))


def downside(*panels, **options):
    return vars(downside_beta(*panels, **{"window": 100, "min_observations": 20, **options}))


ESTIMATORS = [rolling, hac, ewma, static, downside]


@pytest.mark.parametrize("stage", ESTIMATORS)
@pytest.mark.parametrize("make", [inputs, own_benchmarks])
def test_no_estimator_looks_ahead(stage, make):
    assert_causal(stage, make(1), (1, 31, 99, 100, 101, 200, 300, 419))


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_fund_has_the_same_bits_alone_among_others_and_with_more_workers(stage):
    panels = y, spanned, x, x_spanned = inputs(2)
    whole = stage(*panels)
    some = stage(np.ascontiguousarray(y[:, 3:6]), np.ascontiguousarray(spanned[:, 3:6]), x, x_spanned)
    parallel.set_workers(5)
    try:
        spread = stage(*panels)
    finally:
        parallel.set_workers(0)
    for name, values in whole.items():
        np.testing.assert_array_equal(some[name], values[:, 3:6])
        np.testing.assert_array_equal(spread[name], values)


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_panel_of_one_benchmark_is_that_benchmark(stage):
    y, spanned, x, x_spanned = inputs(3)
    one = stage(y, spanned, x, x_spanned)
    each = stage(
        y,
        spanned,
        np.repeat(x[:, None], y.shape[1], axis=1),
        np.repeat(x_spanned[:, None], y.shape[1], axis=1),
    )
    for name, values in one.items():
        np.testing.assert_array_equal(each[name], values)


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_each_fund_meets_its_own_benchmark(stage):
    y, spanned, x, x_spanned = own_benchmarks(4)
    whole = stage(y, spanned, x, x_spanned)
    for j in (0, 5, 11):
        alone = stage(y[:, [j]], spanned[:, [j]], x[:, j], x_spanned[:, j])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[:, 0], whole[name][:, j])


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_a_benchmark_of_another_shape_is_refused(stage):
    y, spanned, x, x_spanned = inputs(3)
    with pytest.raises(ValueError, match="benchmark_return"):
        stage(y, spanned, x[:-1], x_spanned[:-1])
    with pytest.raises(ValueError, match="benchmark_return"):
        stage(y, spanned, y[:, :3], spanned[:, :3])
    with pytest.raises(ValueError, match="benchmark_spanned"):
        stage(y, spanned, x, x_spanned[:-1])


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_flat_and_empty_panels(stage):
    x = np.random.default_rng(8).normal(0, 0.01, 150)
    still = stage(np.zeros((150, 2)), np.ones((150, 2), int), x, consecutive(x))
    assert (next(iter(still.values()))[-1] == 0).all()
    unmoved = stage(x[:, None], np.ones((150, 1), int), np.full(150, 1 / 3), consecutive(x))
    assert np.isnan(next(iter(unmoved.values()))).all()
    unknown = stage(np.full((150, 1), np.nan), np.zeros((150, 1), int), x, consecutive(x))
    assert np.isnan(next(iter(unknown.values()))).all()
    empty = stage(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0), np.zeros(0, int))
    assert next(iter(empty.values())).shape == (0, 3)
    assert next(
        iter(stage(np.zeros((5, 0)), np.zeros((5, 0), int), x[:5], consecutive(x[:5])).values())
    ).shape == (5, 0)


@pytest.mark.parametrize("stage", [rolling, hac, downside])
def test_a_huge_return_leaves_no_trace_in_any_window(stage):
    rng = np.random.default_rng(7)
    x = rng.normal(0, 0.01, 400)
    y = (0.8 * x + rng.normal(0, 0.002, 400))[:, None]
    clean = stage(y, consecutive(y), x, consecutive(x))
    at = 140 + np.argmin(x[140:160])  # a falling session, which all of them look at
    y[at, 0] = 1e9
    dirty = stage(y, consecutive(y), x, consecutive(x))
    for name, values in clean.items():
        np.testing.assert_allclose(dirty[name][at + 100 :], values[at + 100 :], rtol=1e-12)
    first = next(iter(clean))
    assert abs(dirty[first][at + 99, 0] / clean[first][at + 99, 0]) > 1e3
