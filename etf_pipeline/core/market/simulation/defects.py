"""What vendors do to data: the defects of real ASX histories, injected and labelled.

Every defect is placed by the fund's own attributes and by what came before, so that a later end of the
market adds defects and changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from etf_pipeline.core.market.simulation.catalogue import Fund
from etf_pipeline.core.market.simulation.model import DEFECT_COLUMNS
from etf_pipeline.core.market.simulation.prices import WRONG_DATE_GAIN, Prices
from etf_pipeline.core.market.simulation.streams import stream
from etf_pipeline.core.market.simulation.trading import WideBars, to_tick


@dataclass
class VendorRecord:
    """What the vendor shows: bars, actions and bars on closed days. Altered in place by the defects.

    Attributes
    ----------
    split, distribution : (S, N) as recorded, at the recorded date.
    closed_day_bars : ticker index, day, price of bars on days without a session.
    defects : rows of DEFECT_COLUMNS, sessions as indices or dates.
    """

    sessions: np.ndarray
    market: str
    bars: WideBars
    split: np.ndarray
    distribution: np.ndarray
    closed_day_bars: list[tuple[int, np.datetime64, float]] = field(default_factory=list)
    defects: list[tuple[str, np.datetime64, np.datetime64, str, str]] = field(default_factory=list)

    def note(self, fund: Fund, start: int, end: int, detail: str) -> None:
        """Label the fund's defect on the sessions of these indices, cut at the last session."""
        end = min(end, len(self.sessions) - 1)
        self.defects.append((fund.ticker, self.sessions[start], self.sessions[end], fund.defect, detail))


Placer = Callable[[VendorRecord, Fund, int, np.random.Generator], None]


def inject(
    seed: int,
    sessions: np.ndarray,
    funds: Sequence[Fund],
    prices: Prices,
    bars: WideBars,
    market: str,
) -> tuple[VendorRecord, pd.DataFrame]:
    """Spoil the record of the funds that have a defect of their own.

    Returns
    -------
    record : the vendor's record; shares ``bars``.
    defects : DEFECT_COLUMNS sorted by ticker, session_start, kind.
    """
    record = VendorRecord(sessions, market, bars, prices.split.copy(), prices.distribution.copy())
    for i, fund in enumerate(funds):
        if fund.defect and fund.defect_at < len(sessions):
            _PLACERS[fund.defect](record, fund, i, stream(seed, "defect", fund.index))
    for i, fund in enumerate(funds):
        for t in np.flatnonzero(bars.market_hole[:, i]):
            row = (fund.ticker, sessions[t], sessions[t], "market_wide_hole", "lost for most funds at once")
            record.defects.append(row)
    rows = sorted(record.defects, key=lambda row: (row[0], row[1], row[3]))
    frame = pd.DataFrame(rows, columns=DEFECT_COLUMNS)
    for name in ("session_start", "session_end"):
        frame[name] = np.array([row[DEFECT_COLUMNS.index(name)] for row in rows], dtype="datetime64[us]")
    return record, frame.astype({"ticker": "str", "kind": "str", "detail": "str"})


def _next_bar(record: VendorRecord, column: int, at: int, *, trading: bool = True) -> int:
    """First session from ``at`` on with a bar (and trades), -1 where there is none yet."""
    shown = np.isfinite(record.bars.close[at:, column])
    if trading:
        shown &= record.bars.volume[at:, column] > 0
    found = np.flatnonzero(shown)
    return at + int(found[0]) if len(found) else -1


def _last_bar_before(record: VendorRecord, column: int, at: int) -> int:
    shown = np.flatnonzero(np.isfinite(record.bars.close[:at, column]))
    return int(shown[-1]) if len(shown) else -1


def _unadjusted_consolidation(record: VendorRecord, fund: Fund, i: int, _rng: np.random.Generator) -> None:
    """The consolidation happened; the vendor has no record of it."""
    events = np.flatnonzero(record.split[fund.defect_at :, i] != 1.0)
    if not len(events):
        return
    t = fund.defect_at + int(events[0])
    ratio = record.split[t, i]
    record.split[t, i] = 1.0
    before = _last_bar_before(record, i, t)
    units = f"{1 / ratio:.0f}"
    record.note(fund, before, t, f"1-for-{units} consolidation without a record: close x{units}")


def _bad_scale_block(record: VendorRecord, fund: Fund, i: int, _rng: np.random.Generator) -> None:
    """Three bars at a tenth of the price."""
    t = _next_bar(record, i, fund.defect_at)
    if t < 0:
        return
    rows = t + np.flatnonzero(np.isfinite(record.bars.close[t : t + 10, i]))[:3]
    for panel in (record.bars.open, record.bars.high, record.bars.low, record.bars.close):
        panel[rows, i] = np.round(panel[rows, i] * 0.1, 4)
    record.note(fund, int(rows[0]), int(rows[-1]), "three bars at 1/10")


