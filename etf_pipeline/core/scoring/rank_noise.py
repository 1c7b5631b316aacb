"""What the noise of the past year does to measures, scores and ranks: the compiled part of ``rank_uncertainty``.

Every measure drawn anew is a function of sums over the days of three strata of the window, so that a resample of blocks
costs differences of prefix sums, whatever the blocks' length.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MEASURES = (
    "momentum_12_1",
    "momentum_6_1",
    "risk_adjusted_momentum",
    "volatility_annualised",
    "beta",
    "accumulation",
)
"""Measures drawn anew, in the kernel's order; higher is better for each as the kernel writes it."""

DAILY = ("growth", "square", "cross", "turnover")
"""What is summed: log return, squared return, return times the market's, signed turnover."""

PILOT = 32
"""Resamples from which the share of the noise is told."""

STRATA = 3
"""The window's days: older than the half-year look-back, from there to the sessions skipped, and those."""


@njit(cache=True, nogil=True)
def prefix_sums(daily: np.ndarray, edges: np.ndarray, sums: np.ndarray) -> None:
    """Running sums within each stratum, closed to a ring: run through twice.

    Parameters
    ----------
    daily : (4, W, N) float64, of ``DAILY``, without NaN.
    edges : (4,) int64, stratum s holds the days ``edges[s]:edges[s + 1]``.
    sums : (4, 2 W + 3, N) written: stratum s begins at row ``2 edges[s] + s`` with zero.
    """
    for kind in range(daily.shape[0]):
        for s in range(STRATA):
            base, length = 2 * edges[s] + s, edges[s + 1] - edges[s]
            sums[kind, base] = 0.0
            for k in range(2 * length):
                day = edges[s] + k % length
                for j in range(daily.shape[2]):
                    sums[kind, base + k + 1, j] = sums[kind, base + k, j] + daily[kind, day, j]


@njit(cache=True, nogil=True)
def draw_measures(
    sums: np.ndarray,
    edges: np.ndarray,
    stratum: np.ndarray,
    length: np.ndarray,
    start: np.ndarray,
    total: np.ndarray,
    measures: np.ndarray,
) -> None:
    """Measures of the days that the blocks name.

    Parameters
    ----------
    sums : of ``prefix_sums``.
    stratum, length, start : (K,) int64, of the blocks; a block may run over its stratum's end to its beginning.
    total : (5, N) scratch.
    measures : (6, N) written, of ``MEASURES``.
    """
    funds = sums.shape[2]
    total[:] = 0.0
    for k in range(len(stratum)):
        s = stratum[k]
        low = 2 * edges[s] + s + start[k]
        high = low + length[k]
        for j in range(funds):
            total[2, j] += sums[1, high, j] - sums[1, low, j]
            total[3, j] += sums[2, high, j] - sums[2, low, j]
        if s < STRATA - 1:
            for j in range(funds):
                total[s, j] += sums[0, high, j] - sums[0, low, j]
        else:
            for j in range(funds):
                total[4, j] += sums[3, high, j] - sums[3, low, j]
    for j in range(funds):
        measures[0, j] = total[0, j] + total[1, j]
        measures[1, j] = total[1, j]
        measures[2, j] = measures[0, j] / np.sqrt(total[2, j]) if total[2, j] > 0.0 else 0.0
        measures[3, j] = -total[2, j]
        measures[4, j] = -abs(total[3, j])
        measures[5, j] = total[4, j]


