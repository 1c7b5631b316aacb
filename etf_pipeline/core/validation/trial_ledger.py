"""The ledger of trials: what counts as one, and the returns that their number is judged by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import month_starts

SPAN_SETTINGS = (
    "end", "known_at", "path", "reference_path", "reference_source", "factor_path", "factor_source", "backtest",
)  # fmt: skip
"""Settings that change what data a trial saw, or that its configuration tells already: not part of what it is."""


def ranking_hash(research_settings: Mapping[str, Any]) -> str:
    """16 hex digits of the settings that a ranking depends on, whatever the span of data."""
    return _hash({key: value for key, value in research_settings.items() if key not in SPAN_SETTINGS})


def trial_id(configuration: Mapping[str, Any], settings_hash: str) -> str:
    """16 hex digits that name a trial: the same whenever, wherever and however often it is run."""
    return _hash({"configuration": configuration, "settings": settings_hash})


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def merge_trials(
    held: pd.DataFrame, held_returns: pd.DataFrame, found: pd.DataFrame, found_returns: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ledger with new trials added: none is taken out, and one that is known keeps its first entry.

    Parameters
    ----------
    held, found : one row a trial, with ``trial_id``; the same trial may be found more than once.
    held_returns, found_returns : one row a trial and month, with ``trial_id`` and ``session``.

    Returns
    -------
    trials, returns : sorted by their keys. Of a trial found again the returns are the new ones: data may have come since.
    """
    trials = pd.concat([held, found], ignore_index=True).drop_duplicates("trial_id", keep="first")
    kept = held_returns[~held_returns["trial_id"].isin(found["trial_id"])]
    returns = pd.concat([kept, found_returns], ignore_index=True).drop_duplicates(["trial_id", "session"])
    return (
        trials.sort_values("trial_id", ignore_index=True),
        returns.sort_values(["trial_id", "session"], ignore_index=True),
    )


def monthly_returns(daily: np.ndarray, sessions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compound returns of the calendar months that are over.

    Parameters
    ----------
    daily : (S, K) float64, NaN before a series begins.
    sessions : (S,) datetime64[D], ascending.

    Returns
    -------
    known : (M,) int64, row of the first session after each month.
    monthly : (M, K) float64; of the part of the month there is; NaN for none.
    """
    starts = month_starts(np.asarray(sessions, dtype="datetime64[D]")).astype(np.int64)
    there = np.isfinite(daily)
    growth = np.log1p(np.where(there, daily, 0.0))
    sums = np.concatenate([np.zeros((1, daily.shape[1])), np.cumsum(growth, axis=0)])
    counts = np.concatenate([np.zeros((1, daily.shape[1])), np.cumsum(there, axis=0)])
    edges = np.concatenate([[0], starts[starts > 0]])
    monthly = np.expm1(sums[edges[1:]] - sums[edges[:-1]])
    return edges[1:], np.where(counts[edges[1:]] > counts[edges[:-1]], monthly, np.nan)
