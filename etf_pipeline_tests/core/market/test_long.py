"""Panels to rows and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.core.market.long import from_long_column, from_long_columns, to_long

SESSIONS = np.array(["2024-01-02", "2024-01-03", "2024-01-04"], dtype="datetime64[D]")
TICKERS = np.array(["B", "A"])


def test_rows_are_ordered_by_ticker_as_given_then_session():
    values = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    where = np.array([[True, True], [False, True], [True, True]])
    frame = to_long(
        SESSIONS,
        TICKERS,
        where,
        value=values,
        code=np.full((3, 2), 7, np.int8),
        per_session=np.array([[10], [20], [30]]),
        per_ticker=np.array(["x", "y"], dtype=object),
    )
    expected = pd.DataFrame(
        {
            "ticker": ["B", "B", "A", "A", "A"],
            "session": SESSIONS.astype("datetime64[us]")[[0, 2, 0, 1, 2]],
            "value": [1.0, 5.0, 2.0, np.nan, 6.0],
            "code": np.full(5, 7, np.int8),
            "per_session": [10, 30, 10, 20, 30],
            "per_ticker": ["x", "x", "y", "y", "y"],
        }
    )
    pd.testing.assert_frame_equal(frame, expected)


def test_no_rows_keep_their_types():
    frame = to_long(SESSIONS, TICKERS, np.zeros((3, 2), bool), value=np.zeros((3, 2)))
    assert len(frame) == 0
    assert frame.dtypes.astype(str).to_dict() == {
        "ticker": "str",
        "session": "datetime64[us]",
        "value": "float64",
    }


def test_a_column_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"column value of shape \(2, 2\) does not fit \(3, 2\)"):
        to_long(SESSIONS, TICKERS, np.ones((3, 2), bool), value=np.zeros((2, 2)))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000))
def test_there_and_back(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rng.integers(0, 8), rng.integers(0, 5)))
    where = rng.random(values.shape) < 0.6
    sessions = np.datetime64("2024-01-01") + np.arange(values.shape[0])
    tickers = np.array([f"T{j}" for j in range(values.shape[1])], dtype=str)
    frame = to_long(sessions, tickers, where, value=values).sample(frac=1, random_state=seed)
    back = from_long_column(frame, "value", sessions, tickers)
    np.testing.assert_array_equal(back, np.where(where, values, np.nan))


def test_many_columns_come_back_as_each_by_itself():
    values = np.arange(12.0).reshape(2, 3, 2)
    frame = to_long(SESSIONS, TICKERS, np.ones((3, 2), bool), one=values[0], two=values[1])
    both = from_long_columns(frame, ("one", "two"), SESSIONS, TICKERS)
    assert list(both) == ["one", "two"]
    np.testing.assert_array_equal(both["one"], values[0])
    np.testing.assert_array_equal(both["two"], values[1])


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 1, 1]])
def test_sessions_out_of_order_are_refused(order):
    frame = to_long(SESSIONS, TICKERS, np.ones((3, 2), bool), value=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="must increase"):
        from_long_column(frame, "value", SESSIONS[order], TICKERS)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_any_datetime_unit_comes_back(unit):
    frame = to_long(SESSIONS, TICKERS, np.ones((3, 2), bool), value=np.arange(6).reshape(3, 2))
    frame["session"] = frame["session"].astype(f"datetime64[{unit}]")
    back = from_long_column(frame, "value", SESSIONS, TICKERS)
    np.testing.assert_array_equal(back, np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize(
    "change",
    [
        {"ticker": "Z"},
        {"ticker": None},
        {"session": pd.Timestamp("2024-02-01")},
        {"session": pd.Timestamp("2023-12-31")},
        {"session": pd.NaT},
    ],
)
def test_rows_outside_the_panel_are_refused(change):
    frame = to_long(SESSIONS, TICKERS, np.ones((3, 2), bool), value=np.zeros((3, 2)))
    for name, value in change.items():
        frame.loc[4, name] = value
    with pytest.raises(ValueError, match="1 rows lie outside the panel"):
        from_long_column(frame, "value", SESSIONS, TICKERS)
