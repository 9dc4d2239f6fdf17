"""Money, fees, memory and timing of the paper broker."""

import asyncio
import json
import shutil
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brokers import DAY, OPEN, PaperVenue, Seat, running, usd
from http_app import HttpApp, Request
from virtual_time import run, settle

from bft.adapters.broker.paper import Bar, BarPrices, PaperLog, SimPrices, fee_named
from bft.adapters.broker.paper.account import PaperAccount, Trade
from bft.adapters.broker.paper.books import Books, stored_account
from bft.adapters.broker.paper.contracts import resolved
from bft.adapters.broker.paper.wire import Wire
from bft.domain.broker import ExecutionReport, OrderReport, SessionReport, SessionState
from bft.domain.errors import ConfigError, DataError, RefusedError
from bft.domain.orders import Contract, FillSource, OrderType, Side
from bft.sim.market import faults
from bft.sim.market.moment import Moment
from bft.sim.market.vendor import Vendor
from bft.sim.market.world import Plan

AAPL = resolved(Contract(con_id=0, symbol="AAPL"))
CALL = resolved(
    Contract(
        con_id=0, symbol="AAPL", sec_type="OPT", expiry=DAY, strike_usd=Decimal(150), right="C"
    )
)
NQ = resolved(Contract(con_id=0, symbol="NQH6", sec_type="FUT"))


@pytest.mark.parametrize(
    ("profile", "contract", "side", "qty", "price", "fee"),
    [
        ("ib_fixed", AAPL, Side.BUY, 100, 50, "1"),  # 0.50, at least 1
        ("ib_fixed", AAPL, Side.BUY, 1000, 10, "5"),
        ("ib_fixed", AAPL, Side.BUY, 1, 5, "0.05"),  # at most 1 %
        ("ib_fixed", AAPL, Side.SELL, 100, 50, "1.15"),  # 0.003 % of 5,000
        ("ib_fixed", CALL, Side.BUY, 1, 2, "1"),
        ("ib_fixed", CALL, Side.SELL, 3, 2, "1.95"),
        ("ib_fixed", NQ, Side.BUY, 2, 20_000, "4.50"),
        ("percent", AAPL, Side.SELL, 100, 50, "5"),
        ("percent", NQ, Side.BUY, 2, 20_000, "4.50"),
    ],
)
def test_fee(profile: str, contract: Contract, side: Side, qty: int, price: int, fee: str) -> None:
    notional = qty * price * contract.multiplier
    assert fee_named(profile)(contract, side, qty, notional) == usd(fee)


def test_unknown_cost_profile_is_a_setting_to_change() -> None:
    with pytest.raises(ConfigError, match=r"ib_tiered.*ib_fixed"):
        fee_named("ib_tiered")


def account(cash: int = 10_000) -> PaperAccount:
    return PaperAccount(name="PAPER", created_at=OPEN, cash_usd=usd(cash))


def book(one: PaperAccount, contract: Contract, moves: list[tuple[int, Any, Any]]) -> None:
    for qty, price, fee in moves:
        side = Side.BUY if qty > 0 else Side.SELL
        trade = {"contract": contract, "side": side, "qty": abs(qty)}
        one.book(Trade(**trade, price_usd=usd(price), fee_usd=usd(fee)))  # type: ignore[arg-type]


def test_stock_through_zero_keeps_cash_and_average() -> None:
    one = account()
    book(one, AAPL, [(10, 100, 1), (10, 110, 1), (-5, 120, 1)])
    held = one.position(AAPL)
    # 2,100 + 2 for 20; five leave with a quarter of the fees
    assert (held.qty, held.average_cost_usd) == (15, usd("105.1"))
    assert one.cash_usd == 10_000 - 1001 - 1101 + 599
    book(one, AAPL, [(-20, 90, 2)])
    held = one.position(AAPL)
    assert (held.qty, held.average_cost_usd) == (-5, usd("89.9"))  # 450 less a quarter of 2
    one.marks["AAPL"] = usd(80)
    assert one.equity_usd() == one.cash_usd - 400
    assert one.available_usd() == one.cash_usd - 800


