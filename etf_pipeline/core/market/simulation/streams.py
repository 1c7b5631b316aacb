"""Random streams addressed by purpose and fund, so that no draw depends on another's count.

Every stream is drawn in session order: more sessions extend it and change nothing before; another fund has
streams of its own. That is what makes the simulated market a prefix of itself.

Philox is fixed for good; a numpy release may change how a distribution is drawn from it (NEP 19), which a
test on a recorded digest would show.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Purpose = Literal[
    "regime",
    "factor",
    "cash_rate",
    "implied_volatility",
    "market_hole",
    "attributes",
    "idiosyncratic",
    "alpha",
    "activity",
    "death",
    "capital_gain",
    "overnight",
    "intraday",
    "side",
    "trade_time",
    "trade_count",
    "trade_size",
    "missing_bar",
    "market_hole_member",
    "defect",
    "style",
    "style_revision",
]

_PURPOSES: tuple[Purpose, ...] = Purpose.__args__  # type: ignore[attr-defined]


def stream(seed: int, purpose: Purpose, member: int = 0) -> np.random.Generator:
    """The generator of one purpose and one member (a fund's or a factor's index).

    Philox keyed by (seed, purpose, member): streams of different keys are independent.
    """
    key = (seed, _PURPOSES.index(purpose), member)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def standard_student_t(rng: np.random.Generator, degrees_of_freedom: float, size: int) -> np.ndarray:
    """(size,) Student-t draws scaled to unit variance and cut at nine deviations."""
    draws = rng.standard_t(degrees_of_freedom, size=size)
    scale = np.sqrt((degrees_of_freedom - 2.0) / degrees_of_freedom)
    return np.clip(draws * scale, -9.0, 9.0)


def fund_panel(
    seed: int, purpose: Purpose, n_sessions: int, n_funds: int, kind: Literal["normal", "uniform"]
) -> np.ndarray:
    """(S, N) draws, column i from fund i's own stream of ``purpose``."""
    panel = np.empty((n_sessions, n_funds))
    for i in range(n_funds):
        rng = stream(seed, purpose, i)
        panel[:, i] = rng.standard_normal(n_sessions) if kind == "normal" else rng.random(n_sessions)
    return panel
