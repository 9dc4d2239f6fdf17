"""What a person holds in another currency: no number of it is taken for dollars."""

from dataclasses import replace
from typing import Any

from books import AAPL, after, booked, fill
from desk_cases import Case, bought, case, facts_of
from executors import TRADER, signal

from bft.domain.orders import Contract, Side
from bft.risk import decide
from bft.risk.losses import day_loss_usd

TOYOTA = Contract(con_id=99, symbol="7203", exchange="TSEJ", currency="JPY")


def yen(price: str, *, side: Side = Side.BUY, id: str = "y.01", **given: Any) -> Any:
    told = fill(None, 100, price, id=id, **given)
    return booked(replace(told, contract=TOYOTA, side=side))


def held(*told: Any) -> Case:
    found = case(*told)
    found.price(TOYOTA, 2430)
    found.equity(100_000)
    return found


def test_its_fall_is_unknown_to_entries_and_no_loss_that_closes_all() -> None:
    """70 yen a share on 100 shares are some 47 USD, not the 7,000 beyond every cap."""
    book = held(yen("2500"))
    facts = facts_of(book.desk)
    assert facts.unrealised_change_usd() is None
    assert facts.sure_change_usd() == 0
    assert facts.book("").unpriced == (
        "7203 is priced in JPY, not USD; keep it in another account",
    )
    context = facts.context(signal(), TRADER, contract=None, matches=0)
    rule = {r.number: r for r in decide.evaluate(signal(), context).rules}[21]
    assert (rule.verdict, "JPY" in rule.note) == ("missing", True)
    assert not decide.halts_to_set(decide.evaluate(signal(), context))


def test_a_loss_of_ours_beside_it_is_seen_all_the_same() -> None:
    book = held(*bought()[0], yen("2500"))
    book.price(AAPL, 60)
    assert facts_of(book.desk).sure_change_usd() == -4000
    assert facts_of(book.desk).unrealised_change_usd() is None


def test_its_realised_loss_counts_to_no_limit_of_dollars() -> None:
    book = held(yen("2500"), yen("2400", side=Side.SELL, id="z.01", at=after(60)))
    facts = facts_of(book.desk)
    assert facts.book("").realised_usd == 0
    assert day_loss_usd(facts.book("")) == 0
