"""Cancels that hold: asked for again until their order has ended, over outages and silence.

Source: executor specification, section 1.1 (DELETE /v1/orders: queued for the reconnect).
"""

from bft.domain.orders import Intent, IntentState
from bft.services.executor.desk import Desk
from bft.services.executor.sending import Sender

REPEAT_S, DOUBT_S = 2.0, 10.0  # of an order that nobody knows each cancel costs a look at the lists


class Cancelling:
    """Remembers which orders shall end; a turn a second."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk, self._sender = desk, sender
        self._wished: dict[str, tuple[str, float]] = {}  # why, and when it was asked for last

    def cancel(self, intent: Intent, *, why: str) -> None:
        """See to it that an order ends; one that was never sent lapses at once."""
        self._wished.setdefault(intent.intent_id, (why, float("-inf")))
        self.turn()

    def turn(self) -> None:
        """Ask again where an order works on: a session may have taken the last cancel along."""
        now = self._desk.timer()
        for intent_id, (why, asked) in list(self._wished.items()):
            intent = self._desk.state.intents.get(intent_id)
            if intent is None or intent.state.terminal:
                del self._wished[intent_id]
            elif now - asked >= _pause_s(intent) and self._may(intent):
                self._wished[intent_id] = (why, now)
                self._desk.spawn(self._sender.cancel(intent, why=why), f"cancel: {why}")

    def _may(self, intent: Intent) -> bool:
        """Not while an answer is awaited; it turns to UNKNOWN where none comes."""
        if intent.state is IntentState.RESERVED:
            return True
        return self._desk.broker.state.may_cancel and intent.state is not IntentState.CANCEL_PENDING


def _pause_s(intent: Intent) -> float:
    return DOUBT_S if intent.state is IntentState.UNKNOWN else REPEAT_S