def test_futures_move_cash_by_what_they_realise() -> None:
    one = account()
    book(one, NQ, [(2, 20_000, "4.5"), (-1, 20_010, "2.25")])
    assert one.cash_usd == usd("10193.25")  # 10 points x 20 less 6.75
    one.marks["NQH6"] = usd(19_990)
    assert one.equity_usd() == usd("9993.25")
    book(one, NQ, [(-3, 19_990, "6.75")])
    assert one.cash_usd == usd("9986.50")
    assert one.position(NQ).qty == -2


def test_what_was_not_quoted_counts_at_the_newest_close() -> None:
    account = PaperAccount(name="PAPER", created_at=OPEN, cash_usd=usd(10_000))
    account.book(Trade(contract=AAPL, side=Side.SELL, qty=10, price_usd=usd(100), fee_usd=usd(0)))
    books = Books(account, seed=0, client_id=10)
    told = [(books.values(OPEN), 10_000, 9_000)]
    books.close_usd = lambda _: usd(90)
    told.append((books.values(OPEN), 10_100, 9_200))
    books.close_usd = lambda _: usd(80)
    told.append((books.values(OPEN), 10_200, 9_400))
    account.marks[AAPL.symbol] = usd(70)
    told.append((books.values(OPEN), 10_300, 9_600))
    for values, equity, available in told:
        assert (values.equity_usd, values.available_usd) == (usd(equity), usd(available))


def test_option_counts_a_hundred() -> None:
    one = account()
    book(one, CALL, [(2, "1.50", "1.30")])
    assert one.cash_usd == usd("9698.70")
    assert one.position(CALL).average_cost_usd == usd("150.65")


# memory ----------------------------------------------------------------------------------


async def traded(seat: Seat) -> None:
    """A day with a partial fill, a cancel, a bracket's exit and a resting order."""
    await seat.at(OPEN)
    await seat.price(100, size=4)
    await seat.order(Side.BUY, 6)
    await settle()
    await seat.price(100.5)
    resting = await seat.order(Side.SELL, 6, order_type=OrderType.LIMIT, limit_price_usd=usd(120))
    other = await seat.order(Side.BUY, 1, order_type=OrderType.LIMIT, limit_price_usd=usd(90))
    await settle()
    seat.broker.cancel(other.order_id)
    await settle()
    assert seat.state_of(resting) == "Submitted"


def restored(path: Path) -> Books:
    rows = PaperLog(path).read()
    found = stored_account(rows)
    assert found is not None
    books = Books(found, seed=0, client_id=10)
    books.load(rows)
    return books


def test_everything_reported_is_on_disk_before(tmp_path: Path) -> None:
    """At each report the file is copied, as kill -9 would leave it."""
    checked = []

    async def story(seat: Seat) -> None:
        def spy(report: Any) -> None:
            copy = tmp_path / "copy.jsonl"
            shutil.copy(tmp_path / "paper.jsonl", copy)
            books = restored(copy)
            if isinstance(report, ExecutionReport):
                kept = books.executions[report.execution.exec_id]
                assert kept.price_usd == report.execution.price_usd
                assert kept.source is FillSource.PAPER
                checked.append("execution")
            if isinstance(report, OrderReport):
                order = report.order
                kept_order = {**books.open, **books.done}[order.order_id].told(10)
                assert kept_order.perm_id == order.perm_id
                checked.append("order")

        seat.also(spy)
        await traded(seat)

    run(running(PaperVenue(), tmp_path, story))
    assert checked.count("execution") == 2
    assert checked.count("order") >= 6


