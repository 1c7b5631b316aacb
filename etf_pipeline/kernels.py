"""Compiling the numeric kernels ahead of their first use.

python -m etf_pipeline.kernels
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from etf_pipeline.kernel_cache import cache_folder

if TYPE_CHECKING:
    import numpy as np

_MARK = "complete"


def is_compiled() -> bool:
    """Whether ``compile_kernels`` has finished for this version of the code."""
    return (cache_folder() / _MARK).exists()


def compile_kernels(tell: Callable[[str], None] | None = None) -> None:
    """Compile what the pipeline runs, on all processors; does nothing where that has been done before.

    In processes, because compilation holds the interpreter's lock. ``tell`` is called with a line if there is work to do.
    Parts that fail leave their kernels to be compiled when they are first used.
    """
    if is_compiled():
        return
    if tell:
        tell("compiling the numeric kernels, once for this version: about half a minute")
    # A process of its own: this one may have threads, and what it starts from must be importable.
    code = subprocess.call([sys.executable, "-m", "etf_pipeline.kernels", *PARTS])  # noqa: S603
    if code == 0:
        cache_folder().mkdir(parents=True, exist_ok=True)
        (cache_folder() / _MARK).touch()


def _returns(sessions: int = 700, funds: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, sessions spanned and days of an invented market: something for the kernels to run on."""
    import numpy as np

    draws = np.random.default_rng(0).standard_t(5, (sessions, funds))
    days = np.datetime64("2020-01-01") + np.arange(sessions)
    return 0.01 * draws, np.ones(draws.shape, dtype=np.int64), days


def _quality() -> None:
    import numpy as np

    from etf_pipeline.core.market.quality import QualityRules
    from etf_pipeline.core.market.quality.codes import E_WIDTH
    from etf_pipeline.core.market.quality.judge import level_parameters
    from etf_pipeline.core.market.quality.levels import walk
    from etf_pipeline.core.market.quality.transitions import EVENTS_PER_BAR

    one, yes, no = np.ones(100), np.ones(100, dtype=bool), np.zeros(100, dtype=bool)
    events = np.zeros((EVENTS_PER_BAR * len(one), E_WIDTH))
    walk(
        one, one, yes, no, no, one, 0.0 * one, one, one, one, one, no, level_parameters(QualityRules()),
        yes.copy(), yes.copy(), one.copy(), no.copy(), events,
    )  # fmt: skip


def _volatility() -> None:
    from etf_pipeline.core.risk import walk_forward

    returns, spanned, days = _returns()
    walk_forward(returns, spanned, days)


def _beta() -> None:
    import numpy as np

    from etf_pipeline.core.market.calendar import month_starts
    from etf_pipeline.core.risk import (
        class_return,
        dimson_beta,
        downside_beta,
        ewma_beta,
        hac_standard_error,
        kalman_beta,
        rolling_beta,
        shrunk_beta,
        walk_forward_regimes,
    )
    from etf_pipeline.core.validation.hedging import hedging_error, judge_hedges

    returns, spanned, days = _returns()
    class_return(
        returns, spanned, np.ones(returns.shape, dtype=bool), np.zeros(returns.shape[1], dtype=np.int64)
    )
    for market in (returns[:, 0], np.roll(returns, 1, axis=1)):
        pair = (returns, spanned, market, np.ones(market.shape, dtype=np.int64))
        beta = rolling_beta(*pair)
        shrunk_beta(beta.beta, hac_standard_error(*pair), np.zeros(returns.shape[1], dtype=np.int64))
        ewma_beta(*pair)
        downside_beta(*pair)
        dimson_beta(*pair)
        kalman_beta(*pair, month_starts(days))
        errors = {name: hedging_error(*pair, beta.beta) for name in ("static", "rolling")}
        judge_hedges(errors, days)
    walk_forward_regimes(returns[:, 0], spanned[:, 0], days)


