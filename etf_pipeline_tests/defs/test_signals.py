"""What the signal assets say about the funds they have no value for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import to_long
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.defs.signals.assets import momentum, volume
from etf_pipeline.settings import Windows
from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline_tests.core.random_market import random_market

PIPELINE = SimpleNamespace(settings=SimpleNamespace(windows=Windows(), benchmark_ticker="F00"))


def tables():
    """A market whose last two sessions have no bar, as market.sessions, market.bars and market.total_return."""
    m = random_market(3, sessions=620)
    m.accepted[-2:] = False
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    panels = {
        "open": m.close, "high": 1.01 * m.close, "low": 0.99 * m.close, "close": m.close, "volume": m.volume,
        "split": m.split, "distribution": m.distribution, "accepted": m.accepted, "scale": m.scale,
    }  # fmt: skip
    bars = to_long(m.sessions, m.tickers, m.accepted, **panels).assign(basis="as_traded")
    returns = to_long(
        m.sessions, m.tickers, m.accepted, total_return=p.total_return, sessions_spanned=p.sessions_spanned
    )
    return pd.DataFrame({"session": m.sessions.astype("datetime64[us]")}), bars, returns, m


def body(asset):
    return asset.op.compute_fn.decorated_fn


def test_the_tables_keep_their_contracts_and_end_with_the_fund():
    sessions, bars, returns, m = tables()
    outputs = {
        "signals.momentum": body(momentum)(returns, sessions, PIPELINE),
        "signals.volume": body(volume)(bars, returns, sessions, PIPELINE),
    }
    last_row = pd.Series(np.arange(620), index=pd.DatetimeIndex(m.sessions))
    last_bar = {t: int(np.flatnonzero(m.accepted[:, j])[-1]) for j, t in enumerate(m.tickers)}
    for table, output in outputs.items():
        frame = output.value
        assert tuple(frame.columns) == CONTRACTS[table].names
        assert not frame.duplicated(["ticker", "session"]).any()
        assert frame.drop(columns=["ticker", "session"]).notna().any(axis=1).all()
        assert frame.drop(columns=["ticker", "session"]).notna().any(axis=0).all()
        since = last_row[frame["session"]].to_numpy() - frame["ticker"].map(last_bar).to_numpy()
        assert since.max() == 5


def test_who_has_no_value_is_counted_on_the_newest_session_with_bars():
    sessions, _, returns, m = tables()
    told = body(momentum)(returns, sessions, PIPELINE).metadata["without_value"].value.splitlines()
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:5]] for line in told[2:]}
    missing, funds, why = rows["residual_momentum"]
    assert int(funds) == m.accepted[-3].sum()
    counts = dict(part.rsplit(" ", 1) for part in why.split(", "))
    assert int(missing) == sum(map(int, counts.values()))
    assert counts["no_movement"] == "1"  # the market fund beside itself
