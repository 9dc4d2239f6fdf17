"""Where the paper account's prices come from: pushed ticks, bars of files, the vendor simulator."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from heapq import heapify, heappop
from typing import Any

import httpx

from bft.adapters.broker.paper.matching import Bar
from bft.domain.errors import ConfigError, DataError
from bft.domain.sessions import NEW_YORK

MOST_SYMBOLS = 100  # of one bulk call
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A top of book as a source tells it; sizes None have no bound.

    `traded_at` is the source's own stamp, None where it tells none.
    """

    key: str
    bid_usd: Decimal
    ask_usd: Decimal
    last_usd: Decimal
    bid_size: int | None = None
    ask_size: int | None = None
    traded_at: datetime | None = None


Push = Callable[[Price], None]
Keys = Callable[[], Iterable[str]]


class Prices:
    """A source without prices of its own: `name` is tick, they are pushed from outside.

    `quoted`: an order may fill on the newest price at once; else it waits for the next bar.
    """

    name, quoted = "tick", True

    def begin(self, at: datetime) -> None:
        """Forget what lies before the session's start."""

    def next_at(self) -> datetime | None:
        """When `due` has more to give."""
        return None

    def due(self, at: datetime) -> list[tuple[bool, Bar]]:
        """Bars that have opened (True) or ended (False) by now, in order; each once."""
        return []

    async def run(self, keys: Keys, push: Push) -> None:
        """Push prices for ever, where the source is asked."""


class BarPrices(Prices):
    """Bars known beforehand, played as the clock reaches them. Memory: all bars given."""

    name, quoted = "files", False

    def __init__(self, bars: Iterable[Bar]) -> None:
        self._bars = list(bars)
        self._events: list[tuple[datetime, bool, str, int]] = []

    def begin(self, at: datetime) -> None:
        """Play bars that open from now on; at one instant bars end before others open."""
        self._events = []
        for n, bar in enumerate(self._bars):
            if bar.start >= at:
                self._events += [(bar.start, True, bar.key, n), (bar.end, False, bar.key, n)]
        heapify(self._events)

    def next_at(self) -> datetime | None:
        """When the next bar opens or ends."""
        return self._events[0][0] if self._events else None

    def due(self, at: datetime) -> list[tuple[bool, Bar]]:
        """Bars that have opened or ended."""
        found = []
        while self._events and self._events[0][0] <= at:
            _, opens, _, n = heappop(self._events)
            found.append((opens, self._bars[n]))
        return found


class SimPrices(Prices):
    """Quotes of the vendor simulator over HTTP; it tells no bid and ask: both are the last price.

    An answer that fails is logged and asked for again; meanwhile nothing fills.
    """

    name, quoted = "market-sim", True

    def __init__(self, url: str, *, key: str = "paper", every_s: float = 5.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"market-sim address {url!r} is no http address")
        self._url, self._key, self._every_s = url.rstrip("/"), key, every_s

    async def run(self, keys: Keys, push: Push) -> None:
        """Ask for all symbols every few seconds."""
        async with httpx.AsyncClient(trust_env=False, timeout=self._every_s) as client:
            while True:
                wanted = sorted(keys())
                for at in range(0, len(wanted), MOST_SYMBOLS):
                    await self._ask(client, wanted[at : at + MOST_SYMBOLS], push)
                await asyncio.sleep(self._every_s)

    async def _ask(self, client: httpx.AsyncClient, symbols: list[str], push: Push) -> None:
        query = {"function": "REALTIME_BULK_QUOTES", "symbol": ",".join(symbols)}
        try:
            answer = await client.get(f"{self._url}/query", params={**query, "apikey": self._key})
            answer.raise_for_status()
            prices = [price_of(row) for row in answer.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError, DataError) as error:
            _log.warning("paper.no_quotes symbols=%d reason=%s", len(symbols), type(error).__name__)
            return
        for price in prices:
            if price.key in symbols:
                push(price)


def price_of(row: dict[str, Any]) -> Price:
    """Price of one row of REALTIME_BULK_QUOTES.

    Raises:
        DataError: no price above zero, or no time.
    """
    try:
        last = Decimal(str(row["close"]))
        at = datetime.fromisoformat(str(row["timestamp"])).replace(tzinfo=NEW_YORK)
        key = str(row["symbol"])
    except (KeyError, InvalidOperation, ValueError) as error:
        raise DataError(f"quote {row} is unusable: {error}") from error
    return checked(Price(key=key, bid_usd=last, ask_usd=last, last_usd=last, traded_at=at))


def checked(price: Price) -> Price:
    """The price, if every number is above zero and bid is not above ask.

    Raises:
        DataError: it is not; names the symbol.
    """
    numbers = (price.bid_usd, price.ask_usd, price.last_usd)
    if not all(number.is_finite() and number > 0 for number in numbers):
        told = ", ".join(str(number) for number in numbers)
        raise DataError(f"{price.key}: bid, ask, last {told}: each must be above 0")
    if price.bid_usd > price.ask_usd:
        raise DataError(f"{price.key}: bid {price.bid_usd} is above ask {price.ask_usd}")
    return price
