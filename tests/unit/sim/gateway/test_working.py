"""The index of live orders against a plain look at all of them."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bft.domain.orders import Side
from bft.sim.gateway.exchange.contracts import stock
from bft.sim.gateway.exchange.orders import Order, Quote, Status, Terms
from bft.sim.gateway.exchange.working import Working

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SHARE = stock("AAPL")
KINDS = ("MKT", "LMT", "STP", "STP LMT", "TRAIL")


def order(rng: random.Random, number: int) -> Order:
    kind = rng.choice(KINDS)
    price = Decimal(rng.randint(90, 110))
    terms = Terms(
        client_id=10,
        order_id=number,
        contract=SHARE,
        account=rng.choice(["DU1", "DU2"]),
        side=rng.choice(list(Side)),
        qty=Decimal(10),
        kind=kind,
        limit=price if "LMT" in kind else None,
        oca_group=rng.choice(["", "a", "b"]),
        parent_id=rng.choice([0, 0, 1, 2]),
    )
    return Order(
        terms=terms,
        perm_id=number,
        status=rng.choice([Status.SUBMITTED, Status.PRESUBMITTED]),
        created_at=AT,
        expires_at=rng.choice([None, AT + timedelta(hours=rng.randint(1, 9))]),
        stop=Decimal(rng.randint(90, 110)) if kind.startswith("STP") else None,
        reserve=Decimal(rng.choice([0, 25, 50])),
    )


def change(rng: random.Random, one: Order) -> None:
    """What the exchange does to a live order."""
    one.why_held = rng.choice(["", "", "child"])
    one.triggered = rng.random() < 0.3
    one.filled = Decimal(rng.randint(0, 9))
    if one.stop is not None:
        one.stop = Decimal(rng.randint(90, 110))


def quote(rng: random.Random) -> Quote:
    bid = Decimal(rng.choice([0, rng.randint(88, 112)]))
    prices = dict.fromkeys(("open", "high", "low", "previous"), Decimal(100))
    sizes = dict.fromkeys(("bid_size", "ask_size", "last_size", "volume"), Decimal(100))
    ask, last = bid + rng.randint(0, 2), Decimal(rng.randint(88, 112))
    return Quote(at=AT, bid=bid, ask=ask, last=last, **prices, **sizes)


def may_act(one: Order, now: Quote) -> bool:
    """Whether a quote could trigger or fill an order, from the words of its kind."""
    terms = one.terms
    seen = [p for p in (now.last, now.bid, now.ask, now.mid) if p > 0]
    if terms.kind.startswith("STP") and not one.triggered:
        assert one.stop is not None
        buys = terms.side is Side.BUY
        return any(p >= one.stop if buys else p <= one.stop for p in seen)
    if terms.limit is not None:
        return now.ask <= terms.limit if terms.side is Side.BUY else now.bid >= terms.limit
    return True


def compare(working: Working, live: dict[int, Order], now: Quote) -> None:
    orders = [live[number] for number in sorted(live)]
    assert working.live() == orders
    found = working.reached(SHARE.con_id, now)
    assert found == [o for o in orders if o.works and may_act(o, now)]
    for account in ("DU1", "DU2"):
        mine = [o for o in orders if o.terms.account == account]
        assert working.reserved(account) == sum(o.reserve * o.remaining for o in mine)
    ends = [o.expires_at for o in orders if o.expires_at is not None]
    assert working.next_expiry() == min(ends, default=None)
    for one in orders[:5]:
        same = (one.terms.account, one.terms.oca_group)
        wanted = [o for o in orders if (o.terms.account, o.terms.oca_group) == same]
        assert working.group(one) == [o for o in wanted if o is not one and same[1]]
        children = [o for o in orders if o.terms.parent_id == one.terms.order_id]
        assert working.children(one) == children


def test_index_finds_what_a_look_at_all_orders_finds() -> None:
    rng = random.Random(5)
    working, live = Working(), dict[int, Order]()
    for number in range(1, 800):
        made = order(rng, number)
        live[number] = made
        working.add(made)
        for one in rng.sample(list(live.values()), min(3, len(live))):
            change(rng, one)
            working.note(one)
        if rng.random() < 0.8:
            gone = live.pop(rng.choice(list(live)))
            gone.status = Status.CANCELLED
            working.remove(gone)
            working.note(gone)
        if number % 10 == 0:
            compare(working, live, quote(rng))
    assert len(live) > 100
