"""The kinds of fund on offer: what each holds, pays and costs, and how it trades. All invented."""

from __future__ import annotations

from dataclasses import dataclass

Loadings = dict[str, float]


@dataclass(frozen=True)
class Variant:
    """One style inside a sleeve: label, factor loadings, annualised idiosyncratic volatility."""

    label: str
    loadings: Loadings
    idiosyncratic: float


@dataclass(frozen=True)
class Sleeve:
    """One asset class.

    Attributes
    ----------
    code : first letters of the tickers.
    income : distribution yield a year (cash: paid out of the cash rate, this is a margin over it).
    payments : distributions a year: 12, 4, 2, 1 or 0.
    capital_gain : mean extra share of the price paid out each 30 June.
    price : lowest and highest price at listing.
    assets : median assets at listing, million of quote currency.
    fee : lowest and highest expense ratio, fraction a year.
    turnover : median share of the assets traded a session.
    overnight : share of the day's variance that falls before the open.
    """

    code: str
    asset_class: str
    variants: tuple[Variant, ...]
    income: float
    payments: tuple[int, ...]
    capital_gain: float
    price: tuple[float, float]
    assets: float
    fee: tuple[float, float]
    turnover: float
    overnight: float
    is_leveraged: bool = False


AUSTRALIAN = (
    Variant("Broad Shares", {"market": 1.0}, 0.006),
    Variant("High Dividend Shares", {"market": 0.93, "defensive": 0.06}, 0.045),
    Variant("Small Companies", {"market": 1.0, "small_size": 1.0}, 0.055),
    Variant("Sustainable Shares", {"market": 0.98, "technology": 0.08}, 0.035),
    Variant("Quality Shares", {"market": 0.95, "technology": 0.05}, 0.040),
    Variant("Equal Weight Shares", {"market": 0.98, "small_size": 0.35}, 0.025),
    Variant("Low Volatility Shares", {"market": 0.55, "defensive": 0.30}, 0.035),
    Variant("Ex-20 Shares", {"market": 1.0, "small_size": 0.55}, 0.035),
)
UNITED_STATES = (
    Variant("Large Companies", {"overseas_equity": 1.0, "currency": 1.0}, 0.008),
    Variant("Technology", {"overseas_equity": 1.08, "technology": 1.0, "currency": 1.0}, 0.035),
    Variant("Large Companies Hedged", {"overseas_equity": 1.0}, 0.010),
    Variant("Small Companies", {"overseas_equity": 1.08, "small_size": 0.9, "currency": 1.0}, 0.060),
    Variant("Value Shares", {"overseas_equity": 0.95, "technology": -0.25, "currency": 1.0}, 0.045),
)
GLOBAL = (
    Variant("World", {"overseas_equity": 0.85, "market": 0.15, "currency": 0.9}, 0.030),
    Variant("World Hedged", {"overseas_equity": 0.87, "market": 0.15}, 0.030),
    Variant("World Quality", {"overseas_equity": 0.88, "technology": 0.2, "currency": 0.9}, 0.040),
    Variant("Europe", {"overseas_equity": 0.70, "market": 0.25, "currency": 0.8}, 0.085),
    Variant("Japan", {"overseas_equity": 0.50, "market": 0.35, "currency": 0.7}, 0.110),
)
EMERGING = (
    Variant("Emerging Markets", {"emerging": 1.0, "currency": 0.7}, 0.040),
    Variant("Asia Technology", {"emerging": 1.15, "technology": 0.7, "currency": 0.6}, 0.120),
    Variant("India", {"emerging": 0.85, "currency": 0.6}, 0.120),
    Variant("China", {"emerging": 1.1, "currency": 0.5}, 0.150),
)
SECTORS = (
    Variant("Financials", {"market": 1.10}, 0.070),
    Variant("Resources", {"market": 1.05, "energy": 0.22, "gold": 0.15}, 0.120),
    Variant("Cybersecurity", {"overseas_equity": 0.95, "technology": 1.3, "currency": 0.9}, 0.130),
    Variant("Healthcare", {"overseas_equity": 0.60, "defensive": 0.25, "currency": 0.8}, 0.085),
    Variant("Battery Technology", {"overseas_equity": 0.8, "emerging": 0.5, "currency": 0.6}, 0.160),
    Variant("Gold Miners", {"market": 0.35, "gold": 1.6, "currency": 0.4}, 0.180),
    Variant("Global Energy", {"overseas_equity": 0.6, "energy": 0.7, "currency": 0.8}, 0.100),
)
PROPERTY = (
    Variant("Listed Property", {"property": 1.0}, 0.020),
    Variant("Global Property", {"property": 0.6, "overseas_equity": 0.35, "rates": 1.0}, 0.070),
)
INFRASTRUCTURE = (
    Variant("Global Infrastructure", {"defensive": 1.1, "currency": 0.15}, 0.030),
    Variant("Utilities", {"defensive": 1.0, "rates": 1.5}, 0.060),
)
BONDS = (
    Variant("Composite Bond", {"rates": 5.4, "credit": 0.10}, 0.008),
    Variant("Government Bond", {"rates": 6.0}, 0.008),
    Variant("Corporate Bond", {"rates": 3.8, "credit": 0.70}, 0.012),
    Variant("Global Bond Hedged", {"rates": 4.8, "credit": 0.30}, 0.015),
    Variant("Inflation Linked Bond", {"rates": 5.8, "energy": 0.02}, 0.020),
)
CASH = (
    Variant("High Interest Cash", {}, 0.0016),
    Variant("Cash Plus", {"credit": 0.02}, 0.0018),
)
COMMODITIES = (
    Variant("Gold Bullion", {"gold": 1.0, "currency": 1.0}, 0.010),
    Variant("Crude Oil", {"energy": 1.15}, 0.080),
    Variant("Silver", {"gold": 1.5, "currency": 0.9}, 0.160),
)
CURRENCIES = (
    Variant("US Dollar", {"currency": 1.0}, 0.006),
    Variant("Strong Home Currency", {"currency": -1.0}, 0.010),
)
CRYPTO = (
    Variant("Bitcoin", {"crypto": 1.0, "currency": 0.8}, 0.050),
    Variant("Crypto Innovators", {"crypto": 0.9, "overseas_equity": 0.8, "technology": 0.6}, 0.280),
)
MULTI_ASSET = (
    Variant("Balanced", {"market": 0.25, "overseas_equity": 0.28, "rates": 2.6, "currency": 0.15}, 0.010),
    Variant(
        "High Growth",
        {"market": 0.38, "overseas_equity": 0.45, "emerging": 0.07, "currency": 0.3},
        0.010,
    ),
    Variant("Conservative", {"market": 0.13, "overseas_equity": 0.13, "rates": 3.6}, 0.008),
)
LEVERAGED = (
    Variant("Geared Shares", {"market": 2.0}, 0.020),
    Variant("Short Shares", {"market": -1.0}, 0.015),
    Variant("Strong Short Shares", {"market": -2.0}, 0.025),
    Variant("Geared Overseas Shares", {"overseas_equity": 2.0}, 0.025),
    Variant("Strong Short Overseas Shares", {"overseas_equity": -2.0}, 0.025),
)

