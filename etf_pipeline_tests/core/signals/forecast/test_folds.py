"""Refits: on the first session of a quarter, from targets that were over, with a gap."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.signals.forecast.folds import quarter_starts, quarterly_folds

DAYS = np.arange(np.datetime64("2018-01-15"), np.datetime64("2022-02-10"))
SESSIONS = DAYS[np.is_busday(DAYS)]


def test_quarters_begin_in_january_april_july_october():
    starts = SESSIONS[quarter_starts(SESSIONS)]
    assert starts[:4].astype(str).tolist() == ["2018-04-02", "2018-07-02", "2018-10-01", "2019-01-01"]


@pytest.mark.parametrize("horizon", [5, 21, 63])
@pytest.mark.parametrize("embargo", [0, 5])
def test_targets_end_before_the_refit(horizon, embargo):
    folds = quarterly_folds(
        SESSIONS, np.ones(len(SESSIONS), dtype=bool), horizon, window=500, minimum=250, embargo=embargo
    )
    assert len(folds.refit) > 8
    last_learned = folds.learned - 1
    np.testing.assert_array_equal(last_learned + horizon + embargo, folds.refit)
    assert (folds.learned - folds.begin <= 500).all()
    assert (folds.learned >= 250).all()
    np.testing.assert_array_equal(folds.end[:-1], folds.refit[1:])
    assert folds.end[-1] == len(SESSIONS)


def test_a_cut_leaves_earlier_refits_alone():
    use = np.ones(len(SESSIONS), dtype=bool)
    options = {"window": 500, "minimum": 250, "embargo": 5}
    whole = quarterly_folds(SESSIONS, use, 21, **options)
    part = quarterly_folds(SESSIONS[:700], use[:700], 21, **options)
    count = len(part.refit)
    np.testing.assert_array_equal(part.refit, whole.refit[:count])
    np.testing.assert_array_equal(part.learned, whole.learned[:count])
    np.testing.assert_array_equal(part.begin, whole.begin[:count])
    np.testing.assert_array_equal(part.edges, whole.edges[: len(part.edges)])


def test_a_short_history_has_no_refit():
    folds = quarterly_folds(SESSIONS[:200], np.ones(200, dtype=bool), 21, window=500, minimum=250, embargo=5)
    assert len(folds.refit) == 0
