"""A portfolio's return adds up, session by session and linked, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.attribution.return_attribution import attribute_return, in_order, link_contributions
from etf_pipeline_tests.core.random_market import assert_causal

NAMES = ("market", "size")


def portfolio(seed, sessions=300, funds=8):
    rng = np.random.default_rng(seed)
    f = rng.normal(0.0003, 0.01, (sessions, 2))
    loading = rng.normal(0.8, 0.3, (sessions, funds, 2))
    rf = np.full(sessions, 1e-4)
    excess = np.einsum("tnk,tk->tn", loading, f) + rng.normal(0, 0.004, (sessions, funds))
    total = (1 + excess + rf[:, None]) * (1 + rng.normal(0, 0.006, (sessions, 1))) - 1
    weight = rng.dirichlet(np.ones(funds), sessions) * 0.95
    weight[rng.random(weight.shape) < 0.3] = 0.0
    gap = rng.random(total.shape) < 0.05
    total[gap] = np.nan
    excess[gap | (rng.random(total.shape) < 0.03)] = np.nan
    loading[: sessions // 5, -1] = np.nan
    f[rng.random(sessions) < 0.02] = np.nan
    alpha = np.where(np.isnan(loading[:, :, 0]), np.nan, 1e-4)
    earned = np.r_[np.nan, np.nansum(weight[:-1] * total[1:], axis=1)]
    items = {
        "costs": -rng.uniform(0, 1e-3, sessions),
        "cash_interest": np.full(sessions, 5e-6),
        "trading": rng.normal(0, 1e-4, sessions),
    }
    net = earned + sum(items.values()) + rng.normal(0, 1e-6, sessions)
    return {
        "portfolio_return": net,
        "weight": weight,
        "total_return": total,
        "excess_return": excess,
        "risk_free": rf,
        "loading": loading,
        "alpha": alpha,
        "factor_return": f,
        "items": items,
    }


@pytest.mark.parametrize("seed", range(5))
def test_every_session_adds_up(seed):
    given = portfolio(seed)
    found = attribute_return(**given)
    parts = found.contributions(NAMES)
    total = sum(parts.values())
    np.testing.assert_allclose(total[1:], given["portfolio_return"][1:], rtol=0, atol=1e-12)
    assert np.isnan(total[0])
    assert np.abs(found.other[1:]).max() < 1e-5  # nothing but the noise put there


@pytest.mark.parametrize("seed", range(3))
def test_linked_contributions_add_up_to_the_compounded_return(seed):
    given = portfolio(seed)
    parts = attribute_return(**given).contributions(NAMES)
    daily = np.column_stack(list(parts.values()))[1:]
    r = given["portfolio_return"][1:]
    linked = link_contributions(daily, r)
    assert linked.sum() == pytest.approx(np.prod(1 + r) - 1, abs=1e-12)
    assert link_contributions(daily[:1], r[:1]) == pytest.approx(daily[0], abs=1e-15)


def test_hand_computed():
    one = {
        "portfolio_return": np.array([np.nan, 0.02]),
        "weight": np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 0.0]]),
        "total_return": np.array([[np.nan] * 3, [0.03, 0.01, np.nan]]),
        "excess_return": np.array([[np.nan] * 3, [0.025, np.nan, np.nan]]),
        "risk_free": np.array([np.nan, 0.001]),
        "loading": np.array([[[1.0, 0.5]] * 3, [[9.0, 9.0]] * 3]),
        "alpha": np.array([[0.002] * 3, [9.0] * 3]),
        "factor_return": np.array([[np.nan] * 2, [0.01, -0.02]]),
        "items": {"costs": np.array([0.0, -0.001])},
    }
    found = attribute_return(**one)
    np.testing.assert_allclose(found.factor[1], [0.5 * 0.01, 0.5 * 0.5 * -0.02])
    assert found.alpha[1] == pytest.approx(0.001)
    assert found.specific[1] == pytest.approx(0.5 * (0.025 - 0.002))  # the factors cancel: 0.01 - 0.01
    assert found.risk_free[1] == pytest.approx(0.0005)
    assert found.translation[1] == pytest.approx(0.5 * (0.03 - 0.025 - 0.001))
    assert found.unexplained[1] == pytest.approx(0.3 * 0.01)  # its excess return is unknown
    assert found.unexplained_weight[1] == pytest.approx(0.3)
    assert found.weight_without_return[1] == pytest.approx(0.2)
    assert found.other[1] == pytest.approx(0.02 - 0.5 * 0.03 - 0.3 * 0.01 + 0.001)


def test_funds_without_exposures_are_told_and_not_taken_for_unexposed():
    given = portfolio(7)
    given["loading"][:] = np.nan
    found = attribute_return(**given)
    held = np.abs(given["weight"][:-1]).sum(axis=1)
    np.testing.assert_allclose(found.unexplained_weight[1:] + found.weight_without_return[1:], held)
    np.testing.assert_array_equal(found.factor[1:], 0.0)
    assert np.abs(found.unexplained[1:]).max() > 0.01


def test_a_cut_changes_nothing():
    given = portfolio(8)
    keys = [k for k in given if k != "items"]

    def stage(*panels):
        found = attribute_return(**dict(zip(keys, panels, strict=True)))
        return {"factor": found.factor, "specific": found.specific, "other": found.other}

    assert_causal(stage, tuple(given[k] for k in keys), (2, 60, 211))


def test_what_cannot_be_meant_is_refused():
    given = portfolio(9)
    weight = given["weight"].copy()
    weight[5, 3] = np.nan
    with pytest.raises(ValueError, match="session 5, fund 3"):
        attribute_return(**(given | {"weight": weight}))
    costs = np.zeros(300)
    costs[4] = np.nan
    with pytest.raises(ValueError, match="item costs is NaN at session 4"):
        attribute_return(**(given | {"items": {"costs": costs}}))
    with pytest.raises(ValueError, match="loading"):
        attribute_return(**(given | {"loading": given["loading"][:, :, :1]}))
    with pytest.raises(ValueError, match="share a name"):
        attribute_return(**(given | {"items": {"size": np.zeros(300)}})).contributions(NAMES)
    with pytest.raises(ValueError, match="factor_names"):
        attribute_return(**given).contributions(("market",))
    with pytest.raises(ValueError, match="lost everything"):
        link_contributions(np.array([[-1.0]]), np.array([-1.0]))
    with pytest.raises(ValueError, match="differ"):
        link_contributions(np.array([[0.02]]), np.array([0.01]))
    with pytest.raises(ValueError, match="NaN"):
        link_contributions(np.array([[np.nan]]), np.array([0.01]))


def test_funds_that_are_not_held_change_no_digit():
    """Listed later, they are columns of nothing: in numpy's own sums they would move the last digit."""
    given = portfolio(7, funds=11)
    alone = attribute_return(**given).contributions(NAMES)
    rng = np.random.default_rng(8)
    place = np.sort(rng.choice(np.arange(30), 11, replace=False))
    wide = dict(given)
    for name, fill in (
        ("weight", 0.0),
        ("total_return", np.nan),
        ("excess_return", np.nan),
        ("alpha", np.nan),
    ):
        wide[name] = np.full((len(given[name]), 30), fill)
        wide[name][:, place] = given[name]
    wide["loading"] = np.full((len(given["loading"]), 30, 2), np.nan)
    wide["loading"][:, place] = given["loading"]
    for name, part in attribute_return(**wide).contributions(NAMES).items():
        np.testing.assert_array_equal(part, alone[name], err_msg=name)


def test_sums_in_order_are_sums():
    value = np.random.default_rng(9).normal(size=(20, 40, 3))
    np.testing.assert_allclose(in_order(value), value.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(in_order(value[:, :, 0]), value[:, :, 0].sum(axis=1), rtol=1e-11)
    assert in_order(value[:, :0]).tolist() == np.zeros((20, 3)).tolist()
