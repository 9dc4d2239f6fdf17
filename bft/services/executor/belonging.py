"""Whose book a root holds, by which clock, up to which day: of another nothing is written.

Positions of a simulated account are missing at any other broker, and counters of a day that is
over count nothing. ADR 0080.
"""

from datetime import datetime

from bft.domain.advice import serve_again
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
    told = remembered(book)
    kept, own = told.get("owner"), owner(broker=route.broker, account=route.account)
    if kept is not None and kept != own:
        raise ForeignStateError(
            f"the book of this root is that of broker {kept}, not of {own}; its positions are not "
            f"there: start it as it was, by its own BFT_ACCOUNT and {serve_again(told)}; or "
            f"{ELSEWHERE}"
        )


def check_clock(book: Book, route: Route, last: JournalRow | None, *, now: datetime) -> None:
    """Refuse the machine's clock to a book of simulated time, save on the same trading day.

    One entry by it, and the next start at the book's own time would be on an earlier day.

    Raises:
        ForeignStateError: it names both instants, and the call that goes on.
    """
    told = remembered(book, last)
    if last is None or route.clock != "system" or told.get("clock", "system") == "system":
        return
    if trading_day(last.entry.at) != trading_day(now):
        leave = f"once with --clock {now:%Y-%m-%dT%H:%M:%SZ}, to go on by the machine's from then"
        back = "" if told["clock"] == "gateway" else f", or {leave}"
        raise ForeignStateError(
            f"the book of this root is kept by --clock {told['clock']}, last at "
            f"{last.entry.at:%Y-%m-%d %H:%M} UTC; the machine's clock says {now:%Y-%m-%d %H:%M} "
            f"UTC, and one entry of that day would bar the way back: start it as it was, by "
            f"{serve_again(told)}{back}; or {ELSEWHERE}"
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


def remembered(book: Book, last: JournalRow | None = None) -> dict[str, str]:
    """What the book remembers of its last start, as `serve_again` takes it."""
    newest = {"last_at": last.entry.at.isoformat()} if last else {}
    names = ["owner", "clock", "flags"]
    rows = book.rows("counters", where={"name": names})
    return newest | {str(row["name"]): str(row["value"]) for row in rows}


def owner(*, broker: str, account: str) -> str:
    """Broker and account as the book remembers them."""
    return f"{broker}, account {account}"
