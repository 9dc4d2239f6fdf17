"""Where the labels of the screener's charts lie: beside the data and beside one another."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from bft.reports import pages
from bft.reports.drawing import styled
from bft.reports.night import Night
from bft.reports.pdf import Book, book
from bft.reports.screen import screen

SYMBOLS = ("ALFA", "KILO", "ECHO", "SPY")


@pytest.fixture(scope="module")
def drawn(night: Night) -> Book:
    return book(night, screen(night), list(SYMBOLS), n_days=60, source="sim")


@pytest.fixture
def rendered(drawn: Book) -> Iterator[Any]:
    """A function that draws the page of a symbol; matplotlib knows sizes only then."""

    def page(symbol: str, rows: Any = None) -> Any:
        rows = drawn.windows[symbol] if rows is None else rows
        row, title = drawn.flags.loc[symbol], drawn.titles[symbol]
        figure = pages.stock_page(symbol, rows, row, title, drawn.about)
        FigureCanvasAgg(figure).draw()
        return figure

    with styled():
        yield page


def boxes(figure: Any) -> list[tuple[str, Any]]:
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_no_label_of_a_page_lies_over_another(rendered: Any, symbol: str) -> None:
    figure = rendered(symbol)
    width = figure.bbox.width
    for (one, box), (other, place) in combinations(boxes(figure), 2):
        assert not box.padded(-2).overlaps(place.padded(-2)), (one, other)
    assert all(box.x0 >= 0 and box.x1 <= width for _, box in boxes(figure))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_fibonacci_labels_are_left_of_all_data(rendered: Any, symbol: str) -> None:
    """Red: the close, a diamond and the band ran over `38.2%`."""
    figure = rendered(symbol)
    price = figure.axes[1]  # after the strip of flags
    first = price.transData.transform((0, 0))[0]
    labels = {text: box for text, box in boxes(price) if text.endswith("%")}
    assert set(labels) == {"23.6%", "38.2%", "61.8%"}
    marks = 6 * figure.dpi / 72 / 2  # half of the largest mark
    assert all(box.x1 <= first - marks for box in labels.values())
    heights = [labels[name].y0 for name in ("61.8%", "38.2%", "23.6%")]
    assert heights == sorted(heights)


def test_label_at_a_line_end_starts_right_of_the_axes(rendered: Any) -> None:
    """Red: the line at zero ran through `from low`."""
    for chart in rendered("ALFA").axes[1:]:
        right = chart.get_window_extent().x1
        ends = [box for _, box in boxes(chart) if box.x0 >= right - 1 and box.width < 150]
        assert ends
        assert all(box.x0 > right for box in ends)


def test_panel_without_values_says_so_in_a_frame(rendered: Any, drawn: Book) -> None:
    """Red: a quarter of the page was blank but for a line at its top."""
    rows = drawn.windows["ALFA"].assign(pe_ratio=np.nan)
    panel = rendered("ALFA", rows).axes[-1]
    frame, (text, box) = panel.get_window_extent(), boxes(panel)[0]
    assert text == "No P/E ratio chart:\nno value in this window."
    assert panel.axison
    assert abs((box.y0 + box.y1) / 2 - (frame.y0 + frame.y1) / 2) < 3
    assert frame.x0 < box.x0
    assert box.x1 < frame.x1


def test_funds_have_a_colour_each(drawn: Book) -> None:
    """Red: XLB, XLF, XLU and XLY were four orange lines."""
    with styled():
        figure = pages.market_page(drawn.funds, (), drawn.about)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len({line.get_color() for line in lines}) == len(lines) == len(drawn.funds) == 13
