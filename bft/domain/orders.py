"""Orders as bft thinks of them: identity, states, requests, decisions. Money is Decimal.

Source: executor specification, sections 1.2, 3 and 4.
"""

import hashlib
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.trading import ExitPolicy, Instrument, SignalKind

REF_PREFIX = "bft1."


class Side(StrEnum):
    """Direction of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sale."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order wants to be filled."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(StrEnum):
    """How long an order lives: the session, or until it is cancelled."""

    DAY = "DAY"
    GTC = "GTC"


class Leg(StrEnum):
    """What an order is for: only an entry opens; a stop protects; an exit or target closes."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class IntentState(StrEnum):
    """Where an order stands. Source: executor specification, section 3, table of states."""

    RESERVED = "RESERVED"
    SENT = "SENT"
    ACKED = "ACKED"
    PARTIAL = "PARTIAL"
    CANCEL_PENDING = "CANCEL_PENDING"
    UNKNOWN = "UNKNOWN"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    LAPSED = "LAPSED"

    @property
    def terminal(self) -> bool:
        """Nothing more is expected; a late execution is booked all the same."""
        return self in _TERMINAL

    @property
    def possibly_live(self) -> bool:
        """The broker holds the order, or may hold it."""
        return self not in _TERMINAL and self is not IntentState.RESERVED


_TERMINAL = frozenset(
    {
        IntentState.FILLED,
        IntentState.CANCELLED,
        IntentState.REJECTED,
        IntentState.EXPIRED,
        IntentState.LAPSED,
    }
)


RESOLVED = (
    IntentState.ACKED,
    IntentState.CANCELLED,
    IntentState.REJECTED,
    IntentState.EXPIRED,
)
"""What a person may say, with evidence, that an UNKNOWN order is; fills only executions tell."""


class Reason(StrEnum):
    """Why an order was denied; the set is closed. Source: executor specification, section 4."""

    KILL = "kill"
    MODE = "mode"
    NOT_ARMED = "not_armed"
    HALTED = "halted"
    AUTH = "auth"
    DUPLICATE = "duplicate"
    SYMBOL = "symbol"
    VALIDATION = "validation"
    SESSION = "session"
    CLOCK = "clock"
    STALE_DATA = "stale_data"
    PRICE_COLLAR = "price_collar"
    LIQUIDITY = "liquidity"
    CONFIDENCE = "confidence"
    MODEL_GATE = "model_gate"
    TICKER_LIMIT = "ticker_limit"
    COOLDOWN = "cooldown"
    RATE = "rate"
    DAILY_TRADES = "daily_trades"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LOSS_STREAK = "loss_streak"
    MAX_POSITIONS = "max_positions"
    SIZE = "size"
    MAX_POSITION = "max_position"
    DAILY_VOLUME = "daily_volume"
    EXPOSURE = "exposure"
    OPEN_RISK = "open_risk"
    CASH = "cash"
    OPTIONS = "options"
    MARGIN = "margin"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    IN_PROGRESS = "in_progress"
    BROKER_REJECT = "broker_reject"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What is traded at the broker; `con_id` 0 is not resolved yet.

    `sec_type` is STK, OPT, FUT or IND; `multiplier` is units of the quote per contract; `tick_usd`
    the price step. `increments` are (from this price on, step) where steps differ by price, lowest
    first. `right` is C or P.
    """

    con_id: int
    symbol: str
    sec_type: str = "STK"
    multiplier: Decimal = Decimal(1)
    tick_usd: Decimal = Decimal("0.01")
    expiry: date | None = None
    strike_usd: Decimal | None = None
    right: str | None = None
    exchange: str = "SMART"
    primary_exchange: str = ""
    currency: str = "USD"
    local_symbol: str = ""
    trading_class: str = ""
    increments: tuple[tuple[Decimal, Decimal], ...] = ()

    def tick_at(self, price_usd: Decimal) -> Decimal:
        """Step of prices at and around a price."""
        steps = [step for low, step in self.increments if low <= price_usd]
        return steps[-1] if steps else self.tick_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order or signal as accepted at the door; aliases resolved, numbers checked for form.

    `qty` 0: risk sizes it. Fractions are fractions. `signal_id` is always set: given, or derived.
    `created_at` is the receipt; `decided_at` when the signal was decided. `asof` is the session
    the decision saw, `bar_ends_at` the end of its bar where it was an intraday one.
    Source: executor specification, section 1.2.
    """

    signal_id: str
    kind: SignalKind
    symbol: str
    side: Side
    instrument: Instrument
    qty: int
    order_type: OrderType
    created_at: datetime
    decided_at: datetime | None = None
    expires_at: datetime | None = None
    asof: date | None = None
    bar_ends_at: datetime | None = None
    limit_price_usd: Decimal | None = None
    trigger_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    target_price_usd: Decimal | None = None
    ref_price_usd: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    close_decided: bool = False
    exits: ExitPolicy | None = None
    strategy_id: str = "manual"
    strategy_type: str = "swing_trade"
    confidence: Decimal | None = None
    model_score: Decimal | None = None
    model_version: str | None = None
    model_age_days: int | None = None
    set_digest: str | None = None
    source: str = "unknown"
    client_order_id: str | None = None
    is_signal: bool = True
    paper: bool | None = None
    notes: str = ""
    features: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)


