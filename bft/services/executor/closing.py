"""Closing positions on request: by symbol, strategy, instrument or all; and exit signals.

Parts leave oldest entry first, as the lots do. Source: executor specification, sections 1.1 (POST
/v1/close) and 6; decision record 0045.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from bft import exits
from bft.domain import sessions
from bft.domain.orders import Contract, Intent, Leg, OrderRequest, Side
from bft.ledger import entries
from bft.ledger.lots import LineEvent
from bft.ledger.records import BareClose, Position
from bft.services.executor.cancelling import Cancelling
from bft.services.executor.covers import Cover, parted
from bft.services.executor.desk import Desk
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave, Leaving
from bft.services.executor.naming import Naming

NOBODY = "manual"  # the strategy of units that no entry of ours opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to close; empty selects nothing, `everything` all. `instrument`: stock or option.

    `con_ids` are the contracts that the symbols mean, once `Closing.named` has found them.
    """

    symbols: tuple[str, ...] = ()
    strategy: str | None = None
    instrument: str | None = None
    everything: bool = False
    con_ids: frozenset[int] = frozenset()

    def takes(self, contract: Contract, strategy: str) -> bool:
        """Whether a position is meant."""
        if self.everything:
            return True
        option = contract.sec_type == "OPT"
        tests = [
            contract.con_id in self.con_ids if self.symbols else None,
            strategy == self.strategy if self.strategy else None,
            option == (self.instrument == "option") if self.instrument else None,
        ]
        named = [test for test in tests if test is not None]
        return bool(named) and all(named)


