"""Records judged with the trials counted."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.luck import count_trials, judge_strategies, judge_trials

MONTHS, DAYS = 120, 2520


def family(seed: int, trials: int = 40, alike: float = 0.9, skill: float = 0.0) -> np.ndarray:
    """Monthly returns of trials that share most of their variance."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((MONTHS, 1)), rng.standard_normal((MONTHS, trials))
    return skill + 0.02 * (np.sqrt(alike) * common + np.sqrt(1 - alike) * own)


def yards(value: float = 0.0) -> dict[str, np.ndarray]:
    return {name: np.full(MONTHS, value) for name in ("cash", "benchmark", "equal_weight")}


def test_like_trials_count_for_few_and_unlike_ones_for_all() -> None:
    alike, unlike = count_trials(family(0, alike=0.95)), count_trials(family(0, alike=0.0))
    assert alike.number == pytest.approx(0.95 + 0.05 * 40, abs=0.5)
    assert unlike.number > 35
    assert alike.variance < unlike.variance
    assert count_trials(family(0, trials=1)).number == 1


def test_worthless_trials_are_not_called_good() -> None:
    figures = [judge_trials(family(seed), yards())[0] for seed in range(20)]
    assert sum(f["spa_p_value"] < 0.05 for f in figures) <= 3
    assert sum(f["step_m_rejections"] > 0 for f in figures) <= 3
    assert 0.2 < np.mean([f["probability_of_overfitting"] for f in figures]) < 0.8
    assert all(f["splits"] == 12_870 for f in figures)


def test_skill_is_found() -> None:
    figures, counts = judge_trials(family(1, skill=0.01), yards())
    assert figures["spa_p_value"] < 0.01
    assert figures["step_m_rejections"] == 40
    assert figures["probability_of_loss"] == 0.0
    assert set(counts) == {"cash", "benchmark", "equal_weight"}


def test_months_and_trials_that_cannot_be_compared_are_left_out() -> None:
    monthly = family(2)
    monthly[:100, 0] = np.nan  # too short a record: not compared
    monthly[:12, 1:] = np.nan
    figures, _ = judge_trials(monthly, yards())
    assert figures["trials"] == 40
    assert np.isfinite(figures["probability_of_overfitting"])
    few, counts = judge_trials(monthly[:40], {name: yard[:40] for name, yard in yards().items()})
    assert np.isnan(few["spa_p_value"])
    assert counts == {}


def daily(seed: int, sharpe: float) -> np.ndarray:
    return 0.01 * (np.random.default_rng(seed).standard_normal(DAYS) + sharpe / np.sqrt(252.0))


def test_more_trials_make_the_same_record_less_sure() -> None:
    yardsticks = {"benchmark": daily(5, 0.3), "equal_weight": daily(6, 0.3)}
    own = {"top_ranked": yardsticks["benchmark"] + daily(7, 1.0)}
    deflated = []
    for trials in (2, 40):
        _, counts = judge_trials(family(3, trials=trials, alike=0.0), yards())
        rows = judge_strategies(own, yardsticks, np.zeros(DAYS), trials, counts)
        assert [row["against"] for row in rows] == ["cash", "benchmark", "equal_weight"]
        against = rows[1]
        assert against["trials"] == trials
        assert against["deflated_sharpe"] <= against["probabilistic_sharpe"]
        assert against["sharpe_lower"] < against["sharpe"] < against["sharpe_upper"]
        assert against["years"] == pytest.approx(10.0)
        deflated.append(against["deflated_sharpe"])
    assert deflated[1] < deflated[0]


def test_without_counted_trials_nothing_is_deflated() -> None:
    yardsticks = {"benchmark": daily(5, 0.3), "equal_weight": daily(6, 0.3)}
    rows = judge_strategies({"top_ranked": daily(8, 0.5)}, yardsticks, np.zeros(DAYS), 0, {})
    assert all(np.isnan(row["deflated_sharpe"]) for row in rows)
    assert all(np.isfinite(row["probabilistic_sharpe"]) for row in rows)
    short = {"top_ranked": np.where(np.arange(DAYS) < DAYS - 50, np.nan, 0.01)}
    assert judge_strategies(short, yardsticks, np.zeros(DAYS), 0, {}) == []
