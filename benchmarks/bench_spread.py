"""Spread estimators of every fund: seconds against bidask, and accuracy where the spread is known."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from bench_rolling_beta import median_seconds

from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.market.simulation import SimulationConfig, simulate
from etf_pipeline.core.risk.liquidity import liquidity
from etf_pipeline.core.risk.range_volatility import range_volatility
from etf_pipeline.core.risk.spread import SpreadPanel, spread_estimates
from etf_pipeline.core.risk.spread_accuracy import spread_accuracy

WINDOW, MONTH = 252, 21
SEEDS = range(1, 9)
LABELS = {
    "edge": "EDGE",
    "monthly": "EDGE, mean of months",
    "abdi_ranaldo": "Abdi-Ranaldo",
    "corwin_schultz": "Corwin-Schultz",
}


def random_walk_bars(
    sessions: int, funds: int, *, moments: int, trades: float, spread: float, volatility: float, seed: int = 1
) -> dict[str, np.ndarray]:
    """Open, high, low and close (S, N) of trades at bid or ask around a random walk.

    A trade at each of ``moments`` moments of a session with such a chance that there are ``trades`` on
    average; a session without one repeats the last close.
    """
    rng = np.random.default_rng(seed)
    bars = {name: np.empty((sessions, funds)) for name in ("open", "high", "low", "close")}
    for j in range(funds):
        walk = rng.normal(0, volatility / np.sqrt(moments), sessions * moments).cumsum()
        price = 20 * np.exp(walk) * (1 + 0.5 * spread * rng.choice([-1.0, 1.0], len(walk)))
        price = price.reshape(sessions, moments)
        happens = rng.random(price.shape) < trades / moments
        happens[0, 0] = True
        traded = happens.any(axis=1)
        row = np.maximum.accumulate(np.where(traded, np.arange(sessions), 0))
        last = moments - 1 - happens[:, ::-1].argmax(axis=1)
        close = price[row, last[row]]
        bars["close"][:, j] = close
        bars["open"][:, j] = np.where(traded, price[np.arange(sessions), happens.argmax(axis=1)], close)
        bars["high"][:, j] = np.where(traded, np.where(happens, price, -np.inf).max(axis=1), close)
        bars["low"][:, j] = np.where(traded, np.where(happens, price, np.inf).min(axis=1), close)
    return bars


def arguments(bars: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Bars without holes or corporate actions as the estimators take them."""
    one = np.ones(bars["close"].shape)
    return bars["open"], bars["high"], bars["low"], bars["close"], one > 0, one, one, 0 * one


def speed() -> None:
    """Print seconds for all funds, the ratio to the peer, and the largest difference."""
    bars = random_walk_bars(4_600, 380, moments=8, trades=7, spread=0.002, volatility=0.01)
    panels = arguments(bars)
    close, accepted, one = panels[3], panels[4], panels[5]
    rng = np.random.default_rng(2)
    volume = np.round(rng.lognormal(9, 1, close.shape))
    returns = np.vstack([np.full((1, close.shape[1]), np.nan), close[1:] / close[:-1] - 1])
    spanned = np.ones(close.shape, dtype=np.int32)

    def spreads() -> SpreadPanel:
        return spread_estimates(*panels, basis="as_traded", window=WINDOW)

    def measures() -> object:
        return liquidity(close, volume, accepted, returns, spanned, one, one, basis="as_traded")

    def ranges() -> object:
        return range_volatility(*panels, basis="as_traded")

    base = median_seconds(spreads, 3)
    print(f"liquidity, {close.shape[0]} sessions x {close.shape[1]} funds (simulated), window {WINDOW}")
    print(f"  {'spreads, 3 estimators':<28}{base:9.3f} s")
    print(f"  {'range volatility, 3':<28}{median_seconds(ranges, 3):9.3f} s")
    print(f"  {'Amihud, volumes, medians':<28}{median_seconds(measures, 3):9.3f} s")
    try:
        import bidask
    except ImportError:
        print("  bidask is not installed: the dev extra has it")
        return
    few = 4
    frames = [pd.DataFrame({name: bars[name][:, j] for name in bars}) for j in range(few)]

    def peer() -> np.ndarray:
        return np.column_stack([bidask.edge_rolling(f, WINDOW, sign=True).to_numpy() for f in frames])

    seconds = median_seconds(peer, 1) * close.shape[1] / few
    ours, theirs = spreads().edge[:, :few], peer()
    gap = np.nanmax(np.abs(ours * np.abs(ours) - theirs * np.abs(theirs)))
    print(
        f"  {'bidask edge_rolling':<28}{seconds:9.3f} s  {seconds / base:8.1f} x  largest difference of squares "
        f"{gap:.1e} (from {few} funds, extrapolated; EDGE only)"
    )


def monthly_mean(panels: tuple[np.ndarray, ...]) -> np.ndarray:
    """(S, N) mean of the signed estimates of the last twelve disjoint months."""
    month = spread_estimates(*panels, basis="as_traded", window=MONTH, min_pairs=5, block=5).edge
    months = WINDOW // MONTH
    lags = np.full((months, *month.shape), np.nan)
    for k in range(months):
        lags[k, k * MONTH :] = month[: len(month) - k * MONTH]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no month at all
        return np.nanmean(lags, axis=0)


