"""The climb believes an optimum by the slope, not by a second-derivative guess that may be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.risk.garch import MODELS, fit_garch, specification
from etf_pipeline.core.risk.garch.likelihood import WORK_ROWS
from etf_pipeline.core.risk.garch.optimise import minimise
from etf_pipeline.core.risk.garch.prepare import prepare
from etf_pipeline.core.risk.garch.transform import free_parameters, to_free
from etf_pipeline_tests.core.risk.garch.test_fit import simulated


@pytest.mark.parametrize("name", MODELS)
def test_an_inverse_hessian_that_has_gone_flat_is_no_optimum(name: str) -> None:
    """Beside the optimum such an inverse promises nothing; the climb goes on all the same."""
    y, model = simulated(5, 1500), specification(name)
    fit = fit_garch(y[:, None], model)
    work = np.empty((WORK_ROWS, len(y)))
    start, target = prepare(y, 0, len(y), model.code[2], 1, np.zeros(7), work)
    k = free_parameters(model.code)
    u = np.zeros(k)
    to_free(fit.parameters[0], model.code, target, u)
    u -= 0.01
    value, _ = minimise(u, 1e-16 * np.eye(k), model.code, y, 0, len(y), start, target, work, 1e-7, 200)
    assert value == pytest.approx(fit.log_likelihood[0], abs=1e-4)


def test_at_the_optimum_nothing_is_left_to_do() -> None:
    y, model = simulated(6, 1500), specification("gjr_t")
    fit = fit_garch(y[:, None], model)
    work = np.empty((WORK_ROWS, len(y)))
    start, target = prepare(y, 0, len(y), model.code[2], 1, np.zeros(7), work)
    k = free_parameters(model.code)
    u, inverse = np.zeros(k), np.zeros((k, k))
    to_free(fit.parameters[0], model.code, target, u)
    minimise(u, inverse, model.code, y, 0, len(y), start, target, work, 1e-9, 100)
    value, reached = minimise(u.copy(), inverse, model.code, y, 0, len(y), start, target, work, 1e-7, 3)
    assert reached, "and the inverse Hessian handed on says so within three steps"
    assert value == pytest.approx(fit.log_likelihood[0], abs=1e-6)


def test_where_there_is_no_likelihood_there_is_no_optimum() -> None:
    y, model = simulated(6, 400), specification("garch_normal")
    work = np.empty((WORK_ROWS, len(y)))
    start, target = prepare(y, 0, len(y), model.code[2], 1, np.zeros(7), work)
    k = free_parameters(model.code)
    u = np.full(k, np.nan)
    assert minimise(u, np.zeros((k, k)), model.code, y, 0, len(y), start, target, work, 1e-7, 10) == (
        -np.inf,
        False,
    )
