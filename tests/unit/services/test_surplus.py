"""Covers, loose units and assigned shares where others trade in the same contract."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from books import AAPL, ACCOUNT, AT, CALL, booked, bracket_orders, fill, intent
from desk_cases import Case, bought, case

from bft.domain.journal import Entry
from bft.domain.orders import Contract, Intent, Leg, Side
from bft.ledger import entries
from bft.ledger.records import Adjustment
from bft.services.executor.assignments import uncovered
from bft.services.executor.covers import Cover, cut, from_bracket, rescaled, to_bracket
from bft.services.executor.surplus import excess, surplus

MINUTE = timedelta(minutes=1)


def others(qty: int, n: int, price: str = "100", **given: Any) -> Entry:
    """Others trade signed units in minute n."""
    side = Side.BUY if qty > 0 else Side.SELL
    told = fill(None, abs(qty), price, id=f"m{n}.01", side=side, at=AT + n * MINUTE, **given)
    return booked(told)


def closes(qty: int, n: int, reason: str = "manual") -> list[Entry]:
    """A closing order of no bracket trades signed units in minute n."""
    side = Side.BUY if qty > 0 else Side.SELL
    order = intent(Leg.EXIT, signal=f"close{n}", qty=abs(qty), side=side)
    order = replace(order, reason=reason, order_id=50 + n, client_id=10, epoch=1)
    sent = entries.intents(AT + n * MINUTE, intents=[order], facts=None)
    return [sent, booked(fill(order, abs(qty), "100", id=f"c{n}.01", at=AT + n * MINUTE))]


def split(ratio: int, n: int, contract: Contract = AAPL) -> Entry:
    return entries.split(
        Adjustment(
            adjustment_id=f"split:{n}",
            at=AT + n * MINUTE,
            account=ACCOUNT,
            contract=contract,
            by="executor",
            note="",
            ratio=Decimal(ratio),
        )
    )


def held(desk: Case) -> int:
    return sum(int(position.qty) for position in desk.desk.state.positions.values())


def stop_of(desk: Case, cover: Cover) -> Intent:
    legs = desk.desk.state.intents.legs(cover.entry)
    return next(leg for leg in legs if leg.leg is Leg.STOP)


def test_cover_is_cut_although_bft_sold_units_of_others_before() -> None:
    """49 ours, 20 theirs; `bft close --qty 20` sells theirs; then they sell 5 more: 44 are left."""
    told, cover = bought(qty=49)
    desk = case(*told, others(20, 1), *closes(-20, 2), others(-5, 3))
    assert held(desk) == 44
    assert list(surplus(desk.desk.state, ACCOUNT, [cover])) == [(cover, 5)]


def test_cover_is_cut_to_what_is_held_beside_units_of_others() -> None:
    """49 ours and 5 theirs; 12 leave by an order of ours for no bracket: 42 are left of them."""
    told, cover = bought(qty=49)
    desk = case(*told, others(5, 1), *closes(-12, 2, "overfill"))
    assert held(desk) == 42
    assert list(surplus(desk.desk.state, ACCOUNT, [cover])) == [(cover, 7)]


def test_overfill_is_closed_although_bft_sold_units_of_others_before() -> None:
    """Others' 20 were sold by us; an order for 10 then fills 13: the 3 beyond it leave."""
    told, cover = bought(qty=49)
    second, target, stop = bracket_orders("s2", order_id=20, qty=10)
    order = entries.intents(AT + 3 * MINUTE, intents=[second, target, stop], facts=None)
    over = booked(fill(second, 13, "100", id="o.01", at=AT + 3 * MINUTE))
    desk = case(*told, others(20, 1), *closes(-20, 2), order, over)
    _, ten = bought("s2", qty=10, order_id=20)
    (leave,) = excess(desk.desk, [cover, ten])
    assert (leave.side, leave.qty) == (Side.SELL, 3)


