"""Which estimator to trust by how often a fund trades, on a market whose spreads are known."""

from __future__ import annotations

import numpy as np
import pytest

from etf_pipeline.core.market.panel import from_long
from etf_pipeline.core.market.rolling import rolling_sum
from etf_pipeline.core.risk.spread import spread_estimates
from etf_pipeline.core.risk.spread_accuracy import spread_accuracy
from etf_pipeline_tests.core.market.simulation_fixtures import market, own_defects


def test_hand_computed():
    truth = np.array([0.01, 0.02, 0.02, 0.04])
    estimates = {"a": np.array([0.01, -0.01, 0.02, np.nan]), "b": np.array([0.02, 0.04, 0.01, 0.04])}
    rows = spread_accuracy(estimates, truth, np.array([0.0, 0.5, 0.6, 0.7]), (0.0, 0.5, 1.0))
    assert [(r.estimator, r.untraded_from, r.estimates) for r in rows] == [
        ("a", 0.0, 2),
        ("b", 0.0, 2),
        ("a", 0.5, 1),
        ("b", 0.5, 1),
    ]
    assert rows[0].median_ratio == pytest.approx((1.0 - 0.5) / 2)
    assert rows[0].rmse_bps == pytest.approx(200 / np.sqrt(2))  # the negative one counts as zero
    assert rows[1].median_ratio == pytest.approx(2.0)
    assert rows[3].rmse_bps == pytest.approx(100.0)
    assert rows[1].median_true_bps == pytest.approx(150.0)


def test_a_class_without_estimates_is_left_out():
    rows = spread_accuracy({"a": np.array([0.01])}, np.array([0.01]), np.array([0.9]), (0.0, 0.5, 1.0))
    assert [r.untraded_from for r in rows] == [0.5]


@pytest.fixture(scope="module")
def rows():
    gathered = {"edge": [], "abdi_ranaldo": [], "corwin_schultz": []}
    truth, untraded = [], []
    for seed in (7, 1):
        simulated = market(seed)
        true = simulated.truth
        sound = ~np.isin(true.tickers, own_defects(simulated)["ticker"])
        bars, _ = from_long(simulated.bars, simulated.actions, true.sessions, true.tickers)
        panel = spread_estimates(
            bars.open,
            bars.high,
            bars.low,
            bars.close,
            np.isfinite(bars.close),
            np.ones(bars.close.shape),
            bars.split,
            bars.distribution,
            basis="as_traded",
        )
        silent = 1.0 - rolling_sum(true.traded.astype(np.int32), 252) / 252
        listed = rolling_sum(np.isfinite(true.efficient_price).astype(np.int32), 252) == 252
        for t in range(252, len(silent), 126):
            chosen = sound & listed[t]
            truth.append(2 * true.half_spread[chosen])
            untraded.append(silent[t, chosen])
            for name, values in gathered.items():
                values.append(getattr(panel, name)[t, chosen])
    estimates = {name: np.concatenate(values) for name, values in gathered.items()}
    table = spread_accuracy(estimates, np.concatenate(truth), np.concatenate(untraded), (0.001, 0.05, 0.4))
    return {(r.estimator, r.untraded_from): r for r in table}


@pytest.mark.parametrize("thin", [0.001, 0.05], ids=["misses a session now and then", "misses many"])
def test_edge_is_nearest_the_truth_for_thin_funds(rows, thin):
    away = {n: abs(rows[n, thin].median_ratio - 1.0) for n in ("edge", "abdi_ranaldo", "corwin_schultz")}
    assert rows["edge", thin].estimates > 100
    assert away["edge"] < away["abdi_ranaldo"] < away["corwin_schultz"]
    assert away["edge"] < 0.3


def test_the_older_estimators_fall_as_trading_thins(rows):
    for name in ("abdi_ranaldo", "corwin_schultz"):
        assert rows[name, 0.05].median_ratio < 0.9
