"""The raw tier as wide panels: what research starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.market.long import from_long_column, from_long_columns
from etf_pipeline.core.market.panel import BarPanel, from_long
from etf_pipeline.core.market.quality import find_duplicates
from etf_pipeline.storage.connection import Warehouse
from etf_pipeline.storage.tables import from_arrow


class BenchmarkMissingError(LookupError):
    """The market fund of the settings has no accepted bar."""


class NoBarsError(ValueError):
    """The raw tier holds no bars to work on."""


@dataclass(frozen=True)
class RawMarket:
    """Everything the market stage reads, as known now.

    Attributes
    ----------
    panel : bars and actions on the exchange's sessions, first to last bar held.
    off_session : bars on days that are no session.
    duplicates : quality events of sessions the vendor gave more than once.
    listings : newest facts per ticker.
    coverage_end : (N,) datetime64[D], last session the vendor was asked about; NaT where it did not say.
    bars_per_session : (S,) int64, raw bars held.
    basis : what the prices are; has_actions : whether the source supplies distributions.
    """

    panel: BarPanel
    off_session: pd.DataFrame
    duplicates: pd.DataFrame
    listings: pd.DataFrame
    coverage_end: np.ndarray
    bars_per_session: np.ndarray
    basis: str
    has_actions: bool


def read_raw_market(warehouse: Warehouse, market: str) -> RawMarket:
    """Read the newest version of every bar, action, listing and coverage of the raw tier.

    Raises
    ------
    NoBarsError : the raw tier is empty, or none of its bars falls on a session.
    """
    with warehouse.read() as connection:
        bars = from_arrow(
            connection.execute(
                "SELECT ticker, session, open, high, low, close, adj_close, volume, is_final, basis "
                "FROM raw.bars_latest ORDER BY ticker, session, occurrence"
            ).to_arrow_table()
        )
        actions = from_arrow(
            connection.execute(
                "SELECT ticker, ex_date, kind, value FROM raw.actions_as_of(TIMESTAMP '9999-12-31') "
                "ORDER BY ticker, ex_date, kind"
            ).to_arrow_table()
        )
        # A source without actions says so itself; the rows at hand must not decide it, or a fund's first
        # distribution would change its earlier returns.
        has_actions = connection.execute(
            "SELECT coalesce(bool_or(has_distributions), true) FROM raw.fetches WHERE bars > 0"
        ).fetchone()
    listings, coverage_end = read_facts(warehouse)
    if bars.empty:
        raise NoBarsError(
            "the raw tier holds no bars: materialise price_history first, and look at raw.coverage"
        )
    bases = sorted(bars["basis"].unique())
    bars, duplicates = find_duplicates(bars.drop(columns="basis"))
    sessions = exchange_sessions(
        market,  # type: ignore[arg-type]
        np.datetime64(bars["session"].min(), "D"),
        np.datetime64(bars["session"].max(), "D"),
    )
    if not len(sessions):
        raise NoBarsError(
            f"no bar of the raw tier falls on a session of the exchange: is market = {market!r} what it holds?"
        )
    panel, off_session = from_long(bars, actions, sessions)
    days = np.asarray(bars["session"], dtype="datetime64[D]")
    row = np.searchsorted(sessions, days)
    on = sessions[np.minimum(row, len(sessions) - 1)] == days
    return RawMarket(
        panel=panel,
        off_session=off_session,
        duplicates=duplicates,
        listings=listings,
        coverage_end=coverage_end.reindex(panel.tickers).to_numpy(dtype="datetime64[D]"),
        bars_per_session=np.bincount(row[on], minlength=len(sessions)).astype(np.int64),
        basis=bases[0],
        has_actions=bool(has_actions and has_actions[0]),
    )


def read_facts(warehouse: Warehouse) -> tuple[pd.DataFrame, pd.Series]:
    """Newest listing facts per ticker, and the last session each ticker's vendor was asked about."""
    with warehouse.read() as connection:
        listings = from_arrow(
            connection.execute(
                "SELECT * EXCLUDE (known_at, fetch_id) FROM raw.listings_as_of(TIMESTAMP '9999-12-31') "
                "ORDER BY ticker"
            ).to_arrow_table()
        )
        covered = from_arrow(
            connection.execute(
                "SELECT ticker, max(requested_end) AS coverage_end FROM raw.coverage "
                "WHERE status IN ('ok', 'empty', 'no_such_symbol') GROUP BY ticker"
            ).to_arrow_table()
        )
    return listings, covered.set_index("ticker")["coverage_end"]


