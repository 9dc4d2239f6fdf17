"""Prices that a person or a test sets, tick by tick; without a tick there is no price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.exchange.orders import Quote
from bft.sim.gateway.prices.source import Bar

SIZE = Decimal(10_000)  # displayed where a tick names none


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A market as given; last defaults to the middle, sizes to 10,000."""

    bid: Decimal
    ask: Decimal
    last: Decimal | None = None
    bid_size: Decimal = SIZE
    ask_size: Decimal = SIZE
    last_size: Decimal = Decimal(100)
    previous: Decimal | None = None
    halted: bool = False


class ControlPrices:
    """Remembers every tick of every contract."""

    names = None

    def __init__(self) -> None:
        self._quotes: dict[int, Quote] = {}
        self._day: dict[int, date | None] = {}
        self._trades: dict[int, list[tuple[datetime, Decimal, Decimal]]] = {}

    def tick(self, contract: Contract, tick: Tick, at: datetime) -> Quote:
        """Set a market; the first tick of a session opens it."""
        number = contract.con_id
        last = (tick.bid + tick.ask) / 2 if tick.last is None else tick.last
        old = self._quotes.get(number)
        session = hours.session_of(contract, at)
        fresh = old is None or (session is not None and self._day[number] != session)
        before = ZERO if old is None else (old.last if fresh else old.previous)
        made = Quote(
            at=at,
            bid=tick.bid,
            ask=tick.ask,
            last=last,
            bid_size=tick.bid_size,
            ask_size=tick.ask_size,
            last_size=tick.last_size,
            volume=tick.last_size,
            open=last,
            high=last,
            low=last,
            previous=before if tick.previous is None else tick.previous,
            halted=tick.halted,
        )
        if old is not None and not fresh:
            made = replace(
                made,
                open=old.open,
                high=max(old.high, last),
                low=min(old.low, last),
                volume=old.volume + tick.last_size,
            )
        self._quotes[number] = made
        self._day[number] = session if session is not None or fresh else self._day[number]
        self._trades.setdefault(number, []).append((at, last, tick.last_size))
        return made

    def quote(self, contract: Contract, at: datetime) -> Quote | None:
        """See `Prices`; the newest tick."""
        del at
        return self._quotes.get(contract.con_id)

    def bars(self, contract: Contract, spans: Sequence[tuple[datetime, datetime]]) -> list[Bar]:
        """See `Prices`; only spans in which there were ticks."""
        trades = self._trades.get(contract.con_id, [])
        found = []
        for start, end in spans:
            inside = [(price, size) for at, price, size in trades if start <= at < end]
            if inside:
                prices = [float(price) for price, _ in inside]
                found.append(
                    Bar(
                        start=start,
                        end=end,
                        open=prices[0],
                        high=max(prices),
                        low=min(prices),
                        close=prices[-1],
                        volume=float(sum(size for _, size in inside)),
                    )
                )
        return found

    def head(self, contract: Contract) -> datetime | None:
        """See `Prices`."""
        trades = self._trades.get(contract.con_id)
        return trades[0][0] if trades else None
