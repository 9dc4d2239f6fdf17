"""Room for a part of a position: its protection steps aside before its order leaves.

In the bracket's group the part's fill would end stop and target of the units that stay. So it
leaves beside the group, once stop and target are down to what stays: together they never close
more than is held. Source: decision record 0097.
"""

from bft.domain.orders import Leg
from bft.services.executor.desk import Desk
from bft.services.executor.protection import may_fill

LATE_S = 5.0  # a part for which no room is made by then joins the group
NEVER = float("-inf")
LATELY_S = 3.0  # what is still wanted is asked for each second


class Room:
    """Which brackets have a part that waits for its protection to step aside."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked_s: dict[str, float] = {}
        self._since_s: dict[str, float] = {}
        self._given_back: set[str] = set()

    def ask(self, entry: str, *, keeps_qty: int | None) -> None:
        """A part may leave, and not all of it has an order; None: all has, or none may.

        A process that ends cuts no other protection: the next one does. What is cut already stays
        so for the order that leaves beside it.
        """
        now = self._desk.timer()
        begun = self.asked(entry) or (keeps_qty is not None and self.free(entry, keeps_qty))
        ends = self._desk.closing_down and not begun
        if keeps_qty is None or ends or entry in self._given_back:
            self._asked_s.pop(entry, None)
            self._since_s.pop(entry, None)
            return
        if not self.asked(entry):
            self._since_s[entry] = now
        self._asked_s[entry] = now

    def asked(self, entry: str) -> bool:
        """Whether room was asked for a moment ago."""
        return self._desk.timer() - self._asked_s.get(entry, NEVER) <= LATELY_S

    def give_back(self, entry: str) -> None:
        """The part does not leave in this process any more: its protection comes back."""
        self._given_back.add(entry)
        self.ask(entry, keeps_qty=None)

    def given_back(self, entry: str | None) -> bool:
        """Whether no order of a part may leave any more."""
        return entry in self._given_back

    def late(self, entry: str) -> bool:
        """Whether it has been waited for too long; a group that nobody watches is no way out."""
        since = self._since_s.get(entry)
        waited = since is not None and self._desk.timer() - since >= LATE_S
        return waited and not self._desk.closing_down

    def free(self, entry: str, keeps_qty: int) -> bool:
        """Whether stop and target could close no more than the units that stay."""
        legs = self._desk.state.intents.legs(entry)
        return all(
            sum(leg.remaining_qty for leg in legs if leg.leg is kind and may_fill(leg)) <= keeps_qty
            for kind in (Leg.STOP, Leg.TARGET)
        )