class Verdict(StrEnum):
    """Outcome of one rule; a missing input blocks."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    BLOCK = "block"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule with the value it saw and the limit it held it against, as text or numbers."""

    number: int
    rule: str
    verdict: Verdict
    reason: Reason
    value: object = None
    limit: object = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Every rule's result; the first that is no pass sets reason and code.

    `latches` is the halt to set (rules 21-23). `qty` is what may be sent.
    """

    allowed: bool
    qty: int
    qty_requested: int
    rules: tuple[RuleResult, ...]
    reason: Reason | None = None
    http_code: int = 201
    transient: bool = False
    latches: bool = False
    detail: str = ""
    stop_price_usd: Decimal | None = None
    limit_price_usd: Decimal | None = None
    risk_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order bft has committed to, before and after it is sent.

    `parent_id` is the entry intent of a bracket's leg. `order_ids` holds the broker ids it went
    out under as (epoch, client id, order id).
    """

    intent_id: str
    signal_id: str
    account: str
    contract: Contract
    side: Side
    leg: Leg
    trading_day: date
    attempt: int
    qty: int
    order_type: OrderType
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    parent_id: str | None = None
    oca_group: str | None = None
    mode: str = "paper"
    strategy_id: str = "manual"
    reason: str = ""
    state: IntentState = IntentState.RESERVED
    filled_qty: int = 0
    perm_id: int | None = None
    order_id: int | None = None
    client_id: int | None = None
    epoch: int | None = None
    broker_status: str = ""
    why_held: str = ""
    created_at: datetime | None = None
    sent_at: datetime | None = None
    acked_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def order_ref(self) -> str:
        """The name the broker carries."""
        return REF_PREFIX + self.intent_id

    @property
    def remaining_qty(self) -> int:
        """Units not filled yet."""
        return max(0, self.qty - self.filled_qty)


class FillSource(StrEnum):
    """How an execution reached the ledger."""

    LIVE = "live"
    RECOVERED = "recovered"
    PAPER = "paper"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill; `exec_id` ends in a revision (`.01`), corrections share what is before it.

    `fee_usd` None is not reported yet. `order_ref` is empty for orders of others.
    """

    exec_id: str
    account: str
    contract: Contract
    side: Side
    qty: int
    price_usd: Decimal
    at: datetime
    order_ref: str = ""
    perm_id: int | None = None
    order_id: int | None = None
    client_id: int | None = None
    fee_usd: Decimal | None = None
    source: FillSource = FillSource.LIVE

    @property
    def base_id(self) -> str:
        """The execution without its revision; an id that ends in no number has none."""
        base, _, last = self.exec_id.rpartition(".")
        return base if base and last.isdigit() else self.exec_id

    @property
    def revision(self) -> int:
        """Number of the revision; 0 where the id holds none."""
        last = self.exec_id.rpartition(".")[2]
        return int(last) if last.isdigit() and "." in self.exec_id else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes an order this order; an entry has attempt 0 always, whatever happens.

    Source: executor specification, section 3.
    """

    signal_id: str
    account: str
    con_id: int
    side: Side
    leg: Leg
    day: date
    attempt: int = 0

    @property
    def intent_id(self) -> str:
        """26 base32 characters of the sha256 over all parts."""
        parts = (self.signal_id, self.account, str(self.con_id), self.side, self.leg)
        text = "|".join(("v1", *parts, self.day.isoformat(), str(self.attempt)))
        return b32encode(hashlib.sha256(text.encode()).digest()).decode()[:26]
