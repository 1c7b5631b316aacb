"""The compiled walk against the same walk in plain Python."""

from __future__ import annotations

from types import FunctionType

import numpy as np
import pytest

from etf_pipeline.core.market.quality import judge, levels, transitions
from etf_pipeline.core.market.quality.codes import E_WIDTH
from etf_pipeline.core.market.quality.rules import QualityRules


def plain_walk() -> FunctionType:
    """``levels.walk`` with every compiled function it calls replaced by its Python source."""
    namespace = dict(vars(levels))
    plain: dict[str, FunctionType] = {}
    for module in (judge, transitions):
        scope = {**vars(module), **plain}
        for name, value in list(scope.items()):
            if hasattr(value, "py_func"):
                scope[name] = plain[name] = FunctionType(value.py_func.__code__, scope, name)
        namespace.update({n: scope[n] for n in scope if n in namespace and hasattr(namespace[n], "py_func")})
    for name in ("log_volume_ratio", "volume_surge", "plausible", "resolve_level", "emit", "leave_level"):
        assert isinstance(namespace[name], FunctionType)
    return FunctionType(levels.walk.py_func.__code__, namespace, "walk")


def turbulent_fund(seed: int, sessions: int = 900) -> list[np.ndarray]:
    """Inputs of the walk for a fund with everything: scale breaks, prints, gaps, zero and unknown volume."""
    rng = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(0.012 * rng.standard_t(4, sessions)))
    volume = np.round(rng.lognormal(9, 0.6, sessions))
    for _ in range(12):
        at = int(rng.integers(30, sessions - 30))
        length = int(rng.choice([1, 2, 7, sessions]))
        close[at : at + length] *= rng.choice([0.1, 10.0, 5.3, 1.3, 0.8, 20.0])
    for _ in range(6):
        at = int(rng.integers(70, sessions - 30))
        length = int(rng.integers(2, 25))
        volume[at : at + length] = 0.0
        close[at : at + length] = close[at - 1]
    close[rng.random(sessions) < 0.03] = np.nan
    if seed % 2:
        close[300:580] = np.nan
    volume[rng.random(sessions) < 0.1] = 0.0
    volume[rng.random(sessions) < 0.01] = np.nan
    volume[: 5 * (seed % 7)] = 0.0
    market = np.cumsum(0.006 * rng.standard_normal(sessions))
    return [
        close,
        volume,
        rng.random(sessions) < 0.99,
        np.arange(sessions) < 3 * (seed % 3),
        np.arange(sessions) < (40 if seed % 4 == 0 else 0),
        np.where(rng.random(sessions) < 0.003, 2.0, 1.0),
        np.where(rng.random(sessions) < 0.01, 0.3, 0.0),
        market,
        np.abs(0.01 * rng.standard_normal(sessions)),
        np.abs(0.03 * rng.standard_normal(sessions)),
        np.abs(0.03 * rng.standard_normal(sessions)),
        np.arange(sessions) % 126 < 6,
    ]


@pytest.mark.parametrize("seed", range(8))
def test_compiled_equals_plain(seed: int) -> None:
    inputs = turbulent_fund(seed)
    sessions = len(inputs[0])
    parameters = judge.level_parameters(QualityRules())
    results = []
    for function in (levels.walk, plain_walk()):
        flags = [np.zeros(sessions, dtype=bool) for _ in range(3)]
        scale = np.full(sessions, np.nan)
        events = np.zeros((transitions.EVENTS_PER_BAR * sessions, E_WIDTH))
        with np.errstate(invalid="ignore", divide="ignore"):
            count = function(*inputs, parameters, flags[0], flags[1], scale, flags[2], events)
        results.append((*flags, scale, events[:count]))
    assert len(results[0][4]) > 10
    for compiled, plain in zip(results[0][:3], results[1][:3], strict=True):
        np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_allclose(results[0][3], results[1][3], rtol=1e-12, equal_nan=True)
    assert len(results[0][4]) == len(results[1][4])
    np.testing.assert_allclose(results[0][4], results[1][4], rtol=1e-9, atol=1e-12, equal_nan=True)
