"""What views and macros say of themselves and of their columns: as their tables, and in own words where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import duckdb

from etf_pipeline.storage.contracts import CONTRACTS
from etf_pipeline.storage.contracts.base import quoted


@dataclass(frozen=True)
class View:
    """One view: what it is, the tables its columns come from, the first that has one counts, and what no table says."""

    doc: str
    tables: tuple[str, ...]
    own: dict[str, str] = field(default_factory=dict)

    def comment(self, column: str) -> str:
        """What a column means.

        Raises
        ------
        KeyError : neither the view nor a table of it says.
        """
        if column in self.own:
            return self.own[column]
        for table in self.tables:
            found = next((c for c in CONTRACTS[table].columns if c.name == column), None)
            if found is not None:
                return found.comment
        raise KeyError(f"no comment for column {column}: add it to storage/view_comments.py")


_SIMULATED = "true where anything in the warehouse is invented"
_REGIME = "the market's, by the largest probability: calm, normal or stress"
_STATE = "given the {0} state, by the fit in force [fraction a year]"
_RANKED = (
    "scoring.composite_ranking",
    "raw.listings",
    "signals.momentum",
    "risk.volatility",
    "risk.beta",
    "market.universe",
)

VIEWS: dict[str, View] = {
    "raw.bars_latest": View("Bars as they are known now: the newest version of each.", ("raw.bars",)),
    "raw.restatements": View(
        "What vendors changed of a bar after they had first told it. One row a bar, version and field.",
        ("raw.bars",),
        {
            "field": "open, high, low, close, adj_close or volume",
            "old_value": "as it was told before, in the field's unit",
            "new_value": "as it is told since; NULL where the bar was withdrawn",
            "relative_change": "new over old less one [fraction]",
            "previously_known_at": "when the old value was learned, UTC",
            "known_since": "when the new value was learned, UTC",
        },
    ),
    "raw.vanished_funds": View(
        "Funds a source once answered for that its newest answer no longer mentions, or calls unknown.",
        ("raw.coverage", "raw.fetches"),
        {
            "last_session": "last bar received of it",
            "last_seen": "when a source last had it, UTC",
            "absent_since_download": "the newest answer, which has it no more, UTC",
            "how": "not in the download, or the status the source gave",
        },
    ),
    "raw.factor_revisions": View(
        "Factor returns whose newest value is not the one first published; market_excess, value and risk_free are followed "
        "from the table of three factors to that of five, which build them alike.",
        ("raw.factors",),
        {
            "construction": "the table followed; common: of three or of five factors, see first_ and newest_construction",
            "first_value": "return of the period as first told [fraction]",
            "newest_value": "as told last; NULL where it was withdrawn [fraction]",
            "difference": "newest less first [fraction]",
            "first_known_at": "when the first value was learned, UTC",
            "newest_known_at": "when the newest value was learned, UTC",
            "first_construction": "the table that told the first value",
            "newest_construction": "the table that told the newest value",
        },
    ),
    "main.market_regime": View(
        "The market's regime at each close, and what the regimes mean in numbers by the fit then in force.",
        ("risk.regime",),
        {
            "regime": _REGIME,
            "fitted_on": "session on whose close the model was last refitted",
            **{
                f"{state}_volatility_annualised": _STATE.format(state)
                for state in ("calm", "normal", "stress")
            },
        },
    ),
    "main.latest_risk": View(
        "Each fund's served risk on the session that latest_ranking shows; risk_at(session) gives it for any other.",
        (
            "market.universe",
            "raw.listings",
            "risk.volatility",
            "risk.tail",
            "risk.drawdown",
            "risk.beta",
            "risk.liquidity",
            "risk.risk_category",
        ),
        {
            "risk_category": "LOW, MEDIUM or HIGH; leveraged and inverse funds are HIGH",
            "category_score": "of the worst measure: 1 at its MEDIUM threshold, 2 at its HIGH threshold",
            "volatility_model": "which model made the volatility forecast",
            "tail_model": "which model made var and cvar: filtered or historical",
            "regime": _REGIME,
            "simulated": _SIMULATED,
        },
    ),
    "main.latest_exposures": View(
        "What each fund loads on at its newest month's end, one row a factor: by the model that explains its class, or by "
        "the house's own where that ends earlier; exposures_at(session) gives it for any day.",
        ("attribution.factor_exposure", "raw.listings"),
        {
            "session": "the fund's newest month's end with an estimate",
            "is_main": "the model is the one that explains the fund's class; false: the house model stands in for it",
            "main_model": "the model that explains the fund's class; NULL where it never could",
            "main_model_session": "the newest month's end that it has an estimate for",
            "loading": "slope over the last 252 sessions: return for a factor return of one [ratio]",
            "loading_to_date": "the same over all returns so far [ratio]",
            "t_value_to_date": "of that, over its error",
            "simulated": _SIMULATED,
        },
    ),
    "main.latest_stress": View(
        "What each fund would lose in each scenario, at the newest month's end; stress_at(session) gives it for any day.",
        ("attribution.stress_losses", "raw.listings"),
        {
            "is_realised": "served_return is what the fund's own prices did then, else it is from exposures",
            "simulated": _SIMULATED,
        },
    ),
    "main.latest_ranking": View(
        "The newest session with a ranking: everyone ranked, and everyone left out with the reason. Where ranked_funds "
        "is small, the source ended earlier for most funds: see scoring.composite_ranking for a fuller session.",
        _RANKED,
        {
            "forecast_21": "corrected forecast of the return of the next 21 sessions [fraction]",
            "regime": _REGIME,
            "simulated": _SIMULATED,
        },
    ),
    "main.fund_card": View(
        "One row a fund: its data and where it stands in latest_ranking.",
        _RANKED,
        {
            "first_session": "first session with a bar",
            "last_session": "last session with a bar",
            "accepted_bars": "bars taken as observations [bars]",
            "refused_bars": "bars dropped or quarantined [bars]",
            "quality_events": "rows in market.quality_events [rows]",
            "ranked_session": "session of the ranking; NULL where the fund is not in it",
            "forecast_21": "corrected forecast of the return of the next 21 sessions [fraction]",
            "simulated": _SIMULATED,
        },
    ),
    "main.data_health": View(
        "One row a fund: how good its data are and when its source was last asked.",
        ("market.bars",),
        {
            "bars": "bars judged [bars]",
            "refused_bars": "bars dropped or quarantined [bars]",
            "last_bar": "session of the newest bar",
            "in_doubt": "under a corporate-action doubt at its newest bar",
            "errors": "quality events of severity error [rows]",
            "warnings": "quality events of severity warning [rows]",
            "newest_event": "rule and evidence of the newest quality event",
            "newest_event_on": "session at whose close it could be known",
            "last_fetch_status": "what the source last answered: ok, no_such_symbol, rate_limited, server_error or empty",
            "last_fetch": "when that was, UTC",
        },
    ),
    "meta.latest_materializations": View(
        "The newest materialisation of each asset and partition.", ("meta.materializations",)
    ),
    "production.drift": View(
        "Where research now says otherwise than what was published on the day.",
        ("production.published_ranking",),
        {
            "published_rank": "rank as published",
            "research_rank": "rank by the data and the code of now",
            "published_score": "final score as published [0-100]",
            "research_score": "final score by the data and the code of now [0-100]",
        },
    ),
}

_AS_OF = "{0} as they were known at the moment ts (UTC): the newest version of each learned by then, less those withdrawn."

MACROS: dict[str, str] = {
    "raw.bars_as_of": _AS_OF.format("Bars"),
    "raw.actions_as_of": _AS_OF.format("Splits and distributions"),
    "raw.listings_as_of": _AS_OF.format("Facts of each fund"),
    "raw.macro_as_of": _AS_OF.format("Reference series"),
    "raw.factors_as_of": _AS_OF.format("Factor returns"),
    "raw.bars_of_fetch": "What the fetch of that id held: bars of the funds it answered for, as they stood then.",
    "main.risk_at": "Each fund's served risk on a session, one row a fund; the columns are those of latest_risk.",
    "main.exposures_at": (
        "What each fund loads on at its newest month's end at or before a day; the columns are those of latest_exposures."
    ),
    "main.stress_at": (
        "What each fund would lose at the newest month's end at or before a day; the columns are those of latest_stress."
    ),
    "main.explain_score": (
        "One score taken apart, a row a part. kind says what a row is: 1 a measure of a component, 2 a component, 3 the raw "
        "score, 4 a penalty, 5 the final score, 6 a factor of the position, 7 the position. adds_to names the number that "
        "the row's points are a part of: sum(points) by adds_to gives each component's average, raw_score and "
        "final_score; a sum over all rows means nothing, for it counts the steps of one derivation on top of each other. "
        "A component: value is the average of its measures, percentile where that average stands among the session's "
        "members, and score = 50 + 50 * sign(x) * abs(x) ^ (1 / contrast) with x = (percentile - 50) / 50; contrast is "
        "the component's on the session. A penalty: score is its points before the risk category's share, which is its "
        "weight."
    ),
    "meta.ancestry": "The materialisation of that id and everything it was made of, with the number of steps back.",
}


def comments(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """A COMMENT statement for every view, each of its columns, and every macro."""
    for name, view in VIEWS.items():
        yield f"COMMENT ON VIEW {name} IS {quoted(view.doc)}"
        for column in connection.execute(f"SELECT * FROM {name} LIMIT 0").description or ():  # noqa: S608
            yield f'COMMENT ON COLUMN {name}."{column[0]}" IS {quoted(view.comment(column[0]))}'
    for name, doc in MACROS.items():
        yield f"COMMENT ON MACRO TABLE {name} IS {quoted(doc)}"
