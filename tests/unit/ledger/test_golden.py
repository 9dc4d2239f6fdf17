"""The money of the second worked example of the strategies specification, section 10."""

from dataclasses import replace
from decimal import Decimal

from books import AAPL, AT, FACTS, after, booked, bracket_orders, fill

from bft.adapters.broker.paper import fee_named
from bft.domain.orders import Side
from bft.ledger import entries
from bft.ledger.fold import replay

D = Decimal
BOUGHT, SOLD, STOP = D("50.217139"), D("44.984636"), D("47.71")


def test_gap_through_a_stop_example_in_money() -> None:
    """200 shares under `ib_fixed`: fees, cash and result to the micro-dollar."""
    fee = fee_named("ib_fixed")
    paid = fee(AAPL, Side.BUY, 200, 200 * BOUGHT), fee(AAPL, Side.SELL, 200, 200 * SOLD)
    assert paid == (D("1.00"), D("1.00") + D("0.269908"))
    cash = D(100_000) - 200 * BOUGHT - paid[0]
    assert cash == D("89955.572200")
    assert cash + 200 * SOLD - paid[1] == D("98951.229492")

    entry, target, stop = (replace(leg, qty=200) for leg in bracket_orders())
    facts = replace(FACTS, stop_price_usd=STOP)
    ids = [leg.intent_id for leg in (entry, target, stop)]
    state = replay(
        [
            entries.intents(AT, intents=(entry, target, stop), facts=facts),
            entries.sent(after(1), intent_ids=ids),
            booked(fill(entry, 200, str(BOUGHT), id="e.01", at=after(2), fee_usd=paid[0])),
            booked(fill(stop, 200, str(SOLD), id="x.01", at=after(3), fee_usd=paid[1])),
        ]
    )
    (trade,) = state.trades.values()
    assert (trade.pnl_usd, trade.fees_usd) == (D("-1048.770508"), D("2.269908"))
    # R of a trade log counts fees (executor specification, 2); the example's -2.0870 does not
    assert trade.r_multiple == D("-2.091568")
    gross = (trade.pnl_usd or D(0)) + trade.fees_usd
    assert round(gross / 200 / (BOUGHT - STOP), 4) == D("-2.0870")
