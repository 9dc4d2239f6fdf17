"""What the exchange knows: orders, fills, accounts, quotes, ids; and what it has yet to say."""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from bft.sim.gateway.exchange import accounts
from bft.sim.gateway.exchange.accounts import Account, Position
from bft.sim.gateway.exchange.contracts import ZERO, Contract, con_id
from bft.sim.gateway.exchange.orders import (
    Event,
    Execution,
    Key,
    Opened,
    Order,
    Quote,
    Refusal,
    Said,
    Status,
    StatusSaid,
    Terms,
)
from bft.sim.gateway.exchange.working import Working


class ChildMode(StrEnum):
    """When children of a partly filled parent begin to work."""

    HELD = "held"
    PROPORTIONAL = "proportional"
    FULL = "full"


class Orphans(StrEnum):
    """What becomes of children when a partly filled parent is cancelled."""

    KEEP = "keep"
    REDUCE = "reduce"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where gateways differ, or are said to."""

    child_mode: ChildMode = ChildMode.HELD
    orphans: Orphans = Orphans.KEEP
    status_after_reject: bool = True
    keep_untransmitted: bool = False


@dataclass(slots=True, kw_only=True)
class Ids:
    """Counters that never run backwards; `first` comes from the seed."""

    first: int
    perm: int = 0
    execution: int = 0
    highest: dict[str, int] = field(default_factory=dict)  # client id -> highest order id used


class Hooks(Protocol):
    """A script's say in what the exchange does."""

    def screen(self, terms: Terms) -> Refusal | None:
        """Refuse an order that is about to be accepted."""

    def accepted(self, order: Order) -> None:
        """An order goes live; nothing has been said of it yet."""

    def executed(self, order: Order, at: datetime) -> None:
        """An order filled, and that was said."""

    def cancelling(self, order: Order, at: datetime) -> bool:
        """An order shall be cancelled; true: it filled first."""


class NoHooks:
    """Nothing out of the ordinary."""

    def screen(self, terms: Terms) -> Refusal | None:
        """See `Hooks`."""
        del terms
        return None

    def accepted(self, order: Order) -> None:
        """See `Hooks`."""

    def executed(self, order: Order, at: datetime) -> None:
        """See `Hooks`."""

    def cancelling(self, order: Order, at: datetime) -> bool:
        """See `Hooks`."""
        del order, at
        return False


_NO_HOOKS = NoHooks()


