"""Requests about the market as it is: ticks, depth, real-time bars."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import ZERO, Contract, SecType
from bft.sim.gateway.exchange.orders import Quote, is_option
from bft.sim.gateway.prices.intraday import draw
from bft.sim.gateway.reference_desk import NO_DEFINITION
from bft.sim.gateway.session import About, Session
from bft.sim.gateway.wire import ticks
from bft.sim.gateway.wire.contract_fields import least_increment
from bft.sim.gateway.wire.reader import Reader

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

MOST_TICKERS, MOST_BOOKS = 100, 3  # market data lines of an account, depth requests
BAR_S = 5
_GREEKS = 21
NO_PRICE = Decimal(-1)
Key = tuple[Session, int]


@dataclass(slots=True, kw_only=True)
class Ticker:
    """A stream of ticks; `said` are the values sent last, by (message, tick type).

    A `dead` one sends nothing any more, and nobody is told.
    """

    contract: Contract
    asked: int
    kind: int
    generic: str
    dead: bool = False
    said: dict[tuple[object, object], object] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Book:
    """A stream of depth."""

    contract: Contract
    rows: int
    smart: bool
    begun: bool = False


class DataDesk:
    """Streams of the present."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.kinds: dict[Session, int] = {}
        self.tickers: dict[Key, Ticker] = {}
        self.books: dict[Key, Book] = {}
        self.bars: dict[Key, Contract] = {}
        self._bars_planned = False
        self.handlers = {
            1: self.market_data,
            2: lambda session, fields: self._drop(session, fields, self.tickers),
            10: self.depth,
            11: lambda session, fields: self._drop(session, fields, self.books),
            50: self.real_time_bars,
            51: lambda session, fields: self._drop(session, fields, self.bars),
            59: self.market_data_type,
        }

    def forget(self, session: Session) -> None:
        """A client is gone, or all its subscriptions are."""
        for kept in (self.tickers, self.books, self.bars):
            for key in [key for key in kept if key[0] is session]:
                del kept[key]

    def watched(self) -> list[Contract]:
        """Contracts someone watches, each once."""
        found = {t.contract.con_id: t.contract for t in self.tickers.values()}
        return list((found | {b.contract.con_id: b.contract for b in self.books.values()}).values())

    def kill_lines(self, symbol: str) -> None:
        """Have the subscriptions of a symbol, or all, send nothing more; a new request does."""
        for ticker in self.tickers.values():
            ticker.dead |= symbol in {"", ticker.contract.symbol}

    def retype(self, contract: Contract) -> None:
        """Tell subscribers the market data type that now holds; their ticks come anew."""
        for (session, req_id), ticker in self.tickers.items():
            kind = self.gateway.data_faults.kind(contract, ticker.asked)
            if (
                ticker.contract.con_id == contract.con_id
                and kind != ticker.kind
                and not ticker.dead
            ):
                ticker.kind = kind
                ticker.said.clear()
                session.send((58, 1, req_id, kind), About(contract.symbol))

    # requests ----------------------------------------------------------------------------

    def market_data_type(self, session: Session, fields: list[str]) -> None:
        """Live, frozen, delayed or delayed-frozen ticks from the next request on."""
        kind = Reader(fields, skip=2).number()
        self.kinds[session] = kind if kind in {1, 2, 3, 4} else ticks.LIVE

    def market_data(self, session: Session, fields: list[str]) -> None:
        """A snapshot, or ticks until cancelled."""
        reader = Reader(fields, skip=2)
        req_id, wanted = reader.number(), reader.wanted()
        if wanted.sec_type == "BAG":
            session.error(req_id, 321, "Error validating request: BAG unsupported")
            return
        reader.skip(3 if reader.flag() else 0)
        generic, snapshot = reader.text(), reader.flag()
        found = self.gateway.market.find(wanted, self.gateway.now())
        if len(found) != 1:
            session.error(req_id, 200, NO_DEFINITION)
            return
        if len(self.tickers) >= MOST_TICKERS and not snapshot:
            session.error(req_id, 101, "Max number of tickers has been reached")
            return
        asked = self.kinds.get(session, ticks.LIVE)
        kind = self.gateway.data_faults.kind(found[0], asked)
        ticker = Ticker(contract=found[0], asked=asked, kind=kind, generic=generic)
        session.send((81, req_id, least_increment(found[0]), "9c0001", 3))
        session.send((58, 1, req_id, kind))
        quote = self.gateway.refresh(found[0])
        quote = self.gateway.data_faults.first(found[0], quote) if quote else None
        if snapshot:
            self._send_ticks((session, req_id), ticker, quote)
            session.send((57, 1, req_id))
            return
        self.tickers[session, req_id] = ticker
        self._send_ticks((session, req_id), ticker, quote)
        self.gateway.rounds.plan()

    def depth(self, session: Session, fields: list[str]) -> None:
        """Levels of the book until cancelled."""
        reader = Reader(fields, skip=2)
        req_id, wanted = reader.number(), reader.wanted()
        rows, smart = reader.number(), reader.flag()
        found = self.gateway.market.find(wanted, self.gateway.now())
        if len(found) != 1:
            session.error(req_id, 200, NO_DEFINITION)
        elif len(self.books) >= MOST_BOOKS:
            text = f"Max number ({MOST_BOOKS}) of market depth requests has been reached"
            session.error(req_id, 309, text)
        else:
            book = Book(contract=found[0], rows=min(max(rows, 1), 10), smart=smart)
            self.books[session, req_id] = book
            self._send_depth((session, req_id), book, self.gateway.refresh(found[0]))
            self.gateway.rounds.plan()

    def real_time_bars(self, session: Session, fields: list[str]) -> None:
        """A bar every five seconds."""
        reader = Reader(fields, skip=2)
        req_id, wanted = reader.number(), reader.wanted()
        found = self.gateway.market.find(wanted, self.gateway.now())
        if len(found) != 1:
            session.error(req_id, 200, NO_DEFINITION)
            return
        self.bars[session, req_id] = found[0]
        self._plan_bars()

    # the stream --------------------------------------------------------------------------

    def publish(self, contract: Contract, quote: Quote) -> None:
        """Tell subscribers of a quote, as the faults in force would have it."""
        shown = self.gateway.data_faults.shown(contract, quote)
        if shown is None:
            return
        quote = shown
        for key, ticker in self.tickers.items():
            if ticker.contract.con_id == contract.con_id and not ticker.dead:
                self._send_ticks(key, ticker, quote)
        for key, book in self.books.items():
            if book.contract.con_id == contract.con_id:
                self._send_depth(key, book, quote)

    def _send_ticks(self, key: Key, ticker: Ticker, quote: Quote | None) -> None:
        """Ticks that changed since they were sent last."""
        if quote is None:
            return
        session, req_id = key
        about = About(ticker.contract.symbol)
        for values in self._ticks(req_id, ticker, quote):
            place = 2 if values[0] == _GREEKS else 3  # where the tick type stands
            if ticker.said.get((values[0], values[place])) != values[place + 1 :]:
                ticker.said[values[0], values[place]] = values[place + 1 :]
                session.send(values, about)

    def _ticks(self, req_id: int, ticker: Ticker, quote: Quote) -> Iterator[Sequence[object]]:
        contract, at = ticker.contract, self.gateway.now()
        if contract.sec_type is SecType.INDEX:  # it has a level, and nobody bids for it
            quote = replace(quote, bid=NO_PRICE, ask=NO_PRICE, bid_size=ZERO, ask_size=ZERO)
        trading = hours.session_of(contract, at) is not None
        yield from ticks.of(req_id, quote, kind=ticker.kind, trading=trading)
        yield from ticks.generic(req_id, quote, ticker.generic, contract.right)
        if is_option(contract):
            made = self.gateway.market.greeks(contract, at)
            yield from ticks.greeks(req_id, made, quote, ticker.kind) if made else ()

    def _send_depth(self, key: Key, book: Book, quote: Quote | None) -> None:
        """Every level anew: the client does not shift its rows."""
        if quote is None:
            return
        session, req_id = key
        about, step = About(book.contract.symbol), book.contract.increment(quote.bid)
        operation, book.begun = int(book.begun), True
        for row in range(book.rows):
            for side, price in ((1, quote.bid - row * step), (0, quote.ask + row * step)):
                size = 100 * (1 + int(9 * draw("depth", price, quote.at.timestamp())))
                tail = (operation, side, max(price, Decimal(0)), size)
                if book.smart:
                    session.send((13, 1, req_id, row, "SMART", *tail, 1), about)
                else:
                    session.send((12, 1, req_id, row, *tail), about)

    def _plan_bars(self) -> None:
        if self._bars_planned or not self.bars:
            return
        epoch = int(self.gateway.now().timestamp())
        due = datetime.fromtimestamp(epoch - epoch % BAR_S + BAR_S, UTC)
        self._bars_planned = True
        self.gateway.agenda.at(due, self._send_bars)

    def _send_bars(self) -> None:
        self._bars_planned = False
        end = self.gateway.now().replace(microsecond=0)
        span = (end - timedelta(seconds=BAR_S), end)
        for (session, req_id), contract in self.bars.items():
            for bar in self.gateway.market.bars(contract, [span]):
                prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.mean, 1)
                epoch = int(bar.start.timestamp())
                session.send((50, 3, req_id, epoch, *prices), About(contract.symbol))
        self._plan_bars()

    def _drop(
        self,
        session: Session,
        fields: list[str],
        kept: "dict[Key, Ticker] | dict[Key, Book] | dict[Key, Contract]",
    ) -> None:
        kept.pop((session, Reader(fields, skip=2).number()), None)
