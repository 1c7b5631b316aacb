"""What each device of the score, a multiplier, a penalty, the cap, changes at the top of the ranking."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_SCORE_DECIMALS = 9  # scores nearer than this are ties, as in ``composite``


def scores_without(
    raw_score: np.ndarray,
    unadjusted_score: np.ndarray,
    points: Mapping[str, np.ndarray],
    share: np.ndarray,
    cap: float,
) -> dict[str, np.ndarray]:
    """Final scores as they would be without one device at a time.

    Parameters
    ----------
    raw_score, unadjusted_score : (S, N) float64, with and without the risk category's multipliers.
    points : penalty -> (S, N) float64, points before the category's share, NaN is 0.
    share : (S, N) float64, the category's share of the sum of the points.
    cap : per cent of the raw score that penalties take at most.

    Returns
    -------
    Device -> (S, N) float64: "multipliers", "penalties" (all of them), "penalty_cap", "penalty_share" (the category's),
    "penalty_<name>" each, and "everything" for the score by the base weights alone.
    """
    known = {name: np.nan_to_num(values) for name, values in points.items()}
    total = np.sum(list(known.values()), axis=0) if known else np.zeros(raw_score.shape)

    def left(sum_of_points: np.ndarray) -> np.ndarray:
        return 1.0 - np.minimum(sum_of_points, cap) / 100.0

    without = {
        "everything": unadjusted_score,
        "multipliers": unadjusted_score * left(total * share),
        "penalties": raw_score,
        "penalty_cap": raw_score * (1.0 - total * share / 100.0),
        "penalty_share": raw_score * left(total),
    }
    for name, values in known.items():
        without[f"penalty_{name}"] = raw_score * left((total - values) * share)
    return without


def device_effects(
    rank: np.ndarray, without: Mapping[str, np.ndarray], tickers: np.ndarray, *, top: int = 20
) -> dict[str, np.ndarray]:
    """How the top of each session's ranking differs from what it would be without each device.

    Parameters
    ----------
    rank : (S, N) int, as served, 1 is best, 0 where not ranked.
    without : device -> (S, N) float64, the scores the same funds would have without it.
    tickers : (N,) str.
    top : places that count.

    Returns
    -------
    Equally long columns, in order of device and session, a row for every session with a ranking: device, row (int64,
    session of the panel), ranked (int64), changed (int64, funds at the top that would not be there, 0 where no more
    than ``top`` are ranked), entered and displaced (tickers, by rank with and without, joined by ", "; None for none),
    moved (int64, funds with another rank), largest_move (int64, places).

    Funds with equal scores keep the order they are served in, so that a device which touches nobody changes nothing.

    Raises
    ------
    ValueError : a ranked fund without a score.
    """
    served = rank > 0
    own = np.where(served, rank, np.iinfo(np.int64).max).astype(np.int64)
    by_own = np.argsort(own, axis=1, kind="stable")
    names = np.asarray(tickers, dtype=object)
    rows = np.flatnonzero(served.any(axis=1))
    numbers = np.broadcast_to(np.arange(1, rank.shape[1] + 1), rank.shape)
    blocks = []
    for device, score in without.items():
        lost = served & np.isnan(score)
        if lost.any():
            t, j = np.argwhere(lost)[0]
            raise ValueError(f"{names[j]} is ranked at session {t} but has no score without {device}")
        key = np.where(served, -np.round(score, _SCORE_DECIMALS), np.inf)
        order = np.take_along_axis(
            by_own, np.argsort(np.take_along_axis(key, by_own, axis=1), axis=1, kind="stable"), axis=1
        )
        other = np.empty(rank.shape, dtype=np.int64)
        np.put_along_axis(other, order, numbers, axis=1)
        inside, before = served & (own <= top), served & (other <= top)
        move = np.where(served, np.abs(own - other), 0)
        blocks.append(
            {
                "device": np.full(len(rows), device, dtype=object),
                "row": rows,
                "ranked": served[rows].sum(axis=1),
                "changed": (inside & ~before)[rows].sum(axis=1),
                "entered": _named(names, inside & ~before, own, rows),
                "displaced": _named(names, before & ~inside, other, rows),
                "moved": (move > 0)[rows].sum(axis=1),
                "largest_move": move[rows].max(axis=1, initial=0),
            }
        )
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]} if blocks else {}


def _named(names: np.ndarray, which: np.ndarray, rank: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Tickers of the marked funds of each row, best first."""
    out = np.full(len(rows), None, dtype=object)
    for i, t in enumerate(rows):
        columns = np.flatnonzero(which[t])
        if len(columns):
            out[i] = ", ".join(names[columns[np.argsort(rank[t, columns])]])
    return out