@njit(cache=True, nogil=True)
def blended_percentiles(
    values: np.ndarray,
    present: np.ndarray,
    class_of: np.ndarray,
    class_weight: np.ndarray,
    kept: np.ndarray,
    where: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
) -> None:
    """Mid-rank percentiles among everyone, blended with those in the class as ``components.peer_scores`` does.

    One sort serves both: funds are passed in order of their values, and each class counts its own.

    Parameters
    ----------
    values : (N,) float64; present : (N,) bool, the funds compared.
    class_of : (N,) int64, the class of a fund, the last one for those that have none.
    class_weight : (2, C) float64, weight of the percentile in each class, and the same over the funds compared in it; 0
        for everyone only.
    kept : (N,) float64, where : (N,) int64, seen : (2, C) int64, scratch.
    out : (N,) float64, written where ``present``.
    """
    count = 0
    for j in range(len(values)):
        if present[j]:
            kept[count], where[count] = values[j], j
            count += 1
    order = np.argsort(kept[:count])
    seen[:] = 0
    begin = 0
    while begin < count:
        end = begin
        while end < count and kept[order[end]] == kept[order[begin]]:
            seen[1, class_of[where[order[end]]]] += 1
            end += 1
        everyone = 50.0 * (begin + end) / count
        for k in range(begin, end):
            j = where[order[k]]
            c = class_of[j]
            own = 50.0 * (seen[0, c] + seen[1, c])
            out[j] = (1.0 - class_weight[0, c]) * everyone + class_weight[1, c] * own
        for k in range(begin, end):
            c = class_of[where[order[k]]]
            seen[0, c] = seen[1, c]
        begin = end


@njit(cache=True, nogil=True)
def _sharpen(percentile: np.ndarray, present: np.ndarray, contrast: float) -> None:
    """``contrast.sharpen`` in place."""
    if contrast == 1.0:
        return
    for j in range(len(percentile)):
        if present[j]:
            x = (percentile[j] - 50.0) / 50.0
            percentile[j] = 50.0 + 50.0 * np.sign(x) * abs(x) ** (1.0 / contrast)


@njit(cache=True, nogil=True)
def _correlation(first: np.ndarray, second: np.ndarray, present: np.ndarray) -> float:
    """Of the present values of two percentiles; 1 where they do not differ between funds."""
    xx, yy, xy = 0.0, 0.0, 0.0
    for j in range(len(first)):
        if present[j]:
            a, b = first[j] - 50.0, second[j] - 50.0
            xx += a * a
            yy += b * b
            xy += a * b
    return xy / np.sqrt(xx * yy) if xx > 0.0 and yy > 0.0 else 1.0


@njit(cache=True, nogil=True)
def true_share(correlation: float) -> float:
    """Share of a measure's variance across funds that is no noise, from the rank correlation with its resamples.

    A resample adds the noise once more: with variances T of what is true and E of the noise, its correlation with the
    measure is ``sqrt((T + E) / (T + 2 E))``, so that ``T / (T + E) = 2 - 1 / correlation**2``, of normal values, whose
    correlation is ``2 sin(pi / 6 r)`` at a rank correlation of r (Pearson 1907).
    """
    plain = 2.0 * np.sin(np.pi / 6.0 * correlation)
    return max(0.0, 2.0 - 1.0 / (plain * plain)) if plain > 0.0 else 0.0


