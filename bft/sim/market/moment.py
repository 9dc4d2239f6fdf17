"""When a question is asked: what has closed, and what is running."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from bft.domain import sessions
from bft.domain.errors import DataError


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as the vendor sees it."""

    at: datetime

    @property
    def day(self) -> date:
        """Newest closed session."""
        return sessions.last_closed(self.at)

    @property
    def running(self) -> date | None:
        """Session in progress, if any."""
        today = self.at.astimezone(sessions.NEW_YORK).date()
        is_open = sessions.is_session(today) and sessions.open_at(today) <= self.at
        return today if is_open and self.at < sessions.close_at(today) else None

    @property
    def local(self) -> np.datetime64:
        """New York time, to the minute."""
        return np.datetime64(self.at.astimezone(sessions.NEW_YORK).replace(tzinfo=None), "m")

    @property
    def today(self) -> np.datetime64:
        """New York date."""
        return np.datetime64(self.at.astimezone(sessions.NEW_YORK).date())


def moment_of(text: str) -> Moment:
    """Moment of a header: a date means that evening, 18:00 New York; or an instant with zone.

    Raises:
        DataError: neither.
    """
    try:
        if len(text) == 10:
            return Moment(sessions.evening(date.fromisoformat(text)))
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901  told from an instant by its missing zone
    if at.tzinfo is None:
        raise DataError(f"X-Bft-Asof {text!r}: a date such as 2025-01-06, or an instant with zone")
    return Moment(at.astimezone(UTC))