def _bad_print(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """One close, and high, far from the market, on little volume."""
    factor = 1.0 + 0.25 + 0.2 * rng.random()
    units = 50 + int(400 * rng.random())
    t = _next_bar(record, i, fund.defect_at)
    if t < 0:
        return
    price = float(to_tick(np.array([record.bars.close[t, i] * factor]), record.market)[0])
    record.bars.close[t, i] = price
    record.bars.high[t, i] = max(price, record.bars.high[t, i])
    record.bars.volume[t, i] = min(units, record.bars.volume[t, i])
    record.note(fund, t, t, f"close = high at x{factor:.2f}")


def _holiday_bar(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """A bar on a weekday on which the exchange was closed."""
    wild = rng.random() < 0.5
    days = record.sessions
    for t in range(max(fund.defect_at, 1), len(days)):
        gap = np.arange(days[t - 1] + 1, days[t])
        closed = gap[np.is_busday(gap)]
        if len(closed) and np.isfinite(record.bars.close[t - 1, i]):
            price = record.bars.close[t - 1, i] * (15.0 if wild else 1.0)
            record.closed_day_bars.append((i, closed[0], float(np.round(price, 4))))
            detail = "volume 0 on a closed day" + (", at 15 times the price" if wild else "")
            record.defects.append((fund.ticker, closed[0], closed[0], fund.defect, detail))
            return


def _open_zero(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """A run of bars with an open of 0."""
    length = 20 + int(60 * rng.random())
    rows = fund.defect_at + np.flatnonzero(np.isfinite(record.bars.close[fund.defect_at :, i]))[:length]
    if not len(rows):
        return
    record.bars.open[rows, i] = 0.0
    record.note(fund, int(rows[0]), int(rows[-1]), "bars with open = 0")


def _prelisting(record: VendorRecord, fund: Fund, _i: int, _rng: np.random.Generator) -> None:
    """Net asset values before the fund was quoted; they are in the bars already."""
    if fund.inception < fund.listing:
        record.note(fund, fund.inception, fund.listing - 1, "volume 0: net asset values before listing")


def _stale_run(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """The vendor repeats a bar, volume and all."""
    length = 15 + int(20 * rng.random())
    t = _next_bar(record, i, fund.defect_at)
    if t < 0:
        return
    rows = np.arange(t, min(t + length, len(record.sessions)))
    rows = rows[np.isfinite(record.bars.close[rows, i])]
    split = rows[(record.split[rows, i] != 1.0) & (rows > t)]
    rows = rows[rows < split[0]] if len(split) else rows
    record.bars.open[rows, i] = record.bars.open[t, i]
    record.bars.high[rows, i] = record.bars.high[t, i]
    record.bars.low[rows, i] = record.bars.low[t, i]
    record.bars.close[rows, i] = record.bars.close[t, i]
    record.bars.volume[rows, i] = record.bars.volume[t, i]
    record.note(fund, t, int(rows[-1]), f"the bar of {record.sessions[t]} repeated")


def _long_hole(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """Months without a bar while the fund traded."""
    length = 60 + int(60 * rng.random())
    rows = np.arange(fund.defect_at, min(fund.defect_at + length, len(record.sessions)))
    record.bars.blank(rows, i)
    record.note(fund, int(rows[0]), int(rows[-1]), "no bars while the fund traded")


def _deferred_settlement(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """After a split the fund trades under a temporary code; this one stands still, on the new scale."""
    length = 7 + int(4 * rng.random())
    events = np.flatnonzero(record.split[fund.defect_at :, i] != 1.0)
    if not len(events):
        return
    t = fund.defect_at + int(events[0])
    before = _last_bar_before(record, i, t)
    flat = float(np.round(record.bars.close[before, i] / record.split[t, i], 2))
    rows = np.arange(t, min(t + length, len(record.sessions)))
    rows = rows[np.isfinite(record.bars.close[rows, i])]
    for panel in (record.bars.open, record.bars.high, record.bars.low, record.bars.close):
        panel[rows, i] = flat
    record.bars.volume[rows, i] = 0.0
    detail = f"flat at {flat:g}, volume 0, after a {record.split[t, i]:g}-for-1 split"
    record.note(fund, t, int(rows[-1]), detail)


def _wrong_date(record: VendorRecord, fund: Fund, i: int, rng: np.random.Generator) -> None:
    """A large June distribution recorded some sessions after the price fell."""
    delay = 3 + int(5 * rng.random())
    after = record.distribution[fund.defect_at :, i]
    shown = np.isfinite(record.bars.close[fund.defect_at :, i])
    price = np.where(shown, record.bars.clean_close[fund.defect_at :, i], np.inf)
    large = np.flatnonzero(after > 0.6 * WRONG_DATE_GAIN * price)
    if not len(large):
        return
    t = fund.defect_at + int(large[0])
    value, record.distribution[t, i] = record.distribution[t, i], 0.0
    if t + delay < len(record.sessions):
        record.distribution[t + delay, i] += value
    record.note(fund, t, t + delay, f"distribution of {value:g} recorded {delay} sessions late")


_PLACERS: dict[str, Placer] = {
    "consolidation_unadjusted_history": _unadjusted_consolidation,
    "bad_scale_block": _bad_scale_block,
    "bad_print": _bad_print,
    "holiday_bogus_bar": _holiday_bar,
    "open_zero": _open_zero,
    "prelisting_nav_history": _prelisting,
    "stale_run": _stale_run,
    "long_hole": _long_hole,
    "deferred_settlement_gap": _deferred_settlement,
    "distribution_adjusted_on_wrong_date": _wrong_date,
}
