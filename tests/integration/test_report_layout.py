"""The pages of a night in a real browser: nothing cut off, nothing over another, nothing hidden."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from chromium import Browser, Tab, chromium
from layout import faults
from market import ASOF, build_market

from bft.reports import sections, svg
from bft.reports.day import Around, day
from bft.reports.night import Night, open_night

WIDTHS = {"desktop": 1280, "tablet": 820, "phone": 390}
SAID = ["The close is \N{MINUS SIGN}7.1% from its 50-day average and +4.5% from its 200-day."]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def night(browser: Browser) -> Night:
    del browser  # skips before anything is built
    market = build_market(sessions_back=280, forecast_days=45)
    return open_night(market.tables(), asof=ASOF)


@pytest.fixture(scope="module")
def page(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day report with each of its parts but the book."""
    around = Around(
        source="files:/a/rather/long/path/of/prices/of_many_stocks_daily_2013_2018.parquet",
        version="1.2.3",
        sentences=dict.fromkeys(sorted(night.now.index)[:9], SAID),
        skipped={"gold": {"short_history": 1234}},
        named={"gold": {"short_history": ["a/rather/long/path/of/prices.csv:7: KO close='n/a'"]}},
    )
    file = tmp_path_factory.mktemp("page") / "day.html"
    file.write_bytes(day(night, around)[0])
    return file


@pytest.fixture
def tab(browser: Browser, page: Path) -> Iterator[Tab]:
    with browser.tab() as found:
        found.size(WIDTHS["phone"], 900)
        found.go(page.as_uri())
        found.value("document.querySelectorAll('details').forEach(e => { e.open = true })")
        yield found
        assert not found.log


@pytest.mark.parametrize("name", WIDTHS)
def test_no_label_is_cut_or_over_another(tab: Tab, name: str) -> None:
    tab.size(WIDTHS[name], 900)
    assert tab.value("document.documentElement.scrollWidth") == WIDTHS[name]
    assert faults(tab) == []


@pytest.mark.parametrize("name", WIDTHS)
def test_ranking_shows_each_horizon_at_every_width(tab: Tab, night: Night, name: str) -> None:
    """Red: a telephone lacked the columns of 3 and 30 days."""
    tab.size(WIDTHS[name], 900)
    shown = str(tab.value("document.getElementById('ranking').innerText"))
    for row in sections.ranking(night)["top"]:
        for text in (row["symbol"], row["score"], row["price"], *row["forecasts"]):
            assert text in shown, text
    cut = "[...document.querySelectorAll('#ranking .scroll')]"
    if name == "phone":
        assert tab.value(f"{cut}.filter(e => e.scrollWidth > e.clientWidth).length") == 0


def test_long_list_to_watch_is_folded(night: Night) -> None:
    """Red: 118 picks to watch made the page of a telephone 56,000 pixels long."""
    picks = pd.concat([night.picks] * 20, ignore_index=True)
    html = day(replace(night, picks=picks), Around(source="sim", version="1"))[0].decode()
    shown, folded = html.split("more to watch</summary>")
    each = 'class="why" data-label="Strategy"><span>BUY'
    assert shown.count(each) == max(15, int((picks["tag"] == "execute").sum()))
    assert folded.split("</details>")[0].count(each) == len(picks) - shown.count(each)


def test_share_of_a_bar_has_its_text_inside_or_none(browser: Browser) -> None:
    """Red: `100 down` was wider than its bar."""
    style = "<style>text.on { font: 600 11px 'DejaVu Sans', sans-serif }</style>"
    bars = [
        svg.split([("up", 360 - fell, "up"), ("down", fell, "100 down")], "stocks")
        for fell in range(50, 80)
    ]
    drawn = "".join(f"<div style='width:360px'>{bar}</div>" for bar in bars)
    with browser.tab() as tab:
        tab.size(400, 900)
        tab.value(f"document.body.innerHTML = {json.dumps(style + drawn)}")
        assert tab.value("document.querySelectorAll('text.on').length") > len(bars)
        assert faults(tab) == []
