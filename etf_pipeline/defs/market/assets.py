"""From raw bars to judged bars, total returns and the universe of each session."""

from collections.abc import Iterator

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import session_close_utc
from etf_pipeline.core.market.long import from_long_column, to_long
from etf_pipeline.core.market.quality import EVENT_COLUMNS, assess
from etf_pipeline.core.market.returns import total_return as compute_total_return
from etf_pipeline.core.market.universe import REASONS, UniverseRules
from etf_pipeline.core.market.universe import universe as compute_universe
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_asset, table_out
from etf_pipeline.plots import bars as bar_plot
from etf_pipeline.plots import lines
from etf_pipeline.storage.panels import panel_axes, read_facts, read_raw_market

OWNER = "team:data"
RAW = [
    dg.AssetKey(["raw", "price_history"]),
    dg.AssetKey(["raw", "raw_prices"]),
    dg.AssetKey(["raw", "listings"]),
]


@dg.multi_asset(
    outs={
        "sessions": table_out(
            "market.sessions", "The exchange's sessions from the first bar held to the last.", OWNER
        ),
        "quality_events": table_out(
            "market.quality_events",
            "Every bar dropped, repaired or doubted, with rule, evidence and action.",
            OWNER,
        ),
        "bars": table_out(
            "market.bars",
            "Bars as judged at the close of their own session: accepted, repaired or refused.",
            OWNER,
        ),
    },
    deps=RAW,
    name="assessed_market",
    pool="warehouse",
)
def assessed_market(pipeline: PipelineResource) -> Iterator[dg.Output[pd.DataFrame]]:
    """Judge every raw bar once, with what was known at its session's close."""
    raw = read_raw_market(pipeline.warehouse, pipeline.settings.market)
    panel = raw.panel
    result = assess(
        panel,
        raw.off_session,
        ticker_suffix=pipeline.source.ticker_suffix,
        listings=raw.listings,
        basis=raw.basis,
        coverage_end=raw.coverage_end,
    )
    events = pd.concat([raw.duplicates, result.events], ignore_index=True)[EVENT_COLUMNS]
    sessions = pd.DataFrame(
        {
            "session": panel.sessions.astype("datetime64[s]"),
            "closes_at": session_close_utc(pipeline.settings.market, panel.sessions).astype("datetime64[us]"),
            "bars": raw.bars_per_session,
        }
    )
    judged = to_long(
        panel.sessions,
        panel.tickers,
        np.isfinite(panel.close) | result.doubt,
        open=result.open,
        high=result.high,
        low=result.low,
        close=result.close,
        adj_close=np.where(result.accepted, panel.adj_close, np.nan),
        volume=result.volume,
        split=panel.split,
        distribution=panel.distribution,
        accepted=result.accepted,
        traded=result.traded,
        scale=result.scale,
        doubt=result.doubt,
    ).assign(basis=raw.basis, has_actions=raw.has_actions)
    counts = events.groupby("rule").size()
    yield dg.Output(sessions, "sessions")
    yield dg.Output(
        events,
        "quality_events",
        metadata={
            "events_by_rule": dg.MetadataValue.md(
                bar_plot(counts, "Quality events by rule", "events") if len(counts) else "none"
            ),
            "funds_in_doubt_now": int(result.doubt[-1].sum()),
        },
    )
    refused = np.isfinite(panel.close) & ~result.accepted
    yield dg.Output(judged, "bars", metadata={"refused_bars": int(refused.sum())})


@table_asset("market.total_return", reads={"bars": "market.bars", "sessions": "market.sessions"}, owner=OWNER)
def total_return(bars: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Total return from the previous accepted bar: price, splits and distributions, over holes too."""
    axis, tickers = panel_axes(sessions, bars)
    column = {
        c: from_long_column(bars, c, axis, tickers)
        for c in ("close", "adj_close", "accepted", "scale", "split", "distribution")
    }
    accepted = column["accepted"] == 1.0
    first = bars.iloc[0]
    returns = compute_total_return(
        column["close"],
        accepted,
        column["scale"],
        np.nan_to_num(column["split"], nan=1.0),
        np.nan_to_num(column["distribution"], nan=0.0),
        basis=first["basis"],
        # Whether the vendor gives an adjusted close at all is a property of the source, not of a fund or day.
        adj_close=column["adj_close"] if np.isfinite(column["adj_close"]).any() else None,
        has_actions=bool(first["has_actions"]),
    )
    return to_long(
        axis, tickers, accepted, total_return=returns.total_return, sessions_spanned=returns.sessions_spanned
    ).assign(return_basis=returns.return_basis)


@table_asset(
    "market.universe",
    reads={"bars": "market.bars", "sessions": "market.sessions"},
    after=["raw.listings"],
    owner=OWNER,
)
def universe(
    bars: pd.DataFrame, sessions: pd.DataFrame, pipeline: PipelineResource
) -> dg.Output[pd.DataFrame]:
    """Who could be ranked at each close, and why the others could not; the dead stay for ever."""
    listings, coverage_end = read_facts(pipeline.warehouse)
    axis, tickers = panel_axes(sessions, bars)
    facts = listings.set_index("ticker").reindex(tickers)
    column = {c: from_long_column(bars, c, axis, tickers) for c in ("close", "volume", "accepted", "doubt")}
    panel = compute_universe(
        axis,
        column["close"],
        column["volume"],
        column["accepted"] == 1.0,
        column["doubt"] == 1.0,
        listed_on=facts["listed_on"].to_numpy(dtype="datetime64[D]"),
        delisted_on=facts["delisted_on"].to_numpy(dtype="datetime64[D]"),
        coverage_end=coverage_end.reindex(tickers).to_numpy(dtype="datetime64[D]"),
        is_leveraged=(facts["is_leveraged"] == True).to_numpy(dtype=bool),  # noqa: E712 (None stays false)
        is_foreign=~np.char.endswith(tickers, pipeline.source.ticker_suffix),
        rules=UniverseRules(**pipeline.settings.universe.model_dump()),
    )
    seen = np.maximum.accumulate(np.isfinite(from_long_column(bars, "split", axis, tickers)), axis=0)
    reason = np.array([None, *REASONS[1:]], dtype=object)[panel.reason]
    frame = to_long(
        axis,
        tickers,
        seen,
        is_member=panel.member,
        exclusion_reason=reason,
        observed_sessions=panel.observed_sessions,
        stale_sessions=panel.stale_sessions,
        median_traded_value=panel.median_traded_value,
    )
    days = pd.DatetimeIndex(axis)
    plot = lines(
        {
            "members": pd.Series(panel.member.sum(axis=1), days),
            "seen so far": pd.Series(seen.sum(axis=1), days),
        },
        "Funds that could be ranked",
        "funds",
    )
    return dg.Output(
        frame,
        metadata={"members_over_time": dg.MetadataValue.md(plot), "members_now": int(panel.member[-1].sum())},
    )
