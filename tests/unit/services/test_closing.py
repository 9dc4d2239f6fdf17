"""What leaves on request: whole, in part, with and without a bracket, by signal."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from books import ACCOUNT, AT, MemoryTables, booked, fill
from desk_cases import Case, bought, case
from executors import signal, usd

from bft.domain.journal import Entry
from bft.domain.orders import Contract, Leg, OrderRequest, Side
from bft.domain.trading import ExitPolicy, SignalKind
from bft.exits import Reason
from bft.ledger import entries
from bft.ledger.load import load
from bft.ledger.records import Adjustment
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
        self.told = [*first, *second, *more]
        self.entries = (one.entry, two.entry)
        self._begin(case(*self.told))

    def _begin(self, held: Case) -> None:
        self.case, self.leaving = held, Asked()
        self.guard = Guard(held.desk, None, self.leaving)  # type: ignore[arg-type]
        self.closing = Closing(held.desk, None, self.guard, self.leaving)  # type: ignore[arg-type]

    def again(self) -> None:
        """Another process on the same tables."""
        self.told += [entry for page in self.case.writer.pages for entry in page.entries]
        self._begin(case(state=load(MemoryTables(self.told), at=self.case.clock.at)))

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
    book.guard.leave_parts()
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
    book.guard.leave_parts()
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


def test_units_without_a_bracket_go_on_leaving_in_another_process() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    book.closing.close_part(Selection(symbols=("AAPL",)), 165)
    book.again()
    book.closing.turn()
    assert (None, 15, Side.SELL) in book.left()
    book.case.desk.note(booked(fill(None, 15, "100", id="n.01", side=Side.SELL)))
    book.again()
    book.closing.turn()
    assert [left for left in book.left() if left[0] is None] == []
    assert book.case.desk.state.bare_closes == {}


def test_units_bought_after_all_was_gone_are_no_longer_meant() -> None:
    """Sold by hand while no executor ran, and bought anew: nobody asked for these to leave."""
    book = Book(booked(fill(None, 40, "100", id="m.01", contract=OTHER)))
    book.closing.close(Selection(symbols=("MSFT",)))
    for number, side in enumerate((Side.SELL, Side.BUY)):
        at = AT + timedelta(minutes=number + 1)
        told = fill(None, 40, "100", id=f"n{number}.01", contract=OTHER, side=side, at=at)
        book.case.desk.note(booked(told))
    book.again()
    book.closing.turn()
    assert book.left() == []


def test_exit_of_a_bracket_that_is_not_counted_yet_keeps_nobody_from_leaving() -> None:
    """The stop's fill is booked at once, the bracket counts it in the guard's next turn."""
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    book.closing.close(Selection(symbols=("AAPL",), strategy="manual"))
    stop = next(leg for leg in book.guard.legs(book.entries[0]) if leg.leg is Leg.STOP)
    book.case.desk.note(booked(fill(stop, 100, "95", id="x.01")))
    book.left()
    for _ in range(2):
        book.closing.turn()
        assert book.left() == [(None, 40, Side.SELL)]


def test_fill_that_no_bracket_counts_yet_is_none_of_the_units_that_leave() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    book.closing.close(Selection(symbols=("AAPL",), strategy="manual"))
    third, cover = bought("s3", qty=60, order_id=20)
    for entry in third[:-1]:
        book.case.desk.note(entry)
    book.guard.plan(replace(cover, state=None, entry_qty=0))
    book.left()
    book.closing.turn()
    assert book.left() == [(None, 40, Side.SELL)]


def test_flatten_takes_back_nothing_that_a_person_asked_for() -> None:
    """Of 30 held at the flatten and 20 bought since, a person had all of them leave."""
    msft = {"contract": OTHER}
    later = AT + timedelta(minutes=10)
    book = Book(booked(fill(None, 30, "50", id="m.01", **msft)))
    book.case.desk.note(booked(fill(None, 20, "50", id="n.01", at=later, **msft)))
    book.closing.close(Selection(symbols=("MSFT",)))
    book.closing.close(ALL, Reason.RISK, held_at=AT)
    book.left()
    book.closing.turn()
    assert book.left() == [(None, 50, Side.SELL)]


def test_units_leave_though_the_first_of_them_turn_out_never_bought() -> None:
    """The exchange busts the older trade: the position began later, but before it was asked for."""
    later = AT + timedelta(minutes=10)
    book = Book(booked(fill(None, 30, "50", id="m.01", contract=OTHER)))
    book.case.desk.note(booked(fill(None, 20, "50", id="n.01", contract=OTHER, at=later)))
    book.case.clock.at = later + timedelta(minutes=1)
    book.closing.close(Selection(symbols=("MSFT",)))
    book.case.desk.note(booked(fill(None, 0, "50", id="m.02", contract=OTHER)))
    book.left()
    book.closing.turn()
    assert book.left() == [(None, 20, Side.SELL)]


@pytest.mark.parametrize("risk", [False, True])
@pytest.mark.parametrize(
    ("traded", "qty"), [((20,), 30), ((20, -20), 30), ((-20, 20), 10), ((20, -30), 20)]
)
def test_what_a_person_buys_while_others_still_leave_is_theirs(
    traded: tuple[int, ...],
    qty: int,
    *,
    risk: bool,
) -> None:
    """Of 30 asked to leave; bought and sold again meanwhile, it is the newest that was sold."""
    book = Book(booked(fill(None, 30, "50", id="m.01", contract=OTHER)))
    book.closing.close(ALL, Reason.RISK if risk else Reason.MANUAL, held_at=AT if risk else None)
    for number, units in enumerate(traded):
        at = book.case.clock.at = AT + timedelta(minutes=number + 1)
        side = Side.BUY if units > 0 else Side.SELL
        told = fill(None, abs(units), "50", id=f"n{number}.01", contract=OTHER, side=side, at=at)
        book.case.desk.note(booked(told))
    for flattened in (False, risk):
        if flattened:
            book.closing.close(ALL, Reason.RISK, held_at=AT)
        book.left()
        book.closing.turn()
        assert book.left() == [(None, qty, Side.SELL)]


def adjusted(qty: int, at: datetime = AT + timedelta(minutes=9)) -> Entry:
    change = Adjustment(
        adjustment_id=f"adj{qty}",
        at=at,
        account=ACCOUNT,
        contract=OTHER,
        by="ada",
        note="counted by hand",
        qty=usd(qty),
        price_usd=usd(50),
    )
    return entries.adjustment(change)


@pytest.mark.parametrize(
    ("bought", "change", "qty"),
    [
        (0, 20, 50),  # there were 50, and all were asked to leave
        (0, -20, 10),
        (20, -30, 0),  # the close had filled, which nobody told: what was bought since stays
        (20, -10, 20),
    ],
)
def test_book_put_right_by_hand_is_no_purchase(bought: int, change: int, qty: int) -> None:
    """Of 30 asked to leave: a correction says what was held, a trade what a person wants."""
    book = Book(booked(fill(None, 30, "50", id="m.01", contract=OTHER)))
    book.closing.close(Selection(symbols=("MSFT",)))
    if bought:
        at = AT + timedelta(minutes=5)
        book.case.desk.note(booked(fill(None, bought, "50", id="n.01", contract=OTHER, at=at)))
    book.case.desk.note(adjusted(change))
    book.again()
    book.closing.turn()
    assert book.left() == ([(None, qty, Side.SELL)] if qty else [])


def test_units_that_stay_are_counted_anew_at_a_split() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01", contract=OTHER)))
    book.closing.close_part(Selection(symbols=("MSFT",)), 15)
    split = Adjustment(
        adjustment_id="split", at=AT, account=ACCOUNT, contract=OTHER, by="", note="", ratio=usd(4)
    )
    book.case.desk.note(entries.split(split))
    book.again()
    book.closing.turn()
    assert book.left() == [(None, 60, Side.SELL)]


def test_reason_of_a_flattened_account_is_that_of_all_its_exits() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    book.closing.flatten(Reason.RISK)
    book.again()
    book.closing.turn()
    assert [leave.reason for leave in book.leaving.leaves] == ["risk"]


def test_one_request_is_one_piece_of_the_journal() -> None:
    book = Book(booked(fill(None, 40, "100", id="m.01")))
    with book.case.desk.together():
        book.closing.close(ALL)
    book.case.desk.event("SYSTEM", "INFO", "later", "")
    assert book.case.writer.joined[-4:] == [False, True, True, False]


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
