"""The exit monitor: every position has its stop, every exit its order.

A turn a second looks at everything; in between, one looks at the contracts of which something was
heard. Source: executor specification, section 6.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bft import exits
from bft.domain import sessions
from bft.domain.errors import BftError
from bft.domain.orders import Execution, Intent, Leg, Side
from bft.domain.trading_days import market_open
from bft.ledger import entries
from bft.services.executor.assignments import uncovered
from bft.services.executor.cooldowns import cooldown_of
from bft.services.executor.covers import (
    Cover,
    counted,
    cut,
    from_bracket,
    parted,
    stop_reason,
    to_bracket,
)
from bft.services.executor.desk import Desk
from bft.services.executor.faults import Faults
from bft.services.executor.leaving import Leave, Leaving
from bft.services.executor.levels import Levels
from bft.services.executor.resting import Resting
from bft.services.executor.sending import Sender
from bft.services.executor.short_legs import ShortLegs
from bft.services.executor.surplus import excess, orphans, overshoot, surplus
from bft.services.executor.underlying import expires_soon, judged

TURN_S, BREATH_S = 1.0, 0.01
OVER_S = 1.0  # a group cuts its own exits by then; executor specification, 6: no sum above 2 s
DRAIN_S, BACK_S = 2.0, 1.0  # of the 10 s a clean end may take; executor specification, 1
OVERDUE = timedelta(minutes=7)  # after the end of day began, 10 min before the close
_AT_OPEN = frozenset({exits.Reason.TIME, exits.Reason.FLIP, exits.Reason.RULE})


class Guard:
    """Holds the covers in memory, their rows in the ledger."""

    def __init__(self, desk: Desk, sender: Sender, leaving: Leaving) -> None:
        self._desk, self._leaving, self._resting = desk, leaving, Resting(desk, sender)
        self.covers: dict[str, Cover] = {
            bracket.entry: from_bracket(bracket)
            for bracket in desk.state.brackets.values()
            if bracket.closed_at is None
        }
        self._wake = asyncio.Event()
        self._touched: set[int] | None = None  # None: everything
        self._whole_at = float("-inf")
        self._levels = Levels(desk)
        self._over: dict[str, float] = {}
        self._short_legs = ShortLegs(desk)
        self._faults = Faults(desk)
        self.spared = self._faults.spared

    # covers

    def plan(self, cover: Cover) -> None:
        """Begin a cover with the commitment of its entry; its row is in the same transaction."""
        self.covers[cover.entry] = cover

    def of(self, con_id: int) -> list[Cover]:
        """Open covers of a contract."""
        return [cover for cover in self.covers.values() if cover.contract.con_id == con_id]

    def put(self, cover: Cover) -> None:
        """Store a changed cover."""
        self._put(self.covers[cover.entry], cover)

    def recount(self, entry_id: str) -> None:
        """Bring a cover in step with what its orders filled; store it when it changed."""
        cover, entry = self.covers.get(entry_id), self._desk.state.intents.get(entry_id)
        if cover is None or entry is None:
            return
        with self._faults.counting(cover):
            legs = [leg for leg in self.legs(entry_id) if leg.leg is not Leg.ENTRY]
            self._put(cover, counted(cover, entry, legs, self._fills(entry_id)))

    def recount_all(self) -> None:
        """Of every cover, before it is told what has to leave: a fill may be a moment old."""
        for entry_id in list(self.covers):
            self.recount(entry_id)

    def _put(self, old: Cover, new: Cover) -> None:
        entry = self._desk.state.intents[new.entry]
        done = new.open_qty == 0 and entry.state.terminal
        if new == old and not done:
            return
        now = self._desk.now
        trails = new.state is not None and new.state.trail_usd is not None
        reason = stop_reason(new) if trails else None
        made = [entries.bracket(to_bracket(new, at=now, closed=done), stop_reason=reason)]
        if done and new.state is not None:
            rest = cooldown_of(new, self.legs(new.entry), now)
            made.append(entries.cooldown(now, cooldown=rest))
        self._desk.note(*made)
        self.covers[new.entry] = new
        if done:
            del self.covers[new.entry]

    def legs(self, entry_id: str) -> list[Intent]:
        """Orders of a bracket beside its entry, oldest first, as they are now."""
        return sorted(self._desk.state.intents.legs(entry_id), key=_age)

    def _exits(self, entry_id: str) -> bool:
        """Whether an exit of the bracket has been sent and has not ended."""
        legs = self._desk.state.intents.legs(entry_id)
        return any(leg.leg is Leg.EXIT and not leg.state.terminal for leg in legs)

    def _fills(self, entry_id: str) -> list[Execution]:
        state = self._desk.state
        bases = state.fills.get(entry_id, ())
        known = (state.executions[name] for base in bases for name in state.revisions[base])
        counting = [booked.execution for booked in known if booked.superseded_by is None]
        return sorted(counting, key=lambda told: (told.at, told.exec_id))

    # turns

    def poke(self) -> None:
        """Look at everything as soon as the loop is free."""
        self._touched = None
        self._wake.set()

    def touch(self, con_id: int) -> None:
        """Look at a contract as soon as the loop is free."""
        if self._touched is not None:
            self._touched.add(con_id)
        self._wake.set()

    def quoted(self, con_id: int) -> None:
        """Look at the options whose levels lie on this contract: no order rests at those."""
        for cover in self.covers.values():
            if cover.under is not None and cover.under.contract.con_id == con_id:
                self.touch(cover.contract.con_id)

    async def watch(self) -> None:
        """Turn for ever."""
        while True:
            self._wake.clear()
            began = self._desk.timer()
            if self._desk.withstand(self._due_turn, "guard"):
                self._desk.beat = self._desk.timer()
            self._desk.took("monitor_loop", self._desk.timer() - began)
            await asyncio.sleep(BREATH_S)  # a flood of fills shares a turn
            with suppress(TimeoutError):
                async with asyncio.timeout(self._whole_at + TURN_S - self._desk.timer()):
                    await self._wake.wait()

    def _due_turn(self) -> None:
        """A whole turn when one is due or asked for, else one of what was touched."""
        touched, self._touched = self._touched, set()
        if touched is None or self._desk.timer() - self._whole_at >= TURN_S - BREATH_S:
            touched, self._whole_at = None, self._desk.timer()
        try:
            self.turn(touched)
        except BftError:
            self._touched = None  # what it did not come to is not forgotten
            raise

    def turn(self, only: Collection[int] | None = None) -> None:
        """Look once at every bracket, or at those of some contracts; nothing here waits."""
        for cover in self._among(only):
            self.recount(cover.entry)
        if only is None:
            self._resting.forget(self._desk.state.intents.live(), self.covers)
            self._tell_overdue()
        if not self._desk.broker.state.may_close:
            self._resting.pause()
            return
        unsure = self._faults.unsure(self.covers)
        sure = [cover for cover in self._among(only) if cover.contract.con_id not in unsure]
        for cover, less in list(surplus(self._desk.state, self._desk.account, sure)):
            with self.spared(cover):
                self._put(cover, cut(cover, less, at=self._desk.now))
        self.leave_parts(only)
        for cover in self._among(only):
            self._look(cover)
        self._strays(only)

    def _look(self, cover: Cover) -> None:
        """Its exits, then its protection: where the first fail, the second still holds."""
        if cover.entry in self._faults.uncounted:
            return
        with self.spared(cover):
            self._clock(cover)
        with self.spared(cover):
            self._protect(cover)

    def _strays(self, only: Collection[int] | None) -> None:
        """Orders and units that should not be there are cancelled and closed."""
        for leg in list(orphans(self._desk.state, self._faults.shielding(self.covers))):
            entry = self._desk.state.intents.get(leg.parent_id or "")
            if entry is not None:
                self._resting.hear(entry, self.legs(entry.intent_id))
            if not self._resting.awaits(leg):
                self._resting.cancel(leg, why="position closed")
        for leg in self._beyond():
            self._resting.cancel(leg, why="more than is held")
        unsure = self._faults.unsure(self.covers)
        for wanted in list(excess(self._desk, self._among(only), only)):
            if wanted.contract.con_id in unsure:
                continue
            text = f"{wanted.contract.symbol}: {wanted.qty} units that no order asked for"
            self._desk.alert("Overfill", wanted.contract.symbol, f"{text}; they are closed")
            self._leaving.leave(wanted)
        short = [] if only is not None else [*uncovered(self._desk), *self._short_legs.uncovered()]
        for wanted in short:
            name = wanted.contract.local_symbol or wanted.contract.symbol
            text = f"{name}: {wanted.qty} are short, uncovered ({wanted.reason}); closing"
            self._desk.alert("ProtectionMissing", wanted.contract.symbol, text)
            self._leaving.leave(wanted)

    def _tell_overdue(self) -> None:
        """A page for what should have left before the close and is there 3 min before it."""
        for cover in self.covers.values():
            ends = cover.state.flatten_at if cover.state is not None else None
            if ends is not None and cover.open_qty:
                with self.spared(cover):
                    self._tell_if_overdue(cover, ends)

    def _tell_if_overdue(self, cover: Cover, ends: datetime) -> None:
        now = self._desk.now
        if now >= ends + OVERDUE and market_open(now, sec_type=cover.contract.sec_type):
            began = f"{ends.astimezone(sessions.NEW_YORK):%Y-%m-%d %H:%M}"
            text = f"{cover.contract.symbol}: {cover.open_qty} units of a day trade are left"
            text += f"; its end of day began at {began} New York"
            self._desk.alert("ExitStuck", cover.entry, text)

    def _beyond(self) -> list[Intent]:
        """Exits beyond what is held, for so long that no group of theirs will cut them."""
        now, found = self._desk.timer(), list(overshoot(self._desk.state))
        self._over = {leg.intent_id: self._over.get(leg.intent_id, now) for leg in found}
        return [leg for leg in found if now - self._over[leg.intent_id] >= OVER_S]

    def _among(self, only: Collection[int] | None) -> list[Cover]:
        """Open covers, of some contracts or of all."""
        every = self.covers.values()
        return [cover for cover in every if only is None or cover.contract.con_id in only]

    def _protect(self, cover: Cover) -> None:
        cover = self.covers.get(cover.entry, cover)
        entry = self._desk.state.intents[cover.entry]
        shown = self._leaving.left_to_protect(cover)
        problem = self._resting.protect(shown, entry, self.legs(cover.entry))
        if problem and cover.open_qty:
            self._desk.alert("ProtectionMissing", cover.contract.symbol, f"{problem}; closing")
            self.leave(cover, exits.Reason.RISK)

    def _clock(self, cover: Cover) -> None:
        """Exits that time alone demands, and those decided earlier."""
        if cover.state is None or not cover.open_qty:
            return
        state, reason = exits.on_clock(cover.state, self._desk.now)
        if state != cover.state:
            cover = replace(cover, state=state)
            self._put(self.covers[cover.entry], cover)
        reached = self._on_underlying(cover)
        if reason is not None and self._due(cover):
            self.leave(cover, reason)
        elif reached is not None:
            self.leave(cover, reached)
        else:
            self._watch_levels(cover)

    def _on_underlying(self, cover: Cover) -> exits.Reason | None:
        """Why an option has to go: a level its underlying reached, or the expiry that comes."""
        if expires_soon(cover, self._desk.now):
            return exits.Reason.FLATTEN
        if cover.under is None:
            return None
        under = judged(self._desk, cover.under)
        if under != cover.under:
            self.put(replace(cover, under=under))
        return under.reached

    def _watch_levels(self, cover: Cover) -> None:
        """The second guarantee: a price beyond a level closes what the orders did not."""
        partial_qty, reason = self._levels.reached(cover)
        if reason is not None:
            self.leave(cover, reason, pressing=True)
        elif partial_qty > cover.partial_qty:
            self.put(parted(cover, partial_qty - cover.partial_qty, exits.Reason.PARTIAL))
            self.poke()

    def _due(self, cover: Cover) -> bool:
        """Of daily policies an exit decided at a close waits for the next open."""
        state = cover.state
        if state is None or state.closed_at is None or state.scheduled not in _AT_OPEN:
            return True
        if state.policy.same_session:
            return True
        decided = state.closed_at.astimezone(sessions.NEW_YORK).date()
        return self._desk.now.astimezone(sessions.NEW_YORK).date() > decided

    def schedule(self, cover: Cover, reason: exits.Reason) -> None:
        """Have all of a cover leave; stored, so that it holds over a restart."""
        if cover.state is not None and cover.open_qty:
            with self.spared(cover):
                self.put(replace(cover, state=exits.schedule(cover.state, reason)))
            self.poke()

    def leaves_whole(self, cover: Cover) -> bool:
        """Whether all of a cover leaves now."""
        return bool(cover.state and cover.state.scheduled) and self._due(cover)

    def unwanted(self, entry_id: str, reason: exits.Reason) -> None:
        """Have what an entry may still fill leave at once; stored as `schedule` is.

        For closes of all: of an entry whose part was asked for the rest may fill and stay.
        """
        cover = self.covers.get(entry_id)
        if cover is not None and cover.unwanted is None:
            self.put(replace(cover, unwanted=reason))

    def leave(self, cover: Cover, reason: exits.Reason | str, *, pressing: bool = False) -> None:
        """Close all of a cover; `pressing` as in `Leave`."""
        wanted = self._leave(cover, cover.open_qty, reason)
        self._leaving.leave(replace(wanted, pressing=pressing))

    def leave_parts(self, only: Collection[int] | None = None) -> None:
        """Go on with parts that were asked for until they are gone."""
        for cover in self._among(only):
            if not self.leaves_whole(cover):
                with self.spared(cover):
                    self.leave_part(cover)

    def leave_part(self, cover: Cover) -> None:
        """Close the part of a cover that still has to leave; the rest keeps its protection.

        An exit that a stop or target overtook is hurried on: its units have no stop meanwhile.
        """
        qty = cover.part_qty
        if cover.part is not None and (qty or self._exits(cover.entry)):
            wanted = self._leave(cover, qty, cover.part.reason)
            self._leaving.leave(replace(wanted, keeps_qty=cover.open_qty - qty))

    async def drain(self) -> None:
        """Leave no part between the cut of its protection and its order when the process ends.

        Its order is waited for; where the broker makes no room for it, its protection comes back.
        A lease that is lost may be another's by now, and its process may have sent the order.
        """
        if not self._desk.lease_held:
            return
        await self._until_whole(DRAIN_S)
        for cover in self._torn():
            with suppress(BftError):  # the session broke: nothing can be asked any more
                await self._leaving.give_back(cover)
                whole = self._leaving.left_to_protect(cover)
                await self._resting.restore(whole, self.legs(cover.entry))
        await self._until_whole(BACK_S)

    async def _until_whole(self, within_s: float) -> None:
        ends_s = self._desk.timer() + within_s
        while self._torn() and self._desk.timer() < ends_s:
            self.poke()
            await asyncio.sleep(BREATH_S)

    def _torn(self) -> list[Cover]:
        if not self._desk.broker.state.may_close:
            return []
        parts = (cover for cover in self.covers.values() if cover.part is not None)
        return [cover for cover in parts if self._leaving.torn(cover)]

    def _leave(self, cover: Cover, qty: int, reason: exits.Reason | str) -> Leave:
        return Leave(
            signal_id=self._desk.state.intents[cover.entry].signal_id,
            contract=cover.contract,
            side=Side.SELL if cover.sign > 0 else Side.BUY,
            qty=qty,
            reason=str(reason),
            strategy_id=cover.strategy_id,
            parent_id=cover.entry,
            group=cover.oca_group,
        )


def _age(leg: Intent) -> tuple[bool, datetime | None, int]:
    return leg.created_at is not None, leg.created_at, leg.attempt
