"""Closing positions on request: by symbol, strategy, instrument or all; and exit signals.

Source: executor specification, sections 1.1 (POST /v1/close) and 6.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bft import exits
from bft.domain.orders import Leg, OrderRequest, Side
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave, Leaving
from bft.services.executor.sending import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to close; empty selects nothing, `everything` all. `instrument`: stock or option."""

    symbols: tuple[str, ...] = ()
    strategy: str | None = None
    instrument: str | None = None
    everything: bool = False

    def takes(self, symbol: str, strategy: str, sec_type: str) -> bool:
        """Whether a position is meant."""
        if self.everything:
            return True
        tests = [
            symbol in self.symbols if self.symbols else None,
            strategy == self.strategy if self.strategy else None,
            (sec_type == "OPT") == (self.instrument == "option") if self.instrument else None,
        ]
        named = [test for test in tests if test is not None]
        return bool(named) and all(named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """One thing that is being closed: `entry` None for units that no bracket holds."""

    symbol: str
    qty: int
    entry: str | None
    what: str


class Closing:
    """Has positions leave through their brackets, and cancels entries that still work."""

    def __init__(self, desk: Desk, sender: Sender, guard: Guard, leaving: Leaving) -> None:
        self._desk, self._sender, self._guard, self._leaving = desk, sender, guard, leaving

    def close(self, selection: Selection) -> list[Closed]:
        """Close what is selected; asked again, nothing is doubled."""
        done = [*self._covers(selection), *self._entries(selection), *self._bare(selection)]
        self._guard.poke()
        return done

    def _covers(self, selection: Selection) -> Iterable[Closed]:
        for cover in list(self._guard.covers.values()):
            contract = cover.contract
            taken = selection.takes(contract.symbol, cover.strategy_id, contract.sec_type)
            if taken and cover.open_qty:
                self._guard.schedule(cover, exits.Reason.MANUAL)
                yield _closed(cover, "exit")

    def _entries(self, selection: Selection) -> Iterable[Closed]:
        for intent in list(self._desk.state.live_intents()):
            contract = intent.contract
            taken = selection.takes(contract.symbol, intent.strategy_id, contract.sec_type)
            if intent.leg is Leg.ENTRY and taken:
                self._desk.spawn(self._sender.cancel(intent, why="close"), "close")
                yield Closed(
                    symbol=contract.symbol,
                    qty=intent.remaining_qty,
                    entry=intent.intent_id,
                    what="cancel entry",
                )

    def _bare(self, selection: Selection) -> Iterable[Closed]:
        """Units of a position that others opened: no bracket holds them."""
        for position in list(self._desk.state.positions.values()):
            held = sum(cover.sign * cover.open_qty for cover in self._guard.of(position.con_id))
            bare = int(position.qty) - held
            contract = position.contract
            if not bare or not selection.takes(contract.symbol, "manual", contract.sec_type):
                continue
            self._leaving.leave(
                Leave(
                    signal_id=f"close:{contract.con_id}",
                    contract=contract,
                    side=Side.SELL if bare > 0 else Side.BUY,
                    qty=abs(bare),
                    reason="manual",
                )
            )
            yield Closed(symbol=contract.symbol, qty=abs(bare), entry=None, what="exit")

    def on_signal(self, order: OrderRequest) -> list[Closed]:
        """An exit signal: the positions of its strategy in its symbol leave, minimum hold kept."""
        sign = 1 if order.side is Side.SELL else -1
        done = []
        for cover in list(self._guard.covers.values()):
            mine = cover.contract.symbol == order.symbol and cover.sign == sign
            mine = mine and order.strategy_id in {cover.strategy_id, "manual"}
            if mine and cover.open_qty and matured(cover, order):
                rule = order.strategy_id == cover.strategy_id
                reason = exits.Reason.RULE if rule else exits.Reason.MANUAL
                self._guard.schedule(cover, reason)
                done.append(_closed(cover, "exit"))
        return done


def matured(cover: Cover, order: OrderRequest) -> bool:
    """A strategy's own exit waits for the minimum hold; a person's does not."""
    held = cover.state.held_days if cover.state else 0
    return order.strategy_id == "manual" or held >= cover.policy.min_hold_days


def _closed(cover: Cover, what: str) -> Closed:
    return Closed(symbol=cover.contract.symbol, qty=cover.open_qty, entry=cover.entry, what=what)
