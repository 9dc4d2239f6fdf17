"""What a new process makes of the orders that the one before left in the middle.

Source: executor specification, section 3 (RESERVED on restart) and F1.
"""

from datetime import datetime

from bft.domain.errors import DataError
from bft.domain.journal import Entry, JournalRow
from bft.domain.orders import IntentState
from bft.ledger import entries
from bft.ledger.records import Halt
from bft.ledger.verify import compare
from bft.ports import Book, Page
from bft.services.executor.desk import Desk
from bft.services.executor.marker import Process

DOUBTFUL = frozenset({IntentState.SENT, IntentState.CANCEL_PENDING})


def whole(book: Book, *, at: datetime) -> tuple[JournalRow | None, str | None]:
    """The journal's last row, a torn tail set aside; what was done about one, or None.

    Tables that say more than the journal does are made to say the same.

    Raises:
        DataError: more than the last row is broken.
    """
    try:
        return book.verify_chain(), None
    except DataError as error:
        last = book.set_aside(at=at, reason=str(error))
        told = (row.entry for row in book.journal())
        repairs = [difference.repair for difference in compare(told, book.rows)]
        if repairs:
            book.commit([Page(entries=(), rows=repairs)], now=at)
        return last, f"{error}; it was set aside, {len(repairs)} rows follow the journal again"


def recovered(desk: Desk) -> list[Entry]:
    """Entries that settle every order whose fate the dead process took along.

    Reserved ones lapse where the marker proves that they were not sent; whatever else was on its
    way is unknown until evidence comes.
    """
    before = Process(boot_id=desk.state.boot_id, lease_token=desk.state.lease_token).text
    made: list[Entry] = []
    for intent in desk.state.live_intents():
        if intent.state is IntentState.RESERVED:
            unsent = desk.marker.proves_unsent(intent.intent_id, before)
            made.append((_lapsed if unsent else _unknown)(desk, intent.intent_id))
        elif intent.state in DOUBTFUL:
            made.append(_unknown(desk, intent.intent_id))
    return made


def restored(desk: Desk, book: Book) -> Halt | None:
    """Halt of the account where a marker names orders that state never held.

    Memory lets go of what is old; the table of orders keeps all.
    """
    absent = sorted(desk.marker.strangers(desk.state.intents))
    kept = book.rows("intents", where={"intent_id": absent}) if absent else []
    strangers = len(absent) - len(kept)
    return restored_halt(desk, f"{strangers} marked orders") if strangers else None


def restored_halt(desk: Desk, what: str) -> Halt:
    """An older state was restored: nothing opens until an admin has looked."""
    return Halt(
        halt_id=f"state_restored:{desk.now.isoformat(timespec='seconds')}",
        scope="account",
        key=desk.account,
        rule="state_restored",
        reason=f"the broker or a marker knows orders that state does not hold: {what}",
        set_by="executor",
        set_at=desk.now,
    )


def _lapsed(desk: Desk, intent_id: str) -> Entry:
    return entries.lapsed(desk.now, intent_ids=[intent_id], reason="restart, no send marker")


def _unknown(desk: Desk, intent_id: str) -> Entry:
    return entries.moved(
        desk.now, intent_id=intent_id, state=IntentState.UNKNOWN, evidence="restart"
    )
