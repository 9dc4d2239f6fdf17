"""Closing orders: one exit in flight per bracket, from a limit to the market where it must.

Source: executor specification, section 6.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bft.domain import sessions
from bft.domain.broker import Priority, Quote
from bft.domain.orders import (
    Contract,
    Identity,
    Intent,
    IntentState,
    Leg,
    OrderType,
    Side,
    TimeInForce,
)
from bft.domain.trading_days import market_open, trading_day
from bft.risk.prices import entry_on_tick
from bft.services.executor.brackets import next_attempt
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.protection import stopped_qty
from bft.services.executor.room import LATELY_S, Room
from bft.services.executor.sending import Sender

STEP_S = 10.0  # limit, marketable limit, market
REPEAT_S = 2.0  # a step is not asked for again sooner, whatever the broker says of it
STUCK_S = 300.0
GIVEN_UP = float("-inf")
DOUBT_S = 5.0  # an unknown exit is cancelled and followed by another after so long
TARGET_S = 2.0  # so long a target may keep an exit outside its group waiting
_WORKING = frozenset({IntentState.ACKED, IntentState.PARTIAL})
ALARM = timedelta(seconds=2)  # so long the broker may take to say that an exit works
AUCTION = timedelta(minutes=45)  # closing orders may rest so long before the open


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What has to be closed and why; `group` None: no bracket rests.

    `keeps_qty` stay in the bracket, whose stop and target go on; None: all of it leaves.
    `pressing`: an option is not tried at the mid first, but at the touch.
    """

    signal_id: str
    contract: Contract
    side: Side
    qty: int
    reason: str
    strategy_id: str = "manual"
    parent_id: str | None = None
    group: str | None = None
    pressing: bool = False
    keeps_qty: int | None = None


