"""Whether an overlay is served: only while what it gained on the baseline in the past is too much for chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability

DECISIONS = ("waiting", "refused", "admitted", "kept", "withdrawn")
"""waiting: too short a history. The overlay is served where admitted or kept, the baseline elsewhere."""


@dataclass(frozen=True)
class GateDecisions:
    """One decision a date. D dates.

    Attributes
    ----------
    overlay : its name.
    decided : (D,) datetime64[D], sessions at whose close each was taken.
    served : (D,) bool, whether the overlay is served from then on, until the next decision.
    decision : (D,) object, of ``DECISIONS``.
    p_value : (D,) float64, consistent p-value of Hansen's test on the history to date; NaN while waiting and where
        overlay and baseline never differed.
    mean_gain : (D,) float64, of overlay less baseline, in the unit of the performance; NaN without a period.
    observations : (D,) int32, periods whose performance was known before.
    differing : (D,) int32, of them those in which overlay and baseline were not the same.
    reason : (D,) object, the decision in words.
    """

    overlay: str
    decided: np.ndarray
    served: np.ndarray
    decision: np.ndarray
    p_value: np.ndarray
    mean_gain: np.ndarray
    observations: np.ndarray
    differing: np.ndarray
    reason: np.ndarray


def served_on(decisions: pd.DataFrame, overlay: str, sessions: np.ndarray) -> np.ndarray:
    """Whether an overlay is served on each session, by the last decision up to its close.

    Parameters
    ----------
    decisions : columns overlay, session (of the decision) and served, in any order, of any overlays.
    overlay : which one; one without decisions is not served.
    sessions : (S,) datetime64.

    Returns
    -------
    (S,) bool, False before the first decision.
    """
    own = decisions[decisions["overlay"] == overlay].sort_values("session")
    decided = own["session"].to_numpy(dtype="datetime64[D]")
    last = np.searchsorted(decided, np.asarray(sessions, dtype="datetime64[D]"), side="right") - 1
    # Position -1, before the first decision, is the False put at the end.
    return np.append(own["served"].to_numpy(dtype=bool), False)[last]


def mean_known_before(gain: np.ndarray, known: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """(D,) float64: mean of the gains known before each date, missing ones left out; NaN without any.

    Parameters
    ----------
    gain : (M,) float64; known : (M,) datetime64, ascending; decided : (D,) datetime64.
    """
    there = np.isfinite(gain)
    count = np.searchsorted(known[there], decided)
    total = np.concatenate([[0.0], np.cumsum(gain[there])])[count]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def ablation_gate(
    candidate: np.ndarray,
    baseline: np.ndarray,
    known: np.ndarray,
    decided: np.ndarray,
    *,
    overlay: str,
    measure: str = "performance",
    admit_below: float = 0.02,
    keep_below: float = 0.10,
    min_observations: int = 36,
    replications: int = 5_000,
    seed: int = 0,
) -> GateDecisions:
    """Decide, date by date, whether an overlay has earned its place.

    Parameters
    ----------
    candidate, baseline : (M,) float64, performance of the system with and without the overlay in each period,
        higher is better, in order of time; periods in which either is NaN do not count.
    known : (M,) datetime64[D], ascending: the session at whose close each performance was known.
    decided : (D,) datetime64[D], ascending: dates to decide on. A decision uses what was known before its date.
    overlay : name of the overlay; measure : name of the performance, for the reasons given.
    admit_below, keep_below : the overlay is admitted once its p-value is below the first, and served until
        it is no longer below the second.
    min_observations : periods needed in which overlay and baseline differ.
    replications, seed : of the bootstrap.

    Returns
    -------
    GateDecisions.

    Raises
    ------
    ValueError : arrays of different lengths, dates out of order, bounds that are not 0 < admit <= keep < 1.

    Notes
    -----
    The test is Hansen's (2005) on the whole history to date. To test every month is to test often: with one
    bound of 0.10, a worthless overlay decided on monthly from the third to the fifteenth year is admitted at some time
    in 36 to 41 % of histories and changes sides two or three times in each. A bound on each look that is lower than the
    rate wanted for all looks together spends that rate over time (Pocock 1977, Biometrika 64, 191-199; Lan and DeMets
    1983, 70, 659-663); a constant bound spends it evenly in the logarithm of the history's length. With 0.02, 10 to
    14 % of worthless overlays are ever admitted, and 2.5 % are served at the end (200 histories without and with
    autocorrelation; see the tests). Once admitted, the overlay stays while it passes at ``keep_below``: no
    session is served by an overlay that does not pass, and it does not flicker. The price is power: an overlay that
    gains a fifth of a standard deviation a month is served after 15 years in 81 % of histories.
    """
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    when = np.asarray(known, dtype="datetime64[D]")
    dates = np.asarray(decided, dtype="datetime64[D]")
    if not new.shape == old.shape == when.shape or new.ndim != 1:
        raise ValueError(
            f"{overlay}: {new.shape}, {old.shape} and {when.shape} periods, must be the same (M,)"
        )
    if (np.diff(when) < np.timedelta64(0, "D")).any() or (np.diff(dates) <= np.timedelta64(0, "D")).any():
        raise ValueError(f"{overlay}: periods and decisions must be in order of time")
    if not 0.0 < admit_below <= keep_below < 1.0:
        raise ValueError(
            f"{overlay}: 0 < admit_below ({admit_below}) <= keep_below ({keep_below}) < 1 must hold"
        )
    counted = np.isfinite(new) & np.isfinite(old)
    gain, when = (new - old)[counted], when[counted]
    observations = np.searchsorted(when, dates).astype(np.int32)
    differing = np.concatenate([[0], np.cumsum(gain != 0.0)])[observations].astype(np.int32)
    p_value, mean_gain = np.full(len(dates), np.nan), mean_known_before(gain, when, dates)
    tested: dict[int, float] = {}
    for i, count in enumerate(observations.tolist()):
        if differing[i] >= max(min_observations, 3):
            if count not in tested:
                tested[count] = superior_predictive_ability(
                    gain[:count], replications=replications, seed=seed
                ).consistent
            p_value[i] = tested[count]
    decision = np.array([*_decide(p_value, mean_gain, differing, min_observations, admit_below, keep_below)])
    served = np.isin(decision, ("admitted", "kept"))
    since = np.maximum.accumulate(np.where(decision == "admitted", np.arange(len(dates)), 0))
    reason = np.array(
        [
            _reason(
                overlay, measure, str(decision[i]), p_value[i], mean_gain[i], int(observations[i]),
                int(differing[i]), str(dates[since[i]]), admit_below, keep_below, min_observations,
            )
            for i in range(len(dates))
        ],
        dtype=object,
    )  # fmt: skip
    return GateDecisions(
        overlay,
        dates,
        served,
        decision.astype(object),
        p_value,
        mean_gain,
        observations,
        differing,
        reason,
    )


def _decide(
    p_value: np.ndarray,
    mean_gain: np.ndarray,
    differing: np.ndarray,
    min_observations: int,
    admit_below: float,
    keep_below: float,
) -> Iterator[str]:
    serving = False
    for p, gain, count in zip(p_value, mean_gain, differing, strict=True):
        if count < min_observations:
            yield "waiting"
            continue
        passes = gain > 0 and p < (keep_below if serving else admit_below)
        yield ("kept" if serving else "admitted") if passes else ("withdrawn" if serving else "refused")
        serving = passes


def _reason(
    overlay: str,
    measure: str,
    decision: str,
    p: float,
    gain: float,
    observations: int,
    differing: int,
    since: str,
    admit_below: float,
    keep_below: float,
    min_observations: int,
) -> str:
    """The decision in a sentence with its evidence."""
    if decision == "waiting":
        return (
            f"{overlay} not served: it has differed from the baseline in {differing} of {observations} months "
            f"of past performance, and {min_observations} are needed"
        )
    evidence = (
        f"mean gain in {measure} {gain:+.4f} a month over {observations} months, p {p:.3f} by Hansen's test"
    )
    if decision == "admitted":
        return f"{overlay} served: {evidence}, below the {admit_below:g} that admission takes"
    if decision == "kept":
        return f"{overlay} served since {since}: {evidence}, still below {keep_below:g}"
    if decision == "withdrawn":
        return f"{overlay} no longer served: {evidence}, not below {keep_below:g} any more"
    if not gain > 0:
        return f"{overlay} not served: no better than the baseline, {evidence}"
    return f"{overlay} not served: {evidence}, not below the {admit_below:g} that admission takes"
