"""Resampled ranks: none without noise, wide with much, the same whatever comes after and whoever computes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata

from etf_pipeline.core import parallel
from etf_pipeline.core.scoring.components import COMPONENTS, cross_section, peer_scores
from etf_pipeline.core.scoring.contrast import sharpen
from etf_pipeline.core.scoring.rank_noise import (
    DAILY,
    MEASURES,
    STRATA,
    blended_percentiles,
    draw_measures,
    prefix_sums,
    true_share,
)
from etf_pipeline.core.scoring.rank_uncertainty import (
    STANDS_FOR,
    ResampleRules,
    _blocks,
    _class_weights,
    rank_uncertainty,
    signed_turnover,
)
from etf_pipeline.core.scoring.rules import PeerRules
from etf_pipeline.core.validation.information_coefficient import fund_groups

PEERS = PeerRules(share=0.5, shrinkage=4.0, least=3)
RULES = ResampleRules(draws=100)
FIELDS = ("rank_10", "rank_50", "rank_90", "top_probability", "score_standard_error")


class Funds:
    """Scores made of momentum, risk and volume of random returns, ranked by the base weights."""

    def __init__(
        self, seed=0, sessions=320, funds=40, drift=0.0, noise=0.01, components=("momentum", "risk", "volume")
    ):
        rng = np.random.default_rng(seed)
        shape = (sessions, funds)
        market = noise * rng.normal(size=(sessions, 1))
        self.returns = market + noise * rng.normal(size=shape) + drift * np.linspace(1.3, -1, funds)
        self.market = self.returns[:, 0].copy() if noise else market[:, 0]
        self.turnover = rng.lognormal(0, 1, shape) * np.sign(self.returns)
        self.sessions = np.datetime64("2020-01-01") + np.arange(sessions)
        self.rows = np.array([sessions - 15, sessions - 8, sessions - 1])
        self.groups = fund_groups(np.arange(funds) % 4 - 1, np.array(["a", "b", "c"], dtype=object))
        member = np.ones(shape, dtype=bool)
        measure = {
            "momentum": np.cumsum(np.log1p(self.returns), axis=0),
            "risk": -np.cumsum(self.returns**2, axis=0),
            "volume": np.cumsum(self.turnover, axis=0),
        }
        self.averages = {
            name: cross_section(measure[name], member, higher_is_better=True).score for name in components
        }
        self.weights = {name: np.full(shape, 1.0 / len(components)) for name in components}
        self.penalty = np.zeros(shape)
        self.rerank()

    def rerank(self):
        raw = sum(self.weights[name] * score for name, score in self.averages.items())
        final = raw * (1 - self.penalty / 100)
        self.rank = np.argsort(np.argsort(-np.round(final, 9), axis=1, kind="stable"), axis=1) + 1

    def resampled(self, rules=RULES, until=None, rows=None):
        cut = slice(until)
        rows = self.rows if rows is None else rows
        return rank_uncertainty(
            self.returns[cut], self.market[cut], self.turnover[cut],
            {name: panel[cut] for name, panel in self.averages.items()},
            {name: panel[cut] for name, panel in self.weights.items()},
            self.penalty[cut], self.rank[cut], self.sessions[cut], rows, self.groups, peers=PEERS, rules=rules,
        )  # fmt: skip


def test_without_noise_a_rank_is_certain():
    """Constant returns: however the days are dealt, the year is the same."""
    funds = Funds(noise=0.0, drift=0.001, components=("momentum", "risk"))
    got = funds.resampled()
    own = funds.rank[funds.rows]
    for name in ("rank_10", "rank_50", "rank_90"):
        np.testing.assert_array_equal(getattr(got, name), own)
    np.testing.assert_array_equal(got.top_probability, own <= 20)
    np.testing.assert_allclose(got.score_standard_error, 0.0, atol=1e-6)


def test_more_noise_makes_wider_intervals_and_less_certain_tops():
    quiet, loud = (Funds(1, drift=0.002, noise=noise).resampled() for noise in (0.001, 0.02))
    width = [np.mean(u.rank_90 - u.rank_10) for u in (quiet, loud)]
    assert width[1] > 1.5 * width[0] > 0
    assert loud.score_standard_error.mean() > quiet.score_standard_error.mean()
    for got in (quiet, loud):
        assert (got.rank_10 <= got.rank_50).all()
        assert (got.rank_50 <= got.rank_90).all()
        assert (got.rank_10 >= 1).all()
        assert (got.rank_90 <= 40).all()
        # Each resample has exactly 20 funds in the first 20.
        np.testing.assert_allclose(got.top_probability.sum(axis=1), 20.0)


def test_the_same_days_for_all_keep_twins_together():
    """Two funds with the same days differ in nothing that resampling could change."""
    funds = Funds(2)
    for panel in (funds.returns, funds.turnover, *funds.averages.values()):
        panel[:, 1] = panel[:, 5]  # of the same class
    funds.rerank()
    got = funds.resampled(ResampleRules(draws=400))
    np.testing.assert_array_equal(got.score_standard_error[:, 1], got.score_standard_error[:, 5])
    assert (np.abs(got.rank_50[:, 1] - got.rank_50[:, 5]) <= 1).all()


def test_each_components_contrast_of_the_session_is_part_of_the_score():
    """Without noise the middle rank is the published one, made of sharpened components."""
    funds = Funds(noise=0.0, drift=0.001, components=("momentum", "risk"))
    chosen = {"momentum": 5.0, "risk": 1.44}
    contrast = {name: np.full(len(funds.rank), value) for name, value in chosen.items()}
    percentiles = {
        name: np.array([100.0 * (rankdata(np.round(row, 9)) - 0.5) / len(row) for row in panel])
        for name, panel in funds.averages.items()
    }
    sharp = {name: sharpen(panel, chosen[name]) for name, panel in percentiles.items()}
    final = sum(funds.weights[name] * score for name, score in sharp.items()) * (1 - funds.penalty / 100)
    funds.rank = np.argsort(np.argsort(-np.round(final, 9), axis=1, kind="stable"), axis=1) + 1

    def resampled(contrast):
        return rank_uncertainty(
            funds.returns, funds.market, funds.turnover, funds.averages, funds.weights, funds.penalty, funds.rank,
            funds.sessions, funds.rows, funds.groups, peers=PEERS, rules=RULES, contrast=contrast,
        ).rank_50  # fmt: skip

    np.testing.assert_array_equal(resampled(contrast), funds.rank[funds.rows])
    exchanged = {"momentum": contrast["risk"], "risk": contrast["momentum"]}
    for other in (None, exchanged):
        assert (resampled(other) != funds.rank[funds.rows]).any()


def test_what_is_not_made_of_days_is_held():
    funds = Funds(3, components=("momentum",))
    forecast = {"forecast": funds.averages["momentum"]}
    funds.averages, funds.weights = forecast, {"forecast": funds.weights["momentum"]}
    got = funds.resampled()
    np.testing.assert_array_equal(got.rank_10, funds.rank[funds.rows])
    np.testing.assert_array_equal(got.rank_90, funds.rank[funds.rows])


def test_a_penalty_is_kept_in_every_resample():
    funds = Funds(4)
    funds.penalty[:, 7] = 90.0
    funds.rerank()
    got = funds.resampled()
    assert (got.rank_10[:, 7] > 30).all()
    assert (got.top_probability[:, 7] == 0).all()


def test_a_fund_that_is_not_ranked_has_no_interval_and_takes_no_place():
    funds = Funds(5)
    funds.averages["momentum"][:, 3] = np.nan
    left = funds.rank[:, 3:4]
    funds.rank = np.where(funds.rank > left, funds.rank - 1, funds.rank)
    funds.rank[:, 3] = 0
    got = funds.resampled()
    for name in FIELDS:
        assert np.isnan(getattr(got, name)[:, 3]).all()
    assert np.nanmax(got.rank_90) <= 39
    # A component that a fund lacks is none in the resamples either.
    funds = Funds(5)
    funds.averages["volume"][:, 3] = np.nan
    funds.weights["volume"][:, 3] = 0.0
    assert np.isfinite(funds.resampled().rank_50[:, 3]).all()


def test_nothing_before_the_window_is_full():
    funds = Funds(6)
    got = funds.resampled(rows=np.array([250, 251]))
    assert np.isnan(got.rank_50[0]).all()
    assert np.isfinite(got.rank_50[1]).all()
    funds.rank[251] = 0
    assert np.isnan(funds.resampled(rows=np.array([251])).rank_50).all()
    assert funds.resampled(rows=np.array([], dtype=int)).rank_50.shape == (0, 40)


def test_later_sessions_other_rows_and_workers_change_nothing():
    funds = Funds(7)
    whole = funds.resampled()
    try:
        parallel.set_workers(3)
        early = funds.resampled(until=funds.rows[1] + 1, rows=funds.rows[:2])
        parallel.set_workers(1)
        alone = funds.resampled(rows=funds.rows[1:2])
    finally:
        parallel.set_workers(0)
    for name in FIELDS:
        expected = getattr(whole, name)
        assert getattr(early, name).tobytes() == np.ascontiguousarray(expected[:2]).tobytes()
        assert getattr(alone, name).tobytes() == np.ascontiguousarray(expected[1:2]).tobytes()
    other = funds.resampled(ResampleRules(draws=100, seed=1))
    assert (other.rank_50 != whole.rank_50).any()


def test_days_before_the_window_do_not_matter():
    funds = Funds(8)
    before = funds.resampled(rows=funds.rows[-1:])
    funds.returns[: len(funds.returns) - 252] = 0.3
    funds.turnover[: len(funds.returns) - 252] = 9.0
    after = funds.resampled(rows=funds.rows[-1:])
    for name in FIELDS:
        assert getattr(after, name).tobytes() == getattr(before, name).tobytes()


def test_a_day_without_a_return_adds_nothing():
    funds = Funds(9)
    funds.returns[-40:-30, 4] = 0.0
    expected = funds.resampled(rows=funds.rows[-1:])
    funds.returns[-40:-30, 4] = np.nan
    assert funds.resampled(rows=funds.rows[-1:]).rank_90.tobytes() == expected.rank_90.tobytes()


def test_intervals_hold_the_true_rank_and_the_top_is_as_certain_as_said():
    """Nominal 80 %. With the resamples as they are, not drawn in by the share of luck, it is 67 % here, and 64 % are said.

    On 60 such markets: 79 % of the true ranks are held; 49 % of the first 20 belong there and 51 % are said.
    """
    size, one = 100, np.ones((252, 100))
    momentum = {"momentum": COMPONENTS["momentum"][:1]}
    everyone = fund_groups(np.full(size, -1), np.array([], dtype=object))
    held, said, belong = [], [], []
    for seed in range(12):
        rng = np.random.default_rng([3, seed])
        mean, beta = 0.10 * rng.normal(size=size), rng.uniform(0.5, 1.5, size)
        market = 0.007 * rng.standard_t(5, (252, 1))
        own = 0.12 / np.sqrt(252 * 5 / 3) * rng.standard_t(5, (252, size))
        returns = market * beta + own + mean / 252
        measure = np.log1p(returns[:231]).sum(axis=0)
        score = cross_section(measure[None], np.ones((1, size), dtype=bool), higher_is_better=True).score
        rank, true = (np.argsort(np.argsort(-values)) + 1 for values in (measure, mean))
        got = rank_uncertainty(
            returns, market[:, 0], 0 * returns, {"momentum": score * one}, {"momentum": one}, 0 * one,
            np.tile(rank, (252, 1)), np.datetime64("2020-01-01") + np.arange(252), np.array([251]), everyone,
            peers=PeerRules(0.0, 1.0, 5), rules=RULES, components=momentum,
        )  # fmt: skip
        held.append(((true >= got.rank_10[0]) & (true <= got.rank_90[0])).mean())
        said.append(got.top_probability[0, rank <= 20].mean())
        belong.append((true <= 20)[rank <= 20].mean())
    assert np.mean(held) == pytest.approx(0.8, abs=0.05)
    assert np.mean(said) == pytest.approx(np.mean(belong), abs=0.07)


def test_the_share_of_noise_is_told_from_the_resamples():
    rng = np.random.default_rng(12)
    for share in (0.0, 0.3, 0.7, 1.0):
        measure = np.sqrt(share) * rng.normal(size=20000) + np.sqrt(1 - share) * rng.normal(size=20000)
        again = measure + np.sqrt(1 - share) * rng.normal(size=20000)
        correlation = stats.spearmanr(measure, again).statistic
        assert true_share(correlation) == pytest.approx(share, abs=0.05)
    assert true_share(0.0) == true_share(-0.5) == 0.0


# --- parts -----------------------------------------------------------------------------------------------------------


def test_measures_are_those_of_the_days_drawn():
    rng = np.random.default_rng(10)
    rules = ResampleRules(draws=1, lookback=60, half=30, skip=7, block=4)
    daily = rng.normal(size=(len(DAILY), 60, 5))
    daily[1] = np.abs(daily[1])
    stratum, length = _blocks(rules)
    assert [int(length[stratum == s].sum()) for s in range(STRATA)] == [30, 23, 7]
    start = rng.integers(0, np.diff(rules.edges)[stratum])
    days = [[], [], []]
    for s, n, first in zip(stratum, length, start, strict=True):
        size = np.diff(rules.edges)[s]
        days[s] += [int(rules.edges[s] + (first + i) % size) for i in range(n)]
    old, recent, skipped = (np.array(d) for d in days)
    every = np.concatenate([old, recent, skipped])
    growth, square, cross, turnover = daily
    sums, measures = np.empty((4, 2 * 60 + STRATA, 5)), np.empty((len(MEASURES), 5))
    prefix_sums(daily, rules.edges, sums)
    draw_measures(sums, rules.edges, stratum, length, start, np.empty((5, 5)), measures)
    momentum = growth[old].sum(axis=0) + growth[recent].sum(axis=0)
    expected = {
        "momentum_12_1": momentum,
        "momentum_6_1": growth[recent].sum(axis=0),
        "risk_adjusted_momentum": momentum / np.sqrt(square[every].sum(axis=0)),
        "volatility_annualised": -square[every].sum(axis=0),
        "beta": -np.abs(cross[every].sum(axis=0)),
        "accumulation": turnover[skipped].sum(axis=0),
    }
    assert tuple(expected) == MEASURES
    for m, name in enumerate(MEASURES):
        np.testing.assert_allclose(measures[m], expected[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_percentiles_are_those_of_the_components(share):
    rng = np.random.default_rng(11)
    values = rng.integers(0, 12, 60).astype(float)
    present = rng.random(60) > 0.2
    classes = rng.integers(-1, 4, 60)
    peers = PeerRules(share=share, shrinkage=6.0, least=5)
    groups = fund_groups(classes, np.array(list("abcd"), dtype=object))
    order = groups.order
    class_of = np.where(classes[order] < 0, 4, classes[order])
    average = np.where(present, values, np.nan)[order]
    weight = _class_weights(["momentum"], average[None], class_of, 4, peers)[0]
    out = np.full(60, np.nan)
    blended_percentiles(
        values[order], present[order], class_of, weight, np.empty(60), np.empty(60, dtype=np.int64),
        np.empty((2, 5), dtype=np.int64), out,
    )  # fmt: skip
    expected = peer_scores(values[None], present[None], classes, peers, higher_is_better=True)[0]
    np.testing.assert_allclose(out, expected[order], rtol=1e-12)


def test_what_stands_for_what_exists():
    names = {name: {item.name for item in parts} for name, parts in COMPONENTS.items()}
    assert tuple(STANDS_FOR) == MEASURES
    said = [item for _, items in STANDS_FOR.values() for item in items]
    assert len(said) == len(set(said))
    for measure, (component, items) in STANDS_FOR.items():
        assert measure in items
        assert set(items) <= names[component]


def test_signed_turnover_by_hand():
    value = np.array([[np.nan, 1.0], [2.0, 0.0], [4.0, 0.0], [6.0, np.nan]])
    returns = np.array([[0.1, 0.1], [0.1, -0.1], [-0.1, 0.1], [np.nan, 0.1]])
    got = signed_turnover(value, returns, window=3)
    np.testing.assert_allclose(got[:, 0], [0.0, 1.0, -4.0 / 3.0, 0.0])
    np.testing.assert_allclose(got[:, 1], [1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("wrong", [{"skip": 0}, {"half": 252}, {"half": 20}, {"draws": 0}, {"block": 0}])
def test_impossible_rules_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        ResampleRules(**wrong)
