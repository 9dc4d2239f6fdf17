"""The screener's pages: stamped, absent funds named, the same bytes in every process."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
from market import ASOF, Market
from matplotlib.text import Text
from PIL import Image

from bft.domain.runs import FailedStep
from bft.reports import pages
from bft.reports.drawing import apart, styled
from bft.reports.night import Night, open_night
from bft.reports.pdf import Book, book, images, pdf, without_sectors
from bft.reports.screen import Screened, charted, picks_of, screen

ROOT = Path(__file__).resolve().parents[3]
SEVEN = {
    "daily_price",
    "daily_volume",
    "technical_cci",
    "technical_macd",
    "technical_off_from_highs",
    "technical_rsi",
    "technical_ttm_pe_ratio",
}


def made(night: Night, *symbols: str, n_days: int = 60) -> Book:
    rows = screen(night, symbols=symbols).rows
    chosen = Screened(rows=rows, selected=rows, new=0)
    return book(night, chosen, list(symbols), n_days=n_days, source="sim")


def texts(figure: object) -> list[str]:
    return [item.get_text() for item in figure.findobj(Text)]  # type: ignore[attr-defined]


def test_stock_page_stamps_each_of_its_seven_charts(night: Night) -> None:
    drawn = made(night, "ALFA")
    with styled():
        page = pages.stock_page(
            "ALFA", drawn.windows["ALFA"], drawn.rows.loc["ALFA"], "ALFA", drawn.about
        )
    assert texts(page).count("SIMULATED") == 7
    assert any("SIMULATED DATA" in text for text in texts(page))


def test_images_are_the_seven_charts_of_a_stock_and_six_of_a_fund(night: Night) -> None:
    made_images = images(without_sectors(made(night, "ALFA", "SPY")))
    assert {n.removeprefix("ALFA_")[:-4] for n in made_images if n.startswith("ALFA")} == SEVEN
    assert len([n for n in made_images if n.startswith("SPY")]) == 6  # a fund has no P/E
    picture = Image.open(io.BytesIO(made_images["ALFA_daily_price.jpg"]))
    assert picture.format == "JPEG"
    assert picture.info["dpi"] == (150, 150)


def test_few_points_give_a_line_of_text(night: Night) -> None:
    drawn = made(night, "ALFA", n_days=20)
    with styled():
        page = pages.stock_page(
            "ALFA", drawn.windows["ALFA"], drawn.rows.loc["ALFA"], "ALFA", drawn.about
        )
    assert any("13 valid points, 20 needed" in text for text in texts(page))


def test_absent_funds_are_named(market: Market) -> None:
    gold = market.gold.filter(pc.not_equal(market.gold["symbol"], "XRT"))
    drawn = made(open_night({"gold": gold}, asof=ASOF), "ALFA")
    with styled():
        page = pages.market_page(drawn.funds, drawn.missing, drawn.about)
    assert "Absent from the data: XRT." in texts(page)
    assert any(text.startswith("change of the fund itself on the day, %") for text in texts(page))


def test_page_one_says_that_nothing_is_selected(night: Night) -> None:
    drawn = book(night, screen(night, symbols=[]), [], n_days=60, source="sim")
    with styled():
        (page,) = pages.table_pages(drawn.rows, drawn.note, drawn.about)
    assert any(text.startswith("None of 0 symbols is selected") for text in texts(page))


def test_labels_move_apart_and_stay_in_range() -> None:
    moved = apart([9.0, 9.1, 9.2], 1.0, 0.0, 10.0)
    assert moved == [8.0, 9.0, 10.0]


SCRIPT = """
import hashlib, sys
sys.path.insert(0, "tests")
from market import ASOF, build_market
from bft.reports import site
from bft.reports.day import Around, day
from bft.reports.night import open_night
from bft.reports.pdf import book, images, pdf, without_sectors
from bft.reports.screen import Screened, charted, picks_of, screen
market = build_market(sessions_back=70, forecast_days=8)
night = open_night(market.tables(), asof=ASOF)
rows = screen(night).rows
found = Screened(rows=rows, selected=rows, new=0)
pages = without_sectors(book(night, found, ["ALFA"], n_days=60, source="sim"))
total = hashlib.sha256(pdf(pages))
for name, data in images(pages).items():
    total.update(name.encode() + data)
for data in day(night, Around(source="sim", version="1")):
    total.update(data)
for name, data in site.files(night, market.gold, bullets={}, images=[], screened=["ALFA"]):
    total.update(name.encode() + data)
print(total.hexdigest())
"""


def test_pdf_images_pages_and_site_are_the_same_bytes_in_every_process() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    digests = {run.communicate(timeout=120)[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(digests) == 1


def test_pdf_holds_no_date(night: Night) -> None:
    data = pdf(without_sectors(made(night, "ALFA")))
    assert b"CreationDate" not in data
    assert b"ModDate" not in data


def test_every_page_of_a_failed_night_has_the_banner(market: Market) -> None:
    failed = (FailedStep(verb="predict", exit_code=65, error="6 of 9 models usable"),)
    drawn = made(open_night(market.tables(), asof=ASOF, failed=failed), "ALFA")
    stock = ("ALFA", drawn.windows["ALFA"], drawn.flags.loc["ALFA"], "ALFA", drawn.about)
    with styled():
        figures = [
            *pages.table_pages(drawn.rows, drawn.note, drawn.about),
            pages.stock_page(*stock),
            pages.funds_page({"SPY": drawn.funds["SPY"]}, drawn.about),
            pages.market_page(drawn.funds, drawn.missing, drawn.about),
        ]
    for figure in figures:
        said = " ".join(texts(figure))
        assert "This night failed at predict" in said
        assert "predict failed (exit code 65): 6 of 9 models usable" in said


def test_chart_pages_begin_with_the_picks_and_none_is_empty(night: Night) -> None:
    """One page for the table, one a stock, five of funds, one of the market; no dividers."""
    picks = list(picks_of(night))
    found = screen(night)
    shown = charted(found, 2, picks=picks)
    assert shown == picks[:2]
    drawn = book(night, found, shown, n_days=60, source="sim")
    assert len(re.findall(rb"/Type /Page\b", pdf(drawn))) == 1 + 2 + 5 + 1
    assert f"Chart pages begin with the night's picks: {picks[0]}" in drawn.note
    assert "pick 1" in drawn.titles[picks[0]]


def test_title_of_a_stock_without_a_name_has_no_gap(market: Market) -> None:
    """Red: the symbol, a hole as wide as two names, then what it is picked for."""
    tables = market.tables()
    for universe, between in ((tables["universe"], "   Golf & Sons Inc."), (None, "")):
        night = open_night({**tables, "universe": universe}, asof=ASOF)
        drawn = book(night, screen(night), ["GOLF", "ALFA"], n_days=60, source="sim")
        picked = picks_of(night)["GOLF"]
        assert drawn.titles["GOLF"] == f"GOLF{between}   ({picked})"
    assert drawn.titles["ALFA"] == "ALFA"


def test_each_chart_explains_its_marks(night: Night) -> None:
    drawn = made(night, "ALFA")
    stock = ("ALFA", drawn.windows["ALFA"], drawn.flags.loc["ALFA"], "ALFA", drawn.about)
    with styled():
        said = " ".join(texts(pages.stock_page(*stock)))
    for words in ("relative strength index", "commodity channel index", "average true range"):
        assert words in said
