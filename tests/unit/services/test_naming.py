"""Limits and fences count what an instrument was called before. Source: specification, F20."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from books import AT, bracket_orders, fill, intent, round_trip
from books import booked as booked_entry
from desk_cases import Case, bought, case, facts_of
from executors import TRADER, reference, row, signal, usd

from bft.domain.orders import Contract, IntentState, Side
from bft.domain.trading import SignalKind
from bft.ledger import entries
from bft.ledger.records import Cooldown, Halt
from bft.risk.context import Context
from bft.services.executor.closing import Closing, Selection
from bft.services.executor.guard import Guard
from bft.services.executor.naming import Naming, Spelling

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


OTHERS = Contract(con_id=777, symbol="AAPL")  # another company's, under the freed ticker
OPTION = Contract(
    con_id=8,
    symbol="AAPL",
    sec_type="OPT",
    multiplier=usd(100),
    expiry=date(2026, 1, 16),
    strike_usd=usd(200),
    right="C",
)


def naming(*more: Contract, listed: bool = True, told: dict[int, str] | None = None) -> Naming:
    """The old AAPL is APPL at the broker; the new one, and options of the first, are held too."""
    held = renamed(
        *(booked_entry(fill(None, 40, "9", id=f"{c.con_id}.01", contract=c)) for c in more)
    )
    if listed:
        night = reference("AAPL", "APPL", "MSFT")
        held.desk.reference = replace(night, renames={"AAPL": "APPL"})
    held.desk.told_names = {NEW.con_id: "APPL"} if told is None else told
    return Naming(held.desk)


OLD = replace(NEW, symbol="AAPL")


@pytest.mark.parametrize("listed", [True, False])
def test_freed_ticker_means_the_company_that_bears_it_now(listed: bool) -> None:
    held = naming(OLD, OTHERS, listed=listed)
    assert held.meant(["APPL"], exact=False) == {OLD.con_id}
    assert held.meant(["AAPL"], exact=False) == {777}
    assert held.meant(["AAPL", "APPL"], exact=True) == {OLD.con_id, 777}
    assert (held.names(OLD), held.names(OTHERS)) == (["APPL"], ["AAPL"])


@pytest.mark.parametrize("told", [{NEW.con_id: "APPL"}, {NEW.con_id: "AAPL"}, {}])
def test_sole_owner_is_meant_by_every_name(told: dict[int, str]) -> None:
    """Told by the broker, or by the universe alone."""
    held = naming(OLD, listed=False, told=told)
    for name in ("AAPL", "APPL"):
        assert held.meant([name], exact=True) == {OLD.con_id}
    assert set(held.names(OLD)) == {"AAPL", "APPL"}
    assert held.meant(["MSFT"], exact=False) == frozenset()


def test_option_goes_with_the_share_of_its_company() -> None:
    """It is spelled APPL at the broker; nobody asked for it who sells the new AAPL."""
    told = {NEW.con_id: "APPL", 8: "APPL"}
    held = naming(OLD, OTHERS, OPTION, told=told)
    assert held.meant(["APPL"], exact=False) == {OLD.con_id, 8}
    assert held.meant(["AAPL"], exact=False) == {777}
    assert held.meant(["APPL260116C00200000"], exact=True) == {8}
    assert held.meant([CALL], exact=True) == frozenset()
    alone = naming(OLD, OPTION, listed=False, told={NEW.con_id: "APPL"})
    assert alone.meant(["APPL"], exact=False) == {OLD.con_id, 8}
    assert alone.meant(["APPL"], exact=True) == {OLD.con_id}
    assert alone.meant([CALL], exact=True) == {8}


class Leaves:
    """Takes what should leave, as `Leaving` does."""

    def leave(self, wanted: object) -> None:
        del wanted


@pytest.mark.parametrize(("name", "con_id"), [("APPL", OLD.con_id), ("AAPL", 777)])
def test_close_and_exit_sell_the_company_that_bears_the_name(name: str, con_id: int) -> None:
    """Both sold whatever was named by either: one contract id had been seen under both names."""
    first, _ = bought("s1")
    second, _ = bought("s2", qty=50, order_id=9, contract=OTHERS)
    night = replace(reference("AAPL", "APPL"), renames={"AAPL": "APPL"})
    held = case(*first, *second, reference=night)
    held.desk.told_names = {OLD.con_id: "APPL", 777: "AAPL"}
    guard = Guard(held.desk, None, Leaves())  # type: ignore[arg-type]
    closing = Closing(held.desk, None, guard, Leaves())  # type: ignore[arg-type]
    order = replace(signal(name), kind=SignalKind.EXIT, side=Side.SELL, qty=0, strategy_id="manual")
    part = closing.close_part(Selection(symbols=(name,)), 10)
    whole = closing.close(Selection(symbols=(name,)))
    exits = closing.on_signal(order)
    assert {item.con_id for item in (*part, *whole, *exits)} == {con_id}
    assert (len(part), len(whole)) == (1, 1)
