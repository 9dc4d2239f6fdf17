"""Which prices of a source the paper exchange trades on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bft.adapters.broker.paper.account import PaperAccount
from bft.adapters.broker.paper.board import Board
from bft.adapters.broker.paper.books import Books
from bft.adapters.broker.paper.prices import Price
from bft.adapters.broker.paper.sanity import Sanity
from bft.domain.broker import ErrorReport, Report
from bft.domain.orders import Contract
from bft.ports.broker import BrokerHooks

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)
CLOSE = Decimal(100)


def sanity(told: list[Report]) -> Sanity:
    hooks = BrokerHooks(
        report=told.append,
        next_epoch=lambda: 1,
        id_floor=lambda: 1,
        id_acknowledged=lambda: 0,
        close_usd=close_usd,
    )
    account = PaperAccount(name="PAPER", created_at=AT, cash_usd=Decimal(1000))
    return Sanity(Board(told.append), Books(account, seed=0, client_id=10), hooks)


def close_usd(contract: Contract) -> Decimal | None:
    return CLOSE if contract.symbol in {"AAPL", "AAPL260116C00150000"} else None


def price(value: str, key: str = "AAPL") -> Price:
    one = Decimal(value)
    return Price(key=key, bid_usd=one, ask_usd=one, last_usd=one)


def test_polled_price_far_off_waits_for_the_next_one_near_it() -> None:
    told: list[Report] = []
    judge = sanity(told)
    assert judge.doubt_polled(price("140"), AT) == ""  # 40 % and no more
    assert judge.doubt_polled(price("10000"), AT).startswith("AAPL: price 10000 lies 9,900 % from")
    assert judge.doubt_polled(price("100"), AT) == ""
    assert judge.doubt_polled(price("50"), AT)  # the one before is forgotten
    assert judge.doubt_polled(price("48"), AT) == ""
    assert judge.doubt_polled(price("48"), AT)  # it is for the board to know it from now on


def test_refused_prices_are_told_once_a_minute_of_a_contract() -> None:
    told: list[Report] = []
    judge = sanity(told)
    for second in (0, 1, 59, 60):
        judge.doubt_polled(price(str(1000 * 10**second)[:9]), AT + timedelta(seconds=second))
        judge.doubt_polled(price("100"), AT)
    codes = [report.code for report in told if isinstance(report, ErrorReport)]
    assert codes == [163, 163]


def test_options_and_what_nobody_knows_are_not_judged() -> None:
    judge = sanity([])
    for key in ("AAPL260116C00150000", "ZZZZ"):
        assert judge.doubt_polled(price("10000", key), AT) == ""
