"""The shipped factor models are complete; a file that is wrong is refused by name."""

from __future__ import annotations

import pytest

from etf_pipeline.core.attribution.factor_models import FRENCH_FACTORS, MARKETS
from etf_pipeline.core.attribution.house_factors import HOUSE_FACTORS
from etf_pipeline.factor_models_file import SHIPPED, read_factor_models
from etf_pipeline.sources.base import ASSET_CLASSES


def test_every_asset_class_has_a_model_and_a_reason_on_every_market():
    models = read_factor_models()
    daily = {"us_three", "us_six", "developed_six", "asia_pacific_five", "house"}
    assert set(models.models) == daily | {"us_six_monthly", "developed_ex_us_six_monthly"}
    assert {name for name, model in models.models.items() if model.frequency == "daily"} == daily
    for market in MARKETS:
        for name in ASSET_CLASSES:
            assert models.main_model(market, name).factors
            assert len(models.main[market][name].reason) > 10
    for model in models.models.values():
        assert set(model.factors) <= set(HOUSE_FACTORS if model.name == "house" else FRENCH_FACTORS)


def test_the_lags_are_those_of_the_closes():
    models = read_factor_models().models
    assert models["us_six"].lag_days == {"asx": 1, "us": 0}
    assert models["developed_six"].lag_days["asx"] == 1
    assert models["asia_pacific_five"].lag_days["asx"] == 0
    assert models["us_six"].return_sessions == {"asx": 5, "us": 1}
    assert models["asia_pacific_five"].return_sessions["asx"] == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[models.us_three]\nregion", "[models.us_three]\nmarket = 1\nregion", "unknown market; allowed are region"),
        ('currency = "local"\n', "", "\\[models.house\\]: missing currency"),
        ('"term", "credit"', '"term", "inflation"', "unknown factors \\['inflation'\\]"),
        ('cash = { model = "house"', 'cash = { model = "home"', "main.asx.cash: no model 'home'"),
        ("crypto = {", "coins = {", "\\[main.asx\\]: unknown coins"),
        ('lag_days = { asx = 1, us = 0 }', "lag_days = 1", "lag_days must be a table"),
        ("[models.house]", "[models.home]", "\\[models.house\\] is missing"),
        ('reason = "the exchange rate is the factor"', 'reason = " "', "reason is empty"),
        ("[main.us]", "[main.nyse]", "\\[main\\]: unknown nyse"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_file(tmp_path, old, new, message):
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "models.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        read_factor_models(path)
    assert str(path) in str(refused.value)