SLEEVES = {
    s.code: s
    for s in (
        Sleeve("AEQ", "australian_equity", AUSTRALIAN,
               0.040, (4, 4, 2), 0.010, (8, 60), 120, (0.0007, 0.0068), 0.0030, 0.35),
        Sleeve("USQ", "us_equity", UNITED_STATES,
               0.013, (4, 2), 0.008, (20, 120), 150, (0.0004, 0.0059), 0.0030, 0.80),
        Sleeve("GEQ", "global_equity", GLOBAL,
               0.020, (4, 2, 2), 0.010, (15, 80), 110, (0.0018, 0.0070), 0.0025, 0.75),
        Sleeve("EMQ", "emerging_equity", EMERGING,
               0.018, (2, 2, 1), 0.008, (10, 70), 60, (0.0048, 0.0105), 0.0030, 0.55),
        Sleeve("SEC", "sector_equity", SECTORS,
               0.018, (2, 4, 2), 0.012, (6, 40), 55, (0.0034, 0.0099), 0.0045, 0.50),
        Sleeve("PRP", "property", PROPERTY,
               0.042, (4, 4), 0.008, (10, 30), 90, (0.0016, 0.0069), 0.0030, 0.35),
        Sleeve("INF", "infrastructure", INFRASTRUCTURE,
               0.033, (4, 2), 0.006, (15, 60), 70, (0.0020, 0.0097), 0.0025, 0.55),
        Sleeve("FIX", "fixed_income", BONDS,
               0.028, (4, 12, 4), 0.001, (20, 110), 140, (0.0010, 0.0060), 0.0030, 0.45),
        Sleeve("CSH", "cash", CASH,
               0.000, (12, 4), 0.000, (50, 100), 220, (0.0007, 0.0022), 0.0050, 0.30),
        Sleeve("COM", "commodity", COMMODITIES,
               0.000, (0,), 0.000, (8, 60), 100, (0.0022, 0.0069), 0.0040, 0.65),
        Sleeve("CUR", "currency", CURRENCIES,
               0.005, (1,), 0.004, (10, 25), 25, (0.0045, 0.0139), 0.0060, 0.70),
        Sleeve("CRY", "crypto", CRYPTO,
               0.000, (0, 1), 0.010, (5, 20), 45, (0.0045, 0.0125), 0.0100, 0.75),
        Sleeve("MUL", "multi_asset", MULTI_ASSET,
               0.026, (4, 4), 0.006, (20, 60), 80, (0.0022, 0.0050), 0.0020, 0.55),
        Sleeve("LEV", "leveraged_inverse", LEVERAGED,
               0.004, (1,), 0.022, (8, 30), 70, (0.0080, 0.0138), 0.0200, 0.35, True),
    )
}  # fmt: skip

ORDER = (
    *("AEQ", "USQ", "FIX", "GEQ", "LEV", "SEC", "CSH", "EMQ", "PRP", "COM", "INF", "MUL", "CUR", "CRY"),
    *("LEV", "AEQ", "SEC", "USQ", "FIX", "GEQ", "AEQ", "COM", "LEV", "EMQ", "SEC", "AEQ", "USQ", "FIX"),
    *("PRP", "AEQ", "GEQ", "SEC", "LEV", "MUL", "AEQ", "CSH", "USQ", "FIX", "INF", "EMQ", "SEC", "AEQ"),
    *("COM", "GEQ", "AEQ", "USQ", "FIX", "SEC"),
)
"""Sleeve of the first, second, ... fund after the benchmark; repeated for larger markets."""

ISSUERS = (
    "Banksia",
    "Wattle",
    "Lorikeet",
    "Coolabah Creek",
    "Tidewater",
    "Ironbark",
    "Kestrel",
    "Bluegum",
)
"""Invented issuers."""
