"""The ledger: what is one trial, and that none is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etf_pipeline.core.validation.trial_ledger import merge_trials, monthly_returns, ranking_hash, trial_id

CONFIGURATION = {"weights": {"momentum": 0.5, "risk": 0.5}, "top": 20, "months": 1}


def ledger(*names: str, asked_by: str = "sweep", value: float = 0.01) -> tuple[pd.DataFrame, pd.DataFrame]:
    trials = pd.DataFrame({"trial_id": list(names), "asked_by": asked_by})
    months = pd.to_datetime(["2024-02-01", "2024-03-01"])
    returns = pd.DataFrame(
        [{"trial_id": n, "session": m, "net_return": value} for n in names for m in months]
    )
    return trials, returns if names else pd.DataFrame({"trial_id": [], "session": [], "net_return": []})


def test_a_trial_is_its_configuration_and_what_its_ranking_depends_on() -> None:
    settings = {"windows": {"beta": 252}, "end": "2024-01-01", "path": "a", "backtest": {"top": 5}}
    same = {"backtest": {"top": 50}, "path": "b", "end": None, "windows": {"beta": 252}}
    assert ranking_hash(settings) == ranking_hash(same)
    assert ranking_hash(settings) != ranking_hash({**settings, "windows": {"beta": 126}})
    # Another beginning and another list of funds are choices too.
    assert ranking_hash(settings) != ranking_hash({**settings, "start": "2019-01-01"})
    assert ranking_hash(settings) != ranking_hash({**settings, "universe_file": "winners.csv"})
    one = trial_id(CONFIGURATION, "s")
    assert one == trial_id(dict(reversed(CONFIGURATION.items())), "s")
    others = {trial_id({**CONFIGURATION, "top": 21}, "s"), trial_id(CONFIGURATION, "t")}
    assert one not in others
    assert len(others) == 2


def test_nothing_is_taken_out_and_duplicates_count_once() -> None:
    held = ledger("a", "b", asked_by="strategy", value=0.5)
    trials, returns = merge_trials(*held, *ledger("b", "c", "c"))
    assert trials["trial_id"].tolist() == ["a", "b", "c"]
    assert trials["asked_by"].tolist() == ["strategy", "strategy", "sweep"]
    # Of one tried again the returns are the new ones, of the others those that were held.
    assert returns.groupby("trial_id")["net_return"].mean().tolist() == [0.5, 0.01, 0.01]
    assert len(returns) == 6
    again = merge_trials(trials, returns, *ledger("b", "c"))
    pd.testing.assert_frame_equal(again[0], trials)
    pd.testing.assert_frame_equal(again[1], returns)
    empty = merge_trials(*ledger(), *ledger("z"))
    assert empty[0]["trial_id"].tolist() == ["z"]


def test_months_that_are_over_compound_from_the_first_trade() -> None:
    days = np.arange(np.datetime64("2024-01-10"), np.datetime64("2024-04-03"))
    daily = np.full((len(days), 2), 0.001)
    daily[:30, 1] = np.nan
    known, monthly = monthly_returns(daily, days)
    assert [str(day) for day in days[known]] == ["2024-02-01", "2024-03-01", "2024-04-01"]
    np.testing.assert_allclose(monthly[:, 0], 1.001 ** np.array([22, 29, 31]) - 1.0)
    assert np.isnan(monthly[0, 1])
    np.testing.assert_allclose(monthly[1, 1], 1.001**21 - 1.0)
    part, _ = monthly_returns(daily[:60], days[:60])
    np.testing.assert_array_equal(part, known[: len(part)])
