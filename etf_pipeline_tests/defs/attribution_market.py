"""A small made-up market with accounts, models and stress factors, for the tests of the attribution assets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from etf_pipeline.core.attribution.alignment import AlignedFactors
from etf_pipeline.core.attribution.explained import Explained, explained, over_spans
from etf_pipeline.core.attribution.factor_models import FactorModel
from etf_pipeline.core.attribution.rolling_exposure import RollingExposure
from etf_pipeline.core.market.returns import total_return
from etf_pipeline.core.portfolio.costs import TradingCosts
from etf_pipeline.core.validation.backtest import (
    Account,
    AccountRules,
    TradingMarket,
    backtest,
    orders,
    trading_market,
)
from etf_pipeline.storage.panels import ReturnPanel
from etf_pipeline_tests.core.random_market import RandomMarket, random_market

MODEL = FactorModel(
    "house", "house", "daily", ("house",), ("market", "oil"), "local", {"asx": 1, "us": 0}, {"asx": 1, "us": 1}, "x"
)  # fmt: skip
SESSIONS = 900
GONE = 640
"""Row from which the second fund is known to be gone."""


@dataclass(frozen=True)
class Small:
    """A market, what trades on it, its returns and its factors (S, 2)."""

    traded: TradingMarket
    panel: ReturnPanel
    factors: np.ndarray
    covered: np.ndarray

    def cut(self, rows: int, columns: np.ndarray) -> Small:
        """Nothing after the first ``rows`` sessions has happened, and only these funds are listed."""
        m = self.traded
        events = m.event_start[: rows + 1]
        kept = np.isin(m.event_fund[: events[-1]], columns)
        place = np.searchsorted(columns, m.event_fund[: events[-1]][kept])
        start = np.array([int(kept[:stop].sum()) for stop in events], dtype=np.int64)
        traded = replace(
            m,
            sessions=m.sessions[:rows],
            tickers=m.tickers[columns],
            mark=np.ascontiguousarray(m.mark[:rows, columns]),
            fill=np.ascontiguousarray(m.fill[:rows, columns]),
            event_start=start,
            event_fund=place.astype(np.int64),
            event_units=m.event_units[: events[-1]][kept],
            event_cash=m.event_cash[: events[-1]][kept],
            event_gone=m.event_gone[: events[-1]][kept],
            costs=TradingCosts(
                np.ascontiguousarray(m.costs.half_spread[:rows, columns]),
                np.ascontiguousarray(m.costs.impact[:rows, columns]),
            ),
            deposit=m.deposit[:rows],
            loan=m.loan[:rows],
        )
        p = self.panel
        panel = ReturnPanel(
            p.sessions[:rows], p.tickers[columns], p.total_return[:rows, columns], p.spanned[:rows, columns]
        )
        return Small(traded, panel, self.factors[:rows], self.covered[:rows])


def small_world(seed: int = 3, trade_at: str = "close", funds: int = 12) -> Small:
    """Holes, late listings, splits, distributions, a delisting, spreads and impact, interest on cash."""
    m: RandomMarket = random_market(seed, sessions=SESSIONS, funds=funds)
    rng = np.random.default_rng(seed + 100)
    gone = np.zeros(m.close.shape, dtype=bool)
    m.accepted[GONE - 3 :, 1] = False
    gone[GONE:, 1] = True
    open_ = m.close * (1 + rng.normal(0, 0.004, m.close.shape))
    traded = trading_market(
        m.sessions, m.tickers, open_, m.close, m.accepted, m.scale, m.split, m.distribution, gone,
        TradingCosts(np.full(m.close.shape, 0.0008), np.full(m.close.shape, 2e-6)),
        basis="as_traded", trade_at=trade_at,
        deposit=np.full(SESSIONS, 1e-4), loan=np.full(SESSIONS, 2e-4),
    )  # fmt: skip
    p = total_return(m.close, m.accepted, m.scale, m.split, m.distribution, basis="as_traded")
    panel = ReturnPanel(m.sessions, m.tickers, p.total_return, p.sessions_spanned)
    market = np.where(p.sessions_spanned[:, 0] == 1, p.total_return[:, 0], np.nan) - 1e-4
    factors = np.column_stack([market, rng.normal(0, 0.02, SESSIONS)])
    factors[0] = np.nan
    return Small(traded, panel, factors, np.ones(SESSIONS, dtype=bool))


def account_of(small: Small, first: int = 300) -> Account:
    """Every 21 sessions half a dozen funds with a bar of late in unequal parts, F01 to its end; some cash is left."""
    mark = small.traded.mark
    rows = np.arange(first, len(mark), 21)
    targets = []
    for row in rows:
        known = np.flatnonzero(
            np.isfinite(mark[row]) & (small.panel.spanned[row - 10 : row + 1] > 0).any(axis=0)
        )
        # By ticker, not by place: a fund more must not change the choice.
        tickers = small.panel.tickers
        order = sorted(known, key=lambda j: (tickers[j] != "F01", hash_of(tickers[j], row)))[:6]
        chosen = np.sort(np.array(order))
        targets.append((chosen, np.linspace(1.0, 2.0, len(chosen)) / 10.0))
    return backtest(
        small.traded,
        orders(rows, targets, len(mark)),
        AccountRules(100_000.0, delisting_haircut=0.02),
        holdings_on=np.arange(len(mark)),
    )


def hash_of(ticker: str, row: int) -> int:
    """The same on every machine."""
    return (int(ticker[1:]) * 7919 + row * 104_729) % 1009


def house(
    small: Small, value: np.ndarray | None = None, return_sessions: int = 1
) -> tuple[Explained, RollingExposure]:
    """The model of two factors on the market, and its rolling exposures."""
    given = small.factors if value is None else value
    rate = np.full((len(given), 1), 1e-4)
    rate[0] = np.nan
    nothing = np.full(len(given), np.datetime64("NaT", "D"))
    single = AlignedFactors(
        over_spans(given, 5, np.array([True, True])),
        over_spans(rate, 5, np.array([True]))[..., 0],
        nothing,
        nothing,
        np.ones(len(given), dtype=np.int32),
        MODEL.factors,
    )
    one = explained(
        MODEL,
        np.arange(len(small.panel.tickers)),
        small.panel.total_return,
        small.panel.spanned,
        single.value[None],
        np.zeros(len(given), dtype=np.int64),
        np.full(len(given), np.datetime64("NaT", "us")),
        single,
        return_sessions=return_sessions,
        exchange_rate=None,
    )
    return one, one.rolling(252, 126)


def pipeline(**settings: object) -> SimpleNamespace:
    """What an asset asks of a pipeline that it does not ask of its warehouse."""
    attribution = SimpleNamespace(
        window=252, min_observations=126, stress_window=500, scenario_file=None, paths=200, seed=1
    )
    chosen = {"market": "asx", "benchmark_ticker": "F00", "attribution": attribution} | settings
    return SimpleNamespace(settings=SimpleNamespace(**chosen), source=SimpleNamespace(simulated=False))