ALL = Selection(everything=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """One thing that is being closed: `entry` None for units that no bracket holds.

    `stays_qty` units of it, of this bracket or of no bracket, nobody has asked to leave.
    """

    symbol: str
    con_id: int
    qty: int
    entry: str | None
    what: str
    stays_qty: int = 0


class Closing:
    """Has positions leave through their brackets, and cancels entries that still work."""

    def __init__(self, desk: Desk, cancelling: Cancelling, guard: Guard, leaving: Leaving) -> None:
        self._desk, self._cancelling = desk, cancelling
        self._guard, self._leaving = guard, leaving

    def leaving_qty(self, position: Position) -> int:
        """Units that no bracket holds and that shall leave, and have not yet."""
        bare = abs(self._bare_qty(position))
        return bare - self._kept(position, bare)

    def turn(self) -> None:
        """Go on with units that no bracket holds until they are gone."""
        for key, wish in list(self._desk.state.bare_closes.items()):
            position = self._desk.state.positions.get(key)
            left = self.leaving_qty(position) if position else 0
            if position is not None and left > 0:
                self._leave_bare(position, left, wish.reason)
            else:
                done = entries.bare_closed(self._desk.now, account=key[0], con_id=key[1])
                self._desk.note(done)

    # on request

    def close(
        self,
        selection: Selection,
        reason: exits.Reason = exits.Reason.MANUAL,
        *,
        held_at: datetime | None = None,
    ) -> list[Closed]:
        """Close what is selected; asked again, nothing is doubled.

        Units of no bracket that others bought after `held_at` stay; None: all of them leave.
        """
        self._guard.recount_all()
        selection = self.named(selection, exact=False)
        done = [
            *self._covers(selection, reason),
            *self._entries(selection, reason),
            *self._bare(selection, reason=reason, held_at=held_at),
        ]
        self._guard.poke()
        return done

    def flatten(self, reason: exits.Reason) -> None:
        """Have every position leave; entries are the caller's to cancel."""
        self._guard.recount_all()
        if [*self._covers(ALL, reason), *self._bare(ALL, reason=reason)]:
            self._guard.poke()

    def close_part(self, selection: Selection, qty: int) -> list[Closed]:
        """Close so many of the selected units, oldest entries first; asked again, more of them.

        Units are those of one contract: a share's symbol takes no option on it, unless options
        are asked for.
        """
        self._guard.recount_all()
        selection = self.named(selection, exact=selection.instrument is None)
        mine = self._oldest_first(lambda c: selection.takes(c.contract, c.strategy_id))
        done = list(self._parts(mine, qty, exits.Reason.MANUAL))
        rest = qty - sum(closed.qty for closed in done)
        done += self._bare(selection, rest) if rest else []
        self._guard.poke()
        return done

    def on_signal(self, order: OrderRequest) -> list[Closed]:
        """An exit: positions of its strategy in its symbol leave, minimum hold kept.

        `order.qty` units of them, oldest first; 0, or as many as there are, is all. What a person
        asks for also takes units that no bracket holds. A signal for all cancels entries, too.
        """
        self._guard.recount_all()
        sign, by_hand = -order.side.sign, order.strategy_id == NOBODY
        named = self.named(Selection(symbols=(order.symbol,)), exact=True)
        every = self._oldest_first(
            lambda c: (
                c.contract.con_id in named.con_ids
                and c.sign == sign
                and (by_hand or order.strategy_id == c.strategy_id)
            )
        )
        mine = [cover for cover in every if by_hand or matured(cover, order)]
        reason = exits.Reason.MANUAL if by_hand else exits.Reason.RULE
        held = sum(cover.open_qty for cover in mine)
        done = list(self._parts(mine, min(order.qty or held, held), reason))
        rest = order.qty - sum(closed.qty for closed in done)
        if by_hand and (rest > 0 or not order.qty):
            done += self._bare(named, rest if order.qty else None, side=order.side)
        if order.is_signal and (not order.qty or order.qty >= sum(c.open_qty for c in every)):
            done += self._pending(named, order, {cover.entry for cover in mine}, reason)
        self._guard.poke()
        return done

    def _pending(
        self, named: Selection, order: OrderRequest, leaving: set[str], reason: exits.Reason
    ) -> Iterator[Closed]:
        """Cancels of the strategy's own entries in what an exit names.

        What one still fills leaves; where its first units are held for a minimum, as they do.
        """
        for intent in list(self._desk.state.live_intents()):
            mine = intent.leg is Leg.ENTRY and intent.strategy_id == order.strategy_id
            closes = intent.side.sign == -order.side.sign
            if mine and closes and intent.contract.con_id in named.con_ids:
                wanted = not intent.filled_qty or intent.intent_id in leaving
                yield self._drop(intent, reason if wanted else None, why="exit signal")

    def naming(self) -> Naming:
        """What names mean of what is held, or worked for, now."""
        return Naming(self._desk, (cover.contract for cover in self._guard.covers.values()))

    def named(self, selection: Selection, *, exact: bool) -> Selection:
        """The same, with the contracts it means: by their own names or, unless `exact`, roots."""
        return replace(selection, con_ids=self.naming().meant(selection.symbols, exact=exact))

    def _oldest_first(self, meant: Callable[[Cover], bool]) -> list[Cover]:
        """Those that leave whole already come last: who asks again means more."""
        found = (c for c in self._guard.covers.values() if c.open_qty and meant(c))
        return sorted(found, key=lambda c: (self._guard.leaves_whole(c), c.opened_at, c.entry))

    def _parts(self, covers: Iterable[Cover], qty: int, reason: exits.Reason) -> Iterator[Closed]:
        """`qty` units of the covers, the last one in part."""
        for cover in covers:
            less = min(qty, cover.open_qty - cover.part_qty)
            qty -= less
            stays = cover.open_qty - cover.part_qty - less
            if less and not stays:
                self._guard.schedule(cover, reason)
            elif less and self._guard.leaves_whole(cover):
                stays = 0
            elif less:
                part = parted(cover, less, reason)
                self._guard.put(part)
                self._guard.leave_part(part)
            if less:
                yield _closed(cover, less, stays_qty=stays)

    def _covers(self, selection: Selection, reason: exits.Reason) -> Iterable[Closed]:
        for cover in list(self._guard.covers.values()):
            if selection.takes(cover.contract, cover.strategy_id) and cover.open_qty:
                self._guard.schedule(cover, reason)
                yield _closed(cover, cover.open_qty)

    def _entries(self, selection: Selection, reason: exits.Reason) -> Iterable[Closed]:
        """Cancels of entries; what fills before the cancel leaves, too."""
        for intent in list(self._desk.state.live_intents()):
            taken = selection.takes(intent.contract, intent.strategy_id)
            if intent.leg is Leg.ENTRY and taken:
                yield self._drop(intent, reason, why="close")

    def _drop(self, intent: Intent, reason: exits.Reason | None, *, why: str) -> Closed:
        """Cancel an entry; with a reason, what fills all the same leaves for that."""
        if reason is not None:
            self._guard.unwanted(intent.intent_id, reason)
        self._cancelling.cancel(intent, why=why)
        return Closed(
            symbol=intent.contract.symbol,
            con_id=intent.contract.con_id,
            qty=intent.remaining_qty,
            entry=intent.intent_id,
            what="cancel entry",
        )

    # units that no bracket holds

    def _bare(
        self,
        selection: Selection,
        qty: int | None = None,
        *,
        side: Side | None = None,
        reason: exits.Reason = exits.Reason.MANUAL,
        held_at: datetime | None = None,
    ) -> Iterable[Closed]:
        """So many units (all) of positions that others opened; `turn` goes on with them.

        `side`: only what an order of that side closes; `held_at` as in `close`.
        """
        for position in list(self._desk.state.positions.values()):
            contract, bare = position.contract, abs(self._bare_qty(position))
            kept = bare if qty is None else self._kept(position, bare)
            less = min(kept if qty is None else qty, kept - self._bought_after(position, held_at))
            other = side is not None and side.sign * position.qty > 0
            if less <= 0 or other or not selection.takes(contract, NOBODY):
                continue
            qty = None if qty is None else qty - less
            self._wish(position, kept - less, reason, bare=bare)
            self._leave_bare(position, bare - kept + less, reason)
            yield Closed(
                symbol=contract.symbol,
                con_id=contract.con_id,
                qty=less,
                entry=None,
                what="exit",
                stays_qty=kept - less,
            )

    def _bought_after(self, position: Position, at: datetime | None) -> int:
        """Units that others bought after an instant, and did not sell again.

        A correction of the book by hand is no trade: the units were there, or were not.
        """
        if at is None:
            return 0
        state, added = self._desk.state, Decimal(0)
        for event in (event for event in self._campaign(position) if event.at > at):
            if event.ratio is not None:
                added *= event.ratio
            elif event.trade_id not in state.intents and event.event_id not in state.adjustments:
                added = max(Decimal(0), added + event.qty.copy_sign(event.qty * position.qty))
        return int(added)

    def _campaign(self, position: Position) -> Sequence[LineEvent]:
        line = self._desk.state.lines.get((position.account, position.con_id))
        return line.campaign() if line else ()

    def _kept(self, position: Position, bare: int) -> int:
        """Units of these that nobody has asked to leave: others' later ones are not meant."""
        wish = self._desk.state.bare_closes.get((position.account, position.con_id))
        if wish is None or position.opened_at > wish.asked_at:
            return bare
        return min(wish.kept + self._bought_after(position, wish.asked_at), bare)

    def _wish(self, position: Position, kept: int, reason: exits.Reason, *, bare: int) -> None:
        """Store that the others have to leave: a new process goes on with it.

        A flatten, which is repeated, takes back nothing that was asked for before.
        """
        if kept >= self._kept(position, bare):
            return
        known = (event.at for event in self._campaign(position))  # a broker's clock may be ahead
        wish = BareClose(
            account=position.account,
            con_id=position.con_id,
            kept=kept,
            asked_at=max(self._desk.now, *known),
            reason=str(reason),
        )
        self._desk.note(entries.bare_close(wish, self._desk.now))

    def _bare_qty(self, position: Position) -> int:
        """Signed units of a position that no cover holds; never of the other side.

        Fills are in the position at once, in their covers only once these are counted.
        """
        for cover in self._guard.of(position.con_id):
            self._guard.recount(cover.entry)
        held = sum(cover.sign * cover.open_qty for cover in self._guard.of(position.con_id))
        bare = int(position.qty) - held
        return bare if bare * position.qty > 0 else 0

    def _leave_bare(self, position: Position, qty: int, reason: str) -> None:
        self._leaving.leave(
            Leave(
                signal_id=f"close:{position.con_id}",
                contract=position.contract,
                side=Side.SELL if self._bare_qty(position) > 0 else Side.BUY,
                qty=qty,
                reason=str(reason),
            )
        )


def matured(cover: Cover, order: OrderRequest) -> bool:
    """A strategy's own exit waits for the minimum hold, in sessions completed by its decision.

    Whether or not the bar of the newest one has been read: the decision has seen it.
    """
    if cover.state is None:
        return False
    at = order.decided_at or order.created_at
    last = order.asof if order.close_decided and order.asof else sessions.last_closed(at)
    completed = len(sessions.sessions(cover.state.entry.session, last))
    return max(cover.state.held_days, completed) >= cover.policy.min_hold_days


def _closed(cover: Cover, qty: int, *, stays_qty: int = 0) -> Closed:
    contract = cover.contract
    return Closed(
        symbol=contract.symbol,
        con_id=contract.con_id,
        qty=qty,
        entry=cover.entry,
        what="exit",
        stays_qty=stays_qty,
    )
