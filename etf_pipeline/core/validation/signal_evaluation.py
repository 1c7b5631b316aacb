"""Which signals order funds as their later returns do: by horizon, asset class and year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.validation.diebold_mariano import p_value
from etf_pipeline.core.validation.false_discovery import adjusted_to_date, benjamini_yekutieli
from etf_pipeline.core.validation.forward_return import DELAY
from etf_pipeline.core.validation.information_coefficient import Groups, rank_correlation
from etf_pipeline.core.validation.periods import SCOPES, complete_years
from etf_pipeline.core.validation.quantile_spreads import monotonicity, quantile_series, quantiles_of
from etf_pipeline.core.validation.yearly_mean import yearly_means

HORIZONS = (1, 5, 21, 63)
QUINTILES, DECILES = 5, 10
_TESTED = ("ic", "spread")


@dataclass(frozen=True)
class _Arranged:
    """A signal in the groups' order, and its place among everyone and within its class, by number of quantiles."""

    signal: np.ndarray
    quantiles: dict[int, tuple[np.ndarray, np.ndarray]]


def evaluate_signals(
    signals: Mapping[str, np.ndarray],
    forward: Mapping[int, np.ndarray],
    half_spread: np.ndarray,
    sessions: np.ndarray,
    groups: Groups,
    *,
    delay: int = DELAY,
    level: float = 0.05,
) -> dict[str, np.ndarray]:
    """Rank information coefficients and quantile returns of every signal.

    Parameters
    ----------
    signals : name -> (S, N) float64, higher is better, NaN where a fund is not to be judged.
    forward : horizon -> (S, N) float64 of ``forward_return`` with the same ``delay``.
    half_spread : (S, N) float64, cost of one trade as a fraction of the price (``filled_half_spread``).
    sessions : (S,) datetime64, ascending.
    groups : asset classes of the N funds.
    delay : sessions from signal to trade.
    level : false discovery rate at which a row is ``discovered``.

    Returns
    -------
    Equally long columns, in order of year, scope, signal, horizon and group; a row where there is at least one
    information coefficient. A session belongs to the year in which its outcome was *known*, ``delay + horizon``
    sessions after the signal, so that a row depends on nothing after its year's end; years that are over only.

        * signal, horizon (int32), asset_class, year (int32), scope ("year", or "to_date" for all up to its end);
        * observations : int64, sessions with a coefficient; average_funds : funds in them;
        * mean_ic, ic_standard_deviation, icir (their ratio, of single sessions, not annualised), positive_share;
        * t_value, p_value : of the mean, robust to the overlap of the horizons (``yearly_means``); NaN with fewer than
          30 observations or 5 horizons that do not overlap;
        * adjusted_p_value, discovered : Benjamini-Yekutieli over all rows with a p-value known by then, of all
          signals, horizons, classes, years and scopes. Two-sided: a discovery can be of a signal that misleads;
        * adjusted_p_value_of_scope : the same over the rows of the same year and scope alone. Earlier years' rows to
          date are earlier looks at the same hypotheses; this shows what counting them costs;
        * quantile_observations : sessions with quintiles; quintile_1_return (lowest signals) to quintile_5_return,
          mean forward return over the horizon, not annualised; monotonicity of these;
        * quintile_spread (top less bottom), quintile_spread_t_value (a description: not among the tests adjusted for),
          quintile_cost, quintile_spread_after_costs, top_quintile_turnover (of one portfolio per horizon);
        * decile_spread, decile_spread_after_costs;
        * rank_autocorrelation : mean rank correlation of the signal with itself ``horizon`` sessions before.
    """
    if not signals or not forward:
        raise ValueError("there must be at least one signal and one horizon to evaluate")
    years = complete_years(sessions)
    costs = groups.arrange(half_spread)
    outcomes = {horizon: groups.arrange(panel) for horizon, panel in forward.items()}
    blocks = []
    for name, panel in signals.items():
        arranged = _arrange(groups.arrange(panel), groups.bounds)
        for horizon, outcome in outcomes.items():
            ends = np.maximum(years.end - delay - horizon, 0)
            block = _evaluate(arranged, outcome, costs, groups, ends, horizon)
            p, s, g = np.nonzero(block["observations"] > 0)
            rows = {column: values[p, s, g] for column, values in block.items()}
            rows |= {
                "signal": np.full(len(p), name, dtype=object),
                "horizon": np.full(len(p), horizon, dtype=np.int32),
                "asset_class": groups.names[g],
                "year": years.year[p],
                "scope": SCOPES[s].astype(object),
            }
            blocks.append(rows)
    table = {column: np.concatenate([block[column] for block in blocks]) for column in blocks[0]}
    order = np.lexsort((np.arange(len(table["year"])), table["scope"] == "to_date", table["year"]))
    table = {column: values[order] for column, values in table.items()}
    table["adjusted_p_value"] = adjusted_to_date(table["p_value"], table["year"])
    table["adjusted_p_value_of_scope"] = np.full(len(order), np.nan)
    for scope in SCOPES:
        own = np.flatnonzero(table["scope"] == scope)
        for year in years.year:
            rows_of_year = own[table["year"][own] == year]
            table["adjusted_p_value_of_scope"][rows_of_year] = benjamini_yekutieli(
                table["p_value"][rows_of_year]
            )
    table["discovered"] = table["adjusted_p_value"] <= level
    return table


