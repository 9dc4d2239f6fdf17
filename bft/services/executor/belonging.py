"""Whose book a root holds, and up to which day: refused before anything of another is written.

Positions of a simulated account are missing at any other broker, and counters of a day that is
over count nothing. ADR 0080.
"""

from datetime import datetime

from bft.domain.errors import ForeignStateError
from bft.domain.journal import JournalRow
from bft.domain.trading_days import trading_day
from bft.ports import Book
from bft.services.executor.live_lock import Route

ELSEWHERE = "give another --root (docs/executor.md, Where things are)"


def check_owner(book: Book, route: Route) -> None:
    """Refuse the book of another broker or account; one that nobody owns yet is anybody's.

    Raises:
        ForeignStateError: it names both.
    """
    for row in book.rows("counters", where={"name": "owner"}):
        kept, own = str(row["value"]), owner(broker=route.broker, account=route.account)
        if kept != own:
            raise ForeignStateError(
                f"the book of this root is that of broker {kept}, not of {own}; its positions are "
                f"not there: start with its own --broker and BFT_ACCOUNT, or {ELSEWHERE}"
            )


def check_day(last: JournalRow | None, *, now: datetime) -> None:
    """Refuse a clock whose trading day is before that of the journal's newest entry.

    Raises:
        ForeignStateError: it names both instants.
    """
    if last is None or trading_day(last.entry.at) <= trading_day(now):
        return
    raise ForeignStateError(
        f"the journal's last entry is of {last.entry.at:%Y-%m-%d %H:%M} UTC, the clock says "
        f"{now:%Y-%m-%d %H:%M} UTC, an earlier trading day whose limits would count nothing; give "
        f"a later time (gateway-sim --at, executor --clock), or {ELSEWHERE}"
    )


def owner(*, broker: str, account: str) -> str:
    """Broker and account as the book remembers them."""
    return f"{broker}, account {account}"
