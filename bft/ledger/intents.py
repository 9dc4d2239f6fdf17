"""Orders by id, with the places that are asked for all the time kept ready."""

from bisect import bisect_left, bisect_right, insort
from datetime import datetime

from bft.domain.orders import Intent, Leg


class Intents(dict[str, Intent]):
    """A dict of orders that also knows which live, and which belong together.

    Written only by item: `intents[id] = intent` and `del intents[id]`. `entries_sent` are the
    instants at which entries left, ascending; they count against the limits of a minute.
    """

    __slots__ = ("_by_entry", "_by_signal", "_live", "entries_sent")

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[str, Intent] = {}
        self._by_entry: dict[str, dict[str, None]] = {}
        self._by_signal: dict[str, dict[str, None]] = {}
        self.entries_sent: list[datetime] = []

    def __setitem__(self, intent_id: str, intent: Intent) -> None:
        old = self.get(intent_id)
        super().__setitem__(intent_id, intent)
        if old is None:
            self._by_signal.setdefault(intent.signal_id, {})[intent_id] = None
            if intent.parent_id is not None:
                self._by_entry.setdefault(intent.parent_id, {})[intent_id] = None
        if intent.state.terminal:
            self._live.pop(intent_id, None)
        else:
            self._live[intent_id] = intent
        before, now = _sent_entry(old), _sent_entry(intent)
        if before != now:
            self._replace_sent(before, now)

    def __delitem__(self, intent_id: str) -> None:
        old = self.pop(intent_id)
        self._live.pop(intent_id, None)
        _drop(self._by_signal, old.signal_id, intent_id)
        if old.parent_id is not None:
            _drop(self._by_entry, old.parent_id, intent_id)
        self._replace_sent(_sent_entry(old), None)

    def live(self) -> list[Intent]:
        """Orders that are not terminal."""
        return list(self._live.values())

    def legs(self, entry_id: str) -> list[Intent]:
        """Orders whose parent is an entry, in order of commitment."""
        return [self[name] for name in self._by_entry.get(entry_id, ())]

    def of_signal(self, signal_id: str) -> list[Intent]:
        """Orders of a signal, in order of commitment."""
        return [self[name] for name in self._by_signal.get(signal_id, ())]

    def sent_after(self, at: datetime) -> int:
        """How many entries left after an instant."""
        return len(self.entries_sent) - bisect_right(self.entries_sent, at)

    def _replace_sent(self, before: datetime | None, now: datetime | None) -> None:
        if before is not None:
            del self.entries_sent[bisect_left(self.entries_sent, before)]
        if now is not None:
            insort(self.entries_sent, now)


def _sent_entry(intent: Intent | None) -> datetime | None:
    return intent.sent_at if intent is not None and intent.leg is Leg.ENTRY else None


def _drop(index: dict[str, dict[str, None]], key: str, intent_id: str) -> None:
    names = index[key]
    del names[intent_id]
    if not names:
        del index[key]
