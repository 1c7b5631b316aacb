"""A small random market with everything a stage must survive, and the truncation check all stages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RandomMarket:
    """Panels (S, N); the first fund never misses a session and serves as benchmark."""

    sessions: np.ndarray
    tickers: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    accepted: np.ndarray
    scale: np.ndarray
    split: np.ndarray
    distribution: np.ndarray
    doubt: np.ndarray


def random_market(seed: int, sessions: int = 420, funds: int = 12, hole: float = 0.04) -> RandomMarket:
    """Late listings, deaths, holes, splits, distributions, closes that cannot be compared, missing volume."""
    rng = np.random.default_rng(seed)
    shape = (sessions, funds)
    market = rng.normal(0.0003, 0.01, (sessions, 1))
    idiosyncratic = 0.004 * rng.standard_t(5, shape)
    returns = market * rng.uniform(-0.5, 1.8, funds) + idiosyncratic + rng.normal(0, 0.0008, funds)
    close = 20 * np.cumprod(1 + np.clip(returns, -0.3, 0.4), axis=0)
    volume = np.round(rng.lognormal(9, 1, shape))
    volume[rng.random(shape) < 0.05] = 0.0
    volume[:10] = 0.0
    volume[rng.random(shape) < 0.01] = np.nan
    row = np.arange(sessions)[:, None]
    begin = np.where(rng.random(funds) < 0.4, rng.integers(0, max(1, sessions // 3), funds), 0)
    end = np.where(rng.random(funds) < 0.25, rng.integers(sessions // 2, sessions + 1, funds), sessions)
    begin[0], end[0] = 0, sessions
    accepted = (rng.random(shape) >= hole) & (row >= begin) & (row < end)
    accepted[:, 0] = True
    split = np.where(rng.random(shape) < 0.003, rng.choice([0.1, 0.5, 2.0, 3.0], shape), 1.0)
    scale = np.where(rng.random(shape) < 0.001, np.nan, np.where(rng.random(shape) < 0.001, 10.0, 1.0))
    split[:, 0], scale[:, 0] = 1.0, 1.0
    close[~accepted] = np.nan
    volume[~accepted] = np.nan
    return RandomMarket(
        sessions=np.datetime64("2020-01-06") + np.arange(sessions),
        tickers=np.array([f"F{j:02d}" for j in range(funds)]),
        close=close,
        volume=volume,
        accepted=accepted,
        scale=scale,
        split=split,
        distribution=np.where(rng.random(shape) < 0.01, 0.25, 0.0),
        doubt=accepted & (rng.random(shape) < 0.01),
    )


def assert_causal(
    stage: Callable[..., Mapping[str, np.ndarray]], panels: tuple[np.ndarray, ...], cuts: tuple[int, ...]
) -> None:
    """Cutting the panels after any session reproduces the rows up to it, bit for bit."""
    whole = stage(*panels)
    for cut in cuts:
        part = stage(*(p[:cut].copy() for p in panels))
        assert part.keys() == whole.keys()
        for name, values in part.items():
            expected = np.ascontiguousarray(whole[name][:cut])
            assert values.shape == expected.shape, name
            assert values.dtype == expected.dtype, name
            assert np.ascontiguousarray(values).tobytes() == expected.tobytes(), f"{name} cut at {cut}"
