"""Did the strategy work, and was it luck? The words for it, the same in the command and on the tear sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from etf_pipeline.backtest_evidence import LABELS, Evidence, Row
from etf_pipeline.reports import percent

CONFIDENCE, SIGNIFICANCE, OVERFIT, SURVIVAL, FEW_DEAD = 0.95, 0.05, 0.2, 0.01, 0.05
"""What a probability must reach, and what a p-value must stay below, for luck to be ruled out."""


@dataclass(frozen=True)
class Test:
    """Something other than skill that could explain the result: ruled out, not ruled out, or (None) not known."""

    __test__ = False
    name: str
    passed: bool | None
    says: str


@dataclass(frozen=True)
class Verdict:
    """Yes only where the strategy beat the market fund after costs and every test of luck is passed."""

    answer: Literal["yes", "no", "unknown"]
    headline: str
    tried: str
    tests: tuple[Test, ...]
    power: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was tried, what each test says, how long one would have to watch."""
        return tuple(s for s in (self.tried, *(test.says for test in self.tests), self.power) if s)


def judge(found: Evidence) -> Verdict:
    """The verdict on what was found; never yes while anything it rests on is unknown."""
    tests = (_deflated(found), _superior(found), _overfit(found), _beside_chance(found), _survivors(found))
    earned, excess = _number(found.summary, "annual_return"), _number(found.summary, "excess_annual_return")
    answer: Literal["yes", "no", "unknown"] = "unknown"
    if earned is None:
        headline = "Nothing can be said yet: there is no complete calendar year with at least 60 sessions of trading."
    elif excess is None:
        headline = (
            f"Not known. After costs it earned {_rate(earned)} a year, but what the market fund earned on the "
            "same sessions is not known."
        )
    elif excess <= 0:
        answer = "no"
        headline = f"No. After costs it earned {_rate(earned)} a year, {_beside(excess)}."
    else:
        failed = [test.name for test in tests if test.passed is False]
        unknown = [test.name for test in tests if test.passed is None]
        begin = f"After costs it earned {_rate(earned)} a year, {_beside(excess)}"
        if failed:
            answer = "no"
            headline = f"No, it has not been shown to work. {begin}, but this may be {_list(failed)}."
        elif unknown:
            headline = f"Not known yet. {begin}; not known is whether that is {_list(unknown)}."
        else:
            answer = "yes"
            headline = f"Yes, on this record. {begin}, and luck is an unlikely explanation of it."
    return Verdict(answer, headline, _tried(found), tests, _power(found))


def _tried(found: Evidence) -> str:
    s = found.settings
    if not s:
        return f"Tried was {found.strategy}: the {LABELS.get(found.strategy, 'strategy')}."
    when = {1: "every month's", 2: "every second month's", 3: "every quarter's", 6: "every half-year's"}.get(
        s["months"], "every year's"
    )
    sized = ", by the ranking's position sizes" if found.strategy == "top_ranked_sized" else " in equal parts"
    return (
        f"Tried was {found.strategy}: at {when} last close the {s['top']} best-ranked funds are chosen{sized}; a fund held "
        f"stays while its rank is at most {s['keep']}. Trades are made {_count(s['delay'], 'session')} later at the "
        f"{s['trade_at']}, at half the estimated spread and price impact, with {s['capital']:,.0f} at the start."
    )


def _deflated(found: Evidence) -> Test:
    name = "the luck of many tries (deflated Sharpe ratio)"
    cash, own = found.over_cash, found.over_benchmark
    says = []
    sharpe, lower, upper = (_number(cash, key) for key in ("sharpe", "sharpe_lower", "sharpe_upper"))
    if sharpe is not None:
        between = "" if lower is None or upper is None else f" (95 % interval {lower:.2f} to {upper:.2f})"
        says.append(f"Its Sharpe ratio over cash is {sharpe:.2f}{between}.")
    trials, effective = own.get("trials") or cash.get("trials"), _number(own or cash, "effective_trials")
    if trials:
        alike = "" if effective is None else f", as good as {effective:.1f} independent ones"
        says.append(f"{_count(trials, 'configuration')} {'was' if trials == 1 else 'were'} tried{alike}.")
    luck = _number(own, "expected_maximum_sharpe")
    if luck is not None:
        says.append(
            f"Over the market fund the best of so many useless strategies would show a Sharpe ratio of {luck:.2f}."
        )
    ahead, over = _number(own, "deflated_sharpe"), _number(own, "sharpe")
    if ahead is None:
        says.append("Whether it beats the market fund once all trials are counted is not known.")
        return Test(name, None, " ".join(says))
    says.append(
        "Its own there is "
        + ("–" if over is None else f"{over:.2f}")
        + f"; the probability that this is above what the best of so many tries shows by luck is {_share(ahead)} "
        f"({_share(CONFIDENCE)} is asked)."
    )
    return Test(name, ahead >= CONFIDENCE, " ".join(says))


