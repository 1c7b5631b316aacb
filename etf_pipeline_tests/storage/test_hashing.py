"""Content hashes: equal for the same facts however they come, different for any other fact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_pipeline.storage.contracts import CONTRACTS, Column, Contract
from etf_pipeline.storage.hashing import code_version, content_hash
from etf_pipeline.storage.tables import from_arrow, to_arrow

CONTRACT = Contract(
    "test.facts",
    "Every type there is.",
    "one row a ticker and session",
    (
        Column("ticker", "VARCHAR", "key"),
        Column("session", "DATE", "key"),
        Column("name", "VARCHAR", "text", nullable=True),
        Column("value", "DOUBLE", "number", nullable=True),
        Column("count", "INTEGER", "whole number", nullable=True),
        Column("flag", "BOOLEAN", "yes, no or unknown", nullable=True),
        Column("at", "TIMESTAMP", "moment", nullable=True),
        Column("learned", "TIMESTAMP", "bookkeeping", volatile=True),
    ),
    ("ticker", "session"),
)


def facts(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "ticker": ["A", "A", "B", "C"],
            "session": pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-02", "2024-01-02"]).astype("datetime64[s]"),
            "name": ["Fund", None, "", "Größe 基金"],
            "value": [1.5, np.nan, -0.25, 1e300],
            "count": [1, 2, 3, 4],
            "flag": [True, False, None, True],
            "at": pd.to_datetime(["2024-01-02T10", "2024-01-02T11", None, "2024-01-02T12:00:00.000001"], format="ISO8601"),
            "learned": pd.Timestamp("2024-06-01"),
        }
    )  # fmt: skip
    return frame.assign(**changes)


def hashed(frame: pd.DataFrame) -> str:
    return content_hash(frame, CONTRACT)


def changed(column: str, row: int, value: object) -> pd.DataFrame:
    frame = facts()
    values = frame[column].astype(object).tolist()
    values[row] = value
    dtype = object if column in {"name", "flag", "ticker"} else frame[column].dtype
    return frame.assign(**{column: pd.Series(values, dtype=dtype)})


@given(st.permutations(range(4)), st.permutations(list(CONTRACT.names)))
def test_order_of_rows_and_columns_does_not_matter(order: list[int], columns: list[str]) -> None:
    assert hashed(facts().iloc[order][columns]) == hashed(facts())


def test_what_is_stored_hashes_as_what_was_written() -> None:
    assert hashed(from_arrow(to_arrow(facts(), CONTRACT))) == hashed(facts())


@pytest.mark.parametrize(
    "same",
    [
        facts(learned=pd.Timestamp("2025-01-01")),
        facts(ticker=facts()["ticker"].astype("category")),
        facts(ticker=pd.Categorical(facts()["ticker"], categories=["C", "B", "A", "unused"])),
        facts(name=pd.Categorical(facts()["name"], categories=["Größe 基金", "", "Fund"])),
        facts(name=facts()["name"].astype(object)),
        facts(name=["Fund", np.nan, "", "Größe 基金"]),
        facts(session=facts()["session"].astype("datetime64[ns]")),
        facts(count=facts()["count"].astype("int16")),
        facts(flag=facts()["flag"].astype("boolean")),
    ],
    ids=[
        "learned later", "category", "category in another order", "text category", "object", "NaN for None",
        "nanoseconds", "smaller integers", "nullable boolean",
    ],
)  # fmt: skip
def test_the_same_facts_in_another_dress(same: pd.DataFrame) -> None:
    assert hashed(same) == hashed(facts())


def test_minus_zero_is_zero() -> None:
    """DuckDB's compression gives back one where the other was stored."""
    assert hashed(changed("value", 0, -0.0)) == hashed(changed("value", 0, 0.0))


def test_every_nan_is_one_nan() -> None:
    other = np.array([0x7FF8_0000_0000_0BAD, 0xFFF8_0000_0000_0000], dtype=np.uint64).view(np.float64)
    assert np.isnan(other).all()
    assert {hashed(changed("value", 1, value)) for value in (*other, np.nan)} == {hashed(facts())}


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        ("value", 0, np.nextafter(1.5, 2)),
        ("value", 0, np.nextafter(1.5, 1)),
        ("value", 1, 0.0),
        ("value", 0, np.nan),
        ("name", 0, "Fund "),
        ("name", 0, "fund"),
        ("name", 1, ""),
        ("name", 2, None),
        ("ticker", 3, "D"),
        ("session", 3, pd.Timestamp("2024-01-05")),
        ("count", 0, 2),
        ("flag", 0, False),
        ("flag", 2, False),
        ("flag", 0, None),
        ("at", 3, pd.Timestamp("2024-01-02 12:00:00.000002")),
        ("at", 2, pd.Timestamp("1970-01-01")),
    ],
)
def test_any_other_fact_is_another_hash(column: str, row: int, value: object) -> None:
    unchanged = changed(column, row, facts()[column].astype(object).tolist()[row])
    assert hashed(unchanged) == hashed(facts()), "rebuilding the column changes nothing"
    assert hashed(changed(column, row, value)) != hashed(facts())


def test_rows_count() -> None:
    assert len({hashed(facts().iloc[:n]) for n in range(5)}) == 5


def test_values_that_change_places_are_other_facts() -> None:
    swapped = facts(value=[-0.25, np.nan, 1.5, 1e300])
    assert hashed(swapped) != hashed(facts())


@given(st.lists(st.text(st.sampled_from("\0a"), max_size=3), min_size=2, max_size=2), st.data())
def test_texts_do_not_run_into_each_other(names: list[str], data: st.DataObject) -> None:
    """Separators inside a text are part of it."""
    others = data.draw(st.lists(st.text(st.sampled_from("\0a"), max_size=3), min_size=2, max_size=2))
    a, b = (facts().iloc[:2].assign(name=pd.Series(n, dtype=object)) for n in (names, others))
    assert (hashed(a) == hashed(b)) == (names == others)


def test_the_same_number_in_another_column_is_another_fact() -> None:
    contract = CONTRACTS["signals.momentum"]
    frame = pd.DataFrame({name: [np.nan] for name in contract.names})
    frame = frame.assign(ticker="A", session=pd.Timestamp("2024-01-02"))
    one = frame.assign(momentum_12_1=0.1, momentum_6_1=np.nan)
    other = frame.assign(momentum_12_1=np.nan, momentum_6_1=0.1)
    assert content_hash(one, contract) != content_hash(other, contract)


def test_versions_of_one_bar_hash_the_same_in_any_order() -> None:
    """When a version was learned is not a fact of the market, but it says which came first."""
    contract = CONTRACTS["raw.bars"]
    frame = pd.DataFrame({name: [None, None] for name in contract.names}).assign(
        ticker="A", session=pd.Timestamp("2024-01-02"), occurrence=0, fetch_id=["x", "y"], basis="as_traded",
        known_at=pd.to_datetime(["2024-02-01", "2024-03-01"]), close=[1.0, 2.0], is_final=True, withdrawn=False,
    )  # fmt: skip
    assert content_hash(frame.iloc[::-1], contract) == content_hash(frame, contract)
    later = frame.assign(known_at=frame["known_at"] + pd.Timedelta(days=30), fetch_id="z")
    assert content_hash(later, contract) == content_hash(frame, contract)
    assert content_hash(frame.assign(close=[2.0, 1.0]), contract) != content_hash(frame, contract)


def test_an_empty_table_has_a_hash() -> None:
    assert len(hashed(facts().iloc[:0])) == 32


def test_code_version_is_a_short_hash_that_stays() -> None:
    assert code_version() == code_version()
    assert len(code_version()) == 12
