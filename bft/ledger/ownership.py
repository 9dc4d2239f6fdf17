"""Whose the units of a position are: of bft's own doing, or of others on the account; pure.

A position is the sum of both. What others close of ours stays ours here: the cover that they closed
counts it (decision record 0035). What orders of ours close of others' becomes nobody's.
Source: executor specification, section 6; decision record 0151.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Intent, Leg
from bft.ledger.lots import Line, LineEvent
from bft.ledger.records import ZERO

OVERFILL, ASSIGNED, SHORT_LEG = "overfill", "assignment", "uncovered leg"
"""Reasons of closing orders that belong to no bracket: the first closes our own units, the others
those of others; what a person asks for closes loose ones of ours first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Signed units since nothing was held; `own_qty` and `foreign_qty` sum to the position.

    `bought_back_qty`: short units of others that orders of ours closed. All in today's units.
    """

    own_qty: Decimal = ZERO
    foreign_qty: Decimal = ZERO
    bought_back_qty: Decimal = ZERO


def ownership(line: Line | None, intents: Mapping[str, Intent]) -> Ownership:
    """Whose the units of a contract are, by who traded them; `intents` are bft's own orders."""
    walk = _Walk(intents)
    for event in line.campaign() if line else ():
        walk.take(event)
    return walk.came_to()


def units(line: Line, counts: Callable[[LineEvent], bool]) -> Decimal:
    """Signed units of those fills that count, since nothing was held, in today's units."""
    total = ZERO
    for event in line.campaign():
        if event.ratio is not None:
            total *= event.ratio
        elif counts(event):
            total += event.qty
    return total


def ratio_since(line: Line, at: datetime) -> Decimal:
    """Today's units for each unit of a contract at an instant."""
    ratio = Decimal(1)
    for event in line.events:
        if event.ratio is not None and event.at > at:
            ratio *= event.ratio
    return ratio


@dataclass(slots=True)
class _Walk:
    """`bracketed` are signed units that an entry ordered and its exits have not closed."""

    intents: Mapping[str, Intent]
    own: Decimal = ZERO
    foreign: Decimal = ZERO
    bought_back: Decimal = ZERO
    ordered: dict[str, Decimal] = field(default_factory=dict)
    bracketed: dict[str, Decimal] = field(default_factory=dict)

    def take(self, event: LineEvent) -> None:
        intent = self.intents.get(event.trade_id)
        if event.ratio is not None:
            self._split(event.ratio)
        elif intent is None:
            self.foreign += event.qty
        elif intent.leg is Leg.ENTRY:
            self._entered(intent, event.qty)
        elif intent.parent_id is not None:
            self._left(intent.parent_id, event.qty)
        else:
            self._closed(intent.reason, event.qty)

    def came_to(self) -> Ownership:
        return Ownership(
            own_qty=self.own, foreign_qty=self.foreign, bought_back_qty=self.bought_back
        )

    def _split(self, ratio: Decimal) -> None:
        self.own, self.foreign = self.own * ratio, self.foreign * ratio
        self.bought_back *= ratio
        for counts in (self.ordered, self.bracketed):
            for entry in counts:
                counts[entry] *= ratio

    def _entered(self, entry: Intent, qty: Decimal) -> None:
        """What goes beyond the order is an overfill, which no bracket holds."""
        self.own += qty
        name = entry.intent_id
        left = self.ordered.setdefault(name, Decimal(entry.side.sign * entry.qty))
        counted = min(left, qty, key=abs)
        self.ordered[name] = left - counted
        self.bracketed[name] = self.bracketed.get(name, ZERO) + counted

    def _left(self, entry: str, qty: Decimal) -> None:
        self.own += qty
        held = self.bracketed.get(entry, ZERO)
        self.bracketed[entry] = held - _closable(held, qty)

    def _closed(self, reason: str, qty: Decimal) -> None:
        """A closing order of no bracket: whose units it takes depends on what it is for."""
        loose = self.own - sum(self.bracketed.values(), ZERO)
        ours = ZERO if reason in {ASSIGNED, SHORT_LEG} else -_closable(loose, qty)
        theirs = ZERO if reason == OVERFILL else -_closable(self.foreign, qty - ours)
        self.own += qty - theirs
        self.foreign += theirs
        self.bought_back += max(ZERO, theirs)


def _closable(held: Decimal, qty: Decimal) -> Decimal:
    """What of signed units held an order of signed `qty` closes, with the sign of what is held."""
    return min(held, -qty, key=abs) if held * qty < 0 else ZERO
