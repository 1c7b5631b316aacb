"""The funds: what each is, from when, how large, how dear to trade, and which vendor defect befalls it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.market.simulation.factors import FACTORS, INDEX
from etf_pipeline.core.market.simulation.model import BENCHMARK, DEFECT_KINDS, TRADING_DAYS
from etf_pipeline.core.market.simulation.sleeves import ISSUERS, ORDER, SLEEVES, Sleeve
from etf_pipeline.core.market.simulation.streams import stream

FUND_DEFECTS = DEFECT_KINDS[:-1]
_DEFECT_EVERY = 6
"""One fund in six has a defect of its own."""

LISTING_YEARS = 9.0
"""New funds list over this many years from the first session; none after."""

_HOME = {
    ("asx", "AEQ"): ("AEQ", "australian_equity", "Australian"),
    ("asx", "USQ"): ("USQ", "us_equity", "US"),
    ("us", "AEQ"): ("USQ", "us_equity", "US"),
    ("us", "USQ"): ("FEQ", "global_equity", "Foreign"),
}
"""Code, class and region of the home sleeve and of the largest foreign one, by market."""


@dataclass(frozen=True)
class Fund:
    """One fund's constants. Indices count sessions from the first.

    Attributes
    ----------
    index : position in the order of creation; the key of all its random streams.
    loadings : (K,).
    idiosyncratic : annualised volatility of the fund's own return.
    degrees_of_freedom : of its Student-t shocks.
    alpha : mean annual skill; ``alpha_spread`` is the annualised deviation of its slow wandering.
    assets : at listing, quote currency. ``growth`` : annual net flow, fraction.
    half_spread : fraction of the price.
    turnover : share of assets traded a session in ordinary times.
    split_above, consolidate_below : prices at which a split or consolidation is called; ``split_ratio`` units
        for one.
    inception : first session with a bar; before ``listing`` only where the vendor shows net asset values.
    omits_untraded : the vendor leaves out sessions without a trade instead of repeating the close.
    missing_rate : chance of a bar missing at the vendor.
    defect : the fund's own vendor defect, "" for none, due at ``defect_at``.
    forced_split_at, forced_split : a split that must happen then, -1 and 1.0 for none.
    safe_until : no death is announced before.
    listing_known, delisting_known, fee_known : what the vendor's listing data says.
    """

    index: int
    ticker: str
    name: str
    asset_class: str
    is_leveraged: bool
    is_cash: bool
    loadings: np.ndarray
    idiosyncratic: float
    degrees_of_freedom: float
    alpha: float
    alpha_spread: float
    fee: float
    income: float
    payments: int
    capital_gain: float
    price: float
    assets: float
    growth: float
    half_spread: float
    turnover: float
    overnight: float
    split_above: float
    split_ratio: float
    consolidate_below: float
    listing: int
    inception: int
    omits_untraded: bool
    missing_rate: float
    defect: str
    defect_at: int
    forced_split_at: int
    forced_split: float
    safe_until: int
    listing_known: bool
    delisting_known: bool
    fee_known: bool


def _eligible(kind: str, sleeve: Sleeve, payments: int) -> bool:
    if kind in ("consolidation_unadjusted_history", "bad_scale_block"):
        return sleeve.code in ("LEV", "COM", "SEC", "CRY")
    if kind == "deferred_settlement_gap":
        return sleeve.code in ("AEQ", "USQ", "GEQ")
    if kind == "distribution_adjusted_on_wrong_date":
        return payments > 0 and sleeve.code not in ("CSH", "FIX", "CUR")
    return True


def catalogue(seed: int, n_funds: int, market: str) -> list[Fund]:
    """The first ``n_funds`` funds of the market, the benchmark first.

    A fund depends on the seed and on the funds before it only through its number inside its class and the
    turn of the defects, so that more funds leave the first ones unchanged.
    """
    funds = [_benchmark(market)]
    numbers: dict[str, int] = {}
    waiting, owed = list(FUND_DEFECTS), 0
    for i in range(1, n_funds):
        sleeve = SLEEVES[ORDER[(i - 1) % len(ORDER)]]
        numbers[sleeve.code] = number = numbers.get(sleeve.code, 0) + 1
        payments = sleeve.payments[(number - 1) % len(sleeve.payments)]
        owed += i % _DEFECT_EVERY == _DEFECT_EVERY - 1
        defect = next((k for k in waiting if owed and _eligible(k, sleeve, payments)), "")
        if defect:
            owed -= 1
            waiting.remove(defect)
            waiting = waiting or list(FUND_DEFECTS)
        funds.append(_fund(seed, i, number, sleeve, payments, defect, market))
    return funds


def _fund(
    seed: int, index: int, number: int, sleeve: Sleeve, payments: int, defect: str, market: str
) -> Fund:
    rng = stream(seed, "attributes", index)
    u = rng.random(24)
    z = rng.standard_normal(4)
    variant = sleeve.variants[(number - 1) % len(sleeve.variants)]
    jitter = 1.0 if sleeve.is_leveraged else 0.96 + 0.08 * u[0]
    loadings = np.zeros(len(FACTORS))
    for name, value in variant.loadings.items():
        loadings[INDEX[name]] = value * jitter
    idiosyncratic = variant.idiosyncratic * (0.8 + 0.4 * u[1])
    listing = 0
    if u[2] > 0.5:
        listing = int((0.1 + (LISTING_YEARS - 0.1) * u[3]) * TRADING_DAYS)
    if defect == "prelisting_nav_history":
        listing = int((2.5 + 4.5 * u[3]) * TRADING_DAYS)
    elif defect:
        listing = min(listing, 6 * TRADING_DAYS)
    inception = max(listing - 250 - int(250 * u[4]), 0) if defect == "prelisting_nav_history" else listing
    earliest = listing + 150
    latest = max(earliest + 250, int(9.3 * TRADING_DAYS))
    defect_at = int(earliest + (latest - earliest) * u[5]) if defect else -1
    if defect == "prelisting_nav_history":
        defect_at = inception
    forced_split_at, forced_split = -1, 1.0
    price = sleeve.price[0] * (sleeve.price[1] / sleeve.price[0]) ** u[6]
    split_above = max((45.0, 70.0, 110.0, 250.0)[int(4 * u[15])], 1.6 * price)
    if defect == "consolidation_unadjusted_history":
        forced_split_at, forced_split = defect_at, (0.1, 0.05, 0.2)[int(3 * u[7])]
        price, split_above = 0.5 * sleeve.price[0], np.inf
    elif defect == "deferred_settlement_gap":
        forced_split_at, forced_split = defect_at, (5.0, 10.0, 15.0)[int(3 * u[7])]
        price = 2.0 * sleeve.price[1]
    assets = 0.75e6 * sleeve.assets * float(np.exp(1.45 * z[0]))
    if variant is sleeve.variants[0]:  # the plain fund of a class is the large one
        assets *= 2.5
    if defect == "deferred_settlement_gap":
        assets = max(assets, 150e6)
    # About 2 basis points for the largest funds, 30 for those of ten million; wider where the assets are dear
    # to hedge.
    half_spread = (0.00015 + 0.0040 / np.sqrt(assets / 1e6)) * (0.75 + 0.5 * u[8])
    half_spread *= {"CSH": 0.25, "FIX": 0.6, "CRY": 1.8, "EMQ": 1.4}.get(sleeve.code, 1.0)
    fee = sleeve.fee[0] + (sleeve.fee[1] - sleeve.fee[0]) * u[9] ** 1.5
    code, asset_class, region = _HOME.get((market, sleeve.code), (sleeve.code, sleeve.asset_class, ""))
    issuer = ISSUERS[int(len(ISSUERS) * u[11])]
    thin_vendor = u[10] > 0.6 and not sleeve.is_leveraged
    return Fund(
        index=index,
        ticker=f"{code}{number:02d}.SIM",
        name=" ".join(filter(None, (issuer, region, variant.label, "ETF (simulated)"))),
        asset_class=asset_class,
        is_leveraged=sleeve.is_leveraged,
        is_cash=sleeve.code == "CSH",
        loadings=loadings,
        idiosyncratic=idiosyncratic,
        degrees_of_freedom=4.5 + 2.0 * u[12],
        alpha=0.10 * idiosyncratic * float(np.clip(z[1], -2.5, 2.5)),
        alpha_spread=0.25 * idiosyncratic,
        fee=round(fee, 4),
        income=sleeve.income * (0.8 + 0.4 * u[13]),
        payments=payments,
        capital_gain=sleeve.capital_gain,
        price=price,
        assets=assets,
        growth=-0.10 + 0.27 * u[14],
        half_spread=float(half_spread),
        turnover=sleeve.turnover * float(np.exp(0.8 * z[2])),
        overnight=sleeve.overnight if market == "asx" else 0.35,
        split_above=split_above,
        split_ratio=(3.0, 4.0, 5.0, 10.0, 2.0)[int(5 * u[16])],
        consolidate_below=(3.0 + 3.0 * u[17]) if sleeve.is_leveraged else 0.8,
        listing=listing,
        inception=inception,
        omits_untraded=u[18] > 0.7,
        missing_rate=0.004 * u[19] if thin_vendor else 0.0,
        defect=defect,
        defect_at=defect_at,
        forced_split_at=forced_split_at,
        forced_split=forced_split,
        safe_until=max(listing + 378, defect_at + 330 if defect else 0),
        listing_known=u[20] > 0.08,
        delisting_known=u[21] > 0.25,
        fee_known=u[22] > 0.05,
    )


def _benchmark(market: str) -> Fund:
    """The broad home-equity fund that nothing ever happens to."""
    loadings = np.zeros(len(FACTORS))
    loadings[INDEX["market"]] = 1.0
    return Fund(
        index=0,
        ticker=BENCHMARK,
        name=f"{ISSUERS[0]} Total Market ETF (simulated)",
        asset_class="australian_equity" if market == "asx" else "us_equity",
        is_leveraged=False,
        is_cash=False,
        loadings=loadings,
        idiosyncratic=0.004,
        degrees_of_freedom=6.0,
        alpha=0.0,
        alpha_spread=0.0,
        fee=0.0005,
        income=0.040,
        payments=4,
        capital_gain=0.004,
        price=60.0,
        assets=6e9,
        growth=0.08,
        half_spread=0.00015,
        turnover=0.004,
        overnight=0.35,
        split_above=np.inf,
        split_ratio=2.0,
        consolidate_below=0.0,
        listing=0,
        inception=0,
        omits_untraded=False,
        missing_rate=0.0,
        defect="",
        defect_at=-1,
        forced_split_at=-1,
        forced_split=1.0,
        safe_until=np.iinfo(np.int64).max,
        listing_known=True,
        delisting_known=True,
        fee_known=True,
    )
