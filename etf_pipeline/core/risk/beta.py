"""Market beta by least squares: rolling, exponentially weighted, and on falling markets only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.parallel import over_columns
from etf_pipeline.core.risk.beta_kernels import downside_moments, ewma_moments, hac_errors, rolling_ols
from etf_pipeline.core.risk.paired_returns import PairedReturns, pair_returns


@dataclass(frozen=True)
class BetaPanel:
    """Regression of each fund on the benchmark, per session.

    Attributes
    ----------
    beta : (S, N) float64, slope.
    alpha : (S, N) float64, intercept, simple return a session.
    correlation : (S, N) float64; NaN for a fund whose price did not move.
    standard_error : (S, N) float64, of the slope, from the classical formula.
    observations : (S, N) int32, common one-session returns in the window.
    """

    beta: np.ndarray
    alpha: np.ndarray
    correlation: np.ndarray
    standard_error: np.ndarray
    observations: np.ndarray


def rolling_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    window: int = 252,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
) -> BetaPanel:
    """Slope of fund returns on benchmark returns over the last ``window`` sessions.

    Only sessions on which fund and benchmark both have a known one-session return enter: a return over
    several sessions has no partner of the same length.

    Parameters
    ----------
    total_return : (S, N) float64, simple returns, NaN where unknown.
    sessions_spanned : (S, N) int.
    benchmark_return, benchmark_spanned : of the market's fund or index on the same sessions, (S,); or (S, N),
        each fund against a benchmark of its own.
    window : sessions.
    min_observations : common returns needed, at least 3.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    BetaPanel. NaN (but for ``observations``) where there are too few common returns, the benchmark did
    not move, or the fund's last bar is too long ago. A fund that did not move has beta zero.

    Notes
    -----
    Each window is the tail of one block of ``window`` sessions and the head of the next, so sums are only
    ever added, never subtracted: a large return that has left the window leaves no trace.
    """
    _check(window, min_observations)
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    out, observations = _rolling(p, window, min_observations)
    return _panel(out, observations)


def hac_standard_error(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    window: int = 252,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
    lags: int = 5,
) -> np.ndarray:
    """Newey-West standard error of the slope of ``rolling_beta`` under the same options.

    The residual of a fund whose assets trade in other hours is correlated with its own past and its
    variance moves with the market's: the classical error is then too small. With the scores
    ``h_i = (x_i - mean x) e_i`` of the n common returns in the window,

    ``variance = n / (n - 2) (sum_i h_i**2 + 2 sum_l (1 - l / (lags + 1)) sum_i h_i h_{i-l}) / Sxx**2``.

    Parameters
    ----------
    total_return, sessions_spanned, benchmark_return, benchmark_spanned : as for ``rolling_beta``.
    window, min_observations, max_stale_sessions : as for ``rolling_beta``.
    lags : of the Bartlett kernel. The default of a trading week is the rule of thumb
        ``4 (n / 100) ** (2 / 9)`` of Newey and West (1994) at 252 observations (4.9), rounded up. 0 gives
        White's error, robust to changing variance alone.

    Returns
    -------
    (S, N) float64, NaN where ``rolling_beta`` has no estimate.

    Notes
    -----
    Lags count common observations, not sessions, where returns are missing ("equal spacing", Datta and Du
    2012, Nonparametric HAC estimation for time series data with missing observations). Newey and West (1987),
    Econometrica 55, 703-708.
    """
    _check(window, min_observations)
    if lags < 0:
        raise ValueError(f"lags must be 0 or more, not {lags}")
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    (beta, alpha, *_), _ = _rolling(p, window, min_observations)
    error = np.full(p.fund.shape, np.nan)

    def work(funds: np.ndarray) -> None:
        hac_errors(funds, p.fund, p.benchmark, p.usable, beta, alpha, window, lags, error)

    over_columns(work, p.fund.shape[1], p.usable.sum(axis=0))
    return error


def ewma_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    half_life: float = 63.0,
    min_observations: int = 126,
    max_stale_sessions: int = 5,
) -> BetaPanel:
    """Slope by least squares under weights that halve every ``half_life`` sessions.

    Parameters
    ----------
    total_return, sessions_spanned, benchmark_return, benchmark_spanned : as for ``rolling_beta``.
    half_life : sessions, positive. Infinite weighs the whole past alike: the expanding regression, here the
        "static" beta that the others are judged against.
    min_observations : common returns needed since the first, at least 3.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    BetaPanel; ``observations`` counts all common returns so far. NaN as for ``rolling_beta``.

    Notes
    -----
    The standard error takes the residuals as independent, of one variance, and counts
    ``(sum w)**2 / sum w**2`` observations for its degrees of freedom; it is NaN where those do not exceed 2.
    A session without a common return ages the weights and adds nothing.
    """
    if not half_life > 0:
        raise ValueError(f"half_life must be positive, not {half_life}")
    _check(min_observations, min_observations)
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    out, observations = _empty(p)
    decay = 0.5 ** (1.0 / half_life)

    def work(funds: np.ndarray) -> None:
        ewma_moments(
            funds, p.fund, p.benchmark, p.usable, p.serves, decay, min_observations, out, observations
        )

    over_columns(work, p.fund.shape[1])
    return _panel(out, observations)


def downside_beta(
    total_return: np.ndarray,
    sessions_spanned: np.ndarray,
    benchmark_return: np.ndarray,
    benchmark_spanned: np.ndarray,
    *,
    window: int = 252,
    min_observations: int = 50,
    max_stale_sessions: int = 5,
) -> BetaPanel:
    """Slope over the sessions on which the benchmark returned less than its mean in the window.

    ``cov(r, r_m | r_m < mean r_m) / var(r_m | r_m < mean r_m)``, mean and moments over the fund's common
    returns in the last ``window`` sessions.

    Parameters
    ----------
    total_return, sessions_spanned, benchmark_return, benchmark_spanned : as for ``rolling_beta``.
    window : sessions.
    min_observations : common returns below the mean that are needed, at least 3.
    max_stale_sessions : the estimate stands for this many sessions without a bar of the fund.

    Returns
    -------
    BetaPanel of the regression on these sessions; ``observations`` counts them. NaN as for ``rolling_beta``.

    Notes
    -----
    Bawa and Lindenberg (1977), Journal of Financial Economics 5, 189-200; Ang, Chen and Xing (2006), Review of
    Financial Studies 19, 1191-1239, equation 5, here with total rather than excess returns: at daily horizon
    the riskless rate moves neither the mean's side nor the moments noticeably.
    """
    _check(window, min_observations)
    p = pair_returns(total_return, sessions_spanned, benchmark_return, benchmark_spanned, max_stale_sessions)
    out, observations = _empty(p)

    def work(funds: np.ndarray) -> None:
        downside_moments(
            funds, p.fund, p.benchmark, p.usable, p.serves, window, min_observations, out, observations
        )

    over_columns(work, p.fund.shape[1], p.usable.sum(axis=0))
    return _panel(out, observations)


def _check(window: int, min_observations: int) -> None:
    if min_observations < 3 or window < min_observations:
        raise ValueError(f"3 <= min_observations ({min_observations}) <= window ({window}) must hold")


def _rolling(p: PairedReturns, window: int, min_observations: int) -> tuple[np.ndarray, np.ndarray]:
    out, observations = _empty(p)

    def work(funds: np.ndarray) -> None:
        rolling_ols(
            funds, p.fund, p.benchmark, p.usable, p.serves, window, min_observations, out, observations
        )

    over_columns(work, p.fund.shape[1])
    return out, observations


def _panel(out: np.ndarray, observations: np.ndarray) -> BetaPanel:
    beta, alpha, correlation, error = out
    return BetaPanel(beta, alpha, correlation, error, observations)


def _empty(p: PairedReturns) -> tuple[np.ndarray, np.ndarray]:
    """Panels for beta, alpha, correlation and error, and for the observations."""
    return np.full((4, *p.fund.shape), np.nan), np.zeros(p.fund.shape, dtype=np.int32)


def ols_reference(y: np.ndarray, x: np.ndarray) -> tuple[float, float, float, float]:
    """Slope, intercept, correlation and the slope's standard error of one window, from centred data.

    Parameters
    ----------
    y, x : (K,) float64 without NaN, K >= 3, x not constant.
    """
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual = dy - slope * dx
    error = float(np.sqrt(residual @ residual / (len(x) - 2) / (dx @ dx)))
    moved = float(dy @ dy)
    correlation = float(dx @ dy / np.sqrt(dx @ dx * moved)) if moved > 0 else float("nan")
    return slope, float(y.mean() - slope * x.mean()), correlation, error
