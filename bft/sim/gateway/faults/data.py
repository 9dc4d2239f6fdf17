"""Words about market data: what clients are shown instead of the market.

The exchange itself goes on matching at its true prices, except while a contract is halted.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.exchange.orders import Quote
from bft.sim.gateway.wire import ticks

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

_KINDS = {"frozen": ticks.FROZEN, "delayed": ticks.DELAYED}


class DataFaults:
    """The words in force, each for a symbol or for all of them."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self._active: list[tuple[str, str]] = []

    def begin(self, word: str, symbol: str, seconds: float) -> None:
        """Put a word in force for so many seconds."""
        entry = (word, symbol)
        self._active.append(entry)
        self._shown_anew(symbol)

        def end() -> None:
            self._active.remove(entry)
            self._shown_anew(symbol)

        self.gateway.agenda.after(seconds, end)

    def is_on(self, word: str, contract: Contract) -> bool:
        """Whether a word is in force for a contract."""
        return any(w == word and s in {"", contract.symbol} for w, s in self._active)

    def traded(self, contract: Contract, quote: Quote) -> Quote:
        """The quote the exchange matches at."""
        return replace(quote, halted=True) if self.is_on("halted", contract) else quote

    def shown(self, contract: Contract, quote: Quote) -> Quote | None:
        """The quote clients see; None: nothing new."""
        if not self._active:
            return quote
        if any(self.is_on(word, contract) for word in ("stale", "frozen")):
            return None
        quote = self.traded(contract, quote)
        if self.is_on("zero", contract):
            quote = replace(quote, bid=ZERO, ask=ZERO, last=ZERO)
        if self.is_on("crossed", contract):
            quote = replace(quote, bid=quote.ask + quote.ask - quote.bid, ask=quote.bid)
        return quote

    def first(self, contract: Contract, quote: Quote) -> Quote | None:
        """The quote a new subscription begins with: that which was frozen is told once."""
        return quote if self.is_on("frozen", contract) else self.shown(contract, quote)

    def kind(self, contract: Contract, asked: int) -> int:
        """Market data type of a ticker."""
        for word, kind in _KINDS.items():
            if self.is_on(word, contract):
                return kind
        return asked

    def _shown_anew(self, symbol: str) -> None:
        for contract in self.gateway.board.data.watched():
            if symbol in {"", contract.symbol}:
                self.gateway.board.data.retype(contract)
                quote = self.gateway.market.quote(contract, self.gateway.now())
                if quote is not None:
                    self.gateway.show(contract, quote)
