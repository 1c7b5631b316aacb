"""Fits against ``arch`` on its own S&P 500 data, against simulated truth, and on what markets do to data."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arch import arch_model

from etf_pipeline.core import parallel
from etf_pipeline.core.risk.garch import MODELS, PARAMETERS, fit_garch, specification, standard_errors
from etf_pipeline.core.risk.garch.likelihood_reference import log_likelihood_reference

VOLATILITY = {
    "garch": {"vol": "GARCH", "p": 1, "o": 0, "q": 1},
    "gjr": {"vol": "GARCH", "p": 1, "o": 1, "q": 1},
    "egarch": {"vol": "EGARCH", "p": 1, "o": 1, "q": 1},
}
MEAN = {"zero": "Zero", "constant": "Constant", "ar1": "AR"}
ARCH_NAME = {
    "mu": ("mu", "Const"),
    "phi": ("y[1]",),
    "alpha": ("alpha[1]",),
    "gamma": ("gamma[1]",),
    "beta": ("beta[1]",),
}


def with_arch(y: np.ndarray, name: str, mean: str):  # type: ignore[no-untyped-def]
    volatility, distribution = name.split("_")
    model = arch_model(
        y,
        mean=MEAN[mean],
        lags=1 if mean == "ar1" else 0,
        dist=distribution,
        rescale=False,
        **VOLATILITY[volatility],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(disp="off", tol=1e-12, options={"maxiter": 2000})


def named(result) -> dict[str, float]:  # type: ignore[no-untyped-def]
    aliases = {alias: name for name, them in ARCH_NAME.items() for alias in them}
    return {aliases.get(key, key): value for key, value in result.items()}


def simulated(seed: int, length: int, nu: float = 6.0) -> np.ndarray:
    """GJR(1,1)-t returns in percent: omega 0.03, alpha 0.04, gamma 0.08, beta 0.88."""
    rng = np.random.default_rng(seed)
    z = rng.standard_t(nu, length + 500) * np.sqrt((nu - 2) / nu)
    variance, y = 0.03 / (1 - 0.96), np.empty(length + 500)
    for t in range(len(y)):
        y[t] = 0.02 + np.sqrt(variance) * z[t]
        e = y[t] - 0.02
        variance = 0.03 + (0.04 + 0.08 * (e < 0)) * e * e + 0.88 * variance
    return y[500:]


@pytest.fixture(scope="module")
def sp500(market_data: Path) -> np.ndarray:
    """Percent returns of the S&P 500, the data that ``arch`` ships and documents."""
    prices = pd.read_csv(market_data / "numerics" / "arch_sp500.csv.gz", index_col=0)
    return 100 * prices["Adj Close"].astype(float).pct_change().dropna().to_numpy()


@pytest.mark.data
@pytest.mark.parametrize("mean", ["zero", "constant", "ar1"])
@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_likelihood_are_those_of_arch(sp500: np.ndarray, name: str, mean: str) -> None:
    theirs = with_arch(sp500, name, mean)
    ours = fit_garch(sp500[:, None], specification(name, mean))  # type: ignore[arg-type]
    assert ours.converged[0]
    likelihood = float(theirs.loglikelihood)
    assert ours.log_likelihood[0] >= likelihood - 1e-6 * abs(likelihood)
    assert ours.log_likelihood[0] == pytest.approx(likelihood, rel=1e-6)
    mine = dict(zip(PARAMETERS, ours.parameters[0], strict=True))
    for key, value in named(theirs.params).items():
        assert mine[key] == pytest.approx(value, rel=5e-4, abs=2e-6), key


@pytest.mark.data
@pytest.mark.parametrize("name", ["garch_normal", "garch_t", "egarch_normal"])
def test_standard_errors_are_those_of_arch(sp500: np.ndarray, name: str) -> None:
    model = specification(name)
    ours = fit_garch(sp500[:, None], model)
    mine = standard_errors(sp500, ours.parameters[0], model)
    theirs = with_arch(sp500, name, "constant")
    robust = named(theirs.std_err)
    classic = named(
        np.sqrt(
            pd.Series(
                np.diag(theirs.model.compute_param_cov(theirs.params.to_numpy(), robust=False)),
                theirs.params.index,
            )
        )
    )
    for at, key in enumerate(PARAMETERS):
        if key in robust:
            assert mine.robust[at] == pytest.approx(robust[key], rel=0.02), key
            assert mine.hessian[at] == pytest.approx(classic[key], rel=0.02), key
        else:
            assert np.isnan(mine.robust[at])


@pytest.mark.data
def test_a_parameter_on_its_border_has_no_standard_error_and_is_held_for_the_others(
    sp500: np.ndarray,
) -> None:
    """The index falls on bad news only: alpha is zero."""
    fit = fit_garch(sp500[:, None], specification("gjr_t"))
    errors = standard_errors(sp500, fit.parameters[0], specification("gjr_t"))
    assert fit.parameters[0, 3] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(errors.hessian[[1, 3]]).all()
    assert np.isfinite(errors.hessian[[0, 2, 4, 5, 6]]).all()
    assert np.isfinite(errors.robust[[0, 2, 4, 5, 6]]).all()


@pytest.mark.data
def test_the_start_value_is_an_option(sp500: np.ndarray) -> None:
    model = specification("gjr_normal")
    first = fit_garch(sp500[:1500, None], model, start="backcast")
    other = fit_garch(sp500[:1500, None], model, start="mean_square")
    residual = sp500[:1500] - sp500[:1500].mean()
    assert other.start[0] == pytest.approx((residual**2).mean())
    weights = 0.94 ** np.arange(75)
    assert first.start[0] == pytest.approx((weights / weights.sum()) @ residual[:75] ** 2)
    assert first.log_likelihood[0] != other.log_likelihood[0]


def test_the_reported_likelihood_is_that_of_the_reported_parameters() -> None:
    y = simulated(3, 1200)
    for name in MODELS:
        fit = fit_garch(y[:, None], specification(name))
        reference = log_likelihood_reference(fit.parameters[0], fit.specification.code, y, fit.start[0])
        assert fit.log_likelihood[0] == pytest.approx(reference, rel=1e-10)


def test_no_other_start_finds_more() -> None:
    """The optimum cannot be improved by searching on from thirty random points near it."""
    from etf_pipeline.core.risk.garch.likelihood import WORK_ROWS
    from etf_pipeline.core.risk.garch.optimise import minimise
    from etf_pipeline.core.risk.garch.prepare import prepare
    from etf_pipeline.core.risk.garch.transform import free_parameters, to_free

    y, model = simulated(5, 1500), specification("gjr_t")
    fit = fit_garch(y[:, None], model)
    work = np.empty((WORK_ROWS, len(y)))
    start, target = prepare(y, 0, len(y), model.code[2], 1, np.zeros(7), work)
    k = free_parameters(model.code)
    best = np.zeros(k)
    to_free(fit.parameters[0], model.code, target, best)
    rng = np.random.default_rng(0)
    for _ in range(30):
        u = best + rng.standard_normal(k)
        value, _reached = minimise(
            u, np.zeros((k, k)), model.code, y, 0, len(y), start, target, work, 1e-9, 200
        )
        assert value <= fit.log_likelihood[0] + 1e-5


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """95 % intervals of 200 simulated GJR-t series hold each true parameter between 90 and 98 % of the time."""
    truth = dict(zip(PARAMETERS, (0.02, 0.0, 0.03, 0.04, 0.08, 0.88, 6.0), strict=True))
    model, paths = specification("gjr_t"), np.column_stack([simulated(s, 4000) for s in range(200)])
    fits = fit_garch(paths, model)
    covered: dict[str, list[bool]] = {}
    for i in range(paths.shape[1]):
        errors = standard_errors(paths[:, i], fits.parameters[i], model)
        for at, key in enumerate(PARAMETERS):
            if key == "phi" or np.isnan(errors.hessian[at]):
                continue
            gap = abs(fits.parameters[i, at] - truth[key])
            covered.setdefault(key, []).append(bool(gap <= 1.959964 * errors.hessian[at]))
    rates = {key: float(np.mean(found)) for key, found in covered.items()}
    assert all(len(found) >= 195 for found in covered.values())
    assert all(0.90 <= rate <= 0.985 for rate in rates.values()), rates


def test_workers_and_neighbours_change_no_bit() -> None:
    paths = np.column_stack([simulated(s, 600 + 50 * 0) for s in range(9)])
    paths[:300, 4] = np.nan
    model = specification("egarch_t")
    parallel.set_workers(1)
    alone = fit_garch(paths, model)
    parallel.set_workers(3)
    try:
        threads = fit_garch(paths, model)
    finally:
        parallel.set_workers(0)
    np.testing.assert_array_equal(alone.parameters, threads.parameters)
    single = fit_garch(paths[:, [4]], model)
    np.testing.assert_array_equal(single.parameters[0], alone.parameters[4])


@pytest.mark.parametrize("name", MODELS)
class TestDegenerate:
    def test_short_history_has_no_fit(self, name: str) -> None:
        fit = fit_garch(simulated(0, 249)[:, None], specification(name))
        assert np.isnan(fit.log_likelihood[0])
        assert np.isnan(fit.parameters[0]).all()
        assert fit.observations[0] == 249

    def test_constant_series_has_no_fit(self, name: str) -> None:
        for value in (0.0, 0.01):
            fit = fit_garch(np.full((400, 1), value), specification(name))
            assert np.isnan(fit.log_likelihood[0])

    def test_holes_are_skipped(self, name: str) -> None:
        y = simulated(1, 500)
        holed = np.full(700, np.nan)
        holed[np.sort(np.random.default_rng(0).choice(700, 500, replace=False))] = y
        a, b = fit_garch(y[:, None], specification(name)), fit_garch(holed[:, None], specification(name))
        np.testing.assert_array_equal(a.parameters, b.parameters)

    def test_one_giant_jump_leaves_finite_estimates(self, name: str) -> None:
        y = simulated(2, 800)
        y[400] = -60.0
        fit = fit_garch(y[:, None], specification(name))
        assert np.isfinite(fit.parameters).all()
        assert np.isfinite(fit.log_likelihood).all()

    def test_near_unit_root(self, name: str) -> None:
        """An integrated GARCH: persistence comes out between 0.97 and 1, never above."""
        rng = np.random.default_rng(7)
        variance, y = 1.0, np.empty(3000)
        for t in range(3000):
            y[t] = np.sqrt(variance) * rng.standard_normal()
            variance = 0.001 + 0.06 * y[t] ** 2 + 0.94 * variance
        fit = fit_garch(y[:, None], specification(name, "zero"))
        _, _, _, alpha, gamma, beta, _ = fit.parameters[0]
        persistence = beta if name.startswith("egarch") else alpha + gamma / 2 + beta
        assert 0.97 < persistence <= 1.0
