"""Quotes the paper broker has seen, and who wants to hear of them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.adapters.broker.paper.contracts import con_id_of
from bft.adapters.broker.paper.matching import Bar
from bft.adapters.broker.paper.orders import key_of
from bft.adapters.broker.paper.prices import Price
from bft.domain.broker import Quote, QuoteReport
from bft.domain.orders import Contract


class Board:
    """Newest quotes by key; those of watched contracts are reported."""

    def __init__(self, report: Callable[[QuoteReport], None]) -> None:
        self._report = report
        self.watched: dict[str, Contract] = {}
        self._quotes: dict[str, Quote] = {}

    def clear(self) -> None:
        """Forget all quotes; watches stay."""
        self._quotes.clear()

    def seen(self, contract: Contract) -> Quote | None:
        """Newest quote of any contract."""
        return self._quotes.get(key_of(contract))

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a watched contract."""
        found = self.seen(contract) if key_of(contract) in self.watched else None
        return replace(found, contract=contract) if found else None

    def of_price(self, price: Price, known: Iterable[Contract], at: datetime) -> Quote:
        """Show a price."""
        quote = Quote(
            contract=self.contract_of(price.key, known),
            at=at,
            bid_usd=price.bid_usd,
            ask_usd=price.ask_usd,
            last_usd=price.last_usd,
            bid_size=price.bid_size,
            ask_size=price.ask_size,
        )
        return self._show(price.key, quote)

    def of_bar(self, bar: Bar, known: Iterable[Contract], *, opens: bool) -> Quote:
        """Show a bar's first or last price."""
        price, at = (bar.open_usd, bar.start) if opens else (bar.close_usd, bar.end)
        contract = self.contract_of(bar.key, known)
        quote = Quote(contract=contract, at=at, bid_usd=price, ask_usd=price, last_usd=price)
        return self._show(bar.key, quote)

    def _show(self, key: str, quote: Quote) -> Quote:
        self._quotes[key] = quote
        if key in self.watched:
            self._report(QuoteReport(quote=replace(quote, contract=self.watched[key])))
        return quote

    def mark_usd(self, key: str) -> Decimal | None:
        """What the newest quote of a key is worth."""
        quote = self._quotes.get(key)
        return quote.mark_usd if quote else None

    def contract_of(self, key: str, known: Iterable[Contract]) -> Contract:
        """The contract that goes by a key; a stock where nobody watches or holds another."""
        same = (contract for contract in known if key_of(contract) == key)
        unknown = Contract(con_id=con_id_of(key), symbol=key)
        return self.watched.get(key) or next(same, unknown)