def panel_axes(sessions: pd.DataFrame, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(S,) sessions of the table market.sessions and the (N,) tickers of a long frame, sorted."""
    return (
        sessions["session"].to_numpy(dtype="datetime64[D]"),
        np.sort(frame["ticker"].unique().astype(object)).astype(str),
    )


@dataclass(frozen=True)
class ReturnPanel:
    """Total returns as the risk and signal stages read them.

    Attributes
    ----------
    sessions : (S,) datetime64[D]; tickers : (N,) str, sorted.
    total_return : (S, N) float64, NaN where unknown.
    spanned : (S, N) int64, sessions since the previous accepted bar; 0 without a bar.
    """

    sessions: np.ndarray
    tickers: np.ndarray
    total_return: np.ndarray
    spanned: np.ndarray


def return_panel(returns: pd.DataFrame, sessions: pd.DataFrame) -> ReturnPanel:
    """The tables market.total_return and market.sessions as a panel."""
    axis, tickers = panel_axes(sessions, returns)
    spanned = np.nan_to_num(from_long_column(returns, "sessions_spanned", axis, tickers), nan=0.0)
    return ReturnPanel(
        axis, tickers, from_long_column(returns, "total_return", axis, tickers), spanned.astype(np.int64)
    )


def regime_probabilities(regime: pd.DataFrame, sessions: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(S, K) filtered probabilities of the table risk.regime, NaN on sessions without an estimate."""
    rows = regime.set_index("session")[[f"{name}_probability" for name in names]]
    days = pd.DatetimeIndex(np.asarray(sessions).astype("datetime64[s]"))
    return rows.reindex(days).to_numpy(dtype=float)


class PricePanels(TypedDict):
    """(S, N) prices and actions, named as the functions of the core take them."""

    open_: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    accepted: np.ndarray
    scale: np.ndarray
    split: np.ndarray
    distribution: np.ndarray


def price_panels(bars: pd.DataFrame, sessions: np.ndarray, tickers: np.ndarray) -> PricePanels:
    """Prices and actions of the table market.bars as panels; no split is 1, no distribution 0."""
    names = ("open", "high", "low", "close", "accepted", "scale", "split", "distribution")
    column = from_long_columns(bars, names, sessions, tickers)
    return {
        "open_": column["open"],
        "high": column["high"],
        "low": column["low"],
        "close": column["close"],
        "accepted": column["accepted"] == 1.0,
        "scale": column["scale"],
        "split": np.nan_to_num(column["split"], nan=1.0),
        "distribution": np.nan_to_num(column["distribution"], nan=0.0),
    }


def read_classes(warehouse: Warehouse, tickers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newest facts of each ticker: index of its asset class (-1 unknown), names of the classes, whether leveraged."""
    facts = read_facts(warehouse)[0].set_index("ticker").reindex(tickers)
    named = facts["asset_class"]
    names = np.array(sorted(named.dropna().unique()), dtype=object)
    index = pd.Index(names).get_indexer(named) if len(names) else np.full(len(tickers), -1)
    leveraged = (facts["is_leveraged"] == True).to_numpy(dtype=bool)  # noqa: E712 (None stays false)
    return index.astype(np.int64), names, leveraged | (named == "leveraged_inverse").to_numpy(dtype=bool)


def read_reference(warehouse: Warehouse) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Newest version of each reference series of the raw tier: days, ascending, and values."""
    with warehouse.read() as connection:
        rows = from_arrow(
            connection.execute(
                "SELECT series, session, value FROM raw.macro_as_of(TIMESTAMP '9999-12-31') ORDER BY series, session"
            ).to_arrow_table()
        )
    return {
        str(name): (one["session"].to_numpy(dtype="datetime64[D]"), one["value"].to_numpy(dtype=float))
        for name, one in rows.groupby("series", sort=True)
    }


def read_as_known(warehouse: Warehouse, fact: str, sessions: np.ndarray, tickers: np.ndarray) -> np.ndarray:
    """(S, N) float64: a numeric fact of raw.listings as it was known on each session, NaN before it was.

    For facts that follow success, as a fund's size does: today's value would tell the past who was going to win.
    """
    with warehouse.read() as connection:
        rows = connection.execute(
            f"SELECT ticker, known_at::DATE, {fact} FROM raw.listings WHERE NOT withdrawn ORDER BY known_at"  # noqa: S608
        ).fetchall()
    out = np.full((len(sessions), len(tickers)), np.nan)
    columns = {ticker: column for column, ticker in enumerate(tickers)}
    days = np.asarray(sessions, dtype="datetime64[D]")
    for ticker, known, value in rows:
        if ticker in columns:
            begin = int(np.searchsorted(days, np.datetime64(known, "D")))
            out[begin:, columns[ticker]] = np.nan if value is None else value
    return out


def column_of(tickers: np.ndarray, ticker: str) -> int:
    """Where ``ticker`` stands among sorted ``tickers``.

    Raises
    ------
    BenchmarkMissingError : the fund has no bars; the message says what to set.
    """
    at = int(np.searchsorted(tickers, ticker))
    if at >= len(tickers) or tickers[at] != ticker:
        near = ", ".join(tickers[max(0, at - 2) : at + 2])
        raise BenchmarkMissingError(
            f"benchmark {ticker} has no accepted bar: set benchmark (--benchmark, ETF_BENCHMARK) to a "
            f"broad market fund that has; tickers near it are {near}"
        )
    return at
