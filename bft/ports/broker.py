"""A broker as the executor sees it: asynchronous, one event loop, reports by callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bft.domain.broker import (
    AccountValues,
    BrokerOrder,
    FeedLine,
    OptionFigures,
    PlacedOrder,
    Priority,
    Quote,
    Report,
    SessionState,
    Snapshot,
    WhatIf,
)
from bft.domain.orders import Contract, Execution

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal


def no_close(_: Contract) -> None:
    """No close of any contract is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHooks:
    """What the executor gives a broker.

    `report` is called in the loop's thread, in the order of arrival, and never raises.
    `next_epoch` counts and stores a new connection. `id_floor` is the highest order id ever
    stored for this client id, plus one: no id below it is used again. `id_acknowledged` is the
    highest one that the broker acknowledged: one that counts from below it has lost its count.
    `close_usd` is the last close of a contract that the night knows, None where it knows none.
    """

    report: Callable[[Report], None]
    next_epoch: Callable[[], int]
    id_floor: Callable[[], int]
    id_acknowledged: Callable[[], int]
    close_usd: Callable[[Contract], Decimal | None] = no_close


class Broker(Protocol):
    """One account at one broker.

    The broker reconnects by itself, for ever. Every method but `start`, `stop` and the
    properties raises UnavailableError while the session does not allow it.
    """

    name: str
    account: str

    @property
    def client_id(self) -> int:
        """The id this client bears; a reader's may change while it connects."""

    @property
    def simulated(self) -> bool:
        """Whether fills are not real; a peer may say so only once it is connected."""

    @property
    def state(self) -> SessionState:
        """State of the session now; every change was reported first."""

    @property
    def epoch(self) -> int:
        """Number of the connection; 0 before the first."""

    async def start(self, hooks: BrokerHooks) -> None:
        """Begin to connect in the background; returns at once.

        Raises:
            ConfigError: the address or account can never work.
            RefusedError: the peer is not what mode and account demand.
        """

    async def stop(self) -> None:
        """Close the session; resting orders stay at the broker."""

    def arm(self) -> None:
        """The executor has reconciled: RECONCILING becomes ARMED unless something forbids it."""

    def resync(self, reason: str) -> None:
        """Go back to SYNCING: everything is asked for again, then RECONCILING is reported."""

    async def send_token(self, priority: Priority) -> None:
        """Wait for leave to send one message; cancels overtake, openings keep their order."""

    def reserve_ids(self, count: int) -> list[int]:
        """Order ids that were never used and rise; not below the floor."""

    def place(self, orders: Sequence[PlacedOrder]) -> None:
        """Write the legs to the socket at once, in this order; no await between call and bytes.

        Raises:
            UnavailableError: not connected; nothing was written.
        """

    def amend(self, order: PlacedOrder) -> None:
        """Change a live order that keeps its id; reports tell the outcome."""

    def cancel(self, order_id: int) -> None:
        """Ask to cancel an order of this client; reports tell the outcome."""

    async def snapshot(self, *, full: bool = False) -> Snapshot:
        """Positions and open orders of all clients; `full` adds completed orders, executions.

        Complete or not at all: raises UnavailableError when an end marker is missing.
        """

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Open orders of all clients, complete."""

    async def completed_orders(self) -> tuple[BrokerOrder, ...]:
        """Completed orders since the broker's last reset, complete."""

    async def executions(self, *, since: datetime | None = None) -> tuple[Execution, ...]:
        """Executions the broker still tells, with fees where known, oldest first, complete."""

    async def contract(self, wanted: Contract) -> Contract:
        """The one contract that fits, resolved.

        Raises:
            DataError: none, or more than one; names them.
        """

    async def what_if(self, order: PlacedOrder) -> WhatIf:
        """Margins after an order that is never sent."""

    async def broker_time(self) -> datetime:
        """The broker's clock, UTC."""

    def account_values(self) -> AccountValues | None:
        """Newest figures of the account, or None before the first."""

    def watch(self, contract: Contract) -> None:
        """Report quotes of a contract from now on; again is fine."""

    def unwatch(self, contract: Contract) -> None:
        """Stop; unknown is fine."""

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a watched contract, or None."""

    def line(self, contract: Contract) -> FeedLine | None:
        """Whether the line of a watched contract lives though nothing changes on it.

        None where this broker cannot know: there a quote is as old as its last change.
        """

    def option_figures(self, contract: Contract) -> OptionFigures | None:
        """Newest figures of a watched option; None before the first, or where none are told.

        What changes them is reported as a quote of the contract.
        """
