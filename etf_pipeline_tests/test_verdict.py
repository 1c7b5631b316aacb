"""The verdict in words: yes only where everything speaks for it, no where it is no, and neither where it is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from etf_pipeline.backtest_evidence import Evidence
from etf_pipeline.verdict import judge

GOOD = Evidence(
    "top_ranked",
    summary={"annual_return": 0.123, "excess_annual_return": 0.031},
    over_cash={
        "sharpe": 1.2, "sharpe_lower": 0.8, "sharpe_upper": 1.6, "trials": 2880, "effective_trials": 14.2,
    },
    over_benchmark={
        "sharpe": 0.9, "deflated_sharpe": 0.96, "years": 15.0, "years_for_power": 9.7, "trials": 2880,
        "effective_trials": 14.2, "expected_maximum_sharpe": 0.62,
    },
    overfitting={"spa_p_value": 0.02, "probability_of_overfitting": 0.03},
    random={"beaten_in_sharpe": 0.98, "draws": 500},
    survivorship={"funds": 240, "dead_funds": 31, "annual_return_difference": 0.008},
    settings={"top": 20, "keep": 30, "months": 1, "delay": 1, "trade_at": "close", "capital": 1e5},
)  # fmt: skip
FAILING = {
    "over_benchmark": ({"deflated_sharpe": 0.949}, "the luck of many tries"),
    "overfitting": ({"spa_p_value": 0.05}, "none of which beats the market fund"),
    "random": ({"beaten_in_sharpe": 0.94}, "funds any of which would have done"),
}


def changed(part: str, **values: Any) -> Evidence:
    """The good evidence with one row of it changed."""
    return replace(GOOD, **{part: {**getattr(GOOD, part), **values}})


def test_all_of_it_good_is_a_yes() -> None:
    verdict = judge(GOOD)
    assert verdict.answer == "yes"
    assert (
        verdict.headline
        == "Yes, on this record. After costs it earned 12.3 % a year, 3.1 points a year more than the "
        "market fund, and luck is an unlikely explanation of it."
    )
    assert all(test.passed for test in verdict.tests)


@pytest.mark.parametrize("part", FAILING)
def test_one_explanation_that_is_not_ruled_out_is_a_no(part: str) -> None:
    values, named = FAILING[part]
    verdict = judge(changed(part, **values))
    assert verdict.answer == "no"
    assert verdict.headline.startswith(
        "No, it has not been shown to work. After costs it earned 12.3 % a year"
    )
    assert named in verdict.headline
    assert sum(test.passed is False for test in verdict.tests) == 1


def test_settings_that_fit_the_past_alone_are_a_no() -> None:
    verdict = judge(changed("overfitting", probability_of_overfitting=0.58))
    assert verdict.answer == "no"
    assert "settings that fit the past alone" in verdict.headline
    assert any("58 % of all ways to halve it" in sentence for sentence in verdict.sentences)


def test_less_than_the_market_fund_is_a_no_whatever_the_tests_say() -> None:
    verdict = judge(changed("summary", excess_annual_return=-0.024))
    assert verdict.answer == "no"
    assert (
        verdict.headline
        == "No. After costs it earned 12.3 % a year, 2.4 points a year less than the market fund."
    )
    exactly = judge(changed("summary", excess_annual_return=0.0))
    assert (exactly.answer, exactly.headline[-29:]) == ("no", "no more than the market fund.")


def test_a_difference_too_small_to_write_is_not_written_as_zero() -> None:
    assert (
        "a little more than the market fund"
        in judge(changed("summary", excess_annual_return=0.0001)).headline
    )


@pytest.mark.parametrize("part", ["over_benchmark", "overfitting", "random", "survivorship"])
def test_what_is_not_known_is_never_a_yes(part: str) -> None:
    verdict = judge(replace(GOOD, **{part: {}}))
    assert verdict.answer == "unknown"
    assert verdict.headline.startswith("Not known yet. ")
    assert any(test.passed is None for test in verdict.tests)


def test_data_without_a_dead_fund_are_not_enough() -> None:
    verdict = judge(changed("survivorship", dead_funds=0))
    assert verdict.answer == "unknown"
    assert any("survivors only, which flatters" in sentence for sentence in verdict.sentences)


def test_no_complete_year_and_no_market_fund() -> None:
    nothing = judge(Evidence("top_ranked"))
    assert nothing.answer == "unknown"
    assert nothing.headline.startswith("Nothing can be said yet")
    assert "nan" not in " ".join(nothing.sentences).lower()
    assert "None" not in " ".join(nothing.sentences)
    alone = judge(changed("summary", excess_annual_return=float("nan")))
    assert (alone.answer, "what the market fund earned" in alone.headline) == ("unknown", True)


def test_the_words_carry_the_numbers() -> None:
    told = " ".join(judge(GOOD).sentences)
    for text in (
        "at every month's last close the 20 best-ranked funds are chosen in equal parts",
        "rank is at most 30",
        "1 session later at the close",
        "Sharpe ratio over cash is 1.20 (95 % interval 0.80 to 1.60)",
        "2,880 configurations were tried, as good as 14.2 independent ones",
        "Over the market fund the best of so many useless strategies would show a Sharpe ratio of 0.62",
        "probability 0.02 (Hansen's test",
        "in 3 % of all ways to halve it",
        "it beats 98 % of 500 portfolios",
        "Of 240 funds ranked, 31 are gone",
        "by +0.8 points a year",
        "10 years of record are needed (5 % significance, 80 % power); there are 15.0",
    ):
        assert text in told
    one = judge(changed("over_benchmark", trials=1, effective_trials=1.0))
    assert "1 configuration was tried" in " ".join(one.sentences)


def test_no_length_of_record_shows_a_lead_that_is_not_there() -> None:
    told = judge(changed("over_benchmark", sharpe=-0.1, years_for_power=None)).power
    assert told == "No length of record shows a lead that is not there; this one is 15.0 years long."


def test_near_certainty_is_not_called_certainty() -> None:
    told = " ".join(judge(changed("over_benchmark", deflated_sharpe=0.9996)).sentences)
    assert "is over 99 %" in told
    assert "under 1 %" in " ".join(judge(changed("overfitting", probability_of_overfitting=0.001)).sentences)


def test_few_dead_funds_say_that_the_dead_are_missing() -> None:
    verdict = judge(changed("survivorship", dead_funds=4))
    assert verdict.answer == "unknown" or verdict.tests[-1].passed is None
    assert "most of the dead are missing" in " ".join(verdict.sentences)


def test_a_record_that_the_dead_would_change_is_a_no() -> None:
    assert judge(changed("survivorship", annual_return_difference=0.02)).answer == "no"
