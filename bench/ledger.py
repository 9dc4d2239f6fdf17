"""The book: fold, replay and commits (executor specification, section 16).

Entries folded per second; a 30-day paper log, replayed twice, gives identical rows and bytes, and
loads from its tables within 1.5 s; one opening order's commit (claim, decision, three orders,
counters) against a bare commit of the same disk; 32 of them in one. The last line is the worst
ratio to a goal (below 1 is inside).
"""

import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from books import AT, FACTS, bracket_orders, round_trip  # noqa: E402

from bft.adapters.store.book import SqlBook  # noqa: E402
from bft.domain.journal import Entry, canonical_json  # noqa: E402
from bft.ledger import entries  # noqa: E402
from bft.ledger.fold import apply  # noqa: E402
from bft.ledger.load import load  # noqa: E402
from bft.ledger.state import BookState  # noqa: E402
from bft.ledger.verify import compare, rows_of  # noqa: E402
from bft.ports import Claim, Page  # noqa: E402

DAYS, A_DAY = 30, 20
COMMITS = 400
START_S, P50_S, P99_S = 1.5, 0.005, 0.025  # goals of section 16


def check(good: object, why: str) -> None:
    if not good:
        raise SystemExit(f"void: {why}")


def paper_log() -> list[Entry]:
    """30 days of 20 round trips, every third a winner."""
    told: list[Entry] = []
    for day in range(DAYS):
        for n in range(A_DAY):
            start = AT + timedelta(days=day, minutes=n)
            price = "115" if n % 3 == 0 else "95"
            number = day * A_DAY + n
            told += round_trip(f"d{number}", start=start, exit_price=price, order_id=1 + 3 * number)
    return told


def bytes_of(told: list[Entry]) -> bytes:
    tables = rows_of(told)
    ordered = {name: [rows[key] for key in sorted(rows, key=repr)] for name, rows in tables.items()}
    return canonical_json(ordered).encode()


def show(name: str, values: list[float]) -> tuple[float, float]:
    values = sorted(values)
    p50, p99 = statistics.median(values), values[int(0.99 * len(values))]
    print(f"{name}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, n {len(values)}")
    return p50, p99


def bare(folder: Path) -> list[float]:
    """What an append of 4 KiB with fsync costs here."""
    handle, taken = os.open(folder / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND), []
    for _ in range(COMMITS):
        begun = time.perf_counter()
        os.write(handle, b"x" * 4096)
        os.fsync(handle)
        taken.append(time.perf_counter() - begun)
    os.close(handle)
    return taken


def opening(state: BookState, n: int) -> Page:
    """What T1 writes for one order."""
    at = AT + timedelta(seconds=n)
    legs = bracket_orders(f"c{n}", order_id=100_000 + 3 * n)
    legs = tuple(replace(leg, created_at=at) for leg in legs)
    told = [entries.intents(at, intents=legs, facts=FACTS, decision_id=f"c{n}")]
    rows = [change for entry in told for change in apply(state, entry)]
    claim = Claim(key=f"c{n}", subject="bench", request_hash="h", at=at)
    return Page(entries=told, rows=rows, claims=[claim])


def commits(book: SqlBook, state: BookState, *, together: int, first: int) -> list[float]:
    taken = []
    for n in range(COMMITS // together):
        pages = [opening(state, first + n * together + k) for k in range(together)]
        begun = time.perf_counter()
        book.commit(pages, now=AT)
        taken.append(time.perf_counter() - begun)
    return taken


def main() -> None:
    told = paper_log()
    begun = time.perf_counter()
    state = BookState()
    for entry in told:
        apply(state, entry)
    seconds = time.perf_counter() - begun
    print(f"fold: {len(told) / seconds:,.0f} entries/s, {len(told)} entries")
    check(bytes_of(told) == bytes_of(told), "two replays differ")
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book = SqlBook(f"sqlite:///{folder / 'state.db'}", at=AT)
        live = BookState()
        pages = [Page(entries=[entry], rows=apply(live, entry)) for entry in told]
        for at in range(0, len(pages), 32):
            book.commit(pages[at : at + 32], now=AT)
        begun = time.perf_counter()
        last = book.verify_chain()
        loaded = load(book, at=told[-1].at)
        start_s = time.perf_counter() - begun
        check(last is not None and last.seq == len(told), "the chain is short")
        check(loaded == live, "what was loaded is not what was folded")
        check(
            not compare((r.entry for r in book.journal()), book.rows), "tables and journal differ"
        )
        print(f"30-day log: identical bytes; chain checked and loaded in {start_s:.2f} s")
        ratios.append(start_s / START_S)
        show("bare append and fsync of 4 KiB", bare(folder))
        p50, p99 = show("commit of one opening order", commits(book, live, together=1, first=0))
        ratios += [p50 / P50_S, p99 / P99_S]
        show("commit of 32 together", commits(book, live, together=32, first=10_000))
        book.close()
    print(f"{max(ratios):.3f}")


if __name__ == "__main__":
    main()
