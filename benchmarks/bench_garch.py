"""GARCH fits of every fund: our kernels against ``arch``, in speed and in the likelihood reached.

python benchmarks/bench_garch.py            # speed, full sample and monthly refits
python benchmarks/bench_garch.py agreement [thorough|exhaustive]  # every model on every fund; takes some minutes
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from arch import arch_model
from joblib import Parallel, delayed

from etf_pipeline.core.risk.garch import MODELS, Search, Specification, fit_garch, specification, walk_forward

DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
VOLATILITY = {
    "garch": {"vol": "GARCH", "p": 1, "o": 0, "q": 1},
    "gjr": {"vol": "GARCH", "p": 1, "o": 1, "q": 1},
    "egarch": {"vol": "EGARCH", "p": 1, "o": 1, "q": 1},
}
MEAN = {"zero": "Zero", "constant": "Constant", "ar1": "AR"}
JUMP = 0.5  # vendor errors, which the quality stage would have taken out


def returns_of(frame: pd.DataFrame, price: str) -> pd.DataFrame:
    """Daily returns in percent, sessions by tickers, jumps beyond 50 % and the first bar left out."""
    wide = frame.pivot_table(index="date", columns="ticker", values=price)
    change = wide.apply(lambda p: p.dropna().pct_change())
    return 100.0 * change.where(change.abs() < JUMP)


def markets() -> dict[str, pd.DataFrame]:
    """ASX and US funds where the data is at hand, else a simulated market, by name."""
    asx, us = DATA / "asx" / "asx_prices_adj.parquet", DATA / "us" / "us_etf_ohlcv_adj_div_2026-05.parquet"
    if asx.exists() and us.exists():
        american = pd.read_parquet(us).rename(columns=str.lower)
        close = "adj_close" if "adj_close" in american else "adj close"
        return {
            "ASX": returns_of(pd.read_parquet(asx), "close"),
            "US": returns_of(american, close),
        }
    rng = np.random.default_rng(1)
    draws = pd.DataFrame(rng.standard_t(5, (2500, 60)))
    return {"SIMULATED": draws * (1.0 + draws.shift(1).abs().rolling(20).mean().fillna(1.0)) / 2.0}


def columns_of(frame: pd.DataFrame, least: int = 250) -> list[np.ndarray]:
    """The funds with enough returns, each without its NaN."""
    series = [frame[name].dropna().to_numpy() for name in frame]
    return [y for y in series if len(y) >= least and y.std() > 0]


def panel_of(series: list[np.ndarray]) -> np.ndarray:
    """(T, N) with NaN after the end of the shorter ones."""
    out = np.full((max(map(len, series)), len(series)), np.nan)
    for i, y in enumerate(series):
        out[: len(y), i] = y
    return out


def with_arch(y: np.ndarray, model: Specification) -> float:
    """Log-likelihood that ``arch`` reaches, NaN where it fails."""
    return _arch_fit(y, model)[0]


def _arch_fit(y: np.ndarray, model: Specification) -> tuple[float, bool]:
    """Log-likelihood that ``arch`` reaches within its own constraints, and whether it had left them.

    Its optimiser may end a millionth outside, where the likelihood of a persistent variance is a little higher;
    such parameters are moved to the border.
    """
    specified = arch_model(
        y,
        mean=MEAN[model.mean],
        lags=1 if model.mean == "ar1" else 0,
        dist=model.distribution,
        rescale=False,
        **VOLATILITY[model.volatility],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = specified.fit(disp="off", show_warning=False)
        except (ValueError, np.linalg.LinAlgError):
            return float("nan"), False
        inside = within_constraints(fitted.params, model)
        if inside.equals(fitted.params):
            return float(fitted.loglikelihood), False
        return float(specified.fix(inside).loglikelihood), True


def within_constraints(parameters: pd.Series, model: Specification) -> pd.Series:
    """The parameters, by ``arch``'s names, moved to the border of the constraints they violate."""
    p = parameters.copy()
    if model.volatility == "egarch":
        p["beta[1]"] = min(max(p["beta[1]"], 0.0), 1.0)
    else:
        p["omega"], p["alpha[1]"] = max(p["omega"], 0.0), max(p["alpha[1]"], 0.0)
        news = p["alpha[1]"]
        if model.volatility == "gjr":
            p["gamma[1]"] = max(p["gamma[1]"], -p["alpha[1]"])
            news += 0.5 * p["gamma[1]"]
        p["beta[1]"] = min(max(p["beta[1]"], 0.0), 1.0 - news)
    if model.distribution == "t":
        p["nu"] = min(max(p["nu"], 2.05), 500.0)
    return p


