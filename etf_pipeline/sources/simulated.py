"""The ``simulated`` source: an invented market that grows by a session a day and never changes its past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import (
    exchange_sessions,
    last_final_session,
    session_close_utc,
    timezone_name,
)
from etf_pipeline.core.market.simulation import (
    STYLES,
    VERSION,
    SimulatedMarket,
    SimulationConfig,
    StyleReturns,
    daily_styles,
    monthly_styles,
    simulate,
)
from etf_pipeline.sources.base import ACTION_COLUMNS, BAR_COLUMNS, COVERAGE_COLUMNS, Fetch, SourceError
from etf_pipeline.sources.factors import FactorVintage
from etf_pipeline.storage.contracts.factors import CONSTRUCTION_FACTORS

_ORIGIN_YEAR = 2026
"""Ten years before it the default market begins; fixed, so that history does not slide as days pass."""
_OPENING_TIME = {"asx": time(10, 0), "us": time(9, 30)}
_FINAL_MARGIN_MINUTES = 20
_ALMOST_OVER = 0.999
_FIRST_VINTAGE = ("2024-05", date(2024, 5, 31), datetime(2024, 6, 30, 23, 59, 59, tzinfo=UTC))
"""Label, last day and publication of the earlier of the two vintages of factor returns; fixed, as the past is."""


class SimulatedSource:
    """Bars, actions, listings and reference series of a simulated market (see ``core.market.simulation``).

    Parameters
    ----------
    seed : which market.
    n_funds : funds of the market, the benchmark ``MKT.SIM`` included. More of them leave the first ones as
        they are.
    years : the market begins on the first session from 4 January of 2026 less so many years.
    market : whose calendar, currency and time lags: ``asx`` or ``us``.
    end : last day on offer; by default, and at most, the last session that is over. The session in progress
        is served, not final and as far as it has traded, only where ``end`` here or in a request names it.
    start : first day of the market, instead of ``years``. Another start is another market, not a part of it.
    now : the time, time-zone aware; the clock's by default.

    Raises
    ------
    SourceError
        An unknown market, an impossible number, a ``now`` without time zone, or a market that has no session
        between its start and its end.
    """

    name = "simulated"
    simulated = True
    resumable = False
    ticker_suffix = ".SIM"

    def __init__(
        self,
        seed: int = 7,
        n_funds: int = 120,
        years: int = 10,
        market: Literal["asx", "us"] = "asx",
        end: date | None = None,
        start: date | None = None,
        now: datetime | None = None,
    ) -> None:
        if market not in _OPENING_TIME:
            raise SourceError(f"market {market!r} is unknown; use one of {', '.join(_OPENING_TIME)}")
        if seed < 0 or n_funds < 1 or not 1 <= years <= 30:
            raise SourceError(
                f"seed {seed}, n_funds {n_funds}, years {years}: the seed must not be negative, n_funds at "
                "least 1 and years 1 to 30"
            )
        if now is not None and now.tzinfo is None:
            raise SourceError(f"now {now} needs a time zone, e.g. 2026-01-27T08:00:00Z")
        self.seed = seed
        self.n_funds = n_funds
        self.market: Literal["asx", "us"] = market
        self.start = start or date(_ORIGIN_YEAR - years, 1, 4)
        self.end = end
        self._now = now
        self._horizon(self.end)

    def tickers(self) -> list[str]:
        """Every fund with a bar by the last session on offer, dead ones included, sorted."""
        return [str(t) for t in self.simulated_market().listings["ticker"]]

    def fetch(self, tickers: Sequence[str], start: date | None, end: date | None) -> Iterator[Fetch]:
        """One batch; see ``Source.fetch``. A fund not listed yet is as unknown as one that never will be.

        ``requested_end`` in the coverage is never later than the exchange's date now: nobody vouches for
        tomorrow.
        """
        now = self._clock()
        last_day = min((d for d in (end, self.end) if d is not None), default=None)
        market = self._simulate(last_day)
        first = np.datetime64(start or self.start, "us")
        today = np.datetime64(now.astimezone(ZoneInfo(timezone_name(self.market))).date(), "us")
        last = today if last_day is None else min(np.datetime64(last_day, "us"), today)
        if last_day is None:
            last = min(last, market.config.sessions[-1].astype("datetime64[us]"))
        wanted = sorted(set(tickers))
        bars = _rows(market.bars, "session", wanted, first, last)
        coverage = _coverage(wanted, set(market.listings["ticker"]), bars, first, last)
        yield Fetch(
            source=self.name,
            known_at=now.astimezone(UTC),
            detail=(
                f"simulated {self.market} market, seed {self.seed}, {self.n_funds} funds, from {self.start}, "
                f"generator version {VERSION}"
            ),
            basis="as_traded",
            basis_evidence="declared: simulated prices are the prices traded",
            bars=bars[BAR_COLUMNS],
            actions=_rows(market.actions, "ex_date", wanted, first, last)[ACTION_COLUMNS],
            coverage=coverage,
        )

    def listings(self) -> pd.DataFrame:
        """LISTING_COLUMNS of the funds on offer; as with real vendors, some dates and fees are unknown."""
        return self.simulated_market().listings.copy()

    def reference(self, start: date | None, end: date | None) -> pd.DataFrame:
        """VIX, ten-year yields, AUD/USD and cash rate of the simulated economy; sessions that are over."""
        frame = self.simulated_market().reference
        keep = pd.Series(True, index=frame.index)
        if start is not None:
            keep &= frame["session"] >= pd.Timestamp(start)
        if end is not None:
            keep &= frame["session"] <= pd.Timestamp(end)
        return frame[keep].reset_index(drop=True)

    def factor_vintages(self) -> Iterator[FactorVintage]:
        """Region "simulated": five factors, momentum and risk-free rate, daily and monthly, in two vintages.

        The earlier ends in May 2024 and is known since the end of June 2024; the newest says some of its sessions
        slightly differently, goes on to the last session on offer and is known since the end of that day. Market excess
        return, size and risk-free rate drive the simulated funds; no fund loads on the others (see
        ``core.market.simulation.styles``).
        """
        market = self.simulated_market()
        daily = daily_styles(market)
        last = _as_date(daily.sessions[-1])
        label, until, published = _FIRST_VINTAGE
        detail = f"simulated {self.market} market, seed {self.seed}, from {self.start}, generator version {VERSION}"
        for frequency, styles in (("daily", daily), ("monthly", monthly_styles(daily))):
            for construction in ("five_factor", "momentum"):
                factors = CONSTRUCTION_FACTORS[construction]
                if published.date() < last:
                    early = _factor_rows(styles, styles.first, factors, until)
                    yield FactorVintage(
                        self.name, "simulated", frequency, construction, published, early, label, detail
                    )
                newest = _factor_rows(styles, styles.newest, factors, last)
                known_at = datetime.combine(last, time(23, 59, 59), UTC)
                yield FactorVintage(
                    self.name, "simulated", frequency, construction, known_at, newest, f"{last:%Y-%m}", detail
                )

    def simulated_market(self) -> SimulatedMarket:
        """The whole market on offer with the truth beside it, final sessions only; not to be altered."""
        return self._simulate(None, final_only=True)

    def _clock(self) -> datetime:
        return self._now or datetime.now(UTC)

    def _simulate(self, last_day: date | None, *, final_only: bool = False) -> SimulatedMarket:
        last, progress = self._horizon(None if final_only else last_day)
        return _market(self.seed, self.n_funds, self.market, self.start, last, progress)

    def _horizon(self, last_day: date | None) -> tuple[date, float]:
        """Last session to simulate and how much of it is over.

        The last final session up to ``end``, whatever earlier day is asked for (the past does not depend on
        it); the session in progress where ``last_day`` reaches it.
        """
        now = self._clock()
        final = _as_date(last_final_session(self.market, now, _FINAL_MARGIN_MINUTES))
        if self.end is not None:
            final = min(final, self.end)
        if last_day is not None and last_day > final:
            following = exchange_sessions(self.market, np.datetime64(final, "D") + 1, last_day)[:1]
            progress = self._progress(following[0], now) if len(following) else 0.0
            if progress > 0.0:
                return _as_date(following[0]), progress
        if final < self.start or not len(exchange_sessions(self.market, self.start, final)):
            raise SourceError(
                f"the simulated market begins on {self.start} and has no session over by {final}; "
                "set an earlier start or a later end"
            )
        return final, 1.0

    def _progress(self, session: np.datetime64, now: datetime) -> float:
        """Share of the session's trading hours that is over, below 1 until its bars are final."""
        zone = ZoneInfo(timezone_name(self.market))
        opens = datetime.combine(_as_date(session), _OPENING_TIME[self.market], zone)
        closes = pd.Timestamp(session_close_utc(self.market, np.array([session]))[0], tz="UTC")
        return min((now - opens).total_seconds() / (closes - opens).total_seconds(), _ALMOST_OVER)


