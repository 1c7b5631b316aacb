"""How much of a record luck explains, year by year: over all trials, and for each strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.validation.effective_trials import effective_trials, trial_correlation
from etf_pipeline.core.validation.factor_alpha import factor_alphas
from etf_pipeline.core.validation.overfitting import probability_of_backtest_overfitting
from etf_pipeline.core.validation.sharpe_difference import sharpe_difference, sharpe_inference
from etf_pipeline.core.validation.sharpe_ratio import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_estimates,
    sharpe_ratio,
    years_to_detect,
)
from etf_pipeline.core.validation.step_m import step_m
from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability

MONTHS_A_YEAR = 12.0
SESSIONS_A_YEAR = 252.0
MIN_MONTHS = 36
"""Before which trials are not judged."""
BLOCKS = 16
REPLICATIONS = 2_000


@dataclass(frozen=True)
class TrialCount:
    """How many independent trials there are, by their returns over one yardstick.

    Attributes
    ----------
    number : the largest of the three that follow, which errs against the best trial.
    clusters : of trials; participation : by the eigenvalues of their correlations; implied : ``r + (1 - r) K`` with r the
        mean correlation of K trials (Bailey and Lopez de Prado 2014, appendix 3).
    variance : of Sharpe ratios per month, the larger of that between clusters and that between all trials: clusters of a
        grid may lie closer together than what is in them. NaN with fewer than two trials.
    """

    number: float
    clusters: float
    participation: float
    implied: float
    variance: float


def count_trials(gain: np.ndarray, others: int = 0) -> TrialCount:
    """Independent trials among K, and how their Sharpe ratios differ.

    Parameters
    ----------
    gain : (M, K) float64 without NaN, monthly returns over the yardstick's.
    others : trials that cannot be compared with these, by their dates: taken to be as independent as they are.
    """
    found = effective_trials(gain, min_overlap=MIN_MONTHS // 2)
    count = gain.shape[1]
    if count < 2:
        return TrialCount(1.0, 1.0, 1.0, 1.0, float("nan"))
    correlation, _ = trial_correlation(gain, min_overlap=MIN_MONTHS // 2)
    mean = max(0.0, float(correlation.sum() - count) / (count * (count - 1)))
    implied = mean + (1.0 - mean) * count
    between = float(np.nanvar(sharpe_ratio(gain), ddof=1))
    return TrialCount(
        max(float(found.number), found.participation, implied) * (count + others) / count,
        float(found.number),
        found.participation,
        implied,
        float(np.fmax(found.sharpe_variance, between)),
    )


def compared_months(monthly: np.ndarray, yardsticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M,) months and (K,) trials that are judged, and the months that all of these have.

    Judged are trials with 36 months and a return in the last month that any trial has: what was tried under other
    settings and is not run any more would freeze the record where it stopped. It still counts (``count_trials``).
    """
    there = np.isfinite(monthly)
    newest = np.flatnonzero(there.any(axis=1))
    enough = there.sum(axis=0) >= MIN_MONTHS
    if len(newest):
        enough &= there[newest[-1]]
    complete = np.isfinite(monthly[:, enough]).all(axis=1) & np.isfinite(yardsticks).all(axis=1)
    return complete, enough


def judge_trials(
    monthly: np.ndarray, yardsticks: Mapping[str, np.ndarray], *, seed: int = 0
) -> tuple[dict[str, float], dict[str, TrialCount]]:
    """Overfitting and superiority of K trials, and how many they are against each yardstick.

    Parameters
    ----------
    monthly : (M, K) float64, returns of the trials, NaN where there is none (``compared_months``).
    yardsticks : name -> (M,) float64, "cash" and "benchmark" among them.
    seed : of the resamples.

    Returns
    -------
    figures : columns of the table ``validation.overfitting`` but year and session: overfitting by Sharpe ratios over cash,
        superiority and number of trials over the market fund. NaN with fewer than 36 months or two trials.
    counts : yardstick -> TrialCount; empty where there are too few.
    """
    nan = float("nan")
    out = {
        "trials": float(np.isfinite(monthly).any(axis=0).sum()), "months": 0.0,
        "effective_trials": nan, "cluster_trials": nan,
        "participation_trials": nan, "implied_trials": nan,
        "splits": 0.0, "probability_of_overfitting": nan, "degradation_slope": nan, "probability_of_loss": nan,
        "spa_p_value": nan, "spa_lower_p_value": nan, "spa_upper_p_value": nan, "step_m_rejections": 0.0,
    }  # fmt: skip
    months, trials = compared_months(monthly, np.column_stack(list(yardsticks.values())))
    if trials.sum() < 2 or months.sum() < MIN_MONTHS:
        return out, {}
    own = monthly[months][:, trials]
    gains = {name: own - yard[months, None] for name, yard in yardsticks.items()}
    others = int(out["trials"]) - int(trials.sum())
    counts = {name: count_trials(gain, max(0, others)) for name, gain in gains.items()}
    out["months"] = float(months.sum())
    out["effective_trials"] = counts["benchmark"].number
    out["cluster_trials"] = counts["benchmark"].clusters
    out["participation_trials"] = counts["benchmark"].participation
    out["implied_trials"] = counts["benchmark"].implied
    split = probability_of_backtest_overfitting(gains["cash"], blocks=BLOCKS)
    out["splits"] = float(len(split.logit))
    out["probability_of_overfitting"] = split.probability
    out["degradation_slope"] = split.slope
    out["probability_of_loss"] = split.probability_of_loss
    gain = gains["benchmark"]
    test = superior_predictive_ability(gain, replications=REPLICATIONS, seed=seed)
    out["spa_p_value"], out["spa_lower_p_value"], out["spa_upper_p_value"] = (
        test.consistent,
        test.lower,
        test.upper,
    )
    named = step_m(gain, block_length=test.block_length, replications=REPLICATIONS, seed=seed)
    out["step_m_rejections"] = float(named.superior.sum())
    return out, counts


