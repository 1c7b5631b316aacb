"""Which table a file is: region, frequency and construction by the name Ken French gives it and by its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS

FACTOR_OF_COLUMN = {
    "mktrf": "market_excess",
    "smb": "size",
    "hml": "value",
    "rmw": "profitability",
    "cma": "investment",
    "mom": "momentum",
    "wml": "momentum",
    "rf": "risk_free",
}
"""Columns as they are named in files, letters only."""

# Ken French's name of each region, and the ends of names of its tables. An ending's case differs from file to file.
_REGION_NAMES = {
    "developed": "Developed",
    "developed_ex_us": "Developed_ex_US",
    "asia_pacific_ex_japan": "Asia_Pacific_ex_Japan",
    "europe": "Europe",
    "japan": "Japan",
    "north_america": "North_America",
    "emerging": "Emerging",
}
_UPPER_CASE_MOM = ("asia_pacific_ex_japan", "emerging")
REGIONS = ("us", *_REGION_NAMES)

_MONTH = re.compile(r"(?<!\d)(?P<year>(?:19|20)\d{2})-?(?P<month>0[1-9]|1[0-2])(?!\d)")
_US_FILES = {
    "f_f_research_data_factors": "three_factor",
    "f_f_research_data_5_factors_2x3": "five_factor",
    "f_f_momentum_factor": "momentum",
}
_REGION_FILES = {"3_factors": "three_factor", "5_factors": "five_factor", "mom_factor": "momentum"}
_COMBINED = "ff5_mom"
"""Five factors and momentum side by side, as in "2025-07_us_ff5_mom_monthly.parquet"."""


@dataclass(frozen=True)
class NamedTable:
    """What a file's name says.

    Attributes
    ----------
    region : see ``REGIONS``.
    frequency : daily or monthly.
    constructions : the tables it holds.
    month : "2021-08" where the name has one; None otherwise.
    """

    region: str
    frequency: str
    constructions: tuple[str, ...]
    month: str | None


def table_of_name(name: str) -> NamedTable | None:
    """The table that a file of this name holds; None where it is not a table of factors that is known.

    ``name`` may carry a leading month ("202108_", "2025-07_"), "_CSV" and any suffix; its case does not matter.
    """
    stem = name.split(".")[0]
    found = _MONTH.search(stem)
    if found:
        stem = stem[: found.start()] + stem[found.end() :]
    words = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_").removesuffix("_csv")
    words = words.replace("exus", "ex_us").replace("exjapan", "ex_japan")
    frequency = "monthly"
    for ending in ("daily", "monthly"):
        if words.endswith(f"_{ending}"):
            words, frequency = words.removesuffix(f"_{ending}"), ending
    month = f"{found['year']}-{found['month']}" if found else None
    if words in _US_FILES:
        return NamedTable("us", frequency, (_US_FILES[words],), month)
    for region in REGIONS:
        rest = words.removeprefix(f"{region}_")
        if rest == _COMBINED:
            return NamedTable(region, frequency, ("five_factor", "momentum"), month)
        if region != "us" and rest != words and rest in _REGION_FILES:
            return NamedTable(region, frequency, (_REGION_FILES[rest],), month)
    return None


def factors_of_columns(names: Sequence[str]) -> dict[str, str] | None:
    """Column to factor; None where the columns are not those of a table that is known.

    A parquet file may hold five factors and momentum together.
    """
    factors = {name: FACTOR_OF_COLUMN.get(re.sub(r"[^a-z]", "", name.lower()), "") for name in names}
    held = sorted(factors.values())
    combined = (*CONSTRUCTION_FACTORS["five_factor"], *CONSTRUCTION_FACTORS["momentum"])
    known = [sorted(f) for f in (*CONSTRUCTION_FACTORS.values(), combined)]
    return factors if held in known else None


def remote_name(region: str, construction: str, frequency: str) -> str:
    """The name of a table's zip file in Ken French's data library.

    The library has no daily tables of emerging markets, nor one of their three factors.
    """
    daily = frequency == "daily"
    if region == "us":
        stem = {
            "three_factor": "F-F_Research_Data_Factors",
            "five_factor": "F-F_Research_Data_5_Factors_2x3",
            "momentum": "F-F_Momentum_Factor",
        }[construction]
        return f"{stem}{'_daily' if daily else ''}_CSV.zip"
    mom = "MOM" if region in _UPPER_CASE_MOM else "Mom"
    stem = {"three_factor": "3_Factors", "five_factor": "5_Factors", "momentum": f"{mom}_Factor"}[
        construction
    ]
    return f"{_REGION_NAMES[region]}_{stem}{'_Daily' if daily else ''}_CSV.zip"
