"""Pages whose commit gave no answer: each is in the journal once, whatever became of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
from books import AT

from bft.adapters.store.book import SqlBook
from bft.adapters.store.book_database import BookDatabase, Driver
from bft.adapters.store.book_pages import PageWriter
from bft.ledger import entries
from bft.ports import Page


class LostError(Exception):
    """The connection broke before the commit."""


def page(n: int) -> Page:
    told = entries.event(AT, kind="SYSTEM", severity="INFO", name=str(n), message="")
    return Page(entries=[told], outbox=[{"n": n}])


@contextmanager
def commit(database: BookDatabase, *, arrives: bool) -> Iterator[Driver]:
    """A transaction that is committed or lost; nobody is told which."""
    try:
        with database.driving() as driver:
            yield driver
            if not arrives:
                raise LostError
    except LostError:
        return


@pytest.mark.parametrize("arrives", list(product([True, False], repeat=3)))
def test_each_page_is_written_once(tmp_path: Path, arrives: tuple[bool, ...]) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    book, database, writer = SqlBook(url, at=AT), BookDatabase(url), PageWriter()
    pages: list[Page] = []
    for n, through in enumerate((*arrives, True)):
        pages.append(page(n))
        with commit(database, arrives=through) as driver:
            done = writer.found(driver, pages)
            writer.write(driver, pages[len(done) :], now=AT)
    assert [row.entry.body["name"] for row in book.journal()] == ["0", "1", "2", "3"]
    assert [note["n"] for note in book.pending_outbox(limit=9)] == [0, 1, 2, 3]
    book.verify_chain()
    database.close()
    book.close()
