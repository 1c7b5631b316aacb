"""Windows on sessions, and realised returns."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.replay import REASONS, Window, realised_returns, window_rows

SESSIONS = np.array(["2020-02-17", "2020-02-18", "2020-02-19", "2020-02-21", "2020-02-24"], "datetime64[D]")


def day(text: str) -> np.datetime64:
    return np.datetime64(text)


def test_a_day_without_a_session_takes_the_close_before() -> None:
    assert window_rows(SESSIONS, day("2020-02-18"), day("2020-02-21")) == Window(1, 3, 3)
    assert window_rows(SESSIONS, day("2020-02-18"), day("2020-02-20")) == Window(1, 2, 3)
    assert window_rows(SESSIONS, day("2020-02-18"), day("2020-02-21"), shift=1) == Window(2, 4, 4)


def test_a_window_that_is_not_over_is_not_there() -> None:
    """Whether it is there on a session is the same before and after later sessions are known."""
    for shift in (0, 1):
        whole = window_rows(SESSIONS, day("2020-02-17"), day("2020-02-20"), shift=shift)
        assert whole is not None
        for length in range(1, len(SESSIONS) + 1):
            seen = window_rows(SESSIONS[:length], day("2020-02-17"), day("2020-02-20"), shift=shift)
            assert seen == (whole if length - 1 >= whole.known_from else None)


def test_a_window_before_the_data_is_not_there() -> None:
    assert window_rows(SESSIONS, day("2007-10-09"), day("2009-03-09")) is None
    assert window_rows(SESSIONS, day("2020-02-10"), day("2020-02-21")) is None
    with pytest.raises(ValueError, match="must end later"):
        window_rows(SESSIONS, day("2020-02-21"), day("2020-02-18"))


def test_realised_is_the_ratio_of_the_closes() -> None:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(rng.normal(0, 0.02, (30, 4)).cumsum(axis=0))
    accepted = np.ones(close.shape, dtype=bool)
    accepted[12, 1] = False  # inside: the next return spans it
    accepted[5, 2] = False  # the first close
    accepted[20, 3] = False  # the last close
    total_return = np.full(close.shape, np.nan)
    for j in range(4):
        rows = np.flatnonzero(accepted[:, j])
        total_return[rows[1:], j] = close[rows[1:], j] / close[rows[:-1], j] - 1
    realised, reason = realised_returns(total_return, accepted, Window(5, 20, 20))
    np.testing.assert_allclose(realised[:2], close[20, :2] / close[5, :2] - 1, rtol=1e-12)
    assert np.isnan(realised[2:]).all()
    assert [REASONS[r] for r in reason] == ["", "", REASONS[1], REASONS[2]]


def test_an_unknown_return_inside_is_no_return_over_it() -> None:
    total_return = np.full((10, 1), 0.01)
    total_return[4] = np.nan
    realised, reason = realised_returns(total_return, np.ones((10, 1), dtype=bool), Window(2, 8, 8))
    assert np.isnan(realised[0])
    assert "unknown" in REASONS[reason[0]]
