"""All scenarios of a session as paths, with the reason where one cannot be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from etf_pipeline.core.attribution.stress.replay import window_rows
from etf_pipeline.core.attribution.stress.scenarios import FactorPath, hypothetical_path, replay_path

OTHERS = ("conditional", "unchanged")


@dataclass(frozen=True)
class NamedPath:
    """One scenario at a session.

    Attributes
    ----------
    kind : "replay" or "hypothetical".
    name : of the scenario.
    others : how factors move that it does not name, "conditional" or "unchanged"; of a replay, "conditional".
    path : FactorPath.
    """

    kind: str
    name: str
    others: str
    path: FactorPath


def replay_paths(
    replays: Mapping[str, tuple[np.datetime64, np.datetime64]],
    sessions: np.ndarray,
    factor_moves: np.ndarray,
    covariance: np.ndarray,
    at: int,
    *,
    shift: int = 0,
) -> tuple[list[NamedPath], dict[str, str]]:
    """Windows that are history at a session.

    Parameters
    ----------
    replays : name to start and end.
    sessions : (S,) datetime64[D], of the factors. They may reach back further than any fund.
    factor_moves : (S, K) float64.
    covariance : (K, K) float64, estimated up to row ``at``.
    at : the row of the session; nothing after it is read.
    shift : as in ``window_rows``.

    Returns
    -------
    paths, and for the windows left out the reason by name.
    """
    paths, left_out = [], {}
    known = sessions[: at + 1]
    for name, (start, end) in replays.items():
        window = window_rows(known, start, end, shift=shift)
        if window is None:
            over = len(known) > 0 and known[-1] > end
            left_out[name] = (
                f"the factors begin after {start}"
                if over
                else f"the window to {end} is not over at this session"
            )
            continue
        inside = factor_moves[window.first + 1 : window.last + 1]
        if not (~np.isnan(inside)).mean(axis=0).max() >= 0.5:
            left_out[name] = f"no factor is known from {start} to {end}"
            continue
        path = replay_path(factor_moves[: at + 1], window.first, window.last, covariance)
        paths.append(NamedPath("replay", name, "conditional", path))
    return paths, left_out


def hypothetical_paths(
    hypotheticals: Mapping[str, tuple[Mapping[str, float], int]], covariance: np.ndarray
) -> list[NamedPath]:
    """Every hypothetical scenario twice: with the other factors as expected, and unchanged.

    Parameters
    ----------
    hypotheticals : name to shocks (factor to move) and horizon in sessions.
    covariance : (K, K) float64, estimated up to the session.

    Raises
    ------
    ValueError : an impossible shock, with the scenario's name.
    """
    paths = []
    for name, (shocks, horizon) in hypotheticals.items():
        for others in OTHERS:
            try:
                path = hypothetical_path(shocks, horizon, covariance, others=others)
            except ValueError as error:
                raise ValueError(f"scenario {name}: {error}") from error
            paths.append(NamedPath("hypothetical", name, others, path))
    return paths