def test_torn_last_line_is_cut_wherever_it_tears(tmp_path: Path) -> None:
    run(running(PaperVenue(), tmp_path, traded))
    path = tmp_path / "paper.jsonl"
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    whole = sum(map(len, lines[:-1]))
    before = PaperLog(path).read()
    for end in (whole, whole + 1, whole + 20, len(data) - 2, len(data) - 1):
        path.write_bytes(data[:end])
        log = PaperLog(path)
        rows = log.read()
        assert rows == before[: len(rows)]
        assert len(rows) < len(before)
        log.append([("order", {})])
        assert PaperLog(path).read() == [*rows, ("order", {})]
        log.close()


def test_broken_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    run(running(PaperVenue(), tmp_path, traded))
    path = tmp_path / "paper.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0].replace(b"PAPER", b"PAPEL"), *lines[1:]]))
    with pytest.raises(DataError, match=r"paper.jsonl:1 is broken"):
        run(running(PaperVenue(), tmp_path, traded))


def test_file_of_another_account_is_refused(tmp_path: Path) -> None:
    run(running(PaperVenue(), tmp_path, traded))
    with pytest.raises(RefusedError, match="holds account PAPER, not OTHER"):
        run(running(PaperVenue(account="OTHER"), tmp_path, traded))


def test_full_disk_ends_the_session_until_it_writes_again(tmp_path: Path) -> None:
    """Nothing is reported that is not on disk; what got there after all is told on request."""
    full: list[bool] = []

    def sync(_: int) -> None:
        if full:
            raise OSError(28, "No space left on device")

    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        full.append(True)
        order = await seat.order(Side.BUY, 1)
        down = await seat.session(SessionState.DOWN)
        assert "No space left" in down.reason
        assert seat.last(order) is None
        await seat.expect(SessionReport, lambda r: r.epoch >= 4)  # tried again, in vain
        full.clear()
        seat.reports.clear()
        await seat.session(SessionState.RECONCILING)
        seat.broker.arm()
        assert seat.of(OrderReport) == seat.of(ExecutionReport) == []
        (found,) = (await seat.broker.snapshot(full=True)).executions or ()
        assert found.order_ref == order.order_ref

    run(running(PaperVenue(sync=sync), tmp_path, story))


@pytest.mark.parametrize("restarts", [False, True])
def test_completed_orders_are_told_for_seven_days(tmp_path: Path, restarts: bool) -> None:
    async def story(seat: Seat) -> None:
        await traded(seat)
        await seat.at(OPEN + timedelta(days=6))
        if restarts:
            await seat.restart()
        assert len(await seat.broker.executions()) == 2
        await seat.at(OPEN + timedelta(days=8))
        if restarts:
            await seat.restart()
        assert await seat.broker.executions() == ()
        assert await seat.broker.completed_orders() == ()
        assert [p.qty for p in (await seat.broker.snapshot()).positions] == [6]

    run(running(PaperVenue(), tmp_path, story))


# timing ----------------------------------------------------------------------------------


def tape(folder: Path, **settings: Any) -> list[str]:
    folder.mkdir()

    async def story(seat: Seat) -> list[str]:
        await traded(seat)
        await seat.at(OPEN + timedelta(seconds=30))
        return [repr(report) for report in seat.reports]

    return run(running(PaperVenue(**settings), folder, story))  # type: ignore[no-any-return]


def test_same_seed_gives_the_same_tape(tmp_path: Path) -> None:
    assert tape(tmp_path / "a", seed=5) == tape(tmp_path / "b", seed=5)
    assert tape(tmp_path / "c", seed=6) != tape(tmp_path / "d", seed=5)


def test_latency_is_within_bounds_and_keeps_the_order(tmp_path: Path) -> None:
    async def story(seat: Seat) -> list[float]:
        await seat.at(OPEN)
        legs = await seat.legs([{"side": Side.BUY, "qty": 1} for _ in range(20)])
        sent = seat.clock.now()
        seen: list[tuple[int, float]] = []

        def note(report: Any) -> None:
            if isinstance(report, OrderReport):
                late = (seat.clock.now() - sent).total_seconds()
                seen.append((report.order.order_id, late))

        seat.also(note)
        for leg in legs:
            seat.broker.place([leg])
        await seat.at(OPEN + timedelta(seconds=1))
        assert [number for number, _ in seen] == [leg.order_id for leg in legs]
        return [late for _, late in seen]

    late = run(running(PaperVenue(latency_s=(0.1, 0.5)), tmp_path, story))
    assert late[0] >= 0.1
    assert late[-1] <= 0.5
    assert len(set(late)) > 1


