"""The basis of prices is read off markets made by known rules, and never against the evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_pipeline.sources.base import SourceError
from etf_pipeline.sources.files.basis import gather_evidence, resolve_basis

FUNDS, DAYS = 12, 1000


def market(seed: int, *, split_factor: float = 2.0, portion: float = 0.01) -> dict[str, np.ndarray]:
    """Every series a vendor could give of FUNDS funds with quarterly distributions and one split each."""
    rng = np.random.default_rng(seed)
    out: dict[str, list[np.ndarray]] = {}
    for fund in range(FUNDS):
        total = np.exp(np.cumsum(rng.standard_t(4, DAYS) * 0.007))
        paid = np.zeros(DAYS)
        paid[np.arange(60 + fund, DAYS, 63)] = portion
        carried = total * 50  # falls by the distribution on its ex-date
        cash = np.zeros(DAYS)
        for t in range(1, DAYS):
            cash[t] = paid[t] * carried[t - 1]
            carried[t] = carried[t - 1] * total[t] / total[t - 1] - cash[t]
        step = np.ones(DAYS)
        step[1:] = 1 / (1 - cash[1:] / carried[:-1])
        adjusted = carried * np.cumprod(step) / np.prod(step)
        split = np.zeros(DAYS)
        split[DAYS // 2 + fund] = split_factor
        later = np.where(np.arange(DAYS) < DAYS // 2 + fund, split_factor, 1.0)
        columns = {
            "traded": carried * later,
            "cash_traded": cash * later,
            "carried": carried,
            "cash": cash,
            "adjusted": adjusted,
            "split": split,
        }
        for name, values in columns.items():
            out.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in out.items()}


CODE = np.repeat(np.arange(FUNDS), DAYS)
SESSION = np.tile(np.datetime64("2015-01-01") + np.arange(DAYS), FUNDS)
MARKET = market(7)


def resolve(declared: bool | None, **fields: np.ndarray) -> tuple[str, str]:
    return resolve_basis(gather_evidence(CODE, SESSION, fields), declared, "prices.csv")


@pytest.mark.parametrize("declared", [None, False])
def test_as_traded(declared: bool | None) -> None:
    basis, words = resolve(
        declared, close=MARKET["traded"], dividend=MARKET["cash_traded"], split=MARKET["split"]
    )
    assert basis == "as_traded"
    assert "jumps at 12 of 12 splits" in words


@pytest.mark.parametrize("declared", [None, False])
def test_split_adjusted(declared: bool | None) -> None:
    basis, words = resolve(declared, close=MARKET["carried"], dividend=MARKET["cash"], split=MARKET["split"])
    assert basis == "split_adjusted"
    assert "jumps at 0 of 12 splits" in words


@pytest.mark.parametrize("declared", [None, True])
def test_total_return_adjusted(declared: bool | None) -> None:
    basis, _ = resolve(declared, close=MARKET["adjusted"], dividend=MARKET["cash"], split=MARKET["split"])
    assert basis == "total_return_adjusted"


@pytest.mark.parametrize("declared", [None, False, True])
def test_adjusted_close_follows_from_distributions(declared: bool | None) -> None:
    basis, words = resolve(
        declared, close=MARKET["carried"], adj_close=MARKET["adjusted"], dividend=MARKET["cash"]
    )
    assert basis == "split_adjusted"
    count = int((MARKET["cash"] > 0).sum())
    assert f"at {count} of {count} ex-dates" in words


@pytest.mark.parametrize("declared", [None, False, True])
def test_adjusted_close_without_distributions(declared: bool | None) -> None:
    basis, words = resolve(declared, close=MARKET["carried"], adj_close=MARKET["adjusted"])
    assert basis == "split_adjusted"
    assert "adj_close, no distributions in the file" in words


def test_nothing_to_go_by_is_assumed_and_said() -> None:
    basis, words = resolve(None, close=MARKET["carried"], adj_close=MARKET["carried"])
    assert basis == "total_return_adjusted"
    assert words == "assumed: the file holds no actions and no adjusted close of its own"
    assert resolve(None, close=MARKET["carried"])[0] == "total_return_adjusted"
    assert resolve(True, close=MARKET["carried"])[0] == "total_return_adjusted"
    assert resolve(False, close=MARKET["carried"])[0] == "split_adjusted"
    assert "declared adjusted = false" in resolve(False, close=MARKET["carried"])[1]


def test_splits_alone() -> None:
    assert resolve(None, close=MARKET["traded"], split=MARKET["split"])[0] == "as_traded"
    assert resolve(False, close=MARKET["traded"], split=MARKET["split"])[0] == "as_traded"
    assert resolve(None, close=MARKET["carried"], split=MARKET["split"])[0] == "split_adjusted"
    assert resolve(True, close=MARKET["adjusted"], split=MARKET["split"])[0] == "total_return_adjusted"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.5, 2.0, 3.0, 10.0]))
def test_the_rules_hold_for_any_market(seed: int, factor: float) -> None:
    m = market(seed, split_factor=factor)
    cases = {
        "as_traded": {"close": m["traded"], "dividend": m["cash_traded"], "split": m["split"]},
        "split_adjusted": {"close": m["carried"], "dividend": m["cash"], "split": m["split"]},
        "total_return_adjusted": {"close": m["adjusted"], "dividend": m["cash"], "split": m["split"]},
    }
    for expected, fields in cases.items():
        assert resolve(None, **fields)[0] == expected


def test_a_few_bad_events_do_not_decide() -> None:
    split, close, cash = MARKET["split"].copy(), MARKET["carried"].copy(), MARKET["cash"].copy()
    at = np.flatnonzero(cash > 0)[:10]
    close[at] *= 40  # bad prints on ex-dates
    cash[np.flatnonzero(cash > 0)[20:25]] *= 100  # a wrong unit
    assert resolve(None, close=close, dividend=cash, split=split)[0] == "split_adjusted"


@pytest.mark.parametrize(
    ("declared", "fields", "words"),
    [
        (False, {"close": "adjusted", "dividend": "cash"}, ["declared adjusted = false, but at", "ex-dates"]),
        (True, {"close": "carried", "dividend": "cash"}, ["declared adjusted = true, but at", "= false"]),
        (
            True,
            {"close": "traded", "split": "split"},
            ["jumps at 12 of 12 splits", "not adjusted for splits"],
        ),
    ],
)
def test_a_contradicted_declaration_is_an_error_with_numbers(
    declared: bool, fields: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(SourceError, match=r"^prices\.csv: ") as error:
        resolve(declared, **{name: MARKET[series] for name, series in fields.items()})
    for word in words:
        assert word in str(error.value)


def test_too_few_events_ask_for_a_declaration() -> None:
    cash = np.zeros_like(MARKET["cash"])
    at = np.flatnonzero(MARKET["cash"] > 0)[:5]
    cash[at] = MARKET["cash"][at]
    with pytest.raises(SourceError, match=r"5 usable ex-dates are too few.*declare adjusted"):
        resolve(None, close=MARKET["carried"], dividend=cash)
    assert resolve(False, close=MARKET["carried"], dividend=cash)[0] == "split_adjusted"
    assert resolve(True, close=MARKET["carried"], dividend=cash)[0] == "total_return_adjusted"


def test_half_adjusted_prices_ask_for_a_declaration() -> None:
    half = np.sqrt(MARKET["carried"] * MARKET["adjusted"])
    with pytest.raises(SourceError, match="cannot tell whether prices are adjusted"):
        resolve(None, close=half, dividend=MARKET["cash"])


def test_an_adjusted_close_at_odds_with_the_distributions_is_an_error() -> None:
    cash = MARKET["cash"].copy()
    at = np.flatnonzero(cash > 0)
    wrong = at[: len(at) // 2]
    cash[wrong + 3] = cash[wrong]  # ex-dates three days late
    cash[wrong] = 0
    with pytest.raises(SourceError, match="contradicts itself"):
        resolve(None, close=MARKET["carried"], adj_close=MARKET["adjusted"], dividend=cash)


def test_an_adjusted_close_may_accompany_an_adjusted_close() -> None:
    fields = {"close": MARKET["adjusted"], "adj_close": MARKET["adjusted"] / 2, "dividend": MARKET["cash"]}
    assert resolve(None, **fields)[0] == "total_return_adjusted"
    assert resolve(True, **fields)[0] == "total_return_adjusted"
    with pytest.raises(SourceError, match="declared adjusted = false, but at"):
        resolve(False, **fields)


def test_half_of_the_splits_carried_back_is_an_error() -> None:
    close = np.where(CODE % 2 == 0, MARKET["traded"], MARKET["carried"])
    with pytest.raises(SourceError, match="6 of 12 splits"):
        resolve(None, close=close, split=MARKET["split"])


def test_small_splits_and_gaps_are_no_evidence() -> None:
    split = np.where(MARKET["split"] > 0, 1.05, 0.0)
    evidence = gather_evidence(CODE, SESSION, {"close": MARKET["carried"], "split": split})
    assert (evidence.splits, evidence.split_jumps) == (0, 0)
    close = MARKET["traded"].copy()
    close[:] = np.nan
    empty = gather_evidence(CODE, SESSION, {"close": close, "split": MARKET["split"]})
    assert empty.splits == 0
    assert np.isnan(empty.drop)