def agreement(search: Search) -> None:
    """A table: model, worst relative gap, share of funds where ours is higher."""
    for market, frame in markets().items():
        series = columns_of(frame)
        panel = panel_of(series)
        print(f"{market}: {len(series)} funds, {sum(map(len, series))} returns, {search} search")
        print(
            f"  {'model':<14} {'mean':<9} {'worst gap':>11} {'below 1e-6':>10} {'higher':>7} "
            f"{'arch outside':>12} {'arch fails':>10}"
        )
        for name in MODELS:
            for mean in MEAN:
                model = specification(name, mean)  # type: ignore[arg-type]
                ours = fit_garch(panel, model, search=search).log_likelihood
                fits = np.array(Parallel(2)(delayed(_arch_fit)(y, model) for y in series))
                theirs, moved = fits[:, 0], fits[:, 1]
                gap = (ours - theirs) / np.abs(theirs)
                print(
                    f"  {name:<14} {mean:<9} {np.nanmin(gap):11.1e} {int((gap < -1e-6).sum()):10d} "
                    f"{np.nanmean(gap > 1e-6):7.1%} {int(moved.sum()):12d} {int(np.isnan(theirs).sum()):10d}",
                    flush=True,
                )


def speed() -> None:
    """Full-sample fits, and monthly refits over ten years, against ``arch``."""
    market, frame = next(iter(markets().items()))
    series = columns_of(frame)
    panel = panel_of(series)
    print(f"full-sample fits, {market}: {len(series)} funds, {sum(map(len, series))} returns, constant mean")
    Parallel(2)(
        delayed(with_arch)(y, specification("garch_normal")) for y in series[:4]
    )  # starts the workers
    for name in MODELS:
        model = specification(name)
        fit_garch(panel[:, :2], model)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            ours = fit_garch(panel, model).log_likelihood
            seconds.append(time.perf_counter() - start)
        ours_seconds = sorted(seconds)[1]
        start = time.perf_counter()
        widest = fit_garch(panel, model, search="exhaustive").log_likelihood
        exhaustive = time.perf_counter() - start
        start = time.perf_counter()
        theirs = np.array([with_arch(y, model) for y in series])
        sequence = time.perf_counter() - start
        start = time.perf_counter()
        Parallel(2)(delayed(with_arch)(y, model) for y in series)
        parallel = time.perf_counter() - start
        gap, least = (ours - theirs) / np.abs(theirs), (widest - theirs) / np.abs(theirs)
        print(
            f"  {name:<14} ours {ours_seconds:6.3f} s  arch {sequence:6.2f} s {sequence / ours_seconds:6.1f} x  "
            f"arch, joblib {parallel:6.2f} s {parallel / ours_seconds:6.1f} x  worst gap {np.nanmin(gap):8.1e}  "
            f"below {int((gap < -1e-6).sum())}  higher {np.nanmean(gap > 1e-6):.0%};  exhaustive {exhaustive:6.3f} s "
            f"{sequence / exhaustive:5.1f} x, below {int((least < -1e-6).sum())}",
            flush=True,
        )
    refits(frame)


def refits(frame: pd.DataFrame, years: int = 10, sample: int = 60) -> None:
    """Monthly refits on 1,000 sessions over the last ten years; arch on a stated sample of them, extrapolated."""
    recent = frame.iloc[-(252 * years + 1000) :]
    recent = recent.loc[:, recent.notna().sum() >= 250]
    days = pd.DatetimeIndex(recent.index).to_numpy().astype("datetime64[D]")
    returns = recent.to_numpy() / 100.0
    spanned = np.where(np.isnan(returns), 0, 1)
    print(f"monthly refits over {years} years, {returns.shape[1]} funds, window 1000, forecasts each day")
    rng = np.random.default_rng(0)
    for name in ("garch_normal", "gjr_normal", "garch_t", "gjr_t"):
        walk_forward(returns[:900, :2], spanned[:900, :2], days[:900], models=(name,))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            history = walk_forward(returns, spanned, days, models=(name,))
            times.append(time.perf_counter() - start)
        ours = sorted(times)[1]
        fits = np.argwhere(np.isfinite(history.log_likelihood[:, :, 0]))
        gaps, spent = [], 0.0
        for r, i in fits[rng.choice(len(fits), sample, replace=False)]:
            row = history.refit_rows[r]
            window = returns[max(0, row - 999) : row + 1, i]
            y = 100.0 * window[~np.isnan(window)]
            model = specification(name)
            start = time.perf_counter()
            with_arch(y, model)
            spent += time.perf_counter() - start
            fresh = fit_garch((y / np.sqrt((y**2).mean()))[:, None], model, search="exhaustive")
            best = fresh.log_likelihood[0] - len(y) * np.log(np.sqrt(((y / 100.0) ** 2).mean()))
            gaps.append((history.log_likelihood[r, i, 0] - best) / abs(best))
        theirs = spent / sample * len(fits)
        print(
            f"  {name:<14} {len(fits)} fits: ours {ours:6.2f} s  arch {theirs:7.0f} s (from {sample}) "
            f"{theirs / ours:6.0f} x  against an exhaustive fresh start: worst {min(gaps):8.1e}, median "
            f"{np.median(gaps):8.1e}, below 1e-6 {np.mean(np.array(gaps) < -1e-6):.0%}",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["agreement"]:
        agreement("thorough" if sys.argv[2:] == ["thorough"] else "exhaustive")
    else:
        speed()
