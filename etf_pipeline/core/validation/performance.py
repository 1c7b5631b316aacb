"""What an account earned, risked and paid, by calendar year and to date."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from etf_pipeline.core.validation.annual_performance import annual_return as compound
from etf_pipeline.core.validation.backtest.account import Account
from etf_pipeline.core.validation.periods import SCOPES, complete_years

SESSIONS_A_YEAR = 252
MIN_SESSIONS = 60
"""Below which nothing is annualised: a year that the account hardly saw says nothing about a year."""


def performance(
    account: Account,
    sessions: np.ndarray,
    benchmark: np.ndarray,
    deposit: np.ndarray,
    scenarios: Mapping[str, np.ndarray] | None = None,
    *,
    counts: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Figures of one account for each year that is over, and from its beginning to the end of each.

    Parameters
    ----------
    account : of D sessions, from row ``account.first`` of ``sessions`` on.
    sessions : (S,) datetime64[D].
    benchmark : (S,) float64, daily net returns of what it is held against; NaN before it began.
    deposit : (S,) float64, what cash earned, which Sharpe and Sortino ratios are in excess of.
    scenarios : name -> (S,) net returns of the same strategy at other costs; each adds a column
        ``annual_return_<name>``.
    counts : (S,) bool, sessions that count; all if None.

    Returns
    -------
    Column -> (P,) arrays, P = 2 for each complete year with a session of the account. Returns, deviations and costs are
    fractions a year (252 sessions); NaN with fewer than 60 sessions, and where a ratio's denominator is zero.
    Comparisons use the sessions on which the benchmark has a return.

    Notes
    -----
    ``turnover`` is one-sided: half of what was traded, over the account's value. Cutting the history leaves the years
    before the cut as they are.
    """
    years = complete_years(sessions)
    size = len(sessions)

    def on_axis(values: np.ndarray) -> np.ndarray:
        out = np.full(size, np.nan)
        out[account.first :] = values
        return out

    start = account.item("start")
    items = {
        name: on_axis(account.item(name) / start)
        for name in ("spread_cost", "impact_cost", "income", "haircut")
    }
    items["traded"] = on_axis(0.5 * account.item("traded") / start)
    end = account.item("end")
    state = {
        "funds": on_axis(account.item("funds")),
        "cash_share": on_axis(account.item("cash") / np.where(end > 0, end, np.nan)),
        "largest_weight": on_axis(account.item("largest_weight")),
    }
    net, gross = on_axis(account.net_return), on_axis(account.gross_return)
    month = np.asarray(sessions, dtype="datetime64[M]").astype(np.int64)
    rows = []
    for p in range(len(years.year)):
        for scope in SCOPES:
            begin = max(account.first, int(years.begin[p]) if scope == "year" else 0)
            until = int(years.end[p])
            if until <= begin:
                continue
            span = np.arange(begin, until)
            span = span if counts is None else span[counts[begin:until]]
            if not len(span):
                continue
            row: dict[str, object] = {
                "year": int(years.year[p]),
                "scope": str(scope),
                "sessions": len(span),
            }
            row |= _earned(net[span], gross[span], deposit[span], month[span])
            row |= _compared(net[span], benchmark[span])
            row |= {f"{name}_annual": _mean(values[span]) * SESSIONS_A_YEAR for name, values in items.items()}
            row |= {f"average_{name}": _mean(values[span]) for name, values in state.items()}
            for name, values in (scenarios or {}).items():
                row[f"annual_return_{name}"] = annual_return(values[span])
            rows.append(row)
    names = list(rows[0]) if rows else []
    return {name: np.array([row[name] for row in rows]) for name in names}


def annual_return(returns: np.ndarray) -> float:
    """Compound return a year of daily returns without NaN; NaN with fewer than 60, or where one is missing."""
    if len(returns) < MIN_SESSIONS or not np.isfinite(returns).all():
        return float("nan")
    return float(compound(returns, SESSIONS_A_YEAR)[0])


def maximum_drawdown(returns: np.ndarray) -> float:
    """Largest fall from a peak, as a negative fraction; the beginning counts as a peak. NaN for no return."""
    if not len(returns):
        return float("nan")
    value = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    return float((value / np.maximum.accumulate(value) - 1.0).min())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) >= MIN_SESSIONS else float("nan")


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 1e-12 else float("nan")


def _earned(net: np.ndarray, gross: np.ndarray, deposit: np.ndarray, month: np.ndarray) -> dict[str, float]:
    enough = len(net) >= MIN_SESSIONS
    excess = net - deposit
    deviation = float(net.std(ddof=1)) if enough else float("nan")
    below = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2))) if enough else float("nan")
    mean = float(excess.mean()) if enough else float("nan")
    root = float(np.sqrt(SESSIONS_A_YEAR))
    grown = np.log1p(net)
    _, which = np.unique(month, return_inverse=True)
    monthly = np.expm1(np.bincount(which, weights=grown))
    fall = maximum_drawdown(net)
    return {
        "annual_return": annual_return(net),
        "gross_annual_return": annual_return(gross),
        "cash_annual_return": annual_return(deposit),
        "volatility_annualised": deviation * root,
        "sharpe": _ratio(mean, deviation) * root,
        "sortino": _ratio(mean, below) * root,
        "maximum_drawdown": fall,
        "calmar": _ratio(annual_return(net), -fall),
        "value_at_risk_95": float(-np.quantile(net, 0.05)) if enough else float("nan"),
        "worst_session": float(net.min()),
        "worst_month": float(monthly.min()),
        "positive_months": float((monthly > 0).mean()),
    }


def _compared(net: np.ndarray, benchmark: np.ndarray) -> dict[str, float]:
    both = np.isfinite(benchmark)
    own, other = net[both], benchmark[both]
    names = ("benchmark_annual_return", "excess_annual_return", "tracking_error", "information_ratio", "beta")
    if both.sum() < MIN_SESSIONS:
        return dict.fromkeys(names, float("nan"))
    active = own - other
    error = float(active.std(ddof=1))
    variance = float(other.var())
    return {
        "benchmark_annual_return": annual_return(other),
        "excess_annual_return": annual_return(own) - annual_return(other),
        "tracking_error": error * float(np.sqrt(SESSIONS_A_YEAR)),
        "information_ratio": _ratio(float(active.mean()), error) * float(np.sqrt(SESSIONS_A_YEAR)),
        "beta": _ratio(float(((own - own.mean()) * (other - other.mean())).mean()), variance),
    }
