"""Whose the units of a position are, worked by hand trade by trade.

A step is who traded and how many signed units: "entry" and its "stop" are of a bracket ordered for
100; "close", "overfill", "assignment", "uncovered leg" are closing orders of no bracket, by their
reason; "they" are others; "split" has the ratio.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from books import AAPL, ACCOUNT, AT, bracket_orders, intent
from hypothesis import given
from hypothesis import strategies as st

from bft.domain.orders import Intent, Leg, Side
from bft.ledger.lots import Line, LineEvent
from bft.ledger.ownership import Ownership, ownership, ratio_since, units

Step = tuple[str, int]
BARE = ("close", "overfill", "assignment", "uncovered leg")


def orders(sign: int) -> dict[str, Intent]:
    side = Side.BUY if sign > 0 else Side.SELL
    entry, _, _ = bracket_orders(side=side)
    stop = intent(Leg.STOP, side=side.opposite, parent_id=entry.intent_id)
    bare = {
        name: replace(intent(Leg.EXIT, signal=name, side=side.opposite), reason=name)
        for name in BARE
    }
    return {"entry": entry, "stop": stop, **bare}


def line_of(steps: tuple[Step, ...], known: dict[str, Intent]) -> Line:
    told = []
    for n, (who, amount) in enumerate(steps):
        event = LineEvent(
            at=AT + timedelta(minutes=n),
            rank=0,
            event_id=str(n),
            trade_id=known[who].intent_id if who in known else f"manual:{n}",
            reason="",
            qty=Decimal(0 if who == "split" else amount),
            price_usd=Decimal(100),
            ratio=Decimal(amount) if who == "split" else None,
        )
        told.append((event, AAPL))
    line = Line.of(ACCOUNT, told)
    line.rebuild(0)
    return line


def whose(*steps: Step, sign: int = 1) -> tuple[int, int, int]:
    """Units of ours, of others, and bought back, after the steps."""
    known = orders(sign)
    signed = tuple((who, n if who == "split" else sign * n) for who, n in steps)
    found = ownership(line_of(signed, known), {i.intent_id: i for i in known.values()})
    return int(found.own_qty), int(found.foreign_qty), int(found.bought_back_qty)


# long: (own, foreign); the mirror image has the opposite signs
BOTH = [
    ([("entry", 100)], (100, 0)),
    ([("they", 50)], (0, 50)),
    ([("entry", 100), ("they", 50)], (100, 50)),
    # others sold 30 of ours: they stay counted against the cover, which was cut by 30
    ([("entry", 100), ("they", -30)], (100, -30)),
    ([("entry", 100), ("they", -30), ("they", 40)], (100, 10)),
    ([("entry", 100), ("stop", -40)], (60, 0)),
    # what a person asks to close: not what a bracket holds, as long as others hold some
    ([("they", 100), ("close", -40)], (0, 60)),
    ([("entry", 100), ("they", 20), ("close", -20)], (100, 0)),
    ([("entry", 100), ("they", 20), ("close", -25)], (95, 0)),
    ([("entry", 100), ("they", 20), ("close", -20), ("they", -5)], (100, -5)),
    # 103 came of an order for 100: the 3 are loose, and closed first
    ([("entry", 103), ("they", 20), ("close", -3)], (100, 20)),
    ([("entry", 103), ("they", 20), ("close", -10)], (100, 13)),
    ([("entry", 103), ("they", 20), ("overfill", -3)], (100, 20)),
    # a stop of 100 sold 106, while others hold 50: the 6 are ours to buy back, not theirs
    ([("they", 50), ("entry", 100), ("stop", -106)], (-6, 50)),
    ([("they", 50), ("entry", 100), ("stop", -106), ("overfill", 6)], (0, 50)),
    ([("they", -50), ("entry", 100), ("they", -7), ("stop", -106), ("overfill", 6)], (0, -57)),
    # closed beyond all that was held: our own doing
    ([("they", 5), ("close", -7)], (-2, 0)),
    ([("they", 5), ("they", 1), ("they", -2), ("close", -7)], (-3, 0)),
    # a split scales what was before it
    ([("entry", 100), ("they", 50), ("split", 4)], (400, 200)),
    ([("entry", 100), ("they", 50), ("split", 4), ("close", -40), ("they", 7)], (400, 167)),
    ([("entry", 40), ("split", 2), ("entry", 120), ("they", 5), ("close", -3)], (200, 2)),
    # nothing was held in between: what was before counts no more
    ([("they", 50), ("they", -50), ("entry", 100)], (100, 0)),
]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("steps", "expected"), BOTH)
def test_units_are_ours_or_theirs(steps: list[Step], expected: tuple[int, int], sign: int) -> None:
    own, foreign, _ = whose(*steps, sign=sign)
    assert (own, foreign) == (sign * expected[0], sign * expected[1])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # 100 shares were assigned, 60 of them bought back by us, 10 by the person
        ([("they", -100), ("assignment", 60)], (0, -40, 60)),
        ([("they", -100), ("they", 10), ("assignment", 60)], (0, -30, 60)),
        ([("they", -100), ("assignment", 60), ("split", 2)], (0, -80, 120)),
        # beside a long position of ours the assigned ones are theirs all the same
        ([("entry", 100), ("they", -150), ("assignment", 50)], (100, -100, 50)),
        ([("they", -3), ("uncovered leg", 2)], (0, -1, 2)),
        # sold of what others held long: nothing was bought back
        ([("they", 5), ("close", -2), ("they", -6)], (0, -3, 0)),
        ([("they", 5), ("close", -2), ("they", -6), ("uncovered leg", 1)], (0, -2, 1)),
    ],
)
def test_short_units_of_others_that_were_bought_back(
    steps: list[Step], expected: tuple[int, int, int]
) -> None:
    assert whose(*steps) == expected


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["entry", "stop", "they", *BARE]), st.integers(-120, 120)),
        st.tuples(st.just("split"), st.sampled_from([2, 3, 4])),
    ).filter(lambda step: step[1] != 0),
    min_size=1,
    max_size=9,
)


@given(steps)
def test_ours_and_theirs_are_the_position(told: list[Step]) -> None:
    known = orders(1)
    line = line_of(tuple(told), known)
    found = ownership(line, {i.intent_id: i for i in known.values()})
    held = Decimal(0)
    for event in line.events:
        held = held * event.ratio if event.ratio else held + event.qty
    left = held if not line.flat_now else Decimal(0)
    assert found.own_qty + found.foreign_qty == left


def test_nothing_is_anybodys_without_a_line() -> None:
    assert ownership(None, {}) == Ownership()


def test_chosen_fills_are_counted_in_todays_units() -> None:
    """-100 before a split of 2, -10 after it: -210; the unit of before it is 2 of today."""
    line = line_of((("they", -100), ("split", 2), ("they", -10), ("they", 4)), {})
    assert units(line, lambda event: event.qty < 0) == -210
    assert (ratio_since(line, AT), ratio_since(line, AT + timedelta(minutes=1))) == (2, 1)
