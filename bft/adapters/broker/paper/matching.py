"""At which price an order fills, given a touch or a bar. Pure; prices are USD per quoted unit.

Source: executor specification, section 7 (paper); inside a bar strategies specification, 3.4 and
4.2, the worst ordering.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from bft.adapters.broker.paper.orders import Working
from bft.domain.broker import PlacedOrder, Quote
from bft.domain.orders import OrderType, Side
from bft.domain.ticks import MICRO

SLIPPAGE_FRAC = Decimal("0.0005")  # adverse, on market orders
VOLUME_FRAC = Decimal("0.10")  # of a bar's volume that orders may take
_BID_ASK_METHODS = frozenset([1, 4])  # double bid/ask, bid/ask (TWS API, trigger method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What traded between two instants of one session; `volume` in units."""

    key: str
    start: datetime
    end: datetime
    open_usd: Decimal
    high_usd: Decimal
    low_usd: Decimal
    close_usd: Decimal
    volume: int

    @property
    def most_qty(self) -> int:
        """Units that orders of one side may take."""
        return int((self.volume * VOLUME_FRAC).to_integral_value(ROUND_FLOOR))


@dataclass(slots=True, kw_only=True)
class Market:
    """Newest quote of a contract and what is left of its sizes; a side left out has no bound."""

    quote: Quote
    left: dict[Side, int] = field(default_factory=dict)

    def offers(self, side: Side, wanted: int) -> int:
        """Units of `wanted` that can trade now."""
        return min(wanted, self.left.get(side, wanted))

    def take(self, side: Side, qty: int) -> None:
        """Note that so many have traded."""
        if side in self.left:
            self.left[side] -= qty


def touch_usd(side: Side, quote: Quote) -> Decimal | None:
    """What a side must pay or gets: ask or bid; None where there is none above zero."""
    touch = quote.ask_usd if side is Side.BUY else quote.bid_usd
    return touch if touch is not None and touch > 0 else None


def reached(placed: PlacedOrder, quote: Quote) -> bool:
    """Whether a stop's trigger is reached: by last, or by the touch (options, method 4)."""
    by_touch = placed.trigger_method in _BID_ASK_METHODS or placed.contract.sec_type == "OPT"
    seen = touch_usd(placed.side, quote) if by_touch else quote.last_usd
    stop = placed.stop_price_usd
    return seen is not None and stop is not None and (seen - stop) * placed.side.sign >= 0


def at_touch(order: Working, quote: Quote) -> Decimal | None:
    """Fill price against a quote, or None; stops must be triggered already."""
    placed, touch = order.placed, touch_usd(order.placed.side, quote)
    if touch is None or (order.is_stop and not order.triggered):
        return None
    if placed.order_type is OrderType.MARKET:
        return (touch * (1 + placed.side.sign * SLIPPAGE_FRAC)).quantize(MICRO)
    if placed.order_type is OrderType.STOP:
        return _worse(placed, touch)
    limit = placed.limit_price_usd
    good = limit is not None and (touch - limit) * placed.side.sign <= 0
    return touch if good else None


def inside(order: Working, bar: Bar, *, fresh: bool) -> Decimal | None:
    """Fill price between a bar's open and close, or None.

    `fresh`: it became workable inside this bar, so that nobody knows what came before. Then a stop
    fills if the range reaches it, a limit only if the close is at or beyond it.
    """
    placed = order.placed
    buys = placed.side is Side.BUY
    if order.is_stop and not order.triggered:
        return _stopped(order, bar.high_usd if buys else bar.low_usd)
    if placed.order_type in {OrderType.STOP, OrderType.MARKET}:
        return None  # at the next open
    near = bar.low_usd if buys else bar.high_usd
    seen = bar.close_usd if fresh else near
    limit = placed.limit_price_usd
    good = limit is not None and (seen - limit) * placed.side.sign <= 0
    return limit if good else None


def _stopped(order: Working, far: Decimal) -> Decimal | None:
    placed, stop = order.placed, order.placed.stop_price_usd
    if stop is None or (far - stop) * placed.side.sign < 0:
        return None
    order.trigger()
    limit = placed.limit_price_usd
    if placed.order_type is OrderType.STOP_LIMIT and limit is not None:
        return stop if (stop - limit) * placed.side.sign <= 0 else None
    return stop


def _worse(placed: PlacedOrder, touch: Decimal) -> Decimal:
    stop = placed.stop_price_usd if placed.stop_price_usd is not None else touch
    return max(stop, touch) if placed.side is Side.BUY else min(stop, touch)