@njit(cache=True, nogil=True)
def resample_session(
    daily: np.ndarray,
    edges: np.ndarray,
    stratum: np.ndarray,
    length: np.ndarray,
    starts: np.ndarray,
    averages: np.ndarray,
    weights: np.ndarray,
    kept_share: np.ndarray,
    contrast: np.ndarray,
    own_rank: np.ndarray,
    component_of: np.ndarray,
    share: np.ndarray,
    class_of: np.ndarray,
    class_weight: np.ndarray,
    places: np.ndarray,
    score_sums: np.ndarray,
) -> None:
    """Count the places that each fund takes over the resamples of one session.

    Parameters
    ----------
    daily, edges, stratum, length : as above; starts : (B, K) int64, blocks of each resample.
    averages : (C, N) float64, mean of each component's input scores, NaN where it has no score.
    weights : (C, N) float64, weights used, 0 where missing.
    kept_share : (N,) float64, share of the raw score that penalties leave.
    contrast : (C,) float64, of the session: each component's percentiles are moved from 50 as ``contrast.sharpen`` does.
    own_rank : (N,) int64, rank by the scores as they are, 0 where not ranked.
    component_of : (6,) int64, the component each measure belongs to, -1 for none.
    share : (6,) float64, share of the component's inputs that err as the measure does.
    class_of : (N,) int64; class_weight : (C, 2, G) float64, of each component, as ``blended_percentiles`` takes them.
    places : (N, N + 1) int64, added to: how often each fund took each place.
    score_sums : (2, N) added to: final scores and their squares, about the first resample's.
    """
    components, funds = averages.shape
    sums = np.empty((daily.shape[0], 2 * daily.shape[1] + STRATA, funds))
    prefix_sums(daily, edges, sums)
    total, measures = np.empty((5, funds)), np.empty((len(share), funds))
    kept, where = np.empty(funds), np.empty(funds, dtype=np.int64)
    seen = np.empty((2, class_weight.shape[2]), dtype=np.int64)
    among_all = np.zeros((2, class_weight.shape[2]))
    own, drawn = np.empty((len(share), funds)), np.empty(funds)
    average, score = np.empty((components, funds)), np.empty((components, funds))
    raw, first = np.empty(funds), np.empty(funds)
    known, ranked = np.isfinite(averages), own_rank > 0
    moves = np.zeros(components, dtype=np.bool_)
    hold = np.zeros(len(share))
    for m in range(len(share)):
        if component_of[m] >= 0:
            moves[component_of[m]] = True
    for c in range(components):
        # What is not drawn anew stays as it is.
        blended_percentiles(averages[c], known[c], class_of, among_all, kept, where, seen, score[c])
        _sharpen(score[c], known[c], contrast[c])
    whole, from_begin = np.arange(STRATA), np.zeros(STRATA, dtype=np.int64)
    draw_measures(sums, edges, whole, np.diff(edges), from_begin, total, measures)
    for m in range(len(share)):
        c = component_of[m]
        if c >= 0:
            blended_percentiles(measures[m], known[c], class_of, class_weight[c], kept, where, seen, own[m])
    observed, plain = measures.copy(), np.empty((len(share), funds))
    for m in range(len(share)):
        c = component_of[m]
        if c >= 0:
            blended_percentiles(observed[m], known[c], class_of, among_all, kept, where, seen, plain[m])
    pilot = min(len(starts), PILOT)
    for b in range(pilot):
        draw_measures(sums, edges, stratum, length, starts[b], total, measures)
        for m in range(len(share)):
            c = component_of[m]
            if c >= 0:
                blended_percentiles(measures[m], known[c], class_of, among_all, kept, where, seen, drawn)
                hold[m] += _correlation(plain[m], drawn, known[c]) / pilot
    for m in range(len(share)):
        hold[m] = np.sqrt(true_share(hold[m]))
    for b in range(len(starts)):
        draw_measures(sums, edges, stratum, length, starts[b], total, measures)
        average[:] = averages
        for m in range(len(share)):
            c = component_of[m]
            if c < 0:
                continue
            for j in range(funds):
                measures[m, j] += (hold[m] - 1.0) * observed[m, j]
            blended_percentiles(measures[m], known[c], class_of, class_weight[c], kept, where, seen, drawn)
            for j in range(funds):
                if known[c, j]:
                    average[c, j] += share[m] * (drawn[j] - own[m, j])
        raw[:] = 0.0
        for c in range(components):
            if moves[c]:
                for j in range(funds):
                    # Averages nearer than this differ by rounding only.
                    average[c, j] = np.rint(average[c, j] * 1e9)
                blended_percentiles(average[c], known[c], class_of, among_all, kept, where, seen, score[c])
                _sharpen(score[c], known[c], contrast[c])
            for j in range(funds):
                if known[c, j]:
                    raw[j] += weights[c, j] * score[c, j]
        count = 0
        for j in range(funds):
            raw[j] *= kept_share[j]
            if b == 0:
                first[j] = raw[j]
            score_sums[0, j] += raw[j] - first[j]
            score_sums[1, j] += (raw[j] - first[j]) * (raw[j] - first[j])
            if ranked[j]:
                # Equal scores keep the order they have.
                kept[count] = 0.5 * own_rank[j] / funds - np.rint(raw[j] * 1e9)
                where[count] = j
                count += 1
        order = np.argsort(kept[:count])
        for place in range(count):
            places[where[order[place]], place + 1] += 1
