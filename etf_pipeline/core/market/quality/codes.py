"""Integer codes that the compiled detector writes, and their names in the event log."""

from __future__ import annotations

from typing import Final

INFO: Final = 0
WARNING: Final = 1
ERROR: Final = 2
SEVERITIES = ("info", "warning", "error")

NONE: Final = 0
REPAIRED: Final = 1
QUARANTINED: Final = 2
DROPPED: Final = 3
EXCLUDED: Final = 4
RESOLVED: Final = 5
ACTIONS = ("none", "repaired", "quarantined", "dropped", "excluded", "resolved")

UNCONFIRMED_LEVEL: Final = 0
BAD_PRINT: Final = 1
BAD_SCALE_BLOCK: Final = 2
SCALE_FLIP_FLOP: Final = 3
DISTRIBUTION_WRONG_DATE: Final = 4
SPLIT_UNADJUSTED: Final = 5
CONSOLIDATION_UNADJUSTED: Final = 6
ADJUSTMENT_BREAK: Final = 7
LARGE_MOVE_CONFIRMED: Final = 8
UNTRADED_PRINT: Final = 9
DEFERRED_SETTLEMENT: Final = 10
STALE_RUN: Final = 11
STALE_TRADED_RUN: Final = 12
PRE_LISTING_BAR: Final = 13
PRELISTING_NAV_HISTORY: Final = 14
PRELISTING_NAV_FLIP: Final = 15
RECYCLED_CODE: Final = 16
DOUBT_LIFTED: Final = 17
TRADED_FLIP: Final = 18
DISTRIBUTION_REVERSED: Final = 19
LARGE_MOVE_REVERSED: Final = 20
REVERSED_AFTERWARDS: Final = 21
DISTRIBUTION_UNTRADED: Final = 22
UNTRADED_HISTORY: Final = 23
UNTRADED_BLOCK: Final = 24

LEVEL_RULES = (  # two codes share a name where only their evidence differs
    "unconfirmed_level",
    "bad_print",
    "bad_scale_block",
    "scale_flip_flop",
    "distribution_adjusted_on_wrong_date",
    "split_unadjusted_history",
    "consolidation_unadjusted_history",
    "adjustment_break",
    "large_move_confirmed",
    "untraded_print",
    "deferred_settlement_gap",
    "stale_run",
    "stale_run",
    "pre_listing_bar",
    "prelisting_nav_history",
    "prelisting_nav_flip",
    "recycled_code",
    "doubt_lifted",
    "scale_flip_flop",
    "distribution_adjusted_on_wrong_date",
    "large_move_reversed",
    "bad_print",
    "distribution_adjusted_on_wrong_date",
    "untraded_history",
    "bad_scale_block",
)

# Columns of the detector's event rows: positions of sessions, codes, then six numbers of evidence.
E_START: Final = 0
E_END: Final = 1
E_DETECTED: Final = 2
E_RULE: Final = 3
E_SEVERITY: Final = 4
E_ACTION: Final = 5
E_EVIDENCE: Final = 6
E_WIDTH: Final = 12
E_OPENING: Final = 11
"""Evidence column that is 1 where the event opens a condition and a later event closes it."""
