"""Files and directories of factor returns: names, vintages, wrappings."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.factors import FactorSource, FactorVintage
from etf_pipeline.sources.french import FactorFiles
from etf_pipeline.sources.french.read import read_content
from etf_pipeline.sources.french.tables import REGIONS, remote_name, table_of_name
from etf_pipeline.sources.french.vintage import published_by
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS, FREQUENCIES
from etf_pipeline_tests.sources.french_texts import DEVELOPED_DAILY, US_DAILY, US_MONTHLY_MOMENTUM, zipped

NOW = datetime(2026, 1, 20, tzinfo=UTC)
US_FILE = "F-F_Research_Data_Factors_daily.CSV"


def read(name: str, content: str | bytes, **changes: Any) -> list[FactorVintage]:
    data = content.encode() if isinstance(content, str) else content
    return read_content(name, data, **{"now": NOW, "source": "files", **changes})


@pytest.mark.parametrize(
    ("name", "region", "frequency", "constructions", "month"),
    [
        ("202108_F-F_Research_Data_Factors_daily.CSV", "us", "daily", ("three_factor",), "2021-08"),
        ("F-F_Research_Data_Factors.csv", "us", "monthly", ("three_factor",), None),
        ("202511_F-F_Research_Data_5_Factors_2x3_daily.csv", "us", "daily", ("five_factor",), "2025-11"),
        ("F-F_Momentum_Factor_CSV.zip", "us", "monthly", ("momentum",), None),
        ("202208_Developed_MOM_Factor_Daily.csv", "developed", "daily", ("momentum",), "2022-08"),
        ("Developed_ex_US_3_Factors.csv", "developed_ex_us", "monthly", ("three_factor",), None),
        ("Asia_Pacific_ex_Japan_5_Factors_Daily_CSV.zip", "asia_pacific_ex_japan", "daily", ("five_factor",), None),
        ("2025-07_us_ff5_mom_monthly.parquet", "us", "monthly", ("five_factor", "momentum"), "2025-07"),
        ("2025-07_europe_ff5_mom_monthly.parquet", "europe", "monthly", ("five_factor", "momentum"), "2025-07"),
        ("2025-07_developed_exus_5_factors_daily.csv", "developed_ex_us", "daily", ("five_factor",), "2025-07"),
    ],
)  # fmt: skip
def test_a_name_says_which_table(
    name: str, region: str, frequency: str, constructions: tuple[str, ...], month: str | None
) -> None:
    found = table_of_name(name)
    assert found is not None
    assert (found.region, found.frequency, found.constructions, found.month) == (
        region, frequency, constructions, month,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["prices.csv", "F-F_Research_Data_Factors_weekly.CSV", "25_Portfolios_5x5.csv", "us_3_factors.csv"],
)
def test_another_name_is_no_table(name: str) -> None:
    assert table_of_name(name) is None


def test_the_librarys_names_are_understood() -> None:
    for region in REGIONS:
        for construction in CONSTRUCTION_FACTORS:
            for frequency in FREQUENCIES:
                found = table_of_name(remote_name(region, construction, frequency))
                assert found is not None
                assert (found.region, found.constructions, found.frequency) == (
                    region,
                    (construction,),
                    frequency,
                )


class TestVintage:
    def test_the_files_own_word_beats_its_name(self) -> None:
        (found,) = read(f"202108_{US_FILE}", US_DAILY)
        assert found.label == "2021-10"
        assert found.known_at == datetime(2021, 11, 30, 23, 59, 59, tzinfo=UTC)

    def test_the_name_counts_where_the_file_says_nothing(self) -> None:
        (found,) = read(f"202110_{US_FILE}", US_DAILY.replace("202110 CRSP database", "CRSP files"))
        assert found.label == "2021-10"

    def test_a_name_older_than_the_content_is_not_believed(self, caplog: pytest.LogCaptureFixture) -> None:
        (found,) = read(f"202108_{US_FILE}", US_DAILY.replace("202110 CRSP database", "CRSP files"))
        assert found.label == "2021-10"
        assert "named 2021-08, but it holds 2021-10" in caplog.text

    def test_neither_says_is_refused_with_the_remedy(self) -> None:
        silent = US_DAILY.replace("202110 CRSP database", "CRSP files")
        with pytest.raises(
            SourceError, match=r"Factors_daily\.CSV: says neither .*--known-at.*before the name"
        ):
            read(US_FILE, silent)
        learned = datetime(2022, 5, 1, tzinfo=UTC)
        (found,) = read(US_FILE, silent, fallback_known_at=learned)
        assert (found.label, found.known_at) == (None, learned)

    def test_the_callers_word_beats_all_but_a_fallback_none(self) -> None:
        learned = datetime(2022, 5, 1, tzinfo=UTC)
        assert read(US_FILE, US_DAILY, known_at=learned)[0].known_at == learned
        assert read(US_FILE, US_DAILY, fallback_known_at=learned)[0].known_at.year == 2021

    def test_known_by_the_end_of_the_month_after(self) -> None:
        assert published_by("2021-10").isoformat() == "2021-11-30T23:59:59+00:00"
        assert published_by("2025-12").isoformat() == "2026-01-31T23:59:59+00:00"
        assert published_by("2024-01").isoformat() == "2024-02-29T23:59:59+00:00"

    def test_what_is_at_hand_is_known(self) -> None:
        early = datetime(2021, 11, 10, 8, tzinfo=UTC)
        assert read(US_FILE, US_DAILY, now=early)[0].known_at == early


class TestWrappings:
    def test_a_zip_is_its_file(self) -> None:
        (plain,) = read(US_FILE, US_DAILY)
        (packed,) = read("F-F_Research_Data_Factors_daily_CSV.zip", zipped(US_DAILY, US_FILE))
        pd.testing.assert_frame_equal(packed.returns, plain.returns, check_exact=True)
        assert (packed.label, packed.construction) == (plain.label, "three_factor")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"<html>not found</html>", "not a readable zip file.*download it again"),
            (zipped(US_DAILY, US_FILE)[:-30], "not a readable zip file"),
            (zipped(US_DAILY, "read.me"), "holds 0 CSV files where one"),
        ],
        ids=["page", "cut", "member"],
    )
    def test_a_broken_zip(self, content: bytes, message: str) -> None:
        with pytest.raises(SourceError, match=rf"F-F_Momentum_Factor_CSV\.zip: {message}"):
            read("F-F_Momentum_Factor_CSV.zip", content)

    def test_other_encodings(self) -> None:
        (found,) = read(US_FILE, "\ufeff" + US_DAILY)
        assert len(found.returns) == 12
        (found,) = read(US_FILE, US_DAILY.replace("Copyright", "©").encode("latin-1"))
        assert len(found.returns) == 12

    def test_parquet_holds_two_tables_side_by_side(self) -> None:
        five, momentum = read("2025-08_us_ff5_mom_monthly.parquet", parquet(frame()))
        assert (five.construction, momentum.construction) == ("five_factor", "momentum")
        assert momentum.returns["session"].astype(str).tolist() == ["2025-07-31"], "a missing value is no row"
        assert momentum.returns["value"].tolist() == [-0.94 / 100]
        assert five.returns.query("factor == 'risk_free'")["value"].tolist() == [0.34 / 100, 0.35 / 100]
        assert five.known_at == datetime(2025, 9, 30, 23, 59, 59, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.rename(columns={"HML": "QMJ"}), "not one date and the factors of a known table"),
            (lambda f: f.reset_index(drop=True), "not one date and the factors"),
            (lambda f: f.iloc[::-1], "its dates do not ascend"),
            (lambda f: f.set_index(pd.to_datetime(["2025-07-01", "2025-07-31"])), "two rows in one month"),
        ],
        ids=["column", "date", "order", "month"],
    )
    def test_parquet_of_another_kind(self, change: Any, message: str) -> None:
        with pytest.raises(SourceError, match=message):
            read("2025-08_us_ff5_mom_monthly.parquet", parquet(change(frame())))

    def test_a_name_that_the_content_contradicts(self) -> None:
        with pytest.raises(SourceError, match="named as a monthly table and holds a daily one; rename"):
            read("F-F_Research_Data_Factors.csv", US_DAILY)
        with pytest.raises(SourceError, match="named as a table of three_factor and holds market_excess"):
            read("Developed_3_Factors_Daily.csv", DEVELOPED_DAILY)
        with pytest.raises(SourceError, match="keep Ken French's own name"):
            read("mine.csv", US_DAILY)


def frame() -> pd.DataFrame:
    names = ["MKT_RF", "SMB", "HML", "RMW", "CMA", "Mom", "RF"]
    rows = [[1.98, -0.15, -1.26, -0.29, -2.08, -0.94, 0.34], [1.0, 1.0, 1.0, 1.0, 1.0, float("nan"), 0.35]]
    return pd.DataFrame(rows, pd.to_datetime(["2025-07-31", "2025-08-29"]), names)


def parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


class TestDirectory:
    def test_every_known_file_of_whatever_vintage(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        (tmp_path / f"202108_{US_FILE}").write_text(US_DAILY)
        (tmp_path / "F-F_Momentum_Factor_CSV.zip").write_bytes(
            zipped(US_MONTHLY_MOMENTUM, "F-F_Momentum_Factor.csv")
        )
        (tmp_path / "prices.csv").write_text("date,close\n")
        (tmp_path / "notes.txt").write_text("x")
        source = FactorFiles(tmp_path, clock=lambda: NOW)
        assert isinstance(source, FactorSource)
        found = [(v.name, v.label, v.detail) for v in source.factor_vintages()]
        assert found == [
            ("us daily three_factor", "2021-10", f"202108_{US_FILE}"),
            ("us monthly momentum", "2025-11", "F-F_Momentum_Factor_CSV.zip"),
        ]
        assert "prices.csv passed over" in caplog.text

    def test_no_directory_or_nothing_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"factor_path .*nowhere is not a directory"):
            FactorFiles(tmp_path / "nowhere")
        with pytest.raises(SourceError, match=r"holds no factor file; .*2x3_daily\.csv"):
            list(FactorFiles(tmp_path).factor_vintages())

    def test_the_settings_moment_is_for_files_without_one(self, tmp_path: Path) -> None:
        learned = datetime(2022, 5, 1, tzinfo=UTC)
        (tmp_path / US_FILE).write_text(US_DAILY.replace("202110 CRSP database", "CRSP files"))
        (tmp_path / "Developed_5_Factors_Daily.csv").write_text(DEVELOPED_DAILY)
        moments = {v.region: v.known_at for v in FactorFiles(tmp_path, learned).factor_vintages()}
        assert moments == {"us": learned, "developed": datetime(2022, 9, 30, 23, 59, 59, tzinfo=UTC)}