def _tails_and_liquidity() -> None:
    import numpy as np

    from etf_pipeline.core.risk import (
        drawdowns,
        liquidity,
        range_volatility,
        risk_category,
        spread_estimates,
        tail_risk,
    )
    from etf_pipeline.core.validation.value_at_risk import evaluate_value_at_risk
    from etf_pipeline.core.validation.volatility_forecast import (
        evaluate_volatility_forecasts,
        rolling_variance,
    )

    returns, spanned, days = _returns()
    constant, none = np.full(returns.shape, 0.01), np.zeros(returns.shape[1], dtype=bool)
    tail = tail_risk(returns, spanned, constant, days)
    drawdowns(returns, spanned)
    risk_category(constant, tail.historical.cvar_95_annualised, -constant, none)
    close = 10.0 * np.cumprod(1.0 + returns, axis=0)
    ones, accepted = np.ones(close.shape), np.ones(close.shape, dtype=bool)
    bars = (close, 1.01 * close, 0.99 * close, close, accepted, ones, ones, 0.0 * ones)
    spread_estimates(*bars, basis="as_traded")
    range_volatility(*bars, basis="as_traded")
    liquidity(close, ones, accepted, returns, spanned, ones, ones, basis="as_traded")
    rolling_variance(returns, spanned, window=63, min_observations=31)
    forecasts = dict.fromkeys(("ewma", "rolling_63", "rolling_252", "other"), constant)
    evaluate_volatility_forecasts(returns, spanned, days, forecasts, 1)
    evaluate_value_at_risk(returns, spanned, days, {0.95: (-constant, -2.0 * constant)})


def _signals() -> None:
    import numpy as np

    from etf_pipeline.core.market.calendar import month_starts
    from etf_pipeline.core.signals import (
        divergence,
        hull_trend,
        local_linear_trend,
        momentum,
        on_balance_volume,
        trading,
        volume_spike,
    )

    returns, spanned, days = _returns()
    momentum(returns, spanned)
    local_linear_trend(returns, spanned, month_starts(days))
    hull_trend(returns, spanned)
    divergence(returns, spanned)
    close, ones = 10.0 * np.cumprod(1.0 + returns, axis=0), np.ones(returns.shape)
    trades = trading(close, 100.0 * close, ones == 1.0, ones, ones, basis="as_traded")
    volume_spike(trades)
    on_balance_volume(returns, trades)


def _evaluation() -> None:
    import numpy as np

    from etf_pipeline.core.scoring.components import COMPONENTS
    from etf_pipeline.core.scoring.rank_uncertainty import ResampleRules, rank_uncertainty
    from etf_pipeline.core.scoring.rules import PeerRules
    from etf_pipeline.core.validation.forward_return import forward_return
    from etf_pipeline.core.validation.information_coefficient import fund_groups
    from etf_pipeline.core.validation.signal_evaluation import evaluate_signals

    returns, spanned, days = _returns(funds=24)
    groups = fund_groups(np.zeros(returns.shape[1], dtype=np.int64), np.array(["equity"], dtype=object))
    forward = {5: forward_return(returns, spanned, 5)}
    evaluate_signals({"return": returns}, forward, np.full(returns.shape, 0.001), days, groups)
    rank = np.broadcast_to(np.arange(1, returns.shape[1] + 1), returns.shape)
    scores = dict.fromkeys(COMPONENTS, 50.0 + returns)
    rank_uncertainty(
        returns, returns[:, 0], returns, scores, scores, 0.0 * returns, rank, days, np.array([600]), groups,
        peers=PeerRules(share=0.5, shrinkage=10.0, least=5), rules=ResampleRules(draws=2),
    )  # fmt: skip


def _weights() -> None:
    import numpy as np

    from etf_pipeline.core.scoring.adaptive_weights import adaptive_weights
    from etf_pipeline.core.validation.composite_performance import complete_months, monthly_spread_after_costs
    from etf_pipeline.core.validation.superior_predictive_ability import superior_predictive_ability

    returns, spanned, days = _returns(funds=12)
    regimes = np.full((len(days), 3), 1 / 3)
    adaptive_weights({"momentum": returns}, returns, spanned, regimes, days, {"momentum": 0.5, "risk": 0.5})
    months = complete_months(returns, spanned, days)
    monthly_spread_after_costs(returns, months, np.full(returns.shape, 0.001))
    superior_predictive_ability(returns[:, 0], replications=10)


def _significance() -> None:
    from etf_pipeline.core.validation.effective_trials import effective_trials
    from etf_pipeline.core.validation.factor_alpha import factor_alphas
    from etf_pipeline.core.validation.overfitting import probability_of_backtest_overfitting
    from etf_pipeline.core.validation.sharpe_difference import resampled_sharpe_difference, sharpe_difference

    returns = _returns()[0]
    sharpe_difference(returns[:, 0], returns[:, 1], replications=10)
    resampled_sharpe_difference(returns[:, 0], returns[:, 1], 5.0, 10, seed=0)
    probability_of_backtest_overfitting(returns, blocks=4)
    effective_trials(returns)
    factor_alphas(returns, returns[:, :0], replications=10)


