"""What reports set off later: each doubt once, however often it is heard of."""

import asyncio
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from books import ACCOUNT, AT, bracket_orders
from desk_cases import case
from virtual_time import run

from bft.domain.broker import BrokerOrder
from bft.ledger import entries
from bft.services.executor.hearing import Hearing


@pytest.mark.parametrize("told", [{"status": "Inactive"}, {"filled_qty": Decimal(40)}])
def test_doubt_that_every_list_repeats_asks_once(told: dict[str, Any]) -> None:
    asked = Counter[str]()

    async def story() -> None:
        entry, *_ = bracket_orders()
        held = case(
            entries.intents(AT, intents=[entry], facts=None),
            entries.sent(AT, intent_ids=[entry.intent_id]),
        )
        followers: Any = SimpleNamespace(
            query=lambda **_: asked.update(["query"]), quoted=lambda _: None
        )
        hearing = Hearing(held.desk, followers)
        values: dict[str, Any] = {"status": "Submitted", "filled_qty": Decimal(0), **told}
        order = BrokerOrder(
            order_ref=entry.order_ref,
            perm_id=9,
            order_id=entry.order_id or 0,
            client_id=10,
            account=ACCOUNT,
            contract=entry.contract,
            side=entry.side,
            qty=Decimal(entry.qty),
            order_type="LMT",
            **values,
        )
        for _ in range(6):
            hearing.order(order, epoch=1)
            await asyncio.sleep(0.5)
        await asyncio.sleep(30)

    run(story())
    assert asked == {"query": 1}
