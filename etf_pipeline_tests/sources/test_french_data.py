"""The shared factor files: each read exactly, stored, read back, and what they became."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.sources.french import FactorFiles
from etf_pipeline.sources.ingest import ingest_factors
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.factors import read_factor_vintages
from etf_pipeline_tests.conftest import ROOT

pytestmark = pytest.mark.data
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = {
    "Mkt-RF": "market_excess", "MKT_RF": "market_excess", "SMB": "size", "HML": "value", "RMW": "profitability",
    "CMA": "investment", "Mom": "momentum", "WML": "momentum", "RF": "risk_free",
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(request: pytest.FixtureRequest) -> Path:
    found = Path(request.getfixturevalue("market_data")) / "ff"
    if not found.is_dir():
        pytest.skip(f"no factor files at {found}")
    return found


@pytest.fixture(scope="module")
def warehouse(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = Warehouse(tmp_path_factory.mktemp("warehouse"))
    ingest_factors(FactorFiles(directory, clock=lambda: NOW), made, None, None)
    return made


def expected(path: Path) -> pd.DataFrame:
    """The file as pandas reads it: session, factor, fraction, without missing values."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        frame.index = frame.index + pd.offsets.MonthEnd(0)
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        top = next(i for i, line in enumerate(lines) if line.startswith(","))
        rows = [[c.strip() for c in line.split(",")] for line in lines[top + 1 :] if line[:8].isdigit()]
        frame = pd.DataFrame(
            [[float(c) for c in row[1:]] for row in rows],
            index=pd.to_datetime([row[0] for row in rows], format="%Y%m%d"),
            columns=lines[top].split(",")[1:],
        )
    frame = (frame.mask(frame <= -99.99) / 100).rename(columns=NAMES)
    # One of the factors is called "value", so the column of numbers gets its name after the unpivoting.
    long = (
        frame.rename_axis(index="session")
        .reset_index()
        .melt("session", var_name="factor", value_name="number")
    )
    return (
        long.dropna()
        .rename(columns={"number": "value"})
        .sort_values(["session", "factor"], ignore_index=True)
    )


def test_every_file_is_there(directory: Path, warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        held = {
            row[0] for row in connection.execute("SELECT DISTINCT detail FROM raw.factor_vintages").fetchall()
        }
    assert held == {path.name for path in directory.iterdir()}


def test_every_file_reads_back_exactly_as_it_was_known_then(directory: Path, warehouse: Warehouse) -> None:
    for path in sorted(directory.iterdir()):
        with warehouse.read() as connection:
            stored = connection.execute(
                "SELECT session, factor, value FROM raw.factors_as_of((SELECT max(known_at) FROM raw.factor_vintages "
                "WHERE detail = $file)) SEMI JOIN (SELECT * FROM raw.factor_vintages WHERE detail = $file) v "
                "USING (region, frequency, construction) ORDER BY session, factor",
                {"file": path.name},
            ).df()
        wanted = expected(path)
        assert len(wanted) > 2000, path.name
        assert stored["factor"].tolist() == wanted["factor"].tolist(), path.name
        np.testing.assert_array_equal(
            stored["session"].to_numpy("datetime64[D]"), wanted["session"].to_numpy("datetime64[D]")
        )
        np.testing.assert_array_equal(stored["value"].to_numpy(), wanted["value"].to_numpy(), path.name)


def test_vintages_are_what_the_files_say_not_their_names(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        held = dict(
            connection.execute(
                "SELECT DISTINCT detail, (vintage, known_at::DATE::VARCHAR) FROM raw.factor_vintages"
            ).fetchall()
        )
    assert held["202108_F-F_Research_Data_Factors_daily.CSV"] == ("2021-10", "2021-11-30")
    assert held["202511_F-F_Research_Data_5_Factors_2x3_daily.csv"] == ("2025-11", "2025-12-31")
    assert held["2025-07_us_ff5_mom_monthly.parquet"] == ("2025-07", "2025-08-31")
    # Named July, and holds August.
    assert held["2025-07_developed_exus_ff5_mom_monthly.parquet"] == ("2025-08", "2025-09-30")


def test_again_writes_nothing(directory: Path, warehouse: Warehouse) -> None:
    report = ingest_factors(FactorFiles(directory, clock=lambda: NOW), warehouse, None, None)
    assert report.new_versions == 0
    assert len(report.vintages) == 10


def test_what_three_and_five_factors_build_alike_and_what_they_do_not(warehouse: Warehouse) -> None:
    """Of 2021 against 2025: HML is one portfolio, revised; SMB is another one; the market hardly moves."""
    vintages = read_factor_vintages(warehouse, "daily")
    now = np.datetime64("2026-01-01")
    old, new = (
        vintages.select("us", [(table, f) for f in ("market_excess", "value", "size", "risk_free")])
        for table in ("three_factor", "five_factor")
    )
    both = np.intersect1d(old.sessions, new.sessions)
    before = old.as_known(now)[np.isin(old.sessions, both)]
    after = new.as_known(now)[np.isin(new.sessions, both)]
    correlation = [np.corrcoef(before[:, i], after[:, i])[0, 1] for i in range(3)]
    assert correlation[0] > 0.9999
    assert correlation[1] > 0.999
    assert correlation[2] < 0.98
    assert np.abs(before - after)[:, 3].max() < 5.1e-5, "only the digits printed differ"


def test_revisions_with_their_sizes(warehouse: Warehouse) -> None:
    text = (ROOT / "warehouse" / "queries" / "what_the_factors_became.sql").read_text(encoding="utf-8")
    with warehouse.read() as connection:
        found = connection.execute(text).df()
    assert set(zip(found["region"], found["construction"], strict=True)) == {("us", "common")}
    by_factor = found.groupby("factor")[["revised", "beyond_rounding"]].sum()
    assert by_factor.loc["value"].tolist() == [9957, 9957]
    assert by_factor.loc["market_excess"].tolist() == [2931, 2931]
    assert by_factor.loc["risk_free", "beyond_rounding"] == 0
    largest = found.sort_values("largest_pct").groupby("factor").last()
    assert largest.loc["value", "largest_pct"] == pytest.approx(0.36)
    assert largest.loc["market_excess", "largest_pct"] == pytest.approx(0.45)


def test_exposures_of_2021_use_the_vintage_of_2021(warehouse: Warehouse) -> None:
    history = read_factor_vintages(warehouse, "daily").select("us", [("three_factor", "value")])
    first = history.first_known()
    assert (first == np.datetime64("2021-11-30T23:59:59", "us")).all()
    later = read_factor_vintages(warehouse, "daily").select(
        "us", [("five_factor", "value"), ("momentum", "momentum")]
    )
    known = later.first_known()
    assert np.isnat(known[later.sessions < np.datetime64("1963-07-01")]).all()
    assert (
        known[later.sessions >= np.datetime64("1963-07-01")] == np.datetime64("2025-12-31T23:59:59", "us")
    ).all()
