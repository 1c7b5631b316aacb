"""How signals go together, and how fast what they know grows old."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from etf_pipeline.core.market.calendar import month_starts
from etf_pipeline.core.validation.forward_return import DELAY
from etf_pipeline.core.validation.information_coefficient import rank_correlation
from etf_pipeline.core.validation.periods import SCOPES, complete_years
from etf_pipeline.core.validation.yearly_mean import yearly_means

LAGS = (0, 1, 5, 21, 63, 126, 252)


def signal_correlations(signals: Mapping[str, np.ndarray], sessions: np.ndarray) -> dict[str, np.ndarray]:
    """Mean rank correlation of every two signals across funds, by year and to date.

    Parameters
    ----------
    signals : name -> (S, N) float64, NaN where a fund is not to be judged.
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    Equally long columns, in order of the pairs, year and scope: signal, other (earlier and later in ``signals``), year
    (int32), scope, observations (int64), mean_correlation. Taken on the first session of each month: levels of signals
    hardly move within one. A row where at least one month has enough funds with both (``rank_correlation``).
    """
    years, rows = complete_years(sessions), month_starts(sessions)
    ends = np.searchsorted(rows, years.end)
    monthly = {name: np.ascontiguousarray(panel[rows]) for name, panel in signals.items()}
    pairs = list(combinations(monthly, 2))
    width = next(iter(signals.values())).shape[1]
    everyone = np.array([[0, width]], dtype=np.int64)
    series = [rank_correlation(monthly[a], monthly[b], everyone)[0] for a, b in pairs]
    means = yearly_means(np.concatenate([np.empty((0, len(rows))), *series]), ends, 1)
    k, p, s = np.nonzero(means.observations.transpose(2, 0, 1) > 0)
    named = np.array(pairs, dtype=object).reshape(-1, 2)
    return {
        "signal": named[k, 0],
        "other": named[k, 1],
        "year": years.year[p],
        "scope": SCOPES[s].astype(object),
        "observations": means.observations[p, s, k],
        "mean_correlation": means.mean[p, s, k],
    }


def signal_decay(
    signals: Mapping[str, np.ndarray],
    forward: np.ndarray,
    sessions: np.ndarray,
    horizon: int,
    *,
    lags: tuple[int, ...] = LAGS,
    delay: int = DELAY,
) -> dict[str, np.ndarray]:
    """Rank information coefficient of signals that are ``lag`` sessions old, by year and to date.

    Parameters
    ----------
    signals : name -> (S, N) float64.
    forward : (S, N) float64 of ``forward_return`` with ``horizon`` and ``delay``.
    sessions : (S,) datetime64, ascending.
    lags : sessions by which the signal is older than the one a trade could use.

    Returns
    -------
    Equally long columns, in order of signal, lag, year and scope: signal, lag and horizon (int32), year, scope,
    observations (int64, sessions), mean_ic, icir (of single sessions). All funds of all classes; a session belongs to
    the year in which its outcome was known. No p-values: lag 0 is tested by ``evaluate_signals``.
    """
    years = complete_years(sessions)
    ends = np.maximum(years.end - delay - horizon, 0)
    everyone = np.array([[0, forward.shape[1]]], dtype=np.int64)
    keys, series = [], [np.empty((0, len(forward)))]
    for name, panel in signals.items():
        for lag in lags:
            old = np.full(panel.shape, np.nan)
            old[lag:] = panel[: max(len(panel) - lag, 0)]
            series.append(rank_correlation(old, forward, everyone)[0])
            keys.append((name, lag))
    means = yearly_means(np.concatenate(series), ends, 1)
    k, p, s = np.nonzero(means.observations.transpose(2, 0, 1) > 0)
    deviation = means.standard_deviation[p, s, k]
    icir = np.full(len(k), np.nan)
    np.divide(means.mean[p, s, k], deviation, out=icir, where=deviation > 0)
    named = np.array(keys, dtype=object).reshape(-1, 2)
    return {
        "signal": named[k, 0],
        "lag": named[k, 1].astype(np.int32),
        "horizon": np.full(len(k), horizon, dtype=np.int32),
        "year": years.year[p],
        "scope": SCOPES[s].astype(object),
        "observations": means.observations[p, s, k],
        "mean_ic": means.mean[p, s, k],
        "icir": icir,
    }
