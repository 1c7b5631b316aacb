"""What a strategy would have earned: markets, orders and the account that runs through them."""

from etf_pipeline.core.validation.backtest.account import Account, AccountRules, backtest, backtest_returns
from etf_pipeline.core.validation.backtest.account_kernels import ITEMS, TRADE_ITEMS, TRADE_KINDS
from etf_pipeline.core.validation.backtest.market import BacktestError, TradingMarket, trading_market
from etf_pipeline.core.validation.backtest.orders import Orders, best_ranked, every, month_ends, orders

__all__ = [
    "ITEMS",
    "TRADE_ITEMS",
    "TRADE_KINDS",
    "Account",
    "AccountRules",
    "BacktestError",
    "Orders",
    "TradingMarket",
    "backtest",
    "backtest_returns",
    "best_ranked",
    "every",
    "month_ends",
    "orders",
    "trading_market",
]