def accuracy_by_trades() -> None:
    """Estimates over the true spread for one kind of fund, thinner and thinner."""
    true, volatility = 0.01, 0.02
    print(f"\nrandom walk, spread {1e4 * true:.0f} bps, {volatility:.0%} a session, 252 sessions, 40 funds:")
    print("  median estimate / true (RMSE in bps, negative as zero)")
    print(f"  {'trades a session':<18}" + "".join(f"{label:>24}" for label in LABELS.values()))
    for trades in (100, 20, 5, 2, 1, 0.5):
        bars = random_walk_bars(
            253, 40, moments=200, trades=trades, spread=true, volatility=volatility, seed=3
        )
        panels = arguments(bars)
        panel = spread_estimates(*panels, basis="as_traded", min_pairs=20)
        last = {name: getattr(panel, name)[-1] for name in LABELS if name != "monthly"}
        last["monthly"] = monthly_mean(panels)[-1]
        cells = []
        for name in LABELS:
            rmse = 1e4 * np.sqrt(np.nanmean((np.maximum(last[name], 0) - true) ** 2))
            cells.append(f"{np.nanmedian(last[name]) / true:12.2f} ({rmse:5.1f})    ")
        print(f"  {trades:<18g}" + "".join(f"{c:>24}" for c in cells))


def accuracy_on_the_simulated_market() -> None:
    """Estimates over the true spread by share of sessions without trade, and how often the interval holds it."""
    sessions = exchange_sessions("asx", "2016-01-04", "2025-12-31")
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in LABELS}
    truths, shares, against_volatility, inside = [], [], [], []
    for seed in SEEDS:
        market = simulate(SimulationConfig(sessions, seed=seed, n_funds=120))
        true = market.truth
        own = true.defects.loc[true.defects["kind"] != "market_wide_hole", "ticker"]
        sound = ~np.isin(true.tickers, own)
        wide, _ = from_long(market.bars, market.actions, true.sessions, true.tickers)
        one = np.ones(wide.close.shape)
        panels = (
            *(wide.open, wide.high, wide.low, wide.close, np.isfinite(wide.close)),
            *(one, wide.split, wide.distribution),
        )
        panel = spread_estimates(*panels, basis="as_traded")
        of_months = monthly_mean(panels)
        untraded = 1.0 - rolling_sum(true.traded.astype(np.int32), WINDOW) / WINDOW
        listed = rolling_sum(np.isfinite(true.efficient_price).astype(np.int32), WINDOW) == WINDOW
        variance = np.nan_to_num(true.conditional_volatility_annualised) ** 2
        volatility = np.sqrt(rolling_sum(variance, WINDOW) / WINDOW / 252)
        for t in range(WINDOW, len(sessions), 126):
            chosen = np.flatnonzero(sound & listed[t])
            spread = 2 * true.half_spread[chosen]
            truths.append(spread)
            shares.append(untraded[t, chosen])
            against_volatility.append(spread / volatility[t, chosen])
            inside.append((panel.lower[t, chosen] <= spread) & (spread <= panel.upper[t, chosen]))
            for name, values in gathered.items():
                source = of_months if name == "monthly" else getattr(panel, name)
                values.append(source[t, chosen])
    estimates = {name: np.concatenate(values) for name, values in gathered.items()}
    truth, untraded_share = np.concatenate(truths), np.concatenate(shares)
    print(
        f"\nsimulated market, {len(SEEDS)} seeds, funds without vendor defects, twice a year, 252 sessions:"
    )
    print("  median estimate / true (RMSE in bps, negative as zero), by share of sessions without trade")
    print(f"  {'share':<14}{'n':>6}{'true bps':>10}" + "".join(f"{label:>24}" for label in LABELS.values()))
    rows = spread_accuracy(estimates, truth, untraded_share, (0.0, 0.001, 0.05, 0.2, 0.4, 1.0))
    for k in range(0, len(rows), len(LABELS)):
        group = rows[k : k + len(LABELS)]
        cells = "".join(f"{r.median_ratio:14.2f} ({r.rmse_bps:5.1f})  " for r in group)
        label = f"{group[0].untraded_from:.3g}-{group[0].untraded_to:.3g}"
        print(f"  {label:<14}{group[0].estimates:>6}{group[0].median_true_bps:>10.1f}{cells}")
    ratio, covered = np.concatenate(against_volatility), np.concatenate(inside)
    edge = estimates["edge"]
    print(
        "  by true spread / daily volatility: median EDGE / true, median |error| bps, interval holds the truth"
    )
    for low, high in ((0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.8), (0.8, np.inf)):
        at = ~np.isnan(edge) & (ratio > low) & (ratio <= high)
        error = 1e4 * np.median(np.abs(np.maximum(edge[at], 0) - truth[at]))
        print(
            f"  {f'{low:g}-{high:g}':<14}{at.sum():>6}{np.median(edge[at] / truth[at]):>10.2f}"
            f"{error:>10.1f}{covered[at].mean():>10.0%}"
        )


def main() -> None:
    """Speed first, then accuracy."""
    start = time.perf_counter()
    speed()
    accuracy_by_trades()
    accuracy_on_the_simulated_market()
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
