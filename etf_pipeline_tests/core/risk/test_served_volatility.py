"""The forecast to use: a GARCH model's, else openly a shrunk EWMA, else nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from etf_pipeline.core.risk import ServedVolatility, ewma_volatility, served_volatility, walk_forward
from etf_pipeline.core.risk.garch import HORIZONS, MODELS, GarchHistory
from etf_pipeline_tests.core.random_market import assert_causal
from etf_pipeline_tests.core.risk.garch.test_walk_forward import OPTIONS, market

CLASSES = np.array([0, 0, 0, 0, 0, 0, 1, 1, -1])
FUNDS = len(CLASSES)


def history(variance: np.ndarray, model: int = 1) -> GarchHistory:
    """A history that serves ``variance`` (S, N) for one session and h times it for h; one refit on the first row."""
    shape = (1, variance.shape[1])
    out = np.full((len(HORIZONS), 2, *variance.shape), np.nan)
    out[:, model] = np.array(HORIZONS)[:, None, None] * variance
    return GarchHistory(
        models=("garch_normal", "gjr_t"),
        horizons=HORIZONS,
        refit_rows=np.array([0]),
        parameters=np.zeros((*shape, 2, 7)),
        log_likelihood=np.zeros((*shape, 2)),
        observations=np.full(shape, 250),
        converged=np.ones((*shape, 2), dtype=bool),
        fresh=np.ones(shape, dtype=bool),
        variance=out,
        chosen=np.full(shape, model),
    )


def serve(
    garch: np.ndarray,
    ewma: np.ndarray,
    observations: int | np.ndarray = 60,
    spanned: np.ndarray | None = None,
    classes: np.ndarray = CLASSES,
    **options: float,
) -> ServedVolatility:
    seen = np.broadcast_to(observations, garch.shape)
    bars = np.ones(garch.shape, dtype=int) if spanned is None else spanned
    return served_volatility(history(garch), ewma, seen, bars, classes, **options)  # type: ignore[arg-type]


def panel(*values: float) -> np.ndarray:
    """One session, one value a fund."""
    return np.array([values], dtype=float)


NAN = np.nan


def test_a_garch_forecast_is_served_as_it_is() -> None:
    variance = 1e-4 * np.random.default_rng(0).uniform(0.5, 2.0, (4, FUNDS))
    served = serve(variance, np.full((4, FUNDS), 9e-4))
    for h, horizon in enumerate(HORIZONS):
        np.testing.assert_array_equal(served.variance[h], horizon * variance)
    assert (served.model == "gjr_t").all()


def test_annualised() -> None:
    served = serve(np.full((1, FUNDS), 4e-4), np.full((1, FUNDS), NAN))
    for horizon in HORIZONS:
        np.testing.assert_allclose(served.annualised(horizon), 0.02 * np.sqrt(252), rtol=1e-14)
    with pytest.raises(ValueError, match="not in tuple"):
        served.annualised(2)


@pytest.mark.parametrize(("observations", "own"), [(0, 0.0), (20, 0.25), (60, 0.5), (180, 0.75)])
def test_without_one_an_ewma_drawn_to_its_peers_says_so(observations: int, own: float) -> None:
    """The peers' median weighs as much as 60 returns."""
    garch = panel(1, 2, 3, 4, 5, NAN, 100, NAN, NAN) * 1e-4
    ewma = panel(9, 9, 9, 9, 9, 9, 9, NAN, NAN) * 1e-4
    served = serve(garch, ewma, observations)
    expected = 1e-4 * 9**own * 3 ** (1 - own)
    for h, horizon in enumerate(HORIZONS):
        assert served.variance[h, 0, 5] == pytest.approx(horizon * expected, rel=1e-13)
    assert served.model[0].tolist() == ["gjr_t"] * 5 + ["ewma_shrunk", "gjr_t", None, None]
    assert np.isnan(served.variance[:, 0, 7:]).all()


