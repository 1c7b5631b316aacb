"""The shipped stress scenarios, and files that add to them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from etf_pipeline.core.attribution.stress.factors import FACTORS
from etf_pipeline.core.attribution.stress.scenarios import hypothetical_path
from etf_pipeline.stress_scenarios import DEFAULTS, read_stress_scenarios
from etf_pipeline_tests.core.attribution.stress.stress_market import COVARIANCE

SHIPPED = read_stress_scenarios()
LEVELS = {"volatility": 20.0, "rates": 4.0, "credit": 3.0}

NEW = """
[hypothetical.iron_ore]
title = "Iron ore halves"
horizon_sessions = 63
shocks = { currency = -0.12, equity = -0.10 }
reason = "What Australia sells"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_is_complete() -> None:
    assert list(SHIPPED.replay) == [
        "dot_com", "global_financial_crisis", "us_downgrade_2011", "china_devaluation_2015", "covid_2020",
        "rates_2022", "ukraine_2022", "us_banks_2023", "carry_unwind_2024", "tariffs_2025",
    ]  # fmt: skip
    shocks = [h.moves(LEVELS) for h in SHIPPED.hypothetical.values()]
    for wanted in (
        {"rates": 1.0}, {"rates": -1.0}, {"rates": 2.0}, {"rates": -2.0}, {"equity": -0.2}, {"equity": -0.4},
        {"currency": -0.15}, {"currency": 0.15}, {"credit": 3.0}, {"oil": -0.5}, {"oil": 0.5}, {"volatility": 45.0},
    ):  # fmt: skip
        assert wanted in shocks
    fed = SHIPPED.hypothetical["fed_2025_severely_adverse"]
    assert fed.moves(LEVELS) == {"equity": -0.5, "rates": -3.3, "volatility": 45.0}
    assert "Federal Reserve" in fed.source
    assert SHIPPED.reverse["lose_20"].loss == 0.2
    assert SHIPPED.correlation
    rules = SHIPPED.liquidity["dry_market"].rules()
    assert (rules.spread_multiple, rules.participation) == (3.0, 0.1)
    assert all(h.others == "conditional" for h in SHIPPED.hypothetical.values())


def test_dates_are_trading_days_of_new_york() -> None:
    from etf_pipeline.core.market.calendar import is_session

    for name, replay in SHIPPED.replay.items():
        assert is_session("us", replay.start), name
        assert is_session("us", replay.end), name


@pytest.mark.parametrize("name", SHIPPED.hypothetical)
def test_every_hypothetical_is_a_path(name: str) -> None:
    scenario = SHIPPED.hypothetical[name]
    path = hypothetical_path(
        scenario.moves(LEVELS), scenario.horizon_sessions, COVARIANCE, others=scenario.others
    )
    assert np.isfinite(path.moves).all()


def test_adding_a_scenario_to_a_copy(tmp_path: Path) -> None:
    copy = written(tmp_path, DEFAULTS.read_text(encoding="utf-8") + NEW)
    got = read_stress_scenarios(copy)
    assert got.hypothetical["iron_ore"].shocks == {"currency": -0.12, "equity": -0.10}
    assert list(got.hypothetical)[:-1] == list(SHIPPED.hypothetical)
    assert got.replay == SHIPPED.replay


def test_another_file_adds_and_replaces(tmp_path: Path) -> None:
    text = (
        NEW
        + """
[replay.covid_2020]
title = "Covid, to the second low"
start = 2020-02-20
end = 2020-03-20
reason = "An example"
source = "None"
"""
    )
    got = read_stress_scenarios(written(tmp_path, text))
    assert got.replay["covid_2020"].start == date(2020, 2, 20)
    assert list(got.replay) == list(SHIPPED.replay)
    assert set(got.hypothetical) == {*SHIPPED.hypothetical, "iron_ore"}


def hypothetical(shocks: str, more: str = "") -> str:
    return f'[hypothetical.x]\ntitle = "x"\nhorizon_sessions = 21\nreason = "x"\nshocks = {shocks}\n{more}'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (hypothetical("{ equty = -0.2 }"), rf"\[hypothetical.x\]: unknown factor equty: allowed are {', '.join(FACTORS)}"),
        (hypothetical("{ equity = -20 }"), r"\[hypothetical.x\]: equity -20: .* -20 % is written -0.20"),
        (hypothetical("{ rates = 200 }"), r"rates 200: at most 10 percentage points \(100 basis points are 1.0\)"),
        (hypothetical("{ equity = { to = 50 } }"), "equity is a return and has no level"),
        (hypothetical("{ rates = { level = 3 } }"), r"shocks rates: a shock is a number, or \{ to = level \}"),
        (hypothetical("{}"), r"\[hypothetical.x\]: shocks"),
        (hypothetical("{ rates = nan }"), "finite"),
        (hypothetical("{ rates = 1.0 }", 'others = "free"'), "others: .*'conditional' or 'unchanged'"),
        (hypothetical("{ rates = 1.0 }", "horizon = 3"), "unknown key horizon; allowed are title, horizon_sessions"),
        ('[reverse.x]\ntitle = "x"\nloss = 20\nhorizon_sessions = 5\nreason = "x"', r"\[reverse.x\]: loss: .*less than 1"),
        ('[replay.x]\ntitle = "x"', "start is missing; a replay scenario has title, start, end, reason, source"),
        (
            '[replay.x]\ntitle = "x"\nstart = 2020-03-01\nend = 2020-02-01\nreason = "x"\nsource = "x"',
            "start 2020-03-01 must lie before end 2020-02-01",
        ),
        ('[replay."Covid 19"]\ntitle = "x"', "small letters, digits and underscores"),
        ("[replays.x]\na = 1", r"unknown section \[replays\]: .* of kind replay, hypothetical, correlation, reverse"),
        ("title = 3", r"unknown section \[title\]"),
        ("[replay\n", "not a TOML file"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=told) as error:
        read_stress_scenarios(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file not found; check the setting"):
        read_stress_scenarios(tmp_path / "none.toml")