class Leaving:
    """Makes exits happen; asked again each turn, it never doubles one."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk, self._sender = desk, sender
        self._first: dict[str, float] = {}
        self._pressed: dict[str, float] = {}
        self._doubted: dict[str, float] = {}
        self._starting: set[tuple[str, int]] = set()
        self._apart: dict[str, float] = {}
        self._freed: dict[str, float] = {}
        self._refused_since: dict[tuple[str, int], tuple[float, float]] = {}
        self._room = Room(desk)

    def may_leave(self, contract: Contract) -> bool:
        """Whether a closing order for it can work now, or rest for the opening auction."""
        return self._desk.broker.state.may_close and exit_window(self._desk.now, contract)

    def leave(self, wanted: Leave) -> None:
        """See to it that an exit for what is open is in flight; more than that never is."""
        place = (wanted.parent_id or wanted.signal_id, wanted.contract.con_id)
        flying, ended = self.flying(wanted), self._ended(wanted)
        alone = self._refused(wanted.parent_id, ended)
        missing = wanted.qty - sum(exit_.remaining_qty for exit_ in flying)
        for exit_ in flying:
            self._tell_silence(exit_)
            if exit_.state is not IntentState.UNKNOWN:
                self._hurry(exit_)
        self._tell_refusals(wanted, place, flying, ended)
        may = missing > 0 and self.may_leave(wanted.contract) and not self._waits(ended)
        if wanted.parent_id is not None:
            self._room.ask(wanted.parent_id, keeps_qty=wanted.keeps_qty if may else None)
        if not may or place in self._starting or self._hemmed(wanted, alone=alone):
            return
        if alone or self._beside(wanted):
            wanted = replace(wanted, group=None)
        self._starting.add(place)
        order = self._intent(wanted, missing, at_market=bool(ended))
        self._desk.spawn(self._send(order, place), f"exit {wanted.contract.symbol}")

    def left_to_protect(self, cover: Cover) -> Cover:
        """The cover as its resting orders shall hold it while an exit outside its group leaves.

        Those of a part, which steps out, make room for it first. Where the group refused the exit
        the target goes first, the stop last, when the exit works.
        """
        state = cover.state
        if state is None:
            return cover
        outside = [
            exit_
            for exit_ in self._desk.state.intents.legs(cover.entry)
            if exit_.leg is Leg.EXIT
            and exit_.oca_group is None
            and not exit_.state.terminal
            and not self._given_up(exit_)
        ]
        if self._apart_now(cover.entry):
            working = sum(exit_.remaining_qty for exit_ in outside if exit_.state in _WORKING)
            left = max(Decimal(0), state.open_qty - working)
            return replace(cover, state=replace(state, target_usd=None, open_qty=left))
        leaving = sum(exit_.remaining_qty for exit_ in outside)
        if self._room.asked(cover.entry):
            leaving = max(leaving, cover.part_qty)
        left = max(Decimal(0), state.open_qty - leaving)
        return replace(cover, state=replace(state, open_qty=left))

    def torn(self, cover: Cover) -> bool:
        """Whether a part's units have neither stop nor order, or soon will have neither."""
        place = (cover.entry, cover.contract.con_id)
        if place in self._starting or self._room.asked(cover.entry):
            return True
        legs = self._desk.state.intents.legs(cover.entry)
        sent = (leg for leg in legs if leg.leg is Leg.EXIT and leg.oca_group is None)
        leaving = sum(leg.remaining_qty for leg in sent if leg.state.possibly_live)
        return stopped_qty(legs) + leaving < cover.open_qty

    async def give_back(self, cover: Cover) -> None:
        """Send no order of its part any more: the process ends before there is room for it."""
        self._room.give_back(cover.entry)
        for leg in self._desk.state.intents.legs(cover.entry):
            if leg.leg is Leg.EXIT and leg.state is IntentState.RESERVED:
                await self._sender.cancel(leg, why="the process ends")

    def _hemmed(self, wanted: Leave, *, alone: bool) -> bool:
        """Whether other orders of the bracket have to step aside first."""
        entry = wanted.parent_id
        if entry is None:
            return False
        if alone:
            return self._targets_rest(entry)
        waits = wanted.keeps_qty is not None and not self._beside(wanted)
        return waits and not self._room.late(entry)

    def _beside(self, wanted: Leave) -> bool:
        """Whether it may leave beside the group: a part, and what protects it made room."""
        if wanted.parent_id is None or wanted.keeps_qty is None:
            return False
        return self._room.free(wanted.parent_id, wanted.keeps_qty)

    def _refused(self, entry: str | None, ended: list[Intent]) -> bool:
        """Whether the bracket's group has refused an exit."""
        refused = any(e.state is IntentState.REJECTED and e.oca_group for e in ended)
        if refused and entry is not None:
            if not self._apart_now(entry):
                self._freed.pop(entry, None)
            self._apart[entry] = self._desk.timer()
        return refused

    def _apart_now(self, entry: str) -> bool:
        """Whether an exit outside the group was wanted a moment ago."""
        return self._desk.timer() - self._apart.get(entry, GIVEN_UP) <= LATELY_S

    def _targets_rest(self, entry: str) -> bool:
        """Cancel targets of a bracket; whether one still rests, asked for less than 2 s."""
        now, since = self._desk.timer(), self._freed.setdefault(entry, self._desk.timer())
        rest = [
            leg
            for leg in self._desk.state.live_intents()
            if leg.parent_id == entry and leg.leg is Leg.TARGET
        ]
        for leg in rest if now == since else ():
            self._desk.spawn(self._sender.cancel(leg, why="makes room for an exit"), "exit")
        return bool(rest) and now - since < TARGET_S

    def flying(self, wanted: Leave) -> list[Intent]:
        """Exits of the same bracket or position that may still fill."""
        return [
            intent
            for intent in self._desk.state.live_intents()
            if intent.leg is Leg.EXIT
            and intent.contract.con_id == wanted.contract.con_id
            and intent.parent_id == wanted.parent_id
            and not self._given_up(intent)
        ]

    def _ended(self, wanted: Leave) -> list[Intent]:
        """Earlier exits of the same bracket or position that ended unfilled, oldest first."""
        found = [
            intent
            for intent in self._desk.state.intents.of_signal(wanted.signal_id)
            if intent.leg is Leg.EXIT
            and intent.contract.con_id == wanted.contract.con_id
            and intent.state in {IntentState.REJECTED, IntentState.CANCELLED}
            and intent.parent_id == wanted.parent_id
        ]
        return sorted(found, key=lambda intent: intent.attempt)

    def _tell_silence(self, exit_: Intent) -> None:
        """A page for units that left their group by an order of which nothing is heard."""
        beside, sent_at = exit_.parent_id is not None and exit_.oca_group is None, exit_.sent_at
        silent = exit_.state in {IntentState.SENT, IntentState.UNKNOWN}
        if beside and silent and sent_at is not None and self._desk.now - sent_at > ALARM:
            name = exit_.contract.symbol
            text = f"{name}: {exit_.remaining_qty} units have no live stop, their exit no answer"
            self._desk.alert("ProtectionMissing", name, text)

    def _tell_refusals(
        self, wanted: Leave, place: tuple[str, int], flying: list[Intent], ended: list[Intent]
    ) -> None:
        """A page where attempt after attempt was refused for 5 min: none of them is that old."""
        works = any(exit_.state in _WORKING for exit_ in flying)
        refused = not works and bool(ended) and ended[-1].state is IntentState.REJECTED
        if not refused or not market_open(self._desk.now, sec_type=wanted.contract.sec_type):
            self._refused_since.pop(place, None)
            return
        now = self._desk.timer()
        since, asked = self._refused_since.get(place, (now, now))
        since = since if now - asked <= LATELY_S else now
        self._refused_since[place] = (since, now)
        if now - since >= STUCK_S:
            name = wanted.contract.symbol
            text = f"{name}: {wanted.qty} units shall leave, every exit was refused for 5 min"
            self._desk.alert("ExitStuck", f"{place[0]}:refused", text)

    def _waits(self, ended: list[Intent]) -> bool:
        """Whether the last two were refused and the next may not go yet."""
        if [intent.state for intent in ended[-2:]] != [IntentState.REJECTED] * 2:
            return False
        sent = self._first.get(ended[-1].intent_id)
        return sent is not None and self._desk.timer() - sent < STEP_S

    def _given_up(self, exit_: Intent) -> bool:
        """An exit nobody knows about is cancelled after 5 s, and another may go."""
        if exit_.state is not IntentState.UNKNOWN:
            return False
        since = self._doubted.get(exit_.intent_id)
        if since is None:
            self._doubted[exit_.intent_id] = self._desk.timer()
            return False
        if self._desk.timer() - since < DOUBT_S:
            return False
        if since != GIVEN_UP:
            self._doubted[exit_.intent_id] = GIVEN_UP
            self._desk.spawn(self._sender.cancel(exit_, why="unknown for 5 s"), "exit in doubt")
        return True

    async def _send(self, order: Intent, place: tuple[str, int]) -> None:
        try:
            await self._sender.leave_to_send(1, Priority.CLOSING)
            # while the token was awaited a stop may have filled: an exit never opens
            order = replace(order, qty=min(order.qty, self._reducible(order)))
            if order.qty <= 0 or self._room.given_back(order.parent_id):
                return
            self._first.setdefault(order.intent_id, self._desk.timer())
            problem = await self._sender.dispatch([order])
            if problem:
                self._desk.event("ORDER", "WARNING", "exit_waits", f"{order.order_ref}: {problem}")
        finally:
            self._starting.discard(place)

    def _reducible(self, order: Intent) -> int:
        """Units that an order of this side can close, by the book and, in a dispute, the broker.

        Those that another exit may close, of whatever bracket or reason, are its.
        """
        desk, con_id = self._desk, order.contract.con_id
        held = [desk.state.position_qty(order.account, con_id)]
        if order.contract.symbol in desk.disputed:
            held.append(desk.broker_qty.get(con_id, Decimal(0)))
        flying = sum(
            other.remaining_qty
            for other in desk.state.live_intents()
            if other.leg is Leg.EXIT
            and (other.contract.con_id, other.side) == (con_id, order.side)
            and not self._given_up(other)
        )
        return max(0, min(int(-order.side.sign * qty) for qty in held) - flying)

    def _intent(self, wanted: Leave, qty: int, *, at_market: bool) -> Intent:
        day = trading_day(self._desk.now, sec_type=wanted.contract.sec_type)
        attempt = next_attempt(self._desk, wanted.signal_id, wanted.contract, Leg.EXIT)
        kind, price = self._price(wanted, at_market=at_market)
        return Intent(
            intent_id=Identity(
                signal_id=wanted.signal_id,
                account=self._desk.account,
                con_id=wanted.contract.con_id,
                side=wanted.side,
                leg=Leg.EXIT,
                day=day,
                attempt=attempt,
            ).intent_id,
            signal_id=wanted.signal_id,
            account=self._desk.account,
            contract=wanted.contract,
            side=wanted.side,
            leg=Leg.EXIT,
            trading_day=day,
            attempt=attempt,
            qty=qty,
            order_type=kind,
            limit_price_usd=price,
            time_in_force=TimeInForce.DAY,
            parent_id=wanted.parent_id,
            oca_group=wanted.group,
            mode=self._desk.route.mode,
            strategy_id=wanted.strategy_id,
            reason=wanted.reason,
        )

    def _price(self, wanted: Leave, *, at_market: bool) -> tuple[OrderType, Decimal | None]:
        """Options begin at the mid, once; what has a deep market is sold into it at once."""
        option = wanted.contract.sec_type == "OPT" and not at_market
        quote = self._desk.quote(wanted.contract) if option else None
        price = quote.mid_usd if quote else None
        if price is not None and quote is not None and wanted.pressing:
            price = _touch(quote, wanted.side)
        if price is None:
            return OrderType.MARKET, None
        return OrderType.LIMIT, entry_on_tick(price, wanted.contract.tick_at(price), wanted.side)

    def _hurry(self, exit_: Intent) -> None:
        """An exit that does not fill: nearer to the market every 10 s, a page after 5 min."""
        began = self._first.setdefault(exit_.intent_id, self._desk.timer())
        waited = self._desk.timer() - began
        if not market_open(self._desk.now, sec_type=exit_.contract.sec_type):
            self._first[exit_.intent_id] = self._desk.timer()
            return
        if waited >= STUCK_S:
            text = f"{exit_.order_ref} {exit_.contract.symbol} unfilled for 5 min"
            self._desk.alert("ExitStuck", exit_.intent_id, text)
        if exit_.order_type is OrderType.LIMIT and exit_.state.possibly_live:
            self._nearer(exit_, waited)

    def _nearer(self, exit_: Intent, waited_s: float) -> None:
        now, quote = self._desk.timer(), self._desk.quote(exit_.contract)
        price = _touch(quote, exit_.side) if quote else None
        if now - self._pressed.get(exit_.intent_id, GIVEN_UP) < REPEAT_S:
            return
        if waited_s >= 2 * STEP_S:
            change = self._sender.cancel(exit_, why="limit did not fill")
        elif waited_s >= STEP_S and price is not None and price != exit_.limit_price_usd:
            change = self._sender.amend(exit_, remaining=exit_.remaining_qty, price_usd=price)
        else:
            return
        self._pressed[exit_.intent_id] = now
        self._desk.spawn(change, "exit ladder")


def exit_window(now: datetime, contract: Contract) -> bool:
    """Whether a closing order can fill now or rests for the auction; futures trade at all hours."""
    if contract.sec_type == "FUT":
        return True
    day = now.astimezone(sessions.NEW_YORK).date()
    if not sessions.is_session(day):
        return False
    return sessions.open_at(day) - AUCTION <= now < sessions.close_at(day)


def _touch(quote: Quote, side: Side) -> Decimal | None:
    return quote.ask_usd if side is Side.BUY else quote.bid_usd
