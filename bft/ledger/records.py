"""Rows of the ledger's tables as values; a field is a column. Money in USD, quantities in units.

Source: executor specification, sections 2 and 13.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.orders import Contract, Execution, Side
from bft.domain.runs import Json

ZERO = Decimal(0)


class TradeOutcome(StrEnum):
    """How a trade stands or ended; the set is closed. Source: executor specification, 13."""

    TARGET = "target"
    STOP = "stop"
    MANUAL_EXIT = "manual_exit"
    CANCELLED = "cancelled"
    PARTIAL = "partial"
    ERROR = "error"
    FILL = "fill"
    TIMEOUT = "timeout"

    @property
    def closed(self) -> bool:
        """Nothing of the trade is open any more, and something was."""
        return self in _CLOSED


_CLOSED = frozenset(
    {TradeOutcome.TARGET, TradeOutcome.STOP, TradeOutcome.MANUAL_EXIT, TradeOutcome.TIMEOUT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFacts:
    """What a trade row says about its entry beyond the order itself.

    `ref_price_usd` is what slippage is measured from: the mid when risk looked at it.
    """

    stop_price_usd: Decimal | None = None
    target_price_usd: Decimal | None = None
    ref_price_usd: Decimal | None = None
    features: Mapping[str, object] = field(default_factory=dict)
    notes: str = ""
    model_score: Decimal | None = None
    model_version: str | None = None
    profile: str = ""
    simulated: bool = False
    source: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """A broker order of ours; `revision` counts acknowledged changes of price or quantity."""

    epoch: int
    client_id: int
    order_id: int
    intent_id: str
    at: datetime
    perm_id: int | None = None
    qty: int | None = None
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    broker_status: str = ""
    why_held: str = ""
    revision: int = 0

    @property
    def key(self) -> tuple[int, int, int]:
        """What names it: epoch, client id, order id."""
        return self.epoch, self.client_id, self.order_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An execution in the ledger; `superseded_by` names the revision that counts instead."""

    execution: Execution
    intent_id: str | None
    superseded_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A change of the book without an execution, signed by a person, or a split.

    `qty` is signed; `price_usd` None takes the position's average cost, so that nothing is
    realised. `ratio` is new units per old unit of a split; `contract` is the new one then.
    """

    adjustment_id: str
    at: datetime
    account: str
    contract: Contract
    by: str
    note: str
    qty: Decimal = ZERO
    price_usd: Decimal | None = None
    ratio: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A part of a lot that was closed; `pnl_usd` is net of both fees, `fee_usd` the exit's share.

    `reason` is the leg that closed it (stop, target), the exit's reason, manual or adjustment.
    """

    event_id: str
    at: datetime
    qty: Decimal
    price_usd: Decimal
    pnl_usd: Decimal
    fee_usd: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Units opened by one execution; `direction` +1 long, -1 short; quantities are positive.

    `cost_left_usd` and `fee_left_usd` belong to what is open.
    """

    lot_id: str
    account: str
    con_id: int
    symbol: str
    sec_type: str
    trade_id: str
    direction: int
    multiplier: Decimal
    opened_at: datetime
    qty: Decimal
    open_qty: Decimal
    price_usd: Decimal
    fee_usd: Decimal
    cost_left_usd: Decimal
    fee_left_usd: Decimal
    closes: tuple[Close, ...] = ()
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Signed units at an average cost per unit without fees; `cost_usd` is of the whole.

    `opened_at` is the first event since nothing was held.
    """

    account: str
    con_id: int
    symbol: str
    contract: Contract
    qty: Decimal
    average_cost_usd: Decimal
    cost_usd: Decimal
    multiplier: Decimal
    opened_at: datetime
    mark_usd: Decimal | None = None
    marked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Exits of one entry: `exit_state` is the exit engine's JSON; `scheduled` an exit decided."""

    account: str
    con_id: int
    entry: str
    at: datetime
    opened_at: datetime
    exit_state: Json
    closed_at: datetime | None = None
    scheduled: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BareClose:
    """Units of a position that no bracket holds leave until `kept` are left.

    It is about what was held at `asked_at`: what others buy later stays as well.
    """

    account: str
    con_id: int
    kept: int
    asked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A row of the trade log: its 30 columns, then what they are computed from.

    `order_id` is the entry's intent. `pnl_usd` is realised, net of fees, of the closed part;
    `r_multiple` that per closed unit over |entry - stop|; `slippage_bps` positive is worse.
    """

    id: str
    order_id: str
    symbol: str
    side: Side
    qty: Decimal
    entry_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    created_at: datetime
    submitted_at: datetime | None = None
    entered_at: datetime | None = None
    exited_at: datetime | None = None
    exit_price: Decimal | None = None
    pnl_usd: Decimal | None = None
    r_multiple: Decimal | None = None
    outcome: TradeOutcome | None = None
    features: Mapping[str, object] = field(default_factory=dict)
    notes: str = ""
    model_score: Decimal | None = None
    model_version: str | None = None
    strategy_id: str = "manual"
    profile: str = ""
    mode: str = "paper"
    simulated: bool = False
    is_backfill: bool = False
    source: str = "unknown"
    fees_usd: Decimal = ZERO
    slippage_bps: Decimal | None = None
    exit_reason: str = ""
    signal_id: str = ""
    account: str = ""
    con_id: int = 0
    ordered_qty: Decimal = ZERO
    ref_price: Decimal | None = None
    closed_qty: Decimal = ZERO


TRADE_COLUMNS = tuple(
    "id order_id symbol side qty entry_price stop_price target_price created_at submitted_at "
    "entered_at exited_at exit_price pnl_usd r_multiple outcome features notes model_score "
    "model_version strategy_id profile mode simulated is_backfill source fees_usd slippage_bps "
    "exit_reason signal_id".split()
)
"""Order of the trade log. Source: executor specification, section 13."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What is added up."""

    entries: int = 0
    orders: int = 0
    notional_usd: Decimal = ZERO
    realised_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO

    def plus(self, other: "Counts", *, sign: int = 1) -> "Counts":
        """The sum, or with sign -1 the difference."""
        return Counts(
            self.entries + sign * other.entries,
            self.orders + sign * other.orders,
            self.notional_usd + sign * other.notional_usd,
            self.realised_usd + sign * other.realised_usd,
            self.fees_usd + sign * other.fees_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counters of a scope and trading day; `streak` is losing trades in a row at its end.

    `orders` are opening orders committed, `entries` those that were not ended without a fill.
    """

    scope: str
    key: str
    trading_day: date
    at: datetime
    entries: int = 0
    orders: int = 0
    notional_usd: Decimal = ZERO
    realised_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    streak: int = 0
    day_start_equity_usd: Decimal | None = None
    peak_equity_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Opening orders in a scope are refused until a person clears it, or until `until`.

    `scope` is account, profile, strategy or symbol; `rule` names what set it.
    """

    halt_id: str
    scope: str
    key: str
    rule: str
    reason: str
    set_by: str
    set_at: datetime
    until: datetime | None = None
    cleared_by: str | None = None
    cleared_at: datetime | None = None
    note: str = ""

    def active(self, at: datetime) -> bool:
        """Whether it holds at that instant."""
        return self.cleared_at is None and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """No entry in a symbol until then; `strategy` empty is any."""

    account: str
    symbol: str
    strategy: str
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The kill switch; `generation` counts latches and is what clearing must confirm.

    `flatten`: all positions are closed too, until it is cleared.
    """

    name: str = "kill"
    latched: bool = False
    generation: int = 0
    sources: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""
    at: datetime | None = None
    flatten: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BookEvent:
    """Something people may want to read; type and severity are those of section 13."""

    event_id: int
    at: datetime
    type: str
    severity: str
    name: str
    message: str
    details: Json = field(default_factory=dict)
