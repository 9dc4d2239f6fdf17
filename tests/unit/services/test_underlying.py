"""Exits of an option on its underlying: levels set, judged, and the end before expiry."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from executors import signal, usd

from bft.domain.broker import Quote
from bft.domain.errors import DataError
from bft.domain.orders import Contract
from bft.domain.trading import Direction, ExitPolicy, Instrument
from bft.services.executor.covers import Cover, Under
from bft.services.executor.reference import Reference, Split
from bft.services.executor.underlying import expires_soon, judged, stock_of, under_of

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)  # Monday, 10:00 New York
STOCK = Contract(con_id=3, symbol="AAPL")
OPTION = Contract(con_id=7, symbol="AAPL", sec_type="OPT", expiry=date(2026, 2, 20))


def quote(bid: object = "100.00", ask: object = "100.02", **told: Any) -> Quote:
    values = {"at": NOW, "bid_usd": usd(bid), "ask_usd": usd(ask), **told}
    return Quote(contract=STOCK, **values)


def desk(told: Quote | None, *, now: datetime = NOW, splits: tuple[Split, ...] = ()) -> Any:
    known = {stock_of(OPTION): STOCK}
    facts = Reference(splits=splits)
    return SimpleNamespace(now=now, contracts=known, quote=lambda _: told, reference=facts)


def made(told: Quote | None, instrument: Instrument = Instrument.CALL, **terms: Any) -> Under:
    policy = ExitPolicy(stop_frac=0.07, target_frac=0.12)
    order = signal(**{"instrument": instrument, "exits": policy, **terms})
    found = under_of(desk(told), order, OPTION, Decimal(2))
    assert found is not None
    return found


def test_levels_are_fractions_of_the_underlying_mirrored_for_puts() -> None:
    """By hand, of 100.01: calls 93.0093 up and 112.0112 down; puts 107.0107 down, 88.0088 up."""
    call, put = made(quote()).state, made(quote(), Instrument.PUT).state
    assert (call.stop_usd, call.target_usd) == (usd("93.01"), usd("112.01"))
    assert (put.stop_usd, put.target_usd) == (usd("107.01"), usd("88.01"))
    assert (call.open_qty, put.sign) == (1, -1)


def test_distances_in_atr_are_those_of_the_underlying() -> None:
    """By hand: 100.01 - 1.5 x 2.00 = 97.01."""
    state = made(quote(), exits=ExitPolicy(stop_frac=None, stop_atr=1.5)).state
    assert state.stop_usd == usd("97.01")


@pytest.mark.parametrize(
    "told",
    [
        None,
        quote(at=NOW - timedelta(seconds=121)),
        quote(frozen=True),
        quote(delayed=True),
        quote(halted=True),
        quote("99.00", "100.02"),
        quote("100.02", "100.00"),
        quote("0", "100.00"),
    ],
)
def test_without_a_live_quote_there_are_no_levels(told: Quote | None) -> None:
    with pytest.raises(DataError, match="AAPL has no live quote"):
        made(told)


def test_without_any_stop_distance_there_is_no_position() -> None:
    order = signal(instrument=Instrument.CALL, exits=ExitPolicy(stop_frac=None, stop_atr=2.0))
    with pytest.raises(DataError, match="no_stop"):
        under_of(desk(quote()), order, OPTION, None)


def test_what_is_no_option_has_no_underlying() -> None:
    assert under_of(desk(quote()), signal(), STOCK, Decimal(2)) is None


@pytest.mark.parametrize(
    ("instrument", "bid", "ask", "reached"),
    [
        (Instrument.CALL, "93.02", "93.04", None),
        (Instrument.CALL, "93.00", "93.02", "stop"),
        (Instrument.CALL, "112.01", "112.03", "target"),
        (Instrument.PUT, "106.98", "107.00", None),
        (Instrument.PUT, "107.00", "107.02", "stop"),
        (Instrument.PUT, "87.98", "88.00", "target"),
    ],
)
def test_the_side_that_leaving_would_meet_judges(
    instrument: Instrument, bid: str, ask: str, reached: str | None
) -> None:
    at = NOW + timedelta(seconds=20)
    after = judged(desk(quote(bid, ask, at=at), now=at), made(quote(), instrument))
    assert after.reached == reached
    back = judged(desk(quote(at=at), now=at), after)
    assert back.reached == reached


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"at": NOW}, NOW + timedelta(seconds=16)),
        ({"frozen": True}, NOW),
        ({"bid_usd": usd(80), "ask_usd": usd(90)}, NOW),
        ({"at": NOW + timedelta(hours=7)}, NOW + timedelta(hours=7)),
    ],
)
def test_old_dead_wide_and_after_hours_quotes_judge_nothing(
    told: dict[str, Any], at: datetime
) -> None:
    low = replace(quote("90.00", "90.02"), **told)
    assert judged(desk(low, now=at), made(quote())).reached is None


def cover(contract: Contract, *, same_session: bool = False) -> Cover:
    return Cover(
        entry="e",
        account="DU1",
        contract=contract,
        direction=Direction.LONG,
        policy=ExitPolicy(same_session=same_session),
        strategy_id="s",
        opened_at=NOW,
    )


@pytest.mark.parametrize(
    ("expiry", "now", "soon"),
    [
        (date(2026, 2, 20), datetime(2026, 2, 19, 20, 49, 59, tzinfo=UTC), False),
        (date(2026, 2, 20), datetime(2026, 2, 19, 20, 50, tzinfo=UTC), True),
        (date(2026, 2, 20), datetime(2026, 2, 20, 15, 0, tzinfo=UTC), True),
        (date(2025, 11, 28), datetime(2025, 11, 26, 20, 50, tzinfo=UTC), True),
        (None, NOW, False),
    ],
)
def test_options_end_ten_minutes_before_the_close_of_the_session_before(
    expiry: date | None, now: datetime, *, soon: bool
) -> None:
    """Thanksgiving lies between: Wednesday is the session before Friday the 28th."""
    option, stock = (replace(one, expiry=expiry) for one in (OPTION, STOCK))
    assert expires_soon(cover(option), now) is soon
    assert not expires_soon(cover(option, same_session=True), now)
    assert not expires_soon(cover(stock), now)


@pytest.mark.parametrize(
    ("ratio", "stop", "bid", "reached"),
    [
        (4, "23.26", "25.00", None),
        (4, "23.26", "23.00", "stop"),
        ("0.1", "930.1", "1000.00", None),
        ("0.1", "930.1", "929.00", "stop"),
    ],
)
def test_split_of_the_underlying_moves_the_levels_and_reaches_none(
    ratio: object, stop: str, bid: str, reached: str | None
) -> None:
    """By hand: the stop of 93.01 is 23.2525, up to the cent, after 4:1, and 930.1 after 1:10."""
    tuesday = NOW + timedelta(days=1)
    split = Split(symbol="AAPL", ex_date=tuesday.date(), ratio=usd(ratio))
    told = quote(bid, usd(bid) + usd("0.01"), at=tuesday)
    under = judged(desk(told, now=tuesday, splits=(split,)), made(quote()))
    assert (under.state.stop_usd, under.reached) == (usd(stop), reached)
    assert under.state.open_qty == 1
    again = judged(desk(told, now=tuesday, splits=(split,)), replace(under, reached=None))
    assert again.state.stop_usd == usd(stop)


def test_split_of_another_day_or_company_moves_no_level() -> None:
    for symbol, ex_date in (("MSFT", NOW.date() + timedelta(days=1)), ("AAPL", NOW.date())):
        split = Split(symbol=symbol, ex_date=ex_date, ratio=usd(4))
        tuesday = NOW + timedelta(days=1)
        told = quote(at=tuesday)
        under = judged(desk(told, now=tuesday, splits=(split,)), made(quote()))
        assert under == made(quote())


@pytest.mark.parametrize("names", [("APPL",), ("AAPL", "APPL")])
def test_split_told_under_a_new_name_moves_the_levels_once(names: tuple[str, ...]) -> None:
    """By hand: 93.01 / 4, up to the cent; told under the old name before, it is the same split."""
    tuesday = NOW + timedelta(days=1)
    at, under = desk(quote("25.00", "25.01", at=tuesday), now=tuesday), made(quote())
    for name in names:
        split = Split(symbol=name, ex_date=tuesday.date(), ratio=usd(4))
        renamed = {"renames": {"AAPL": "APPL"}, "universe": frozenset({"APPL"})}
        at.reference = Reference(splits=(split,), **renamed)
        under = judged(at, under)
        assert (under.state.stop_usd, under.reached) == (usd("23.26"), None)


def test_split_in_the_levels_of_a_book_of_before_moves_them_no_more() -> None:
    """Its key named the symbol."""
    tuesday = NOW + timedelta(days=1)
    split = Split(symbol="AAPL", ex_date=tuesday.date(), ratio=usd(4))
    at = desk(quote("95.00", "95.01", at=tuesday), now=tuesday, splits=(split,))
    under = made(quote())
    state = replace(under.state, actions=(f"split:AAPL:{split.ex_date}",))
    under = judged(at, replace(under, state=state))
    assert (under.state.stop_usd, under.reached) == (usd("93.01"), None)
