"""Entries that rest for too long: moved once where the profile says so, then cancelled.

Source: executor specification, section 4 (row "short side; entry; lifetime").
"""

from decimal import Decimal

from bft.domain.orders import Intent, Leg, OrderType
from bft.risk.prices import entry_on_tick
from bft.services.executor.cancelling import Cancelling
from bft.services.executor.desk import Desk
from bft.services.executor.sending import AMENDABLE, Sender


class Lifetimes:
    """Looks at working entries once a second; ages are those of the executor's clock."""

    def __init__(self, desk: Desk, sender: Sender, cancelling: Cancelling) -> None:
        self._desk, self._sender, self._cancelling = desk, sender, cancelling
        self._moved: set[str] = set()

    def turn(self) -> None:
        """Move or cancel what has rested for too long."""
        lifetime = self._desk.profile.lifetime_s
        if lifetime is None or not self._desk.broker.state.may_close:
            return
        for entry in list(self._desk.state.live_intents()):
            # one that a crash cut off from its report was sent when it was committed, or not at all
            began = entry.sent_at or entry.created_at
            if entry.leg is not Leg.ENTRY or not entry.state.possibly_live or began is None:
                continue
            age_s = (self._desk.now - began).total_seconds()
            if age_s >= lifetime:
                self._cancelling.cancel(entry, why="lifetime over")
            else:
                self._move(entry, age_s)

    def _move(self, entry: Intent, age_s: float) -> None:
        """Once, to the mid plus a part of the spread, on the side that is nearer to a fill."""
        after, part = self._desk.profile.reprice_after_s, self._desk.profile.reprice_spread_frac
        due = after is not None and age_s >= after and entry.intent_id not in self._moved
        if not due or part is None or entry.order_type is not OrderType.LIMIT:
            return
        touch = self._touch(entry)
        if touch is None or entry.state not in AMENDABLE or self._desk.may_open():
            return
        self._moved.add(entry.intent_id)
        bid, ask = touch
        price = (bid + ask) / 2 + entry.side.sign * part * (ask - bid)
        price = entry_on_tick(price, entry.contract.tick_usd, entry.side)
        change = self._sender.amend(entry, remaining=entry.remaining_qty, price_usd=price)
        self._desk.spawn(change, "reprice")

    def _touch(self, entry: Intent) -> tuple[Decimal, Decimal] | None:
        """Bid and ask that an entry may be priced from: as rule 12 would have them, or None."""
        quote = self._desk.quote(entry.contract)
        if quote is None or quote.frozen or quote.delayed or quote.halted:
            return None
        age_s = (self._desk.now - quote.at).total_seconds()
        bid, ask = quote.bid_usd, quote.ask_usd
        if age_s > self._desk.profile.max_quote_age_s or not bid or not ask:
            return None
        return (bid, ask) if 0 < bid <= ask else None
