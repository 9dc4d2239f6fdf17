"""Tick messages of a quote (ib-wire, sections 5 and 9)."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from bft.sim.gateway.exchange.orders import Quote
from bft.sim.gateway.prices.greeks import Greeks

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
_BID, _ASK, _LAST, _HIGH, _LOW, _CLOSE, _OPEN = 1, 2, 4, 6, 7, 9, 14
_VOLUME, _LAST_TIME, _HALTED = 8, 45, 49
_DELAYED = {1: 66, 2: 67, 4: 68, 6: 72, 7: 73, 9: 75, 14: 76, 8: 74, 45: 88, 49: 90}
_BID_GREEKS, _ASK_GREEKS, _LAST_GREEKS, _MODEL_GREEKS = 10, 11, 12, 13
_GREEKS_DELAYED_BY = 70
_NONE = Decimal(-1)


def is_delayed(kind: int) -> bool:
    """Whether a market data type delivers delayed ticks."""
    return kind in {DELAYED, DELAYED_FROZEN}


def of(req_id: int, quote: Quote, *, kind: int, trading: bool) -> Iterator[Sequence[object]]:
    """All ticks of a quote; live bids and asks are empty while nothing trades."""
    shown = trading or kind in {FROZEN, DELAYED_FROZEN}
    bid, ask = (quote.bid, quote.ask) if shown else (_NONE, _NONE)
    sizes = (quote.bid_size, quote.ask_size) if shown else (0, 0)
    prices = (
        (_BID, bid, sizes[0]),
        (_ASK, ask, sizes[1]),
        (_LAST, quote.last, quote.last_size),
        (_HIGH, quote.high, 0),
        (_LOW, quote.low, 0),
        (_OPEN, quote.open, 0),
    )
    for number, price, size in prices:
        yield 1, 6, req_id, _type(number, kind), price, size, 0
    if quote.previous > 0:
        yield 1, 6, req_id, _type(_CLOSE, kind), quote.previous, 0, 0
    yield 2, 6, req_id, _type(_VOLUME, kind), quote.volume
    yield 45, 6, req_id, _type(_HALTED, kind), float(quote.halted)
    yield 46, 6, req_id, _type(_LAST_TIME, kind), int(quote.at.timestamp())


def generic(req_id: int, quote: Quote, wanted: str, right: str) -> Iterator[Sequence[object]]:
    """Extra ticks: 233 real-time volume; 100 and 101 volume and open interest of an option."""
    asked = set(wanted.replace("mdoff", "").split(","))
    if "233" in asked:
        when = int(quote.at.timestamp() * 1000)
        words = (quote.last, quote.last_size, when, quote.volume, quote.last, "true")
        yield 46, 6, req_id, 48, ";".join(map(str, words))
    call = right == "C"
    if right and "100" in asked:
        yield 2, 6, req_id, 29 if call else 30, quote.volume
    if right and "101" in asked:
        yield 2, 6, req_id, 27 if call else 28, 10 * quote.volume


def greeks(req_id: int, made: Greeks, quote: Quote, kind: int) -> Iterator[Sequence[object]]:
    """Option computations for bid, ask, last and the model."""
    prices = {
        _BID_GREEKS: float(quote.bid),
        _ASK_GREEKS: float(quote.ask),
        _LAST_GREEKS: float(quote.last),
        _MODEL_GREEKS: made.value,
    }
    numbers = (made.gamma, made.vega, made.theta, made.under)
    for number, price in prices.items():
        shown = number + (_GREEKS_DELAYED_BY if is_delayed(kind) else 0)
        yield 21, req_id, shown, 0, made.vol, made.delta, price, 0.0, *numbers


def _type(number: int, kind: int) -> int:
    return _DELAYED[number] if is_delayed(kind) else number
