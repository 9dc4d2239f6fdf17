"""An order and a context that pass all rules, per profile; tests replace what they are about."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from bft.domain.broker import AccountValues, Quote, SessionState, WhatIf
from bft.domain.orders import Contract, OrderRequest, OrderType, Side
from bft.domain.trading import ExitPolicy, Instrument, SignalKind
from bft.risk.context import (
    BookFacts,
    Context,
    DataFacts,
    FenceFacts,
    Holding,
    ModeFacts,
    OptionFacts,
    SessionFacts,
    SymbolFacts,
)
from bft.risk.profiles import EQUITIES, FUTURES_NQ, OPTIONS

D = Decimal
ASOF = date(2025, 6, 3)
AT = datetime(2025, 6, 4, 14, 0, tzinfo=UTC)  # Wednesday, 10:00 New York, 07:00 Phoenix
PRE_OPEN = datetime(2025, 6, 4, 13, 0, tzinfo=UTC)  # 09:00 New York
ACCOUNT = "DU0000001"
STOCK = Contract(con_id=1, symbol="AAPL")
FUTURE = Contract(
    con_id=2, symbol="NQM5", sec_type="FUT", multiplier=D(20), tick_usd=D("0.25"), exchange="CME"
)
OPTION = Contract(con_id=3, symbol="AAPL  250718C00050000", sec_type="OPT", multiplier=D(100))


def quoted(contract: Contract, bid: str, ask: str, **changes: Any) -> Quote:
    values = {"at": AT, "bid_usd": D(bid), "ask_usd": D(ask)} | changes
    return Quote(contract=contract, **values)


def holding(symbol: str = "MSFT", **changes: Any) -> Holding:
    values: dict[str, Any] = {
        "underlying": symbol,
        "instrument": Instrument.STOCK,
        "qty": 10,
        "notional_usd": D(1000),
        "risk_usd": D(50),
        "cost_usd": D(1000),
        "sector": "TECHNOLOGY",
    }
    return Holding(symbol=symbol, **values | changes)


def order(**changes: Any) -> OrderRequest:
    """A signal to buy AAPL at 50.00, stop 5 % (47.50): risk sizing gives 100 of 100,000."""
    values: dict[str, Any] = {
        "signal_id": "s" * 32,
        "kind": SignalKind.ENTRY,
        "symbol": "AAPL",
        "side": Side.BUY,
        "instrument": Instrument.STOCK,
        "qty": 0,
        "order_type": OrderType.LIMIT,
        "created_at": AT,
        "decided_at": AT,
        "expires_at": datetime(2025, 6, 4, 20, 0, tzinfo=UTC),
        "asof": ASOF,
        "limit_price_usd": D("50.00"),
        "close_decided": True,
        "exits": ExitPolicy(stop_frac=0.05),
        "strategy_id": "bollinger",
        "strategy_type": "close",
        "confidence": D("0.7"),
        "model_score": D("0.9"),
        "model_age_days": 10,
    }
    return OrderRequest(**values | changes)


def context(**changes: Any) -> Context:
    """Equity 100,000, an empty book, 10:00 in a session, everything known and well."""
    values: dict[str, Any] = {
        "at": AT,
        "profile": EQUITIES,
        "mode": ModeFacts(
            mode="paper",
            broker="ib",
            account=ACCOUNT,
            connected_account=ACCOUNT,
            account_type="",
            problem="",
        ),
        "session": SessionFacts(
            state=SessionState.ARMED,
            restart_window=False,
            reconciled=True,
            lease_held=True,
            monitor_age_s=0.5,
            writable=True,
        ),
        "fences": FenceFacts(
            kill_latched=False,
            halts=(),
            unknown_symbols=(),
            roles=("trader",),
            entry_exists=False,
            twin_exists=False,
        ),
        "skews_s": (0.0, 0.1, -0.1),
        "symbol": SymbolFacts(
            underlying="AAPL",
            in_universe=True,
            restricted=False,
            contract=STOCK,
            contract_matches=1,
            action_open=False,
            halted=False,
            suspected_split=False,
            sector="TECHNOLOGY",
            adv_20=D(4_000_000),
            last_close_usd=D("49.80"),
            atr_14_usd=D("1.00"),
        ),
        "data": DataFacts(
            gold_asof=ASOF,
            forecast_asof=ASOF,
            model_age_days=10,
            uses_bars=False,
            uses_features=False,
        ),
        "book": BookFacts(
            positions=(),
            pending=(),
            cooldowns=(),
            entries_today=0,
            orders_today=0,
            entries_today_symbol=0,
            orders_1s=0,
            orders_60s=0,
            opening_notional_today_usd=D(0),
            realised_usd=D(0),
            unrealised_change_usd=D(0),
            day_start_equity_usd=D(100_000),
            peak_equity_usd=D(100_000),
            loss_streak=0,
        ),
        "quote": quoted(STOCK, "49.99", "50.01"),
        "account": AccountValues(
            account=ACCOUNT,
            at=AT,
            equity_usd=D(100_000),
            cash_usd=D(100_000),
            available_usd=D(100_000),
        ),
        "what_if": WhatIf(
            initial_margin_after_usd=D(10_000), equity_with_loan_after_usd=D(100_000)
        ),
    }
    return Context(**values | changes)


def with_(value: Any, **changes: Any) -> Any:
    """The value with fields changed; `book__loss_streak` reaches into `book`."""
    for path, new in changes.items():
        first, _, rest = path.partition("__")
        inner = with_(getattr(value, first), **{rest: new}) if rest else new
        value = replace(value, **{first: inner})
    return value


def future_order(**changes: Any) -> OrderRequest:
    """Buy NQ at 20,000.00 with stop 19,990.00: 10 points x 20 = 200 USD a contract, so one."""
    values: dict[str, Any] = {
        "symbol": "NQM5",
        "instrument": Instrument.FUTURE,
        "limit_price_usd": D("20000.00"),
        "stop_price_usd": D("19990.00"),
        "exits": None,
        "close_decided": False,
        "confidence": None,
    }
    return order(**values | changes)


def future_context(**changes: Any) -> Context:
    values: dict[str, Any] = {
        "profile": FUTURES_NQ,
        "symbol__contract": FUTURE,
        "symbol__underlying": "NQ",
        "symbol__in_universe": None,
        "symbol__adv_20": None,
        "symbol__last_close_usd": D(20_000),
        "quote": quoted(FUTURE, "19999.75", "20000.00"),
    }
    return with_(context(), **values | changes)


def option_order(**changes: Any) -> OrderRequest:
    """Buy one-month calls whose premium is 2.00: 0.60 x 2.00 x 100 = 120 USD a contract."""
    values: dict[str, Any] = {
        "symbol": OPTION.symbol,
        "instrument": Instrument.CALL,
        "order_type": OrderType.MARKET,
        "limit_price_usd": None,
        "strategy_type": "swing_trade",
        "close_decided": False,
    }
    return order(**values | changes)


def option_context(**changes: Any) -> Context:
    values: dict[str, Any] = {
        "profile": OPTIONS,
        "symbol__contract": OPTION,
        "quote": quoted(OPTION, "1.97", "2.03"),
        "option": OptionFacts(
            delta=D("0.5"),
            volume=500,
            open_interest=1000,
            iv_rank=D("0.4"),
            iv_observations=60,
            vix=D(15),
            vix_age_s=60.0,
            expires_at=datetime(2025, 7, 18, 20, 0, tzinfo=UTC),
        ),
    }
    return with_(context(), **values | changes)
