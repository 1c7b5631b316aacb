"""The scenarios that can be had at a session."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.losses import fund_losses
from etf_pipeline.core.attribution.stress.scenario_set import hypothetical_paths, replay_paths
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE, exposures, factor_history

SESSIONS = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 300)
MOVES = factor_history(300)
REPLAYS = {
    "early": (SESSIONS[20], SESSIONS[40]),
    "late": (SESSIONS[200], SESSIONS[220]),
    "before": (SESSIONS[0] - 50, SESSIONS[30]),
}


def test_a_window_is_there_once_it_is_over() -> None:
    paths, left_out = replay_paths(REPLAYS, SESSIONS, MOVES, COVARIANCE, 219)
    assert [p.name for p in paths] == ["early"]
    assert left_out["late"] == f"the window to {SESSIONS[220]} is not over at this session"
    assert left_out["before"] == f"the factors begin after {SESSIONS[0] - 50}"
    paths, _ = replay_paths(REPLAYS, SESSIONS, MOVES, COVARIANCE, 220)
    assert [p.name for p in paths] == ["early", "late"]


@pytest.mark.parametrize("shift", [0, 1])
def test_nothing_after_the_session_is_read(shift: int) -> None:
    funds = exposures(4)
    for at in (39, 40, 41, 100, 221):
        later = MOVES.copy()
        later[at + 1 :] = 9.0
        want, why = replay_paths(REPLAYS, SESSIONS[: at + 1], MOVES[: at + 1], COVARIANCE, at, shift=shift)
        got, same = replay_paths(REPLAYS, SESSIONS, later, COVARIANCE, at, shift=shift)
        assert same == why
        assert [p.name for p in got] == [p.name for p in want]
        if got:
            losses = [fund_losses(funds, [p.path for p in paths]) for paths in (got, want)]
            for field in ("total_return", "contribution", "low", "high"):
                np.testing.assert_array_equal(getattr(losses[0], field), getattr(losses[1], field))


def test_a_window_without_factors_says_so() -> None:
    empty = np.full_like(MOVES, np.nan)
    paths, left_out = replay_paths({"early": REPLAYS["early"]}, SESSIONS, empty, COVARIANCE, 299)
    assert not paths
    assert left_out["early"].startswith("no factor is known from 2020-01-21")


def test_hypotheticals_come_with_and_without_the_others() -> None:
    paths = hypothetical_paths({"fall": ({"equity": -0.2}, 21)}, COVARIANCE)
    assert [(p.name, p.others) for p in paths] == [("fall", "conditional"), ("fall", "unchanged")]
    assert paths[0].path.moves[0, 5] > 0 == paths[1].path.moves[0, 5]
    with pytest.raises(ValueError, match="scenario typo: shocks to equty"):
        hypothetical_paths({"typo": ({"equty": -0.2}, 21)}, COVARIANCE)
