"""Settings: what is refused and how the refusal reads, what beats what, what changes the hash."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path

import pytest

from etf_pipeline.core.validation.trial_ledger import ranking_hash
from etf_pipeline.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for key in list(os.environ):
        if key.upper().startswith("ETF_"):
            monkeypatch.delenv(key)


def refusal(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def write(text: str, name: str = "etf.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def test_defaults_are_a_simulated_asx_market() -> None:
    settings = load_settings()
    assert (settings.source, settings.market, settings.benchmark_ticker) == ("simulated", "asx", "MKT.SIM")
    assert settings.windows.beta == 252


def test_arguments_beat_the_environment_which_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('market = "us"\nseed = 1\nsimulated_funds = 30\n[windows]\nbeta = 100\nmomentum = 126\n')
    assert load_settings().seed == 1
    monkeypatch.setenv("ETF_SEED", "2")
    monkeypatch.setenv("ETF_WINDOWS__BETA", "200")
    settings = load_settings(seed=None, simulated_funds=40)
    assert (settings.market, settings.seed, settings.simulated_funds) == ("us", 2, 40)
    assert (settings.windows.beta, settings.windows.momentum) == (200, 126), "nested keys merge, key by key"
    assert load_settings(seed=3).seed == 3


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("seed = 1\n")
    write("seed = 9\n", "other.toml")
    monkeypatch.setenv("ETF_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().seed == 9


def test_a_named_file_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETF_CONFIG", "nowhere.toml")
    assert refusal() == "ETF_CONFIG names nowhere.toml, which is not a file"


@pytest.mark.parametrize(
    "content", [b"market = ", b"[windows\nbeta = 3", b"\xff\xfe"], ids=["value", "table", "bytes"]
)
def test_a_broken_file_is_one_clear_line(content: bytes) -> None:
    Path("etf.toml").write_bytes(content)
    message = refusal()
    assert message.startswith("etf.toml cannot be read as TOML: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("markte = 'asx'", "unknown key markte: allowed are adjusted, attribution, backtest"),
        ("[windows]\nbta = 100", "unknown key windows.bta: allowed are beta, momentum"),
        (
            "[universe]\nsize = 100",
            "unknown key universe.size: allowed are include_leveraged, liquidity_window",
        ),
        ("[window]\nbeta = 100", "unknown key window: allowed are adjusted"),
    ],
)
def test_unknown_keys_of_the_file_are_refused(text: str, told: str) -> None:
    write(text)
    assert told in refusal()


def test_every_trouble_is_told_at_once() -> None:
    write("market = 'nyse'\n[windows]\nbeta = 1\nbta = 2\n")
    lines = refusal().splitlines()
    assert len(lines) == 3
    assert {line.split(" = ")[0].split(":")[0] for line in lines} == {
        "market", "windows.beta", "unknown key windows.bta",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["ETF_MARKTE", "etf_markte", "ETF_WINDOW__BETA", "ETF_WINDOWS_BETA"])
def test_unknown_environment_variables_are_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key, "1")
    message = refusal()
    assert message.startswith(
        f"unknown environment variable {key}: allowed are ETF_ADJUSTED, ETF_ATTRIBUTION, ETF_BACKTEST"
    )
    assert "ETF_WINDOWS__KEY" in message


def test_unknown_nested_environment_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETF_UNIVERSE__SIZE", "1")
    assert refusal().startswith("unknown key universe.size: allowed are include_leveraged")


def test_where_tests_find_data_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    monkeypatch.setenv("ETF_TEST_DATA", "/somewhere")
    assert load_settings() == before


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("ETF_MARKET", "nyse", "market = 'nyse': Input should be 'asx' or 'us'"),
        ("ETF_SOURCE", "csv", "source = 'csv': Input should be 'simulated', 'files' or 'yahoo'"),
        ("ETF_YAHOO_REQUESTS_PER_MINUTE", "0", "yahoo_requests_per_minute = '0': .*allowed: 1 to 2000"),
        ("ETF_SIMULATED_FUNDS", "5", "simulated_funds = '5': .*allowed: 12 to 5000"),
        ("ETF_SEED", "-1", "seed = '-1': Input should be greater than or equal to 0"),
        ("ETF_WINDOWS__BETA", "7", "windows.beta = '7': .*allowed: 60 to 2520"),
        ("ETF_WINDOWS__BETA", "long", "windows.beta = 'long': .*valid integer.*allowed: 60 to 2520"),
        ("ETF_UNIVERSE__SEASONING", "0", "universe.seasoning = '0': .*allowed: 1 to 2520"),
        ("ETF_RISK__GARCH_WINDOW", "100", "risk.garch_window = '100': .*allowed: 250 to 5000"),
        ("ETF_RISK__GARCH_MIN_OBSERVATIONS", "99", "risk.garch_min_observations = '99': .*allowed: 100 to 5000"),
        ("ETF_RISK__GARCH_MEAN", "ar2", "risk.garch_mean = 'ar2': Input should be 'zero', 'constant' or 'ar1'"),
        ("ETF_RISK__GARCH_CRITERION", "hqic", "risk.garch_criterion = 'hqic': Input should be 'predictive', 'bic' or 'aic'"),
        ("ETF_RISK__REGIME_WINDOW", "503", "risk.regime_window = '503': .*allowed: 504 to 10000"),
        ("ETF_RISK__GARCH", "1", "unknown key risk.garch: allowed are garch_criterion, garch_mean"),
        ("ETF_WORKERS", "257", "workers = '257': .*allowed: 0 to 256"),
        ("ETF_WORKERS", "all", "workers = 'all': .*valid integer.*allowed: 0 to 256"),
        ("ETF_START", "2024-02-30", "start = '2024-02-30': .*allowed: a date, YYYY-MM-DD"),
        ("ETF_OPERATE_FROM", "soon", "operate_from = 'soon': .*allowed: a date, YYYY-MM-DD"),
        ("ETF_ADJUSTED", "maybe", "adjusted = 'maybe': .*allowed: true or false"),
        ("ETF_KNOWN_AT", "2024-01-01T00:00", "known_at = .*needs a time zone, e.g. 2021"),
        ("ETF_WINDOWS", "3", "windows = 3: Input should be a valid dictionary"),
        ("ETF_WINDOWS", "{", "\"windows\".*ETF_WINDOWS__BETA=252, or all as one JSON object"),
        ("ETF_SOURCE", "files", "^source = 'files' needs path: a Parquet or CSV file"),
        ("ETF_WINDOWS__MOMENTUM_SKIP", "126", r"^windows: momentum_skip \(126\) must be below half of momentum \(252\)"),
        ("ETF_UNIVERSE__MAX_STALE_SESSIONS", "20", r"universe: max_stale_sessions \(20\) must be below silent_s"),
    ],
)  # fmt: skip
def test_impossible_values(key: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key, value)
    message = refusal()
    assert re.search(told, message), message
    assert "\n" not in message
    assert "Value error" not in message


def test_rules_about_two_keys_say_both_values() -> None:
    assert refusal(start=date(2024, 2, 1), end=date(2024, 1, 1)) == "start 2024-02-01 is after end 2024-01-01"
    write("[windows]\nvolume_short = 60\nvolume_long = 60\n")
    assert refusal() == "windows: volume_short (60) must be below volume_long (60)"


def test_the_other_settings_do_not_hide_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETF_BENCHMARK", "STW.AX")
    assert "STW.AX" not in refusal(source="files")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ETF_END= etf build`` is how a shell unsets; an empty path must not become the current folder."""
    for name in ("ETF_END", "ETF_PATH", "ETF_BENCHMARK", "ETF_WINDOWS__BETA"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert (settings.end, settings.path, settings.benchmark, settings.windows.beta) == (None, None, None, 252)


@pytest.mark.parametrize(
    "change",
    [
        {"market": "us"},
        {"seed": 8},
        {"simulated_funds": 60},
        {"start": date(2020, 1, 1)},
        {"end": date(2026, 1, 5)},
        {"benchmark": "AAA.SIM"},
        {"windows": {"beta": 100}},
        {"universe": {"include_leveraged": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_changes_with_what_changes_numbers(change: dict[str, object]) -> None:
    assert load_settings(**change).settings_hash() != load_settings().settings_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"warehouse": Path("elsewhere")},
        {"refetch": True},
        {"yahoo_requests_per_minute": 5},
        {"operate_from": date(2025, 1, 6)},
        {"min_daily_coverage": 0.5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_stays_with_what_does_not(change: dict[str, object]) -> None:
    assert load_settings(**change).settings_hash() == load_settings().settings_hash()


def test_every_setting_is_in_the_hash_or_knowingly_outside() -> None:
    """A new key changes the hash unless it is named as one that does not change numbers."""
    outside = set(Settings.model_fields) - set(load_settings().research_settings())
    assert outside == {
        "warehouse",
        "scoring_file",
        "yahoo_requests_per_minute",
        "yahoo_url",
        "refetch",
        "operate_from",
        "min_daily_coverage",
        "workers",
    }


def test_the_same_settings_hash_the_same_however_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from_arguments = load_settings(windows={"beta": 100}, seed=3).settings_hash()
    write("seed = 3\n")
    monkeypatch.setenv("ETF_WINDOWS__BETA", "100")
    assert load_settings().settings_hash() == from_arguments
    assert len(from_arguments) == 16


@pytest.mark.parametrize(
    ("settings", "benchmark"),
    [
        ({"source": "files", "path": Path("x"), "market": "asx"}, "STW.AX"),
        ({"source": "files", "path": Path("x"), "market": "us"}, "SPY"),
        ({"source": "simulated", "market": "us"}, "MKT.SIM"),
        ({"source": "simulated", "benchmark": "AAA.SIM"}, "AAA.SIM"),
    ],
)
def test_the_benchmark_follows_market_and_source(settings: dict[str, object], benchmark: str) -> None:
    assert load_settings(**settings).benchmark_ticker == benchmark


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"risk": {"garch_window": 100}}, "risk.garch_window"),
        (
            {"risk": {"garch_window": 400, "garch_min_observations": 500}},
            r"\(500\) must not exceed garch_window \(400\)",
        ),
        ({"risk": {"garch_mean": "ar2"}}, "risk.garch_mean"),
        ({"risk": {"garch_start": "zero"}}, "risk.garch_start"),
        ({"risk": {"garch_criterion": "hqic"}}, "risk.garch_criterion"),
        ({"risk": {"kalman_window": 10}}, "risk.kalman_window"),
        ({"risk": {"regime_window": 100}}, "risk.regime_window"),
        ({"risk": {"garch_windows": 1000}}, "risk.garch_windows"),
        ({"workers": -1}, "workers"),
    ],
)
def test_impossible_risk_settings_are_refused_by_name(settings: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(**settings)


@pytest.mark.parametrize(
    ("name", "value", "settings"),
    [
        ("ETF_RISK__GARCH_WINDOW", "500", {"risk": {"garch_window": 500}}),
        ("ETF_RISK__GARCH_CRITERION", "bic", {"risk": {"garch_criterion": "bic"}}),
        ("ETF_RISK__KALMAN_WINDOW", "504", {"risk": {"kalman_window": 504}}),
    ],
)
def test_risk_settings_come_from_the_environment_and_change_the_hash(
    name: str, value: str, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    default, given = load_settings().settings_hash(), load_settings(**settings).settings_hash()
    monkeypatch.setenv(name, value)
    assert load_settings().settings_hash() == given != default


def test_workers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETF_WORKERS", "3")
    assert load_settings().workers == 3


class TestReferenceAndFactors:
    """Where reference series and factor returns come from: what is missing or cannot be together is refused."""

    @pytest.mark.parametrize(
        ("keys", "told"),
        [
            ({"reference_source": "files"}, "reference_source = 'files' needs reference_path"),
            ({"factor_source": "files"}, "factor_source = 'files' needs factor_path"),
            ({"factor_source": "french", "factor_path": "ff"}, "factor_source = 'french' downloads: leave factor_path out"),
            ({"factor_source": "aqr"}, "factor_source = 'aqr': Input should be 'files' or 'french'"),
            ({"source": "simulated", "factor_path": "ff"}, "factor_path brings in what real markets did"),
            ({"source": "simulated", "reference_source": "fred"}, "reference_source brings in what real markets did"),
        ],
    )  # fmt: skip
    def test_refusals(self, keys: dict[str, object], told: str) -> None:
        assert told in refusal(**{"source": "yahoo", **keys})

    def test_they_change_the_hash_and_not_which_trial_it_is(self) -> None:
        plain, other = Settings(source="yahoo"), Settings(source="yahoo", factor_path=Path("ff"))
        assert plain.settings_hash() != other.settings_hash()
        assert ranking_hash(plain.research_settings()) == ranking_hash(other.research_settings())


class TestScoringFile:
    """The rules of a score: shipped, and changed key by key by a file of the user's."""

    def test_what_the_file_leaves_out_stays_shipped(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("[penalties]\ncap = 20.0\n[position.base]\nHIGH = 0.05\n", encoding="utf-8")
        scoring = Settings(scoring_file=file).scoring
        assert scoring.penalties.cap == 20.0
        assert scoring.penalties.cvar.points == [20.0, 15.0, 10.0]
        assert scoring.position.base.model_dump() == {"LOW": 0.15, "MEDIUM": 0.12, "HIGH": 0.05}

    def test_another_rule_is_another_settings_hash_and_another_path_is_not(self, tmp_path: Path) -> None:
        plain = Settings().settings_hash()
        same, other = tmp_path / "same.toml", tmp_path / "other.toml"
        same.write_text("[penalties]\ncap = 30.0\n", encoding="utf-8")
        other.write_text("[penalties]\ncap = 29.0\n", encoding="utf-8")
        assert Settings(scoring_file=same).settings_hash() == plain
        assert Settings(scoring_file=other).settings_hash() != plain

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[penalties]\ncapp = 20\n", "penalties.capp"),
            ("[penalties]\ncap = 120\n", "penalties.cap"),
            ("[penalties]\ncapp = 20\n", "unknown key penalties.capp: allowed are amihud, cap, cvar"),
            (
                "[base_weight]\nmomentum = 0.5\n",
                "unknown key base_weight: allowed are base_weights, multipliers",
            ),
            (
                "[base_weights]\nmomentum = 0.5\n",
                r"must sum to one, not 1.15 \(momentum 0.5, forecast 0.25, .* keeps its default",
            ),
            ("[penalties.units]\nthresholds = [500000.0, 200000.0, 50000.0]\n", "worst first"),
            ("[penalties.units]\npoints = [1.0]\n", "3 thresholds need as many points"),
            ("[multipliers.LOW]\nmomentum = 0\n", "multipliers.LOW.momentum"),
            ("no toml", "cannot be read as TOML"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, tmp_path: Path, text: str, message: str) -> None:
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=message) as refused:
            load_settings(scoring_file=file)
        assert "mine.toml" in str(refused.value)

    def test_a_file_that_is_not_there_is_called_so(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"scoring_file .*none\.toml: file not found"):
            load_settings(scoring_file=tmp_path / "none.toml")
