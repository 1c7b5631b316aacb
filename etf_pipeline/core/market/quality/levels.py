"""The level state machine: one causal pass over a fund's bars.

A fund has a *reference*, its last accepted close. A bar that can be believed given the fund's volatility,
its volume and the market becomes the new reference. One that cannot is kept out and opens a *candidate
level*: further traded bars either return to the reference (the candidate was a bad print or a block at
the wrong scale), agree with the candidate (after enough of them it is a split, a break or a genuine
move), or open another candidate. Bars without volume never confirm or refute a level. What is decided
about a bar uses that bar and earlier ones only.

``walk`` is compiled; ``walk.py_func`` is the same code in plain Python, the reference of its test.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from etf_pipeline.core.market.quality import codes as c
from etf_pipeline.core.market.quality.judge import (
    LevelParameters,
    log_volume_ratio,
    low_volume_share,
    plausible,
    volume_surge,
)
from etf_pipeline.core.market.quality.transitions import (
    emit,
    leave_level,
    push,
    recent_flip,
    resolve_level,
    untraded_level_rule,
    untraded_rule,
)


@nb.njit(cache=True)
def walk(
    close: np.ndarray,
    volume: np.ndarray,
    usable: np.ndarray,
    unlisted: np.ndarray,
    unknown_volume: np.ndarray,
    split: np.ndarray,
    cash: np.ndarray,
    market: np.ndarray,
    dispersion: np.ndarray,
    rise: np.ndarray,
    fall: np.ndarray,
    fiscal: np.ndarray,
    p: LevelParameters,
    accepted: np.ndarray,
    traded: np.ndarray,
    scale: np.ndarray,
    doubt: np.ndarray,
    events: np.ndarray,
) -> int:
    """Judge one fund's bars in order; writes the last five arguments, returns the number of events.

    Parameters
    ----------
    close, volume : (S,) float64, NaN where there is no bar or no volume.
    usable : (S,) bool, the bar is final, coherent and part of a daily history.
    unlisted : (S,) bool, before the listing date of the listing data.
    unknown_volume : (S,) bool, the whole market's volume is missing.
    split, cash : (S,) float64, actions still to be applied to ``close`` (1 and 0 where adjusted).
    market : (S,) float64, cumulative log move of the market's median fund.
    dispersion : (S,) float64, robust deviation of the day's cross-section of log moves.
    rise, fall : (S,) float64, second-largest log rise and fall of the day, absolute; 0 where unknown.
    fiscal : (S,) bool, around a fiscal year end.
    p : LevelParameters.
    accepted, traded, scale, doubt : (S,) outputs.
    events : (EVENTS_PER_BAR * S, E_WIDTH) float64 output.
    """
    n = 0
    nan = np.nan
    # Listing.
    listed = 0  # 1 by a trade, 2 provisionally while no volume has ever been known
    pre_start, pre_end, pre_count, pre_changed, pre_close = -1, -1, 0, 0, nan
    # Reference.
    last_bar, ref, ref_t, informed_t, first_of_history = -1, nan, -1, -1, nan
    units, paid = 1.0, 0.0
    earlier, earlier_t, earlier_units, earlier_paid = nan, -p.confirmations - 1, 1.0, 0.0
    variance, seen, typical_gap = p.sigma_start**2, 0, 1.0
    with_market, market_variance = 0.0, 0.0
    past_units, past_value, past_n = np.zeros(p.volume_window), np.zeros(p.volume_window), 0
    past_next = 0
    # Candidate level.
    pending, cand, cand_units, cand_paid = False, nan, 1.0, 0.0
    cand_start, cand_end, cand_bars, cand_kept, undecided = -1, -1, 0, 0, 0
    level, level_now, level_sigma, level_surge, level_fiscal = 0.0, 0.0, 1.0, 1.0, False
    level_expected = 0.0
    cand_volume = np.zeros(p.undecided_bars + 1)
    # Doubt, flips, runs.
    doubt_until, flip_until = -1, -1
    flips = np.full(p.flip_count, -1)
    off_start, off_end, off_count, off_level = -1, -1, 0, 0.0
    off_kind = (c.UNTRADED_PRINT, c.INFO, c.QUARANTINED)
    streak, streak_before, zero_run = 0, 0, 0
    flat_start, flat_run, flat_end, flat_liquid, deferred = -1, 0, -1, False, False
    same_start, same_run, same_end = -1, 0, -1

    for t in range(len(close)):
        if ref_t >= 0:
            paid += units * cash[t]
            units *= split[t]
            earlier_paid += earlier_units * cash[t]
            earlier_units *= split[t]
        if pending:
            cand_paid += cand_units * cash[t]
            cand_units *= split[t]
        if split[t] != 1.0:
            past_units *= split[t]
        if doubt_until == t:
            n = emit(events, n, t, t, t, (c.DOUBT_LIFTED, c.INFO, c.RESOLVED),
                     (float(p.doubt_sessions), nan, nan, nan, nan), False)  # fmt: skip
        x = close[t]
        if not np.isnan(x):
            if last_bar >= 0 and t - last_bar > p.restart_sessions:
                if ref_t >= 0:
                    n = emit(events, n, t, t, t, (c.RECYCLED_CODE, c.ERROR, c.QUARANTINED),
                             (float(t - last_bar), float(last_bar), nan, nan, nan), False)  # fmt: skip
                    doubt_until = t + p.doubt_sessions
                    first_of_history = 1.0
                listed, pre_count, ref, ref_t, informed_t = 0, 0, nan, -1, -1
                earlier_t, with_market, market_variance = -p.confirmations - 1, 0.0, 0.0
                variance, seen, typical_gap, past_n, past_next = p.sigma_start**2, 0, 1.0, 0, 0
                pending, off_start, flat_run, deferred, same_run = False, -1, 0, False, 0
                streak, streak_before, zero_run = 0, 0, 0
                units, paid = 1.0, 0.0
            last_bar = t
        unknown = unknown_volume[t] or np.isnan(volume[t])
        zero = not unknown and volume[t] <= 0
        take = False
        factor = 1.0
        move, expected, market_move = nan, 0.0, 0.0
        if not np.isnan(x) and usable[t]:
            # ---- not listed before the first trade -------------------------------------------------
            if unlisted[t] or (listed == 0 and zero):
                pre_count += 1
                pre_changed += 0 if x == pre_close else 1
                if pre_count == 1:
                    pre_start = t
                    n = emit(events, n, t, t, t, (c.PRE_LISTING_BAR, c.INFO, c.EXCLUDED),
                             (x, 1.0, 1.0 if unlisted[t] else 0.0, nan, nan), True)  # fmt: skip
                else:
                    if pre_count == p.listing_bars:
                        n = emit(events, n, pre_start, t, t,
                                 (untraded_rule(pre_changed, pre_count, p), c.WARNING, c.EXCLUDED),
                                 (float(pre_count), nan, nan, nan, nan), True)  # fmt: skip
                    jump = np.log(x * split[t] / pre_close)
                    if abs(jump) > p.nav_flip_log_move:
                        n = emit(events, n, pre_end, t, t, (c.PRELISTING_NAV_FLIP, c.WARNING, c.EXCLUDED),
                                 (pre_close, x, jump, nan, nan), False)  # fmt: skip
                pre_end, pre_close = t, x
            else:
                if listed == 0:
                    listed = 2 if unknown else 1
                    if pre_count > 1:
                        long_history = pre_count >= p.listing_bars
                        n = emit(events, n, pre_start, pre_end, t,
                                 (untraded_rule(pre_changed, pre_count, p) if long_history
                                  else c.PRE_LISTING_BAR, c.WARNING if long_history else c.INFO, c.EXCLUDED),
                                 (float(pre_count), nan, volume[t], float(t), nan), False)  # fmt: skip
                    pre_count, pre_changed, pre_close = 0, 0, nan
                elif listed == 2 and not unknown:
                    if zero:
                        pre_count += 1
                        if pre_count == 1:
                            pre_start = t
                        pre_end, pre_close = t, x
                        if pre_count == p.listing_bars:
                            # No trade since volumes are known: its values may never have been prices.
                            listed, pending, off_start, pre_changed = 0, False, -1, -t
                            flat_run, deferred, same_run = 0, False, 0
                            n = emit(events, n, pre_start, t, t,
                                     (c.UNTRADED_HISTORY, c.WARNING, c.EXCLUDED),
                                     (float(pre_count), nan, nan, nan, nan), True)  # fmt: skip
                    else:
                        listed, pre_count = 1, 0
                # ---- the level -------------------------------------------------------------------
                if listed == 0:
                    pass
                elif ref_t < 0:
                    take = True
                    factor = nan if first_of_history == 1.0 else 1.0
                    first_of_history = nan
                else:
                    move = np.log((x * units + paid) / ref)
                    sigma_bar = max(np.sqrt(variance), p.sigma_floor)
                    sigma = sigma_bar * np.sqrt(max(1.0, (t - informed_t) / typical_gap))
                    # A distribution on the wrong date is a gain: the price is cum, its past already ex.
                    strict = zero or (fiscal[t] and move > 0)
                    if not strict:
                        sigma = max(sigma, min(dispersion[t], p.dispersion_multiple * sigma))
                    market_move = market[t] - market[ref_t]
                    beta = (with_market + p.beta_start * p.beta_start_variance) / (
                        market_variance + p.beta_start_variance
                    )
                    expected = beta * market_move
                    peer = rise[t] if move > 0 else fall[t]
                    surge = 1.0
                    believed = plausible(move, sigma, expected, abs(market_move), strict, surge, peer, p)
                    if not believed and not zero:
                        surge = volume_surge(volume[t], x, past_units, past_value, past_n)
                        believed = plausible(move, sigma, expected, abs(market_move), strict, surge, peer, p)
                    reverts = False
                    if not believed and not zero and not pending and t - earlier_t <= p.confirmations:
                        back = np.log((x * earlier_units + earlier_paid) / earlier)
                        reverts = (
                            abs(move) < p.scale_log_move
                            and abs(back) <= p.reversal_share * abs(move)
                            and plausible(back, sigma, expected, abs(market_move), strict, 1.0, 0.0, p)
                        )
                    if not pending:
                        if believed:
                            take = True
                        elif reverts:
                            take = True
                            n = emit(events, n, ref_t, ref_t, t, (c.REVERSED_AFTERWARDS, c.WARNING, c.NONE),
                                     (ref, earlier, np.exp(move), sigma, nan), False)  # fmt: skip
                        elif zero:
                            if off_start < 0:
                                off_start, off_count, off_level = t, 0, move
                                off_kind = untraded_level_rule(
                                    move, fiscal[t], recent_flip(flips, t, p.doubt_sessions), p
                                )
                                if abs(move) >= p.scale_log_move:
                                    push(flips, t)
                                n = emit(events, n, t, t, t, off_kind,
                                         (x, ref, np.exp(move), sigma, nan), True)  # fmt: skip
                            off_end = t
                            off_count += 1
                        else:
                            pending, undecided = True, 1
                    elif zero:
                        cand_end = t
                        cand_kept += 1
                    else:
                        undecided += 1
                        from_cand = np.log((x * cand_units + cand_paid) / cand)
                        near = max(p.minimum_log_move, p.sigma_multiple * sigma_bar)
                        near = max(near, p.level_tolerance * abs(level))
                        if believed and abs(move) <= 0.5 * abs(level_now):
                            take = True
                            n = leave_level(events, n, (cand_start, cand_end, t), level, cand_kept, move,
                                            level_sigma, level_surge, level_fiscal, flips, p)  # fmt: skip
                            pending = False
                        elif abs(from_cand) <= near:
                            cand_volume[min(cand_bars, p.undecided_bars)] = volume[t]
                            cand_bars += 1
                            cand_kept += 1
                            cand, cand_end, level_now = x, t, move
                            cand_units, cand_paid = 1.0, 0.0
                        elif (
                            abs(move) < p.scale_log_move
                            and move * level > 0
                            and abs(level) < p.scale_log_move
                        ):
                            # Still off the reference on the same side, not where it was: unsettled.
                            cand, cand_end, level_now = x, t, move
                            cand_units, cand_paid = 1.0, 0.0
                            cand_bars, cand_volume[0] = 1, volume[t]
                            cand_kept += 1
                        else:
                            n = leave_level(events, n, (cand_start, cand_end, t), level, cand_kept, move,
                                            level_sigma, level_surge, level_fiscal, flips, p)  # fmt: skip
                            cand_bars = 0
                    if pending and not zero and (undecided == 1 or cand_bars == 0):
                        # A new candidate level opens with this bar.
                        level, level_now, level_sigma, level_surge = move, move, sigma, surge
                        level_fiscal, level_expected = fiscal[t], expected
                        cand, cand_units, cand_paid = x, 1.0, 0.0
                        cand_start, cand_end, cand_bars, cand_kept = t, t, 1, 1
                        cand_volume[0] = volume[t]
                        n = emit(events, n, t, t, t, (c.UNCONFIRMED_LEVEL, c.WARNING, c.QUARANTINED),
                                 (x, ref, np.exp(move), sigma, surge), True)  # fmt: skip
                    if pending and not zero:
                        needed = p.confirmations
                        minor = not level_fiscal or abs(level) <= p.fiscal_break_sigma * level_sigma
                        if abs(level) < p.small_log_move and minor:
                            needed = p.small_confirmations
                        if cand_bars >= needed or undecided >= p.undecided_bars:
                            fresh = cand_volume[: min(cand_bars, p.undecided_bars)]
                            n, log_ratio = resolve_level(
                                events, n, (cand_start, t), (level, move, level_expected, level_sigma),
                                log_volume_ratio(fresh, past_units, past_n), level_surge, level_fiscal,
                                cand_bars >= needed, p)  # fmt: skip
                            factor = np.exp(log_ratio)
                            if np.isnan(log_ratio):
                                doubt_until = t + p.doubt_sessions
                            elif log_ratio != 0.0:
                                past_n, past_next = 0, 0
                            move = move - log_ratio
                            take, pending = True, False
            if zero:
                zero_run += 1
                if zero_run == 1:
                    streak, streak_before = 0, streak
            else:
                zero_run = 0
                streak += 1
            # ---- runs without change ---------------------------------------------------------------
            unchanged = ref_t >= 0 and abs(move) <= 1e-9
            if flat_run > 0 and not (zero and (unchanged or deferred)):
                if deferred:
                    n = emit(events, n, flat_start, flat_end, t,
                             (c.DEFERRED_SETTLEMENT, c.WARNING, c.RESOLVED),
                             (float(flat_run), ref, x, nan, nan), False)  # fmt: skip
                elif flat_run >= p.stale_bars:
                    n = emit(events, n, flat_start, flat_end, t, (c.STALE_RUN, c.WARNING, c.QUARANTINED),
                             (float(flat_run), ref, nan, nan, nan), False)  # fmt: skip
                flat_run, deferred = 0, False
            if zero and listed > 0 and not pending and (unchanged or deferred):
                flat_run += 1
                flat_end = t
                if flat_run == 1:
                    flat_start = t
                    # The first untraded bar may still change: a split is rounded to the tick.
                    flat_liquid = (
                        zero_run <= 2
                        and streak_before >= p.liquid_window
                        and low_volume_share(past_units, past_n) >= p.liquid_low_share
                    )
                if flat_liquid and flat_run >= p.deferred_bars:
                    take = False
                    if flat_run == p.deferred_bars:
                        deferred = True
                        n = emit(events, n, flat_start, t, t,
                                 (c.DEFERRED_SETTLEMENT, c.ERROR, c.QUARANTINED),
                                 (float(flat_run), ref, float(p.liquid_window), nan, nan), True)  # fmt: skip
                elif flat_run >= p.stale_bars:
                    take = False
                    if flat_run == p.stale_bars:
                        n = emit(events, n, flat_start, t, t, (c.STALE_RUN, c.WARNING, c.QUARANTINED),
                                 (float(flat_run), ref, nan, nan, nan), True)  # fmt: skip
            if same_run > 0 and not (unchanged and not zero):
                if same_run >= p.stale_traded_bars:
                    n = emit(events, n, same_start, same_end, t, (c.STALE_TRADED_RUN, c.INFO, c.NONE),
                             (float(same_run), ref, nan, nan, nan), False)  # fmt: skip
                same_run = 0
            if take and unchanged and not zero:
                same_run += 1
                same_end = t
                if same_run == 1:
                    same_start = t
                if same_run == p.stale_traded_bars:
                    n = emit(events, n, same_start, t, t, (c.STALE_TRADED_RUN, c.INFO, c.NONE),
                             (float(same_run), ref, nan, nan, nan), True)  # fmt: skip
            # ---- an off-level run ends -------------------------------------------------------------
            if off_start >= 0 and (take or pending):
                if off_count > 1:
                    n = emit(events, n, off_start, off_end, t, off_kind,
                             (float(off_count), ref, np.exp(off_level), nan, nan), False)  # fmt: skip
                off_start = -1
            if flips[0] >= 0 and flips[-1] - flips[0] <= p.flip_window:
                flip_until = max(flip_until, flips[-1] + p.flip_cooldown)
            # ---- the bar is an observation ---------------------------------------------------------
            if take:
                accepted[t] = True
                traded[t] = not zero
                scale[t] = factor
                if not (zero and unchanged):
                    if not np.isnan(move):
                        weight = max(1.0 - p.sigma_decay, 1.0 / (seen + p.sigma_start_weight))
                        cap = p.sigma_clip * max(np.sqrt(variance), p.sigma_floor)
                        rest = min(max(move - expected, -cap), cap)
                        variance += weight * (rest * rest - variance)
                        typical_gap += weight * (t - informed_t - typical_gap)
                        clipped = min(max(move, expected - cap), expected + cap)
                        with_market += (1.0 - p.beta_decay) * (clipped * market_move - with_market)
                        market_variance += (1.0 - p.beta_decay) * (market_move**2 - market_variance)
                        seen += 1
                    informed_t = t
                if not zero and not unknown:
                    past_units[past_next] = volume[t]
                    past_value[past_next] = volume[t] * x
                    past_next = (past_next + 1) % p.volume_window
                    past_n = min(past_n + 1, p.volume_window)
                earlier, earlier_t, earlier_units, earlier_paid = ref, ref_t, units, paid
                if factor != 1.0:
                    earlier_t = -p.confirmations - 1
                ref, ref_t, units, paid = x, t, 1.0, 0.0
        doubt[t] = (
            pending
            or t < doubt_until
            or t <= flip_until
            or deferred
            or (off_start >= 0 and abs(off_level) >= p.scale_log_move)
        )
    return n
