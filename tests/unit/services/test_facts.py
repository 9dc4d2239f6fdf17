"""What risk is told of the book: contracts by their names, pending entries counted, sets known."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from books import AT, FACTS, booked, bracket_orders, fill, intent, round_trip
from desk_cases import Case, case, facts_of
from executors import TRADER, reference, usd
from executors import signal as equity_signal

from bft.domain.broker import Quote
from bft.domain.orders import Contract, OrderRequest, Reason
from bft.domain.trading import Instrument
from bft.ledger import entries
from bft.risk import decide
from bft.risk.context import Context
from bft.risk.profiles import EQUITIES, FUTURES_NQ
from bft.services.executor.contracts import name_of, underlying_of, wanted_contract
from bft.services.executor.equity import Equity
from bft.services.executor.opening import loss_halt

NQ = Contract(
    con_id=7,
    symbol="NQ",
    sec_type="FUT",
    multiplier=usd(20),
    tick_usd=usd("0.25"),
    local_symbol="NQH6",
    expiry=date(2026, 3, 1),
)
CALL = Contract(
    con_id=8,
    symbol="AAPL",
    sec_type="OPT",
    multiplier=usd(100),
    expiry=date(2026, 2, 20),
    strike_usd=usd("150.5"),
    right="C",
)
OCC = "AAPL260220C00150500"


def future(**changes: Any) -> OrderRequest:
    values = {"symbol": "NQH6", "instrument": Instrument.FUTURE, "qty": 1, "is_signal": False}
    return replace(equity_signal(), **{**values, **changes})


def option() -> OrderRequest:
    return replace(equity_signal(), symbol=OCC, instrument=Instrument.CALL)


def context(held: Case, order: OrderRequest, contract: Contract) -> Context:
    return facts_of(held.desk).context(order, TRADER, contract=contract, matches=1)


def results(held: Case, order: OrderRequest, contract: Contract) -> dict[int, str]:
    decision = decide.evaluate(order, context(held, order, contract))
    return {rule.number: f"{rule.verdict} {rule.note}".strip() for rule in decision.rules}


@pytest.mark.parametrize(
    ("order", "name", "root"),
    [(future(), "NQH6", "NQ"), (option(), OCC, "AAPL"), (equity_signal(), "AAPL", "AAPL")],
)
def test_contract_is_named_as_its_order_was(order: OrderRequest, name: str, root: str) -> None:
    assert name_of(wanted_contract(order)) == name
    assert underlying_of(order) == root


def test_future_is_in_its_profile_by_its_root() -> None:
    held = case(profile=FUTURES_NQ, reference=reference("AAPL"))
    assert results(held, future(), NQ)[7] == "pass"


def test_contracts_held_and_pending_count_to_the_cap_of_five() -> None:
    entry = intent(contract=NQ, qty=2, limit_price_usd=usd(21_000))
    bought = booked(fill(None, 3, "21000", id="f.01", contract=NQ))
    held = case(bought, entries.intents(AT, intents=(entry,), facts=None), profile=FUTURES_NQ)
    held.equity(1_000_000)
    held.price(NQ, 21_000)
    exposure = {h.symbol: h.qty for h in context(held, future(), NQ).book.positions or ()}
    assert exposure == {"NQH6": 3}
    (pending,) = context(held, future(), NQ).book.pending or ()
    assert (pending.symbol, pending.qty) == ("NQH6", 2)
    assert (pending.notional_usd, pending.cost_usd) == (usd(840_000), usd(84_000))


def test_entries_in_an_option_count_to_its_underlying() -> None:
    entry = intent(contract=CALL, qty=1, limit_price_usd=usd(5), order_id=1, client_id=10, epoch=1)
    held = case(entries.intents(AT, intents=(entry,), facts=FACTS), reference=reference("AAPL"))
    book = context(held, option(), CALL).book
    assert (book.entries_today, book.entries_today_symbol) == (1, 1)


def test_entries_that_wait_for_their_commit_count_to_the_rate() -> None:
    """Ten in one transaction are ten new orders, although none is sent yet; lapsed ones are not."""
    orders = [intent(signal=f"s{n}") for n in range(11)]
    held = case(entries.intents(AT, intents=orders, facts=None), reference=reference("AAPL"))
    held.desk.note(entries.lapsed(AT, intent_ids=[orders[0].intent_id], reason="fence"))
    book = context(held, equity_signal(), orders[0].contract).book
    assert (book.orders_1s, book.orders_60s) == (10, 10)
    assert results(held, equity_signal(), orders[0].contract)[19].startswith("block")


@pytest.mark.parametrize(
    ("digest", "paper_only", "told"), [("d", True, True), ("d", False, False), ("old", False, None)]
)
def test_set_of_the_order_must_be_the_one_that_is_known(
    digest: str, paper_only: bool, told: bool | None
) -> None:
    night = reference("AAPL")
    forecast = replace(night.forecasts["AAPL"], paper_only=paper_only)
    held = case(reference=replace(night, forecasts={"AAPL": forecast}))
    order = replace(equity_signal(), set_digest=digest)
    facts = context(held, order, Contract(con_id=1, symbol="AAPL"))
    assert facts.mode.set_paper_only is told


def test_quote_that_is_missing_in_the_session_leaves_the_day_loss_unknown() -> None:
    contract = Contract(con_id=265598, symbol="AAPL")
    held = case(booked(fill(None, 10, "100", id="f.01")), reference=reference("AAPL"))
    held.equity(100_000)
    assert results(held, equity_signal("MSFT"), contract)[21].startswith("missing day loss")
    zero = {"bid_usd": usd(0), "ask_usd": usd(0), "last_usd": usd(0)}
    held.broker.quotes[contract.con_id] = Quote(contract=contract, at=AT, **zero)
    assert results(held, equity_signal("MSFT"), contract)[21].startswith("missing day loss")
    held.price(contract, 99)
    assert context(held, equity_signal("MSFT"), contract).book.unrealised_change_usd == -10


def test_counters_of_futures_turn_with_their_day_at_17_00_chicago() -> None:
    """18:30 New York on Monday is Tuesday for futures: its entries, its equity, its halts."""
    evening, tuesday = datetime(2026, 1, 5, 23, 30, tzinfo=UTC), date(2026, 1, 6)
    entry = intent(contract=NQ, order_id=1, client_id=10, epoch=1)
    entry = replace(entry, trading_day=tuesday)
    told = entries.intents(evening, intents=(entry,), facts=FACTS)
    held = case(told, at=evening, profile=FUTURES_NQ, reference=reference("AAPL"))
    held.equity(100_000)
    facts = facts_of(held.desk)
    Equity(held.desk, facts, Any).turn()  # type: ignore[arg-type]
    book = facts.book("NQ")
    assert (book.entries_today, book.entries_today_symbol) == (1, 1)
    assert (book.day_start_equity_usd, book.peak_equity_usd) == (100_000, 100_000)
    (row,) = (r for r in held.desk.state.limits.values() if r.day_start_equity_usd)
    assert row.trading_day == tuesday
    halt = loss_halt(Reason.DAILY_LOSS, held.desk)
    assert halt.until == datetime(2026, 1, 7, 5, 0, tzinfo=UTC)  # Wednesday, 00:00 New York


def test_loss_of_an_evening_counts_to_the_streak_of_the_day_of_futures() -> None:
    """18:30 in New York is the next day of futures: rule 23 looks there."""
    evening = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    entry, target, stop = bracket_orders(contract=NQ, qty=1)
    told = (
        entries.intents(evening, intents=(entry, target, stop), facts=FACTS),
        booked(fill(entry, 1, "21000", id="e.01", at=evening)),
        booked(fill(stop, 1, "20990", id="x.01", at=evening)),
    )
    held = case(*told, at=evening, profile=FUTURES_NQ)
    assert facts_of(held.desk).book("NQ").loss_streak == 1


@pytest.mark.parametrize(
    ("halt", "days", "streak"),
    [(10, 0, 4), (10, 1, 4), (10, 4, 4), (5, 1, 4), (4, 0, 4), (4, 1, 0), (None, 1, 4)],
)
def test_losing_trades_of_earlier_days_count_until_their_halt_is_over(
    halt: int | None, days: int, streak: int
) -> None:
    """Entries leave before the open: no trade of their own day has been left by then."""
    profile = replace(EQUITIES, streak=replace(EQUITIES.streak, halt=halt))
    told = [
        entry
        for n in range(4)
        for entry in round_trip(f"s{n}", start=AT + timedelta(minutes=n), order_id=1 + 3 * n)
    ]
    held = case(*told, at=AT + timedelta(minutes=9), profile=profile)
    held.wait(days=days)
    assert facts_of(held.desk).book("MSFT").loss_streak == streak
