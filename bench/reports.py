"""Screener of 96 symbols (110 pages, PDF and images) and the site of 544 symbols x 2520 sessions.

Draws PDF and images in two processes as the step does, after showing that a page drawn twice gives
the same bytes; writes the site's files through a folder store. Prints each time against its goal
(60 s on 2 free cores; 8 symbols within 12 s; 20 s) and, last, the worst ratio to a goal, by the
CPU seconds of the busier process: the wall clock of a shared machine says nothing.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from market import ASOF, build_gold

from bft.adapters.store.folder import FolderObjects
from bft.domain import sessions
from bft.reports import site
from bft.reports.night import open_night
from bft.reports.pdf import Book, book, images, pdf, without_sectors
from bft.reports.screen import Screened, screen
from bft.reports.shown import CHARTED_FUNDS

SYMBOLS, SESSIONS = 544, 2520


def many(gold: pa.Table, count: int) -> pa.Table:
    """The stocks under other names, and the funds, until there are `count` symbols."""
    funds = gold.filter(pc.is_in(gold["symbol"], pa.array(CHARTED_FUNDS)))
    stocks = sorted(set(gold["symbol"].to_pylist()) - set(CHARTED_FUNDS))
    place = gold.schema.get_field_index("symbol")
    parts = [funds]
    for n in range(count - len(CHARTED_FUNDS)):
        rows = gold.filter(pc.equal(gold["symbol"], stocks[n % len(stocks)]))
        name = pa.array([f"S{n:03d}"] * rows.num_rows)
        parts.append(rows.set_column(place, rows.schema.field(place), name))
    return pa.concat_tables(parts).sort_by([("symbol", "ascending"), ("date", "ascending")])


def timed_images(pages: Book) -> tuple[int, float]:
    """How many images, and the process's CPU seconds, its start included."""
    return len(images(pages)), time.process_time()


def drawing(pages: Book) -> tuple[float, float]:
    """Wall seconds of PDF and images, and CPU seconds of the busier process."""
    start, used = time.perf_counter(), time.process_time()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        others = pool.submit(timed_images, pages)
        data = pdf(pages)
        own = time.process_time() - used
        count, child = others.result()
    print(f"{data.count(b'/Type /Page ')} pages, {count} images, {len(data) / 1e6:.1f} MB PDF")
    return time.perf_counter() - start, max(own, child)


def said(name: str, wall: float, cpu: float, goal: float) -> float:
    print(f"{name}: {wall:.1f} s, CPU of the busier process {cpu:.1f} s (goal {goal:g} s)")
    return cpu / goal


def main() -> None:
    days = sessions.sessions(ASOF - timedelta(days=365 * 11), ASOF)[-SESSIONS:]
    gold = build_gold(list(days))
    recent = gold.filter(pc.greater_equal(gold["date"], date(ASOF.year - 2, 12, 1)))
    night = open_night({"gold": many(recent, SYMBOLS)}, asof=ASOF)

    def pages(count: int) -> Book:
        rows = screen(night).rows.filter(regex="^S\\d", axis=0).head(count)
        chosen = Screened(rows=rows, selected=rows, new=0)
        return book(night, chosen, list(rows.index), n_days=60, source="sim")

    one = without_sectors(pages(1))
    if pdf(one) != pdf(one):
        raise SystemExit("no parity: a page drawn twice differs")
    ratios = [said(f"{n} symbols", *drawing(pages(n)), goal) for n, goal in ((8, 12), (96, 60))]
    columns = ["symbol", "date", *site.HISTORY.values()]
    history = many(gold.select(columns), SYMBOLS)
    with tempfile.TemporaryDirectory() as folder:
        put: Callable[[str, bytes], str] = FolderObjects(Path(folder)).put
        start, used = time.perf_counter(), time.process_time()
        made = site.files(night, history, bullets={}, images=[], screened=[])
        digests = {name: put(name, data) for name, data in made}
        took, cpu = time.perf_counter() - start, time.process_time() - used
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    print(f"{len(digests)} site files, {size / 1e6:.0f} MB")
    ratios.append(said(f"site, {history.num_rows:,} history rows", took, cpu, 20))
    print(f"worst ratio of CPU seconds to a goal: {max(ratios):.2f} (goal 1)")


if __name__ == "__main__":
    main()
