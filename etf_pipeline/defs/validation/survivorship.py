"""What forgetting dead funds, or trusting young ones, would have added to the record."""

from collections.abc import Iterator, Mapping

import dagster as dg
import numpy as np
import pandas as pd

from etf_pipeline.core.market.calendar import year_after
from etf_pipeline.core.market.long import from_long_column
from etf_pipeline.core.validation.information_coefficient import fund_groups
from etf_pipeline.core.validation.listing_bias import LISTING_BIASES, listing_bias
from etf_pipeline.core.validation.periods import SCOPES
from etf_pipeline.core.validation.survivorship import survivorship_bias
from etf_pipeline.defs.resources import PipelineResource
from etf_pipeline.defs.table_asset import table_out
from etf_pipeline.defs.validation.backtest import together
from etf_pipeline.defs.validation.trading import trading
from etf_pipeline.plots import markdown_table
from etf_pipeline.storage.panels import read_classes, read_facts

COMPARISONS = ("survivors_less_all", "dead_less_all")
INTERVALS = {
    "annual_return_difference": ("difference", 0), "difference_lower": ("lower", 0), "difference_upper": ("upper", 0),
    "sharpe_difference": ("difference", 1), "sharpe_difference_lower": ("lower", 1),
    "sharpe_difference_upper": ("upper", 1),
}  # fmt: skip


@dg.multi_asset(
    outs={
        "survivorship": table_out("validation.survivorship", "What forgetting dead funds would have added."),
        "listing_bias": table_out(
            "validation.listing_bias", "Do funds look better when young, or before listing?"
        ),
    },
    ins={
        name: dg.AssetIn(table.split("."))
        for name, table in {
            "bars": "market.bars",
            "sessions": "market.sessions",
            "returns": "market.total_return",
            "universe": "market.universe",
            "liquidity": "risk.liquidity",
            "volatility": "risk.volatility",
            "ranking": "scoring.composite_ranking",
            "daily": "validation.backtest_daily",
        }.items()
    },
    deps=[dg.AssetKey(["raw", "listings"]), dg.AssetKey(["raw", "reference_series"])],
    name="survivorship_judgement",
    pool="warehouse",
)
def survivorship_judgement(
    bars: pd.DataFrame,
    sessions: pd.DataFrame,
    returns: pd.DataFrame,
    universe: pd.DataFrame,
    liquidity: pd.DataFrame,
    volatility: pd.DataFrame,
    ranking: pd.DataFrame,
    daily: pd.DataFrame,
    pipeline: PipelineResource,
) -> Iterator[dg.Output[pd.DataFrame]]:
    """Run the strategy among all funds of the day, among survivors and among the dead; compare young funds with old."""
    settings = pipeline.settings.backtest
    made = trading(bars, sessions, universe, liquidity, volatility, pipeline)
    market = made.market
    classes, names, _ = read_classes(pipeline.warehouse, market.tickers)
    groups = fund_groups(classes, names)
    decided = _decided(daily, market.sessions, settings.delay, settings.months)
    rank = np.nan_to_num(from_long_column(ranking, "rank", market.sessions, market.tickers)).astype(np.int64)
    found = survivorship_bias(
        market, rank[decided], decided, groups, top=settings.top, keep=settings.keep, delay=settings.delay,
        account=made.rules, gone=made.gone, seed=settings.seed,
    )  # fmt: skip
    frames = []
    for b, comparison in enumerate(COMPARISONS):
        columns = {name: getattr(found, part)[:, :, :, b, m] for name, (part, m) in INTERVALS.items()}
        columns |= {
            "funds": found.funds[..., 0],
            "dead_funds": found.funds[..., 2],
            "sessions": found.sessions[..., b],
            "mean_rank_difference": -found.difference[..., b, 2],
        }
        frames.append(_rows(comparison, found.year, found.group, columns, market.sessions))
    table = together(frames, "validation.survivorship")
    newest = table[
        (table["scope"] == "to_date")
        & (table["year"] == table["year"].max())
        & (table["asset_class"] == "all")
    ]
    yield dg.Output(
        table,
        "survivorship",
        metadata={
            "to_date": dg.MetadataValue.md(
                markdown_table(newest[["comparison", "funds", "dead_funds", "annual_return_difference",
                                       "difference_lower", "difference_upper", "sharpe_difference"]])
            )
        },
    )  # fmt: skip
    facts = read_facts(pipeline.warehouse)[0].set_index("ticker").reindex(market.tickers)
    total = from_long_column(returns, "total_return", market.sessions, market.tickers)
    bias = listing_bias(
        total, market.sessions, facts["listed_on"].to_numpy(dtype="datetime64[D]"), groups, seed=settings.seed
    )
    frames = []
    for b, comparison in enumerate(LISTING_BIASES):
        columns = {name: getattr(bias, part)[:, :, :, b, m] for name, (part, m) in INTERVALS.items()}
        columns |= {
            "early_funds": bias.funds[..., b, 0],
            "late_funds": bias.funds[..., b, 1],
            "sessions": bias.sessions[..., b],
        }
        frames.append(_rows(str(comparison), bias.year, bias.group, columns, market.sessions))
    yield dg.Output(together(frames, "validation.listing_bias"), "listing_bias")


def _decided(daily: pd.DataFrame, sessions: np.ndarray, delay: int, months: int) -> np.ndarray:
    """Rows at whose closes the strategy decided: from its first on."""
    from etf_pipeline.core.validation.backtest import every

    own = daily.loc[daily["strategy"] == "top_ranked", "session"]
    if own.empty:
        return np.empty(0, dtype=np.int64)
    first = int(np.searchsorted(sessions, own.min().to_datetime64().astype("datetime64[D]"))) - delay
    rows = every(sessions, months)
    return rows[rows >= first]


def _rows(
    comparison: str,
    year: np.ndarray,
    group: np.ndarray,
    columns: Mapping[str, np.ndarray],
    sessions: np.ndarray,
) -> pd.DataFrame:
    """(P, scopes, G) arrays as rows; those of groups without a session in common are left out."""
    shape = (len(year), len(SCOPES), len(group))
    p, s, g = (axis.ravel() for axis in np.indices(shape))
    frame = pd.DataFrame(
        {
            "comparison": comparison, "asset_class": np.asarray(group, dtype=object)[g], "year": year[p],
            "scope": SCOPES[s].astype(object), "session": year_after(sessions, year[p]),
            **{name: np.asarray(values).reshape(shape)[p, s, g] for name, values in columns.items()},
        }
    )  # fmt: skip
    counts = [
        name for name in ("funds", "dead_funds", "early_funds", "late_funds", "sessions") if name in frame
    ]
    return frame[frame["sessions"] > 0].astype(dict.fromkeys(counts, "int32"))
