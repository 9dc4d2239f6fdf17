"""When an exit that was decided is due."""

from datetime import timedelta
from typing import Any

from books import AAPL, AT, acked
from desk_cases import bought, case
from executors import usd

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
