"""Books to records and back."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.orders import Order
from bft.sim.gateway.store import FileStore, MemoryStore, Record


def changed(books: Books) -> Iterator[Record]:
    """Records that changed since the last call, in a stable order."""
    dirty, books.dirty = sorted(books.dirty), set()
    for kind, key in dirty:
        if kind == "order":
            yield kind, key, books.working.by_perm.get(int(key)) or books.completed.get(int(key))
        elif kind == "execution":
            yield kind, key, books.executions.get(key)
        elif kind == "account":
            yield kind, key, books.accounts.get(key)
        elif kind == "position":
            account, _, number = key.partition("/")
            yield kind, key, books.positions.get((account, int(number)))
        else:
            yield kind, key, books.ids


def restore(books: Books, store: FileStore | MemoryStore) -> None:
    """Fill empty books with what was stored.

    Raises:
        DataError: written by another version.
    """
    for kind, key, value in store.load():
        if kind == "order":
            _order(books, value)
        elif kind == "execution":
            books.executions[key] = value
        elif kind == "account" and key in books.accounts:
            books.accounts[key] = value
        elif kind == "position":
            books.positions[value.account, value.contract.con_id] = value
        elif kind == "ids":
            books.ids = value
    books.dirty = set()


def instant(at: datetime) -> Record:
    """What the clock showed when the other records were stored."""
    return "clock", "", at


def reached(folder: Path) -> datetime | None:
    """The newest instant of a stored state, aware UTC; None where there is none.

    Raises:
        DataError: written by another version.
        UnavailableError: the folder is in use or not writable.
    """
    store = FileStore(folder)
    try:
        return max((at for record in store.load() for at in _instants(record)), default=None)
    finally:
        store.close()


def _instants(record: Record) -> Iterator[datetime]:
    """Instants of a record; those of orders and executions tell of states without a clock."""
    kind, _, value = record
    if kind == "clock":
        yield value
    elif kind == "execution":
        yield value.at
    elif kind == "order":
        yield value.completed_at or value.created_at


def _order(books: Books, order: Order) -> None:
    if order.status.live:
        books.add(order)
        return
    books.completed[order.perm_id] = order
    if order.terms.order_id > 0:
        books.orders[order.terms.key] = order
