"""Judging 10 volatility models on 253 funds over 18 years: our kernels against statsmodels and simulation."""

from __future__ import annotations

import time

import numpy as np
from bench_rolling_beta import median_seconds
from scipy import stats

from etf_pipeline.core.validation.diebold_mariano import lag_count
from etf_pipeline.core.validation.shortfall import z2_p_value
from etf_pipeline.core.validation.value_at_risk import evaluate_value_at_risk
from etf_pipeline.core.validation.volatility_forecast import evaluate_volatility_forecasts

BASELINES = ("ewma", "rolling_63", "rolling_252")


def main() -> None:
    """Print seconds, ratios and largest differences."""
    rng = np.random.default_rng(1)
    shape, models = (4_600, 253), (*BASELINES, *"abcdefg")
    returns = 0.01 * rng.standard_t(4, shape)
    spanned = np.ones(shape, dtype=np.int64)
    sessions = np.busday_offset("2008-01-01", np.arange(shape[0]), roll="forward")
    forecasts = {name: 2e-4 * rng.lognormal(0, 0.3, shape) for name in models}
    print(f"{len(models)} variance forecasts, {shape[0]} sessions x {shape[1]} funds (simulated)")
    for horizon in (1, 5, 21):
        scaled = {name: horizon * panel for name, panel in forecasts.items()}

        def ours(horizon: int = horizon, scaled: dict[str, np.ndarray] = scaled) -> object:
            return evaluate_volatility_forecasts(returns, spanned, sessions, scaled, horizon)

        seconds = median_seconds(ours, 3)
        print(f"  horizon {horizon:<2} losses and Diebold-Mariano tests{seconds:8.2f} s")
        if horizon == 1:
            against_statsmodels(returns, forecasts, ours(), seconds)

    pairs = {}
    for level in (0.95, 0.99):
        quantile = stats.norm.ppf(1 - level) * np.sqrt(2e-4)
        shortfall = -stats.norm.pdf(stats.norm.ppf(level)) / (1 - level) * np.sqrt(2e-4)
        pairs[level] = np.full(shape, quantile), np.full(shape, shortfall)
    seconds = median_seconds(lambda: evaluate_value_at_risk(returns, spanned, sessions, pairs), 3)
    print(f"  value at risk and shortfall, two levels     {seconds:8.2f} s")
    against_simulation()


def against_statsmodels(
    returns: np.ndarray, forecasts: dict[str, np.ndarray], ours: object, seconds: float
) -> None:
    """QLIKE of one model against one baseline for a few funds, every year and to date, by OLS with HAC errors."""
    try:
        import statsmodels.api as sm
    except ImportError:
        print("  statsmodels is not installed: make bench installs it")
        return
    tests = ours.tests
    chosen = (tests["model"] == "a") & (tests["baseline"] == "ewma") & (tests["scope"] == "to_date")
    last = tests["year"].max()
    few, gap = 20, 0.0
    end = tests["observations"][chosen & (tests["year"] == last) & (tests["fund"] == 0)][0]
    start = 0.0
    for number in range(few + 1):
        if number == 1:  # the first was a warm-up
            start = time.perf_counter()
        fund = max(number - 1, 0)
        r2 = returns[1 : end + 1, fund] ** 2
        a, b = forecasts["a"][:end, fund], forecasts["ewma"][:end, fund]
        difference = np.log(a) + r2 / a - np.log(b) - r2 / b
        lags = lag_count(end, 1)
        fit = sm.OLS(difference, np.ones(end)).fit(
            cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
        )
        k = np.arange(1, lags + 1)
        correction = 1 - (1 + 2 * (1 - k / (lags + 1)) @ (1 - k / end)) / end
        mine = tests["qlike_statistic"][chosen & (tests["year"] == last) & (tests["fund"] == fund)][0]
        gap = max(gap, abs(mine - float(fit.tvalues[0]) * np.sqrt(correction)))
    spent = time.perf_counter() - start
    # As many tests of a full history; ours also has one for every year and up to its end.
    full = 2 * ((tests["scope"] == "to_date") & (tests["year"] == last)).sum()
    theirs = spent / few * full
    print(
        f"  {'statsmodels OLS with HAC':<44}{theirs:8.2f} s  {theirs / seconds:8.1f} x  largest difference {gap:.1e}"
        f" (from {few} tests, extrapolated to {full} of full history only)"
    )


def against_simulation() -> None:
    """One p-value of Z2, exact and from 100,000 simulated samples of normal returns."""
    n, probability, paths = 250, 0.025, 100_000
    quantile = stats.norm.ppf(probability)
    shortfall = -stats.norm.pdf(quantile) / probability
    observed = np.array([-0.7])

    def exact() -> np.ndarray:
        return z2_p_value(observed, np.array([n]), np.array([probability]), np.array([quantile / shortfall]))

    seconds = median_seconds(exact, 5)
    rng = np.random.default_rng(2)
    start = time.perf_counter()
    below = 0
    for _ in range(paths // 10_000):
        draws = rng.standard_normal((10_000, n))
        z2 = 1 - np.where(draws < quantile, draws / shortfall, 0.0).sum(axis=1) / (n * probability)
        below += int((z2 <= observed).sum())
    theirs = time.perf_counter() - start
    print(
        f"  one p-value of Z2: ours {seconds:.5f} s, {float(exact()[0]):.4f}; simulated {theirs:.2f} s,"
        f" {below / paths:.4f}, {theirs / seconds:.0f} x"
    )


if __name__ == "__main__":
    main()
