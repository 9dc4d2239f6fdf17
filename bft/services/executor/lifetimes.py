"""Entries that rest for too long: moved once where the profile says so, then cancelled.

Source: executor specification, section 4 (row "short side; entry; lifetime").
"""

from bft.domain.orders import Intent, Leg, OrderType
from bft.risk.prices import entry_on_tick
from bft.services.executor.desk import Desk
from bft.services.executor.sending import Sender

REPEAT_S = 10.0


class Lifetimes:
    """Looks at working entries once a second; ages are those of the executor's clock."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk, self._sender = desk, sender
        self._moved: set[str] = set()
        self._cancelled: dict[str, float] = {}

    def turn(self) -> None:
        """Move or cancel what has rested for too long."""
        lifetime = self._desk.profile.lifetime_s
        if lifetime is None or not self._desk.broker.state.may_close:
            return
        for entry in list(self._desk.state.live_intents()):
            if entry.leg is not Leg.ENTRY or entry.sent_at is None:
                continue
            age_s = (self._desk.now - entry.sent_at).total_seconds()
            if age_s >= lifetime:
                self._cancel(entry)
            else:
                self._move(entry, age_s)

    def _cancel(self, entry: Intent) -> None:
        asked = self._cancelled.get(entry.intent_id)
        if asked is None or self._desk.timer() - asked >= REPEAT_S:
            self._cancelled[entry.intent_id] = self._desk.timer()
            self._desk.spawn(self._sender.cancel(entry, why="lifetime over"), "lifetime")

    def _move(self, entry: Intent, age_s: float) -> None:
        """Once, to the mid plus a part of the spread, on the side that is nearer to a fill."""
        after, part = self._desk.profile.reprice_after_s, self._desk.profile.reprice_spread_frac
        quote = self._desk.quote(entry.contract)
        due = after is not None and age_s >= after and entry.intent_id not in self._moved
        if not due or part is None or entry.order_type is not OrderType.LIMIT or quote is None:
            return
        mid = quote.mid_usd
        if mid is None or quote.ask_usd is None or quote.bid_usd is None:
            return
        self._moved.add(entry.intent_id)
        price = mid + entry.side.sign * part * (quote.ask_usd - quote.bid_usd)
        price = entry_on_tick(price, entry.contract.tick_usd, entry.side)
        change = self._sender.amend(entry, remaining=entry.remaining_qty, price_usd=price)
        self._desk.spawn(change, "reprice")
