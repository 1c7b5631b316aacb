"""When models are refitted, and which rows each refit may learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Folds:
    """Refits and the sessions they forecast. Q refits.

    Attributes
    ----------
    refit : (Q,) int64, sessions on whose close the models are fitted; they forecast from then to the next refit.
    learned : (Q,) int64, targets of sessions before this one are known and used: purged and embargoed.
    begin : (Q,) int64, first session that is used; one of ``edges``.
    end : (Q,) int64, first session of the next refit, or the number of sessions.
    edges : (E,) int64, 0 and what every quarter's refit would have learned up to: blocks of sessions that no later
        refit cuts otherwise, so that sums over them stay what they were.
    """

    refit: np.ndarray
    learned: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    edges: np.ndarray


def quarter_starts(sessions: np.ndarray) -> np.ndarray:
    """Rows of the first session of each calendar quarter; the first row of all is none.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending.

    Returns
    -------
    (R,) int64.
    """
    quarter = np.asarray(sessions, dtype="datetime64[M]").astype(np.int64) // 3
    return np.flatnonzero(np.diff(quarter) != 0) + 1


def quarterly_folds(
    sessions: np.ndarray, usable: np.ndarray, horizon: int, *, window: int, minimum: int, embargo: int
) -> Folds:
    """Quarterly refits on a long rolling window.

    Parameters
    ----------
    sessions : (S,) datetime64, ascending.
    usable : (S,) bool, sessions with rows to learn from.
    horizon : sessions the targets reach ahead.
    window : sessions a refit looks back at most; it begins on the next of ``edges``.
    minimum : sessions with rows that the first refit needs.
    embargo : sessions left out between the last target's end and the refit.

    Returns
    -------
    Folds. A target that begins on ``t`` is known at the close of ``t + horizon``; it is used only if that lies
    ``embargo`` or more sessions before the refit.

    Notes
    -----
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7, on purging and embargo.
    """
    starts = quarter_starts(sessions)
    learned = starts - horizon - embargo + 1
    edges = np.concatenate([[0], learned[learned > 0]])
    seen = np.concatenate([[0], np.cumsum(usable)])
    enough = (learned > 0) & (seen[np.maximum(learned, 0)] >= minimum)
    refit, learned = starts[enough], learned[enough]
    end = np.concatenate([refit[1:], [len(sessions)]])[: len(refit)].astype(np.int64)
    begin = edges[np.searchsorted(edges, learned - window)]
    return Folds(refit, learned, begin, end, edges)