def test_another_prior() -> None:
    garch, ewma = panel(1, 2, 3, 4, 5, NAN, 1, 1, 1), panel(*[9.0] * 9)
    served = serve(garch, ewma, 30, prior_observations=90)
    assert served.variance[0, 0, 5] == pytest.approx(9**0.25 * 3**0.75)


def test_a_class_of_too_few_has_no_peers() -> None:
    """Four with a forecast are too few, as is no class at all; an even number of peers has its middle between two."""
    garch = panel(1, 2, 3, 4, NAN, NAN, 50, NAN, NAN)
    ewma = panel(*[9.0] * 9)
    served = serve(garch, ewma, 60)
    np.testing.assert_allclose(served.variance[0, 0, [4, 5, 7, 8]], 9.0)
    served = serve(garch, ewma, 60, min_peers=4)
    np.testing.assert_allclose(served.variance[0, 0, [4, 5]], np.sqrt(9 * 2.5))
    np.testing.assert_allclose(served.variance[0, 0, [7, 8]], 9.0)


def test_a_young_cash_fund_is_not_drawn_to_shares() -> None:
    shares = panel(*[1e-4] * 5, NAN, NAN, NAN, NAN)
    own = panel(*[NAN] * 7, 4e-8, 4e-8)
    served = serve(shares, own, 10)
    np.testing.assert_allclose(served.variance[0, 0, [7, 8]], 4e-8)


def test_a_carried_forecast_keeps_the_name_of_the_model_that_made_it() -> None:
    """Whatever a refit without a bar has chosen since."""
    garch, spanned = np.full((6, FUNDS), 4.0), np.zeros((6, FUNDS), dtype=int)
    spanned[1] = 1
    past = history(garch)
    for chosen in (-1, 0):
        refitted = replace(
            past, refit_rows=np.array([0, 3]), chosen=np.vstack([past.chosen, np.full((1, FUNDS), chosen)])
        )
        served = served_volatility(
            refitted, np.full((6, FUNDS), NAN), np.full((6, FUNDS), 300), spanned, CLASSES
        )
        assert (served.model[1:] == "gjr_t").all()
        assert (served.variance[0, 1:] == 4.0).all()


def test_without_peers_on_the_session_it_stands_alone() -> None:
    served = serve(np.full((2, FUNDS), NAN), np.full((2, FUNDS), 9.0), 10)
    assert (served.variance[0] == 9.0).all()
    assert (served.model == "ewma_shrunk").all()


@pytest.mark.parametrize("peers", [NAN, 4.0])
def test_a_price_that_never_moved_is_constant_not_shrunk(peers: float) -> None:
    garch = panel(*[peers] * 5, NAN, NAN, NAN, NAN)
    ewma = panel(*[1.0] * 5, 0.0, 1.0, NAN, 1e-30)
    served = serve(garch, ewma, 10)
    assert (served.variance[:, 0, 5] == 0.0).all()
    assert served.model[0, 5] == "constant"
    assert served.model[0, 8] == "ewma_shrunk"
    assert served.annualised(21)[0, 5] == 0.0


def test_a_forecast_stands_for_five_sessions_without_a_bar() -> None:
    garch, spanned = np.full((12, FUNDS), NAN), np.zeros((12, FUNDS), dtype=int)
    garch[2], spanned[2] = 4.0, 1
    ewma = np.full((12, FUNDS), NAN)
    ewma[2:5] = 9.0
    served = serve(garch, ewma, 60, spanned)
    assert np.isnan(served.variance[:, :2]).all()
    assert (served.variance[0, 2:8] == 4.0).all()
    assert np.isnan(served.variance[:, 8:]).all()
    assert (served.model[2:8] == "gjr_t").all()
    assert (served.model[8:] == None).all()  # noqa: E711
    assert np.isnan(serve(garch, ewma, 60, spanned, max_stale_sessions=1).variance[0, 4:]).sum() == 7 * FUNDS


