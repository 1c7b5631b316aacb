"""Monthly performance of a score: by hand, complete months alone, and nothing that comes later."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from etf_pipeline.core.validation.composite_performance import (
    complete_months,
    monthly_information_coefficient,
    monthly_spread_after_costs,
    weighted_score,
)
from etf_pipeline_tests.core.validation.regime_market import regime_market

MARKET = regime_market(2, sessions=400, funds=30)
SCORE = MARKET.scores["momentum"]
SPREAD = np.full(SCORE.shape, 0.002)


def test_information_coefficient_by_hand() -> None:
    months = complete_months(MARKET.total_return, MARKET.spanned, MARKET.sessions)
    measured = monthly_information_coefficient(SCORE, months)
    for t, known, value in zip(months.formed, months.known, measured, strict=True):
        assert MARKET.sessions[t].astype("M8[M]") != MARKET.sessions[t - 1].astype("M8[M]")
        forward = np.prod(1 + MARKET.total_return[t + 2 : known + 1], axis=0) - 1
        assert value == pytest.approx(spearmanr(SCORE[t], forward).statistic, abs=1e-12)
        assert known == t + 22


def test_a_score_that_knows_the_future_earns_the_spread_less_costs() -> None:
    months = complete_months(MARKET.total_return, MARKET.spanned, MARKET.sessions)
    future = np.where(np.isfinite(months.forward), months.forward, np.nan)
    np.testing.assert_allclose(monthly_information_coefficient(future, months), 1.0)
    free = monthly_spread_after_costs(future, months, np.zeros(SPREAD.shape))
    dear = monthly_spread_after_costs(future, months, SPREAD)
    best = np.sort(months.forward[months.formed], axis=1)
    np.testing.assert_allclose(free, best[:, -6:].mean(axis=1) - best[:, :6].mean(axis=1))
    # Everything in both fifths may be new: 2 sides x (sale + purchase) x half of 0.002.
    assert ((free - dear) > 0).all()
    assert ((free - dear) <= 0.004 + 1e-12).all()


def test_cutting_the_panel_leaves_complete_months_as_they_are() -> None:
    def at(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        months = complete_months(MARKET.total_return[:rows], MARKET.spanned[:rows], MARKET.sessions[:rows])
        return (
            months.known,
            monthly_information_coefficient(SCORE[:rows], months),
            monthly_spread_after_costs(SCORE[:rows], months, SPREAD[:rows]),
        )

    whole = at(400)
    for rows in (1, 60, 199, 390):
        part = at(rows)
        count = int((whole[0] < rows).sum())
        assert len(part[0]) == count
        for mine, all_of_it in zip(part, whole, strict=True):
            assert mine.tobytes() == all_of_it[:count].tobytes()


def test_weighted_score_shares_out_what_is_missing_and_needs_momentum() -> None:
    scores = {"momentum": np.array([[80.0, np.nan, 60.0]]), "risk": np.array([[20.0, 50.0, np.nan]])}
    category = np.array([[0, 1, 2]])
    multipliers = {
        "LOW": {"momentum": 1.0, "risk": 3.0},
        "MEDIUM": {"momentum": 1.0, "risk": 1.0},
        "HIGH": {"momentum": 2.0, "risk": 1.0},
    }
    plain = weighted_score(scores, {"momentum": 0.75, "risk": 0.25}, None, category)
    np.testing.assert_allclose(plain, [[65.0, np.nan, 60.0]])
    by_category = weighted_score(
        scores, {"momentum": np.array([0.75]), "risk": np.array([0.25])}, multipliers, category
    )
    np.testing.assert_allclose(by_category, [[50.0, np.nan, 60.0]])


def test_too_few_funds_are_no_observation() -> None:
    months = complete_months(MARKET.total_return, MARKET.spanned, MARKET.sessions)
    thin = np.where(np.arange(30) < 9, SCORE, np.nan)
    assert np.isnan(monthly_information_coefficient(thin, months)).all()
    assert np.isnan(monthly_spread_after_costs(thin, months, SPREAD)).all()
