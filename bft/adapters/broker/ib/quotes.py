"""Quotes of watched contracts, asked for again on every new connection, and where a line is quiet.

Source: wire specification, section 9, ticks; executor specification, section 7.1, data codes;
decision record 0101 (quiet lines).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from bft.adapters.broker.ib import figures
from bft.adapters.broker.ib.contracts import decimal_of
from bft.adapters.broker.ib.pacer import Bucket, Pacer
from bft.domain.broker import OptionFigures, Priority, Quote, QuoteReport
from bft.domain.errors import UnavailableError
from bft.domain.orders import Contract
from bft.domain.trading_days import market_open

FEED_PER_S, FEED_BURST = 2.0, 5
QUIET = timedelta(seconds=45)  # a line so long without a tick is asked for anew: before it is stale
AGAIN = timedelta(seconds=15)  # so long after it was last asked for, once it was disturbed
UNANSWERED = timedelta(seconds=60)  # and where it has told nothing since
SETTLED = timedelta(seconds=5)  # so long what a line showed stands in for one asked for anew
_PRICES = {1: "bid_usd", 2: "ask_usd", 4: "last_usd", 9: "close_usd"}
_PRICES |= {66: "bid_usd", 67: "ask_usd", 68: "last_usd", 75: "close_usd"}
_SIZES = {0: "bid_size", 3: "ask_size", 69: "bid_size", 70: "ask_size"}
_SIZE_OF = {"bid_usd": "bid_size", "ask_usd": "ask_size"}
_HALTED = frozenset({49, 90})
_LIVE, _FROZEN, _DELAYED = 1, frozenset({2, 4}), frozenset({3, 4})  # market data types
_NOT_LIVE = frozenset({354, 10089, 10090, 10167, 10168, 10197})
Key = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class _Anew:
    """A line to be ended and asked for once more."""

    key: Key


class Wire(Protocol):
    """What the feed needs of a connection."""

    def fresh_id(self) -> int:
        """A number for a request."""

    def ask_quotes(self, number: int, contract: Contract) -> None:
        """Send a request for quotes."""

    def stop_quotes(self, number: int) -> None:
        """Send its end."""


@dataclass(slots=True)
class _Line:
    """A watched contract; `number` is its request on this connection, None before.

    `kind` is the market data type it was said to have, `refusal` the code that came about it
    since. What was told before `sound_at` may have changed untold. `before` is what the line
    showed until it was asked for anew, and until it tells its touch.
    """

    quote: Quote
    figures: OptionFigures
    sound_at: datetime
    asked_at: datetime
    before: Quote | None = None
    number: int | None = None
    kind: int | None = None
    refusal: int | None = None


class Feed:
    """Lines of market data; outlives connections, which it is attached to one after another."""

    def __init__(
        self, pacer: Pacer, now: Callable[[], datetime], report: Callable[[QuoteReport], None]
    ) -> None:
        self._pacer, self._now, self._report = pacer, now, report
        self._lines: dict[Key, _Line] = {}
        self._by_number: dict[int, _Line] = {}
        self._changed: dict[int, _Line] = {}
        self._bucket = Bucket(per_s=FEED_PER_S, burst=FEED_BURST)
        self._wire: Wire | None = None
        self._work: asyncio.Queue[Key | _Anew | int] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    # the executor's side -----------------------------------------------------------------

    def watch(self, contract: Contract) -> None:
        """Follow a contract from now on."""
        key = _key(contract)
        if key not in self._lines:
            quote = Quote(contract=contract, at=self._now())
            self._lines[key] = _Line(quote, OptionFigures(contract=contract), quote.at, quote.at)
            self._work.put_nowait(key)

    def unwatch(self, contract: Contract) -> None:
        """Follow it no more."""
        line = self._lines.pop(_key(contract), None)
        if line is not None and line.number is not None:
            del self._by_number[line.number]
            self._work.put_nowait(line.number)

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote; None before the first tick."""
        line = self._lines.get(_key(contract))
        shown = None if line is None else self._shown(line)
        return shown if shown is not None and _priced(shown) else None

    def _shown(self, line: _Line) -> Quote:
        """The quote; of a line just asked for anew what it showed before."""
        if line.before is not None and self._now() - line.asked_at > SETTLED:
            line.before = None
        return line.before or line.quote

    def problem(self, contract: Contract) -> str:
        """Why the newest quote may not be what the feed would show now; empty: it is.

        What the gateway has not said is not taken to be so.
        """
        line = self._lines.get(_key(contract))
        if line is None or line.number is None:
            return "its line is not subscribed"
        if line.refusal is not None:
            return f"code {line.refusal} about its line"
        if line.kind != _LIVE:
            return "its line is not said to be live"
        if line.quote.halted:
            return "halted"
        told = line.quote.at >= line.sound_at
        return "" if told else f"nothing of it since a disturbance at {line.sound_at:%H:%M:%S} UTC"

    def option_figures(self, contract: Contract) -> OptionFigures | None:
        """Newest figures of an option; None before the first."""
        line = self._lines.get(_key(contract))
        if line is None or line.figures == OptionFigures(contract=line.figures.contract):
            return None
        return replace(line.figures, live=not (line.quote.frozen or line.quote.delayed))

    # the connection's side ---------------------------------------------------------------

    def attach(self, wire: Wire) -> None:
        """A new connection, or one that lost its subscriptions: ask for every line."""
        self.detach()
        self._wire = wire
        self._work = asyncio.Queue()
        for key in self._lines:
            self._work.put_nowait(key)
        self._task = asyncio.get_running_loop().create_task(self._send(wire))

    def detach(self) -> None:
        """The subscriptions are gone; quotes keep their age."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._wire = None
        self._by_number.clear()
        for line in self._lines.values():
            line.quote, line.before, line.number = self._shown(line), None, None

    def disturbed(self) -> None:
        """Connection or farm broke or came back: what was told before may have changed untold."""
        for line in self._lines.values():
            line.sound_at = self._now()

    def renew_one(self) -> None:
        """Ask anew for the line that needs it most: its ticks prove it alive, or tell the change.

        A disturbed one first, else the longest quiet; none while other requests wait.
        """
        if self._wire is None or not self._work.empty():
            return
        now = self._now()
        due = [line for line in self._lines.values() if _renewable(line, now)]
        if due:
            line = min(due, key=lambda one: (one.quote.at >= one.sound_at, one.quote.at))
            line.asked_at = now
            self._work.put_nowait(_Anew(_key(line.quote.contract)))

    async def _send(self, wire: Wire) -> None:
        with suppress(UnavailableError):  # the connection ended; the next one asks again
            while True:
                await self._send_one(wire, await self._work.get())

    async def _send_one(self, wire: Wire, what: Key | _Anew | int) -> None:
        if isinstance(what, int):
            await self._pacer.token(Priority.DATA)
            wire.stop_quotes(what)
            return
        await self._bucket.take()
        await self._pacer.token(Priority.DATA)
        if isinstance(what, _Anew):
            await self._pacer.token(Priority.DATA)
            what = self._ended(wire, what.key)
        line = self._lines.get(what)
        if line is not None and line.number is None:
            self._ask(wire, line)

    def _ended(self, wire: Wire, key: Key) -> Key:
        """End the subscription of a line; what it showed stays in sight for a moment."""
        line = self._lines.get(key)
        if line is not None and line.number is not None:
            del self._by_number[line.number]
            wire.stop_quotes(line.number)
            line.before, line.number = self._shown(line), None
        return key

    def _ask(self, wire: Wire, line: _Line) -> None:
        contract = line.quote.contract
        line.number = wire.fresh_id()
        self._by_number[line.number] = line
        # what an earlier subscription showed is not what this one shows
        line.quote = Quote(contract=contract, at=line.quote.at)
        if line.before is None:  # figures have instants of their own
            line.figures = OptionFigures(contract=contract)
        line.kind, line.refusal, line.sound_at = None, None, self._now()
        line.asked_at = line.sound_at
        wire.ask_quotes(line.number, contract)

    # what the gateway says ---------------------------------------------------------------

    def knows(self, number: int) -> bool:
        """Whether a request number is a line's."""
        return number in self._by_number

    def kind(self, number: int, kind: int) -> None:
        """Market data type of a line from now on."""
        line = self._by_number.get(number)
        if line is not None and (line.kind != kind or line.refusal is not None):
            line.kind, line.refusal, line.sound_at = kind, None, self._now()
        self._flag(number, frozen=kind in _FROZEN, delayed=kind in _DELAYED)

    def price(self, number: int, tick: int, price: float | None, size: float) -> None:
        """A price tick. Nothing, NaN, below zero, or a touch without size: there is no price."""
        name = _PRICES.get(tick)
        if name is None:
            return
        value = None if price is None else decimal_of(price)
        if value is not None and value < 0:
            value = None
        if name not in _SIZE_OF:
            self._change(number, **{name: value})
            return
        units = _units(size)
        self._change(number, **{name: value if units else None, _SIZE_OF[name]: units})

    def size(self, number: int, tick: int, size: float) -> None:
        """A size tick."""
        if tick in _SIZES:
            self._change(number, **{_SIZES[tick]: _units(size)})
            return
        line = self._by_number.get(number)
        if line is not None:
            self._figured(line, figures.counted(line.figures, tick, _units(size), self._now()))

    def computed(self, number: int, tick: int, *values: float | None) -> None:
        """A computation of an option: implied volatility, delta, and others that are not kept."""
        line = self._by_number.get(number)
        if line is not None:
            volatility, delta, *_rest = values
            made = figures.computed(line.figures, tick, (volatility, delta), self._now())
            self._figured(line, made)

    def generic(self, number: int, tick: int, value: float) -> None:
        """A generic tick: 1 and 2 say halted, 0 not, -1 not known."""
        if tick in _HALTED:
            line, halted = self._by_number.get(number), value > 0
            if line is not None and line.quote.halted is not halted:
                line.sound_at = self._now()
            self._flag(number, halted=halted)

    def refused(self, number: int, code: int) -> None:
        """A code about a line: the quotes are not live, there are none, or nobody knows."""
        if number in self._by_number:
            line = self._by_number[number]
            line.refusal, line.before = code, None
        if code in _NOT_LIVE:
            self._flag(number, delayed=True)

    def paced(self, number: int) -> None:
        """Too many requests: ask again after a pause."""
        line = self._by_number.pop(number, None)
        if line is None:
            return
        line.number = None
        queue, key = self._work, _key(line.quote.contract)
        wait_s = self._pacer.complained()
        asyncio.get_running_loop().call_later(wait_s, queue.put_nowait, key)

    def flush(self) -> None:
        """Report what has changed since the last time."""
        changed, self._changed = self._changed, {}
        for number, line in changed.items():
            if self._shown(line) is line.quote:
                self._report(QuoteReport(quote=line.quote))
            elif line.number == number:
                self._changed[number] = line  # its touch is not whole yet

    def _figured(self, line: _Line, made: OptionFigures) -> None:
        if made != line.figures and line.number is not None:
            line.figures = made
            self._changed[line.number] = line

    def _change(self, number: int, **fields: Decimal | int | None) -> None:
        """Take prices or sizes: the quote is of now."""
        line = self._by_number.get(number)
        if line is not None:
            line.quote = replace(line.quote, at=self._now(), **fields)  # type: ignore[arg-type]
            if line.quote.bid_usd is not None and line.quote.ask_usd is not None:
                line.before = None
            self._changed[number] = line

    def _flag(self, number: int, **flags: bool) -> None:
        """Take what is said about prices: it makes none of them newer."""
        line = self._by_number.get(number)
        if line is not None:
            line.quote = replace(line.quote, **flags)  # type: ignore[arg-type]
            if any(flags.values()):  # what it showed before does not stand in for that
                line.before = None
            self._changed[number] = line


def _renewable(line: _Line, now: datetime) -> bool:
    """Whether a line is to be asked for anew: it may be dead, and asking may tell.

    Not one that a code speaks of, that is halted or not live: those are known. Nor while nothing
    trades, when silence says nothing.
    """
    known = line.refusal is not None or line.quote.halted or line.kind not in {None, _LIVE}
    if line.number is None or known:
        return False
    if not market_open(now, sec_type=line.quote.contract.sec_type):
        return False
    asked = now - line.asked_at
    if line.quote.at < line.sound_at:
        return asked >= (AGAIN if _priced(line.quote) else UNANSWERED)
    return now - line.quote.at >= QUIET and asked >= QUIET


def _key(contract: Contract) -> Key:
    if contract.con_id:
        return contract.con_id, "", ""
    return 0, contract.sec_type, contract.local_symbol or contract.symbol


def _units(size: float) -> int | None:
    number = decimal_of(size)
    return None if number is None or number < 0 else int(number)


def _priced(quote: Quote) -> bool:
    prices = (quote.bid_usd, quote.ask_usd, quote.last_usd, quote.close_usd)
    return any(price is not None for price in prices)
