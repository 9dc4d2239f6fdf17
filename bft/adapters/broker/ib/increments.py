"""Price steps of contracts whose steps differ by price: market rules.

Source: wire specification, sections 3 and 5 (reqMarketRule); TWS API, minimum price increment.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal

import ib_async

Steps = tuple[tuple[Decimal, Decimal], ...]


class MarketRules:
    """Rules of one connection, each asked for once."""

    def __init__(self) -> None:
        self._asked: dict[int, asyncio.Future[Steps]] = {}

    def told(self, number: int, increments: Iterable[ib_async.PriceIncrement]) -> None:
        """The answer: (low edge, increment) pairs."""
        waiting = self._asked.get(number)
        if waiting is not None and not waiting.done():
            pairs = ((Decimal(str(i.lowEdge)), Decimal(str(i.increment))) for i in increments)
            waiting.set_result(tuple(sorted((low, step) for low, step in pairs if step > 0)))

    async def steps(self, number: int, ask: Callable[[int], None], timeout_s: float) -> Steps:
        """Steps of a rule; none where the gateway does not tell them in time."""
        if number not in self._asked:
            self._asked[number] = asyncio.get_running_loop().create_future()
            ask(number)
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._asked[number]), timeout_s)
        self._asked.pop(number, None)
        return ()


def rule_of(details: ib_async.ContractDetails) -> int | None:
    """Number of the rule that holds for orders to SMART, else of the first exchange."""
    rules = [text.strip() for text in details.marketRuleIds.split(",")]
    places = details.validExchanges.split(",")
    at = places.index("SMART") if "SMART" in places else 0
    text = rules[at] if at < len(rules) else rules[0]
    return int(text) if text.isdigit() else None
