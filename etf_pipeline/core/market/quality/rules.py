"""Every threshold of the quality stage, with the reason for its value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityRules:
    """Parameters of the detectors; log moves are natural logarithms of price ratios.

    Attributes
    ----------
    Plausibility of one move (see ``levels.plausible``)

    sigma_multiple : a move of up to this many of the fund's own standard deviations needs no support.
        Daily fund returns have tails like a t with three to four degrees of freedom, for which six
        deviations is one session in some thousands; market support and volume excuse most of those.
    minimum_log_move : moves below this are never doubted, whatever the volatility: bond and cash funds
        have deviations of 0.1 % and a closing auction can go a few per cent astray.
    fiscal_sigma_multiple, fiscal_minimum_log_move : the same two for a rise around a fiscal year end,
        when a distribution adjusted on the wrong day is far likelier than elsewhere, and for closes
        without volume, which are nobody's trade.
    fiscal_year_end_months, fiscal_days_before, fiscal_days_after : the months (1-12) after which funds
        distribute (Australia: June, and December for half-yearly payers) and the calendar days before
        and after the month's end that count as "around". Calendar days, because the last session of an
        unfinished month cannot be known.
    sigma_decay : weight of the past in the exponentially weighted variance.
    sigma_start, sigma_start_weight : standard deviation assumed for an unknown fund and how many
        sessions that assumption is worth.
    sigma_clip : one move enters the variance with at most this many deviations, so that a jump does
        not switch the detector off, while three wild sessions double the deviation.
    sigma_floor : smallest deviation, against division by a price that did not move.
    dispersion_multiple : on a day when the cross-section is wider than the fund's own deviation, the
        cross-section's robust deviation counts instead, up to this many of the fund's own.
    market_multiple : after the fund's own beta, moves of this many times the market's are explained, in
        either direction: betas are estimates, and rise in a storm.
    beta_decay, beta_start, beta_start_variance : exponentially weighted beta, what it is shrunk to, and
        the market variance that assumption is worth (that of 0.45 % a day).
    reversal_share : a move that undoes the one before up to this share of its size is believed; the bar
        before was the bad one.
    peer_fraction, peer_limit : a move is explained if another fund moved the same way by at least this
        fraction of it (two errors on one day are rarer than a common cause), unless it exceeds
        ``peer_limit``, just below 3:2 (funds of one issuer are split on one day), or falls around a
        fiscal year end (distributions of one issuer go wrong together).
    surge_threshold, surge_weight : volume over the median of the last ``volume_window`` traded sessions
        beyond which the limit widens by ``surge_weight`` for each doubling, up to ``surge_boost`` times;
        around fiscal year ends the volume must be twice that. The smaller of the surge in units and in
        value counts, so that neither a split nor a price at the wrong scale looks like one.
    volume_window : traded sessions in the volume median.
    instant_limit : no larger move is believed on its first day, whatever supports it; just below a
        doubling or halving, so that no split passes as a move.

    A level in doubt

    confirmations : traded bars at a new level, its first included, that confirm it.
    small_log_move, small_confirmations : a smaller move away from fiscal year ends is a print or a
        real move, never a split: so many bars suffice.
    level_tolerance : bars agree on a level if they are as close as a plausible move or as this
        fraction of its distance from the old level.
    undecided_bars : traded bars without a stable level after which the current one is taken, as a break.
    print_surge : a move that reversed with less than this share of the median volume was a bad print
        even around a fiscal year end; with more than ``genuine_surge`` halved it was real trading.
    genuine_surge : units and value both this many times the median at the first bar of a confirmed
        level make the move genuine whatever its size.
    break_sigma : away from fiscal year ends, a confirmed level that is no split is a break only beyond
        so many deviations (and, below ``scale_log_move``, without a surge of volume).
    fiscal_break_sigma : the same around a fiscal year end.
    lasting_share : a break keeps at least this share of its size until confirmed; prices that move on
        are alive.
    scale_log_move : a level beyond this is a question of scale (a split, a unit), not of a price.
    distribution_limit : largest log move that a distribution on the wrong date can explain.
    split_odds : odds of a simple ratio against anything else needed to repair.
    split_sigma_limit : deviations by which the move left after a split may miss zero, and by which the
        new level may drift until confirmed.
    break_decay : mean log size of an adjustment break, for those odds.
    fiscal_break_odds : how much likelier a break is around a fiscal year end.
    volume_log_sigma : natural-log deviation of the median volume of a few days against its past.
    doubt_sessions : sessions that a fund with an incomparable break stays in doubt: those of the
        longest look-back (twelve-month momentum).
    flip_window, flip_count, flip_cooldown : so many changes of scale in so many sessions make a series
        that flips; it is in doubt until that many sessions have passed without another.

    Trading

    listing_bars : untraded bars before the first trade from which they are a net-asset-value history
        rather than a bar or two ahead of listing.
    nav_share : share of changing closes from which untraded values before listing are a net-asset-value
        history rather than a carried price.
    nav_flip_log_move : move within an untraded history worth an event.
    liquid_window, liquid_low_share : a fund is liquid if all of so many last bars traded and a tenth of
        its volumes lies below this share of their median at the lowest: funds that trade by appointment
        have days of a few units.
    deferred_bars : flat, untraded bars in a row of a liquid fund that mean trading under another code.
    stale_bars : flat, untraded bars in a row from which they are no observation.
    stale_traded_bars : unchanged closes in a row with volume that deserve a look.
    restart_sessions : sessions of silence after which a code that returns is taken for a new fund.

    repeat_volume : smallest volume for which a bar equal to the one before, volume included, is a copy
        of it; round volumes at a single price are let pass.
    copied_bars, copied_share, copied_cooldown : two funds with the same close and volume on so many
        sessions, and on this share of those on which both traded, are one series under two codes; they
        are in doubt until that many sessions have passed without another.

    Coverage

    unknown_volume_bars : bars on a session, all with volume zero, from which the session's volume is
        unknown rather than zero.
    hole_window, hole_share, hole_funds : a session is a market-wide hole if at least this share, and
        number, of the funds with a bar on (nearly) all of the last ``hole_window`` sessions miss it.
    silent_sessions : market sessions without a bar after which a series has ended for now.
    irregular_silent_sessions : the same for a fund that had bars on less than half of the sessions.
    sparse_window, sparse_bars, sparse_exit_window, sparse_exit_bars : a fund with at most ``sparse_bars``
        bars in ``sparse_window`` sessions has no daily history until it has ``sparse_exit_bars`` in
        ``sparse_exit_window``.
    sparse_gap : a longer wait between two of those bars is a suspension, not a low frequency.
    monthly_bars : with at most so many of them it is quoted by the month.
    calendar_bars, calendar_window_days : closed-day bars of one fund within so many calendar days from
        which it follows another calendar.
    coherent_tolerance : relative excess of open or close over the high-low range that is rounding.
    """

    sigma_multiple: float = 6.0
    minimum_log_move: float = 0.045
    fiscal_sigma_multiple: float = 4.5
    fiscal_minimum_log_move: float = 0.03
    fiscal_year_end_months: tuple[int, ...] = (6, 12)
    fiscal_days_before: int = 4
    fiscal_days_after: int = 4
    sigma_decay: float = 0.97
    sigma_start: float = 0.025
    sigma_start_weight: float = 5.0
    sigma_clip: float = 4.0
    sigma_floor: float = 0.001
    dispersion_multiple: float = 2.0
    market_multiple: float = 1.5
    beta_decay: float = 0.98
    beta_start: float = 0.5
    beta_start_variance: float = 2e-5
    reversal_share: float = 0.35
    peer_fraction: float = 0.7
    peer_limit: float = 0.4
    surge_threshold: float = 1.5
    surge_weight: float = 1.5
    surge_boost: float = 6.0
    volume_window: int = 60
    instant_limit: float = 0.64

    confirmations: int = 5
    small_log_move: float = 0.22
    small_confirmations: int = 2
    level_tolerance: float = 0.33
    undecided_bars: int = 15
    print_surge: float = 0.3
    genuine_surge: float = 6.0
    break_sigma: float = 12.0
    fiscal_break_sigma: float = 8.0
    lasting_share: float = 0.7
    scale_log_move: float = 0.4
    distribution_limit: float = 0.27
    split_odds: float = 10.0
    split_sigma_limit: float = 4.5
    break_decay: float = 0.3
    fiscal_break_odds: float = 10.0
    volume_log_sigma: float = 1.0
    doubt_sessions: int = 252
    flip_window: int = 60
    flip_count: int = 3
    flip_cooldown: int = 20

    listing_bars: int = 20
    nav_share: float = 0.5
    nav_flip_log_move: float = 0.14
    liquid_window: int = 60
    liquid_low_share: float = 0.2
    deferred_bars: int = 4
    stale_bars: int = 10
    stale_traded_bars: int = 20
    restart_sessions: int = 252
    repeat_volume: float = 20.0
    copied_bars: int = 10
    copied_share: float = 0.9
    copied_cooldown: int = 60

    unknown_volume_bars: int = 3
    hole_window: int = 20
    hole_share: float = 0.05
    hole_funds: int = 5
    silent_sessions: int = 20
    irregular_silent_sessions: int = 63
    sparse_window: int = 63
    sparse_bars: int = 12
    sparse_gap: int = 50
    monthly_bars: int = 4
    sparse_exit_window: int = 21
    sparse_exit_bars: int = 15
    calendar_bars: int = 3
    calendar_window_days: int = 730
    coherent_tolerance: float = 0.005
