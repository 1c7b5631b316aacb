"""One typed settings object: defaults, then ``etf.toml``, then ``ETF_*`` environment variables.

Nested keys use a double underscore in the environment (``ETF_WINDOWS__BETA=252``). Unknown keys and
impossible values are refused with the key's name and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableValueError

from etf_pipeline.scoring_settings import Scoring, read_scoring

Market = Literal["asx", "us"]
SourceName = Literal["simulated", "files", "yahoo"]
ReferenceSourceName = Literal["files", "fred"]
FactorSourceName = Literal["files", "french"]

# Variables with our prefix that are not settings: where tests find market data.
NOT_SETTINGS = {"ETF_TEST_DATA", "ETF_CONFIG"}
DEFAULT_BENCHMARK = {"asx": "STW.AX", "us": "SPY"}
SIMULATED_BENCHMARK = "MKT.SIM"


class SettingsError(ValueError):
    """The settings cannot be used; the message names each key, its value and what is allowed."""


class Windows(BaseModel):
    """Lengths in exchange sessions."""

    model_config = ConfigDict(extra="forbid")

    volatility_half_life: int = Field(33, ge=2, le=1000, description="EWMA half-life")
    beta: int = Field(252, ge=60, le=2520, description="rolling regression window")
    momentum: int = Field(252, ge=44, le=1260, description="momentum look-back")
    momentum_skip: int = Field(21, ge=0, le=126, description="most recent sessions left out of momentum")
    volume_short: int = Field(21, ge=5, le=126, description="recent window of the volume signal")
    volume_long: int = Field(252, ge=42, le=1260, description="reference window of the volume signal")

    @model_validator(mode="after")
    def _ordered(self) -> Windows:
        if self.momentum_skip >= self.momentum // 2:
            raise ValueError(
                f"momentum_skip ({self.momentum_skip}) must be below half of momentum ({self.momentum})"
            )
        if self.volume_short >= self.volume_long:
            raise ValueError(
                f"volume_short ({self.volume_short}) must be below volume_long ({self.volume_long})"
            )
        return self


class Universe(BaseModel):
    """Who may be ranked."""

    model_config = ConfigDict(extra="forbid")

    seasoning: int = Field(252, ge=1, le=2520, description="observed sessions before a fund is ranked")
    liquidity_window: int = Field(60, ge=5, le=504, description="sessions of the traded-value median")
    min_median_traded_value: float = Field(
        50_000.0, ge=0, description="quote currency a session, median over liquidity_window"
    )
    silent_sessions: int = Field(
        20, ge=5, le=252, description="silent sessions after which a fund is presumed gone"
    )
    max_stale_sessions: int = Field(
        5, ge=0, le=60, description="sessions without a bar that a member may have"
    )
    include_leveraged: bool = Field(True, description="rank leveraged and inverse funds too")

    @model_validator(mode="after")
    def _ordered(self) -> Universe:
        if self.max_stale_sessions >= self.silent_sessions:
            raise ValueError(
                f"max_stale_sessions ({self.max_stale_sessions}) must be below "
                f"silent_sessions ({self.silent_sessions})"
            )
        return self


class Risk(BaseModel):
    """How risk is estimated."""

    model_config = ConfigDict(extra="forbid")

    garch_window: int = Field(1000, ge=250, le=5000, description="sessions a volatility model is fitted on")
    garch_min_observations: int = Field(
        250, ge=100, le=5000, description="returns needed in it; fewer: a shrunk EWMA"
    )
    garch_mean: Literal["zero", "constant", "ar1"] = Field("constant", description="mean equation")
    garch_start: Literal["backcast", "mean_square"] = Field(
        "backcast", description="variance before the first return of a window"
    )
    garch_criterion: Literal["predictive", "bic", "aic"] = Field(
        "predictive", description="chooses the model at each refit: by past forecasts, or by the window's fit"
    )
    kalman_window: int = Field(756, ge=252, le=5000, description="sessions a random-walk beta is fitted on")
    regime_window: int = Field(2520, ge=504, le=10000, description="sessions a regime model is fitted on")

    @model_validator(mode="after")
    def _ordered(self) -> Risk:
        if self.garch_min_observations > self.garch_window:
            raise ValueError(
                f"garch_min_observations ({self.garch_min_observations}) must not exceed "
                f"garch_window ({self.garch_window})"
            )
        return self


class Forecast(BaseModel):
    """How return forecasts are fitted; refits are quarterly, horizons 5, 21 and 63 sessions."""

    model_config = ConfigDict(extra="forbid")

    window: int = Field(2520, ge=504, le=10000, description="sessions a refit looks back at most")
    min_sessions: int = Field(756, ge=252, le=5000, description="sessions the first refit needs")
    embargo: int = Field(
        5, ge=0, le=63, description="sessions between the last outcome learned and the refit"
    )
    seed: int = Field(7, ge=0, le=1_000_000, description="of the randomised trees")

    @model_validator(mode="after")
    def _ordered(self) -> Forecast:
        if self.min_sessions > self.window:
            raise ValueError(f"min_sessions ({self.min_sessions}) must not exceed window ({self.window})")
        return self


class Backtest(BaseModel):
    """How the ranking is put to the test. No brokerage: costs are half the spread, and impact."""

    model_config = ConfigDict(extra="forbid")

    capital: float = Field(100_000.0, gt=0, le=1e12, description="quote currency at the start")
    top: int = Field(20, ge=1, le=500, description="funds held")
    keep: int = Field(30, ge=1, le=1000, description="a fund held stays while its rank is at most this")
    months: Literal[1, 2, 3, 6, 12] = Field(1, description="months between decisions, at months' last closes")
    delay: int = Field(1, ge=1, le=10, description="sessions from decision to trade; never the same bar")
    trade_at: Literal["open", "close"] = Field("close", description="price of the session traded at")
    whole_units: bool = Field(False, description="whole units only; needs prices as traded")
    delisting_haircut: float = Field(
        0.01, ge=0, le=1, description="lost of the last mark when a fund is gone"
    )
    impact_coefficient: float = Field(1.0, ge=0, le=10, description="of the square-root law of market impact")
    least_half_spread: float = Field(
        0.0001, ge=0, le=0.1, description="fraction of price; price steps' floor"
    )
    cash_margin: float = Field(0.005, ge=0, le=0.2, description="a year; cash earns the cash rate less this")
    loan_margin: float = Field(0.02, ge=0, le=0.5, description="a year; loans cost the cash rate and this")
    weight_steps: int = Field(
        1, ge=0, le=3, description="tenths of weight moved between components by the grid around the default"
    )
    random_portfolios: int = Field(500, ge=20, le=100_000, description="drawn beside the strategy")
    seed: int = Field(11, ge=0, le=1_000_000, description="of random portfolios and resamples")

    @model_validator(mode="after")
    def _ordered(self) -> Backtest:
        if self.keep < self.top:
            raise ValueError(f"keep ({self.keep}) must not be below top ({self.top})")
        return self


class Attribution(BaseModel):
    """How exposures to factors are estimated, and what is supposed to happen to them."""

    model_config = ConfigDict(extra="forbid")

    window: int = Field(252, ge=60, le=2520, description="sessions of a rolling regression")
    min_observations: int = Field(126, ge=30, le=2520, description="returns needed in it")
    stress_window: int = Field(
        1260, ge=252, le=5000, description="sessions that stress exposures are estimated on"
    )
    scenario_file: Path | None = Field(
        None, description="stress scenarios added to the shipped ones, or in their place"
    )
    paths: int = Field(10_000, ge=100, le=1_000_000, description="simulated months")
    seed: int = Field(23, ge=0, le=1_000_000, description="of the simulation")

    @model_validator(mode="after")
    def _ordered(self) -> Attribution:
        if self.min_observations > self.window:
            raise ValueError(
                f"min_observations ({self.min_observations}) must not exceed window ({self.window})"
            )
        return self


class Settings(BaseSettings):
    """Everything a run depends on. See the README for one line on each key."""

    model_config = SettingsConfigDict(
        env_prefix="ETF_", env_nested_delimiter="__", env_ignore_empty=True, extra="forbid"
    )

    market: Market = "asx"
    source: SourceName = "simulated"
    path: Path | None = Field(None, description="files source: a file or a directory")
    adjusted: bool | None = Field(
        None, description="files source: prices already adjusted for splits and distributions"
    )
    reference_path: Path | None = Field(None, description="directory of reference series")
    reference_source: ReferenceSourceName | None = Field(
        None, description="reference series from reference_path or FRED instead of the source of prices"
    )
    factor_path: Path | None = Field(None, description="directory of factor returns, as Ken French's files")
    factor_source: FactorSourceName | None = Field(
        None, description="factor returns from factor_path, or from Ken French's library"
    )
    known_at: datetime | None = Field(
        None, description="files source: when the file was downloaded (with time zone); now by default"
    )
    universe_file: Path | None = Field(None, description="CSV of tickers with names and asset classes")
    scoring_file: Path | None = Field(
        None,
        description="TOML file of weights, penalties and sizes that differ from the shipped scoring.toml",
    )
    benchmark: str | None = Field(None, description="market ETF; STW.AX, SPY or MKT.SIM by default")
    start: date | None = Field(None, description="first session to load")
    end: date | None = Field(None, description="last session to load; the last final one by default")
    operate_from: date = Field(
        date(2026, 1, 5), description="go-live: the first daily partition; earlier history is one load"
    )
    warehouse: Path = Field(Path("warehouse"), description="directory of the DuckDB files")
    seed: int = Field(7, ge=0, description="simulated source: which market")
    simulated_funds: int = Field(120, ge=12, le=5000, description="simulated source: how many funds")
    yahoo_requests_per_minute: int = Field(60, ge=1, le=2000)
    yahoo_url: str | None = Field(None, description="another address that speaks Yahoo's formats")
    min_daily_coverage: float = Field(
        0.85, ge=0, le=1, description="share of the usual funds a session needs before it is published"
    )
    refetch: bool = Field(False, description="ask the vendor again for what is already stored")
    windows: Windows = Field(default_factory=Windows)
    universe: Universe = Field(default_factory=Universe)
    risk: Risk = Field(default_factory=Risk)
    forecast: Forecast = Field(default_factory=Forecast)
    backtest: Backtest = Field(default_factory=Backtest)
    attribution: Attribution = Field(default_factory=Attribution)
    workers: int = Field(0, ge=0, le=256, description="threads; 0: as many as cores. Changes no number")

    _scoring: Scoring = PrivateAttr()

    @field_validator("known_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs a time zone, e.g. 2021-01-27T08:00:00Z")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.source == "files" and self.path is None:
            raise ValueError("source = 'files' needs path: a Parquet or CSV file, or a directory of them")
        if self.source == "yahoo" and self.universe_file is not None and not self.universe_file.exists():
            raise ValueError(f"universe_file {self.universe_file} does not exist")
        self._reference_and_factors()
        scenarios = self.attribution.scenario_file
        if scenarios is not None and not scenarios.is_file():
            raise ValueError(f"attribution.scenario_file {scenarios} does not exist")
        if self.start and self.end and self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        try:
            self._scoring = read_scoring(self.scoring_file)
        except ValidationError as error:
            lines = [
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            ]
            raise ValueError(f"scoring_file {self.scoring_file}: {'; '.join(lines)}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ValueError(f"scoring_file {self.scoring_file} cannot be read as TOML: {error}") from None
        return self

    def _reference_and_factors(self) -> None:
        if self.reference_source == "files" and self.reference_path is None:
            raise ValueError(
                "reference_source = 'files' needs reference_path: a directory of reference series"
            )
        if self.factor_source == "files" and self.factor_path is None:
            raise ValueError("factor_source = 'files' needs factor_path: a directory of factor files")
        if self.factor_source == "french" and self.factor_path is not None:
            raise ValueError(
                "factor_source = 'french' downloads: leave factor_path out, or set it to 'files'"
            )
        real = [
            k for k in ("reference_source", "factor_source", "factor_path") if getattr(self, k) is not None
        ]
        if self.source == "simulated" and real:
            raise ValueError(
                f"{real[0]} brings in what real markets did, and source = 'simulated' invents a market and its factors: "
                "leave it out, or set source to 'files' or 'yahoo'"
            )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments beat the environment, which beats the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())

    @property
    def benchmark_ticker(self) -> str:
        """The market ETF, resolved: settings, or the market's default."""
        if self.benchmark:
            return self.benchmark
        return SIMULATED_BENCHMARK if self.source == "simulated" else DEFAULT_BENCHMARK[self.market]

    @property
    def scoring(self) -> Scoring:
        """The rules of a score: the shipped ones, changed by ``scoring_file``."""
        return self._scoring

    def research_settings(self) -> dict[str, Any]:
        """The settings that change numbers: all but where things lie and how fast they run."""
        outside = {
            "warehouse",
            "scoring_file",
            "yahoo_requests_per_minute",
            "yahoo_url",
            "refetch",
            "operate_from",
            "min_daily_coverage",
            "workers",
        }
        found = {**json.loads(self.model_dump_json(exclude=outside)), "scoring": self.scoring.model_dump()}
        file = self.attribution.scenario_file
        if file is not None:
            # What the scenarios are, not where they lie.
            found["attribution"]["scenario_file"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def settings_hash(self) -> str:
        """16 hex digits that change when a setting that changes numbers does."""
        text = json.dumps(self.research_settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` (not None) beat file and environment.

    Raises
    ------
    SettingsError : unknown key or impossible value, each named with what is allowed; a file that is not
        there or is not TOML.
    """
    file = _config_file()
    if "ETF_CONFIG" in os.environ and not file.is_file():
        raise SettingsError(f"ETF_CONFIG names {file}, which is not a file")
    known = {f"ETF_{name.upper()}" for name in Settings.model_fields}
    nested = (
        "ETF_WINDOWS__",
        "ETF_UNIVERSE__",
        "ETF_RISK__",
        "ETF_FORECAST__",
        "ETF_BACKTEST__",
        "ETF_ATTRIBUTION__",
    )
    unknown = sorted(
        key
        for key in os.environ
        if key.upper().startswith("ETF_")
        and key.upper() not in known | NOT_SETTINGS
        and not key.upper().startswith(nested)
    )
    if unknown:
        raise SettingsError(
            f"unknown environment variable {', '.join(unknown)}: allowed are {', '.join(sorted(known))} "
            f"and {', '.join(n + 'KEY' for n in nested)}"
        )
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e) for e in error.errors())) from None
    except UnreadableValueError as error:
        raise SettingsError(
            f"{error}: set its keys one by one, e.g. ETF_WINDOWS__BETA=252, or all as one JSON object"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{file} cannot be read as TOML: {error}") from None


def _config_file() -> Path:
    return Path(os.environ.get("ETF_CONFIG", "etf.toml"))


def _explain(error: Any) -> str:
    """One line for one refused key: its name, value and what is allowed."""
    location = [str(part) for part in error["loc"]]
    nested: dict[str, type[BaseModel]] = {
        "windows": Windows,
        "universe": Universe,
        "risk": Risk,
        "forecast": Forecast,
        "backtest": Backtest,
        "attribution": Attribution,
    }
    model = nested.get(location[0], Settings) if len(location) > 1 else Settings
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}: allowed are {', '.join(sorted(model.model_fields))}"
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):
        # A rule about several keys: its message names them, and all the other settings would only hide it.
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}{_allowed(model, location[-1])}"


def _allowed(model: type[BaseModel], name: str) -> str:
    """What a key takes, where the refusal alone does not say it."""
    field = model.model_fields[name]
    kinds = get_args(field.annotation) or (field.annotation,)
    if date in kinds:
        return " (allowed: a date, YYYY-MM-DD)"
    if bool in kinds:
        return " (allowed: true or false)"
    bounds = {k: getattr(m, k) for m in field.metadata for k in ("ge", "le") if hasattr(m, k)}
    return f" (allowed: {bounds['ge']} to {bounds['le']})" if len(bounds) == 2 else ""
