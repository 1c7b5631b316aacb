"""Funds and accounts of one month's end in every scenario, by what was known then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from etf_pipeline.core.attribution.stress import (
    FACTORS,
    Exposures,
    FactorPath,
    Losses,
    Window,
    correlations_to_one,
    exposure_covariance,
    fund_losses,
    hypothetical_paths,
    portfolio_losses,
    realised_returns,
    replay_paths,
    reverse_stress,
    window_rows,
)
from etf_pipeline.core.attribution.stress.factors import IS_RETURN
from etf_pipeline.core.validation.performance import SESSIONS_A_YEAR
from etf_pipeline.defs.attribution.stress_scene import LEVELS, Scene
from etf_pipeline.defs.validation.backtest import together


def month_losses(
    scene: Scene, row: int, exposures: Exposures, inflation: np.ndarray, left_out: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    """Losses of funds and accounts at one month's end; None where nothing has exposures yet."""
    sure = np.isfinite(exposures.loadings).all(axis=1) & scene.alive(row)
    funds = np.flatnonzero(sure)
    if not len(funds):
        return None
    labels, paths = _paths(scene, row, left_out)
    if not paths:
        return None
    own = Exposures(
        exposures.loadings[funds], exposures.loading_covariance[funds], exposures.residual_variance[funds]
    )
    losses = fund_losses(own, paths, levels=LEVELS, inflation=inflation)
    realised = _realised(scene, row, labels, funds)
    served = np.where(np.isfinite(realised), realised, losses.total_return)
    day = scene.panel.sessions[row].astype("datetime64[s]")
    fund_frame = _frame(labels, losses, {"ticker": scene.panel.tickers[funds]}).assign(
        session=day, realised_return=realised.ravel(), served_return=served.ravel()
    )
    # An account of which nothing has exposures has no loss, rather than one of 0.
    held = {name: weight[row] for name, weight in scene.weight.items() if weight[row, funds].any()}
    if not held:
        nothing = [
            together([], f"attribution.{name}")
            for name in ("portfolio_stress", "reverse_stress", "portfolio_fragility")
        ]
        return fund_frame, nothing[0], nothing[1], nothing[2]
    weights = np.array([weight[funds] for weight in held.values()])
    account = portfolio_losses(losses, own, paths, weights, levels=LEVELS, inflation=inflation)
    # Of what is held, and no zeros beside it: a sum that funds listed later cannot change.
    gross = np.array([np.abs(weight[weight != 0.0]).sum() for weight in held.values()])
    covered = np.abs(weights).sum(axis=1) / gross
    account_frame = _frame(labels, account, {"strategy": np.array(list(held), dtype=object)}).assign(
        session=day,
        # A fund at a time, in order: a sum that other funds beside it cannot change.
        served_return=_in_order(served, weights).ravel(),
        covered_weight=np.tile(covered, len(paths)),
    )
    return fund_frame, account_frame, *_accounts(scene, row, own, held, weights, covered)


def _paths(
    scene: Scene, row: int, left_out: dict[str, str]
) -> tuple[list[tuple[str, str, str]], list[FactorPath]]:
    """Labels (kind, scenario, others) and paths of every scenario that can be put at the row."""
    market, settings = scene.market, scene.pipeline.settings.attribution
    covariance = market.covariance(row, settings.stress_window)
    at = market.offset + row
    known = {name for k, name in enumerate(FACTORS) if market.available[at, k]}
    replays, why = replay_paths(
        {
            name: (np.datetime64(one.start), np.datetime64(one.end))
            for name, one in scene.scenarios.replay.items()
        },
        market.sessions,
        market.moves,
        covariance,
        at,
        shift=market.shift,
    )
    left_out |= why
    wanted = {}
    levels = {name: float(market.levels[at, k]) for k, name in enumerate(FACTORS)}
    for name, one in scene.scenarios.hypothetical.items():
        missing = sorted(set(one.shocks) - known)
        if missing:
            left_out[name] = f"{', '.join(missing)} is not among the reference series at this session"
            continue
        try:
            wanted[name] = (one.moves(levels), one.horizon_sessions)
        except ValueError as error:
            left_out[name] = str(error)
    for name in {one.name for one in replays} | set(wanted):
        left_out.pop(name, None)
    paths = [*replays, *hypothetical_paths(wanted, covariance)]
    return [(one.kind, one.name, one.others) for one in paths], [one.path for one in paths]


