"""What risk looks at besides the order: everything known at one instant, frozen.

The executor makes it, `evaluate` reads it, the decision stores it (`bft.domain.encoding.encode`),
and what is stored gives the same decision again. None is unknown, and an unknown that a rule needs
blocks. Source: executor specification, sections 4, 5 and 8.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from bft.domain.broker import AccountValues, Quote, SessionState, WhatIf
from bft.domain.orders import Contract
from bft.domain.trading import Instrument
from bft.risk.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeFacts:
    """Rule 2 and the conditions of section 8.

    `problem` is what the live lock's check found: empty when everything holds, None when it was
    not checked within the last second. `requested_mode` is the header X-BFT-Mode, None when it was
    not sent. `set_paper_only` tells whether the model set of the order is so marked, None where
    unknown.
    """

    mode: str | None
    broker: str
    account: str
    connected_account: str | None
    account_type: str | None
    problem: str | None
    requested_mode: str | None = None
    set_paper_only: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """Rule 3. `reconciled`: since the last reconnect; `monitor_age_s`: of the last heartbeat."""

    state: SessionState | None
    restart_window: bool | None
    reconciled: bool | None
    lease_held: bool | None
    monitor_age_s: float | None
    writable: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt in force; `scope` is account, profile, strategy or symbol."""

    scope: str
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceFacts:
    """Rules 1 and 4 to 6. `unknown_symbols` have an order in state UNKNOWN.

    `entry_exists`: an entry intent of this signal_id, any contract, day and state. `twin_exists`:
    an equal body without a key from this subject within the last 10 s.
    """

    kill_latched: bool | None
    halts: tuple[Halt, ...] | None
    unknown_symbols: tuple[str, ...] | None
    roles: tuple[str, ...] | None
    entry_exists: bool | None
    twin_exists: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFacts:
    """Rules 7, 8, 13, 14 and sizing; prices in USD as traded, volumes in shares a day.

    `in_universe` is of the underlying, as of the order's asof. `underlying` is the symbol itself
    for stocks, the root for futures. `contract` is the resolved one, `contract_matches` how many
    fitted. `margin_usd` is the broker's initial margin of one future.
    """

    underlying: str
    in_universe: bool | None
    restricted: bool | None
    contract: Contract | None
    contract_matches: int | None
    action_open: bool | None
    halted: bool | None
    suspected_split: bool | None
    sector: str | None = None
    adv_20: Decimal | None = None
    last_close_usd: Decimal | None = None
    atr_14_usd: Decimal | None = None
    margin_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """Rules 11 and 16. `uses_bars`, `uses_features`: the order was decided on intraday ones."""

    gold_asof: date | None
    forecast_asof: date | None
    model_age_days: int | None
    uses_bars: bool
    uses_features: bool
    bar_age_s: float | None = None
    feature_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An open position or a pending entry: signed units, USD at mark or limit, initial risk.

    For options `notional_usd` is premium. `risk_usd` is |entry - stop| x units x multiplier.
    """

    symbol: str
    underlying: str
    instrument: Instrument
    qty: int
    notional_usd: Decimal | None
    risk_usd: Decimal | None
    cost_usd: Decimal | None = None
    sector: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """No entry before: decisions need an asof from `until_asof` on, instants from `until_at` on.

    `strategy_id` None holds for every strategy.
    """

    symbol: str
    strategy_id: str | None = None
    until_asof: date | None = None
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFacts:
    """Rules 17 to 29: the book and the counters of the trading day, of this account.

    `pending` are entries not filled yet, with their remaining units; their `cost_usd` is what they
    still take from available funds. `entries_today` counts entries that filled or still may,
    `orders_today` every opening order sent, `orders_1s` and `orders_60s` those of the last second
    and minute without this one. `realised_usd` is net of fees,
    also of those paid today for what is still open. `loss_streak` counts since the last
    halt for a streak ended. `peak_equity_usd` is of 20 sessions. `unpriced` tells in words of which
    positions a price, of now or of the prior close, is not known, and what to do:
    `unrealised_change_usd` is then None.
    """

    positions: tuple[Holding, ...] | None
    pending: tuple[Holding, ...] | None
    cooldowns: tuple[Cooldown, ...] | None
    entries_today: int | None
    orders_today: int | None
    entries_today_symbol: int | None
    orders_1s: int | None
    orders_60s: int | None
    opening_notional_today_usd: Decimal | None
    realised_usd: Decimal | None
    unrealised_change_usd: Decimal | None
    day_start_equity_usd: Decimal | None
    peak_equity_usd: Decimal | None
    loss_streak: int | None
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionFacts:
    """Rules 14 and 31: the chain row of the contract, IV rank 0..1, VIX with its age.

    `lacks` tells of facts that are None, by field name, what is missing or too old.
    """

    delta: Decimal | None
    volume: int | None
    open_interest: int | None
    iv_rank: Decimal | None
    iv_observations: int | None
    vix: Decimal | None
    vix_age_s: float | None
    expires_at: datetime | None
    lacks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything known at `at`. `skews_s` are clock differences of the last 60 s, oldest first."""

    at: datetime
    profile: Profile
    mode: ModeFacts
    session: SessionFacts
    fences: FenceFacts
    skews_s: tuple[float, ...]
    symbol: SymbolFacts
    data: DataFacts
    book: BookFacts
    quote: Quote | None = None
    account: AccountValues | None = None
    option: OptionFacts | None = None
    what_if: WhatIf | None = None
