"""Screen the night: flags that turned, as CSV, charts and PDF."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain.errors import DataError, UnavailableError, UsageError
from bft.domain.gold import FLAGS
from bft.domain.numbers import COUNT, COUNT_OR_0
from bft.domain.symbols import not_among, read_list, symbol_of
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps.arguments import NEWEST, add_asof
from bft.steps.failures import failed_steps, failures_digest
from bft.steps.lacking import need
from bft.steps.reading import gold_asof, source_of
from bft.steps.record import table_digests

if TYPE_CHECKING:
    from bft.reports.night import Night
    from bft.reports.pdf import Book
    from bft.reports.screen import Screened

READS = ("gold", "universe", "picks")
CHECKS = "sma_cross bollinger_band rsi macd macd_zero adx cci atr pe_ratio pcr".split()
COLUMNS = (
    *FLAGS,
    *"adjusted_close adjusted_close_pct volume sma_20 sma_50 sma_200 sma_200_pct".split(),
    *"bbands_upper_20 bbands_lower_20 atr_14 rsi_14 cci_14 macd macd_9_ema pe_ratio".split(),
    *"forward_pe 52_week_high_pct 52_week_low_pct".split(),
)
PART = "/part"
"""Where some symbols alone are told: the night's own lists and pages stay whole."""
BY_SOURCE, SIMULATED_CHARTS = -1, 8
"""Setting that leaves the number of chart pages to the prices; simulated ones show how it looks."""
DAYS_BEFORE = 10
"""Calendar days in which the previous session surely lies."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft screen`."""
    add_asof(parser, default=NEWEST)
    add = parser.add_argument
    add("--symbols", help="only these, with commas: below reports/DAY/part")
    add("--watchlist", help="symbol file: only its symbols, below reports/DAY/part")
    add("--n-days", type=COUNT, default=60, help="calendar days in the charts")
    add("--indicators", default="all", help=f"all, or some of {','.join(CHECKS)}")
    add("--whitelist", help="symbols that need no changed flag, with commas")
    add("--skip-sectors", action="store_true", help="no sector and market charts")
    add("--skip-pdf", action="store_true", help="CSV and images only")
    add(
        "--max-charts",
        type=COUNT_OR_0,
        default=None,
        help="chart pages, picks first; 0: all",
    )


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Screen, draw, publish below `reports/<asof>/`; some symbols alone below its `part/`.

    Raises:
        DataError: no gold of asof, or none of any symbol asked for.
        UsageError: an indicator that is none, a symbol against the pattern or unknown.
    """
    from bft.reports.pdf import book, without_sectors
    from bft.reports.screen import charted, picks_of, screen, to_csv

    need(ports, "gold", args.asof)
    checks, asked = _checks(args.indicators), _asked(args)
    night = _night(ports, args)
    _check_known(night, args, asked)
    screened = screen(night, symbols=asked, checks=checks, whitelist=_symbols(args.whitelist) or ())
    shown = charted(screened, limit(args, night), picks=list(picks_of(night)))
    source = source_of(ports.store, args.asof)
    pages = book(night, screened, shown, n_days=args.n_days, source=source)
    pages = without_sectors(pages) if args.skip_sectors else pages
    drawn, images = _draw(pages, skip_pdf=args.skip_pdf, tick=tick)
    folder = f"reports/{args.asof}" + ("" if asked is None else PART)
    table = to_csv(screened.selected)
    objects = _publish(ports.store, args.asof, folder, table, drawn, images)
    summary = _summary(night, screened, shown, pages, asked, objects)
    return replace(summary, values={**summary.values, "folder": folder})


def limit(args: argparse.Namespace, night: "Night") -> int:
    """Most chart pages of a call: its own word, else the setting; 0: all."""
    asked: int = args.screen_max_charts if args.max_charts is None else args.max_charts
    if asked == BY_SOURCE:
        return SIMULATED_CHARTS if night.simulated else 0
    return asked


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    """Digests of the tables, of the watchlist's content and of what failed."""
    listed = _read(args.watchlist) if args.watchlist else ""
    watchlist = hashlib.sha256(listed.encode()).hexdigest()
    failed = failures_digest(ports.store, args.asof, before="screen")
    tables = table_digests(ports.store, READS, args)
    return {**tables, "watchlist": watchlist, "failed": failed}