def _in_order(served: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C, P) returns of portfolios (P, N) in scenarios (C, N)."""
    out = np.zeros((len(served), len(weights)))
    for j in range(weights.shape[1]):
        out += np.nan_to_num(served[:, j])[:, None] * weights[:, j]
    return out


def _frame(
    labels: Sequence[tuple[str, str, str]], losses: Losses, names: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """One row a scenario and fund (or account)."""
    count = losses.total_return.shape[1]
    kinds, scenarios, others = (
        np.repeat(np.array(column, dtype=object), count) for column in zip(*labels, strict=True)
    )
    data: dict[str, object] = {
        **{name: np.tile(values.astype(object), len(labels)) for name, values in names.items()},
        "kind": kinds,
        "scenario": scenarios,
        "others": others,
        "total_return": losses.total_return.ravel(),
        "low_80": losses.low[0].ravel(),
        "high_80": losses.high[0].ravel(),
        "low_95": losses.low[1].ravel(),
        "high_95": losses.high[1].ravel(),
    }
    data |= {f"from_{name}": losses.contribution[..., k].ravel() for k, name in enumerate(FACTORS)}
    return pd.DataFrame(data)


def _realised(
    scene: Scene, row: int, labels: Sequence[tuple[str, str, str]], funds: np.ndarray
) -> np.ndarray:
    """(C, n) what the funds returned in the replays by their own prices; NaN elsewhere."""
    out = np.full((len(labels), len(funds)), np.nan)
    days = scene.panel.sessions[: row + 1]
    for c, (kind, name, _) in enumerate(labels):
        if kind != "replay":
            continue
        one = scene.scenarios.replay[name]
        window = window_rows(days, np.datetime64(one.start), np.datetime64(one.end), shift=scene.market.shift)
        if window is not None:
            inside = slice(window.first, window.last + 1)
            own = Window(0, window.last - window.first, window.known_from - window.first)
            out[c] = realised_returns(
                scene.panel.total_return[inside, funds], scene.accepted[inside, funds], own
            )[0]
    return out


def _accounts(
    scene: Scene,
    row: int,
    own: Exposures,
    held: Mapping[str, np.ndarray],
    weights: np.ndarray,
    covered: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reverse stress and correlations at one, of each account."""
    covariance = scene.market.covariance(row, scene.pipeline.settings.attribution.stress_window)
    reverse, fragile = [], []
    for strategy, weight, share in zip(held, weights, covered, strict=True):
        at = np.flatnonzero(weight)
        if not len(at):
            continue
        w = weight[at]
        loadings, residual = own.loadings[at], own.residual_variance[at]
        together_ = exposure_covariance(loadings, covariance, residual)
        label = {"strategy": strategy, "session": scene.panel.sessions[row].astype("datetime64[s]")}
        for name, wanted in scene.scenarios.reverse.items():
            if not float(w @ together_ @ w) > 0:
                continue
            found = reverse_stress(
                w, loadings, covariance, residual, loss=wanted.loss, horizon=wanted.horizon_sessions,
                degrees_of_freedom=wanted.degrees_of_freedom,
            )  # fmt: skip
            known = scene.market.available[scene.market.offset + row]
            moves = np.where(IS_RETURN, np.expm1(found.moves), found.moves)
            reverse.append(
                {
                    **label,
                    "scenario": name,
                    "loss": wanted.loss,
                    "horizon_sessions": np.int32(wanted.horizon_sessions),
                    **{factor: moves[k] if known[k] else np.nan for k, factor in enumerate(FACTORS)},
                    "specific": found.contribution[-1],
                    "distance": found.distance,
                    "probability_normal": found.probability_normal,
                    "probability_student_t": found.probability_t,
                }
            )
        for name, one in scene.scenarios.correlation.items():
            result = correlations_to_one(
                w, together_, horizon=one.horizon_sessions, confidence=one.confidence
            )
            year = np.sqrt(SESSIONS_A_YEAR)
            fragile.append(
                {
                    **label,
                    "scenario": name,
                    "volatility_annualised": year * result.volatility,
                    "volatility_same_sign_annualised": year * result.volatility_same_sign,
                    "volatility_worst_annualised": year * result.volatility_worst,
                    "diversification": result.diversification,
                    "loss": result.loss,
                    "loss_worst": result.loss_worst,
                    "covered_weight": share,
                }
            )
    return pd.DataFrame(reverse), pd.DataFrame(fragile)
