"""Named factor models, and which of them explains which asset class on which market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MARKETS = ("asx", "us")
FREQUENCIES = ("daily", "monthly")
FRENCH_FACTORS = ("market_excess", "size", "value", "profitability", "investment", "momentum")


@dataclass(frozen=True)
class FactorModel:
    """A set of factors that funds are regressed on.

    Attributes
    ----------
    name : as tables and settings call it.
    region : of the factors' data: ``us``, ``developed``, ``asia_pacific_ex_japan``; ``house`` for the warehouse's series.
    frequency : ``daily`` or ``monthly``.
    constructions : the tables the factors come from, first to last: a factor is read from the first that has it. The size
        factor of the three- and the five-factor table are different portfolios.
    factors : their order is that of loadings.
    currency : of the factors' returns and risk-free rate, ISO code; ``local`` for series of the market's own.
    lag_days : by market, calendar days by which a session sees the factors' day late.
    return_sessions : by market, sessions that each return in the regression spans (``overlapping_returns``): 1, or more
        where the funds close at another hour than what they hold.
    note : what it is for.
    """

    name: str
    region: str
    frequency: str
    constructions: tuple[str, ...]
    factors: tuple[str, ...]
    currency: str
    lag_days: Mapping[str, int]
    return_sessions: Mapping[str, int]
    note: str

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, naming the model."""
        if self.frequency not in FREQUENCIES:
            raise ValueError(
                f"factor model {self.name}: frequency {self.frequency!r} is none of {', '.join(FREQUENCIES)}"
            )
        if not self.factors or len(set(self.factors)) != len(self.factors):
            raise ValueError(
                f"factor model {self.name}: factors must be named, each once, not {self.factors}"
            )
        if not self.constructions:
            raise ValueError(f"factor model {self.name}: constructions must name at least one table")
        if set(self.lag_days) != set(MARKETS) or not set(self.lag_days.values()) <= {0, 1}:
            raise ValueError(
                f"factor model {self.name}: lag_days must give 0 or 1 for each of {', '.join(MARKETS)}, "
                f"not {dict(self.lag_days)}"
            )
        lengths = self.return_sessions.values()
        if set(self.return_sessions) != set(MARKETS) or not all(
            isinstance(n, int) and n >= 1 for n in lengths
        ):
            raise ValueError(
                f"factor model {self.name}: return_sessions must give 1 or more for each of {', '.join(MARKETS)}, "
                f"not {dict(self.return_sessions)}"
            )


@dataclass(frozen=True)
class MainModel:
    """The model an asset class is explained by on a market, and why."""

    model: str
    reason: str


@dataclass(frozen=True)
class FactorModels:
    """All models by name, and the main one by market and asset class."""

    models: Mapping[str, FactorModel]
    main: Mapping[str, Mapping[str, MainModel]]

    def main_model(self, market: str, asset_class: str | None) -> FactorModel:
        """The model of an asset class; of an unknown one (None), the house's.

        Raises
        ------
        ValueError : a market or asset class without an entry; the message says which there are.
        """
        if market not in self.main:
            raise ValueError(f"no factor models for market {market!r}; there are {', '.join(self.main)}")
        if asset_class is None:
            return self.models["house"]
        if asset_class not in self.main[market]:
            raise ValueError(
                f"no main factor model for asset class {asset_class!r} on {market}: add it to [main.{market}]; "
                f"there are {', '.join(self.main[market])}"
            )
        return self.models[self.main[market][asset_class].model]
