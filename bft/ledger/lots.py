"""FIFO lots: what happened to a contract, in order of time, to lots, closes and realised P&L.

A line is rebuilt from the last moment at which it was flat before the earliest change, so that
reports in any order, corrections and late fees give what the right order would have given.
Source: executor specification, section 2; decision record 23.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Contract
from bft.domain.ticks import micro
from bft.ledger.records import ZERO, Close, Lot


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEvent:
    """One change of a position: signed `qty` at a price, or a split by `ratio`.

    `rank` orders events of one instant: entries come before what closes them. `price_usd` None
    takes the average cost. `trade_id` is the trade a lot opened by it belongs to.
    """

    at: datetime
    rank: int
    event_id: str
    trade_id: str
    reason: str
    qty: Decimal = ZERO
    price_usd: Decimal | None = None
    fee_usd: Decimal = ZERO
    ratio: Decimal | None = None

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Its place in time."""
        return self.at, self.rank, self.event_id


@dataclass(slots=True)
class Line:
    """Everything that happened to one contract of one account, in order of time.

    `flat[i]` tells whether nothing was held just before event i. `contracts` are what each event
    said of the contract, by event id: the line's own is that of the newest split, else of the
    first event, whatever order they came in.
    """

    account: str
    contract: Contract
    contracts: dict[str, Contract] = field(default_factory=dict)
    events: list[LineEvent] = field(default_factory=list)
    flat: list[bool] = field(default_factory=list)
    flat_now: bool = True
    by_id: dict[str, LineEvent] = field(default_factory=dict)

    @classmethod
    def of(cls, account: str, told: list[tuple[LineEvent, Contract]]) -> "Line":
        """A line of events in order of time, still to be rebuilt from its start."""
        events = [event for event, _ in told]
        line = cls(account=account, contract=told[0][1], events=events)
        line.by_id = {event.event_id: event for event in events}
        line.flat = [False] * len(events)
        line.contracts = {event.event_id: contract for event, contract in told}
        line._name()
        return line

    def campaign(self) -> list[LineEvent]:
        """Events since the last moment at which nothing was held."""
        start = max(0, len(self.events) - 1)
        while start and not self.flat[start]:
            start -= 1
        return self.events[start:]

    def forget(self, count: int) -> list[LineEvent]:
        """Let go of the first events; nothing is held after them."""
        gone = self.events[:count]
        for event in gone:
            del self.by_id[event.event_id], self.contracts[event.event_id]
        del self.events[:count], self.flat[:count]
        self._name()
        return gone

    def put(self, event: LineEvent, contract: Contract) -> int:
        """Insert an event, or replace the one of this id; the first index to rebuild from."""
        dropped = self._drop(event.event_id)
        self.by_id[event.event_id] = event
        insort(self.events, event, key=_place)
        at = bisect_left(self.events, event.place, key=_place)
        self.flat.insert(at, self._flat_before(at))
        self.contracts[event.event_id] = contract
        self._name()
        first = at if dropped is None else min(at, dropped)
        while first and not self.flat[first]:
            first -= 1
        return first

    def rebuild(self, first: int) -> dict[str, Lot]:
        """Lots that the events from index `first` on open; nothing was held before it."""
        book = _Matching(account=self.account, contract=self.contract)
        for at in range(first, len(self.events)):
            self.flat[at] = not book.open_lots
            book.take(self.events[at])
        self.flat_now = not book.open_lots
        return book.lots

    def _name(self) -> None:
        split = next((event for event in reversed(self.events) if event.ratio is not None), None)
        first = split or next(iter(self.events), None)
        if first is not None:
            self.contract = self.contracts[first.event_id]

    def _flat_before(self, at: int) -> bool:
        return self.flat[at] if at < len(self.flat) else self.flat_now

    def _drop(self, event_id: str) -> int | None:
        """Remove an event; its index, or None. What follows is stale until it is rebuilt."""
        known = self.by_id.pop(event_id, None)
        if known is None:
            return None
        at = bisect_left(self.events, known.place, key=_place)
        was_flat = self.flat[at]
        del self.events[at], self.flat[at]
        if at < len(self.flat):
            self.flat[at] = was_flat
        else:
            self.flat_now = was_flat
        return at


def _place(event: LineEvent) -> tuple[datetime, int, str]:
    return event.place


