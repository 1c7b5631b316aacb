"""What the simulated market is asked (config) and what it answers (data and the truth beside it)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

VERSION = 1
"""Version of the generator. Raised by any change that changes a bar, so that records tell them apart."""

TRADING_DAYS = 252
"""Sessions a year for annualising."""

BENCHMARK = "MKT.SIM"
"""The broad, liquid home-equity fund: listed from the start, never dies, never defective."""

REGIMES = ("calm", "normal", "stress")

BAR_COLUMNS = ["ticker", "session", "open", "high", "low", "close", "adj_close", "volume", "is_final"]
ACTION_COLUMNS = ["ticker", "ex_date", "kind", "value"]
LISTING_COLUMNS = [
    "ticker",
    "name",
    "asset_class",
    "currency",
    "listed_on",
    "delisted_on",
    "is_leveraged",
    "expense_ratio",
    "fund_size",
    "former_ticker_of",
]
REFERENCE_COLUMNS = ["series", "session", "value", "unit"]
DEFECT_COLUMNS = ["ticker", "session_start", "session_end", "kind", "detail"]

DEFECT_KINDS = (
    "consolidation_unadjusted_history",
    "bad_scale_block",
    "bad_print",
    "holiday_bogus_bar",
    "open_zero",
    "prelisting_nav_history",
    "stale_run",
    "long_hole",
    "deferred_settlement_gap",
    "distribution_adjusted_on_wrong_date",
    "market_wide_hole",
)
"""Every kind of injected vendor defect. All but the last are one fund's own."""


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    Attributes
    ----------
    sessions : (S,) datetime64[D], strictly increasing. The first one is the origin of every stream: a later
        end extends the market, another start is another market.
    seed : any non-negative integer.
    n_funds : number of funds, the benchmark included; more funds leave the first ones as they are. Funds
        that list after the last session are not on offer yet.
    market : ``asx`` (AUD; United States assets react one session late) or ``us`` (USD; no lag).
    last_session_progress : share in (0, 1] of the last session's trading hours that is over. Below 1 the
        last session's bars are what had traded by then and are not final.

    Raises
    ------
    ValueError : for no session, unsorted sessions, no fund, a negative seed, an unknown market or a progress
        outside (0, 1].
    """

    sessions: np.ndarray
    seed: int = 7
    n_funds: int = 120
    market: Literal["asx", "us"] = "asx"
    last_session_progress: float = 1.0

    def __post_init__(self) -> None:
        sessions = np.asarray(self.sessions, dtype="datetime64[D]")
        object.__setattr__(self, "sessions", sessions)
        if sessions.ndim != 1 or not len(sessions) or np.isnat(sessions).any():
            raise ValueError("simulation: sessions must be a non-empty 1-d array of dates")
        if (np.diff(sessions).astype(int) <= 0).any():
            raise ValueError("simulation: sessions must be strictly increasing")
        if self.n_funds < 1:
            raise ValueError(f"simulation: n_funds must be at least 1, not {self.n_funds}")
        if self.seed < 0:
            raise ValueError(f"simulation: seed must not be negative, not {self.seed}")
        if self.market not in ("asx", "us"):
            raise ValueError(f"simulation: market must be asx or us, not {self.market!r}")
        if not 0.0 < self.last_session_progress <= 1.0:
            raise ValueError(
                f"simulation: last_session_progress must be in (0, 1], not {self.last_session_progress}"
            )


@dataclass(frozen=True)
class SimulationTruth:
    """What nobody sees in a real market. S sessions, N funds, K factors; returns are simple and daily.

    Cells outside a fund's life are NaN. Every array is prefix-stable as the bars are.

    Attributes
    ----------
    sessions : (S,) datetime64[D].
    tickers : (N,) in order of creation, including funds not listed by the last session.
    asset_class : (N,) str.
    factors : names of the K factors.
    regime : (S,) int8 index into REGIMES.
    factor_return : (S, K) excess return over cash of each factor on its own session date. United States
        factors (``factor_lag`` 1) are the session that ends after the home market's close of that date.
    factor_volatility : (S, K) annualised standard deviation of ``factor_return`` given the session's regime
        and everything before the session.
    factor_lag : (K,) sessions after which home funds react.
    factor_loading : (N, K) constant; ``rates`` is in years of duration.
    idiosyncratic_return : (S, N) the fund's own shock.
    expected_return : (S, N) what is known before the session apart from the factors: cash, carry, alpha,
        fees. ``total_return = expected_return + sum_k loading * lagged factor_return +
        idiosyncratic_return``, never below -0.95.
    alpha_annualised : (S, N) the part of ``expected_return`` that is skill or its opposite.
    total_return : (S, N) of the efficient price, from the fund's second listed session.
    conditional_volatility_annualised : (S, N) standard deviation of ``total_return`` given the regime and
        everything before the session, times sqrt(252).
    market_beta : (N,) long-run beta to the benchmark's market factor.
    conditional_market_beta : (S, N) the same given the session's variances.
    efficient_price : (S, N) price without spread, ticks or defects, as traded (after splits and ex-dates).
    clean_close : (S, N) last traded price before vendor defects, NaN where the fund did not trade.
    traded : (S, N) bool, at least one trade.
    reported : (S, N) bool, the vendor shows a bar on the session.
    half_spread : (N,) fraction of the price.
    assets_under_management : (S, N) quote currency.
    split, distribution : (S, N) as they happened, whatever the vendor says; 1 and 0 where none.
    defects : DEFECT_COLUMNS, one row a defect and fund. For the unadjusted consolidation the start is the
        last bar on the old scale and the end the first on the new; for a distribution on the wrong date the
        start is the true ex-date and the end the recorded one.
    deaths : ticker, last_session, cause (``too_small``, ``merged``).
    """

    sessions: np.ndarray
    tickers: np.ndarray
    asset_class: np.ndarray
    factors: tuple[str, ...]
    regime: np.ndarray
    factor_return: np.ndarray
    factor_volatility: np.ndarray
    factor_lag: np.ndarray
    factor_loading: np.ndarray
    idiosyncratic_return: np.ndarray
    expected_return: np.ndarray
    alpha_annualised: np.ndarray
    total_return: np.ndarray
    conditional_volatility_annualised: np.ndarray
    market_beta: np.ndarray
    conditional_market_beta: np.ndarray
    efficient_price: np.ndarray
    clean_close: np.ndarray
    traded: np.ndarray
    reported: np.ndarray
    half_spread: np.ndarray
    assets_under_management: np.ndarray
    split: np.ndarray
    distribution: np.ndarray
    defects: pd.DataFrame = field(repr=False)
    deaths: pd.DataFrame = field(repr=False)

    def column(self, ticker: str) -> int:
        """Index of ``ticker`` in the (S, N) arrays; KeyError naming it where there is none."""
        found = np.flatnonzero(self.tickers == ticker)
        if not len(found):
            raise KeyError(f"no simulated fund {ticker!r}")
        return int(found[0])

    def survivorship_bias_annualised(self) -> float:
        """Mean return of the funds still quoted at the end less that of all funds, a year.

        Each is the mean over all fund-sessions of the horizon of the return not explained by cash and
        factors (alpha plus idiosyncratic return), so that it does not measure which asset classes died.
        Zero where nothing died.
        """
        own = self.idiosyncratic_return + self.alpha_annualised / TRADING_DAYS
        own = np.where(np.isfinite(self.total_return), own, np.nan)
        dead = np.isin(self.tickers, self.deaths["ticker"].to_numpy(dtype=str))
        if not dead.any() or dead.all():
            return 0.0
        return float((np.nanmean(own[:, ~dead]) - np.nanmean(own)) * TRADING_DAYS)


@dataclass(frozen=True)
class SimulatedMarket:
    """Frames in the shape of a vendor's, and the truth beside them.

    Attributes
    ----------
    bars : BAR_COLUMNS, as traded, sorted by ticker and session; ``adj_close`` is NaN (the vendor gives none).
    actions : ACTION_COLUMNS, dividends and splits as the vendor recorded them.
    listings : LISTING_COLUMNS of every fund with a bar by the last session (net asset values before listing
        count); some dates and fees are unknown.
    reference : REFERENCE_COLUMNS: vix, us_10y_yield, au_10y_yield, audusd, cash_rate.
    """

    config: SimulationConfig
    bars: pd.DataFrame
    actions: pd.DataFrame
    listings: pd.DataFrame
    reference: pd.DataFrame
    truth: SimulationTruth