def _summary(
    night: "Night",
    screened: "Screened",
    shown: Sequence[str],
    pages: "Book",
    asked: "frozenset[str] | None",
    objects: Mapping[str, str],
) -> Summary:
    absent = 0 if asked is None else len(asked - set(night.now.index))
    skipped = {
        "no_previous_session": screened.new,
        "no_row": absent,
        "no_chart_page": len(screened.selected.index.difference(shown)),
        "fund_absent": len(pages.missing),
    }
    values = {
        "screened": len(screened.rows),
        "selected": list(screened.selected.index),
        "charts": list(shown),
        "absent_funds": list(pages.missing),
        "simulated": night.simulated,
    }
    return Summary(
        values=values,
        rows=len(screened.selected),
        skipped={reason: count for reason, count in skipped.items() if count},
        objects=objects,
    )


def _night(ports: Ports, args: argparse.Namespace) -> "Night":
    from bft.reports.night import open_night

    since = args.asof - timedelta(days=max(args.n_days, DAYS_BEFORE))
    gold = gold_asof(ports, args.asof, columns=COLUMNS, since=since)
    universe = ports.store.read("universe", asof=args.asof)
    picks = ports.store.read("picks", asof=args.asof, since=args.asof)
    return open_night(
        {"gold": gold, "universe": universe, "picks": picks},
        asof=args.asof,
        failed=failed_steps(ports.store, args.asof, before="screen"),
        root=getattr(args, "root", None),
    )


def _draw(pages: "Book", *, skip_pdf: bool, tick: Tick) -> tuple[bytes | None, dict[str, bytes]]:
    """The PDF here, the images in a second process."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from bft.reports.pdf import images, pdf

    if skip_pdf or not (pages.windows or pages.funds):
        return (None if skip_pdf else pdf(pages, tick)), images(pages)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            others = pool.submit(images, pages)
            return pdf(pages, tick), others.result()
    except BrokenProcessPool as error:
        raise UnavailableError(
            "the drawing process died (memory?); run the same command again"
        ) from error


def _publish(
    store: Store,
    asof: date,
    folder: str,
    table: bytes,
    drawn: bytes | None,
    images: Mapping[str, bytes],
) -> dict[str, str]:
    """Write everything; images and the PDF of an earlier call that are none now are removed."""
    files = {f"{folder}/screener_results_{asof}.csv": table}
    pdf, prefix = f"{folder}/screener_{asof}.pdf", f"{folder}/overnight_{asof}/"
    if drawn is not None:
        files[pdf] = drawn
    files |= {prefix + name: data for name, data in images.items()}
    with store.exclusive():
        objects = {key: store.put(key, data) for key, data in files.items()}
        for key in (pdf, *store.keys(prefix)):
            if key not in objects:
                store.delete(key)
    return objects


def _checks(text: str) -> list[str]:
    if text == "all":
        return CHECKS
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word not in CHECKS:
            near = get_close_matches(word, CHECKS, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(CHECKS)}"
            raise UsageError(f"--indicators {word!r} is none of the ten{hint}")
    return [check for check in CHECKS if check in asked]


def _asked(args: argparse.Namespace) -> frozenset[str] | None:
    """Symbols to look at: None means all."""
    named = _symbols(args.symbols)
    if not args.watchlist:
        return named
    found = read_list(_read(args.watchlist), origin=args.watchlist)
    listed = frozenset(member.symbol for member in found.members)
    return listed if named is None else named & listed


def _check_known(night: "Night", args: argparse.Namespace, asked: frozenset[str] | None) -> None:
    """See that symbols named are ones the night knows, and that a row of one is there."""
    if asked is None:
        return
    known = {*night.now.index, *night.before.index, *night.universe.index}
    for symbol in sorted((_symbols(args.symbols) or frozenset()) - known):
        raise UsageError(f"--symbols: {not_among(symbol, known)}")
    if not asked & set(night.now.index):
        whose = f"--watchlist {args.watchlist}" if args.watchlist else f"--symbols {args.symbols}"
        raise DataError(f"{whose}: none of its symbols has a row of {args.asof}")


def _symbols(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    found = {word: symbol_of(word) for word in text.split(",") if word.strip()}
    bad = [word for word, symbol in found.items() if symbol is None]
    if bad:
        raise UsageError(f"{bad[0]!r} is no symbol such as AAPL or BRK-B")
    return frozenset(symbol for symbol in found.values() if symbol)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--watchlist {path}: {error}") from error


STEP = Step(
    effect="replace",
    summary="Ten flags per symbol: those that turned, as CSV, charts and PDF.",
    arguments=arguments,
    run=run,
    reads_newest=lambda _a: True,
    inputs=inputs,
    reads=READS,
    writes=(
        "reports/<asof>/screener_*",
        "reports/<asof>/overnight_*",
        "reports/<asof>/part/",
    ),
    outputs={
        "selected": "symbols selected, ascending",
        "screened": "symbols looked at",
        "folder": "where the files lie",
    },
    settings=("screen_max_charts",),
    code=("steps.screen", "steps.reading", "steps.failures", "reports", "features.basis"),
)