def _backtest() -> None:
    import numpy as np

    from etf_pipeline.core.portfolio.costs import TradingCosts
    from etf_pipeline.core.validation.backtest import backtest, best_ranked, month_ends, trading_market
    from etf_pipeline.core.validation.parameter_stability import stability
    from etf_pipeline.core.validation.parameter_sweep import rank_by_score, ranking_inputs
    from etf_pipeline.core.validation.random_portfolios import random_portfolios

    returns, _, days = _returns()
    close, ones = 10.0 * np.cumprod(1.0 + returns, axis=0), np.ones(returns.shape)
    tickers, none = np.array(["A", "B", "C"]), ones < 0
    costs = TradingCosts(0.001 * ones, 1e-6 * ones)
    market = trading_market(
        days, tickers, close, close, ~none, ones, ones, 0.0 * ones, none, costs, basis="as_traded"
    )
    rows = month_ends(days)
    rank = np.broadcast_to(np.arange(1, 4), returns.shape)
    backtest(market, best_ranked(rank, rows, top=2))
    drawn = random_portfolios(market, rank[rows], rows, top=2, draws=2)
    stability(drawn.returns, np.array([[1], [0]]))
    scores = {"momentum": 50.0 + returns[rows]}
    inputs = ranking_inputs(rows, scores, ones[rows] > 0, rank[rows] - 1, 0.0, ones[rows], tickers)
    rank_by_score(
        inputs.scores, inputs.category, inputs.penalty, inputs.rankable, inputs.tie_order, np.ones((3, 4)), True,
        np.zeros(inputs.rankable.shape, dtype=np.int64),
    )  # fmt: skip


def _attribution() -> None:
    import numpy as np

    from etf_pipeline.core.attribution.factor_regression import factor_regression
    from etf_pipeline.core.attribution.rolling_exposure import rolling_exposure
    from etf_pipeline.core.attribution.shrinkage import shrunk_loadings
    from etf_pipeline.core.attribution.stress import (
        ewma_parameters,
        filter_returns,
        fit_exposures,
        joint_residuals,
        path_loss,
        simulate_returns,
    )
    from etf_pipeline.core.attribution.style_analysis import style_analysis

    returns, spanned, days = _returns(funds=8)
    factors = returns[:, :3]
    rolling_exposure(returns, spanned, factors)
    fit = factor_regression(returns, spanned, factors, np.array([len(days) - 1]))
    shrunk_loadings(fit.loading, fit.standard_error, np.zeros(8, dtype=np.int64))
    style_analysis(returns[:, 0], returns[:, 1:4])
    moves = returns[:, :6]
    path_loss(np.ones((2, 6)), moves)
    fit_exposures(returns, moves, np.ones(len(days), dtype=bool))
    parameters = ewma_parameters(2)
    filtered = filter_returns(returns[:, :2], parameters)
    residuals = joint_residuals(filtered.standardised, returns[:, 2:3])
    simulate_returns(residuals, filtered.variance, parameters, paths=2)


def _forecast() -> None:
    import numpy as np

    from etf_pipeline.core.signals.forecast.boosting import boost
    from etf_pipeline.core.signals.forecast.features import causal_score, cross_sectional_rank

    returns = _returns()[0]
    cross_sectional_rank(returns, np.ones(returns.shape, dtype=bool))
    causal_score(returns[:, 0])
    binned = np.zeros((10, 2), dtype=np.uint8)
    boost(binned, np.zeros(10), np.ones(10), binned, 1, 0.1, 2, 1)


PARTS: dict[str, Callable[[], None]] = {
    "volatility": _volatility,
    "tails_and_liquidity": _tails_and_liquidity,
    "quality": _quality,
    "beta": _beta,
    "attribution": _attribution,
    "forecast": _forecast,
    "evaluation": _evaluation,
    "signals": _signals,
    "weights": _weights,
    "significance": _significance,
    "backtest": _backtest,
}
"""What is compiled side by side; the longest first."""


_LIBRARIES = [
    "etf_pipeline.core.attribution.stress",
    "etf_pipeline.core.risk",
    "etf_pipeline.core.scoring.rank_uncertainty",
    "etf_pipeline.core.signals",
    "etf_pipeline.core.signals.forecast.boosting",
    "etf_pipeline.core.validation.signal_evaluation",
]


def _compile(name: str) -> None:
    PARTS[name]()


def _side_by_side(names: Sequence[str]) -> None:
    """Compile the named parts on all processors, in processes that import the libraries once between them."""
    if len(names) == 1:
        _compile(names[0])
        return
    server = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        server.set_forkserver_preload(_LIBRARIES)
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(names)), mp_context=server) as pool:
        list(pool.map(_compile, names))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(arguments: Sequence[str]) -> None:
    """Compile the named parts; without names whatever is missing."""
    if arguments:
        _side_by_side(arguments)
    else:
        compile_kernels(_say)


if __name__ == "__main__":
    main(sys.argv[1:])
