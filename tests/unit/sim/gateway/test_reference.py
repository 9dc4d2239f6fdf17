"""Contracts, chains, rules, names and the time, as the client decodes them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from gateways import AAPL, MORNING, Stage, play
from ib_async import Contract, Future, Option, Stock

from bft.sim.gateway.catalogue import Catalogue, Wanted, expirations, listed, strikes
from bft.sim.gateway.exchange.contracts import MARKET_RULES, stock


def test_stock_details_are_complete() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        (found,) = await ib.reqContractDetailsAsync(Stock("BRK B", "SMART", "USD"))
        assert found.contract is not None
        assert (found.contract.symbol, found.contract.exchange) == ("BRK B", "SMART")
        assert found.longName.startswith("Berkshire")
        assert found.minTick == 0.01
        assert found.marketRuleIds == "26"
        assert "20261120:0930-20261120:1600" in found.liquidHours
        assert "20261121:CLOSED" in found.tradingHours
        assert found.timeZoneId == "America/New_York"
        assert "STP LMT" in found.orderTypes
        (same,) = await ib.reqContractDetailsAsync(Contract(conId=found.contract.conId))
        assert same.contract == found.contract

    play(body)


def test_unknown_contract_ends_with_200_and_an_empty_list() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        assert await ib.reqContractDetailsAsync(Stock("NOPE", "SMART", "USD")) == []
        assert ib.codes[-1][1] == 200

    play(body)


def test_names_with_other_letters_survive() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        for contract in stage.sim.market.catalogue.stocks[:300]:
            if not contract.name.isascii():
                (found,) = await ib.reqContractDetailsAsync(Stock(contract.symbol, "SMART", "USD"))
                assert found.longName == contract.name
                return

    play(body)


def test_chain_lists_what_can_be_qualified() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100, previous=100)
        ib = await stage.client()
        await ib.qualifyContractsAsync(AAPL)
        chains = await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", AAPL.conId)
        assert [c.exchange for c in chains] == ["SMART", "CBOE"]
        chain = chains[0]
        assert (chain.tradingClass, chain.multiplier) == ("AAPL", "100")
        assert len(chain.expirations) == 12
        assert 100.0 in chain.strikes
        call = Option("AAPL", chain.expirations[3], 105, "C", "SMART")
        (qualified,) = await ib.qualifyContractsAsync(call)
        assert qualified is call
        assert call.localSymbol == "AAPL  261211C00105000"
        (details,) = await ib.reqContractDetailsAsync(call)
        assert details.underConId == AAPL.conId
        assert details.contract is not None
        assert (details.contract.strike, details.contract.right) == (105, "C")
        both = await ib.reqContractDetailsAsync(
            Option("AAPL", chain.expirations[3], 105, "", "SMART")
        )
        assert {d.contract.right for d in both if d.contract} == {"C", "P"}
        assert (
            await ib.reqContractDetailsAsync(Option("AAPL", "20261211", 105.1, "C", "SMART")) == []
        )

    play(body)


def test_futures_are_the_next_quarters_with_their_multiplier() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        found = await ib.reqContractDetailsAsync(Future("MNQ", exchange="CME"))
        contracts = [d.contract for d in found if d.contract]
        assert [c.localSymbol for c in contracts][:2] == ["MNQZ6", "MNQH7"]
        assert {c.multiplier for c in contracts} == {"2"}
        assert found[0].minTick == 0.25

    play(body)


def test_market_rules_and_symbols_and_accounts_and_time() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        for number, rule in MARKET_RULES.items():
            told = await ib.reqMarketRuleAsync(number)
            assert [
                (Decimal(str(i.lowEdge)), Decimal(str(i.increment))) for i in told or []
            ] == list(rule)
        samples = await ib.reqMatchingSymbolsAsync("AAP")
        assert [s.contract.symbol for s in samples or [] if s.contract] == ["AAPL", "AAP"]
        assert ib.managedAccounts() == ["DU0000001"]
        told_at = await ib.reqCurrentTimeAsync()
        assert abs((told_at - MORNING).total_seconds()) < 1

    play(body)


@pytest.mark.parametrize(
    ("price", "good"), [("99.01", True), ("99.005", False), ("0.5001", True), ("0.50001", False)]
)
def test_stock_ticks_follow_regulation_nms(price: str, good: bool) -> None:
    assert stock("X").on_tick(Decimal(price)) is good


def test_expirations_are_fridays_or_the_session_before() -> None:
    ends = expirations(date(2026, 3, 30))  # Good Friday is 2026-04-03
    assert ends[0] == "20260402"
    assert len(ends) == 12
    days = [datetime.strptime(end, "%Y%m%d").replace(tzinfo=UTC).weekday() for end in ends]
    assert days.count(4) >= 10


def test_strikes_surround_the_price_evenly() -> None:
    levels = strikes(Decimal("101.37"))
    assert levels[1] - levels[0] == Decimal("2.5")
    assert levels[0] <= Decimal("51") < Decimal("200") <= levels[-1]


def test_contract_ids_do_not_collide() -> None:
    catalogue = Catalogue(listed())
    today, near = date(2026, 11, 20), Decimal(100)
    found = list(catalogue.stocks)
    for symbol in ("AAPL", "MSFT", "GOOG"):
        found += catalogue.find(Wanted(symbol=symbol, sec_type="OPT"), today=today, near=near)
    for root in ("NQ", "MNQ", "ES", "MES"):
        found += catalogue.find(Wanted(symbol=root, sec_type="FUT"), today=today)
    assert len({c.con_id for c in found}) == len(found) > 2000