class Books:
    """All state of the exchange. `dirty` names the records changed since they were last taken."""

    def __init__(
        self,
        rules: Rules,
        names: Sequence[str],
        *,
        cash: Decimal,
        seed: int,
        hooks: Hooks = _NO_HOOKS,
    ) -> None:
        self.rules, self.hooks = rules, hooks
        self.accounts = {name: Account(name=name, cash=cash, day_start=cash) for name in names}
        self.ids = Ids(first=con_id(f"ids:{seed}") % 500_000_000 + 1_000_000_000)
        self.positions: dict[tuple[str, int], Position] = {}
        self.orders: dict[Key, Order] = {}  # pending and live, and finished ones of the day
        self.working = Working()  # live orders
        self.completed: dict[int, Order] = {}  # of the day, by perm id
        self.executions: dict[str, Execution] = {}  # of the day, by exec id
        self.quotes: dict[int, Quote] = {}
        self.events: list[Event] = []
        self.dirty: set[tuple[str, str]] = set()
        self.auctioned: dict[int, date] = {}
        self.cuts: list[tuple[Order, Order, Decimal]] = []  # group members to reduce, see groups

    # orders ------------------------------------------------------------------------------

    def add(self, order: Order) -> None:
        """Take in an order that goes live."""
        if order.terms.order_id > 0:
            self.orders[order.terms.key] = order
        self.working.add(order)
        self.touch_order(order)

    def finish(self, order: Order, status: Status, at: datetime, text: str) -> None:
        """End an order; it stays among the day's completed ones."""
        order.status, order.completed_at, order.completed_text = status, at, text
        order.why_held = ""
        self.working.remove(order)
        if order.perm_id:
            self.completed[order.perm_id] = order
        self.touch_order(order)

    def live(self) -> Iterator[Order]:
        """Live orders of all clients, oldest first."""
        return iter(self.working.live())

    def parent(self, order: Order) -> Order | None:
        """The order another one hangs on, or None."""
        return self.orders.get((order.terms.client_id, order.terms.parent_id))

    def say(self, event: Event) -> None:
        """Queue what clients are told; orders as they are now."""
        if isinstance(event, Opened | StatusSaid):
            self.touch_order(event.order)
            event = type(event)(copy(event.order))
        self.events.append(event)

    def say_code(self, order: Order, code: int, text: str) -> None:
        """Queue a code about an order."""
        self.events.append(Said(order.terms.key, code, text))

    def touch_order(self, order: Order) -> None:
        """Note that an order changed."""
        self.working.note(order)
        self.dirty.add(("order", str(order.perm_id)))

    def erase(self, order: Order) -> None:
        """Lose a live order without a trace."""
        self.working.remove(order)
        self.orders.pop(order.terms.key, None)
        self.touch_order(order)

    # ids ---------------------------------------------------------------------------------

    def new_perm_id(self) -> int:
        """Next permanent order id."""
        self.ids.perm += 1
        self.dirty.add(("ids", ""))
        return self.ids.first + self.ids.perm

    def new_exec_id(self) -> str:
        """Next execution id, without its revision."""
        self.ids.execution += 1
        self.dirty.add(("ids", ""))
        return f"{self.ids.first:08x}.{self.ids.execution:08x}.01"

    def use_id(self, key: Key) -> None:
        """Remember the highest order id of a client."""
        client = str(key[0])
        self.ids.highest[client] = max(self.ids.highest.get(client, 0), key[1])
        self.dirty.add(("ids", ""))

    def highest_id(self, client_id: int) -> int:
        """Highest order id a client has used."""
        return self.ids.highest.get(str(client_id), 0)

    # money -------------------------------------------------------------------------------

    def position(self, account: str, contract: Contract) -> Position:
        """A holding, made when it is not there."""
        key = account, contract.con_id
        if key not in self.positions:
            self.positions[key] = Position(account=account, contract=contract)
        return self.positions[key]

    def touch_position(self, held: Position) -> None:
        """Note that a holding's record changed."""
        self.dirty.add(("position", f"{held.account}/{held.contract.con_id}"))

    def open_account(self, name: str, cash: Decimal) -> None:
        """Make an account where there is none."""
        if name not in self.accounts:
            self.accounts[name] = Account(name=name, cash=cash, day_start=cash)
            self.dirty.add(("account", name))

    def held(self, account: str) -> list[Position]:
        """Holdings of an account that are not flat."""
        return [p for p in self.positions.values() if p.account == account and p.qty]

    def mark(self, held: Position) -> Decimal:
        """Price a holding is valued at: last, else the previous close, else its cost."""
        quote = self.quotes.get(held.contract.con_id)
        if quote and (quote.last > 0 or quote.previous > 0):
            return quote.last if quote.last > 0 else quote.previous
        return held.cost / held.contract.multiplier

    def equity(self, account: str) -> Decimal:
        """Net liquidation value."""
        parts = (accounts.equity_part(p, self.mark(p)) for p in self.held(account))
        return self.accounts[account].cash + accounts.total(parts)

    def margin(self, account: str, *, initial: bool) -> Decimal:
        """Margin of the holdings."""
        return accounts.total(
            accounts.margin(p.contract, p.qty, self.mark(p), initial=initial)
            for p in self.held(account)
        )

    def open_qty(self, account: str, contract: Contract) -> Decimal:
        """Signed quantity held."""
        found = self.positions.get((account, contract.con_id))
        return found.qty if found else ZERO
