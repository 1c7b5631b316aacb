"""A plausible small market for the quality tests, and the tests that it is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from etf_pipeline.core.market.panel import BarPanel
from etf_pipeline.core.market.quality import EVENT_COLUMNS, QualityResult, assess

FUNDS = 14
NO_BARS = pd.DataFrame(
    {
        "ticker": pd.Series(dtype="str"),
        "session": pd.Series(dtype="datetime64[ns]"),
        "close": pd.Series(dtype=float),
        "volume": pd.Series(dtype=float),
    }
)


def market(sessions: int = 520, funds: int = FUNDS, seed: int = 0, start: str = "2017-01-02") -> BarPanel:
    """Funds that follow one factor, with fat tails, their own volatilities and volumes, and no defect."""
    rng = np.random.default_rng(seed)
    days = np.arange(np.datetime64(start, "D"), np.datetime64("2100-01-01", "D"))
    days = days[np.is_busday(days)][:sessions]
    factor = 0.007 * rng.standard_t(5, sessions) / np.sqrt(5 / 3)
    beta = rng.uniform(0.2, 1.5, funds)
    own = rng.uniform(0.002, 0.010, funds)
    move = factor[:, None] * beta + own * rng.standard_t(6, (sessions, funds)) / np.sqrt(1.5)
    close = rng.uniform(5, 60, funds) * np.exp(np.cumsum(move, axis=0))
    open_ = close * np.exp(-0.5 * move + 0.001 * rng.standard_normal((sessions, funds)))
    wiggle = np.abs(0.003 * rng.standard_normal((2, sessions, funds)))
    volume = np.round(rng.uniform(5e3, 5e4, funds) * np.exp(0.5 * rng.standard_normal((sessions, funds))))
    shape = (sessions, funds)
    return BarPanel(
        sessions=days,
        tickers=np.array([f"F{i:02d}.AX" for i in range(funds)]),
        open=open_,
        high=np.maximum(open_, close) * (1 + wiggle[0]),
        low=np.minimum(open_, close) * (1 - wiggle[1]),
        close=close,
        volume=volume,
        adj_close=np.full(shape, np.nan),
        split=np.ones(shape),
        distribution=np.zeros(shape),
        is_final=np.ones(shape, dtype=bool),
    )


def copy(panel: BarPanel) -> BarPanel:
    """A panel whose arrays can be written to."""
    return replace(panel, **{name: value.copy() for name, value in vars(panel).items()})


def scaled(panel: BarPanel, rows: slice | np.ndarray, fund: int, factor: float) -> BarPanel:
    """The prices of one fund multiplied on some rows."""
    out = copy(panel)
    for name in ("open", "high", "low", "close"):
        getattr(out, name)[rows, fund] *= factor
    return out


def without(panel: BarPanel, rows: slice | np.ndarray, fund: int) -> BarPanel:
    """One fund without bars on some rows."""
    out = copy(panel)
    for name in ("open", "high", "low", "close", "volume"):
        getattr(out, name)[rows, fund] = np.nan
    return out


def untraded(panel: BarPanel, rows: slice, fund: int, *, flat: bool) -> BarPanel:
    """One fund without volume on some rows; ``flat`` carries the close before them."""
    out = copy(panel)
    out.volume[rows, fund] = 0.0
    value = out.close[rows.start - 1, fund] if flat else out.close[rows, fund]
    for name in ("open", "high", "low", "close"):
        getattr(out, name)[rows, fund] = value
    return out


def cut(panel: BarPanel, rows: int) -> BarPanel:
    """The panel as it was after ``rows`` sessions."""
    names = [n for n in vars(panel) if n != "tickers"]
    return replace(panel, **{name: getattr(panel, name)[:rows].copy() for name in names})


def judge(panel: BarPanel, off_session: pd.DataFrame = NO_BARS, **options: object) -> QualityResult:
    return assess(panel, off_session, **options)  # type: ignore[arg-type]


def events_of(result: QualityResult, fund: int | str, rule: str | None = None) -> pd.DataFrame:
    """Events of one fund (its column number) or ticker, of one rule."""
    ticker = f"F{fund:02d}.AX" if isinstance(fund, int) else fund
    events = result.events[result.events.ticker == ticker]
    return events if rule is None else events[events.rule == rule]


def returns_of(panel: BarPanel, result: QualityResult, fund: int) -> np.ndarray:
    """Log returns between accepted closes after the repairs; NaN where unknown."""
    rows = np.flatnonzero(result.accepted[:, fund])
    close, scale = panel.close[rows, fund], result.scale[rows, fund]
    return np.log(close[1:] / scale[1:] / close[:-1])


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_market_raises_no_alarm(seed: int) -> None:
    panel = market(700, 20, seed)
    result = judge(panel)
    alarms = result.events[result.events.severity != "info"]
    assert len(alarms) <= 2  # fat tails: a handful in 14,000 bars, never an error
    assert not (alarms.severity == "error").any()
    assert result.accepted.mean() > 0.9995
    assert result.doubt.mean() < 0.0005


def test_arrays_are_consistent() -> None:
    panel = without(market(), slice(100, 110), 3)
    result = judge(panel)
    for name in ("accepted", "traded", "doubt"):
        assert getattr(result, name).dtype == bool
    assert not (result.accepted & np.isnan(panel.close)).any()
    assert not (result.traded & ~result.accepted).any()
    np.testing.assert_array_equal(np.isnan(result.close), ~result.accepted)
    np.testing.assert_array_equal(result.close[result.accepted], panel.close[result.accepted])
    assert np.isnan(result.scale[~result.accepted]).all()
    assert list(result.events.columns) == EVENT_COLUMNS


def test_events_are_sorted_unique_and_typed() -> None:
    panel = scaled(scaled(market(), slice(300, None), 2, 10.0), slice(200, 201), 4, 1.4)
    events = judge(panel).events
    key = ["detected_on", "ticker", "session_start", "rule", "session_end"]
    assert not events.duplicated(key).any()
    pd.testing.assert_frame_equal(events, events.sort_values(key, kind="stable").reset_index(drop=True))
    assert (events.session_start <= events.session_end).all()
    assert (events.session_end <= events.detected_on).all()
    assert set(events.severity) <= {"info", "warning", "error"}
    assert events.evidence.str.len().gt(10).all()
    assert not events.evidence.str.contains("nan|inf").any()


def test_the_input_is_not_written_to() -> None:
    panel = scaled(market(), slice(300, None), 2, 10.0)
    panel.open[50, 1] = 0.0
    before = copy(panel)
    judge(panel)
    for name, value in vars(before).items():
        np.testing.assert_array_equal(getattr(panel, name), value)


def test_an_empty_market_and_a_single_bar_pass() -> None:
    assert len(judge(cut(market(), 0)).events) == 0
    assert judge(cut(market(), 1)).accepted.all()
    with pytest.raises(ValueError, match="basis"):
        judge(market(50), basis="adjusted")
    with pytest.raises(ValueError, match="coverage_end"):
        judge(market(50), coverage_end=np.array(["2017-03-01"], dtype="datetime64[D]"))
