"""The writer: order, backlog, disks that fill, a book that refuses, a lease that is lost."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from books import AT
from virtual_time import LoopClock, run

from bft.domain.errors import DataError, RefusedError, UnavailableError
from bft.domain.journal import Entry
from bft.ledger import entries
from bft.ports import Page
from bft.services.executor.writer import GROUP, LINGER_S, RESERVE_BYTES, Writer, inline


class Shelf:
    """A Book that only takes pages; `fault` is raised while set."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.commits: list[list[str]] = []

    def commit(self, pages: Sequence[Page], **_: Any) -> list[Any]:
        if self.fault is not None:
            raise self.fault
        self.commits.append([str(page.entries[-1].body["name"]) for page in pages])
        return []


def page(name: object) -> Page:
    return Page(entries=made(name))


def made(name: object) -> list[Entry]:
    return [entries.event(AT, kind="SYSTEM", severity="INFO", name=str(name), message="")]


def play(folder: Path, story: Callable[[Writer, Shelf], Any]) -> None:
    async def main() -> None:
        shelf = Shelf()
        writer = Writer(shelf, clock=LoopClock(AT), folder=folder, offload=inline)  # type: ignore[arg-type]
        await story(writer, shelf)

    run(main())


FULL = UnavailableError("database or disk is full")


def test_pages_go_in_order_and_share_commits(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        waiting = [writer.submit(page(n)) for n in range(2 * GROUP + 3)]
        await asyncio.gather(*waiting)
        assert [len(commit) for commit in shelf.commits] == [GROUP, GROUP, 3]
        assert [n for commit in shelf.commits for n in commit] == [str(n) for n in range(67)]

    play(tmp_path, story)


def test_pages_that_belong_together_are_never_parted(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        for n in range(GROUP):
            writer.submit(page(n))
        writer.submit(page("a"), joins=True)
        await asyncio.gather(writer.submit(page("b"), joins=True), writer.submit(page("c")))
        assert [commit[-1] for commit in shelf.commits] == ["b", "c"]

    play(tmp_path, story)


def test_reports_share_a_commit_and_what_somebody_waits_for_is_written_at_once(
    tmp_path: Path,
) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        loop = asyncio.get_running_loop()
        for n in range(3):
            writer.submit(page(n))
            await asyncio.sleep(LINGER_S / 5)
        await writer.flush()
        assert shelf.commits == [["0", "1", "2"]]
        writer.submit(page("fill"))
        began = loop.time()
        await writer.submit(Page(entries=[entries.unkill(AT, by="ada", generation=1), *made("k")]))
        assert loop.time() == began
        await writer.submit(page("alone"))
        assert loop.time() == pytest.approx(began + LINGER_S)

    play(tmp_path, story)


def test_flush_waits_for_what_is_there_and_not_for_what_comes(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        async def more() -> None:
            for n in range(1000):
                writer.submit(page(n))
                await asyncio.sleep(LINGER_S / 2)

        coming = asyncio.create_task(more())
        await asyncio.sleep(LINGER_S)
        await writer.flush()
        assert len(shelf.commits) < 5
        coming.cancel()

    play(tmp_path, story)


def test_backlog_keeps_its_order_and_only_opening_orders_give_up(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        writer.keep_reserve()
        assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES
        shelf.fault = FULL
        fills, order = writer.submit(page("fill")), writer.submit(page("order"), gives_up=True)
        with pytest.raises(UnavailableError, match="full"):
            await order
        later = writer.submit(page("lapsed"))
        await asyncio.sleep(3)
        assert not fills.done()
        assert not writer.writable
        assert not (tmp_path / "reserve").exists(), "its space is for closing orders"
        shelf.fault = None
        await asyncio.gather(fills, later)
        assert [n for commit in shelf.commits for n in commit] == ["fill", "order", "lapsed"]
        assert writer.writable
        assert (tmp_path / "reserve").exists()

    play(tmp_path, story)


def test_reserve_that_does_not_fit_keeps_opening_shut_until_it_does(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        del shelf
        (tmp_path / "reserve").mkdir()
        writer.keep_reserve()
        assert not writer.writable
        (tmp_path / "reserve").rmdir()
        writer.mend()
        assert writer.writable

    play(tmp_path, story)


@pytest.mark.parametrize("fault", [DataError("no such column"), KeyError("bug")])
def test_page_that_no_book_takes_ends_the_process(tmp_path: Path, fault: Exception) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        ended: list[str] = []
        writer.on_bug, shelf.fault = ended.append, fault
        first, second = writer.submit(page(1)), writer.submit(page(2))
        for waiting in (first, second, writer.submit(page(3))):
            with pytest.raises(type(fault)):
                await waiting
        shelf.fault = None
        with pytest.raises(type(fault)):
            await writer.submit(page(4))
        assert shelf.commits == []
        assert len(ended) == 1

    play(tmp_path, story)


def test_lost_lease_writes_nothing_more(tmp_path: Path) -> None:
    async def story(writer: Writer, shelf: Shelf) -> None:
        lost: list[str] = []
        writer.on_lease_lost, shelf.fault = lost.append, RefusedError("another's by now")
        with pytest.raises(RefusedError):
            await writer.submit(page(1))
        shelf.fault = None
        with pytest.raises(RefusedError):
            await writer.submit(page(2))
        assert (shelf.commits, lost) == ([], ["another's by now"])

    play(tmp_path, story)
