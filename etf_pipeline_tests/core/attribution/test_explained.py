"""A model beside its funds: spans, currency, what is alive, and how the factors move together."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.alignment import AlignedFactors
from etf_pipeline.core.attribution.explained import FRESH_SESSIONS, explained, over_spans
from etf_pipeline.core.attribution.factor_models import FactorModel

SESSIONS = 700
MODEL = FactorModel(
    "two", "house", "daily", ("house",), ("market", "volatility"), "local", {"asx": 0, "us": 0}, {"asx": 5, "us": 1}, "x"
)  # fmt: skip


def single_sessions(value, risk_free=1e-4, longest=5):
    """AlignedFactors of moves of one session (S, K) and a constant rate."""
    nothing = np.full(len(value), np.datetime64("NaT", "D"))
    rate = np.full((len(value), 1), risk_free)
    rate[0] = np.nan
    return AlignedFactors(
        over_spans(value, longest, np.array([True, False])),
        over_spans(rate, longest, np.array([True]))[..., 0],
        nothing,
        nothing,
        np.ones(len(value), dtype=np.int32),
        MODEL.factors,
    )


def made(value, total_return, spanned, *, return_sessions=1, exchange_rate=None, funds=None):
    single = single_sessions(value)
    return explained(
        MODEL,
        np.arange(total_return.shape[1]) if funds is None else funds,
        total_return,
        spanned,
        single.value[None],
        np.zeros(len(value), dtype=np.int64),
        np.full(len(value), np.datetime64("NaT", "us")),
        single,
        return_sessions=return_sessions,
        exchange_rate=exchange_rate,
    )


def world(seed=0):
    rng = np.random.default_rng(seed)
    value = rng.normal(0, 0.01, (SESSIONS, 2))
    value[0] = np.nan
    returns = (
        np.nan_to_num(value) @ np.array([[1.0, 0.3], [0.2, -0.4]])
        + rng.normal(0, 0.002, (SESSIONS, 2))
        + 1e-4
    )
    return value, returns, np.ones(returns.shape, dtype=np.int64)


def test_spans_compound_or_add_up():
    value = np.array([[np.nan, np.nan], [0.1, 0.1], [0.2, 0.2], [np.nan, 0.3], [0.1, 0.1]])
    out = over_spans(value, 3, np.array([True, False]))
    np.testing.assert_array_equal(out[0], value)
    assert out[1, 2, 0] == pytest.approx(1.1 * 1.2 - 1)
    assert out[1, 2, 1] == pytest.approx(0.3)
    assert out[2, 4, 1] == pytest.approx(0.6)
    assert np.isnan(out[2, 4, 0])  # a session between is unknown
    assert np.isnan(out[1, 1]).all()
    assert np.isnan(out[2, 1]).all()  # the span begins before the first session


def test_loadings_are_found_whatever_the_returns_span():
    value, returns, spanned = world()
    for length in (1, 5):
        one = made(value, returns, spanned, return_sessions=length)
        fit = one.rolling(252, 126)
        np.testing.assert_allclose(fit.loading[-1], [[1.0, 0.2], [0.3, -0.4]], atol=0.06)
        # A constant of 1e-4 less the rate of 1e-4 is none, per session or per week.
        assert np.abs(fit.alpha[-1] / length).max() < 3e-4
        # Independent residuals: a week's variance is that of five sessions.
        np.testing.assert_allclose(fit.residual_variance[-1] / length, 0.002**2, rtol=0.5)


def test_only_the_funds_named_and_in_the_factors_currency():
    value, returns, spanned = world()
    rate = 0.7 * np.cumprod(1 + np.random.default_rng(2).normal(0, 0.005, SESSIONS))
    one = made(value, returns, spanned, exchange_rate=rate, funds=np.array([1]))
    assert one.converted
    assert one.excess.shape == (SESSIONS, 1)
    t = 50
    assert one.single_excess[t, 0] == pytest.approx(
        (1 + returns[t, 1]) * rate[t] / rate[t - 1] - 1 - 1e-4, rel=1e-12
    )
    assert not made(value, returns, spanned).converted


def test_a_model_ends_shortly_after_its_last_factor():
    value, returns, spanned = world()
    value[400:, 0] = np.nan
    value[500:, 1] = np.nan
    one = made(value, returns, spanned)
    assert not one.available[200].any()
    begin = int(np.argmax(one.alive))
    assert begin == int(np.argmax(one.available.any(axis=1)))
    assert np.flatnonzero(one.alive).tolist() == list(range(begin, 500 + FRESH_SESSIONS))
    gap = value.copy()
    gap[460:463] = np.nan
    assert made(gap, returns, spanned).alive[begin : 500 + FRESH_SESSIONS].all()


def test_the_covariance_is_that_of_the_regressions_span():
    """A factor whose move comes half on the next session: a week sees its whole variance, a day only a part."""
    rng = np.random.default_rng(5)
    news = rng.normal(0, 0.01, SESSIONS)
    late = 0.5 * (news + np.r_[0.0, news[:-1]])
    value = np.column_stack([news, late])
    value[0] = np.nan
    _, returns, spanned = world()
    known, week = made(value, returns, spanned, return_sessions=5).covariance(SESSIONS - 1)
    _, day = made(value, returns, spanned).covariance(SESSIONS - 1)
    assert known.tolist() == [0, 1]
    correlation = [c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in (day, week)]
    assert correlation[0] == pytest.approx(0.71, abs=0.06)
    assert correlation[1] > 0.9
    assert week[0, 0] == pytest.approx(1e-4, rel=0.25)  # a session, not a week
    assert week[1, 1] == pytest.approx(0.9e-4, rel=0.25)


def test_a_factor_that_ended_is_no_part_of_the_covariance():
    value, returns, spanned = world()
    value[500:, 1] = np.nan
    one = made(value, returns, spanned)
    assert one.covariance(499)[1].shape == (2, 2)
    known, covariance = one.covariance(SESSIONS - 1)
    assert known.tolist() == [0]
    assert covariance.shape == (1, 1)
    one.vintage[SESSIONS - 1] = -1
    assert np.isnan(one.covariance(SESSIONS - 1)[1]).all()
