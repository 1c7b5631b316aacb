"""The previous bar on this session's terms."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.risk.previous_bar import log_prices, previous_bar_shift
from etf_pipeline_tests.core.random_market import assert_causal, random_market

ONE = np.ones((2, 1))


def shift(
    close=(10.0, 10.0), scale=1.0, split=1.0, distribution=0.0, basis="as_traded", accepted=(True, True)
):
    column = [np.array([[a], [b]], dtype=float) for a, b in ((1.0, scale), (1.0, split), (0.0, distribution))]
    return previous_bar_shift(np.array(close)[:, None], np.array(accepted)[:, None], *column, basis=basis)[
        1, 0
    ]


def test_what_moves_a_price_without_the_market():
    assert shift() == 0.0
    np.testing.assert_allclose(shift(split=4.0), -np.log(4))
    np.testing.assert_allclose(shift(scale=20.0), np.log(20))
    np.testing.assert_allclose(shift(distribution=0.5), np.log(0.95))
    np.testing.assert_allclose(shift(split=2.0, distribution=1.0, scale=10.0), np.log(9 / 2 * 10 / 10))


def test_only_what_the_basis_leaves_in_the_prices():
    news = {"split": 4.0, "distribution": 0.5}
    np.testing.assert_allclose(shift(**news, basis="split_adjusted"), np.log(0.95))
    assert shift(**news, basis="total_return_adjusted") == 0.0
    np.testing.assert_allclose(shift(scale=2.0, basis="total_return_adjusted"), np.log(2))


@pytest.mark.parametrize(
    "news",
    [
        {"scale": np.nan},
        {"scale": 0.0},
        {"split": 0.0},
        {"split": -1.0},
        {"distribution": 10.0},
        {"distribution": -0.1},
        {"distribution": np.nan},
        {"accepted": (False, True)},
        {"accepted": (True, False)},
    ],
    ids=str,
)
def test_no_partner(news):
    assert np.isnan(shift(**news))


def test_agrees_with_the_total_return_of_one_session():
    m = random_market(3)
    returns = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    moves = previous_bar_shift(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    one = (returns.sessions_spanned == 1) & ~returns.unknown
    np.testing.assert_array_equal(~np.isnan(moves), one)
    before = np.vstack([np.full((1, m.close.shape[1]), np.nan), m.close[:-1]])
    # Total return of a fund that opens and closes exactly where the shift puts it: none.
    flat = (before * np.exp(moves) / m.scale * m.split + m.distribution) / before - 1.0
    np.testing.assert_allclose(flat[one], 0.0, atol=1e-14)


def test_logarithms_of_usable_bars():
    price = np.array([[10.0, 10.0, 10.0, 10.0]])
    accepted = np.array([[True, False, True, True]])
    open_, low = price.copy(), price.copy()
    open_[0, 2], low[0, 3] = 0.0, np.nan
    logs = log_prices(open_, price, low, price, accepted)
    assert np.isnan(np.array(logs))[:, :, 0].T.tolist() == [
        [False] * 4,
        [True] * 4,
        [True, False, False, False],
        [True] * 4,
    ]
    assert all(panel.flags.c_contiguous and panel.shape == (4, 1) for panel in logs)


def test_cutting_changes_nothing_earlier():
    m = random_market(4)
    assert_causal(
        lambda *panels: {"shift": previous_bar_shift(*panels, basis="as_traded")},
        (m.close, m.accepted, m.scale, m.split, m.distribution),
        (1, 2, 100, 419),
    )


def test_refusals():
    with pytest.raises(ValueError, match="basis 'raw' is none of"):
        shift(basis="raw")
    with pytest.raises(ValueError, match="differ in shape"):
        previous_bar_shift(ONE, ONE > 0, ONE, ONE[:1], ONE, basis="as_traded")
