"""Factor models refuse what cannot be meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etf_pipeline.core.attribution.factor_models import FactorModel, FactorModels, MainModel

MODEL = FactorModel(
    "house",
    "house",
    "daily",
    ("house",),
    ("market", "term"),
    "local",
    {"asx": 1, "us": 0},
    {"asx": 5, "us": 1},
    "for a test",
)
MODELS = FactorModels({"house": MODEL}, {"asx": {"cash": MainModel("house", "because")}})


def test_the_main_model_of_a_class():
    assert MODELS.main_model("asx", "cash") is MODEL
    assert MODELS.main_model("asx", None) is MODEL
    with pytest.raises(ValueError, match="no factor models for market 'lse'"):
        MODELS.main_model("lse", "cash")
    with pytest.raises(ValueError, match=r"add it to \[main\.asx\]"):
        MODELS.main_model("asx", "crypto")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frequency": "hourly"}, "frequency 'hourly' is none of daily, monthly"),
        ({"factors": ("market", "market")}, "each once"),
        ({"factors": ()}, "each once"),
        ({"constructions": ()}, "at least one table"),
        ({"lag_days": {"asx": 1}}, "lag_days"),
        ({"lag_days": {"asx": 1, "us": 2}}, "0 or 1"),
        ({"return_sessions": {"asx": 5}}, "return_sessions"),
        ({"return_sessions": {"asx": 5, "us": 0}}, "1 or more"),
        ({"return_sessions": {"asx": 5, "us": "1"}}, "1 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MODEL, **change)
