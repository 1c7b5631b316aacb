"""Membership: every reason, its precedence, survivorship, and causality."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.universe import (
    CODE,
    REASONS,
    UniverseRules,
    presumed_delistings,
    universe,
)
from etf_pipeline_tests.core.random_market import assert_causal, random_market

RULES = UniverseRules(
    seasoning=20, liquidity_window=10, min_median_traded_value=1000.0, silent_sessions=8, max_stale_sessions=3
)
NAT = np.datetime64("NaT")


class Case:
    """A market of five funds, of which the last is the one looked at; everything else trades daily."""

    def __init__(self, sessions: int = 60) -> None:
        self.sessions = np.datetime64("2024-01-01") + np.arange(sessions)
        self.accepted = np.ones((sessions, 5), dtype=bool)
        self.close = np.full((sessions, 5), 10.0)
        self.volume = np.full((sessions, 5), 1000.0)
        self.doubt = np.zeros((sessions, 5), dtype=bool)
        self.options: dict[str, np.ndarray] = {}

    def last(self, name: str, value: object) -> Case:
        kind = bool if name == "is_leveraged" else "datetime64[D]"
        self.options[name] = np.array([False if kind is bool else NAT] * 4 + [value], dtype=kind)
        return self

    def run(self, rules: UniverseRules = RULES):
        close, volume = self.close.copy(), self.volume.copy()
        close[~self.accepted] = np.nan
        volume[~self.accepted] = np.nan
        return universe(self.sessions, close, volume, self.accepted, self.doubt, rules=rules, **self.options)

    def reasons(self, rules: UniverseRules = RULES) -> list[tuple[str, int]]:
        """The last fund's reasons as runs: (reason, sessions)."""
        names = [REASONS[c] for c in self.run(rules).reason[:, 4]]
        return [(name, len(list(run))) for name, run in itertools.groupby(names)]


def test_a_plain_fund_is_seasoned_then_a_member():
    assert Case().reasons() == [("not_seasoned", 19), ("member", 41)]


def test_without_listing_data_the_first_bar_is_the_listing():
    case = Case()
    case.accepted[:15, 4] = False
    assert case.reasons() == [("not_listed_yet", 15), ("not_seasoned", 19), ("member", 26)]


def test_bars_before_the_listing_date_do_not_season():
    case = Case().last("listed_on", "2024-01-11")
    assert case.reasons() == [("not_listed_yet", 10), ("not_seasoned", 19), ("member", 31)]


def test_listed_but_without_a_bar_so_far():
    case = Case().last("listed_on", "2024-01-06")
    case.accepted[:15, 4] = False
    assert case.reasons() == [("not_listed_yet", 5), ("no_bar", 10), ("not_seasoned", 19), ("member", 26)]


def test_a_fund_that_dies_is_presumed_gone_only_when_that_could_be_known():
    case = Case()
    case.accepted[40:, 4] = False
    # Last bar in row 39; three stale sessions stand; the eighth silent one is row 47.
    assert case.reasons() == [("not_seasoned", 19), ("member", 24), ("no_bar", 4), ("presumed_delisted", 13)]


def test_a_delisting_date_rules_from_the_day_after():
    case = Case().last("delisted_on", "2024-02-10")  # row 40, the last day quoted
    case.accepted[41:, 4] = False
    assert case.reasons() == [("not_seasoned", 19), ("member", 22), ("delisted", 19)]


def test_a_hole_in_the_source_is_not_silence():
    case = Case()
    case.accepted[40:, 4] = False
    case.accepted[42:45] = False  # nobody has bars
    panel = case.run()
    assert panel.silent_sessions[40:46, 4].tolist() == [1, 2, 2, 2, 2, 3]
    assert panel.stale_sessions[45, 4] == 6
    assert np.flatnonzero(panel.presumed_delisted[:, 4])[0] == 50


def test_the_end_of_the_file_kills_nobody():
    case = Case()
    case.accepted[30:] = False
    assert not case.run().presumed_delisted.any()
    assert case.reasons() == [("not_seasoned", 19), ("member", 11), ("no_bar", 3), ("not_covered", 27)]


def test_a_file_that_ends_for_a_group_kills_nobody_in_it():
    accepted = np.ones((80, 30), dtype=bool)
    accepted[40:, :10] = False  # the source stops for ten of thirty; the market goes on
    accepted[45:, 29] = False  # and one fund dies
    sessions = np.datetime64("2024-01-01") + np.arange(80)
    close, volume = np.where(accepted, 10.0, np.nan), np.where(accepted, 1000.0, np.nan)
    panel = universe(sessions, close, volume, accepted, ~accepted & False, rules=RULES)
    assert (panel.silent_sessions[-1, :10] == 40).all()
    assert np.unique(panel.reason[43:, :10]).tolist() == [CODE["not_covered"]]
    assert panel.presumed_delisted.any(axis=0).nonzero()[0].tolist() == [29]


