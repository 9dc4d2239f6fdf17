"""Accounts: figures worked by hand, and what the client holds of them."""

import asyncio
from decimal import Decimal

from gateways import AAPL, Stage, play, settle
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async import Future, MarketOrder, Option

from bft.domain.orders import Side
from bft.sim.gateway.exchange.accounts import Account, Fill, Position, book, fee, unrealised
from bft.sim.gateway.exchange.contracts import future, option, stock


def d(text: object) -> Decimal:
    return Decimal(str(text))


def fill(side: str, qty: object, price: object, cost: object) -> Fill:
    return Fill(side=Side(side), qty=d(qty), price=d(price), fee=d(cost))


def test_average_cost_carries_fees_and_closing_realises_net_of_fees() -> None:
    account = Account(name="DU1", cash=d(1000))
    held = Position(account="DU1", contract=stock("X"))
    assert book(account, held, fill("BUY", 10, 10, 1)) is None
    assert book(account, held, fill("BUY", 10, 12, 1)) is None
    assert held.cost == d("11.1")  # (100 + 1 + 120 + 1) / 20
    assert book(account, held, fill("SELL", 5, 13, 1)) == d("8.50")  # 5 x (13 - 11.1) - 1
    assert (held.qty, held.cost, account.cash) == (15, d("11.1"), d("842"))
    # through zero: 15 close, 5 open short; the fee of 2 splits 1.5 and 0.5
    assert book(account, held, fill("SELL", 20, 12, 2)) == d("12.00")  # 15 x 0.9 - 1.5
    assert (held.qty, held.cost) == (-5, d("11.9"))  # (60 - 0.5) / 5


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 50), st.integers(100, 200)),
        min_size=1,
        max_size=20,
    )
)
def test_equity_is_start_plus_trading_less_fees(trades: list[tuple[str, int, int]]) -> None:
    """Cash and value move by price differences and fees alone, whatever the order of fills."""
    for contract in (
        stock("X"),
        option(stock("X"), "20261218", "C", d(100)),
        future("NQ", "20261218"),
    ):
        account, held = Account(name="DU1", cash=d(0)), Position(account="DU1", contract=contract)
        mark, size = d(150), contract.multiplier
        expected = d(0)
        for side, qty, price in trades:
            cost = fee(contract, d(qty), d(price))
            book(account, held, fill(side, qty, price, cost))
            expected += Side(side).sign * qty * (mark - price) * size - cost
        is_future = contract.sec_type == "FUT"
        worth = unrealised(held, mark) if is_future else held.qty * mark * size
        assert abs(account.cash + worth - expected) < d("0.0001")


def test_commission_has_a_least_and_a_most() -> None:
    one = stock("X")
    assert fee(one, d(100), d(50)) == d("1.00")
    assert fee(one, d(1000), d(50)) == d("5.00")
    assert fee(one, d(10), d(2)) == d("0.20")  # 1 % of 20 dollars
    assert fee(option(one, "20261218", "C", d(50)), d(3), d(1)) == d("1.95")


def test_values_positions_and_portfolio_agree_with_the_books() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, previous=99)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 300))
        stage.tick(104, 104.02, last=104)
        await asyncio.sleep(3.1)  # account updates come at most every 3 s
        values = {v.tag: v.value for v in ib.accountValues() if v.currency in {"USD", ""}}
        cash = 1_000_000 - 300 * 100.02 - 1.5
        assert values["AccountType"] == "SIMULATED"
        assert float(values["TotalCashValue"]) == cash
        assert float(values["NetLiquidation"]) == cash + 300 * 104
        assert float(values["GrossPositionValue"]) == 31_200
        assert float(values["InitMarginReq"]) == 15_600
        assert float(values["AvailableFunds"]) == cash + 300 * 104 - 15_600
        (item,) = ib.portfolio()
        assert (item.position, item.marketPrice, item.marketValue) == (300, 104, 31_200)
        assert abs(item.unrealizedPNL - (300 * (104 - 100.02) - 1.5)) < 1e-6
        assert item.contract.primaryExchange == "NASDAQ"
        (held,) = ib.positions()
        assert abs(held.avgCost - (100.02 + 1.5 / 300)) < 1e-6

    play(body)


def test_account_updates_come_at_most_every_three_seconds() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        ib.heard.clear()
        for n in range(20):
            stage.tick(100 + n, 100.02 + n)
            await asyncio.sleep(0.5)
        assert 3 <= len(ib.heard.of(8)) <= 4  # one clock message an update, 10 s

    play(body)


def test_summary_covers_all_accounts_tags_and_the_ledger() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        rows = await ib.accountSummaryAsync()
        assert {row.account for row in rows} == {"DU1", "DU2"}
        tags = {row.tag for row in rows}
        assert {"AccountType", "BuyingPower", "DayTradesRemainingT+4", "Leverage"} <= tags
        assert {"CashBalance", "ExchangeRate"} <= tags  # of $LEDGER:ALL
        assert {r.value for r in rows if r.tag == "NetLiquidation"} == {"1000000.00"}
        ib.heard.clear()
        await asyncio.sleep(181)
        assert len(ib.heard.of(64)) == 1  # again every three minutes

    play(body, accounts=("DU1", "DU2"))


def test_profit_and_loss_of_account_and_position() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 100))
        await ib.qualifyContractsAsync(AAPL)
        whole = ib.reqPnL("DU0000001")
        single = ib.reqPnLSingle("DU0000001", "", AAPL.conId)
        await settle()
        assert (whole.dailyPnL, whole.unrealizedPnL, whole.realizedPnL) == (-1, -1, 0)
        await stage.place(ib, MarketOrder("SELL", 40))
        stage.tick(105, 105, last=105)
        await asyncio.sleep(1.1)
        realised = 40 * (100 - 100.01) - 1
        assert abs(whole.realizedPnL - realised) < 1e-6
        assert abs(whole.unrealizedPnL - 60 * (105 - 100.01)) < 1e-6
        assert abs(whole.dailyPnL - (60 * 5 - 2)) < 1e-6
        assert (single.position, single.value) == (60, 6300)
        ib.cancelPnL("DU0000001")
        await settle()

    play(body)


def test_positions_are_pushed_to_whoever_follows_them() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100)
        ib, watcher = await stage.client(10), await stage.client(20)
        await stage.place(ib, MarketOrder("BUY", 5))
        assert [p.position for p in watcher.positions()] == [5]
        await stage.place(ib, MarketOrder("SELL", 5))
        assert watcher.positions() == []

    play(body)


def test_options_and_futures_book_their_multipliers() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100, previous=100)
        ib = await stage.client()
        call = Option("AAPL", "20261218", 100, "C", "SMART")
        nq = Future("NQ", "20261218", "CME")
        await ib.qualifyContractsAsync(call, nq)
        stage.sim.tick(stage.sim.contract(call.localSymbol), bid="2.00", ask="2.05", last="2.05")
        stage.tick(20_000, 20_000.25, symbol="NQZ6")
        await stage.place(ib, MarketOrder("BUY", 3), contract=call)
        await stage.place(ib, MarketOrder("BUY", 1), contract=nq)
        cost = {p.contract.secType: p.avgCost for p in ib.positions()}
        assert abs(cost["OPT"] - (205 + 1.95 / 3)) < 1e-6
        assert abs(cost["FUT"] - (20_000.25 * 20 + 2.25)) < 1e-6
        cash = stage.sim.exchange.books.accounts["DU0000001"].cash
        assert cash == d(1_000_000) - 3 * 205 - d("1.95")  # a future is not paid for

    play(body)
