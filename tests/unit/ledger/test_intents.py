"""Orders with their places kept ready: always what a look at all of them would find."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from books import intent
from hypothesis import given
from hypothesis import strategies as st

from bft.domain.orders import Intent, IntentState, Leg
from bft.ledger.intents import Intents

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
IDS = st.sampled_from("abcde")
CHANGES = st.one_of(
    st.tuples(st.just("drop"), IDS, st.none()),
    st.tuples(st.just("put"), IDS, st.sampled_from(list(IntentState))),
    st.tuples(st.just("send"), IDS, st.integers(0, 5)),
)


def made(name: str) -> Intent:
    """Order `a` is the entry of `b` and `c`; `d` and `e` stand alone."""
    parent = "a" if name in "bc" else None
    leg = Leg.STOP if parent else Leg.ENTRY
    signal = "s2" if name > "c" else "s1"
    return replace(
        intent(), intent_id=name, parent_id=parent, signal_id=signal, leg=leg, sent_at=None
    )


@given(st.lists(CHANGES, max_size=30))
def test_places_are_what_a_look_at_everything_finds(changes: list[tuple[str, str, object]]) -> None:
    held = Intents()
    for what, name, value in changes:
        if what == "drop" and name in held:
            del held[name]
        elif what == "put":
            held[name] = replace(held.get(name) or made(name), state=IntentState(value))
        elif what == "send" and name in held:
            held[name] = replace(held[name], sent_at=AT + timedelta(seconds=int(str(value))))
        check(held)


def check(held: Intents) -> None:
    every = list(held.values())
    by_id = {i.intent_id: i for i in every}
    assert dict(held) == by_id
    assert {i.intent_id: i for i in held.live()} == {
        name: i for name, i in by_id.items() if not i.state.terminal
    }
    for entry in "ab":
        assert held.legs(entry) == [i for i in every if i.parent_id == entry]
    for signal in ("s1", "s2"):
        assert held.of_signal(signal) == [i for i in every if i.signal_id == signal]
    sent = sorted(i.sent_at for i in every if i.sent_at and i.leg is Leg.ENTRY)
    assert held.entries_sent == sent
    assert held.sent_after(AT) == sum(at > AT for at in sent)