def _as_date(day: np.datetime64) -> date:
    return pd.Timestamp(day).date()


@lru_cache(maxsize=2)
def _market(
    seed: int, n_funds: int, market: Literal["asx", "us"], start: date, last: date, progress: float
) -> SimulatedMarket:
    """Kept, because a pipeline asks for bars, listings and reference series one after the other."""
    sessions = exchange_sessions(market, start, last)
    return simulate(
        SimulationConfig(
            sessions=sessions, seed=seed, n_funds=n_funds, market=market, last_session_progress=progress
        )
    )


def _rows(
    frame: pd.DataFrame, day: str, tickers: list[str], first: np.datetime64, last: np.datetime64
) -> pd.DataFrame:
    """The rows of ``tickers`` with ``first <= day <= last``."""
    days = frame[day].to_numpy()
    keep = frame["ticker"].isin(tickers).to_numpy() & (days >= first) & (days <= last)
    return frame[keep].reset_index(drop=True)


def _factor_rows(
    styles: StyleReturns, panel: np.ndarray, factors: Sequence[str], until: date
) -> pd.DataFrame:
    """factor, session, value of a panel of style returns up to a day."""
    rows = int(np.searchsorted(styles.sessions, np.datetime64(until, "D"), side="right"))
    return pd.DataFrame(
        {
            "factor": pd.Series(np.tile(np.array(factors, dtype=object), rows), dtype="str"),
            "session": np.repeat(styles.sessions[:rows].astype("datetime64[s]"), len(factors)),
            "value": panel[:rows, [STYLES.index(name) for name in factors]].reshape(-1),
        }
    )


def _coverage(
    tickers: list[str], known: set[str], bars: pd.DataFrame, first: np.datetime64, last: np.datetime64
) -> pd.DataFrame:
    """COVERAGE_COLUMNS, one row a ticker asked for."""
    found = bars.groupby("ticker")["session"].agg(["min", "max", "size"]).reindex(tickers)
    rows = found["size"].fillna(0).astype("int64").to_numpy()
    exists = np.array([t in known for t in tickers], dtype=bool)
    status = np.where(~exists, "no_such_symbol", np.where(rows > 0, "ok", "empty"))
    frame = pd.DataFrame(
        {
            "ticker": pd.Series(tickers, dtype="str"),
            "status": pd.Series(status.tolist(), dtype="str"),
            "requested_start": np.full(len(tickers), first),
            "requested_end": np.full(len(tickers), last),
            "first_session": found["min"].to_numpy().astype("datetime64[us]"),
            "last_session": found["max"].to_numpy().astype("datetime64[us]"),
            "rows": rows,
            "message": pd.Series(
                ["" if e else "no such fund in the simulated market" for e in exists], dtype="str"
            ),
        }
    )
    return frame[COVERAGE_COLUMNS]