@dataclass(slots=True)
class _Matching:
    """First in, first out over one contract."""

    account: str
    contract: Contract
    lots: dict[str, Lot] = field(default_factory=dict)
    open_lots: deque[str] = field(default_factory=deque)

    def take(self, event: LineEvent) -> None:
        if event.ratio is not None:
            self._split(event.ratio)
            return
        if not event.qty:
            return
        sign, left = (1 if event.qty > 0 else -1), abs(event.qty)
        price, fee = self._price(event), event.fee_usd
        while left and self.open_lots and self.lots[self.open_lots[0]].direction != sign:
            lot = self.lots[self.open_lots[0]]
            part = min(left, lot.open_qty)
            share = fee if part == left else micro(fee * part / left)
            self._close(lot, event, Part(qty=part, price_usd=price, fee_usd=share))
            left, fee = left - part, fee - share
        if left:
            self._open(event, sign, Part(qty=left, price_usd=price, fee_usd=fee))

    def _price(self, event: LineEvent) -> Decimal:
        if event.price_usd is not None:
            return event.price_usd
        lots = [self.lots[name] for name in self.open_lots]
        return average_cost(lots) or ZERO

    def _open(self, event: LineEvent, sign: int, part: "Part") -> None:
        cost = part.price_usd * part.qty * self.contract.multiplier
        self.lots[event.event_id] = Lot(
            lot_id=event.event_id,
            account=self.account,
            con_id=self.contract.con_id,
            symbol=self.contract.symbol,
            sec_type=self.contract.sec_type,
            trade_id=event.trade_id,
            direction=sign,
            multiplier=self.contract.multiplier,
            opened_at=event.at,
            qty=part.qty,
            open_qty=part.qty,
            price_usd=part.price_usd,
            fee_usd=part.fee_usd,
            cost_left_usd=cost,
            fee_left_usd=part.fee_usd,
        )
        self.open_lots.append(event.event_id)

    def _close(self, lot: Lot, event: LineEvent, part: "Part") -> None:
        whole = part.qty == lot.open_qty
        cost = _share(lot.cost_left_usd, part.qty, lot.open_qty)
        fee = _share(lot.fee_left_usd, part.qty, lot.open_qty)
        gross = lot.direction * (part.price_usd * part.qty * lot.multiplier - cost)
        close = Close(
            event_id=event.event_id,
            at=event.at,
            qty=part.qty,
            price_usd=part.price_usd,
            pnl_usd=gross - fee - part.fee_usd,
            fee_usd=part.fee_usd,
            reason=event.reason,
        )
        self.lots[lot.lot_id] = replace(
            lot,
            open_qty=lot.open_qty - part.qty,
            cost_left_usd=lot.cost_left_usd - cost,
            fee_left_usd=lot.fee_left_usd - fee,
            closes=(*lot.closes, close),
            closed_at=event.at if whole else None,
        )
        if whole:
            self.open_lots.popleft()

    def _split(self, ratio: Decimal) -> None:
        for name in self.open_lots:
            self.lots[name] = split_lot(self.lots[name], ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an event: positive units at a price with their share of the fee."""

    qty: Decimal
    price_usd: Decimal
    fee_usd: Decimal


def split_lot(lot: Lot, ratio: Decimal) -> Lot:
    """A lot in units after a split of `ratio` new for one old; cost and P&L stay."""
    closes = tuple(
        replace(close, qty=close.qty * ratio, price_usd=close.price_usd / ratio)
        for close in lot.closes
    )
    return replace(
        lot,
        qty=lot.qty * ratio,
        open_qty=lot.open_qty * ratio,
        price_usd=lot.price_usd / ratio,
        closes=closes,
    )


def with_entry_fees(lot: Lot) -> Iterator[tuple[Close, Decimal]]:
    """Each close with its part of the lot's own fee, to the micro-USD that its P&L holds."""
    left, units = lot.fee_usd, lot.qty
    for close in lot.closes:
        part = _share(left, close.qty, units)
        yield close, part
        left, units = left - part, units - close.qty


def _share(amount: Decimal, qty: Decimal, of_qty: Decimal) -> Decimal:
    """What of an amount goes with so many units; the last ones take what is left."""
    return amount if qty == of_qty else micro(amount * qty / of_qty)


def average_cost(lots: Iterable[Lot]) -> Decimal | None:
    """Cost per open unit without fees, rounded to micro-USD; None where nothing is open."""
    cost = units = ZERO
    for lot in lots:
        cost += lot.cost_left_usd
        units += lot.open_qty * lot.multiplier
    return micro(cost / units) if units else None
