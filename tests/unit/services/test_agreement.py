"""Book and broker compared like with like: what the broker said with the book of that time."""

from decimal import Decimal

import pytest
from books import AAPL, ACCOUNT, AT, booked, fill
from desk_cases import case

from bft.services.executor.agreement import Word, differences, units


@pytest.mark.parametrize(
    ("said", "books", "now", "differs"),
    [
        (10, (10, 10), 10, None),
        (10, (10, 10), 4, None),  # a part was closed since: the broker's word is older
        (10, (0, 10), 0, None),  # the whole
        (4, (10, 10), 4, None),  # its fill was told later
        (10, (10, 4), 4, None),  # a fill arrived while the answer was on its way
        (20, (10, 10), 10, (10, 20)),
        (0, (49, 49), 49, (49, 0)),
        (20, (10, 10), 4, (10, 20)),  # a fill since then hides nothing
        (20, (10, 10), 12, (12, 20)),
        (-5, (0, 0), 0, (0, -5)),
    ],
)
def test_broker_is_compared_with_the_book_of_its_time(
    said: int, books: tuple[int, int], now: int, differs: tuple[int, int] | None
) -> None:
    told = [booked(fill(None, now, "100", id="m.01"))] if now else []
    state = case(*told).desk.state
    held = (Decimal(books[0]), Decimal(books[1]))
    words = {AAPL.con_id: Word(contract=AAPL, qty=Decimal(said), at=AT, books=held)}
    found = [(d.book, d.broker, d.qty) for d in differences(words, state, ACCOUNT)]
    assert found == ([(*differs, abs(differs[1] - differs[0]))] if differs else [])


@pytest.mark.parametrize(
    ("qty", "told"), [("3343.0", "3343"), ("3340", "3340"), ("0.0", "0"), ("-1.50", "-1.5")]
)
def test_units_are_told_without_zeros_behind_the_point(qty: str, told: str) -> None:
    assert units(Decimal(qty)) == told
