"""Scenarios as paths of factor moves: the moves of a past window, or a person's own shocks over a horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.conditional import conditional_moves, inverse_covariance
from etf_pipeline.core.attribution.stress.factors import FACTORS, IS_RETURN, RETURNS, per_session

MIN_KNOWN_SHARE = 0.5
"""Share of a window's sessions from which a factor counts as known in it."""
_LEAST = np.where(IS_RETURN, -1.0, -np.inf)


@dataclass(frozen=True)
class FactorPath:
    """What the factors do in a scenario.

    Attributes
    ----------
    moves : (D, K) float64 without NaN, by session; one row that stands for all ``sessions`` where they are equal.
    sessions : how many sessions it takes.
    uncertainty : (K, K) float64, covariance of the summed moves of factors that were not named or not observed, in
        ordinary times.
    turbulence : how much larger variances are than ordinarily, at least 1 (``turbulence``).
    """

    moves: np.ndarray
    sessions: int
    uncertainty: np.ndarray
    turbulence: float

    @property
    def repeat(self) -> int:
        """Sessions that the one row stands for; 1 where each has its own."""
        return self.sessions if len(self.moves) == 1 else 1


def hypothetical_path(
    shocks: Mapping[str, float], horizon: int, covariance: np.ndarray, *, others: str = "conditional"
) -> FactorPath:
    """Named shocks over a horizon, in equal steps.

    Parameters
    ----------
    shocks : factor to its move over the horizon, in the factor's unit (``factors.FACTORS``).
    horizon : sessions; 1 for a shock at once, to which loadings apply linearly.
    covariance : (K, K) float64, of factor moves of one session, estimated up to the session the scenario is set at.
    others : "conditional": the rest move by what the covariance expects of them given the shocks; "unchanged".

    Returns
    -------
    FactorPath of one row. An expected return below -100 % a session cannot be and is cut there.

    Raises
    ------
    ValueError : an unknown factor, no shock, a shock that is not finite or a return of -100 % and less over more than
        one session.
    """
    unknown = sorted(set(shocks) - set(FACTORS))
    if unknown or not shocks:
        raise ValueError(f"shocks to {', '.join(unknown) or 'nothing'}: the factors are {', '.join(FACTORS)}")
    named = np.array([shocks.get(name, np.nan) for name in FACTORS], dtype=np.float64)
    for name, value in shocks.items():
        if not np.isfinite(value):
            raise ValueError(f"the shock to {name} is {value}: give a finite move")
    with np.errstate(divide="ignore"):
        step = per_session(named, horizon)
    moves, uncertainty = conditional_moves(step[None], covariance, others=others)
    return FactorPath(
        np.maximum(moves, _LEAST), horizon, horizon * uncertainty[0], turbulence(step[None], covariance)
    )


def shock_to(factor: str, level: float, now: float) -> float:
    """The move that takes a factor from its level ``now`` to ``level``, both in the factor's unit.

    For rates, credit and volatility, which are levels. The VIX only rises: where it is at ``level`` or above already, the
    shock is none.

    Raises
    ------
    ValueError : a factor that compounds, or a level that is not finite.
    """
    if factor in RETURNS or factor not in FACTORS:
        allowed = ", ".join(name for name in FACTORS if name not in RETURNS)
        raise ValueError(f"a level of {factor!r} is no shock: give a move, or one of {allowed}")
    if not (np.isfinite(level) and np.isfinite(now)):
        raise ValueError(
            f"{factor} from {now} to {level}: both must be finite; the session has no observation of it"
        )
    return max(level - now, 0.0) if factor == "volatility" else level - now


def replay_path(factor_moves: np.ndarray, first: int, last: int, covariance: np.ndarray) -> FactorPath:
    """The factors' own moves of the sessions after ``first`` up to ``last``.

    Parameters
    ----------
    factor_moves : (S, K) float64, NaN where there is no observation.
    first, last : rows of the window's first and last close.
    covariance : (K, K) float64, of one session's moves.

    Returns
    -------
    FactorPath of D rows. Where a factor is known on at least half of the sessions, the others have no move of their own
    (a holiday of its market: the next move spans it). Else it is unknown (no such series then), what was observed of it
    is set aside, and it moves by expectation given the others, with its conditional variance as uncertainty.

    Raises
    ------
    ValueError : rows that are no window, or a window in which no factor is known.
    """
    if not 0 <= first < last < len(factor_moves):
        raise ValueError(f"rows {first} to {last} are no window of {len(factor_moves)} sessions")
    window = np.array(factor_moves[first + 1 : last + 1], dtype=np.float64)
    known = (~np.isnan(window)).mean(axis=0) >= MIN_KNOWN_SHARE
    if not known.any():
        raise ValueError(f"no factor is known in the window of rows {first} to {last}: nothing to replay")
    window = np.where(known, np.where(np.isnan(window), 0.0, window), np.nan)
    moves, uncertainty = conditional_moves(window, covariance)
    return FactorPath(
        np.maximum(moves, _LEAST), last - first, uncertainty.sum(axis=0), turbulence(window, covariance)
    )


def turbulence(known: np.ndarray, covariance: np.ndarray) -> float:
    """How far the factors move, against what is ordinary: the mean of ``d**2 / K``, but at least 1.

    Parameters
    ----------
    known : (D, K) float64, moves of single sessions; columns that are NaN throughout do not count.
    covariance : (K, K) float64, of ordinary sessions.

    Returns
    -------
    A factor on variances of what the factors leave open. ``d`` is the Mahalanobis distance of a session's moves, the
    turbulence of Kritzman and Li (2010), Financial Analysts Journal 66(5), 30-41. Given factors at distance d, variances
    under a multivariate Student t are ``(nu + d**2) / (nu + K)`` times the ordinary ones (Ding 2016, American
    Statistician 70, 293-295): this is its heavy-tailed end, without which intervals of quiet years do not hold in a crash.
    """
    columns = np.flatnonzero(~np.isnan(known).any(axis=0))
    if not len(columns):
        return 1.0
    x = known[:, columns]
    within = covariance[np.ix_(columns, columns)]
    distance = np.einsum("dk,kl,dl->d", x, inverse_covariance(within), x)
    return max(1.0, float(distance.mean()) / len(columns))
