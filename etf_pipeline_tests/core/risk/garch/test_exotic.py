"""The rarer volatility models, which arch serves."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model

from etf_pipeline.core.risk.garch import HORIZONS, fit_garch, specification
from etf_pipeline.core.risk.garch.exotic import EXOTIC, exotic_forecast


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    """Simulated: volatility that clusters and rises after losses."""
    rng = np.random.default_rng(4)
    out, variance = np.zeros(1200), 1e-4
    for t in range(1200):
        out[t] = np.sqrt(variance) * rng.standard_t(6) * np.sqrt(4 / 6)
        variance = 2e-6 + (0.03 + 0.1 * (out[t] < 0)) * out[t] ** 2 + 0.9 * variance
    return out


ONE = np.ones(1200, dtype=np.int64)


@pytest.mark.parametrize("model", list(EXOTIC))
def test_every_model_forecasts_something_near_the_truth(returns: np.ndarray, model: str) -> None:
    forecast = exotic_forecast(returns, ONE, model)
    assert forecast is not None
    assert forecast.observations == 1000
    assert forecast.volatility_annualised.shape == (len(HORIZONS),)
    ours = fit_garch(100.0 * returns[-1000:, None], specification("garch_normal"))
    assert forecast.log_likelihood > ours.log_likelihood[0] - 30.0
    recent = returns[-60:].std() * np.sqrt(252)
    np.testing.assert_allclose(forecast.volatility_annualised, recent, rtol=0.6)


def test_one_session_ahead_it_is_archs_own_forecast(returns: np.ndarray) -> None:
    forecast = exotic_forecast(returns, ONE, "aparch_t")
    assert forecast is not None
    fit = arch_model(100.0 * returns[-1000:], mean="Constant", rescale=False, **EXOTIC["aparch_t"]).fit(
        disp="off"
    )
    expected = np.sqrt(252 * fit.forecast(horizon=1, reindex=False).variance.to_numpy()[-1, 0]) / 100
    assert forecast.volatility_annualised[0] == pytest.approx(expected, rel=1e-12)
    assert forecast.bic == pytest.approx(fit.bic, rel=1e-12)


def test_the_same_input_gives_the_same_numbers(returns: np.ndarray) -> None:
    one, two = (exotic_forecast(returns, ONE, "tgarch_t") for _ in range(2))
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.volatility_annualised, two.volatility_annualised)


def test_only_the_window_counts_and_gaps_are_left_out(returns: np.ndarray) -> None:
    broken = returns.copy()
    broken[:200] = 5.0
    broken[[300, 700]] = np.nan
    forecast = exotic_forecast(broken, ONE, "gjr_ged")
    assert forecast is not None
    assert forecast.observations == 998
    assert forecast.volatility_annualised[0] < 1.0


def test_a_return_over_several_sessions_is_one_session_of_it(returns: np.ndarray) -> None:
    spanned, scaled = ONE.copy(), returns.copy()
    spanned[-500], scaled[-500] = 4, 2.0 * returns[-500]
    one, two = exotic_forecast(returns, ONE, "gjr_ged"), exotic_forecast(scaled, spanned, "gjr_ged")
    assert one is not None
    assert two is not None
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12)


def test_nothing_to_fit_gives_nothing(returns: np.ndarray) -> None:
    assert exotic_forecast(returns[:249], ONE[:249], "gjr_ged") is None
    assert exotic_forecast(np.zeros(1200), ONE, "gjr_ged") is None
    assert exotic_forecast(np.full(1200, np.nan), ONE, "gjr_ged") is None


def test_an_unknown_model_is_refused_with_those_there_are(returns: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no model 'garch42': there are aparch_t, figarch_t"):
        exotic_forecast(returns, ONE, "garch42")
