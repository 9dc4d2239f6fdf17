"""Fills of the paper exchange, worked by hand from executor specification, section 7."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from brokers import CLOSE, DAY, OPEN, usd

from bft.adapters.broker.paper.account import PaperAccount
from bft.adapters.broker.paper.books import Books
from bft.adapters.broker.paper.contracts import resolved
from bft.adapters.broker.paper.exchange import Exchange
from bft.adapters.broker.paper.fees import ib_fixed
from bft.adapters.broker.paper.matching import Bar
from bft.domain import sessions
from bft.domain.broker import ErrorReport, OrderReport, PlacedOrder, Quote
from bft.domain.orders import Contract, OrderType, Side, TimeInForce

AAPL = resolved(Contract(con_id=0, symbol="AAPL"))
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT


class Floor:
    """An exchange, orders with rising ids, and the prices of fills in order."""

    def __init__(self, *, quoted: bool, cash_usd: int = 1_000_000) -> None:
        account = PaperAccount(name="PAPER", created_at=OPEN, cash_usd=usd(cash_usd))
        self.books = Books(account, seed=1, client_id=10)
        self.exchange = Exchange(self.books, ib_fixed)
        self.quoted, self.number = quoted, 0

    def order(self, side: Side, qty: int, *, at: datetime = OPEN, **terms: Any) -> PlacedOrder:
        self.number += 1
        terms = {"order_type": OrderType.MARKET, "contract": AAPL, **terms}
        prices = {name: usd(terms.pop(name)) for name in list(terms) if name.endswith("_usd")}
        made = PlacedOrder(
            order_id=self.number,
            order_ref=f"bft1.{self.number}",
            side=side,
            qty=qty,
            account="PAPER",
            **terms,
            **prices,
        )
        self.exchange.accept([made], at, quoted=self.quoted)
        return made

    def bracket(self, qty: int = 10, *, at: datetime = OPEN, **entry: Any) -> tuple[Any, ...]:
        parent = self.order(Side.BUY, qty, at=at, **entry)
        group = {
            "parent_order_id": parent.order_id,
            "oca_group": "g",
            "oca_type": 2,
            "time_in_force": TimeInForce.GTC,
        }
        target = self.order(Side.SELL, qty, at=at, order_type=LIMIT, limit_price_usd=110, **group)
        stop = self.order(Side.SELL, qty, at=at, order_type=STOP, stop_price_usd=95, **group)
        return parent, target, stop

    def quote(self, bid: Any, ask: Any = None, *, at: datetime = OPEN, **more: Any) -> None:
        low, high = usd(bid), usd(bid if ask is None else ask)
        last = usd(more.pop("last", (low + high) / 2))
        quote = Quote(contract=AAPL, at=at, bid_usd=low, ask_usd=high, last_usd=last, **more)
        self.exchange.quote("AAPL", quote)

    def bar(self, prices: Any, *, day: int = 0, volume: int = 10_000, during: Any = None) -> None:
        """A daily bar, as open, high, low, close; `during` is called between open and close."""
        session = sessions.shift(DAY, day)
        opened, high, low, close = map(usd, prices)
        bar = Bar(
            key="AAPL",
            start=sessions.open_at(session),
            end=sessions.close_at(session),
            open_usd=opened,
            high_usd=high,
            low_usd=low,
            close_usd=close,
            volume=volume,
        )
        self.exchange.bar_opens(bar, touch(bar.start, opened))
        if during:
            during()
        self.exchange.bar_ends(bar, touch(bar.end, close))
        self.exchange.expire(bar.end)

    def fills(self) -> list[tuple[str, int, Decimal]]:
        found = self.books.executions.values()
        return [(e.order_ref.removeprefix("bft1."), e.qty, e.price_usd) for e in found]

    def qty(self, order: PlacedOrder) -> int:
        return self.books.open[order.order_id].placed.qty


def touch(at: datetime, price: Decimal) -> Quote:
    return Quote(contract=AAPL, at=at, bid_usd=price, ask_usd=price, last_usd=price)


@pytest.mark.parametrize(
    ("side", "terms", "quote", "price"),
    [
        (Side.BUY, {}, (99.98, 100.02), "100.070010"),  # 100.02 x 1.0005
        (Side.SELL, {}, (99.98, 100.02), "99.930010"),  # 99.98 x 0.9995
        (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 101}, (99, 100), "100"),
        (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 100}, (99, 100), "100"),
        (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 99.99}, (99, 100), None),
        (Side.SELL, {"order_type": LIMIT, "limit_price_usd": 99}, (99.50, 100), "99.50"),
        (Side.SELL, {"order_type": LIMIT, "limit_price_usd": 99.51}, (99.50, 100), None),
        (Side.SELL, {"order_type": STOP, "stop_price_usd": 95}, (95.10, 95.20), None),
        (Side.SELL, {"order_type": STOP, "stop_price_usd": 95}, (94.90, 95.10), "94.90"),
        (Side.SELL, {"order_type": STOP, "stop_price_usd": 95}, (92, 92), "92"),  # gap
        (Side.BUY, {"order_type": STOP, "stop_price_usd": 105}, (106, 107), "107"),
        (Side.BUY, {"order_type": STOP, "stop_price_usd": 105}, (104, 104.10), None),
    ],
)
def test_fill_against_a_quote(side: Side, terms: Any, quote: Any, price: str | None) -> None:
    floor = Floor(quoted=True)
    floor.order(side, 10, **terms)
    floor.quote(*quote)
    assert floor.fills() == ([("1", 10, usd(price))] if price else [])


def test_stop_trigger_watches_last_unless_told_bid_and_ask() -> None:
    floor = Floor(quoted=True)
    terms = {"order_type": STOP, "stop_price_usd": 95}
    floor.order(Side.SELL, 1, **terms)
    floor.order(Side.SELL, 2, trigger_method=4, **terms)
    floor.quote(94.80, 95.60, last=95.30)
    assert floor.fills() == [("2", 2, usd("94.80"))]


def test_stop_limit_that_is_triggered_waits_for_its_limit() -> None:
    floor = Floor(quoted=True)
    floor.order(Side.SELL, 1, order_type=STOP_LIMIT, stop_price_usd=95, limit_price_usd=94)
    floor.quote(93)
    assert floor.fills() == []
    floor.quote(94.20)
    assert floor.fills() == [("1", 1, usd("94.20"))]


def test_no_fill_without_a_price_of_this_session() -> None:
    floor = Floor(quoted=True)
    floor.quote(100, at=OPEN - timedelta(seconds=1))
    floor.order(Side.BUY, 1)
    assert floor.fills() == []
    floor.quote(100, at=CLOSE)
    assert floor.fills() == []
    floor.quote(100, at=CLOSE - timedelta(seconds=1))
    assert len(floor.fills()) == 1


def test_halted_quote_fills_nothing() -> None:
    floor = Floor(quoted=True)
    floor.order(Side.BUY, 1)
    floor.quote(100, halted=True)
    assert floor.fills() == []


def test_sizes_bound_fills_until_the_next_quote() -> None:
    floor = Floor(quoted=True)
    floor.order(Side.BUY, 5)
    floor.order(Side.BUY, 5)
    floor.quote(100, ask_size=7)
    assert [(ref, qty) for ref, qty, _ in floor.fills()] == [("1", 5), ("2", 2)]
    floor.quote(100, ask_size=7)
    assert [(ref, qty) for ref, qty, _ in floor.fills()][2:] == [("2", 3)]


def test_minimum_fee_is_paid_once_per_order() -> None:
    floor = Floor(quoted=True)
    floor.order(Side.BUY, 300, order_type=LIMIT, limit_price_usd=100)
    for size in (100, 150, 50):
        floor.quote(100, ask_size=size)
    fees = [e.fee_usd for e in floor.books.executions.values()]
    assert fees == [1, usd("0.25"), usd("0.25")]  # 300 x 0.005 = 1.50 in all


BARS = [  # open, high, low, close; a daily bar under an order that came before its open
    (Side.BUY, {}, (100, 101, 99, 100), "100.050000"),
    (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 101}, (100, 103, 99, 102), "100"),
    (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 99.5}, (100, 101, 99, 100), "99.5"),
    (Side.BUY, {"order_type": LIMIT, "limit_price_usd": 98}, (100, 101, 99, 100), None),
    (Side.SELL, {"order_type": LIMIT, "limit_price_usd": 100.5}, (100, 101, 99, 100), "100.5"),
    (Side.SELL, {"order_type": STOP, "stop_price_usd": 95}, (97, 98, 94, 96), "95"),
    (Side.SELL, {"order_type": STOP, "stop_price_usd": 95}, (93, 98, 92, 96), "93"),  # gap
    (Side.BUY, {"order_type": STOP, "stop_price_usd": 105}, (100, 106, 99, 101), "105"),
    (Side.BUY, {"order_type": STOP, "stop_price_usd": 105}, (107, 108, 106, 107), "107"),
]


@pytest.mark.parametrize(("side", "terms", "bar", "price"), BARS)
def test_fill_inside_a_bar(side: Side, terms: Any, bar: Any, price: str | None) -> None:
    floor = Floor(quoted=False)
    floor.order(side, 10, at=OPEN - timedelta(minutes=45), **terms)
    floor.bar(bar)
    assert floor.fills() == ([("1", 10, usd(price))] if price else [])


def test_stop_and_target_inside_one_bar_is_the_stop() -> None:
    floor = Floor(quoted=False)
    floor.bracket()
    floor.bar((100, 112, 94, 111))
    assert floor.fills() == [("1", 10, usd("100.05")), ("3", 10, usd(95))]
    assert floor.books.open == {}


@pytest.mark.parametrize(
    ("bar", "exits"),
    [
        ((100, 101, 94, 96), [("3", 10, usd(95))]),  # down through entry and stop
        ((100, 111, 97, 105), []),  # the high may have come before the entry
        ((100, 111, 97, 110.5), [("2", 10, usd(110))]),  # the close is beyond the target
    ],
)
def test_exits_in_the_bar_of_an_entry_inside_it(bar: Any, exits: Any) -> None:
    floor = Floor(quoted=False)
    floor.bracket(order_type=LIMIT, limit_price_usd=98)
    floor.bar(bar)
    assert floor.fills() == [("1", 10, usd(98)), *exits]


def test_bars_give_a_tenth_of_their_volume() -> None:
    floor = Floor(quoted=False)
    terms = {"order_type": LIMIT, "limit_price_usd": 100, "time_in_force": TimeInForce.GTC}
    floor.order(Side.BUY, 50, **terms)
    floor.bar((99, 101, 98, 100), volume=309)
    floor.bar((97, 101, 96, 100), volume=309, day=1)
    assert floor.fills() == [("1", 30, usd(99)), ("1", 20, usd(97))]


def test_order_sent_during_a_bar_waits_for_the_next() -> None:
    floor = Floor(quoted=False)

    def send() -> None:
        at, gtc = OPEN + timedelta(hours=1), TimeInForce.GTC
        floor.order(Side.BUY, 1, at=at, time_in_force=gtc)
        floor.order(Side.BUY, 1, at=at, time_in_force=gtc, order_type=LIMIT, limit_price_usd=99.5)

    floor.bar((100, 101, 99, 100), during=send)
    assert floor.fills() == []
    floor.bar((102, 103, 99, 102), day=1)
    assert floor.fills() == [("1", 1, usd("102.051000")), ("2", 1, usd("99.5"))]


def test_day_order_fills_in_the_bar_that_ends_with_its_session() -> None:
    floor = Floor(quoted=False)
    floor.order(Side.BUY, 1, order_type=LIMIT, limit_price_usd=99)
    floor.order(Side.BUY, 1, order_type=LIMIT, limit_price_usd=98)
    floor.bar((100, 101, 98.5, 100))
    assert floor.fills() == [("1", 1, usd(99))]
    assert floor.books.done[2].status == "Cancelled"
    assert floor.books.done[2].completed_at == CLOSE


def test_partly_filled_entry_that_is_cancelled_leaves_children_of_that_size() -> None:
    floor = Floor(quoted=True)
    entry, target, stop = floor.bracket(order_type=LIMIT, limit_price_usd=100)
    floor.quote(100, ask_size=4)
    assert floor.books.open[stop.order_id].held
    floor.exchange.cancel(entry.order_id, OPEN)
    assert (floor.qty(target), floor.qty(stop)) == (4, 4)
    assert not floor.books.open[stop.order_id].held
    floor.quote(94)
    assert floor.fills()[1:] == [("3", 4, usd(94))]
    assert floor.books.account.holdings == ()


def test_group_loses_the_share_that_was_filled_rounded_for_protection() -> None:
    floor = Floor(quoted=True)
    group = {"oca_group": "g", "oca_type": 2}
    floor.order(Side.SELL, 9, order_type=LIMIT, limit_price_usd=110, **group)
    stop = floor.order(Side.SELL, 100, order_type=STOP, stop_price_usd=95, **group)
    floor.quote(110, bid_size=1)
    assert floor.qty(stop) == 89  # 100 x 8/9 = 88.9
    floor.quote(110)
    assert floor.books.done[stop.order_id].status == "Cancelled"


def test_group_of_type_1_dies_with_the_first_fill() -> None:
    floor = Floor(quoted=True)
    group = {"oca_group": "g", "oca_type": 1}
    floor.order(Side.SELL, 9, order_type=LIMIT, limit_price_usd=110, **group)
    stop = floor.order(Side.SELL, 9, order_type=STOP, stop_price_usd=95, **group)
    floor.quote(110, bid_size=1)
    assert floor.books.done[stop.order_id].status == "Cancelled"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"order_id": 1}, 103),
        ({"limit_price_usd": usd("100.005")}, 110),
        ({"limit_price_usd": usd("NaN")}, 201),
        ({"limit_price_usd": None}, 201),
        ({"qty": 0}, 201),
        ({"account": "OTHER"}, 201),
        ({"parent_order_id": 77}, 201),
        ({"qty": 10_001}, 201),  # costs 1,000,100 USD
    ],
)
def test_orders_that_are_refused(change: Any, code: int) -> None:
    floor = Floor(quoted=True)
    sound = floor.order(Side.BUY, 1, order_type=LIMIT, limit_price_usd=100)
    floor.books.drain()
    wrong = replace(replace(sound, order_id=2), **change)
    floor.exchange.accept([wrong], OPEN, quoted=True)
    said = [r for r in floor.books.reports if isinstance(r, ErrorReport)]
    assert [r.code for r in said] == [code]
    assert list(floor.books.open) == [1]


def test_amend_needs_a_quantity_above_what_is_filled() -> None:
    floor = Floor(quoted=True)
    order = floor.order(Side.BUY, 10, order_type=LIMIT, limit_price_usd=100)
    floor.quote(100, ask_size=4)
    floor.books.drain()
    for qty, code in ((4, 105), (5, None)):
        floor.exchange.amend(replace(order, qty=qty), OPEN, quoted=False)
        _, reports = floor.books.drain()
        codes = [r.code for r in reports if isinstance(r, ErrorReport)]
        assert codes == ([code] if code else [])
    assert floor.qty(order) == 5


def test_futures_trade_in_the_evening_and_until_five() -> None:
    nq = resolved(Contract(con_id=0, symbol="NQH6", sec_type="FUT"))
    assert (nq.multiplier, nq.tick_usd, nq.local_symbol) == (20, usd("0.25"), "NQH6")
    floor = Floor(quoted=True)
    evening = datetime.combine(DAY, datetime.min.time(), sessions.NEW_YORK) - timedelta(hours=5)
    order = floor.order(Side.BUY, 2, contract=nq, at=evening)
    price = usd(20_000)
    quote = Quote(contract=nq, at=evening, bid_usd=price, ask_usd=price, last_usd=price)
    floor.exchange.quote("NQH6", quote)
    assert floor.fills() == [("1", 2, usd("20010.000000"))]
    floor.order(Side.SELL, 1, contract=nq, at=CLOSE, order_type=LIMIT, limit_price_usd=30_000)
    floor.exchange.expire(CLOSE + timedelta(minutes=59))
    assert len(floor.books.open) == 1
    floor.exchange.expire(CLOSE + timedelta(hours=1))
    assert floor.books.open == {}
    assert order.contract.con_id == nq.con_id


@pytest.mark.parametrize(
    ("bid", "ask", "last", "worth"),
    [
        (99, 101, 99, 1000),  # half way, whatever traded last
        (101, 103, 99, 1020),
        (50, 150, 99, 990),  # a touch too wide to read: the last trade
        (101, 99, 100, 1100),  # crossed: the mark before
    ],
)
def test_equity_counts_the_mark_that_the_book_counts(
    bid: int, ask: int, last: int, worth: int
) -> None:
    floor = Floor(quoted=True)
    floor.order(Side.BUY, 10)
    floor.quote(110, last=90)
    account = floor.books.account
    assert account.holding(AAPL).qty == 10
    floor.quote(bid, ask, last=last)
    assert account.equity_usd() == account.cash_usd + worth


def test_trigger_is_told_before_the_fill() -> None:
    floor = Floor(quoted=True)
    floor.order(Side.SELL, 1, order_type=STOP, stop_price_usd=95)
    floor.quote(94)
    told = [r.order for r in floor.books.reports if isinstance(r, OrderReport)]
    assert [(o.status, o.why_held) for o in told] == [
        ("PreSubmitted", "trigger"),
        ("Submitted", ""),
        ("Filled", ""),
    ]
