"""May it be traded on, what the words mean, and where the numbers are from."""

from __future__ import annotations

from etf_pipeline.backtest_evidence import provenance
from etf_pipeline.tear_sheet.page import Markup, Sheet, cell, escaped, missing, section, shown, table

OUTCOME = {"pass": "yes", "fail": "no"}
DEFINITIONS = {
    "return a year": "Compound, of daily returns after costs, 252 sessions a year; unknown below 60 sessions.",
    "gross": "The return with spread and impact put back; distributions are in both.",
    "spread": "Half the estimated bid-ask spread of everything traded. Low and high: the ends of its 95 % interval.",
    "impact": "What trading moves the price against itself: volatility times the root of the trade over a day's trade.",
    "haircut": "What is lost on the last price of a fund that is gone.",
    "Sharpe ratio": "Mean return over cash by its standard deviation, a year.",
    "Sortino ratio": "The same by the deviation of returns below cash.",
    "drawdown": "How far the account is below its highest close so far.",
    "Calmar ratio": "Return a year by the deepest drawdown.",
    "value at risk": "The loss of one session that 5 % of all sessions exceeded.",
    "turnover": "Half of what is bought and sold, in accounts a year.",
    "tracking error": "Deviation of the return over the market fund, a year; the information ratio is the mean by it.",
    "beta": "How much the account moves with one per cent of the market fund.",
    "configurations tried": "All settings ever run on this warehouse; none is taken out. Similar ones count for less: "
    "independent ones are clusters of their returns.",
    "best of so many without skill": "Mean of the best Sharpe ratio of as many strategies that are worth nothing "
    "(Bailey and Lopez de Prado 2014).",
    "probability above zero, trials counted": "Deflated Sharpe ratio: the probability that the true ratio is above "
    "what the best of so many useless ones would show.",
    "Hansen's test": "Superior predictive ability (2005): how often the best of all would look this good if none beat the "
    "market fund.",
    "probability of overfitting": "Share of the ways to halve the record in which the best of one half is below the "
    "median in the other (Bailey and others 2017).",
    "Romano-Wolf": "How many configurations beat the market fund with at most 5 % risk of naming even one wrongly (2005).",
    "p-value of the difference": "Ledoit and Wolf (2008): studentised bootstrap of the difference of two Sharpe ratios.",
    "alpha": "Return a year that beta to the market fund does not explain; p-value by Holm over all strategies.",
    "years to see it": "Length of record in which a ratio this large would be found at 5 % with a probability of 80 %.",
    "plateau, spike": "Whether configurations one step away keep what this one earned, or lose it.",
    "interval": "95 %, by the stationary bootstrap, or by standard errors robust to autocorrelation and fat tails.",
}  # fmt: skip


def readiness(sheet: Sheet) -> Markup:
    """The gates as they stood when they were last asked."""
    rows = sheet.rows(
        "validation.readiness",
        "SELECT * FROM validation.readiness WHERE session = (SELECT max(session) FROM validation.readiness) ORDER BY gate",
    )
    if not rows:
        return section("readiness", "May it be traded on?", missing("validation.readiness"))
    passed = sum(row["verdict"] == "pass" for row in rows)
    return section(
        "readiness",
        "May it be traded on?",
        table(
            ["gate", "question", "must hold", ">value", "verdict", "what it says"],
            [
                [
                    row["gate"].replace("_", " "), row["question"], row["requirement"],
                    shown(row["value"], lambda v: f"{v:,.4g}"),
                    cell(row["verdict"], OUTCOME.get(row["verdict"], "open")), cell(row["explanation"], "wide"),
                ]
                for row in rows
            ],
            caption=f"{passed} of {len(rows)} gates passed on {rows[0]['session']}; etf doctor shows the queries",
        ),
    )  # fmt: skip


def definitions() -> Markup:
    """Each figure in a sentence."""
    return section("definitions", "What the figures are", _list(DEFINITIONS))


def provenance_of(sheet: Sheet) -> Markup:
    """Where the page is from: data, settings, run, code."""
    found = provenance(sheet.connection)
    spans = sheet.rows(
        "market.sessions", "SELECT min(session) AS first, max(session) AS last FROM market.sessions"
    )
    funds = sheet.rows("raw.bars", "SELECT count(DISTINCT ticker) AS funds FROM raw.bars")
    sources = sheet.rows("raw.fetches", "SELECT DISTINCT source FROM raw.fetches ORDER BY source")
    data = spans[0] if spans else {}
    facts: dict[str, object] = {
        "account": f"{sheet.first} to {sheet.last}",
        "data": f"{data.get('first')} to {data.get('last')}" if data.get("first") else "unknown",
        "funds with bars": funds[0]["funds"] if funds else 0,
        "source": ", ".join(row["source"] for row in sources) or "unknown",
        "materialised": f"{found['finished']:%Y-%m-%d %H:%M} UTC" if found else "unknown",
        "run": found.get("run_id", "unknown"),
        "settings hash": found.get("settings_hash", "unknown"),
        "code version": found.get("code_version", "unknown"),
        "backtest settings": ", ".join(f"{k} = {v}" for k, v in sorted(found.get("settings", {}).items()))
        or "unknown",
    }
    return section("provenance", "Where this is from", _list(facts))  # fmt: skip


def _list(entries: dict[str, str] | dict[str, object]) -> Markup:
    items = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in entries.items())
    return Markup(f"<dl>{items}</dl>")
