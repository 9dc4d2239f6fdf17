"""When an exit that was decided is due."""

import asyncio
from datetime import timedelta
from typing import Any

from books import AAPL, AT, acked
from desk_cases import bought, case
from executors import usd
from virtual_time import run

from bft.domain.broker import Quote
from bft.domain.orders import Leg
from bft.domain.trading import ExitPolicy
from bft.services.executor.day_close import DayClose
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave


class Leaving:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def leave(self, wanted: Leave) -> None:
        self.reasons.append(wanted.reason)

    def left_to_protect(self, cover: Any) -> Any:
        return cover


def test_intraday_policy_leaves_at_the_bar() -> None:
    """A hold of two minutes ends inside the session, of which bars have been closed already."""
    policy = ExitPolicy(stop_frac=0.05, max_hold_s=120, same_session=True)
    held, leaving = case(*bought(policy=policy)[0]), Leaving()
    stop = next(i for i in held.desk.state.intents.values() if i.leg is Leg.STOP)
    held.desk.note(acked(stop, perm_id=12, broker_status="PreSubmitted"))
    guard = Guard(held.desk, None, leaving)  # type: ignore[arg-type]
    closes = DayClose(held.desk, guard)
    for seconds in (0, 61, 119, 125):
        assert leaving.reasons == []
        held.clock.at = AT + timedelta(seconds=seconds)
        closes.quoted(Quote(contract=AAPL, at=held.clock.at, bid_usd=usd(100), ask_usd=usd(100)))
        guard.turn()
    assert leaving.reasons == ["time"]


def test_look_at_one_contract_does_not_put_off_the_look_at_all() -> None:
    turns = list[float]()

    async def story() -> None:
        timer = asyncio.get_running_loop().time
        held, began = case(timer=timer), timer()
        held.desk.took = lambda _what, _seconds: turns.append(round(timer() - began, 1))
        guard = Guard(held.desk, None, None)  # type: ignore[arg-type]
        watching = asyncio.ensure_future(guard.watch())
        await asyncio.sleep(0.9)
        guard.touch(1)
        await asyncio.sleep(0.6)
        watching.cancel()

    run(story())
    assert turns == [0.0, 0.9, 1.0]
