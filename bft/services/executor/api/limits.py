"""At most so many writes a second of one subject. Source: executor specification, section 1.1."""

from collections import deque
from collections.abc import Callable

from bft.domain.orders import Reason
from bft.services.executor.api.problems import Problem


class WriteLimit:
    """A sliding second per subject; memory: subjects seen in the last second."""

    def __init__(self, per_s: Callable[[], int], *, timer: Callable[[], float]) -> None:
        self._per_s, self._timer = per_s, timer
        self._seen: dict[str, deque[float]] = {}

    def count(self, subject: str) -> None:
        """Count a write.

        Raises:
            Problem: 429, too many within a second.
        """
        now, most = self._timer(), self._per_s()
        seen = self._seen.setdefault(subject, deque())
        while seen and now - seen[0] >= 1.0:
            seen.popleft()
        if len(seen) >= most:
            headers = {"Retry-After": "1"}
            text = f"more than {most} writes a second; try again"
            raise Problem(429, Reason.RATE, text, headers=headers)
        seen.append(now)
        if len(self._seen) > 1000:
            self._seen = {name: at for name, at in self._seen.items() if at and now - at[-1] < 1.0}
