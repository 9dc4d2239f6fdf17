"""Limits and fences count what an instrument was called before. Source: specification, F20."""

from dataclasses import replace
from datetime import timedelta

import pytest
from books import AT, bracket_orders, fill, intent, round_trip
from books import booked as booked_entry
from desk_cases import Case, case, facts_of
from executors import TRADER, reference, row, signal

from bft.domain.orders import Contract, IntentState
from bft.ledger import entries
from bft.ledger.records import Cooldown, Halt
from bft.risk.context import Context
from bft.services.executor.closing import Selection
from bft.services.executor.naming import Spelling

NEW = Contract(con_id=intent().contract.con_id, symbol="APPL")
CALL = "AAPL260116C00200000"


def renamed(*told: object, confirmed: bool = True) -> Case:
    """A desk whose AAPL is APPL since this morning."""
    night = replace(reference("APPL", "MSFT"), renames={"AAPL": "APPL"} if confirmed else {})
    return case(*told, reference=night)  # type: ignore[arg-type]


def seen(held: Case, contract: Contract | None = NEW) -> Context:
    order = signal("APPL", signal_id="s9")
    return facts_of(held.desk).context(order, TRADER, contract=contract, matches=1)


@pytest.mark.parametrize("confirmed", [True, False])
def test_what_is_held_and_pending_counts_under_the_new_name(confirmed: bool) -> None:
    """By its contract id also where no universe tells of the change."""
    orders = bracket_orders("s2", order_id=20)
    pending = entries.intents(AT, intents=orders, facts=None)
    held = renamed(*round_trip("s1")[:3], pending, confirmed=confirmed)
    book = seen(held).book
    assert book.positions is not None
    assert book.pending is not None
    every = (*book.positions, *book.pending)
    assert {(h.symbol, h.underlying) for h in every} == {("APPL", "APPL")}
    assert book.entries_today_symbol == 2


def test_sector_of_what_is_held_is_that_of_its_new_name() -> None:
    held = renamed(booked_entry(fill(None, 40, "100", id="m.01")))
    sectors = {"APPL": replace(row("APPL"), sector="Tech")}
    held.desk.reference = replace(held.desk.reference, symbols=sectors)
    other = facts_of(held.desk).context(signal("MSFT"), TRADER, contract=None, matches=0)
    assert other.book.positions is not None
    assert [(h.symbol, h.sector) for h in other.book.positions] == [("AAPL", "Tech")]


def test_cooldown_goes_on_under_the_new_name() -> None:
    account = case().desk.account
    until = AT + timedelta(days=1)
    told = Cooldown(account=account, symbol="AAPL", strategy="", until=until)
    held = renamed(entries.cooldown(AT, cooldown=told))
    (found,) = seen(held, None).book.cooldowns or ()
    assert (found.symbol, found.until_at) == ("APPL", until)


@pytest.mark.parametrize(("key", "now"), [("AAPL", "APPL"), ("MSFT", "MSFT")])
def test_halt_and_unknown_order_bind_the_new_name(key: str, now: str) -> None:
    halt = Halt(halt_id="h", scope="symbol", key=key, rule="x", reason="y", set_by="ada", set_at=AT)
    orders = bracket_orders("s2", order_id=20)
    lost = entries.moved(
        AT, intent_id=orders[0].intent_id, state=IntentState.UNKNOWN, evidence="gone"
    )
    held = renamed(
        entries.halt(halt),
        entries.intents(AT, intents=orders, facts=None),
        entries.sent(AT, intent_ids=[order.intent_id for order in orders]),
        lost,
    )
    fences = seen(held).fences
    assert [told.key for told in fences.halts or ()] == [now]
    assert fences.unknown_symbols == ("APPL",)
    assert bool(held.desk.halted(intent(contract=NEW))) is (key == "AAPL")


def test_dispute_and_restriction_bind_the_new_name() -> None:
    held = renamed()
    held.desk.disputed = frozenset({"AAPL"})
    held.desk.restricted = frozenset({"AAPL"})
    context = seen(held, None)
    assert context.fences.unknown_symbols == ("APPL",)
    assert context.symbol.restricted
    assert held.desk.halted(intent(contract=replace(NEW, con_id=99)))


def test_option_on_a_renamed_share_is_spelled_as_it_is_ordered() -> None:
    spelling = Spelling(renamed().desk, "APPL")
    assert spelling.symbol(CALL) == "APPL260116C00200000"
    assert spelling.symbol("MSFT") == "MSFT"
    assert not Selection(symbols=("APPL",)).takes(intent().contract, "")  # names are the caller's