def test_silence_after_the_source_was_last_asked_is_no_evidence():
    case = Case().last("coverage_end", "2024-02-10")
    case.accepted[41:, 4] = False
    assert case.reasons() == [("not_seasoned", 19), ("member", 22), ("not_covered", 19)]
    assert not case.run().presumed_delisted[:, 4].any()


def test_a_presumed_dead_fund_can_come_back():
    case = Case()
    case.accepted[30:45, 4] = False
    panel = case.run()
    assert panel.member[44:46, 4].tolist() == [False, False]  # illiquid: a median over silent sessions
    assert REASONS[panel.reason[44, 4]] == "presumed_delisted"
    assert REASONS[panel.reason[45, 4]] == "illiquid"
    assert REASONS[panel.reason[59, 4]] == "member"
    known = presumed_delistings(panel, case.sessions, np.array(list("ABCDE")))
    assert known.to_dict("list") == {
        "ticker": ["E"],
        "last_session": [pd.Timestamp("2024-01-30")],
        "presumed_on": [pd.Timestamp("2024-02-07")],
        "resumed_on": [pd.Timestamp("2024-02-15")],
    }


def test_presumed_delistings_of_the_still_silent_and_of_none():
    case = Case()
    case.accepted[50:, 4] = False
    tickers = np.array(list("ABCDE"))
    known = presumed_delistings(case.run(), case.sessions, tickers)
    assert known["presumed_on"].tolist() == [pd.Timestamp("2024-02-27")]
    assert known["resumed_on"].isna().all()
    nobody = presumed_delistings(Case().run(), case.sessions, tickers)
    assert len(nobody) == 0
    assert nobody.dtypes.equals(known.dtypes)


def test_a_thin_fund_stays_for_a_few_sessions_without_a_bar():
    case = Case()
    case.accepted[40:43, 4] = False
    assert case.reasons() == [("not_seasoned", 19), ("member", 41)]
    case.accepted[43, 4] = False
    # Row 43 is the fourth session without a bar.
    assert case.reasons() == [("not_seasoned", 19), ("member", 24), ("no_bar", 1), ("member", 16)]
    strict = UniverseRules(20, 10, 1000.0, 8, 0)
    assert ("no_bar", 4) in case.reasons(strict)


def test_doubt_lasts_until_a_close_without_it():
    case = Case()
    case.doubt[40:42, 4] = True
    assert case.reasons() == [("not_seasoned", 19), ("member", 21), ("quarantined", 2), ("member", 18)]
    case.accepted[42:44, 4] = False
    assert case.reasons() == [("not_seasoned", 19), ("member", 21), ("quarantined", 4), ("member", 16)]


def test_illiquid_below_the_threshold_and_not_at_it():
    case = Case()
    case.volume[:, 4] = 100.0  # 10 * 100 = 1000 a session
    assert case.reasons()[-1] == ("member", 41)
    case.volume[:, 4] = 99.9
    assert case.reasons()[-1] == ("illiquid", 41)


def test_days_without_trade_count_as_zero_in_the_median():
    case = Case()
    case.accepted[21:60:2, 4] = False
    case.volume[22:60:4, 4] = 0.0  # of ten sessions five without a bar, two or three without volume
    panel = case.run()
    assert panel.median_traded_value[50, 4] == 0.0
    assert REASONS[panel.reason[50, 4]] == "illiquid"


def test_volume_nobody_recorded_is_unknown_not_zero():
    case = Case()
    case.volume[:30] = 0.0  # the market-wide zeros of an early file
    # At row 34 five of the last ten sessions are known.
    assert case.reasons() == [("not_seasoned", 19), ("volume_unknown", 15), ("member", 26)]
    case.volume[:30] = np.nan
    assert case.reasons() == [("not_seasoned", 19), ("volume_unknown", 15), ("member", 26)]


def test_leveraged_only_if_the_rules_say_so():
    case = Case().last("is_leveraged", True)
    assert case.reasons()[-1] == ("member", 41)
    without = UniverseRules(20, 10, 1000.0, 8, 3, include_leveraged=False)
    assert case.reasons(without) == [("not_seasoned", 19), ("leveraged", 41)]
    assert case.run(without).member[-1, :4].all()