def _superior(found: Evidence) -> Test:
    name = "the best of configurations none of which beats the market fund (Hansen's test)"
    p = _number(found.overfitting, "spa_p_value")
    if p is None:
        return Test(name, None, "Hansen's test of superior predictive ability has no answer yet.")
    return Test(
        name,
        p < SIGNIFICANCE,
        f"If no configuration beat the market fund, one would still look as good as the best with probability {p:.2f} "
        f"(Hansen's test; below {SIGNIFICANCE:.2f} is asked).",
    )


def _overfit(found: Evidence) -> Test:
    name = "settings that fit the past alone (probability of overfitting)"
    p = _number(found.overfitting, "probability_of_overfitting")
    if p is None:
        return Test(name, None, "The probability of backtest overfitting is not known yet.")
    return Test(
        name,
        p <= OVERFIT,
        f"The configuration that is best in one half of the record is below the median in the other half in {_share(p)} "
        f"of all ways to halve it (probability of backtest overfitting; 50 % is chance, at most "
        f"{_share(OVERFIT)} is asked).",
    )


def _beside_chance(found: Evidence) -> Test:
    name = "funds any of which would have done (random portfolios)"
    beaten = _number(found.random, "beaten_in_sharpe")
    if beaten is None:
        return Test(name, None, "It has not been held against random portfolios.")
    return Test(
        name,
        beaten >= CONFIDENCE,
        f"By Sharpe ratio it beats {_share(beaten)} of {found.random['draws']} portfolios drawn at random from the same "
        f"funds, as persistent and as dear to trade ({_share(CONFIDENCE)} is asked).",
    )


def _survivors(found: Evidence) -> Test:
    name = "dead funds left out (survivorship)"
    row = found.survivorship
    if not row or row.get("dead_funds") is None:
        return Test(name, None, "What forgetting dead funds adds is not known.")
    if not row["dead_funds"]:
        return Test(
            name,
            None,
            "No fund in these data is gone: they hold survivors only, which flatters every return here by an unknown "
            "amount.",
        )
    few = row["dead_funds"] < FEW_DEAD * row["funds"]
    difference = _number(row, "annual_return_difference")
    lower, upper = _number(row, "difference_lower"), _number(row, "difference_upper")
    amount = ""
    if difference is not None:
        amount = f". Forgetting them would change the strategy's return by {_points(difference)} a year"
    if difference is not None and lower is not None and upper is not None:
        amount += f" (95 % interval {100 * lower:+.1f} to {100 * upper:+.1f})"
    return Test(
        name,
        None if few or difference is None else abs(difference) <= SURVIVAL,
        f"Of {row['funds']:,} funds ranked, {row['dead_funds']:,} are gone and count here until then{amount}."
        + (" So few say that most of the dead are missing from these data." if few else ""),
    )


def _power(found: Evidence) -> str:
    row = found.over_benchmark
    ratio, needed, years = (_number(row, key) for key in ("sharpe", "years_for_power", "years"))
    if ratio is None or years is None:
        return ""
    if ratio <= 0:
        return f"No length of record shows a lead that is not there; this one is {years:.1f} years long."
    if needed is None:
        return ""
    return (
        f"To see a lead over the market fund of this size, {needed:,.0f} years of record are needed "
        f"(5 % significance, 80 % power); there are {years:.1f}."
    )


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    return None if value is None or not math.isfinite(value) else float(value)


def _rate(value: float) -> str:
    return percent(value, 1)


def _share(value: float) -> str:
    # Neither certainty nor impossibility was measured.
    if 0.99 < value < 1:
        return "over 99 %"
    return "under 1 %" if 0 < value < 0.01 else percent(value, 0)


def _points(value: float) -> str:
    # The sum turns minus zero into zero.
    return f"{round(100 * value, 1) + 0.0:+.1f} points"


def _beside(excess: float) -> str:
    amount = f"{100 * abs(excess):.1f}"
    if float(amount) == 0:
        return "no more than the market fund" if excess <= 0 else "a little more than the market fund"
    return f"{amount} points a year {'more' if excess > 0 else 'less'} than the market fund"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
