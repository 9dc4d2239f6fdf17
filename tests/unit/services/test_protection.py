from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bft.domain.orders import Contract, Intent, IntentState, Leg, OrderType, Side
from bft.services.executor.protection import (
    Amend,
    Cancel,
    Desired,
    Flatten,
    Place,
    plan,
    protected_qty,
    unprotected_qty,
)

LONG = Desired(
    qty=100,
    sign=1,
    stop_price_usd=Decimal("93.00"),
    target_price_usd=None,
    tick_usd=Decimal("0.01"),
    working=False,
)


def _stop(n: int = 0, **changes: object) -> Intent:
    leg = Intent(
        intent_id=f"STOP{n}",
        signal_id="s",
        account="DU1",
        contract=Contract(con_id=1, symbol="A"),
        side=Side.SELL,
        leg=Leg.STOP,
        trading_day=date(2026, 1, 6),
        attempt=n,
        qty=100,
        order_type=OrderType.STOP,
        stop_price_usd=Decimal("93.00"),
        state=IntentState.ACKED,
        broker_status="PreSubmitted",
        why_held="trigger",
    )
    return replace(leg, **changes)  # type: ignore[arg-type]


def _target(**changes: object) -> Intent:
    return _stop(
        7,
        leg=Leg.TARGET,
        order_type=OrderType.LIMIT,
        stop_price_usd=None,
        limit_price_usd=Decimal("112.00"),
        broker_status="Submitted",
        why_held="",
        **changes,
    )


def _plan(
    desired: Desired, *legs: Intent, gap_s: float = 0, age_s: float = 100
) -> list[Place | Amend | Cancel | Flatten]:
    return plan(desired, legs, gap_s=gap_s, age_s=lambda _: age_s)


def test_full_protection_needs_nothing() -> None:
    assert _plan(LONG, _stop()) == []


def test_position_without_any_stop_gets_one_at_once() -> None:
    assert _plan(LONG) == [Place(leg=Leg.STOP, qty=100, price_usd=Decimal("93.00"))]


def test_rejected_child_is_replaced_at_once() -> None:
    rejected = _stop(state=IntentState.REJECTED)
    assert _plan(LONG, rejected) == [Place(leg=Leg.STOP, qty=100, price_usd=Decimal("93.00"))]


def test_two_refused_stops_end_at_the_market() -> None:
    refused = [_stop(n, state=IntentState.REJECTED) for n in range(2)]
    assert _plan(LONG, *refused) == [Flatten(qty=100, why="two stops in a row were refused")]


def test_held_child_of_a_working_entry_leaves_a_gap_that_gets_its_own_stop() -> None:
    child = _stop(why_held="child")
    part = replace(LONG, qty=40, working=True)
    assert protected_qty([child]) == 0
    assert _plan(part, child) == [Place(leg=Leg.STOP, qty=40, price_usd=Decimal("93.00"))]


def test_next_slice_raises_the_stop_of_the_gap() -> None:
    child, own = _stop(why_held="child"), _stop(1, qty=40)
    assert _plan(replace(LONG, qty=70, working=True), child, own) == [
        Amend(intent=own, remaining=70, price_usd=Decimal("93.00"))
    ]


def test_child_that_came_to_life_drops_the_stop_of_the_gap() -> None:
    child, own = _stop(), _stop(1, qty=40)
    assert _plan(LONG, child, own) == [Cancel(intent=own, why="more protection than position")]


@pytest.mark.parametrize("state", [IntentState.SENT, IntentState.RESERVED, IntentState.UNKNOWN])
def test_silent_stop_is_waited_for_then_cancelled_and_replaced_then_flat(
    state: IntentState,
) -> None:
    silent = _stop(state=state, broker_status="", why_held="")
    assert _plan(LONG, silent, gap_s=4.9) == []
    assert _plan(LONG, silent, gap_s=5.1) == [
        Cancel(intent=silent, why="silent for 5 s"),
        Place(leg=Leg.STOP, qty=100, price_usd=Decimal("93.00")),
    ]
    assert _plan(LONG, silent, gap_s=5.1, age_s=0.5) == []  # the new one gets its chance
    assert isinstance(_plan(LONG, silent, gap_s=7.0)[0], Flatten)


def test_cancel_is_not_repeated_for_what_is_being_cancelled() -> None:
    going = _stop(state=IntentState.CANCEL_PENDING)
    assert not [a for a in _plan(LONG, going, gap_s=5.5) if isinstance(a, Cancel)]


