"""Month-ends are known on their evening."""

from __future__ import annotations

import pytest

from etf_pipeline.core.attribution.period_ends import period_ends
from etf_pipeline.core.market.calendar import exchange_sessions
from etf_pipeline.core.validation.backtest import every, month_ends


@pytest.mark.parametrize("market", ["asx", "us"])
@pytest.mark.parametrize("months", [1, 3])
def test_cuts_change_nothing_and_a_month_end_is_one_at_once(market, months):
    sessions = exchange_sessions(market, "2021-11-15", "2024-02-12")
    whole = period_ends(sessions, market, months)
    for cut in range(1, len(sessions)):
        assert period_ends(sessions[:cut], market, months).tolist() == whole[whole < cut].tolist()
    assert whole.tolist() == (month_ends(sessions) if months == 1 else every(sessions, 3)).tolist()


def test_the_last_trading_day_counts_not_the_last_day():
    # 31 March 2024 was a Sunday, and Good Friday the 29th: the month ended on Thursday the 28th.
    sessions = exchange_sessions("asx", "2024-03-01", "2024-03-28")
    assert period_ends(sessions, "asx").tolist() == [len(sessions) - 1]
    assert period_ends(sessions[:-1], "asx").tolist() == []
    assert len(period_ends(sessions[:0], "asx")) == 0
