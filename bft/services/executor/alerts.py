"""Alerts: which are told, how often, and what is only counted.

Source: executor specification, section 14.
"""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bft.domain.alerts import PAGES, WARNINGS, runbook
from bft.domain.runs import Json

SAME_S, PER_MINUTE, PER_HOUR = 300, 10, 50
MINUTE_S, HOUR_S = 60, 3600


class Severity(StrEnum):
    """Who is told: page wakes a person, warn waits for one, info is kept."""

    PAGE = "page"
    WARN = "warn"
    INFO = "info"


def severity(name: str) -> Severity:
    """Severity of an alert by its name; names outside both lists are information."""
    if name in PAGES:
        return Severity.PAGE
    return Severity.WARN if name in WARNINGS else Severity.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person is told: what, about which key, in words."""

    name: str
    key: str
    text: str
    at: datetime

    @property
    def severity(self) -> Severity:
        """See `severity`."""
        return severity(self.name)


def mail(told: Json) -> tuple[str, str]:
    """Subject and text of a notification: what it is, and where it says what to do."""
    subject = f"[bft {told['severity']}] {told['name']}: {told['key']}"
    where = runbook(str(told["name"]))
    return subject, str(told["text"]) + (f"\nWhat to do: {where}" if where else "")


class Passage(StrEnum):
    """What becomes of an alert: sent and kept, kept for who looks, or neither."""

    SENT = "sent"
    KEPT = "kept"
    DROPPED = "dropped"


class Throttle:
    """Lets an alert through once per (name, key) and 300 s, at most 10 a minute and 50 an hour.

    Pages have these limits for themselves: many warnings hold no page back (decision record 54).
    What is held back is counted; `summary` tells it as one line. One of each name and 300 s of it
    is kept, so that people who look do not take for over what goes on. Instants are seconds of a
    monotonic timer: a clock that is set back silences nothing (specification, section 12, F6).
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}
        self._named: dict[str, float] = {}
        self._pages, self._others = deque[float](), deque[float]()
        self._held: Counter[str] = Counter()

    def passes(self, alert: Alert, now_s: float) -> Passage:
        """What becomes of this alert; a repeat within 300 s is dropped without a word."""
        last = self._last.get((alert.name, alert.key))
        if last is not None and now_s - last < SAME_S:
            return Passage.DROPPED
        self._forget(now_s)
        self._last[alert.name, alert.key] = now_s
        sent = self._pages if alert.severity is Severity.PAGE else self._others
        minute = sum(1 for at in sent if now_s - at < MINUTE_S)
        if minute < PER_MINUTE and len(sent) < PER_HOUR:
            sent.append(now_s)
            self._named[alert.name] = now_s
            return Passage.SENT
        self._held[alert.name] += 1
        named = self._named.get(alert.name)
        if named is not None and now_s - named < SAME_S:
            return Passage.DROPPED
        self._named[alert.name] = now_s
        return Passage.KEPT

    def summary(self, now_s: float) -> str | None:
        """One line about what was held back, once there is room again; then it is forgotten."""
        self._forget(now_s)
        if not self._held or max(len(self._pages), len(self._others)) >= PER_HOUR:
            return None
        if any(now_s - sent[-1] < MINUTE_S for sent in (self._pages, self._others) if sent):
            return None
        told = ", ".join(f"{name} x{count}" for name, count in sorted(self._held.items()))
        self._held.clear()
        self._others.append(now_s)
        return f"suppressed alerts: {told}"

    def _forget(self, now_s: float) -> None:
        for sent in (self._pages, self._others):
            while sent and now_s - sent[0] >= HOUR_S:
                sent.popleft()
        stale = [k for k, at in self._last.items() if now_s - at >= SAME_S]
        for key in stale:
            del self._last[key]