def _arrange(signal: np.ndarray, bounds: np.ndarray) -> _Arranged:
    quantiles = {
        count: (quantiles_of(signal, bounds[:1], count), quantiles_of(signal, bounds[1:], count))
        for count in (QUINTILES, DECILES)
    }
    return _Arranged(signal, quantiles)


def _evaluate(
    arranged: _Arranged,
    outcome: np.ndarray,
    costs: np.ndarray,
    groups: Groups,
    ends: np.ndarray,
    horizon: int,
) -> dict[str, np.ndarray]:
    """Columns of one signal and horizon as (P, 2, G) arrays."""
    signal, bounds = arranged.signal, groups.bounds
    ic, funds = rank_correlation(signal, outcome, bounds)
    before = np.full(signal.shape, np.nan)
    before[horizon:] = signal[: max(len(signal) - horizon, 0)]
    series: dict[str, np.ndarray] = {
        "ic": ic,
        "average_funds": np.where(np.isnan(ic), np.nan, funds),
        "positive_share": np.where(np.isnan(ic), np.nan, ic > 0),
        "rank_autocorrelation": rank_correlation(signal, before, bounds)[0],
    }
    for count, prefix in ((QUINTILES, "quintile"), (DECILES, "decile")):
        parts = [
            quantile_series(bucket, outcome, costs, edges, count, horizon)
            for bucket, edges in zip(arranged.quantiles[count], (bounds[:1], bounds[1:]), strict=True)
        ]
        spread = np.concatenate([part.spread for part in parts])
        series[f"{prefix}_spread_after_costs"] = np.concatenate([part.spread_after_costs for part in parts])
        if count == QUINTILES:
            series["spread"] = spread
            series["quintile_cost"] = np.concatenate([part.cost for part in parts])
            series["top_quintile_turnover"] = np.concatenate([part.turnover for part in parts])
            mean_return = np.concatenate([part.mean_return for part in parts])
            series |= {f"quintile_{q + 1}_return": mean_return[..., q] for q in range(count)}
        else:
            series["decile_spread"] = spread

    tested = yearly_means(np.concatenate([series.pop(name) for name in _TESTED]), ends, horizon)
    plain = yearly_means(np.concatenate(list(series.values())), ends, 1)
    size = len(bounds)
    columns = {name: plain.mean[..., i * size : (i + 1) * size] for i, name in enumerate(series)}
    own, spreads = slice(0, size), slice(size, None)
    deviation = tested.standard_deviation[..., own]
    icir = np.full(deviation.shape, np.nan)
    np.divide(tested.mean[..., own], deviation, out=icir, where=deviation > 0)
    count_ic = tested.observations[..., own]
    t_value = tested.t_value[..., own]
    quintiles = np.stack([columns[f"quintile_{q + 1}_return"] for q in range(QUINTILES)], axis=-1)
    return columns | {
        "observations": count_ic,
        "mean_ic": tested.mean[..., own],
        "ic_standard_deviation": deviation,
        "icir": icir,
        "t_value": t_value,
        "p_value": p_value(t_value, count_ic, horizon),
        "quantile_observations": tested.observations[..., spreads],
        "quintile_spread": tested.mean[..., spreads],
        "quintile_spread_t_value": tested.t_value[..., spreads],
        "monotonicity": monotonicity(quintiles),
    }
