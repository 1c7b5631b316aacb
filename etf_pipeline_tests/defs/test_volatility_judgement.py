"""Which sessions the volatility forecasts are judged on, from tables to tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.risk.garch import HORIZONS, MODELS
from etf_pipeline.defs.validation.assets import volatility_judgement

YOUNG = 120
"""Sessions on which the shrunk EWMA serves; then every GARCH model has a forecast."""


def judged() -> dict[str, pd.DataFrame]:
    """Two funds with bars on every weekday of two and a half years, forecasts from the 21st on."""
    sessions = np.busday_offset("2019-01-01", np.arange(650), roll="forward")
    rng = np.random.default_rng(0)
    rows = pd.MultiIndex.from_product([["A", "B"], sessions], names=["ticker", "session"]).to_frame(
        index=False
    )
    number = np.tile(np.arange(650), 2)
    returns = rows.assign(total_return=0.01 * rng.standard_normal(1300), sessions_spanned=1)
    annual = 0.16 * rng.lognormal(0, 0.1, 1300)
    volatility = rows.assign(
        volatility_annualised=annual, volatility_1_annualised=annual, volatility_5_annualised=annual,
        ewma_annualised=annual * 1.1, model=np.where(number < YOUNG, "ewma_shrunk", "gjr_t"),
    )[number >= 20]  # fmt: skip
    forecasts = rows[number >= YOUNG].assign(
        **{f"{model}_variance_{h}": h * 1e-4 for model in MODELS for h in HORIZONS}
    )
    outputs = volatility_judgement(returns, volatility, forecasts, pd.DataFrame({"session": sessions}))
    return {output.output_name: output.value for output in outputs}


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return judged()


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_forecast_of_a_short_history_is_judged_where_it_served(
    tables: dict[str, pd.DataFrame], horizon: int
) -> None:
    losses = tables["volatility_losses"].query("ticker == 'A' and year == 2020 and scope == 'to_date'")
    losses = losses[losses["horizon"] == horizon]
    short, long = (losses[losses["history"] == name].set_index("model") for name in ("short", "long"))
    assert set(short.index) == {"ewma_shrunk", "ewma", "rolling_63", "rolling_252"}
    assert set(long.index) == {"served", *MODELS, "ewma", "rolling_63", "rolling_252"}
    assert (short["observations"] == YOUNG - 20).all()
    assert short[["qlike", "mse"]].notna().all(axis=None)
    through_2020 = 261 + 262
    assert (long["observations"] == through_2020 - YOUNG - horizon).all()
    tests = tables["volatility_tests"].query(
        "ticker == 'A' and year == 2020 and scope == 'to_date' and model == 'ewma_shrunk'"
    )
    tests = tests[tests["horizon"] == horizon]
    assert sorted(tests["baseline"]) == ["ewma", "rolling_252", "rolling_63"]
    assert tests["qlike_difference"].notna().all()
