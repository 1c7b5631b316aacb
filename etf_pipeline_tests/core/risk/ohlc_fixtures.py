"""Open, high, low and close of funds whose spread and volatility are known."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class Bars:
    """Panels (S, N) in the order in which the estimators take them."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    accepted: np.ndarray
    scale: np.ndarray
    split: np.ndarray
    distribution: np.ndarray

    @property
    def panels(self) -> tuple[np.ndarray, ...]:
        return tuple(getattr(self, f.name) for f in fields(self))

    def without(self, missing: np.ndarray) -> Bars:
        """No bar where ``missing``."""
        prices = {
            name: np.where(missing, np.nan, getattr(self, name)) for name in ("open", "high", "low", "close")
        }
        return replace(self, accepted=self.accepted & ~missing, **prices)

    def cut(self, rows: slice, columns: slice = slice(None)) -> Bars:
        return Bars(*(panel[rows, columns] for panel in self.panels))


def traded_bars(
    seed: int,
    *,
    sessions: int = 420,
    funds: int = 4,
    spread: float = 0.01,
    volatility: float = 0.02,
    trade_chance: float = 1.0,
    moments: int = 60,
    drift: float = 0.0,
) -> Bars:
    """Trades at bid or ask around a random walk; a session without trade repeats the last close.

    ``volatility`` a session, none of it overnight; a trade at each of ``moments`` moments with
    ``trade_chance``. The first moment of the first session always trades.
    """
    rng = np.random.default_rng(seed)
    shape = (sessions, moments, funds)
    step = rng.normal(drift / moments, volatility / np.sqrt(moments), shape)
    walk = np.cumsum(step.reshape(-1, funds), axis=0).reshape(shape)
    price = 20.0 * np.exp(walk) * (1.0 + 0.5 * spread * rng.choice([-1.0, 1.0], shape))
    happens = rng.random(shape) < trade_chance
    happens[0, 0] = True
    first = np.take_along_axis(price, happens.argmax(axis=1)[:, None], axis=1)[:, 0]
    last_moment = moments - 1 - happens[:, ::-1].argmax(axis=1)
    close = np.take_along_axis(price, last_moment[:, None], axis=1)[:, 0]
    traded = happens.any(axis=1)
    row = np.maximum.accumulate(np.where(traded, np.arange(sessions)[:, None], 0), axis=0)
    close = np.take_along_axis(close, row, axis=0)
    one = np.ones((sessions, funds))
    return Bars(
        open=np.where(traded, first, close),
        high=np.where(traded, np.where(happens, price, -np.inf).max(axis=1), close),
        low=np.where(traded, np.where(happens, price, np.inf).min(axis=1), close),
        close=close,
        accepted=one > 0,
        scale=one,
        split=one.copy(),
        distribution=0.0 * one,
    )


def with_corporate_actions(bars: Bars) -> Bars:
    """The same fund as traded, with a split at 150, a distribution at 200 and an unrecorded scale at 260."""
    factor = np.ones(bars.close.shape)
    split, distribution, scale = bars.split.copy(), bars.distribution.copy(), bars.scale.copy()
    split[150], factor[150:] = 3.0, factor[150:] / 3.0
    distribution[200] = 0.07 * bars.close[199] * factor[199]
    factor[200:] *= 0.93
    scale[260], factor[260:] = 20.0, factor[260:] * 20.0
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    return replace(bars, split=split, distribution=distribution, scale=scale, **prices)


def messy_bars(seed: int) -> Bars:
    """Holes, missing opens, corporate actions, closes that cannot be compared, a late listing, an early end."""
    rng = np.random.default_rng(seed)
    bars = with_corporate_actions(traded_bars(seed, trade_chance=0.08, funds=5))
    missing = rng.random(bars.close.shape) < 0.06
    missing[:90, 1], missing[330:, 2] = True, True
    scale = np.where(rng.random(bars.close.shape) < 0.01, np.nan, bars.scale)
    open_ = np.where(rng.random(bars.close.shape) < 0.03, np.nan, bars.open)
    return replace(bars, open=open_, scale=scale).without(missing)
