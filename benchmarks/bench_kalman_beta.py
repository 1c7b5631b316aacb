"""Kalman beta by maximum likelihood: our kernels against statsmodels' state space, and all betas together."""

from __future__ import annotations

import time

import numpy as np
from bench_rolling_beta import market, median_seconds

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.parallel import workers
from etf_pipeline.core.risk.beta import downside_beta, ewma_beta, hac_standard_error, rolling_beta
from etf_pipeline.core.risk.class_benchmark import class_return
from etf_pipeline.core.risk.dimson_beta import dimson_beta
from etf_pipeline.core.risk.kalman_beta import kalman_beta
from etf_pipeline.core.risk.shrunk_beta import shrunk_beta

STEP = 0.03  # of beta, a session


def moving_market() -> tuple[np.ndarray, np.ndarray]:
    """``market`` with betas that walk, so that the likelihood's maximum lies inside: returns (S, N) and (S,)."""
    r, m = market()
    walk = np.cumsum(np.random.default_rng(2).normal(0, STEP, r.shape), axis=0)
    return r + walk * m[:, None], m


def calendar(sessions: int) -> np.ndarray:
    """As many weekdays."""
    days = np.busday_offset("2008-01-02", np.arange(sessions), roll="forward")
    return days.astype("datetime64[D]")


def against_statsmodels(r: np.ndarray, m: np.ndarray, few: int = 4) -> None:
    """Full-sample fits: seconds, ratio, and whose likelihood is higher."""
    spanned, market_spanned = np.ones(r.shape, dtype=np.int64), np.ones(len(m), dtype=np.int64)
    last = np.array([len(m) - 1])

    def ours() -> np.ndarray:
        panel = kalman_beta(r, spanned, m, market_spanned, last, window=len(m))
        return np.stack([panel.observation_variance[0], panel.state_variance[0], panel.log_likelihood[0]])

    base = median_seconds(ours, 3)
    found = ours()
    print(f"Kalman beta, one fit on {r.shape[0]} sessions for each of {r.shape[1]} funds (simulated)")
    print(f"  {'ours':<34}{base:9.3f} s")
    try:
        from statsmodels.tsa.statespace.mlemodel import MLEModel
    except ImportError:
        print("  statsmodels is not installed: make bench installs it")
        return

    class RandomWalkRegression(MLEModel):
        param_names = ("log observation variance", "log state variance")

        def __init__(self, y: np.ndarray, x: np.ndarray) -> None:
            super().__init__(y, k_states=1)
            self["design"] = x[None, None, :]
            self["transition", 0, 0] = self["selection", 0, 0] = 1.0
            self.ssm.initialize("diffuse")

        @property
        def start_params(self) -> np.ndarray:
            y, x = self.endog[:, 0], self["design"][0, 0]
            residual = np.var(y - (x @ y) / (x @ x) * x)
            return np.log([residual, 1e-3 * residual / np.var(x)])

        def update(self, params: np.ndarray, **kwargs: object) -> None:
            params = super().update(params, **kwargs)
            self["obs_cov", 0, 0], self["state_cov", 0, 0] = np.exp(np.clip(params, -60, 60))

    x = m - m.mean()
    higher = gap = 0.0
    start = time.perf_counter()
    fits = []
    for j in range(few):
        model = RandomWalkRegression(r[:, j] - r[:, j].mean(), x)
        fits.append((model, model.fit(disp=0, cov_type="none")))
    seconds = (time.perf_counter() - start) * r.shape[1] / few
    for j, (model, fit) in enumerate(fits):
        higher = max(higher, fit.llf - found[2, j])
        gap = max(gap, abs(model.loglike(np.log(found[:2, j])) - found[2, j]))
    print(
        f"  {'statsmodels MLEModel, L-BFGS':<34}{seconds:9.3f} s  {seconds / base:8.1f} x"
        f"  (from {few} funds, extrapolated)"
    )
    print(
        f"  log-likelihood: largest difference at our optimum {gap:.1e}, theirs higher by at most {higher:.1e}"
    )


def coverage() -> None:
    """Share of the path inside the 95 % interval of the walk-forward filter."""
    print("coverage of the filtered beta's 95 % interval, 200 paths, monthly refits on 756 sessions")
    for step in (0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
        rng = np.random.default_rng(3)
        x = rng.normal(0, 0.01, (1260, 200))
        beta = 1 + np.cumsum(rng.normal(0, step, x.shape), axis=0)
        y = beta * x + rng.normal(0, 0.008, x.shape)
        ones = np.ones(x.shape, dtype=np.int64)
        panel = kalman_beta(y, ones, x, ones, np.arange(756, 1260, 21))
        inside = np.abs(panel.beta - beta)[756:] < 1.96 * panel.standard_error[756:]
        print(
            f"  beta step {step:6.3f} a session: {inside.mean():6.1%}"
            f"   state variance estimated as zero: {(panel.state_variance == 0).mean():6.1%}"
        )


def all_betas(r: np.ndarray, m: np.ndarray) -> None:
    """Seconds of each estimator and together."""
    spanned = np.ones(r.shape, dtype=np.int64)
    panels = r, spanned, m, np.ones(len(m), dtype=np.int64)
    refits = month_starts(calendar(len(m)))
    classes = np.arange(r.shape[1]) % 12
    rolling = rolling_beta(*panels)
    error = hac_standard_error(*panels)
    work = {
        "rolling": lambda: rolling_beta(*panels),
        "Newey-West error": lambda: hac_standard_error(*panels),
        "exponentially weighted": lambda: ewma_beta(*panels),
        "static": lambda: ewma_beta(*panels, half_life=np.inf),
        "downside": lambda: downside_beta(*panels),
        "Dimson, one lag": lambda: dimson_beta(*panels),
        f"Kalman, {len(refits)} monthly refits": lambda: kalman_beta(*panels, refits),
        "shrunk": lambda: shrunk_beta(rolling.beta, error, classes),
        "class benchmark": lambda: class_return(r, spanned, spanned > 0, classes),
    }
    print(f"all betas, {r.shape[0]} sessions x {r.shape[1]} funds (simulated), {workers()} threads")
    total = np.zeros(2)
    for name, run in work.items():
        run()
        before = np.array([time.perf_counter(), time.process_time()])
        run()
        passed = np.array([time.perf_counter(), time.process_time()]) - before
        total += passed
        print(f"  {name:<34}{passed[0]:9.3f} s  {passed[1]:9.3f} s of processor time")
    print(f"  {'together':<34}{total[0]:9.3f} s  {total[1]:9.3f} s of processor time")


def main() -> None:
    """Print everything."""
    r, m = moving_market()
    against_statsmodels(r, m)
    all_betas(r, m)
    coverage()


if __name__ == "__main__":
    main()
