"""Room for a part of a position: its protection steps aside before its order leaves.

In the bracket's group the part's fill would end stop and target of the units that stay. So it
leaves beside the group, once stop and target are down to what stays: together they never close
more than is held. Source: decision record 0097.
"""

from bft.domain.orders import Leg
from bft.services.executor.desk import Desk
from bft.services.executor.protection import may_fill

LATE_S = 5.0  # a part for which no room is made by then joins the group
LATELY_S = 3.0  # what is still wanted is asked for each second


class Room:
    """Which parts wait for their protection to step aside, by bracket."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: dict[str, tuple[int, float]] = {}
        self._since: dict[str, float] = {}

    def ask(self, entry: str, qty: int) -> None:
        """A part of so many units leaves, and some have no order yet; 0: all have, or none may."""
        now = self._desk.timer()
        if qty <= 0:
            self._asked.pop(entry, None)
            self._since.pop(entry, None)
            return
        if not self.asked_qty(entry):
            self._since[entry] = now
        self._asked[entry] = qty, now

    def asked_qty(self, entry: str) -> int:
        """Units of a part that stop and target leave free, for an order in flight or to come."""
        qty, at = self._asked.get(entry, (0, 0.0))
        return qty if self._desk.timer() - at <= LATELY_S else 0

    def late(self, entry: str) -> bool:
        """Whether it has been waited for too long."""
        since = self._since.get(entry)
        return since is not None and self._desk.timer() - since >= LATE_S

    def free(self, entry: str, keeps_qty: int) -> bool:
        """Whether stop and target could close no more than the units that stay."""
        legs = [leg for leg in self._desk.state.live_intents() if leg.parent_id == entry]
        return all(
            sum(leg.remaining_qty for leg in legs if leg.leg is kind and may_fill(leg)) <= keeps_qty
            for kind in (Leg.STOP, Leg.TARGET)
        )
