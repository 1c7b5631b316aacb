"""The contract of a source of factor returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from etf_pipeline.storage.bitemporal_factors import FactorVintage

__all__ = ["FactorSource", "FactorVintage"]


@runtime_checkable
class FactorSource(Protocol):
    """Tables of factor returns, each with the moment since when it can have been known."""

    name: str
    simulated: bool
    """True where the returns are invented."""

    def factor_vintages(self) -> Iterator[FactorVintage]:
        """Every vintage on offer, one at a time; SourceError where one cannot be read."""
        ...
