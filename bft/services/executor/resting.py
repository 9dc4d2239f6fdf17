"""What rests at the broker is made equal to what the exit engine says.

Source: executor specification, section 6.
"""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from bft import exits
from bft.domain.broker import Priority
from bft.domain.orders import Intent, IntentState, Leg
from bft.domain.trading_days import trading_day
from bft.services.executor import protection
from bft.services.executor.brackets import LegTerms, closing_leg, next_attempt
from bft.services.executor.covers import Cover, stop_reason
from bft.services.executor.desk import Desk
from bft.services.executor.sending import Sender

REPEAT_S = 2.0  # the same amend or cancel is not sent again sooner
ALARM_S = 2.0
SETTLES_S = 1.0  # so long the broker's own changes to a group may take to be told
NEVER = float("-inf")


class _Heard(NamedTuple):
    """What a bracket showed last, since when, and when it began to change."""

    shown: tuple[bool, int, int]
    at_s: float
    began_s: float


class Resting:
    """Stops and targets of covers: placed, amended, cancelled."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk, self._sender = desk, sender
        self._gap_since: dict[str, float] = {}
        self._changed: dict[str, tuple[object, float]] = {}
        self._asked: dict[tuple[str, object], float] = {}
        self._placing: set[tuple[str, Leg]] = set()
        self._placed: dict[tuple[str, Leg], float] = {}
        self._heard: dict[str, _Heard] = {}

    def pause(self) -> None:
        """No closing order can leave: the clocks of this table stand still."""
        self._gap_since.clear()

    def forget(self, orders: Iterable[Intent], covers: Collection[str]) -> None:
        """Drop what is remembered of others than these orders and these covers, by entry."""
        orders = list(orders)
        live = {order.intent_id for order in orders} | set(covers)
        for memory in (self._changed, self._gap_since):
            for key in [key for key in memory if key not in live]:
                del memory[key]
        parents = {order.parent_id for order in orders} | set(covers)
        for key in [key for key in self._heard if key not in parents]:
            del self._heard[key]
        for what in [what for what in self._asked if what[0] not in live]:
            del self._asked[what]
        for place in [place for place in self._placed if place[0] not in live]:
            del self._placed[place]

    def protect(self, cover: Cover, entry: Intent, legs: Sequence[Intent]) -> str | None:
        """Send what is needed; why the position must be closed at the market, or None."""
        self.hear(entry, legs)
        legs = [leg for leg in legs if leg.leg in {Leg.STOP, Leg.TARGET}]
        legs = self._without_old_basis(cover, legs)
        # what filled and was busted brought the legs to life, and nothing to protect
        busted = not cover.entry_qty and bool(self._desk.state.fills.get(cover.entry))
        wanted = _desired(cover, entry, busted=busted)
        gap_s = self._gap_s(cover, wanted.qty - protection.protected_qty(legs))
        # all ages, each turn: one that is first asked for when it matters would begin at zero
        ages = {leg.intent_id: self._age_s(leg) for leg in legs if not leg.state.terminal}
        actions = protection.plan(wanted, legs, gap_s=gap_s, age_s=lambda leg: ages[leg.intent_id])
        for action in actions:
            if isinstance(action, protection.Flatten):
                return action.why
            leg = None if isinstance(action, protection.Place) else action.intent
            if leg is None or not self.awaits(leg, short_s=gap_s):
                self._do(cover, entry, action, legs)
        return None

    async def restore(self, cover: Cover, legs: Sequence[Intent]) -> None:
        """Ask for stop and target of all units now, also where fewer were asked for just now.

        That one may not be confirmed yet: what is told of them is no reason to leave it.
        """
        for kind in (Leg.STOP, Leg.TARGET):
            live = [leg for leg in legs if leg.leg is kind and protection.is_live(leg)]
            price = (live[-1].stop_price_usd or live[-1].limit_price_usd) if live else None
            if price is not None:
                others = sum(leg.remaining_qty for leg in live[:-1])
                left = cover.open_qty - others
                await self._sender.amend(live[-1], remaining=left, price_usd=price)

    def _without_old_basis(self, cover: Cover, legs: Sequence[Intent]) -> list[Intent]:
        """Legs priced before a split or dividend go; others take their place at today's levels."""
        made = self._desk.state.adjustments.values()
        con_id = cover.contract.con_id
        moved = [a.at for a in made if a.ratio is not None and a.contract.con_id == con_id]
        moved += [cover.rebased_at] if cover.rebased_at is not None else []
        kept = []
        for leg in legs:
            at = leg.created_at
            if not any(at and at < then for then in moved):
                kept.append(leg)
            elif not leg.state.terminal:
                self.cancel(leg, why="priced before a split or dividend")
        return kept

    def hear(self, entry: Intent, legs: Sequence[Intent]) -> None:
        """Note what a bracket's group has filled, and whether its entry ended short.

        The broker then reduces or cancels the other legs by itself, and tells so a moment later.
        """
        ended = entry.state.terminal and entry.state is not IntentState.FILLED
        group = [leg for leg in legs if leg.oca_group]
        exits_ = sum(1 for leg in group if leg.leg is Leg.EXIT and not leg.state.terminal)
        shown = (ended, exits_, sum(leg.filled_qty for leg in group))
        known, now = self._heard.get(entry.intent_id), self._desk.timer()
        if known is None:
            self._heard[entry.intent_id] = _Heard(shown, NEVER, NEVER)
        elif known.shown != shown:
            began = known.began_s if now - known.at_s < SETTLES_S else now
            self._heard[entry.intent_id] = _Heard(shown, now, began)
            later = asyncio.get_running_loop().call_later
            later(SETTLES_S, self._desk.touch, entry.contract.con_id)

    def awaits(self, leg: Intent, *, short_s: float = 0.0) -> bool:
        """Whether the broker may be changing a leg right now: ours would cross it, and be refused.

        It is waited for no longer than `SETTLES_S` after it last told anything of it; as long at
        most while units have no live stop, for `short_s` by now.
        """
        heard = self._heard.get(leg.parent_id or "")
        if heard is None or not leg.oca_group:
            return False
        now = self._desk.timer()
        moves = now - heard.began_s < SETTLES_S or self._age_s(leg) < SETTLES_S
        return now - heard.at_s < SETTLES_S and moves and short_s < SETTLES_S

    def cancel(self, leg: Intent, *, why: str) -> None:
        """Cancel an order, once in a while as long as it lives."""
        self._once((leg.intent_id, "cancel"), self._sender.cancel(leg, why=why), "cancel")

    def _gap_s(self, cover: Cover, missing: int) -> float:
        """Seconds since live stops have covered less than the position."""
        if missing <= 0:
            self._gap_since.pop(cover.entry, None)
            return 0.0
        since = self._gap_since.setdefault(cover.entry, self._desk.timer())
        gap_s = self._desk.timer() - since
        if gap_s > ALARM_S:
            text = f"{cover.contract.symbol}: {missing} of {cover.open_qty} units have no live stop"
            self._desk.alert("ProtectionMissing", cover.contract.symbol, text)
        return gap_s

    def _age_s(self, leg: Intent) -> float:
        """Seconds since a leg last changed."""
        shown = (leg.state, leg.broker_status, leg.qty, leg.stop_price_usd, leg.limit_price_usd)
        known, since = self._changed.get(leg.intent_id, (None, 0.0))
        if known != shown:
            since = self._desk.timer()
            self._changed[leg.intent_id] = (shown, since)
        return self._desk.timer() - since

    def _do(
        self,
        cover: Cover,
        entry: Intent,
        action: protection.Place | protection.Amend | protection.Cancel,
        legs: Sequence[Intent],
    ) -> None:
        match action:
            case protection.Place():
                if not self._just_cancelled(entry, action.leg, legs):
                    stop = action.leg is Leg.STOP
                    self._place(entry, action, stop_reason(cover) if stop else None)
            case protection.Amend():
                leg = action.intent
                once = (leg.intent_id, (action.remaining, action.price_usd))
                change = self._sender.amend(
                    leg, remaining=action.remaining, price_usd=action.price_usd
                )
                self._once(once, change, "amend")
            case protection.Cancel():
                self.cancel(action.intent, why=action.why)

    def _once(self, what: tuple[str, object], work: Coroutine[Any, Any, None], name: str) -> None:
        """Ask the broker, unless the very same was asked a moment ago."""
        last = self._asked.get(what)
        if last is not None and self._desk.timer() - last < REPEAT_S:
            work.close()
            return
        self._asked[what] = self._desk.timer()
        self._desk.spawn(work, name)

    def _just_cancelled(self, entry: Intent, leg: Leg, legs: Sequence[Intent]) -> bool:
        """A leg placed a moment ago was cancelled: another goes no faster than a person looks."""
        last = self._placed.get((entry.intent_id, leg))
        ended = any(old.leg is leg and old.state is IntentState.CANCELLED for old in legs)
        return ended and last is not None and self._desk.timer() - last < REPEAT_S

    def _place(self, entry: Intent, action: protection.Place, reason: str | None) -> None:
        key = (entry.intent_id, action.leg)
        if key in self._placing:
            return
        self._placing.add(key)
        self._placed[key] = self._desk.timer()
        terms = LegTerms(
            leg=action.leg,
            qty=action.qty,
            price_usd=action.price_usd,
            day=trading_day(self._desk.now, sec_type=entry.contract.sec_type),
            attempt=next_attempt(self._desk, entry.signal_id, entry.contract, action.leg),
            reason=reason,
        )
        work = self._send(closing_leg(entry, terms), key)
        self._desk.spawn(work, f"{action.leg} {entry.contract.symbol}")

    async def _send(self, order: Intent, key: tuple[str, Leg]) -> None:
        try:
            await self._sender.send([order], priority=Priority.CLOSING)
        finally:
            self._placing.discard(key)


def _desired(cover: Cover, entry: Intent, *, busted: bool) -> protection.Desired:
    levels = exits.protective(cover.state) if cover.state else None
    return protection.Desired(
        qty=int(levels.qty) if levels else 0,
        sign=cover.sign,
        stop_price_usd=levels.stop_usd if levels else Decimal(0),
        target_price_usd=levels.target_usd if levels else None,
        tick_usd=cover.contract.tick_usd,
        working=not entry.state.terminal,
        filled=busted or (cover.entry_qty > 0 and entry.state is not IntentState.UNKNOWN),
        planned_stop_usd=cover.planned_stop_usd,
    )
