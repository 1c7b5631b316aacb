"""What funds of given loadings earn on a path of factor moves, and which factor earned it.

A fund's return of one session is ``loadings @ moves``, as the regression that gave the loadings has it; sessions compound.
That a fund holds its loadings by the day is what leveraged and inverse funds do, and what makes the loss of a path bounded:
a session loses at most everything (a fund without recourse cannot lose more), and a lost fund stays lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.path_loss_kernels import compound


@dataclass(frozen=True)
class PathLoss:
    """Of N funds on one path.

    Attributes
    ----------
    total_return : (N,) float64, simple, at least -1; NaN where a loading is.
    contribution : (N, K) float64, what each factor earned on one unit invested at the start: summed over sessions, the
        value at the session's start times loading times move. They add up to ``total_return``.
    sensitivity : (N, K) float64, derivative of the log return to each loading, for the error of estimated loadings: zero
        where everything is lost.
    """

    total_return: np.ndarray
    contribution: np.ndarray
    sensitivity: np.ndarray


def path_loss(
    loadings: np.ndarray, path: np.ndarray, *, repeat: int = 1, convexity: np.ndarray | None = None
) -> PathLoss:
    """Compound one session after the other.

    Parameters
    ----------
    loadings : (N, K) float64, return of a session for a move of one unit; NaN: a fund without exposures.
    path : (D, K) float64 without NaN, moves of each session; with ``repeat`` (1, K), for every session the same.
    repeat : sessions the one row of ``path`` stands for, in closed form.
    convexity : (N, K) float64 or None, second derivative of the price to the whole move, as a fraction of the price: of
        a bond C / 10,000, with its convexity C in years squared and its yield in percentage points. NaN: not known, the
        path stays linear by the session. Of n equal sessions compounding gives ``(1 - 1/n) loading**2`` by itself, which
        is what a zero-coupon bond has; what is wanting, times half the squared move, is spread over the sessions.

    Returns
    -------
    PathLoss.

    Raises
    ------
    ValueError : shapes that do not fit, a NaN on the path, or ``repeat`` with more than one row.
    """
    b = np.asarray(loadings, dtype=np.float64)
    f = np.asarray(path, dtype=np.float64)
    if b.ndim != 2 or f.ndim != 2 or b.shape[1] != f.shape[1] or not len(f):
        raise ValueError(f"loadings (N, K) and a path (D, K) are needed, not {b.shape} and {f.shape}")
    if np.isnan(f).any():
        raise ValueError("the path has a NaN: fill it by conditional_moves first")
    if repeat < 1 or (repeat > 1 and len(f) != 1):
        raise ValueError(f"repeat ({repeat}) is for a path of one row, not {len(f)}")
    if convexity is not None and convexity.shape != b.shape:
        raise ValueError(f"convexity has shape {convexity.shape} beside loadings {b.shape}")
    sessions = len(f) if repeat == 1 else repeat
    bend = np.zeros_like(b)
    if convexity is not None:
        wanting = convexity - (1.0 - 1.0 / sessions) * b * b
        bend = np.where(np.isnan(convexity), 0.0, 0.5 * wanting * (f.sum(axis=0) * repeat) ** 2 / sessions)
    if len(f) == 1:
        return _constant(b, f[0], bend, sessions)
    return _varying(b, f, bend)


def _constant(b: np.ndarray, f: np.ndarray, bend: np.ndarray, sessions: int) -> PathLoss:
    """The same move ``sessions`` times: a geometric sum."""
    part = b * f + bend
    r = part.sum(axis=1)
    floor = r <= -1.0
    part = np.where(floor[:, None], -part / np.where(floor, r, 1.0)[:, None], part)
    r = np.where(floor, -1.0, r)
    small = np.abs(r) * sessions < 1e-8
    with np.errstate(divide="ignore"):
        total = np.expm1(sessions * np.log1p(r))
    # Sum over sessions of the value at their start; its limit where the session's return is all but zero.
    value = np.where(small, sessions, total / np.where(small, 1.0, r))
    contribution = part * value[:, None]
    sensitivity = np.where(floor[:, None], 0.0, sessions * f / np.where(floor, 1.0, 1.0 + r)[:, None])
    total = np.where(small, contribution.sum(axis=1), total)
    sensitivity[np.isnan(total)] = np.nan
    return PathLoss(total, contribution, sensitivity)


def _varying(b: np.ndarray, f: np.ndarray, bend: np.ndarray) -> PathLoss:
    """Sessions that differ, fund by fund."""
    total, contribution, sensitivity = np.empty(len(b)), np.empty(b.shape), np.empty(b.shape)
    compound(np.ascontiguousarray(b), np.ascontiguousarray(f), bend, total, contribution, sensitivity)
    return PathLoss(total, contribution, sensitivity)
