"""A cover counts what its orders filled, whatever order the reports came in; properties."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from books import AAPL, ACCOUNT, AT, bracket_orders, fill
from hypothesis import given
from hypothesis import strategies as st

from bft import exits
from bft.domain.orders import IntentState
from bft.domain.trading import Direction, ExitPolicy
from bft.ledger.lots import Line, LineEvent
from bft.ledger.ownership import Ownership, ownership
from bft.services.executor.covers import (
    Cover,
    counted,
    cut,
    from_bracket,
    rescaled,
    to_bracket,
)
from bft.services.executor.surplus import orphans, surplus

ENTRY, TARGET, STOP = bracket_orders()


def planned(**changes: Any) -> Cover:
    values: dict[str, Any] = {
        "entry": ENTRY.intent_id,
        "account": ACCOUNT,
        "contract": AAPL,
        "direction": Direction.LONG,
        "policy": ExitPolicy(stop_frac=0.05, target_frac=0.10),
        "strategy_id": "s",
        "opened_at": AT,
    }
    return Cover(**{**values, **changes})


def filled(leg: Any, qty: int, state: IntentState = IntentState.PARTIAL) -> Any:
    return replace(leg, filled_qty=qty, state=state, ended_at=AT + timedelta(minutes=1))


def held(qty: int = 100) -> Cover:
    fills = [fill(ENTRY, qty, "100", id="a.01")]
    return counted(planned(), filled(ENTRY, qty), [], fills)


parts = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@given(parts)
def test_parts_of_an_entry_add_up_to_what_was_ordered(qtys: list[int]) -> None:
    cover, fills, total = planned(), [], 0
    for number, qty in enumerate(qtys):
        total += qty
        fills.append(fill(ENTRY, qty, str(100 + number), id=f"{number}.01"))
        cover = counted(cover, filled(ENTRY, total), [], fills)
        assert cover.open_qty == min(total, ENTRY.qty)
    again = counted(cover, filled(ENTRY, total), [], fills)
    assert again == cover, "the same reports once more change nothing"


@given(st.lists(st.tuples(st.sampled_from([STOP, TARGET]), st.integers(1, 50)), max_size=6))
def test_exits_never_leave_less_than_nothing(steps: list[tuple[Any, int]]) -> None:
    cover, done = held(), dict.fromkeys((STOP.intent_id, TARGET.intent_id), 0)
    for leg, qty in steps:
        done[leg.intent_id] += qty
        legs = [filled(leg, done[leg.intent_id]) for leg in (STOP, TARGET)]
        cover = counted(cover, filled(ENTRY, 100, IntentState.FILLED), legs, [])
    assert cover.open_qty == max(0, 100 - sum(done.values()))


def test_exit_that_is_taken_back_is_open_again() -> None:
    entry = filled(ENTRY, 100, IntentState.FILLED)
    less = counted(held(), entry, [filled(STOP, 40)], [])
    assert less.open_qty == 60
    assert counted(less, entry, [filled(STOP, 10)], []).open_qty == 90


def test_corrected_entry_takes_units_back() -> None:
    fewer = [fill(ENTRY, 30, "100", id="a.02")]
    assert counted(held(), filled(ENTRY, 30), [], fewer).open_qty == 30


def test_entry_that_was_busted_holds_nothing_and_fills_anew() -> None:
    """Of 40 that were taken back and 100 that came, all 100 need their stop, from 90."""
    cover = held(40)
    gone = [fill(ENTRY, 0, "100", id="a.02")]
    busted = counted(cover, filled(ENTRY, 0, IntentState.ACKED), [], gone)
    assert (busted.open_qty, busted.entry_qty) == (0, 0)
    again = [*gone, fill(ENTRY, 100, "90", id="b.01")]
    whole = counted(busted, filled(ENTRY, 100, IntentState.FILLED), [], again)
    assert whole.open_qty == 100
    assert whole.state is not None
    assert exits.protective(whole.state).stop_usd == Decimal("85.5")


def test_each_piece_of_an_unwanted_entry_is_to_leave() -> None:
    cover = replace(held(20), unwanted=exits.Reason.MANUAL)
    left = counted(cover, filled(ENTRY, 20), [filled(STOP, 20)], [])
    fills = [fill(ENTRY, 20, "100", id="a.01"), fill(ENTRY, 30, "100", id="b.01")]
    more = counted(left, filled(ENTRY, 50), [filled(STOP, 20)], fills)
    assert (left.open_qty, more.open_qty) == (0, 30)
    assert more.state is not None
    assert more.state.scheduled is exits.Reason.MANUAL


@given(st.integers(1, 150), st.integers(1, 150))
def test_cut_takes_what_is_there_and_remembers_it(first: int, second: int) -> None:
    cover = cut(cut(held(), first, at=AT), second, at=AT)
    assert cover.open_qty + cover.cut_qty == 100
    assert cover.cut_qty == min(100, first + second)


def test_split_acts_once_by_its_key() -> None:
    cover = rescaled(held(), Decimal(4), key="split:1")
    again = rescaled(cover, Decimal(4), key="split:1")
    assert cover.open_qty == again.open_qty == 400
    assert cover.state is not None
    assert exits.protective(cover.state).stop_usd == Decimal("23.75")


@given(parts)
def test_row_gives_the_cover_back(qtys: list[int]) -> None:
    total = sum(qtys)
    fills = [fill(ENTRY, q, "99.5", id=f"{n}.01") for n, q in enumerate(qtys)]
    cover = counted(planned(), filled(ENTRY, total), [], fills)
    assert from_bracket(to_bracket(cover, at=AT, closed=False)) == cover


# surplus -----------------------------------------------------------------------------------


def book(*events: tuple[str, int], position: int) -> Any:
    """A state with one line: (trade id, signed units); ours is the entry's id."""
    told = [
        LineEvent(
            at=AT + timedelta(seconds=n),
            rank=0,
            event_id=str(n),
            trade_id=trade,
            reason="",
            qty=Decimal(qty),
            price_usd=Decimal(100),
        )
        for n, (trade, qty) in enumerate(events)
    ]
    line = Line.of(ACCOUNT, [(event, AAPL) for event in told])
    line.rebuild(0)
    return SimpleNamespace(
        lines={(ACCOUNT, AAPL.con_id): line},
        intents={ENTRY.intent_id: ENTRY},
        position_qty=lambda *_: Decimal(position),
    )


