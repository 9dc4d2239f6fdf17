"""The screener PDF and its images; the same tables give the same bytes."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from bft.reports import pages
from bft.reports.charts import CHARTS
from bft.reports.drawing import DPI, styled
from bft.reports.night import Night, failure_lines, series, value
from bft.reports.screen import Screened, picks_of
from bft.reports.shown import CHARTED_FUNDS, FUND_NAMES, plural

METADATA = {"Creator": "bft", "Producer": "bft", "CreationDate": None, "ModDate": None}
FUNDS_PER_PAGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything the pages show; picklable, so that another process can draw it.

    `rows` are the selected symbols' flags, `flags` those of the charted ones, `windows` the charted
    symbols' gold rows, `funds` those of the 13 funds that are there (empty when sectors are
    skipped).
    """

    about: pages.About
    rows: Any
    flags: Any
    windows: Mapping[str, Any]
    titles: Mapping[str, str]
    funds: Mapping[str, Any]
    sectors: bool
    note: str
    missing: tuple[str, ...] = field(default=())


def book(night: Night, screened: Screened, shown: list[str], *, n_days: int, source: str) -> Book:
    """Cut the windows of the last `n_days` calendar days."""
    since = night.asof - timedelta(days=n_days)
    windows = series(night, since=since)
    funds = {fund: windows[fund] for fund in CHARTED_FUNDS if fund in windows}
    picked = picks_of(night)
    titles = {symbol: _title(night, symbol, picked.get(symbol)) for symbol in shown}
    return Book(
        about=pages.About(
            asof=night.asof,
            source=source,
            simulated=night.simulated,
            failed=tuple(failure_lines(night.failed, night.asof, night.root)),
        ),
        rows=screened.selected,
        flags=screened.rows.loc[shown],
        windows={symbol: windows[symbol] for symbol in shown},
        titles=titles,
        funds=funds,
        sectors=True,
        note=_note(screened, shown, [symbol for symbol in shown if symbol in picked]),
        missing=tuple(fund for fund in CHARTED_FUNDS if fund not in funds),
    )


def without_sectors(book: Book) -> Book:
    """The same without sector and market pages."""
    return replace(book, funds={}, sectors=False, missing=())


def pdf(book: Book, tick: Callable[[int, int, str], None] = lambda _d, _t, _n: None) -> bytes:
    """Table, then pages for stocks (picks first), sectors, market."""
    out = io.BytesIO()
    total = len(book.windows) + -(-len(book.funds) // FUNDS_PER_PAGE) + 2
    with styled(), PdfPages(out, metadata=METADATA) as file:
        for place, fig in enumerate(_figures(book), 1):
            file.savefig(fig, dpi=DPI)
            tick(min(place, total), total, "pages")
    return out.getvalue()


def images(book: Book) -> dict[str, bytes]:
    """`<SYM>_<chart>.jpg`, `<ETF>_sector_<Name>_analysis.jpg`, `market_returns.jpg`."""
    made: dict[str, bytes] = {}
    with styled():
        for symbol in book.windows:
            names = _charts_of(symbol)
            cuts = pages.cut(_stock(book, symbol), len(names))
            made |= {f"{symbol}_{name}.jpg": data for name, data in zip(names, cuts, strict=True)}
        for fund, rows in book.funds.items():
            fig, ax = pages.wide_chart(book.about)
            pages.draw_fund(ax, fund, rows)
            made[fund_image(fund)] = pages.whole(fig)
        if book.funds:
            fig, ax = pages.wide_chart(book.about)
            pages.draw_returns(ax, book.funds)
            made["market_returns.jpg"] = pages.whole(fig)
    return dict(sorted(made.items()))


def fund_image(fund: str) -> str:
    """File name of a fund's chart."""
    name = FUND_NAMES[fund].replace(" ", "_").replace("&", "and")
    return f"{fund}_sector_{name}_analysis.jpg"


def _charts_of(symbol: str) -> list[str]:
    return [name for name in CHARTS if symbol not in FUND_NAMES or "pe_ratio" not in name]


def _figures(book: Book) -> Iterator[Figure]:
    yield from pages.table_pages(book.rows, book.note, book.about)
    for symbol in book.windows:
        yield _stock(book, symbol)
    if book.sectors:
        yield from _sector_figures(book)


def _sector_figures(book: Book) -> Iterator[Figure]:
    found = list(book.funds.items())
    for start in range(0, len(found), FUNDS_PER_PAGE):
        yield pages.funds_page(dict(found[start : start + FUNDS_PER_PAGE]), book.about)
    yield pages.market_page(book.funds, book.missing, book.about)


def _stock(book: Book, symbol: str) -> Figure:
    row = book.flags.loc[symbol]
    return pages.stock_page(symbol, book.windows[symbol], row, book.titles[symbol], book.about)


def _title(night: Night, symbol: str, label: str | None) -> str:
    """Symbol, its company's name and what it is picked for, as far as there are any."""
    name = value(night.universe, symbol, "name")
    return "   ".join(part for part in (symbol, name, f"({label})" if label else "") if part)


def _note(screened: Screened, shown: list[str], picked: list[str]) -> str:
    rule = (
        "more than one flag changed since the last session (or whitelisted), majority of 2 or more"
    )
    selected, of = len(screened.selected), plural(len(screened.rows), "symbol")
    lines = [f"{selected} of {of} selected: {rule}."]
    if selected:
        lines.append(
            "+1 bullish, \N{MINUS SIGN}1 bearish, \N{MIDDLE DOT} neutral; delta is the sum of all "
            "ten, its colour deepens at \N{PLUS-MINUS SIGN}1 and \N{PLUS-MINUS SIGN}3."
        )
    else:
        lines = [f"None of {of} is selected ({rule})."]
    if picked:
        lines.append(f"Chart pages begin with the night's picks: {', '.join(picked)}.")
    others = len(shown) - len(picked)
    if others < len(screened.selected.index.difference(picked)):
        lines.append(f"Then the {others} with the largest |delta|; all are in the CSV.")
    return "\n".join(lines)
