"""An old quote is a price of now where its line lives: nothing has changed on it (ADR 0101)."""

from datetime import UTC, datetime, timedelta

import pytest
from books import AAPL, AT, booked, fill
from desk_cases import Case, case
from executors import reference, usd

from bft.domain.broker import FeedLine, Quote
from bft.domain.orders import Contract
from bft.risk.profiles import EQUITIES, FUTURES_NQ
from bft.services.executor.marks import stale, worth_now_usd

NQ = Contract(con_id=7, symbol="NQ", sec_type="FUT", multiplier=usd(20), local_symbol="NQH6")
OPENED = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)  # 09:30 New York
GLOBEX = datetime(2026, 1, 4, 23, 0, tzinfo=UTC)  # 17:00 Chicago, the Sunday before
OLD = "quote of AAPL 170 s old, at most 60"


def held(*, at: datetime = AT, contract: Contract = AAPL) -> Case:
    profile = FUTURES_NQ if contract is NQ else EQUITIES
    bought = fill(None, 100, "100", id="f.01", at=at - timedelta(days=3), contract=contract)
    return case(booked(bought), at=at, profile=profile, reference=reference("AAPL"))


def quiet(
    made: Case, *, age_s: float = 170, silent_s: float = 5, contract: Contract = AAPL
) -> Case:
    """A quote so old on a line that was known to live so long ago."""
    now, price = made.clock.at, usd(90)
    at = now - timedelta(seconds=age_s)
    made.broker.quotes[contract.con_id] = Quote(
        contract=contract, at=at, bid_usd=price, ask_usd=price
    )
    alive_at = now - timedelta(seconds=silent_s)
    made.broker.lines[contract.con_id] = FeedLine(alive_at=alive_at)
    return made


def test_quote_of_a_living_line_is_a_price_of_now_for_three_minutes() -> None:
    made = quiet(held(at=OPENED + timedelta(hours=2)), age_s=180)
    assert stale(made.desk, AAPL) == ""
    assert worth_now_usd(made.desk, AAPL) == 90
    made = quiet(held(at=OPENED + timedelta(hours=2)), age_s=181)
    assert stale(made.desk, AAPL).endswith("at most 60: a line is believed for 180 s")
    assert worth_now_usd(made.desk, AAPL) is None


@pytest.mark.parametrize(("silent_s", "alive"), [(60, True), (61, False), (-2, True), (-3, False)])
def test_line_lives_for_a_minute_after_its_last_sign(silent_s: float, *, alive: bool) -> None:
    made = quiet(held(), silent_s=silent_s)
    assert stale(made.desk, AAPL) == ("" if alive else f"{OLD}: paper silent {silent_s} s")


def test_what_is_wrong_with_the_line_is_named() -> None:
    made = quiet(held())
    made.broker.lines[AAPL.con_id] = FeedLine(problem="market data usfarm is broken")
    assert stale(made.desk, AAPL) == f"{OLD}: market data usfarm is broken"
    assert worth_now_usd(made.desk, AAPL) is None


def test_where_nobody_knows_of_lines_age_alone_counts() -> None:
    made = quiet(held())
    made.broker.lines.clear()
    assert stale(made.desk, AAPL) == OLD


def test_young_quote_counts_whatever_its_line() -> None:
    made = quiet(held(), age_s=60)
    made.broker.lines[AAPL.con_id] = FeedLine(problem="halted")
    assert stale(made.desk, AAPL) == ""


@pytest.mark.parametrize(
    ("contract", "opened"), [pytest.param(AAPL, OPENED, id="share"), pytest.param(NQ, GLOBEX)]
)
@pytest.mark.parametrize(("told_s", "alive"), [(0, True), (-1, False)])
def test_quote_of_before_the_open_is_none_of_now_on_any_line(
    contract: Contract, opened: datetime, told_s: int, *, alive: bool
) -> None:
    made = held(at=opened + timedelta(minutes=2), contract=contract)
    quiet(made, age_s=120 - told_s, contract=contract)
    found = stale(made.desk, contract)
    assert (found == "") is alive
    assert alive or found.endswith("nothing of it since the open")


@pytest.mark.parametrize("flag", ["frozen", "delayed"])
def test_quote_that_is_not_live_is_stale_on_a_living_line(flag: str) -> None:
    made = quiet(held())
    told = made.broker.quotes[AAPL.con_id]
    made.broker.quotes[AAPL.con_id] = Quote(
        contract=AAPL, at=told.at, bid_usd=told.bid_usd, ask_usd=told.ask_usd, **{flag: True}
    )
    assert stale(made.desk, AAPL) == f"quote of AAPL {flag}"