def test_no_message_arrives_before_its_own_delay() -> None:
    async def main() -> list[float]:
        loop, seen = asyncio.get_running_loop(), []
        wire = Wire((0.1, 0.5), Random(3))
        for _ in range(20):
            wire.send(lambda: seen.append(loop.time()))
        await asyncio.sleep(1)
        return seen

    drawn = Random(3)
    latest = accumulate((drawn.uniform(0.1, 0.5) for _ in range(20)), max)
    assert run(main()) == pytest.approx(list(latest))


def test_bars_play_as_the_clock_reaches_them(tmp_path: Path) -> None:
    minute = timedelta(minutes=1)
    bars = [
        Bar(
            key="AAPL",
            start=OPEN + n * minute,
            end=OPEN + (n + 1) * minute,
            open_usd=usd(100 + n),
            high_usd=usd(101 + n),
            low_usd=usd(99 + n),
            close_usd=usd(100.5 + n),
            volume=1000,
        )
        for n in range(3)
    ]

    async def story(seat: Seat) -> None:
        order = await seat.order(Side.BUY, 150)
        seat.patience_s = 3600
        executions = await seat.filled(order, 150)
        assert [(e.qty, e.price_usd, e.at) for e in executions] == [
            (100, usd("100.05"), OPEN),
            (50, usd("101.0505"), OPEN + minute),
        ]
        with pytest.raises(RefusedError, match="prices come from files"):
            await seat.price(100)

    run(running(PaperVenue(BarPrices(bars)), tmp_path, story))


def test_ticks_that_are_no_prices_are_refused(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        for bad in (usd(0), usd(-1), usd("NaN"), usd("Infinity")):
            with pytest.raises(DataError, match="must be above 0"):
                seat.venue.made.tick("AAPL", bad)  # type: ignore[attr-defined]
        with pytest.raises(DataError, match="above ask"):
            await seat.price(2, 1)

    run(running(PaperVenue(), tmp_path, story))


def test_prices_of_the_vendor_simulator_fill(tmp_path: Path) -> None:
    """The shipped simulator's own answers, at the clock of the test; one is an error page."""

    async def story(seat: Seat) -> None:
        calls: list[str] = []
        plan = Plan(start=date(2025, 6, 2), stocks=8)
        one = Vendor(plan, lambda: Moment(seat.clock.now()), faults.parse("[]", seed=1, where=""))
        symbol = one.world().stocks[0].symbol

        def handle(request: Request) -> tuple[int, str]:
            calls.append(request.params["symbol"])
            if len(calls) == 2:
                return 503, "busy"
            return 200, one.query(request.params, None).body

        async with HttpApp(handle) as app:
            venue = PaperVenue(SimPrices(app.url))
            await venue.open(tmp_path / "sim", seat.clock)
            other = Seat(venue, seat.clock)
            await other.start()
            contract = await other.broker.contract(Contract(con_id=0, symbol=symbol))
            order = await other.order(Side.BUY, 3, contract=contract)
            await other.at(OPEN)
            assert other.of(ExecutionReport) == []  # the vendor still tells Friday
            other.patience_s = 60
            (fill,) = await other.filled(order, 3)
            vendor_says = json.loads(one.query(_asked(symbol), None).body)["data"][0]
            wanted = usd(vendor_says["close"]) * usd("1.0005")
            assert abs(fill.price_usd - wanted) < usd("0.02") * wanted
            assert set(calls) == {symbol}
            await other.broker.stop()

    run(running(PaperVenue(), tmp_path, story))


def _asked(symbol: str) -> dict[str, str]:
    return {"function": "REALTIME_BULK_QUOTES", "symbol": symbol, "apikey": "paper"}