def test_a_bar_without_a_forecast_ends_the_carrying() -> None:
    """A bar came, but its return was not known: nothing was forecast on it, and nothing old is passed off as new."""
    garch, spanned = np.full((4, FUNDS), NAN), np.ones((4, FUNDS), dtype=int)
    garch[1] = 4.0
    served = serve(garch, np.full((4, FUNDS), 9.0), 60, spanned)
    assert (served.model[2:] == "ewma_shrunk").all()


def test_a_name_goes_with_a_value_and_a_value_with_a_name() -> None:
    rng = np.random.default_rng(1)
    garch = np.where(rng.random((60, FUNDS)) < 0.5, rng.uniform(1, 2, (60, FUNDS)), NAN)
    ewma = np.where(rng.random((60, FUNDS)) < 0.5, rng.uniform(0, 2, (60, FUNDS)).round(), NAN)
    spanned = (rng.random((60, FUNDS)) < 0.8).astype(int)
    served = serve(garch, ewma, rng.integers(0, 300, (60, FUNDS)), spanned)
    named = served.model != None  # noqa: E711
    for h in range(len(HORIZONS)):
        np.testing.assert_array_equal(np.isfinite(served.variance[h]), named)
    assert set(served.model[named]) == {"gjr_t", "ewma_shrunk", "constant"}
    assert (served.variance[0][served.model == "constant"] == 0).all()
    assert (served.variance[0][served.model == "gjr_t"] > 0).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (5, 0)])
def test_nothing_in_nothing_out(shape: tuple[int, int]) -> None:
    empty = np.full(shape, NAN)
    served = served_volatility(
        walk_forward(empty, np.zeros(shape, dtype=int), np.arange(shape[0]).astype("datetime64[D]")),
        empty, np.zeros(shape, dtype=int), np.zeros(shape, dtype=int), np.zeros(shape[1], dtype=int),
    )  # fmt: skip
    assert served.variance.shape == (len(HORIZONS), *shape)
    assert served.model.shape == shape


def parts(returns: np.ndarray, spanned: np.ndarray) -> tuple[GarchHistory, np.ndarray, np.ndarray]:
    days = market()[2][: len(returns)]
    ewma = ewma_volatility(returns, spanned, min_observations=21)
    return (
        walk_forward(returns, spanned, days, **OPTIONS),
        ewma.volatility_annualised**2 / 252,
        ewma.observations,
    )


def test_on_a_market_every_fund_is_served_from_its_first_month_and_by_garch_from_its_first_fit() -> None:
    """The listed-late fund starts with the EWMA; what is served by a model is that model's own forecast."""
    returns, spanned, _ = market()
    garch, ewma, observations = parts(returns, spanned)
    served = served_volatility(garch, ewma, observations, spanned, np.zeros(4, dtype=int), min_peers=2)
    np.testing.assert_array_equal(np.isfinite(served.variance[0, :, 0]), observations[:, 0] >= 21)
    first = int(garch.refit_rows[np.flatnonzero(np.isfinite(garch.log_likelihood[:, 2, 0]))[0]])
    late = served.model[:, 2]
    assert (late[221:first] == "ewma_shrunk").all()
    assert not (late[first:] == "ewma_shrunk").any()
    for m, name in enumerate(MODELS):
        own = (served.model == name) & (spanned > 0)
        np.testing.assert_array_equal(served.variance[:, own], garch.variance[:, m][:, own])
    assert len(set(served.model[:, :2].ravel()) & set(MODELS)) >= 2


def test_cutting_changes_nothing_earlier() -> None:
    returns, spanned, _ = market(seed=4)

    def stage(returns: np.ndarray, spanned: np.ndarray) -> dict[str, np.ndarray]:
        garch, ewma, observations = parts(returns, spanned)
        served = served_volatility(garch, ewma, observations, spanned, np.zeros(4, dtype=int), min_peers=2)
        return {
            "variance": np.moveaxis(served.variance, 1, 0),
            "annualised": served.annualised(21),
            "model": served.model.astype("U16"),
        }

    assert_causal(stage, (returns, spanned), (22, 230, 341, 480, 551, 699))
