"""Orders, executions, quotes, and what the exchange says about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.orders import Side
from bft.sim.gateway.exchange.contracts import ZERO, Contract, SecType

Key = tuple[int, int]
"""Client id and order id."""
MANUAL = 0  # client and order id of what a person enters at the gateway


class Status(StrEnum):
    """States of an order; a pending one waits for a later leg to transmit it."""

    PENDING = "PendingSubmit"
    PRESUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"

    @property
    def live(self) -> bool:
        """Whether the exchange works it."""
        return self in {Status.PRESUBMITTED, Status.SUBMITTED}


MARKET, LIMIT, STOP, STOP_LIMIT, TRAIL = "MKT", "LMT", "STP", "STP LMT", "TRAIL"
TYPES = frozenset([MARKET, LIMIT, STOP, STOP_LIMIT, TRAIL])
STOPS = frozenset([STOP, STOP_LIMIT, TRAIL])
LIFETIMES = frozenset(["DAY", "GTC", "IOC"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a client asked for. Prices in USD, None: not given; `echo` are fields kept as sent."""

    client_id: int
    order_id: int
    contract: Contract
    account: str
    side: Side
    qty: Decimal
    kind: str
    limit: Decimal | None = None
    aux: Decimal | None = None
    tif: str = "DAY"
    oca_group: str = ""
    oca_type: int = 0
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    trigger_method: int = 0
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None
    what_if: bool = False
    echo: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Its identity while it lives."""
        return self.client_id, self.order_id

    @property
    def leg(self) -> str:
        """Its part in a bracket: entry, stop or target."""
        if not self.parent_id:
            return "entry"
        return "stop" if self.kind in STOPS else "target"


@dataclass(slots=True, kw_only=True)
class Order:
    """An order at the exchange.

    `stop` is the trigger in force; `share` caps a child while its parent fills (proportional
    mode); `cut` is what its group took from it; `slices` are scripted fill sizes, and an empty
    tuple of them means: fill no more.
    """

    terms: Terms
    perm_id: int
    status: Status
    created_at: datetime
    expires_at: datetime | None
    filled: Decimal = ZERO
    spent: Decimal = ZERO  # sum of quantity times price
    last_price: Decimal = ZERO
    fees: Decimal = ZERO
    why_held: str = ""
    triggered: bool = False
    stop: Decimal | None = None
    share: Decimal | None = None
    cut: Decimal = ZERO
    reserve: Decimal = ZERO  # initial margin of one unit, kept free for an entry
    slices: tuple[Decimal, ...] | None = None
    completed_at: datetime | None = None
    completed_text: str = ""

    @property
    def qty(self) -> Decimal:
        """Quantity as shown to clients."""
        whole = self.terms.qty if self.share is None else min(self.share, self.terms.qty)
        return max(whole - self.cut, self.filled)

    @property
    def remaining(self) -> Decimal:
        """Shown quantity not filled yet."""
        return self.qty - self.filled

    @property
    def complete(self) -> bool:
        """Whether all that was asked, less what its group took, is filled."""
        return self.filled >= self.terms.qty - self.cut

    @property
    def average(self) -> Decimal:
        """Mean fill price, 0 before the first."""
        return self.spent / self.filled if self.filled else ZERO

    @property
    def works(self) -> bool:
        """Whether it may fill: live, and not held back."""
        return self.status.live and self.why_held != "child"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill; `realised` in USD net of fees, None where it opened. `revision` 1: the first."""

    base_id: str
    revision: int
    client_id: int
    order_id: int
    perm_id: int
    contract: Contract
    account: str
    side: Side
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    average: Decimal
    at: datetime
    order_ref: str
    fee: Decimal
    realised: Decimal | None
    leg: str

    @property
    def exec_id(self) -> str:
        """Its id; the last pair counts corrections."""
        return f"{self.base_id}.{self.revision:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A market at an instant. Sizes in shares or contracts; `halted`: nothing trades."""

    at: datetime
    bid: Decimal
    ask: Decimal
    last: Decimal
    bid_size: Decimal
    ask_size: Decimal
    last_size: Decimal
    volume: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    previous: Decimal  # close of the session before
    halted: bool = False

    @property
    def mid(self) -> Decimal:
        """Middle of bid and ask."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order or a change is not taken."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An open order as it stands (message 5, and 3 after it)."""

    order: Order


@dataclass(frozen=True, slots=True)
class StatusSaid:
    """An order's status alone (message 3)."""

    order: Order


@dataclass(frozen=True, slots=True)
class Executed:
    """A fill (message 11)."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Charged:
    """The commission of a fill (message 59)."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Said:
    """A code about an order (message 4)."""

    key: Key
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A position changed."""

    account: str
    contract: Contract


Event = Opened | StatusSaid | Executed | Charged | Said | Moved


def is_option(contract: Contract) -> bool:
    """Whether it is an option."""
    return contract.sec_type is SecType.OPTION