def judge_strategies(
    returns: Mapping[str, np.ndarray],
    yardsticks: Mapping[str, np.ndarray],
    cash: np.ndarray,
    trials: int,
    counts: Mapping[str, TrialCount],
    *,
    seed: int = 0,
) -> list[dict[str, object]]:
    """Every strategy against every yardstick, with the trials counted.

    Parameters
    ----------
    returns : strategy -> (T,) daily net returns; yardsticks : name -> the same of what it is held against, the market fund
        as "benchmark".
    cash : (T,) daily return of cash, which is a yardstick itself.
    trials : in the ledger; counts : yardstick -> how many of them are independent (``judge_trials``).
    seed : of the resamples.

    Returns
    -------
    Rows of ``validation.significance`` but year and session. Sessions on which either is NaN do not count; a pair with
    fewer than 60 has no row.

    Notes
    -----
    The deflated ratio is that of the return over the yardstick, against the best of ``effective_trials`` worthless ones
    (Bailey and Lopez de Prado 2014), whose ratios vary as those of the trials do by the month.
    """
    rows: list[dict[str, object]] = []
    alphas = _alphas(returns, yardsticks, cash, seed)
    for name, own in returns.items():
        for against, other in {"cash": cash, **yardsticks}.items():
            both = np.isfinite(own) & np.isfinite(other)
            if both.sum() < 60:
                continue
            tried = counts.get(against)
            number = tried.number if tried else 1.0
            variance = tried.variance * MONTHS_A_YEAR / SESSIONS_A_YEAR if tried else 0.0
            active, count = own[both] - other[both], int(both.sum())
            estimate = sharpe_estimates(active)
            ratio, skew, tails = estimate.sharpe[0], estimate.skewness[0], estimate.kurtosis[0]
            luck = float(expected_maximum_sharpe(number, variance)) if tried else np.nan
            deflated = (
                float(deflated_sharpe_ratio(ratio, count, skew, tails, number, variance)) if tried else np.nan
            )
            inference = sharpe_inference(active, replications=REPLICATIONS, seed=seed)
            year = np.sqrt(SESSIONS_A_YEAR)
            row: dict[str, object] = {
                "strategy": name, "against": against, "sessions": count, "sharpe": ratio * year,
                "sharpe_standard_error": estimate.error_robust_annualised[0],
                "sharpe_lower": inference.interval[0] * year, "sharpe_upper": inference.interval[1] * year,
                "probabilistic_sharpe": float(probabilistic_sharpe_ratio(ratio, count, skew, tails)),
                "trials": trials, "effective_trials": number if tried else np.nan,
                "expected_maximum_sharpe": luck * year, "deflated_sharpe": deflated,
                "minimum_track_record_years": float(minimum_track_record_length(ratio, skew, tails)) / SESSIONS_A_YEAR,
                "years": count / SESSIONS_A_YEAR,
                "years_for_power": float(years_to_detect(ratio * year, skewness=float(skew), kurtosis=float(tails))),
                **_difference(own[both] - cash[both], other[both] - cash[both], against, seed),
                **(alphas[name] if against == "benchmark" else dict.fromkeys(ALPHA, np.nan)),
            }  # fmt: skip
            rows.append({key: _finite(value) for key, value in row.items()})
    return rows


ALPHA = ("alpha_annual", "alpha_t_value", "alpha_adjusted_p_value")


def _difference(own: np.ndarray, other: np.ndarray, against: str, seed: int) -> dict[str, float]:
    names = ("sharpe_difference", "difference_lower", "difference_upper", "difference_p_value")
    if against == "cash":
        return dict.fromkeys(names, float("nan"))
    year = float(np.sqrt(SESSIONS_A_YEAR))
    found = sharpe_difference(own, other, replications=REPLICATIONS, seed=seed)
    return dict(
        zip(
            names,
            (found.value * year, found.interval[0] * year, found.interval[1] * year, found.p_value),
            strict=True,
        )
    )


def _alphas(
    returns: Mapping[str, np.ndarray], yardsticks: Mapping[str, np.ndarray], cash: np.ndarray, seed: int
) -> dict[str, dict[str, float]]:
    market = yardsticks["benchmark"] - cash
    panel = np.column_stack([own - cash for own in returns.values()])
    found = factor_alphas(panel, market, replications=REPLICATIONS, seed=seed)
    columns = (found.alpha_annualised, found.t_value, found.p_holm)
    return {
        name: dict(zip(ALPHA, (float(column[k]) for column in columns), strict=True))
        for k, name in enumerate(returns)
    }


def _finite(value: object) -> object:
    return float("nan") if isinstance(value, float) and not np.isfinite(value) else value
