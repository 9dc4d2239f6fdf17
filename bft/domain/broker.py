"""What a broker says: reports, quotes, snapshots, session states.

Source: executor specification, sections 3, 6 and 7.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.orders import Contract, Execution, OrderType, Side, TimeInForce

FAR_FRAC = Decimal("0.40")  # from the last close; a quote beyond is none (strategies, bad input)
WIDE_FRAC = Decimal("0.10")  # of the mid; no profile enters at a wider spread


class SessionState(StrEnum):
    """State of the broker session. Source: executor specification, section 7.1."""

    DOWN = "DOWN"
    HANDSHAKE = "HANDSHAKE"
    SYNCING = "SYNCING"
    RECONCILING = "RECONCILING"
    ARMED = "ARMED"
    LOST = "LOST"
    HALF_OPEN = "HALF_OPEN"
    DRAINING = "DRAINING"

    @property
    def may_close(self) -> bool:
        """Closing orders may leave."""
        return self in {SessionState.RECONCILING, SessionState.ARMED, SessionState.DRAINING}

    @property
    def may_cancel(self) -> bool:
        """Cancels may leave."""
        return self.may_close or self is SessionState.LOST


class SessionNote(StrEnum):
    """What a person must hear about a session beyond its state.

    Source: executor specification, sections 3 and 7.1.
    """

    ID_ROLLBACK = "id_rollback"  # the broker counts order ids below those stored
    CLIENT_ID_IN_USE = "client_id_in_use"  # another process holds the client id, for 60 s
    WRONG_ACCOUNT = "wrong_account"  # the configured account is not among those told
    LOGIN_TOMORROW = "login_tomorrow"  # the weekly login is due in 24 h
    APPROVAL_NEEDED = "approval_needed"  # login time reached, no session; every 15 min


class Priority(StrEnum):
    """Order of the send queue, first to last."""

    CANCEL = "cancel"
    CLOSING = "closing"
    AMEND = "amend"
    OPENING = "opening"
    QUERY = "query"
    DATA = "data"


class ErrorKind(StrEnum):
    """What a broker's code means for an order or session, whatever its number.

    Source: executor specification, section 7.1, table of codes.
    """

    REFUSED = "refused"  # class R: REJECTED before acknowledgement, else a failed amend
    CANCELLED = "cancelled"  # 202: a status or completed order must agree
    DUPLICATE_ID = "duplicate_id"  # 103: evidence that the id exists
    UNCHANGED = "unchanged"  # an amend or cancel that was not possible; query all orders
    MESSAGE = "message"  # never terminal
    HELD = "held"  # 404, 109, 165, 321, 492: held or invalid; query
    PACING = "pacing"
    CONNECTION = "connection"
    CONNECTIVITY = "connectivity"  # 1100-1102 and farms reported broken
    FARM_OK = "farm_ok"
    DATA = "data"  # missing or delayed quotes, depth
    UNLISTED = "unlisted"  # never terminal; query within 2 s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """One leg as handed to a broker. `transmit` False waits for the last leg of its bracket."""

    order_id: int
    order_ref: str
    contract: Contract
    side: Side
    qty: int
    order_type: OrderType
    account: str
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    parent_order_id: int = 0
    oca_group: str = ""
    oca_type: int = 0
    transmit: bool = True
    trigger_method: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An open or completed order as the broker tells it; `order_id` 0 where it tells none.

    Every broker uses the gateway's words. `order_type`: MKT, LMT, STP, STP LMT. `status`: live are
    PreSubmitted, Submitted and PendingCancel, ended Filled, Cancelled (by anyone, or at the end of
    its day) and, if code 201 or a completed order says so, Inactive. `why_held`: child (waits for
    its entry), trigger (a live stop).
    """

    order_ref: str
    perm_id: int
    order_id: int
    client_id: int
    account: str
    contract: Contract
    side: Side
    qty: Decimal
    order_type: str
    status: str
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    filled_qty: Decimal | None = None
    parent_order_id: int = 0
    oca_group: str = ""
    why_held: str = ""
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """A position as the broker tells it; `average_cost_usd` includes multiplier and fees."""

    account: str
    contract: Contract
    qty: Decimal
    average_cost_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValues:
    """Account figures in USD; None is unknown.

    `at` is the arrival of the newest, by the executor's clock; `equity_at` and `available_at` are
    those of their figures, None where all came at once.
    """

    account: str
    at: datetime
    equity_usd: Decimal | None = None
    cash_usd: Decimal | None = None
    available_usd: Decimal | None = None
    account_type: str = ""
    equity_at: datetime | None = None
    available_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A top of book; None is unknown. `at` is when it last changed, by the executor's clock.

    `frozen`, `delayed`, `halted` as the feed says.
    """

    contract: Contract
    at: datetime
    bid_usd: Decimal | None = None
    ask_usd: Decimal | None = None
    last_usd: Decimal | None = None
    close_usd: Decimal | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    frozen: bool = False
    delayed: bool = False
    halted: bool = False

    @property
    def mid_usd(self) -> Decimal | None:
        """Half way between bid and ask, where both are above zero and not crossed."""
        bid, ask = _side(self.bid_usd), _side(self.ask_usd)
        return None if bid is None or ask is None or bid > ask else (bid + ask) / 2

    @property
    def mark_usd(self) -> Decimal | None:
        """What a unit is worth: the mid, of a touch too wide to read the last trade inside it.

        Of one side alone the last trade, at that side where it was beyond: nobody bids what was
        paid before a fall. Without a side the last trade; of a crossed touch nothing.
        """
        bid, ask, traded = _side(self.bid_usd), _side(self.ask_usd), _side(self.last_usd)
        if bid is not None and ask is not None:
            mid = self.mid_usd
            wide = mid is not None and ask - bid > WIDE_FRAC * mid
            return min(max(traded, bid), ask) if wide and traded is not None else mid
        if traded is None:
            return None
        return max(traded, bid or traded) if ask is None else min(traded, ask)


def _side(price_usd: Decimal | None) -> Decimal | None:
    """A price above zero, or none."""
    sound = price_usd is not None and price_usd.is_finite() and price_usd > 0
    return price_usd if sound else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLine:
    """What is known of the line that a watched contract's quotes come by, beside the quotes.

    `alive_at` is the last instant, by the executor's clock, at which the newest quote was known to
    be what the market shows: what had changed until then would have been told. None: it is not
    known to be, and `problem` says why, in words.
    """

    alive_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionFigures:
    """What the feed says of a watched option beside its touch; None is unknown.

    `delta` and `implied_volatility` (a fraction a year) are those of the broker's model, `volume`
    and `open_interest` contracts; each `_at` is the arrival, by the executor's clock. `live` is
    False where the feed says frozen or delayed.
    """

    contract: Contract
    delta: Decimal | None = None
    implied_volatility: Decimal | None = None
    model_at: datetime | None = None
    volume: int | None = None
    volume_at: datetime | None = None
    open_interest: int | None = None
    open_interest_at: datetime | None = None
    live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Positions and all open orders, each with its end marker, of one epoch and account.

    `completed` and `executions` are None where they were not asked for.
    """

    epoch: int
    account: str
    at: datetime
    positions: tuple[BrokerPosition, ...]
    open_orders: tuple[BrokerOrder, ...]
    completed: tuple[BrokerOrder, ...] | None = None
    executions: tuple[Execution, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """The session changed its state, or, with a note, has something to say in the same state."""

    state: SessionState
    epoch: int
    reason: str = ""
    code: int | None = None
    note: SessionNote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """openOrder or orderStatus: where an order stands now."""

    order: BrokerOrder
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """A fill, or its correction."""

    execution: Execution
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeReport:
    """Commission of a fill, told after it."""

    exec_id: str
    fee_usd: Decimal
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """A code; `order_id` None where it belongs to no order."""

    kind: ErrorKind
    code: int
    text: str
    epoch: int
    order_id: int | None = None
    order_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReport:
    """A watched contract's quote changed."""

    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport:
    """A position changed."""

    position: BrokerPosition
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """Account figures changed."""

    values: AccountValues
    epoch: int


Report = (
    SessionReport
    | OrderReport
    | ExecutionReport
    | FeeReport
    | ErrorReport
    | QuoteReport
    | PositionReport
    | AccountReport
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Margins after an order that is not sent, in USD; None is unknown."""

    initial_margin_after_usd: Decimal | None
    equity_with_loan_after_usd: Decimal | None
    commission_usd: Decimal | None = None
    values: Mapping[str, str] = field(default_factory=dict)
