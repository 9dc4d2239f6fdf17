"""What leaves on request: whole, in part, with and without a bracket, by signal."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from books import AT, booked, fill
from desk_cases import Case, bought, case
from executors import signal, usd

from bft.domain.orders import Contract, OrderRequest, Side
from bft.domain.trading import ExitPolicy, SignalKind
from bft.exits import Reason
from bft.services.executor.closing import ALL, Closed, Closing, Selection
from bft.services.executor.covers import from_bracket, parted, rescaled
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave

OPTION = Contract(
    con_id=8,
    symbol="AAPL",
    sec_type="OPT",
    multiplier=usd(100),
    expiry=(AT + timedelta(days=60)).date(),
    strike_usd=usd(200),
    right="C",
)
OCC = "AAPL260306C00200000"
OTHER = Contract(con_id=9, symbol="MSFT")


class Asked:
    """Takes what should leave, as `Leaving` does."""

    def __init__(self) -> None:
        self.leaves: list[Leave] = []

    def leave(self, wanted: Leave) -> None:
        self.leaves.append(wanted)


class Book:
    """Two entries of one symbol, 100 at 15:00 and 50 a minute later."""

    def __init__(self, *more: Any, policy: ExitPolicy | None = None) -> None:
        first, one = bought("s1", policy=policy)
        second, two = bought("s2", qty=50, at=AT + timedelta(minutes=1), order_id=9, policy=policy)
        self.case: Case = case(*first, *second, *more)
        self.leaving = Asked()
        self.guard = Guard(self.case.desk, None, self.leaving)  # type: ignore[arg-type]
        self.closing = Closing(self.case.desk, None, self.guard, self.leaving)  # type: ignore[arg-type]
        self.entries = (one.entry, two.entry)

    def left(self) -> list[tuple[str | None, int, Side]]:
        found = [(leave.parent_id, leave.qty, leave.side) for leave in self.leaving.leaves]
        self.leaving.leaves.clear()
        return found

    def scheduled(self) -> list[Any]:
        covers = (self.guard.covers[name] for name in self.entries)
        return [cover.state.scheduled if cover.state else None for cover in covers]


def told(closed: list[Closed]) -> list[tuple[str | None, int]]:
    return [(item.entry, item.qty) for item in closed]


def leave(qty: int = 0, strategy: str = "S1", **changes: Any) -> OrderRequest:
    values = {"kind": SignalKind.EXIT, "side": Side.SELL, "qty": qty, "strategy_id": strategy}
    return replace(signal(), **{**values, **changes})


@pytest.mark.parametrize(
    ("qty", "parts", "whole"),
    [
        (30, [30, 0], [None, None]),
        (100, [0, 0], ["manual", None]),
        (120, [0, 20], ["manual", None]),
        (150, [0, 0], ["manual", "manual"]),
        (999, [0, 0], ["manual", "manual"]),
    ],
)
def test_part_leaves_oldest_entry_first(qty: int, parts: list[int], whole: list[Any]) -> None:
    book = Book()
    closed = book.closing.close_part(Selection(symbols=("AAPL",)), qty)
    assert sum(item.qty for item in closed) == min(qty, 150)
    assert [book.guard.covers[name].part_qty for name in book.entries] == parts
    assert book.scheduled() == whole


def test_part_goes_on_each_turn_and_over_a_restart() -> None:
    book = Book()
    book.closing.close_part(Selection(symbols=("AAPL",)), 30)
    assert book.left() == [(book.entries[0], 30, Side.SELL)]
    book.closing.turn()
    assert book.left() == [(book.entries[0], 30, Side.SELL)]
    stored = next(b for b in book.case.desk.state.brackets.values() if b.entry == book.entries[0])
    assert from_bracket(stored).part_qty == 30


def test_another_part_adds_up_and_the_whole_takes_over() -> None:
    book = Book()
    for qty in (30, 20):
        book.closing.close_part(Selection(symbols=("AAPL",)), qty)
    assert book.guard.covers[book.entries[0]].part_qty == 50
    book.closing.close_part(Selection(symbols=("AAPL",)), 60)
    assert (book.scheduled(), book.guard.covers[book.entries[1]].part_qty) == (["manual", None], 10)
    book.left()
    book.closing.turn()
    assert book.left() == [(book.entries[1], 10, Side.SELL)]


def test_filled_part_is_over_and_a_split_scales_what_is_left() -> None:
    _, cover = bought()
    wanted = parted(cover, 40, Reason.MANUAL)
    assert replace(wanted, exit_qty=40).part_qty == 0
    half = replace(wanted, exit_qty=10)
    assert rescaled(half, usd(4), key="k").part_qty == 120


# exit signals


@pytest.mark.parametrize(
    ("order", "gone"),
    [
        (leave(), [100, 50]),
        (leave(120), [100, 20]),
        (leave(999), [100, 50]),
        (leave(strategy="S2"), []),
        (leave(side=Side.BUY), []),
        (leave(symbol="MSFT"), []),
        (leave(60, strategy="manual"), [60]),
    ],
)
def test_exit_takes_positions_of_its_strategy_and_side(
    order: OrderRequest, gone: list[int]
) -> None:
    later = replace(order, decided_at=AT + timedelta(days=1))
    assert [item.qty for item in Book().closing.on_signal(later)] == gone


@pytest.mark.parametrize(
    ("decided_h", "hold", "leaves"),
    [(1, 1, False), (6, 1, True), (6, 2, False), (30, 2, True), (1, 0, True)],
)
def test_minimum_hold_counts_sessions_that_the_decision_has_seen(
    decided_h: float, hold: int, leaves: bool
) -> None:
    """Entered Monday 10:00; after 6 h Monday is over, after 30 h Tuesday, gold read or not."""
    book = Book(policy=ExitPolicy(stop_frac=0.05, min_hold_days=hold))
    at = AT + timedelta(hours=decided_h)
    closed = book.closing.on_signal(leave(decided_at=at, created_at=at))
    assert bool(closed) is leaves


def test_option_and_share_of_one_company_are_two_things() -> None:
    option = booked(fill(None, 2, "5", id="o.01", contract=OPTION))
    book = Book(option)
    assert told(book.closing.on_signal(leave(symbol=OCC, strategy="manual"))) == [(None, 2)]
    assert book.scheduled() == [None, None]
    book = Book(option)
    assert told(book.closing.close(Selection(symbols=(OCC,)))) == [(None, 2)]
    assert len(Book(option).closing.close(Selection(symbols=("AAPL",)))) == 3
    assert len(Book(option).closing.close(Selection(instrument="option"))) == 1


# units without a bracket


def test_units_that_others_bought_leave_until_they_are_gone() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    assert told(book.closing.close(Selection(symbols=("AAPL",), strategy="manual"))) == [(None, 40)]
    book.left()
    for _ in range(2):
        book.closing.turn()
        assert book.left() == [(None, 40, Side.SELL)]
    book.case.desk.note(booked(fill(None, 40, "100", id="n.01", side=Side.SELL)))
    book.closing.turn()
    assert book.left() == []


def test_covers_that_hold_more_than_the_position_leave_nothing_to_buy() -> None:
    book = Book(booked(fill(None, 40, "100", id="n.01", side=Side.SELL)))
    assert [item.entry for item in book.closing.close(ALL)] == list(book.entries)
    assert book.left() == []


def test_part_of_such_units_leaves_the_others() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    closed = book.closing.close_part(Selection(symbols=("AAPL",)), 165)
    assert told(closed) == [(book.entries[0], 100), (book.entries[1], 50), (None, 15)]
    book.left()
    book.case.desk.note(booked(fill(None, 15, "100", id="n.01", side=Side.SELL)))
    book.closing.turn()
    assert book.left() == []


def test_all_takes_everything() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    assert {item.qty for item in book.closing.close(ALL)} == {100, 50, 40}


@pytest.mark.parametrize("qty", [0, 400])
def test_sale_of_shares_leaves_a_persons_options_alone(qty: int) -> None:
    """`AAPL` names the shares here; of an option so many units would be a hundred times it."""
    option = booked(fill(None, 2, "5", id="o.01", contract=OPTION))
    book = Book(option)
    shares = [(book.entries[0], 100), (book.entries[1], 50)]
    assert told(book.closing.on_signal(leave(qty, strategy="manual"))) == shares
    if qty:
        assert told(Book(option).closing.close_part(Selection(symbols=("AAPL",)), qty)) == shares
        options = Selection(symbols=("AAPL",), instrument="option")
        assert told(Book(option).closing.close_part(options, 1)) == [(None, 1)]


def test_exit_of_the_other_side_buys_nothing_back() -> None:
    short = booked(fill(None, 40, "100", id="m.01", side=Side.SELL, contract=OTHER))
    book = Book(short)
    assert told(book.closing.on_signal(leave(symbol="MSFT", strategy="manual"))) == []
    sale = leave(symbol="MSFT", strategy="manual", side=Side.BUY)
    assert told(book.closing.on_signal(sale)) == [(None, 40)]
