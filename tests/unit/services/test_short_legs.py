"""Short options: a combination's leg is closed where nothing covers it, a person's own never."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from books import ACCOUNT, AT, CALL, booked, fill
from desk_cases import case

from bft.domain.orders import Side
from bft.services.executor.short_legs import ShortLegs

MINUTE = timedelta(minutes=1)
STEPS = ((Decimal(0), Decimal("0.05")), (Decimal(3), Decimal("0.10")))


def test_own_short_option_stays_when_an_older_trade_told_its_contract_otherwise() -> None:
    """What memory lets go of takes along how the contract was told; it is the same contract."""
    newer = replace(CALL, increments=STEPS)
    desk = case(
        booked(fill(None, 1, "5", id="a.01", contract=CALL)),
        booked(fill(None, 1, "5", id="b.01", contract=CALL, side=Side.SELL, at=AT + 1 * MINUTE)),
        booked(fill(None, 2, "5", id="c.01", contract=newer, side=Side.SELL, at=AT + 2 * MINUTE)),
    )
    legs = ShortLegs(desk.desk)
    desk.desk.state.lines[ACCOUNT, CALL.con_id].forget(2)
    assert list(legs.uncovered()) == []
    desk.wait(seconds=5)
    assert list(legs.uncovered()) == []
