"""Alpaca's adapter against what its documentation says, where it is not like the gateway."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from brokers import CLOSE, OPEN, AlpacaVenue, Seat, running, usd
from virtual_time import run

from bft.adapters.broker.alpaca import Alpaca, AlpacaSettings
from bft.adapters.broker.alpaca.names import Name, name_of, parsed
from bft.adapters.broker.alpaca.pace import Pace
from bft.domain.broker import (
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    OrderReport,
    PlacedOrder,
    Priority,
    SessionReport,
    SessionState,
)
from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError
from bft.domain.orders import Contract, OrderType, Side, TimeInForce

LIMIT, STOP = OrderType.LIMIT, OrderType.STOP
LIVE = ("Submitted", "PreSubmitted")
BUY = {"side": Side.BUY, "qty": 10, "order_type": LIMIT, "limit_price_usd": usd(100)}
TARGET = {"side": Side.SELL, "qty": 10, "order_type": LIMIT, "limit_price_usd": usd(110)}
STOP_LOSS = {"side": Side.SELL, "qty": 10, "order_type": STOP, "stop_price_usd": usd(95)}


def play(folder: Path, story: Callable[[Seat], Any], **more: Any) -> AlpacaVenue:
    venue = AlpacaVenue()
    run(running(venue, folder, story, **more))
    return venue


async def bracket(seat: Seat) -> list[PlacedOrder]:
    entry, target, stop = await seat.legs([BUY, TARGET, STOP_LOSS])
    group = {
        "parent_order_id": entry.order_id,
        "oca_group": entry.order_ref,
        "oca_type": 2,
        "time_in_force": TimeInForce.GTC,
    }
    legs = [replace(entry, transmit=False), replace(target, transmit=False, **group)]
    legs.append(replace(stop, **group))
    seat.broker.place(legs)
    return legs


async def held(seat: Seat) -> list[PlacedOrder]:
    """A bracket whose entry has filled."""
    await seat.at(OPEN)
    await seat.price(100)
    legs = await bracket(seat)
    await seat.filled(legs[0], 10)
    await seat.quiet()
    return legs


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "https://api.alpaca.markets"}, RefusedError),
        ({"url": "https://paper-api.alpaca.markets.evil.example"}, RefusedError),
        ({"url": "http://paper-api.alpaca.markets"}, RefusedError),
        ({"data_url": "https://evil.example"}, RefusedError),
        ({"account": ""}, ConfigError),
        ({"secret": ""}, ConfigError),
    ],
)
def test_only_paper_trading_with_keys_may_start(change: Any, error: type[Exception]) -> None:
    keys = {"account": "PA1", "key_id": "KEY", "secret": "SECRET", **change}
    with pytest.raises(error):
        Alpaca(AlpacaSettings(**keys), clock=None)  # type: ignore[arg-type]


def test_keys_never_show() -> None:
    keys = {"key_id": "KEY", "secret": "SECRET"}
    shown = repr(AlpacaSettings(account="PA1", **keys))
    assert "KEY" not in shown
    assert "SECRET" not in shown


@pytest.mark.parametrize("change", [{"account": "PA2"}, {"secret": "X"}])
def test_keys_of_another_account_end_the_session(tmp_path: Path, change: dict[str, str]) -> None:
    venue = AlpacaVenue(**change)

    async def story(_: Seat) -> None:
        raise AssertionError("never started")

    with pytest.raises(AssertionError, match=r"no SessionReport.*(PA1, not PA2|not authorized)"):
        run(running(venue, tmp_path, story))


def test_name_carries_references_ids_day_and_revision() -> None:
    name = Name(legs=(("bft1.A2", 7), ("bft1.B3", 8)), day=True, revision=3)
    assert name.text == "bft1.A2_7-bft1.B3_8-d-r3"
    assert parsed(name.text) == name
    for foreign in ("", "my-order", "bft1.A2", "bft1.A2_x", "61e69015-8549-4bfd-b9c3-01e75843f47d"):
        assert parsed(foreign) is None


def test_name_of_three_full_references_fits() -> None:
    legs = [placed(order_ref=f"bft1.{'A' * 25}{n}", order_id=99_999 + n) for n in range(2, 5)]
    assert len(name_of(legs, day=True).text) <= 123
    with pytest.raises(UnavailableError, match="cannot carry"):
        name_of([placed(order_ref="other")])


def placed(**more: Any) -> PlacedOrder:
    contract = Contract(con_id=1, symbol="AAPL")
    given = {"order_id": 1, "order_ref": "bft1.A", "contract": contract, "account": "PA1", **BUY}
    return PlacedOrder(**{**given, **more})


def test_bracket_is_one_order_of_class_bracket(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        legs = await bracket(seat)
        for leg in legs:
            await seat.status(leg, *LIVE)

    venue = play(tmp_path, story)
    orders = list(venue.state.orders.values())
    assert [call[1:] for call in venue.state.calls if call[1] == "POST"] == [("POST", "/v2/orders")]
    assert [o["order_class"] for o in orders] == ["bracket"] * 3
    assert [(o["type"], o["limit_price"], o["stop_price"]) for o in orders] == [
        ("limit", "100", None),
        ("limit", "110", None),
        ("stop", None, "95"),
    ]


def test_restart_knows_legs_that_alpaca_named_itself(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        legs = await held(seat)
        before = {leg.order_ref: seat.last(leg) for leg in legs}
        await seat.restart()
        for leg in legs[1:]:
            now = seat.last(leg)
            assert now == before[leg.order_ref]
            assert now is not None
            assert (now.order_id, now.parent_order_id) == (leg.order_id, legs[0].order_id)
        await seat.price(94)
        await seat.filled(legs[2], 10)
        await seat.status(legs[1], "Cancelled")
        assert seat.broker.reserve_ids(1)[0] > legs[2].order_id

    play(tmp_path, story)


def test_amended_stop_keeps_reference_and_permanent_id(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        _, target, stop = await held(seat)
        first = seat.last(stop)
        assert first is not None
        for price in (96, 97):
            seat.broker.amend(replace(stop, stop_price_usd=usd(price)))
            found = await seat.expect(OrderReport, _stop_at(price))
            assert found.order.order_ref == stop.order_ref
            assert found.order.perm_id == first.perm_id
            assert found.order.oca_group == first.oca_group != ""
            assert found.order.parent_order_id == first.parent_order_id > 0
        opened = {o.order_ref: o.stop_price_usd for o in await seat.broker.open_orders()}
        assert opened == {target.order_ref: None, stop.order_ref: usd(97)}
        await seat.restart()
        opened = {o.order_ref: o.stop_price_usd for o in await seat.broker.open_orders()}
        assert opened == {target.order_ref: None, stop.order_ref: usd(97)}
        await seat.price(96.5)
        await seat.filled(stop, 10)
        await seat.status(target, "Cancelled")

    play(tmp_path, story)


def _stop_at(price: int) -> Callable[[OrderReport], bool]:
    return lambda report: report.order.stop_price_usd == usd(price)


def test_what_alpaca_cannot_do_is_said_and_not_sent(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        entry, _, stop = await held(seat)
        with pytest.raises(UnavailableError, match="quantity of a bracket"):
            seat.broker.amend(replace(stop, qty=5))
        (late,) = await seat.legs([STOP_LOSS])
        with pytest.raises(UnavailableError, match="live group"):
            seat.broker.place([replace(late, oca_group=entry.order_ref, oca_type=2)])
        option = replace(late.contract, sec_type="OPT")
        with pytest.raises(UnavailableError, match="stocks"):
            seat.broker.place([replace(late, contract=option)])
        with pytest.raises(DataError, match="stocks"):
            await seat.broker.contract(Contract(con_id=0, symbol="NQH6", sec_type="FUT"))
        with pytest.raises(UnavailableError, match="what-if"):
            await seat.broker.what_if(late)
        sent = [call for call in seat.venue.state.calls if call[1] == "POST"]  # type: ignore[attr-defined]
        assert len(sent) == 1

    play(tmp_path, story)


def test_two_exits_of_a_group_become_one_oco(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        entry = await seat.order(Side.BUY, 10)
        await seat.filled(entry, 10)
        group = {"oca_group": "g", "oca_type": 2, "time_in_force": TimeInForce.GTC}
        stop, target = await seat.legs([{**STOP_LOSS, **group}, {**TARGET, **group}])
        seat.broker.place([stop, target])
        await seat.status(stop, *LIVE)
        await seat.status(target, *LIVE)
        await seat.price(94)
        await seat.filled(stop, 10)
        await seat.status(target, "Cancelled")

    assert [o["order_class"] for o in play(tmp_path, story).state.orders.values()][1:] == [
        "oco"
    ] * 2


def test_order_whose_answer_is_lost_is_found_and_never_sent_again(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        seat.venue.state.after.append(("POST", None))  # type: ignore[attr-defined]
        order = await seat.order(Side.BUY, 10)
        assert (await seat.error(order)).kind is ErrorKind.UNLISTED
        await seat.filled(order, 10)
        await seat.status(order, "Filled")

    venue = play(tmp_path, story)
    assert len([call for call in venue.state.calls if call[1] == "POST"]) == 1


def test_bracket_whose_answer_is_lost_is_known_leg_by_leg(tmp_path: Path) -> None:
    """Alpaca named the legs itself, and a poll sees them before anything else does."""

    async def story(seat: Seat) -> None:
        seat.venue.state.after.append(("POST", None))  # type: ignore[attr-defined]
        legs = await bracket(seat)
        for leg in legs:
            told = await seat.status(leg, *LIVE)
            assert told.order_id == leg.order_id
        assert {r.order.order_id for r in seat.of(OrderReport)} == {leg.order_id for leg in legs}

    play(tmp_path, story)


def test_fill_told_twice_counts_once(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        seat.venue.state.overlap = True  # type: ignore[attr-defined]
        await seat.at(OPEN)
        await seat.price(100)
        for qty in (1, 2):
            order = await seat.order(Side.BUY, qty)
            await seat.filled(order, qty)
        await seat.quiet()
        assert [r.execution.qty for r in seat.of(ExecutionReport)] == [1, 2]

    play(tmp_path, story)


def test_order_refused_for_the_pace_waits_and_keeps_its_place(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        seat.venue.state.faults += [("POST", 429), ("POST", 429)]  # type: ignore[attr-defined]
        first = await seat.order(Side.BUY, 1)
        second = await seat.order(Side.BUY, 2)
        await seat.filled(second, 2)
        assert seat.of(ErrorReport) == []
        refs = [r.execution.order_ref for r in seat.of(ExecutionReport)]
        assert refs == [first.order_ref, second.order_ref]

    play(tmp_path, story)


def test_session_falls_when_answers_stop_and_comes_back_by_itself(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        seat.venue.state.faults += [("GET", 503)] * 4  # type: ignore[attr-defined]
        await seat.session(SessionState.DOWN)
        with pytest.raises(UnavailableError, match="DOWN"):
            await seat.order(Side.BUY, 1)
        await seat.expect(
            SessionReport, lambda r: r.state is SessionState.RECONCILING and r.epoch > 1
        )
        seat.broker.arm()
        order = await seat.order(Side.BUY, 1)
        await seat.filled(order, 1)

    play(tmp_path, story)


def test_day_entry_of_a_bracket_is_cancelled_after_its_session(tmp_path: Path) -> None:
    """Also when nobody was there at the close."""

    async def story(seat: Seat) -> None:
        legs = await bracket(seat)
        await seat.status(legs[0], *LIVE)
        await seat.broker.stop()
        await seat.at(CLOSE + timedelta(hours=1))
        await seat.restart()
        for leg in legs:
            await seat.status(leg, "Cancelled")

    play(tmp_path, story, start=CLOSE - timedelta(seconds=5))


def test_fills_are_told_for_seven_days_by_a_process_that_lives_on(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await held(seat)
        state: Any = seat.venue.state  # type: ignore[attr-defined]
        almost = seat.clock.now() - timedelta(days=7) + timedelta(seconds=30)
        state.fills[0]["transaction_time"] = almost.isoformat()
        await seat.restart()
        assert len(await seat.broker.executions()) == 1
        await asyncio.sleep(60)
        assert await seat.broker.executions() == ()

    play(tmp_path, story)


def test_quote_asked_for_again_is_as_old_as_the_feed_says(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        state: Any = seat.venue.state  # type: ignore[attr-defined]
        state.quoted_at = seat.clock.now() - timedelta(minutes=5)
        contract = await seat.aapl()
        seat.broker.watch(contract)
        await seat.price(100)
        await seat.quiet()
        await seat.quiet()
        quote = seat.broker.quote(contract)
        assert quote is not None
        assert quote.at == state.quoted_at

    play(tmp_path, story)


def test_orders_and_fills_of_others_are_told_without_our_names(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        body = {"symbol": "AAPL", "qty": "3", "side": "buy", "type": "market"}
        state = seat.venue.state  # type: ignore[attr-defined]
        state.create({**body, "time_in_force": "day", "client_order_id": "by-hand"})
        fill = (await seat.expect(ExecutionReport)).execution
        assert (fill.qty, fill.order_ref, fill.order_id) == (3, "by-hand", None)
        (done,) = await seat.broker.completed_orders()
        assert (done.order_id, done.client_id, done.order_ref) == (0, 0, "by-hand")

    play(tmp_path, story)


def test_pace_stays_below_its_caps_and_lets_cancels_by() -> None:
    async def main() -> None:
        pace, loop = Pace(), asyncio.get_running_loop()
        for _ in range(170):
            await pace.call(Priority.OPENING)
        assert loop.time() == 0
        await pace.call(Priority.CANCEL)
        assert loop.time() == 0
        await pace.token(Priority.OPENING)
        assert loop.time() == pytest.approx(60)
        await pace.message(Priority.OPENING)  # paid for by the token
        assert loop.time() == pytest.approx(60)

    run(main())


def test_a_quiet_hour_makes_few_calls(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        seat.broker.watch(await seat.aapl())
        await seat.at(OPEN + timedelta(minutes=2))

    venue = play(tmp_path, story)
    times = [at for at, _, _ in venue.state.calls]
    busiest = max(sum(1 for at in times if low <= at < low + 60) for low in times)
    assert busiest < 150