def test_overfill_that_was_closed_is_not_closed_again() -> None:
    """A stop of 39 sold 45 while others were short 50: 6 are bought back, once."""
    told, cover = bought(qty=49)
    before = case(*told, others(-10, 1), others(-50, 2))
    stop = stop_of(before, cover)
    sold = booked(fill(stop, 45, "95", id="x.01", at=AT + 3 * MINUTE))
    gone = replace(cut(cover, 10, at=AT), state=None)
    ended = entries.bracket(to_bracket(gone, at=AT + 3 * MINUTE, closed=True))
    desk = case(*told, others(-10, 1), others(-50, 2), sold, ended)
    assert held(desk) == -56
    (leave,) = excess(desk.desk, [])
    assert (leave.side, leave.qty) == (Side.BUY, 6)
    again = case(
        *told, others(-10, 1), others(-50, 2), sold, ended, *closes(6, 4, reason=leave.reason)
    )
    assert held(again) == -50
    assert list(excess(again.desk, [])) == []


def test_units_that_others_closed_of_an_ended_cover_are_scaled_by_a_split() -> None:
    """Two of 49; others sold 20 of the first, its stop the other 29; then a split of 4.

    49 are left, all of the second: 196 after the split, none of them loose.
    """
    told, first = bought(qty=49)
    more, second = bought("s2", qty=49, order_id=20, at=AT + MINUTE)
    start = [*told, *more, others(-20, 2)]
    sold = booked(fill(stop_of(case(*start), first), 29, "95", id="x.01", at=AT + 3 * MINUTE))
    ended = cut(first, 20, at=AT + 2 * MINUTE)
    row = entries.bracket(to_bracket(ended, at=AT + 3 * MINUTE, closed=True))
    desk = case(*start, sold, row, split(4, 4))
    assert held(desk) == 196
    kept = rescaled(second, Decimal(4), key="split")
    assert list(excess(desk.desk, [kept])) == []
    assert from_bracket(to_bracket(kept, at=AT, closed=False)) == kept


CALL_110 = replace(CALL, symbol="AAPL", right="C", strike_usd=Decimal(110))


def delivered(*then: Entry) -> Case:
    """A person's short call is assigned: it ends for nothing, 100 shares leave at its strike."""
    ends = fill(None, 1, "0", id="a1.01", contract=CALL_110, at=AT + MINUTE)
    shares = fill(None, 100, "110", id="a2.01", side=Side.SELL, at=AT + MINUTE)
    sold = others(-1, 0, "2", contract=CALL_110)
    return case(sold, booked(ends), booked(shares), *then)


def asked(desk: Case) -> list[tuple[Side, int]]:
    return [(leave.side, leave.qty) for leave in uncovered(desk.desk)]


def test_assigned_shares_are_bought_back_less_what_was_by_whomever() -> None:
    assert asked(delivered()) == [(Side.BUY, 100)]
    assert asked(delivered(*closes(60, 2, "assignment"))) == [(Side.BUY, 40)]
    assert asked(delivered(others(30, 2))) == [(Side.BUY, 70)]
    assert asked(delivered(others(30, 2), *closes(60, 3, "assignment"))) == [(Side.BUY, 10)]
    assert asked(delivered(others(-50, 2), *closes(100, 3, "assignment"))) == []


def test_assigned_shares_are_bought_back_in_units_of_after_a_split() -> None:
    """A 2 for 1 split before they were: 200 shares are short now, and all are assigned ones."""
    moved = replace(CALL_110, strike_usd=Decimal(55))
    assert asked(delivered(split(2, 2))) == [(Side.BUY, 200)]
    assert asked(delivered(split(2, 2), *closes(60, 3, "assignment"))) == [(Side.BUY, 140)]
    later = others(-1, 4, "2", contract=moved)
    assert asked(delivered(split(2, 2), split(2, 3, moved), later)) == [(Side.BUY, 200)]
