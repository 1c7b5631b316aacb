"""Plateaus told from spikes, with the errors stated."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.validation.parameter_stability import stability


def test_a_spike_is_told_from_a_plateau() -> None:
    """Three series in a row of nine share their edge, one alone has it; 0.06 a day, 0.95 a year."""
    rng = np.random.default_rng(0)
    common = rng.standard_normal((4000, 1))
    own = rng.standard_normal((4000, 9))
    returns = 0.95 * common + 0.3 * own
    returns += np.array([-0.01, 0.06, 0.06, 0.06, 0.0, 0.0, 0.0, 0.06, -0.02]) - returns.mean(axis=0)
    line = np.array([[k - 1, k + 1] for k in range(9)])
    line[-1, 1] = -1
    line[[0], [0, 1]] = [1, -1]
    found = stability(returns, line)
    assert found.verdict[[0, 2, 7, 8]].tolist() == ["nothing", "plateau", "spike", "nothing"]
    assert found.verdict[1] == found.verdict[3] == "spike"  # at the edge half of the neighbours lose it all
    np.testing.assert_allclose(found.mean_sharpe[2], (found.sharpe[1] + found.sharpe[3]) / 2)
    np.testing.assert_allclose(found.worst_kept[7], found.sharpe[8] / found.sharpe[7])
    assert np.isnan(found.mean_kept[8])
    short = 0.8 * found.sharpe[8] - found.sharpe[7]  # its only neighbour
    np.testing.assert_allclose(found.worst_excess[8], short / found.mean_error[8])
    np.testing.assert_array_equal(found.neighbours, [1, *[2] * 7, 1])


def test_the_error_of_a_shortfall_is_what_it_varies_by() -> None:
    """Standard deviation over samples of share * own - mean of neighbours, against the error stated: within 10 %."""
    rng = np.random.default_rng(1)
    line = np.array([[1, 2], [0, -1], [0, -1]])
    short, stated = [], []
    for _ in range(300):
        returns = 0.05 + 0.8 * rng.standard_t(6, (1000, 1)) + 0.4 * rng.standard_normal((1000, 3))
        found = stability(returns, line)
        short.append(0.8 * found.sharpe[0] - found.mean_sharpe[0])
        stated.append(found.mean_error[0])
    assert np.mean(stated) == pytest.approx(np.std(short), rel=0.10)


def test_periods_that_not_all_have_do_not_count() -> None:
    returns = np.random.default_rng(2).standard_normal((200, 3))
    late = returns.copy()
    late[:50, 1] = np.nan
    line = np.array([[1], [2], [0]])
    np.testing.assert_array_equal(stability(late, line).sharpe, stability(returns[50:], line).sharpe)
    with pytest.raises(ValueError, match="30 periods"):
        stability(late[:60], line)