def test_the_first_reason_in_order_wins():
    case = Case().last("delisted_on", "2024-02-10").last("coverage_end", "2024-02-05")
    case.accepted[20:, 4] = False
    case.doubt[19, 4] = True
    assert case.reasons() == [
        ("not_seasoned", 19), ("quarantined", 8), ("presumed_delisted", 14), ("delisted", 19),
    ]  # fmt: skip


def test_members_and_reasons_are_one_thing():
    m = random_market(11)
    panel = universe(m.sessions, m.close, m.volume, m.accepted, m.doubt, rules=RULES)
    np.testing.assert_array_equal(panel.member, panel.reason == CODE["member"])
    assert panel.member.any()
    assert (panel.observed_sessions[panel.member] >= RULES.seasoning).all()
    assert (panel.median_traded_value[panel.member] >= RULES.min_median_traded_value).all()
    assert (panel.stale_sessions[panel.member] <= RULES.max_stale_sessions).all()
    assert not (panel.member & m.doubt).any()
    assert len(set(np.unique(panel.reason))) >= 6, "the random market exercises the reasons"


@pytest.mark.parametrize("seed", range(3))
def test_cutting_changes_nothing_earlier(seed):
    m = random_market(seed)
    listing = {
        "listed_on": np.where(np.arange(12) % 3 == 0, m.sessions[40], NAT),
        "delisted_on": np.where(np.arange(12) % 4 == 1, m.sessions[350], NAT),
        "coverage_end": np.where(np.arange(12) % 5 == 2, m.sessions[330], NAT),
    }

    def stage(sessions, close, volume, accepted, doubt):
        panel = universe(sessions, close, volume, accepted, doubt, rules=RULES, **listing)
        return vars(panel)

    assert_causal(stage, (m.sessions, m.close, m.volume, m.accepted, m.doubt), (1, 20, 61, 222, 345, 419))


def test_dead_funds_are_members_of_their_own_time():
    """Survivorship: dropping the fund that dies changes nothing for others, keeping it keeps its history."""
    case = Case()
    case.accepted[40:, 4] = False
    with_dead = case.run()
    assert with_dead.member[19:43, 4].all()
    assert with_dead.member[19:, :4].all()


def test_an_empty_panel():
    none = np.zeros((0, 3))
    panel = universe(np.array([], dtype="datetime64[D]"), none, none, none > 0, none > 0)
    assert panel.member.shape == (0, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seasoning": 0}, "seasoning must be at least 1"),
        ({"max_stale_sessions": 20}, r"must lie in 0..silent_sessions - 1 \(19\)"),
        ({"min_median_traded_value": -1.0}, "must not be negative"),
        ({"min_median_traded_value": float("nan")}, "must not be negative"),
    ],
)
def test_impossible_rules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UniverseRules(**options)


def test_dates_of_the_wrong_length_are_refused():
    case = Case()
    case.options["listed_on"] = np.array([NAT], dtype="datetime64[D]")
    with pytest.raises(ValueError, match="one date a fund"):
        case.run()


def test_defaults_are_the_documented_ones():
    rules = UniverseRules()
    assert (rules.seasoning, rules.liquidity_window, rules.silent_sessions) == (252, 60, 20)
    assert rules.min_median_traded_value == 50_000
    assert rules.include_leveraged


def test_a_foreign_code_is_named_as_such() -> None:
    sessions = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
    close = np.full((10, 2), 10.0)
    panel = universe(
        sessions, close, close * 1e5, np.ones((10, 2), bool), np.zeros((10, 2), bool),
        is_foreign=np.array([False, True]), rules=UniverseRules(seasoning=1, liquidity_window=5),
    )  # fmt: skip
    assert {REASONS[c] for c in panel.reason[:, 1]} == {"wrong_namespace"}
    assert panel.member[-1].tolist() == [True, False]


def test_a_session_without_any_accepted_bar_is_not_ranked_on_old_closes() -> None:
    sessions = np.arange("2024-01-01", "2024-01-21", dtype="datetime64[D]")
    close = np.full((20, 3), 10.0)
    accepted = np.ones((20, 3), bool)
    accepted[-1] = False
    accepted[-3, 0] = False
    panel = universe(
        sessions, close, close * 1e5, accepted, np.zeros((20, 3), bool),
        rules=UniverseRules(seasoning=2, liquidity_window=5),
    )  # fmt: skip
    assert panel.member[-2].all()
    assert panel.member[-3].all(), "one fund that did not trade stays"
    assert {REASONS[c] for c in panel.reason[-1]} == {"no_bar"}
