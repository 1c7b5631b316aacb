"""State machine behind the risk category: thresholds with a margin, passed for a number of sessions."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def categorise(
    measures: np.ndarray,
    funds: np.ndarray,
    medium: np.ndarray,
    high: np.ndarray,
    margin: float,
    patience: np.ndarray,
    category: np.ndarray,
    raw_category: np.ndarray,
    score: np.ndarray,
    decided_by: np.ndarray,
) -> None:
    """Fill the four panels for ``funds``.

    Parameters
    ----------
    measures : (M, S, N) float64, sizes (a loss is positive), NaN where missing.
    funds : (k,) int64.
    medium, high : (M,) thresholds.
    margin : fraction of the threshold.
    patience : (3,) int64: sessions up, sessions down, stale sessions.
    category, raw_category, decided_by : (S, N) int8, written.
    score : (S, N) float64, written.
    """
    kinds, rows = measures.shape[0], measures.shape[1]
    for j in funds:
        held = 0
        ups = downs = missing = 0
        highest_held = lowest_held = 0
        for t in range(rows):
            worst = -np.inf
            decided = raw = firm = loose = 0
            for m in range(kinds):
                x = measures[m, t, j]
                if np.isnan(x):
                    decided = 0
                    break
                if x < medium[m]:
                    s = x / medium[m]
                elif x < high[m]:
                    s = 1.0 + (x - medium[m]) / (high[m] - medium[m])
                else:
                    s = 1.0 + x / high[m]
                if s > worst:
                    worst = s
                    decided = m + 1
                raw = max(raw, 1 + (x >= medium[m]) + (x >= high[m]))
                up = 1.0 + margin
                firm = max(firm, 1 + (x >= up * medium[m]) + (x >= up * high[m]))
                down = 1.0 - margin
                loose = max(loose, 1 + (x > down * medium[m]) + (x > down * high[m]))
            if decided == 0:
                missing += 1
                if missing > patience[2]:
                    held = ups = downs = 0
                category[t, j] = held
                continue
            missing = 0
            score[t, j] = worst
            decided_by[t, j] = decided
            raw_category[t, j] = raw
            if held == 0:
                held = raw
            # The run moves to the category it has been beyond throughout.
            highest_held = firm if ups == 0 else min(highest_held, firm)
            ups = ups + 1 if firm > held else 0
            lowest_held = loose if downs == 0 else max(lowest_held, loose)
            downs = downs + 1 if loose < held else 0
            if ups >= patience[0]:
                held = highest_held
                ups = 0
            elif downs >= patience[1]:
                held = lowest_held
                downs = 0
            category[t, j] = held
    return


def category_reference(
    firm: list[int], loose: list[int], raw: list[int], sessions_up: int, sessions_down: int
) -> list[int]:
    """Category of one fund without missing sessions, looking back over whole runs at each session.

    Parameters
    ----------
    firm, loose, raw : categories by thresholds widened, narrowed and left as they are.
    """
    held = raw[0]
    since = 0
    out = []
    for t in range(len(raw)):
        up = firm[max(since, t - sessions_up + 1) : t + 1]
        down = loose[max(since, t - sessions_down + 1) : t + 1]
        if len(up) == sessions_up and min(up) > held:
            held, since = min(up), t + 1
        elif len(down) == sessions_down and max(down) < held:
            held, since = max(down), t + 1
        out.append(held)
    return out
