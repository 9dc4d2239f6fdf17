"""Parts that are asked for while a whole entry leaves."""

from dataclasses import replace
from datetime import timedelta

from books import AT
from desk_cases import bought, case

from bft.exits import Reason
from bft.services.executor.closing import ALL, Closing, Selection
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave

SHARES = Selection(symbols=("AAPL",))


class Asked:
    """Takes what should leave, as `Leaving` does."""

    def __init__(self) -> None:
        self.leaves: list[Leave] = []

    def leave(self, wanted: Leave) -> None:
        self.leaves.append(wanted)


class Held:
    """100 and 50 units of two entries, a minute apart."""

    def __init__(self) -> None:
        first, one = bought("s1")
        second, two = bought("s2", qty=50, at=AT + timedelta(minutes=1), order_id=9)
        self.entries, self.leaving = (one.entry, two.entry), Asked()
        desk = case(*first, *second).desk
        self.guard = Guard(desk, None, self.leaving)  # type: ignore[arg-type]
        self.closing = Closing(desk, None, self.guard, self.leaving)  # type: ignore[arg-type]

    def part(self, qty: int) -> list[tuple[str | None, int, int]]:
        told = self.closing.close_part(SHARES, qty)
        return [(item.entry, item.qty, item.stays_qty) for item in told]


def test_part_of_what_leaves_whole_says_that_nothing_stays() -> None:
    held = Held()
    held.closing.close(ALL)
    assert held.part(30) == [(held.entries[0], 30, 0)]
    assert held.leaving.leaves == [], "its own order takes all of it"


def test_another_part_is_taken_from_what_stays() -> None:
    held = Held()
    assert held.part(100) == [(held.entries[0], 100, 0)]
    assert held.part(20) == [(held.entries[1], 20, 30)]


def test_part_of_what_leaves_at_the_next_open_leaves_now() -> None:
    held = Held()
    cover = held.guard.covers[held.entries[0]]
    assert cover.state is not None
    decided = replace(cover.state, scheduled=Reason.RULE, closed_at=AT)
    held.guard.put(replace(cover, state=decided))
    assert held.part(30) == [(held.entries[0], 30, 70)]
    assert [leave.qty for leave in held.leaving.leaves] == [30]
