"""What a device changes at the top: by hand, and that one which touches nobody changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.scoring.device_effects import device_effects, scores_without

TICKERS = np.array(["A", "B", "C", "D", "E"])


def test_a_penalty_by_hand():
    raw = np.array([[90.0, 80, 70, 60, np.nan]])
    points = {"cvar": np.array([[30.0, 0, 0, 0, np.nan]]), "silence": np.array([[10.0, 10, 0, np.nan, 0]])}
    share = np.array([[1.0, 0.5, 1, 1, np.nan]])
    without = scores_without(raw, raw - 5, points, share, 20.0)
    taken = np.array([20.0, 5, 0, 0])
    np.testing.assert_allclose(without["penalties"], raw)
    np.testing.assert_allclose(without["everything"], raw - 5)
    np.testing.assert_allclose(without["multipliers"][0, :4], (raw[0, :4] - 5) * (1 - taken / 100))
    np.testing.assert_allclose(
        without["penalty_cap"][0, :4], raw[0, :4] * (1 - np.array([40, 5, 0, 0]) / 100)
    )
    np.testing.assert_allclose(
        without["penalty_share"][0, :4], raw[0, :4] * (1 - np.array([20, 10, 0, 0]) / 100)
    )
    np.testing.assert_allclose(
        without["penalty_cvar"][0, :4], raw[0, :4] * (1 - np.array([10, 5, 0, 0]) / 100)
    )
    # The cap is reached by either penalty alone and cuts both short: without the milder one nothing changes for A.
    np.testing.assert_allclose(
        without["penalty_silence"][0, :4], raw[0, :4] * (1 - np.array([20, 0, 0, 0]) / 100)
    )

    rank = np.array([[2, 1, 3, 4, 0]])  # final scores 72, 76, 70, 60
    effects = device_effects(rank, without, TICKERS, top=1)
    row = {name: values[effects["device"] == "penalties"][0] for name, values in effects.items()}
    assert row == {
        "device": "penalties", "row": 0, "ranked": 4, "changed": 1, "entered": "B", "displaced": "A", "moved": 2,
        "largest_move": 1,
    }  # fmt: skip
    same = effects["device"] == "penalty_silence"
    assert effects["changed"][same].tolist() == [0]
    assert effects["entered"][same].tolist() == [None]


def test_who_enters_and_who_would_be_there_instead_in_order():
    rank = np.array([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]])
    score = np.array([[1.0, 2, 3, 4, 5], [np.nan] * 5, [5, 4, 3, 2, 1]])
    effects = device_effects(rank, {"x": score}, TICKERS, top=2)
    assert effects["row"].tolist() == [0, 2]  # a session without a ranking has no row
    assert effects["entered"].tolist() == ["A, B", None]
    assert effects["displaced"].tolist() == ["E, D", None]
    assert effects["changed"].tolist() == [2, 0]
    assert effects["moved"].tolist() == [4, 0]
    assert effects["largest_move"].tolist() == [4, 0]


def test_equal_scores_keep_the_order_served():
    rank = np.array([[3, 1, 2, 5, 4]])
    effects = device_effects(rank, {"none": np.full((1, 5), 50.0) + 1e-12 * np.arange(5)}, TICKERS, top=2)
    assert effects["changed"].tolist() == effects["moved"].tolist() == [0]


def test_no_more_funds_than_places_is_no_change():
    rank = np.array([[1, 2, 3, 0, 0]])
    effects = device_effects(rank, {"x": np.array([[1.0, 2, 3, 9, 9]])}, TICKERS, top=3)
    assert effects["changed"].tolist() == [0]
    assert effects["moved"].tolist() == [2]


@pytest.mark.parametrize("seed", range(5))
def test_as_many_enter_as_leave(seed):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(30, 40))
    score[rng.random(score.shape) < 0.3] = np.nan
    served = (
        np.argsort(np.argsort(-np.nan_to_num(score + rng.normal(0, 1, score.shape), nan=-99), axis=1), axis=1)
        + 1
    )
    rank = np.where(np.isnan(score), 0, served)
    names = np.array([f"F{j:02d}" for j in range(40)])
    effects = device_effects(rank, {"x": score}, names, top=10)
    assert effects["changed"].max() > 0
    for i, t in enumerate(effects["row"]):
        top = {
            names[j]
            for j in np.argsort(np.where(rank[t] > 0, rank[t], 99), kind="stable")[:10]
            if rank[t, j] > 0
        }
        other = {names[j] for j in np.argsort(-np.nan_to_num(score[t], nan=-99), kind="stable")[:10]}
        assert set((effects["entered"][i] or "").split(", ")) - {""} == top - other
        assert set((effects["displaced"][i] or "").split(", ")) - {""} == other - top


def test_a_ranked_fund_without_a_score_is_an_error():
    with pytest.raises(ValueError, match="B is ranked at session 0 but has no score without cap"):
        device_effects(np.array([[1, 2, 0, 0, 0]]), {"cap": np.array([[1.0, np.nan, 1, 1, 1]])}, TICKERS)
