"""What a file's prices are, from the file itself.

Three facts tell. At a split the price as traded jumps by the split's ratio, a price divided by later
splits does not. At an ex-date a price falls by the distribution, one divided by later distributions does
not. And the ratio of the vendor's adjusted close to the close steps by the distribution exactly where the
close is the price without it. A declaration that the file contradicts is an error, never a preference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from etf_pipeline.sources.base import Basis, SourceError

MIN_SPLIT_FACTOR = 1.5  # smaller splits drown in a day's return
RATIO_YIELDS = (0.0005, 0.5)  # distribution over previous close, where adj_close is exact
DROP_YIELDS = (0.002, 0.10)  # where the market's own move is the noise; above, mostly bad data
MIN_DROPS = 8
MIN_AGREEMENT = 0.9
STANDARD_ERRORS = 3.0
SAME_PRICE = 1e-6  # relative; float32 rounds at 6e-8

DECLARE = "declare adjusted = true or false in the settings"


@dataclass(frozen=True)
class BasisEvidence:
    """Counts and estimates over every event of a file.

    Attributes
    ----------
    splits, split_jumps : splits by 1.5 or more, and those at which the close jumps with the ratio.
    ratio_events, ratio_steps : ex-dates, and those at which adj_close/close steps by the distribution.
    drops : ex-dates of 0.2-10 %.
    drop, drop_error : median of (close_t / close_{t-1} - 1) / (distribution / close_{t-1}) weighted by
        the yield, i.e. the least-absolute-deviations slope: -1 where prices fall by the distribution, 0
        where they are adjusted for it; and its standard error. NaN without events.
    distributions : dividends and capital gains in the file.
    adj_close_differs : an adjusted close is given and is not the close.
    """

    splits: int
    split_jumps: int
    ratio_events: int
    ratio_steps: int
    drops: int
    drop: float
    drop_error: float
    distributions: int
    adj_close_differs: bool


def gather_evidence(code: np.ndarray, session: np.ndarray, values: dict[str, np.ndarray]) -> BasisEvidence:
    """Evidence in bars sorted by ticker and session.

    Parameters
    ----------
    code : (n,) integer, the ticker.
    session : (n,) datetime64[D].
    values : field to (n,) float64; close, and where present adj_close, dividend, capital_gain, split.

    Notes
    -----
    A pair of bars counts where both closes are positive and belong to one ticker; a day with both a split
    and a distribution counts only for the split.
    """
    close = values["close"]
    has_close = np.isfinite(close) & (close > 0)
    keep = np.flatnonzero(has_close)
    code, close = code[keep], close[keep]
    distribution = np.zeros(len(code))
    for field in ("dividend", "capital_gain"):
        if field in values:
            distribution += np.nan_to_num(values[field][keep])
    split = np.ones(len(code))
    if "split" in values:
        split = np.where(np.nan_to_num(values["split"][keep]) > 0, values["split"][keep], 1.0)
    pair = (code[1:] == code[:-1]) & (session[keep][1:] > session[keep][:-1])
    move = close[1:] / close[:-1]
    factor = np.abs(np.log(split[1:]))
    is_split = pair & (factor >= math.log(MIN_SPLIT_FACTOR))
    jump = -np.log(move[is_split])
    jumps = np.abs(jump - np.log(split[1:][is_split])) < np.abs(jump)

    paid = pair & (distribution[1:] > 0) & (factor == 0)
    portion = distribution[1:] / close[:-1]
    ratio_events = ratio_steps = 0
    differs = False
    if "adj_close" in values:
        adj = values["adj_close"][keep]
        known = np.isfinite(adj) & (adj > 0)
        differs = bool(np.any(np.abs(adj[known] / close[known] - 1) > SAME_PRICE))
        exact = paid & known[1:] & known[:-1] & (portion >= RATIO_YIELDS[0]) & (portion <= RATIO_YIELDS[1])
        step = np.log(adj[1:][exact] / adj[:-1][exact]) - np.log(move[exact])
        expected = -np.log1p(-portion[exact])
        ratio_events = int(exact.sum())
        ratio_steps = int((np.abs(step - expected) < np.abs(step)).sum())
    visible = paid & (portion >= DROP_YIELDS[0]) & (portion <= DROP_YIELDS[1])
    drop, drop_error = _slope(move[visible] - 1, portion[visible])
    return BasisEvidence(
        splits=int(is_split.sum()),
        split_jumps=int(jumps.sum()),
        ratio_events=ratio_events,
        ratio_steps=ratio_steps,
        drops=int(visible.sum()),
        drop=drop,
        drop_error=drop_error,
        distributions=_count_distributions(values),
        adj_close_differs=differs,
    )


def resolve_basis(evidence: BasisEvidence, declared: bool | None, where: str) -> tuple[Basis, str]:
    """The basis and how it is known.

    Parameters
    ----------
    declared : True for prices adjusted for splits and distributions, False for prices that are not, None
        to infer. Where a file gives both a close and an adjusted close, the bars are the unadjusted ones
        whatever is declared: the adjusted series is ``adj_close``, and with no distributions in the file
        the ratio of the two is the only record of them.

    Raises
    ------
    SourceError
        The file contradicts the declaration or itself, or shows too little to infer from.
    """
    carried_back, split_words = _splits(evidence, where)
    adjusted, words = _distributions(evidence, declared, where)
    said = "" if declared is None else f"declared adjusted = {str(declared).lower()}; "
    if adjusted is None:
        # Without distributions the close ratio is the return either way; only splits are at stake.
        adjusted = evidence.splits == 0 if declared is None else declared
        words = words if declared is not None else f"assumed: {words}"
    elif declared is not None and declared != adjusted and not (declared and evidence.adj_close_differs):
        raise SourceError(
            f"{where}: declared adjusted = {str(declared).lower()}, but {words}; "
            f"declare adjusted = {str(adjusted).lower()}, or correct the file"
        )
    if adjusted and not carried_back:
        raise SourceError(
            f"{where}: {said}{split_words}, so the prices are not adjusted for splits, and yet {words}; "
            "declare adjusted = false, or correct the file"
        )
    basis: Basis = "total_return_adjusted" if adjusted else "split_adjusted" if carried_back else "as_traded"
    return basis, said + "; ".join(part for part in (words, split_words) if part)


def _splits(evidence: BasisEvidence, where: str) -> tuple[bool, str]:
    """Whether prices are divided by later splits, and the words for it."""
    if not evidence.splits:
        return True, ""
    words = f"the close jumps at {evidence.split_jumps} of {evidence.splits} splits"
    if 2 * evidence.split_jumps == evidence.splits:
        raise SourceError(
            f"{where}: {words}, so some are carried back into the prices and some are not; correct the "
            "file so that all are treated alike"
        )
    return 2 * evidence.split_jumps < evidence.splits, words


def _distributions(evidence: BasisEvidence, declared: bool | None, where: str) -> tuple[bool | None, str]:
    """Whether the close is adjusted for distributions (None: the file does not show it), and the words."""
    if evidence.adj_close_differs and not evidence.distributions:
        return False, "adj_close, no distributions in the file"
    if evidence.adj_close_differs and evidence.ratio_events:
        share = evidence.ratio_steps / evidence.ratio_events
        words = (
            f"adj_close follows from close and distribution at {evidence.ratio_steps:,} of "
            f"{evidence.ratio_events:,} ex-dates"
        )
        if share >= MIN_AGREEMENT:
            return False, words
        if share > 1 - MIN_AGREEMENT:
            raise SourceError(
                f"{where}: {words}, so the file contradicts itself; leave out adj_close or the distributions"
            )
    if not evidence.distributions:
        return None, (
            "no distributions in the file"
            if evidence.splits
            else "the file holds no actions and no adjusted close of its own"
        )
    words = (
        f"at {evidence.drops:,} ex-dates of 0.2-10 % the close moves by {evidence.drop:+.2f} "
        f"(standard error {evidence.drop_error:.2f}) of the distribution; 0 is adjusted, -1 is not"
    )
    if evidence.drops >= MIN_DROPS:
        margin = STANDARD_ERRORS * evidence.drop_error
        if evidence.drop - margin > -0.5:
            return True, words
        if evidence.drop + margin < -0.5:
            return False, words
    if declared is None:
        few = words if evidence.drops >= MIN_DROPS else f"{evidence.drops} usable ex-dates are too few"
        raise SourceError(
            f"{where}: cannot tell whether prices are adjusted for distributions ({few}); {DECLARE}"
        )
    return None, f"too little to check it by ({evidence.drops:,} usable ex-dates)"


def _slope(move: np.ndarray, portion: np.ndarray) -> tuple[float, float]:
    """Least-absolute-deviations slope of ``move`` on ``portion`` through the origin, standard error.

    The slope is the median of move/portion weighted by portion; its error is that of a median with the
    density of the residuals taken as normal with their median absolute deviation (Koenker, Quantile
    Regression, 2005, section 3.4).
    """
    if not len(move):
        return math.nan, math.nan
    ratio = move / portion
    order = np.argsort(ratio, kind="stable")
    weight = np.cumsum(portion[order])
    slope = float(ratio[order][np.searchsorted(weight, weight[-1] / 2)])
    residual = move - slope * portion
    spread = 1.4826 * float(np.median(np.abs(residual)))
    return slope, spread * math.sqrt(math.pi / 2) / math.sqrt(float(np.sum(portion**2)))


def _count_distributions(values: dict[str, np.ndarray]) -> int:
    return sum(
        int(np.count_nonzero(np.nan_to_num(values[field])))
        for field in ("dividend", "capital_gain")
        if field in values
    )
