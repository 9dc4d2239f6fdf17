"""What the day's loss is read from: a price of now, or none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, booked, fill
from desk_cases import Case, case, facts_of
from executors import TRADER, reference, usd
from executors import signal as equity_signal
from risk_cases import context, order, with_

from bft.domain.broker import Quote
from bft.domain.orders import Contract
from bft.ledger import entries
from bft.risk import decide
from bft.risk.profiles import EQUITIES, FUTURES_NQ, OPTIONS, Profile
from bft.services.executor.equity import Equity
from bft.services.executor.marks import worth_usd

MSFT = Contract(con_id=9, symbol="MSFT")
NQ = Contract(con_id=7, symbol="NQ", sec_type="FUT", multiplier=usd(20), local_symbol="NQH6")
BEFORE_OPEN = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)  # 09:00 New York


def held(*, at: datetime = AT, profile: Profile = EQUITIES, contract: Contract = AAPL) -> Case:
    """100 units bought at 100 a minute ago."""
    bought = fill(None, 100, "100", id="f.01", at=at - timedelta(minutes=1), contract=contract)
    made = case(booked(bought), at=at, profile=profile, reference=reference("AAPL", "MSFT"))
    made.equity(100_000)
    made.desk.note(
        entries.equity(
            at,
            scope=("account", ACCOUNT),
            trading_day=made.desk.trading_day,
            day_start_usd=usd(100_000),
            peak_usd=usd(100_000),
        )
    )
    return made


def quoted(
    made: Case, price: object, age_s: float = 0, contract: Contract = AAPL, **said: Any
) -> Case:
    at = made.clock.at - timedelta(seconds=age_s)
    made.broker.quotes[contract.con_id] = Quote(
        contract=contract, at=at, bid_usd=usd(price), ask_usd=usd(price), **said
    )
    return made


def change(made: Case) -> Any:
    return facts_of(made.desk).unrealised_change_usd()


@pytest.mark.parametrize(
    ("profile", "age_s", "known"),
    [
        (EQUITIES, 60, True),
        (EQUITIES, 61, False),
        (EQUITIES, -1, True),
        (EQUITIES, -3, False),  # the clock was set back: how old it is nobody knows
        (OPTIONS, 120, True),
        (OPTIONS, 121, False),
    ],
)
def test_old_quote_of_a_held_symbol_is_no_price_of_now(
    profile: Profile, age_s: float, *, known: bool
) -> None:
    found = change(quoted(held(profile=profile), 90, age_s))
    assert found == (-1000 if known else None)


@pytest.mark.parametrize("flag", ["frozen", "delayed"])
def test_quote_that_is_not_live_is_no_price_of_now(flag: str) -> None:
    assert change(quoted(held(), 90, **{flag: True})) is None


def test_before_the_open_the_close_of_yesterday_stands() -> None:
    assert change(quoted(held(at=BEFORE_OPEN), 99, 50_000)) == -100
    assert change(held(at=BEFORE_OPEN)) == 0  # gold closed at 100


def test_while_a_future_is_closed_its_last_quote_stands() -> None:
    """As a share's does; gold's close would be that of a share of the same name."""
    saturday = datetime(2026, 1, 10, 15, 0, tzinfo=UTC)
    made = held(at=saturday, profile=FUTURES_NQ, contract=NQ)
    made.desk.reference = reference("NQ")
    assert change(made) is None
    assert change(quoted(made, 99, 50_000, NQ)) == -2000


def test_close_of_a_share_of_the_same_name_is_no_price_of_a_future() -> None:
    """Eversource Energy is ES: red, the paper account valued an ES future at the share's close."""
    made = held(profile=FUTURES_NQ, contract=NQ)
    made.desk.reference = reference("NQ")
    assert made.desk.close_usd(NQ) is None
    assert worth_usd(made.desk, NQ) is None
    assert worth_usd(quoted(made, 99, 50_000, NQ).desk, NQ) == 99


def test_future_trades_while_the_exchange_of_shares_is_closed() -> None:
    made = held(at=BEFORE_OPEN, profile=FUTURES_NQ, contract=NQ)
    assert change(quoted(made, 99, 61, NQ)) is None
    assert change(quoted(made, 99, 5, NQ)) == -2000


def test_denial_names_the_symbol_its_age_and_the_bound_for_now() -> None:
    made = quoted(held(), 90, 75)
    facts, asked = facts_of(made.desk), equity_signal("MSFT")
    decision = decide.evaluate(asked, facts.context(asked, TRADER, contract=MSFT, matches=1))
    rule = decision.rules[20]
    assert (rule.verdict, rule.note) == (
        "missing",
        "day loss is unknown: quote of AAPL 75 s old, at most 60",
    )
    assert decide.halts_to_set(decision) == ()
    assert facts.shut() == [f"{rule.note} (rule 21)"]


def test_loss_that_a_stale_quote_tells_closes_nothing() -> None:
    assert not flattened(quoted(held(), 40, 61))
    assert flattened(quoted(held(), 40, 60))


@pytest.mark.parametrize(("stale", "closed"), [("100", True), ("1", True), ("130", False)])
def test_stale_quote_keeps_no_loss_of_others_from_closing_all(stale: str, *, closed: bool) -> None:
    """AAPL lost 6,000 of 100,000 (all is closed at 5 %); MSFT is halted since it stood at that."""
    made = quoted(held(), 40)
    made.desk.note(booked(fill(None, 100, "100", id="m.01", contract=MSFT)))
    quoted(made, stale, 600, MSFT, halted=True)
    assert flattened(made) is closed


def flattened(made: Case) -> bool:
    asked = list[object]()

    class Closing:
        def close(self, *what: object, held_at: datetime) -> None:
            asked.append((what, held_at))

    Equity(made.desk, facts_of(made.desk), Closing()).turn()  # type: ignore[arg-type]
    return bool(asked)


def test_denial_for_what_is_unknown_is_tried_again_and_that_for_a_loss_is_not() -> None:
    unknown = with_(context(), book__unrealised_change_usd=None, book__unpriced=("no quote of A",))
    decision = decide.evaluate(order(), unknown)
    assert (decision.reason, decision.transient, decision.latches) == ("daily_loss", True, False)
    lost = replace(unknown, book=replace(unknown.book, unrealised_change_usd=usd(-2000)))
    decision = decide.evaluate(order(), lost)
    assert (decision.reason, decision.transient, decision.latches) == ("daily_loss", False, True)