OURS, THEIRS = ENTRY.intent_id, "manual:1"


@given(st.integers(1, 160))
def test_units_others_sold_are_missing_from_our_cover(sold: int) -> None:
    state = book((OURS, 100), (THEIRS, -sold), position=100 - sold)
    found = list(surplus(state, ACCOUNT, [held()]))
    assert [less for _, less in found] == [min(sold, 100)]


def test_units_others_bought_are_theirs() -> None:
    state = book((OURS, 100), (THEIRS, 50), position=150)
    assert list(surplus(state, ACCOUNT, [held()])) == []


def test_what_others_did_before_nothing_was_held_is_forgotten() -> None:
    state = book((THEIRS, 50), (THEIRS, -50), (OURS, 100), position=100)
    line = state.lines[ACCOUNT, AAPL.con_id]
    assert ownership(line, state.intents) == Ownership(own_qty=Decimal(100))


def test_only_legs_whose_entry_and_cover_are_gone_are_orphans() -> None:
    ended = filled(ENTRY, 100, IntentState.FILLED)
    live = replace(STOP, state=IntentState.ACKED)
    state: Any = SimpleNamespace(
        intents={i.intent_id: i for i in (ended, live)}, live_intents=lambda: iter([live])
    )
    assert list(orphans(state, {ENTRY.intent_id: held()})) == []
    assert list(orphans(state, {})) == [live]
    state.intents[ENTRY.intent_id] = replace(ENTRY, state=IntentState.ACKED)
    assert list(orphans(state, {})) == []
