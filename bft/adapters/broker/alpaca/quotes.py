"""Quotes of Alpaca's market data, polled: bid, ask and last of the IEX feed, yesterday's close."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bft.adapters.broker.alpaca.client import Client, Refused
from bft.adapters.broker.alpaca.orders import theirs
from bft.domain.broker import Quote, QuoteReport
from bft.domain.errors import BftError
from bft.domain.orders import Contract
from bft.ports import Clock

EVERY_S = 3.0  # a profile takes quotes of 5 s (executor specification, section 4)
ROUND_LOT = 100  # sizes are told in round lots (market data reference, quotes)
_log = logging.getLogger(__name__)


class Quotes:
    """Newest quotes of watched contracts; changes are reported."""

    def __init__(self, client: Client, clock: Clock, report: Callable[[QuoteReport], None]) -> None:
        self._client, self._clock, self._report = client, clock, report
        self.watched: dict[str, Contract] = {}
        self.newest: dict[str, Quote] = {}

    async def run(self) -> None:
        """Ask for all watched symbols for ever; a call that fails is made again later."""
        while True:
            if self.watched:
                try:
                    await self._look()
                except (BftError, Refused) as error:
                    _log.warning("alpaca.no_quotes reason=%s", error)
            await asyncio.sleep(EVERY_S)

    async def _look(self) -> None:
        symbols = ",".join(sorted(map(theirs, self.watched)))
        found = await self._client.data("/v2/stocks/snapshots", symbols=symbols, feed="iex")
        for symbol, contract in list(self.watched.items()):
            raw = found.get(theirs(symbol))
            if raw:
                self._show(symbol, self._quote(contract, raw))

    def _show(self, symbol: str, quote: Quote) -> None:
        self.newest[symbol] = quote
        self._report(QuoteReport(quote=quote))

    def _quote(self, contract: Contract, raw: Mapping[str, Any]) -> Quote:
        book, trade = raw.get("latestQuote") or {}, raw.get("latestTrade") or {}
        return Quote(
            contract=contract,
            at=_told_at(book.get("t"), self._clock.now()),
            bid_usd=_price(book.get("bp")),
            ask_usd=_price(book.get("ap")),
            last_usd=_price(trade.get("p")),
            close_usd=_price((raw.get("prevDailyBar") or {}).get("c")),
            bid_size=_size(book.get("bs")),
            ask_size=_size(book.get("as")),
        )


def _told_at(stamp: object, now: datetime) -> datetime:
    """When the feed made the quote, however often it is asked for it since; `now` if unsaid."""
    try:
        return min(datetime.fromisoformat(str(stamp)).astimezone(UTC), now)
    except ValueError:
        return now


def _price(value: object) -> Decimal | None:
    found = Decimal(str(value)) if value else None
    return found if found is not None and found.is_finite() and found > 0 else None


def _size(value: Any) -> int | None:
    return None if value is None else int(value) * ROUND_LOT