def test_smaller_position_reduces_the_stop() -> None:
    assert _plan(replace(LONG, qty=60), _stop()) == [
        Amend(intent=_stop(), remaining=60, price_usd=Decimal("93.00"))
    ]


def test_stop_moves_only_tighter_by_a_tick_and_not_too_often() -> None:
    tighter = replace(LONG, stop_price_usd=Decimal("94.00"))
    assert _plan(tighter, _stop()) == [
        Amend(intent=_stop(), remaining=100, price_usd=Decimal("94.00"))
    ]
    assert _plan(tighter, _stop(), age_s=4.9) == []
    assert _plan(replace(LONG, stop_price_usd=Decimal("92.00")), _stop()) == []
    assert _plan(replace(LONG, stop_price_usd=Decimal("93.005")), _stop()) == []


def test_short_position_tightens_downwards() -> None:
    short = replace(LONG, sign=-1, stop_price_usd=Decimal("106.00"))
    resting = _stop(side=Side.BUY, stop_price_usd=Decimal("107.00"))
    assert _plan(short, resting) == [
        Amend(intent=resting, remaining=100, price_usd=Decimal("106.00"))
    ]
    assert _plan(replace(short, stop_price_usd=Decimal("108.00")), resting) == []


def test_closed_position_cancels_what_is_left_and_a_working_entry_keeps_it() -> None:
    flat = replace(LONG, qty=0)
    assert _plan(flat, _stop()) == [Cancel(intent=_stop(), why="position closed")]
    assert _plan(replace(flat, working=True), _stop(why_held="child")) == []
    assert _plan(flat, _stop(state=IntentState.FILLED)) == []


def test_fills_that_others_closed_leave_no_stop_while_the_rest_of_the_entry_works() -> None:
    working = replace(LONG, qty=0, working=True, filled=True)
    held = _stop(why_held="child")
    assert _plan(working, held, _stop(1, qty=7)) == [
        Cancel(intent=_stop(1, qty=7), why="position closed")
    ]
    assert _plan(working, held) == []
    assert _plan(replace(working, filled=False), _stop()) == []  # ahead of what is known
    assert _plan(working, held, _stop(1, qty=7), age_s=1) == []  # the fill may be on its way


def test_target_follows_the_position_and_gives_up_after_three_refusals() -> None:
    aims = replace(LONG, qty=60, target_price_usd=Decimal("112.00"))
    assert _plan(aims, _stop(qty=60), _target()) == [
        Amend(intent=_target(), remaining=60, price_usd=Decimal("112.00"))
    ]
    assert _plan(aims, _stop(qty=60)) == [
        Place(leg=Leg.TARGET, qty=60, price_usd=Decimal("112.00"))
    ]
    refused = [_target(state=IntentState.REJECTED)] * 3
    assert _plan(aims, _stop(qty=60), *refused) == []


def test_stop_that_went_out_with_the_entry_takes_the_level_of_the_fill_even_a_looser_one() -> None:
    """The open gapped below the planned stop: left there, it would sell what was just bought."""
    planned, filled_lower = Decimal("93.00"), replace(LONG, stop_price_usd=Decimal("60.00"))
    desired = replace(filled_lower, planned_stop_usd=planned)
    amend = Amend(intent=_stop(), remaining=100, price_usd=Decimal("60.00"))
    assert _plan(desired, _stop(), age_s=0) == [amend]
    moved = _stop(stop_price_usd=Decimal("70.00"))  # no longer the planned one: never looser
    assert _plan(desired, moved) == []


def test_units_that_leave_beside_their_group_need_no_stop() -> None:
    leaving = _stop(2, leg=Leg.EXIT, qty=40, broker_status="Submitted", why_held="")
    assert unprotected_qty({1: 100}, [_stop(qty=60), leaving]) == 0
    assert unprotected_qty({1: 100}, [_stop(qty=60), replace(leaving, oca_group="bft1.E")]) == 40
    assert unprotected_qty({1: 100}, [_stop(qty=60), replace(leaving, broker_status=None)]) == 40


def test_excess_at_one_contract_protects_no_other() -> None:
    much = _stop(qty=150)
    less = _stop(1, qty=60, contract=Contract(con_id=2, symbol="B"))
    assert unprotected_qty({1: 100, 2: -100, 3: 5}, [much, less]) == 45
