"""The day report: escaped, stamped, honest about what is absent."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from market import ASOF, Market
from market_signals import rows_to

from bft.domain.runs import FailedStep
from bft.reports.day import Around, day
from bft.reports.night import Night, open_night
from bft.reports.shown import tag_reason

REFUSED = "bars.csv:7: KO 2018-02-06 close='n/a'"
AROUND = Around(
    source="sim",
    version="1.2.3",
    skipped={"gold": {"short_history": 1234}, "pull": {"bad_close": 1, "stale_day": 2}},
    named={"pull": {"bad_close": [REFUSED]}},
)


@pytest.fixture(scope="module")
def pages(night: Night) -> tuple[str, str]:
    html, markdown = day(night, AROUND)
    return html.decode(), markdown.decode()


def test_outside_text_is_escaped_in_both(pages: tuple[str, str]) -> None:
    html, markdown = pages
    assert "<script" not in html + markdown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;script&gt;" in markdown


def test_rows_that_were_refused_are_named(pages: tuple[str, str]) -> None:
    """Red: `skipped by pull, bad_close: 1`, whose line nobody could find."""
    html, markdown = (page.replace("&#39;", "'").replace("\\", "") for page in pages)
    assert f"- skipped by pull, bad_close: 1, rows without a usable close ({REFUSED})\n" in markdown
    assert f"<small>{REFUSED}</small>" in html


def test_what_a_skip_of_the_pull_means_is_told_in_words(pages: tuple[str, str]) -> None:
    """Red: `skipped by pull, stale_day: 1`, which nobody could read."""
    html, markdown = (page.replace("\\", "") for page in pages)
    told = "the answer was whole, but ended before this day"
    assert f"- skipped by pull, stale_day: 2, {told}\n" in markdown
    assert f"<dt>pull: stale day<br><small>{told}</small></dt><dd>2</dd>" in html


def test_change_of_a_sector_says_what_it_measures(pages: tuple[str, str]) -> None:
    """Red: its stocks' mean here, its fund's change in the PDF, and neither said so."""
    for page in pages:
        assert re.search(r" trails with \S+% \\?\(each the mean of its stocks; ", page)


def test_null_text_is_nothing_on_the_page(pages: tuple[str, str]) -> None:
    for page in pages:
        assert not re.search(r"\b(?:nan|NaN|None|NaT)\b", page)


def test_page_needs_no_network_and_no_script(pages: tuple[str, str]) -> None:
    html = pages[0]
    assert "://" not in html.replace("http://www.w3.org", "")
    assert not re.search(r"<(?:script|link rel=\"stylesheet|img|iframe)", html)


@pytest.mark.parametrize("word", ["RSI", "ADX", "RankIC", "R", "bps", "P&amp;L", "Score", "ATR"])
def test_abbreviations_are_explained_once(pages: tuple[str, str], word: str) -> None:
    assert pages[0].count(f"<dt>{word}</dt>") == 1
    assert pages[0].count('href="#words"') == 1


def test_tag_reasons_are_told_in_words() -> None:
    assert tag_reason("top_n") == "good, but below the top picks"
    assert tag_reason("correlation with SPY") == "correlation with SPY"
    assert tag_reason(None) == ""


def test_a_failed_night_is_red_on_top_and_executes_nothing(market: Market) -> None:
    failed = (FailedStep(verb="predict", exit_code=65, error="<b>" + "too long " * 99),)
    html, markdown = day(open_night(market.tables(), asof=ASOF, failed=failed), AROUND)
    text = html.decode()
    assert text.index('class="banner failed"') < text.index('class="tiles"')
    assert "Night failed at predict; nothing to execute" in text
    assert '<span class="tag execute">' not in text
    assert "&lt;b&gt;too long" in text
    assert "This night failed at predict" in markdown.decode()


def test_picks_against_the_models_are_named(market: Market) -> None:
    row = {"asof": ASOF, "symbol": "AAPL", "rank": 1, "tag": "execute", "direction": "long"}
    said = {"asof": ASOF, "symbol": "AAPL", "consensus_direction": "SELL", "score": -0.5}
    tables = market.tables() | {
        "picks": rows_to("picks", [row]),
        "forecasts": rows_to("forecasts", [said]),
    }
    told = "in whose rules that has no say: AAPL (BUY, models SELL)."  # also of ml_prediction
    for page in day(open_night(tables, asof=ASOF), AROUND):
        assert told in re.sub(r"\\\\", "", page.decode())
    tables["forecasts"] = rows_to("forecasts", [said | {"consensus_direction": "BUY"}])
    assert "has no say" not in day(open_night(tables, asof=ASOF), AROUND)[0].decode()


@pytest.mark.parametrize("oos", [True, False])
def test_forecasts_that_are_in_sample_say_so(market: Market, oos: bool) -> None:
    said = {"asof": ASOF, "symbol": "AAPL", "oos": oos}
    tables = market.tables() | {"forecasts": rows_to("forecasts", [said])}
    html = day(open_night(tables, asof=ASOF), AROUND)[0].decode()
    assert ("In-sample forecasts: the models had learned from this day" in html) is not oos


def test_paper_only_and_counts_of_symbols_say_what_they_mean(market: Market) -> None:
    said = {"asof": ASOF, "symbol": "AAPL", "paper_only": True}
    tables = market.tables() | {"forecasts": rows_to("forecasts", [said])}
    html = day(open_night(tables, asof=ASOF), AROUND)[0].decode()
    assert "Paper only: no skill shown yet." in html
    assert re.search(r"\d+ stocks, \d+ funds?; \d+ missing", html)
    assert re.search(r"of \d+ with a close before", html)


def test_orders_of_a_simulated_broker_are_labelled_on_real_prices(night: Night) -> None:
    """Red: fills that no market made stood on a page of real prices like any other."""
    position = {"symbol": "ALFA", "con_id": 1, "sec_type": "STK", "quantity": "49"}
    held = {"average_cost": "64.5", "unrealised_usd": "51.94", "exits": []}
    account = {"positions": [position | held], "simulated": True, "mode": "paper", "account": "PER"}
    account["pnl"] = dict.fromkeys(
        ("unrealised_change_usd", "day_start_equity_usd", "equity_usd"), "1"
    )
    account["reconciliation"] = {}
    tables = ("trades", "executions", "lots", "denials", "lapsed")
    around = replace(AROUND, account=account, book={name: [] for name in tables})
    html, markdown = (page.decode() for page in day(replace(night, simulated=False), around))
    assert "<h2>Open positions · simulated broker</h2>" in html
    assert "## Open positions (simulated broker)" in markdown
    assert "<h2>Market</h2>" in html
    html = day(night, around)[0].decode()
    assert "<h2>Open positions · simulated</h2>" in html


class _Balance(HTMLParser):
    VOID = frozenset("meta link br img path line rect circle".split())

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_html_tags_close(pages: tuple[str, str]) -> None:
    parser = _Balance()
    parser.feed(pages[0])
    assert parser.open == []


def test_every_section_says_simulated(pages: tuple[str, str]) -> None:
    html, markdown = pages
    heads = re.findall(r"<h2>(.*?)</h2>", html)
    assert len(heads) >= 11
    assert [h for h in heads if "simulated" not in h] == [
        "Words on this page",
        "Where this comes from",
    ]
    assert "(simulated)</title>" in html
    assert "SIMULATED DATA" in markdown


def test_real_data_is_not_called_simulated(market: Market) -> None:
    place = market.gold.schema.get_field_index("row_flags")
    field = market.gold.schema.field(place)
    zeros = pa.array([0] * market.gold.num_rows, field.type)
    gold = market.gold.set_column(place, field, zeros)
    html, _ = day(open_night({"gold": gold}, asof=ASOF), AROUND)
    assert b"real data" in html
    assert b"imulated" not in html


def test_report_of_nothing_names_every_absent_table() -> None:
    html, markdown = (
        page.decode() for page in day(open_night({}, asof=ASOF), Around(source="x", version="1"))
    )
    for table in ("gold", "forecasts", "signals", "picks", "quality", "outcomes", "universe"):
        assert table in html.split("Absent tables:")[1]
    for said in ("no forecasts for", "no signals and no picks", "no book", "data not checked"):
        assert said in html
        assert said in markdown
    assert "nan" not in html.lower().replace("finance", "").replace("financ", "")


def test_long_finding_is_cut_and_says_where_the_rest_is(market: Market) -> None:
    rows = [{"asof": ASOF, "check": "Q21", "symbol": "", "severity": "warn", "message": "ab " * 99}]
    tables = {"gold": market.gold, "quality": rows_to("quality", rows)}
    html = day(open_night(tables, asof=ASOF), AROUND)[0].decode()
    assert f"ab ab ... in full: reports/quality_{ASOF}.md" in html
    assert "ab " * 61 not in html


def test_numbers_are_grouped_signed_and_right_aligned(pages: tuple[str, str]) -> None:
    html = pages[0]
    assert "<dt>gold: short history</dt><dd>1,234</dd>" in html
    assert re.search(r'<td class="n[^"]*"><span class="up">\+\d', html)
    assert re.search(r'<span class="down">\N{MINUS SIGN}\d', html)


ACCOUNT = {
    "account": "PER",
    "mode": "paper",
    "simulated": True,
    "pnl": {
        "unrealised_change_usd": "0",
        "day_start_equity_usd": "100000",
        "equity_usd": "100012.5",
    },
    "positions": [],
    "reconciliation": {"differences": []},
}


def test_open_positions_show_gain_at_the_close(night: Night) -> None:
    close = float(night.now.at["ALFA", "adjusted_close"])
    held = {
        "symbol": "ALFA",
        "con_id": 1,
        "sec_type": "STK",
        "quantity": "40",
        "average_cost": str(close - 2),
        "unrealised_usd": "1",
        "exits": [{"strategy_id": "bollinger", "stop": "9.5", "target": None}],
    }
    account = {**ACCOUNT, "positions": [held]}
    html, _ = day(night, Around(source="sim", version="1", account=account))
    assert b"1 open position" in html
    assert b"+80.00" in html
    assert b"$9.50" in html


def test_what_an_intraday_scan_showed_is_no_signal_of_a_close(market: Market) -> None:
    tables = market.tables()
    signals = tables["signals"]
    place = signals.schema.get_field_index("slot")
    running = signals.set_column(place, "slot", pa.array(["1005"] * signals.num_rows))
    with_both = {**tables, "signals": pa.concat_tables([signals, running])}
    told = open_night(with_both, asof=ASOF)
    alone = open_night(tables, asof=ASOF)
    assert len(told.signals) == len(alone.signals) > 0
    assert len(told.past_signals) == len(alone.past_signals) > 0
