"""An order at the paper exchange, and how it is told: in the gateway's words."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bft.domain.broker import BrokerOrder, PlacedOrder
from bft.domain.orders import Contract, OrderType

ZERO = Decimal(0)
STOPS = frozenset([OrderType.STOP, OrderType.STOP_LIMIT])
WORDS = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
}
"""Order types as Interactive Brokers writes them."""


class Status(StrEnum):
    """States of an order in the gateway's words (wire specification, section 8)."""

    PRESUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"


@dataclass(slots=True, kw_only=True)
class Working:
    """An order with what became of it; the quantity in `placed` is the one in force."""

    placed: PlacedOrder
    perm_id: int
    accepted_at: datetime
    expires_at: datetime | None
    status: Status = Status.SUBMITTED
    why_held: str = ""
    triggered: bool = False
    filled_qty: int = 0
    notional_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    completed_at: datetime | None = None

    @property
    def remaining_qty(self) -> int:
        """Units not filled yet."""
        return self.placed.qty - self.filled_qty

    @property
    def held(self) -> bool:
        """Whether it waits for its parent."""
        return self.why_held == "child"

    @property
    def is_stop(self) -> bool:
        """Whether a trigger must be reached first."""
        return self.placed.order_type in STOPS

    def release(self) -> None:
        """Make it workable; a stop waits for its trigger."""
        waits = self.is_stop and not self.triggered
        self.status = Status.PRESUBMITTED if waits else Status.SUBMITTED
        self.why_held = "trigger" if waits else ""

    def trigger(self) -> None:
        """Its trigger price was reached."""
        self.triggered = True
        self.release()

    def told(self, client_id: int) -> BrokerOrder:
        """The order as the port tells it."""
        placed = self.placed
        return BrokerOrder(
            order_ref=placed.order_ref,
            perm_id=self.perm_id,
            order_id=placed.order_id,
            client_id=client_id,
            account=placed.account,
            contract=placed.contract,
            side=placed.side,
            qty=Decimal(placed.qty),
            order_type=WORDS[placed.order_type],
            status=self.status,
            limit_price_usd=placed.limit_price_usd,
            stop_price_usd=placed.stop_price_usd,
            filled_qty=Decimal(self.filled_qty),
            parent_order_id=placed.parent_order_id,
            oca_group=placed.oca_group,
            why_held=self.why_held,
            completed_at=self.completed_at,
        )


def key_of(contract: Contract) -> str:
    """Name that prices go by: symbol, local symbol of a future, OCC symbol of an option.

    Source: OCC option symbology: root, YYMMDD, C or P, strike in thousandths on 8 digits.
    """
    if contract.sec_type == "FUT":
        return contract.local_symbol or contract.symbol
    if contract.sec_type != "OPT" or contract.expiry is None or contract.strike_usd is None:
        return contract.symbol
    strike = int(contract.strike_usd * 1000)
    return f"{contract.symbol}{contract.expiry:%y%m%d}{contract.right}{strike:08d}"
