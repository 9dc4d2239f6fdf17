"""A difference of book and broker that a split explains, and those that it does not."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT
from desk_cases import bought, case
from executors import usd

from bft.services.executor.agreement import Word
from bft.services.executor.guard import Guard
from bft.services.executor.reference import Reference, Split
from bft.services.executor.splits import Splits

TUESDAY = date(2026, 1, 6)


def world(ex_date: date = TUESDAY, ratio: object = 4, symbol: str = "AAPL") -> tuple[Any, Any, Any]:
    """100 shares bought on Monday at 100, stop 95, target 115; it is Tuesday morning."""
    split = Split(symbol=symbol, ex_date=ex_date, ratio=usd(ratio))
    held = case(*bought()[0], at=AT + timedelta(hours=22), reference=Reference(splits=(split,)))
    guard = Guard(held.desk, None, None)  # type: ignore[arg-type]
    return held, guard, Splits(held.desk, guard)


def explains(splits: Any, broker: object, book: object = 100) -> bool:
    found: bool = splits.explains(AAPL, book=usd(book), broker=usd(broker))
    return found


@pytest.mark.parametrize(
    ("ratio", "broker", "stop", "target"),
    [(4, 400, "23.75", "28.75"), ("0.1", 10, "950", "1150"), ("1.5", 150, "63.34", "76.66")],
)
def test_split_rescales_book_and_levels(ratio: object, broker: int, stop: str, target: str) -> None:
    held, guard, splits = world(ratio=ratio)
    assert explains(splits, broker)
    assert held.desk.state.position_qty(ACCOUNT, AAPL.con_id) == broker
    (cover,) = guard.covers.values()
    assert cover.open_qty == broker
    assert (cover.state.stop_usd, cover.state.target_usd) == (usd(stop), usd(target))
    (position,) = held.desk.state.positions.values()
    assert position.cost_usd == 10_000


def test_split_of_book_and_levels_is_one_piece_of_the_journal() -> None:
    """Killed between the two, the next process would hold old levels and apply no split again."""
    held, _, splits = world()
    held.writer.joined.clear()
    assert explains(splits, 400)
    kinds = [item.kind for page in held.writer.pages for item in page.entries]
    assert kinds[:2] == ["split", "bracket"]
    assert held.writer.joined[:2] == [False, True]


def test_split_acts_once() -> None:
    held, _, splits = world()
    assert explains(splits, 400)
    assert not explains(splits, 1600, 400)
    assert len(held.told("split")) == 1


@pytest.mark.parametrize(
    ("given", "broker"),
    [
        ({}, 399),
        ({}, 100 * Decimal(4) + 1),
        ({"symbol": "MSFT"}, 400),
        ({"ex_date": TUESDAY + timedelta(days=1)}, 400),  # not yet
        ({"ex_date": date(2026, 1, 5)}, 400),  # bought on the ex-date: split shares already
        ({"ex_date": date(2025, 12, 22)}, 400),  # older than the position
    ],
)
def test_other_differences_are_not_explained(given: dict[str, Any], broker: object) -> None:
    held, _, splits = world(**given)
    assert not explains(splits, broker)
    assert held.told("split") == []


@pytest.mark.parametrize(
    ("said", "books", "ratio", "told"),
    [
        (400, (100, 100), 4, []),
        (10, (100,), "0.1", []),
        (420, (105, 100), 4, []),  # 5 left the old book while the broker was asked
        (399, (100, 100), 4, [(100, 399)]),
        (100, (100, 100), 4, []),  # the broker has it not yet either
        (0, (100, 100), 4, [(100, 0)]),
    ],
)
def test_what_a_pending_split_explains_exactly_is_told_as_no_difference(
    said: int, books: tuple[int, ...], ratio: object, told: list[tuple[int, int]]
) -> None:
    """From the broker's word on until the next look books it, up to 30 s: it paged nobody's fault.

    After that the book is in new units, and an old word of the broker's differs as any other.
    """
    held, _, splits = world(ratio=ratio)
    qtys = tuple(usd(qty) for qty in books)
    word = Word(contract=AAPL, qty=usd(said), at=held.clock.at, books=qtys)
    held.desk.words[AAPL.con_id] = word
    assert [(d.book, d.broker) for d in held.desk.differences()] == told
    if said == 400:
        assert explains(splits, 400)
        assert held.desk.differences() == []
        held.desk.words[AAPL.con_id] = replace(word, qty=usd(1600), books=(usd(400),))
        assert [d.broker for d in held.desk.differences()] == [1600]


def test_split_of_tomorrow_explains_no_difference() -> None:
    held, _, _ = world(ex_date=TUESDAY + timedelta(days=1))
    word = Word(contract=AAPL, qty=usd(400), at=held.clock.at, books=(usd(100),))
    held.desk.words[AAPL.con_id] = word
    assert [d.qty for d in held.desk.differences()] == [300]
