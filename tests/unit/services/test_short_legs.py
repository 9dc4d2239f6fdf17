"""Short options: a combination's leg is closed where nothing covers it, a person's own never."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from books import AAPL, ACCOUNT, AT, CALL, booked, fill, intent
from desk_cases import Case, case
from virtual_time import run

from bft.domain.orders import Contract, Leg, Side
from bft.ledger import entries
from bft.ledger.records import Adjustment
from bft.services.executor.short_legs import ShortLegs
from bft.services.executor.surplus import excess

MINUTE = timedelta(minutes=1)
STEPS = ((Decimal(0), Decimal("0.05")), (Decimal(3), Decimal("0.10")))


def test_own_short_option_stays_when_an_older_trade_told_its_contract_otherwise() -> None:
    """What memory lets go of takes along how the contract was told; it is the same contract."""
    newer = replace(CALL, increments=STEPS)
    desk = case(
        booked(fill(None, 1, "5", id="a.01", contract=CALL)),
        booked(fill(None, 1, "5", id="b.01", contract=CALL, side=Side.SELL, at=AT + 1 * MINUTE)),
        booked(fill(None, 2, "5", id="c.01", contract=newer, side=Side.SELL, at=AT + 2 * MINUTE)),
    )
    legs = ShortLegs(desk.desk)
    desk.desk.state.lines[ACCOUNT, CALL.con_id].forget(2)
    assert list(legs.uncovered()) == []
    desk.wait(seconds=5)
    assert list(legs.uncovered()) == []


def closed_for_others(contract: Contract, *theirs: int, ours: int) -> Case:
    """Others trade; after their first fill an exit of ours, of no bracket, closes part of it."""
    side = Side.BUY if ours > 0 else Side.SELL
    order = {"qty": abs(ours), "side": side, "contract": contract}
    exit_ = intent(Leg.EXIT, **order, order_id=1, client_id=10, epoch=1)
    told = [entries.intents(AT, intents=[exit_], facts=None)]
    for n, qty in enumerate(theirs):
        side = Side.BUY if qty > 0 else Side.SELL
        given = {"contract": contract, "side": side, "at": AT + 2 * n * MINUTE}
        told.append(booked(fill(None, abs(qty), "5", id=f"m{n}.01", **given)))
    told.append(booked(fill(exit_, abs(ours), "5", id="x.01", at=AT + MINUTE)))
    return case(*told)


@pytest.mark.parametrize("contract", [CALL, AAPL])
@pytest.mark.parametrize(("theirs", "ours"), [((5, -6), -2), ((-5, 6), 2)])
def test_units_of_others_that_bft_closed_make_none_of_its_own(
    contract: Contract, theirs: tuple[int, int], ours: int
) -> None:
    """A person holds 5, of which `bft close --qty 2` closes 2; the 3 they turn over stay theirs."""
    desk = closed_for_others(contract, *theirs, ours=ours)
    (position,) = desk.desk.state.positions.values()
    assert position.qty == sum(theirs) + ours
    assert list(excess(desk.desk, [])) == []
    legs = ShortLegs(desk.desk)
    assert list(legs.uncovered()) == []
    desk.wait(seconds=5)
    assert list(legs.uncovered()) == []


def test_units_sold_beyond_what_others_held_are_closed() -> None:
    (leave,) = excess(closed_for_others(AAPL, 5, 1, -2, ours=-7).desk, [])
    assert (leave.side, leave.qty) == (Side.BUY, 2)


def test_short_leg_of_a_combination_is_closed_in_units_of_after_a_split() -> None:
    """3 sold in a combination without their cover; a 2 for 1 split makes 6 of them."""
    sold = fill(None, 3, "5", id="s.01", contract=CALL, side=Side.SELL, perm_id=7)
    made = Adjustment(
        adjustment_id="split",
        at=AT + MINUTE,
        account=ACCOUNT,
        contract=CALL,
        by="executor",
        note="",
        ratio=Decimal(2),
    )

    async def main() -> list[int]:
        desk = case(booked(sold), entries.split(made))
        desk.desk.combos.add(7)
        legs = ShortLegs(desk.desk)
        assert list(legs.uncovered()) == []  # its other legs may still be on their way
        desk.wait(seconds=1)
        return [leave.qty for leave in legs.uncovered()]

    assert run(main()) == [6]
