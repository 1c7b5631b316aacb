"""Return forecasts: the whole stage as the market grows, and its fits beside scikit-learn's.

python benchmarks/bench_forecast.py [funds]
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from bench_rolling_beta import median_seconds
from threadpoolctl import threadpool_limits

from etf_pipeline.core.signals.forecast import HORIZONS, causal_score, forecast_returns
from etf_pipeline.core.signals.forecast.boosting import BINS, boost
from etf_pipeline.core.signals.forecast.ridge import gram_blocks, ridge_from_gram

SESSIONS = 4500  # about 18 years
FEATURES = 30


def stage(funds: int) -> None:
    """Print seconds and peak memory of all forecasts of an invented market whose funds are listed one by one."""
    rng = np.random.default_rng(0)
    shape = (SESSIONS, funds)
    daily = rng.uniform(0.003, 0.02, funds)
    total = daily * (0.7 * rng.normal(size=(SESSIONS, 1)) + 0.7 * rng.normal(size=shape))
    listed = np.sort(rng.integers(0, int(0.9 * SESSIONS), funds))
    listed[: funds // 10] = 0
    eligible = np.arange(SESSIONS)[:, None] >= listed
    days = np.arange(np.datetime64("2008-01-02"), np.datetime64("2027-01-01"))
    measures = {f"measure_{k}": rng.normal(size=shape) for k in range(FEATURES)}
    market = {f"state_{k}": causal_score(np.cumsum(rng.normal(size=SESSIONS))) for k in range(14)}
    begin = time.perf_counter()
    forecasts = forecast_returns(
        measures,
        market,
        eligible=eligible,
        volatility=dict.fromkeys(HORIZONS, np.broadcast_to(daily * np.sqrt(252), shape)),
        exposure=np.full(shape, 0.7),
        total_return=total,
        sessions_spanned=np.ones(shape, dtype=np.int64),
        classes=np.arange(funds) % 14,
        categories=np.broadcast_to(np.arange(funds) % 3, shape),
        sessions=days[np.is_busday(days)][:SESSIONS],
    )
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    refits = sum(len(e.folds.refit) for e in forecasts.ensembles)
    print(
        f"{funds} funds, {SESSIONS} sessions (simulated), {len(forecasts.features.row)} rows, {refits} refits: "
        f"{seconds:.1f} s, {memory:.2f} GB at most"
    )


def boosting(rows: int) -> None:
    """Print seconds of one boosted fit beside scikit-learn's, and how far the forecasts differ."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(1)
    binned = rng.integers(0, BINS, (rows, FEATURES)).astype(np.uint8)
    y = binned[:, 0] / BINS + rng.normal(size=rows)
    leaf = rows // 50
    model = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=60, max_leaf_nodes=8, min_samples_leaf=leaf, early_stopping=False
    )
    weight, plain = np.ones(rows), binned.astype(float)
    with threadpool_limits(1):
        ours = boost(binned, y, weight, binned, 60, 0.05, 8, leaf)
        base = median_seconds(lambda: boost(binned, y, weight, binned, 60, 0.05, 8, leaf), 3)
        peer = median_seconds(lambda: model.fit(plain, y).predict(plain), 3)
    difference = np.abs(model.predict(plain) - ours).max()
    print(f"60 boosted trees on {rows} rows x {FEATURES}, one thread: {base:.3f} s")
    print(f"  {'scikit-learn':<32}{peer:9.3f} s  {peer / base:7.1f} x  forecasts differ by {difference:.1e}")


def ridge(rows: int, refits: int = 56) -> None:
    """Print seconds of quarterly ridge refits on an expanding window, beside scikit-learn's."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(rows, FEATURES)), rng.uniform(0.5, 1, rows)
    y = x[:, 0] + rng.normal(size=rows)
    edges = np.linspace(0, rows, refits + 1).astype(np.int64)

    def ours() -> np.ndarray:
        gram = np.cumsum(gram_blocks(x, y, w, edges), axis=0)
        return np.array([ridge_from_gram(g, 0.1)[1] for g in gram])

    def theirs() -> np.ndarray:
        return np.array(
            [Ridge(alpha=0.1 * w[:e].sum()).fit(x[:e], y[:e], sample_weight=w[:e]).coef_ for e in edges[1:]]
        )

    base, peer = median_seconds(ours, 3), median_seconds(theirs, 3)
    print(f"{refits} ridge refits up to {rows} rows x {FEATURES}: {base:.3f} s")
    print(
        f"  {'scikit-learn':<32}{peer:9.3f} s  {peer / base:7.1f} x  "
        f"coefficients differ by {np.abs(ours() - theirs()).max():.1e}"
    )


if __name__ == "__main__":
    ridge(250_000)
    boosting(20_000)
    stage(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
