"""Put the parts together: economy, funds, lives, prices, trades, vendor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from etf_pipeline.core.market.long import to_long
from etf_pipeline.core.market.simulation.catalogue import Fund, catalogue
from etf_pipeline.core.market.simulation.defects import VendorRecord, inject
from etf_pipeline.core.market.simulation.factors import FACTORS, INDEX, Economy, simulate_economy
from etf_pipeline.core.market.simulation.fund_returns import simulate_fund_returns
from etf_pipeline.core.market.simulation.life import Lives, simulate_lives
from etf_pipeline.core.market.simulation.model import (
    ACTION_COLUMNS,
    BAR_COLUMNS,
    LISTING_COLUMNS,
    REFERENCE_COLUMNS,
    TRADING_DAYS,
    SimulatedMarket,
    SimulationConfig,
    SimulationTruth,
)
from etf_pipeline.core.market.simulation.prices import simulate_prices
from etf_pipeline.core.market.simulation.trading import trade


def simulate(config: SimulationConfig) -> SimulatedMarket:
    """The market of a configuration, with the truth beside it.

    Deterministic in ``config``. A later last session or more funds change no bar, action, defect or true
    value that was there before (except a last session cut short by ``last_session_progress``).
    """
    sessions, seed, market = config.sessions, config.seed, config.market
    funds = catalogue(seed, config.n_funds, market)
    economy = simulate_economy(seed, sessions, market)
    returns = simulate_fund_returns(seed, funds, economy)
    lives = simulate_lives(seed, funds, returns)
    prices = simulate_prices(seed, sessions, funds, returns, lives, economy.cash_rate)
    bars = trade(seed, funds, returns, lives, prices, market, config.last_session_progress)
    record, defects = inject(seed, sessions, funds, prices, bars, market)
    quoted = np.isfinite(prices.price)
    listed = quoted & (np.arange(len(sessions))[:, None] >= np.array([f.listing for f in funds]))
    truth = SimulationTruth(
        sessions=sessions,
        tickers=np.array([f.ticker for f in funds]),
        asset_class=np.array([f.asset_class for f in funds]),
        factors=FACTORS,
        regime=economy.regime,
        factor_return=economy.factor_return,
        factor_volatility=economy.factor_volatility * np.sqrt(TRADING_DAYS),
        factor_lag=economy.factor_lag,
        factor_loading=np.array([f.loadings for f in funds]),
        idiosyncratic_return=np.where(listed, returns.idiosyncratic_return, np.nan),
        expected_return=np.where(listed, returns.expected_return, np.nan),
        alpha_annualised=np.where(listed, returns.alpha_annualised, np.nan),
        total_return=prices.total_return,
        conditional_volatility_annualised=np.where(
            listed, returns.daily_volatility * np.sqrt(TRADING_DAYS), np.nan
        ),
        market_beta=returns.market_beta,
        conditional_market_beta=np.where(listed, returns.conditional_market_beta, np.nan),
        efficient_price=prices.price,
        clean_close=bars.clean_close,
        traded=bars.traded,
        reported=np.isfinite(bars.close),
        half_spread=np.array([f.half_spread for f in funds]),
        assets_under_management=np.where(listed, lives.assets, np.nan),
        split=prices.split,
        distribution=prices.distribution,
        defects=defects,
        deaths=_deaths(sessions, funds, lives),
    )
    return SimulatedMarket(
        config=config,
        bars=_bars(config, funds, record),
        actions=_actions(sessions, funds, record),
        listings=_listings(config, funds, lives),
        reference=_reference(sessions, economy),
        truth=truth,
    )


def _days(days: Sequence[np.datetime64] | np.ndarray) -> np.ndarray:
    return np.asarray(days, dtype="datetime64[us]")


def _strings(values: Sequence[str | None]) -> pd.Series:
    return pd.Series(list(values), dtype="str")


def _bars(config: SimulationConfig, funds: Sequence[Fund], record: VendorRecord) -> pd.DataFrame:
    """BAR_COLUMNS sorted by ticker and session, bars on closed days included."""
    panel, sessions = record.bars, config.sessions
    final = np.ones((len(sessions), 1), dtype=bool)
    final[-1] = config.last_session_progress >= 1.0
    order = np.argsort(np.array([f.ticker for f in funds]), kind="stable")
    frame = to_long(
        sessions,
        np.array([funds[i].ticker for i in order]),
        np.isfinite(panel.close[:, order]),
        open=panel.open[:, order],
        high=panel.high[:, order],
        low=panel.low[:, order],
        close=panel.close[:, order],
        adj_close=np.full((1, 1), np.nan),
        volume=panel.volume[:, order],
        is_final=final,
    )
    if record.closed_day_bars:
        extra = pd.DataFrame(
            {
                "ticker": _strings([funds[i].ticker for i, _, _ in record.closed_day_bars]),
                "session": _days([day for _, day, _ in record.closed_day_bars]),
                **{
                    name: [price for _, _, price in record.closed_day_bars]
                    for name in ("open", "high", "low", "close")
                },
                "adj_close": np.nan,
                "volume": 0.0,
                "is_final": True,
            }
        )
        frame = pd.concat([frame, extra], ignore_index=True).sort_values(
            ["ticker", "session"], kind="stable", ignore_index=True
        )
    return frame[BAR_COLUMNS]


def _actions(sessions: np.ndarray, funds: Sequence[Fund], record: VendorRecord) -> pd.DataFrame:
    """ACTION_COLUMNS sorted by ticker, ex-date and kind."""
    tickers = _strings([f.ticker for f in funds])
    parts = []
    for kind, panel, none in (("dividend", record.distribution, 0.0), ("split", record.split, 1.0)):
        column, row = np.nonzero((panel != none).T)
        parts.append(
            pd.DataFrame(
                {
                    "ticker": tickers.take(column).reset_index(drop=True),
                    "ex_date": _days(sessions[row]),
                    "kind": pd.Series(kind, index=range(len(row)), dtype="str"),
                    "value": panel[row, column],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["ticker", "ex_date", "kind"], kind="stable", ignore_index=True)[ACTION_COLUMNS]


def _listings(config: SimulationConfig, funds: Sequence[Fund], lives: Lives) -> pd.DataFrame:
    """LISTING_COLUMNS of the funds with a bar by the last session, sorted by ticker."""
    sessions = config.sessions
    known = sorted(
        (i for i, f in enumerate(funds) if f.inception < len(sessions)), key=lambda i: funds[i].ticker
    )
    chosen = [funds[i] for i in known]
    unknown = np.datetime64("NaT", "us")
    frame = pd.DataFrame(
        {
            "ticker": _strings([f.ticker for f in chosen]),
            "name": _strings([f.name for f in chosen]),
            "asset_class": _strings([f.asset_class for f in chosen]),
            "currency": _strings(["AUD" if config.market == "asx" else "USD"] * len(chosen)),
            "listed_on": _days(
                [
                    sessions[f.listing] if f.listing_known and f.listing < len(sessions) else unknown
                    for f in chosen
                ]
            ),
            "delisted_on": _days(
                [
                    sessions[lives.last[i]]
                    if funds[i].delisting_known and lives.last[i] < len(sessions)
                    else unknown
                    for i in known
                ]
            ),
            "is_leveraged": np.array([f.is_leveraged for f in chosen], dtype=object),
            "expense_ratio": [f.fee if f.fee_known else np.nan for f in chosen],
            "fund_size": np.nan,
            "former_ticker_of": _strings([None] * len(chosen)),
        }
    )
    return frame[LISTING_COLUMNS]


def _reference(sessions: np.ndarray, economy: Economy) -> pd.DataFrame:
    """REFERENCE_COLUMNS, series in alphabetical order."""
    series = {
        "au_10y_yield": (economy.home_yield, "percent", 3),
        "audusd": (economy.exchange_rate, "USD per AUD", 4),
        "cash_rate": (economy.cash_rate, "percent", 2),
        "us_10y_yield": (economy.overseas_yield, "percent", 3),
        "us_high_yield_spread": (_credit_spread(economy.factor_return[:, INDEX["credit"]]), "percent", 2),
        "vix": (economy.implied_volatility, "index points", 2),
        "wti_oil": (_oil_price(economy.factor_return[:, INDEX["energy"]]), "USD per barrel", 2),
    }
    frames = [
        pd.DataFrame(
            {
                "series": pd.Series(name, index=range(len(sessions)), dtype="str"),
                "session": _days(sessions),
                "value": np.round(values, digits),
                "unit": pd.Series(unit, index=range(len(sessions)), dtype="str"),
            }
        )
        for name, (values, unit, digits) in series.items()
    ]
    return pd.concat(frames, ignore_index=True)[REFERENCE_COLUMNS]


def _credit_spread(credit_return: np.ndarray) -> np.ndarray:
    """(S,) percent: what bonds of a duration of four years must have widened by, pulled to its mean over a year."""
    spread = np.empty(len(credit_return))
    now = 4.0
    for t, change in enumerate(credit_return):
        now = max(1.5, now + (4.0 - now) / 252.0 - 100.0 * change / 4.0)
        spread[t] = now
    return spread


def _oil_price(energy_return: np.ndarray) -> np.ndarray:
    """(S,) USD: moves with the energy factor, pulled to its mean over two years."""
    price = np.empty(len(energy_return))
    now = 70.0
    for t, change in enumerate(energy_return):
        now *= (1.0 + change) * (70.0 / now) ** (1.0 / 504.0)
        price[t] = now
    return price


def _deaths(sessions: np.ndarray, funds: Sequence[Fund], lives: Lives) -> pd.DataFrame:
    """ticker, last_session, cause of the funds whose last session lies in the past, sorted by ticker."""
    dead = [i for i in range(len(funds)) if lives.last[i] < len(sessions)]
    dead.sort(key=lambda i: funds[i].ticker)
    return pd.DataFrame(
        {
            "ticker": _strings([funds[i].ticker for i in dead]),
            "last_session": _days([sessions[lives.last[i]] for i in dead]),
            "cause": _strings([str(lives.cause[i]) for i in dead]),
        }
    )
