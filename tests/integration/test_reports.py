"""The verbs screen and report on a whole simulated night, and the page in a browser."""

import functools
import json
import shutil
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakePorts, arguments, make_ports, no_tick
from market import ASOF, build_market, publish

from bft.adapters.llm.template import Template
from bft.domain import sessions
from bft.domain.errors import DataError, UsageError
from bft.ports import Pointer, Summary
from bft.steps import report, screen

BROWSER = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--virtual-time-budget=4000 --enable-logging=stderr --dump-dom"
).split()


class Production:
    """The state with a production set."""

    def pointer(self, alias: str) -> Pointer:
        return Pointer(alias=alias, set_digest="5e7", revision=1, audit_seq=1)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> FakePorts:
    made = make_ports(tmp_path_factory.mktemp("night"), summarizer=Template(), state=Production())
    publish(made.store, build_market(sessions_back=280, forecast_days=45))
    return made


def call(step: Any, ports: FakePorts, *words: str) -> Summary:
    args = arguments(step.STEP, *words, asof=ASOF, screen_max_charts=0)
    found: Summary = step.STEP.run(ports, args, no_tick)
    return found


@pytest.fixture(scope="module")
def night(ports: FakePorts) -> FakePorts:
    """The night after `screen` and `report --site`."""
    call(screen, ports, "--whitelist", "ALFA,ECHO", "--max-charts", "1")
    call(report, ports, "--site")
    return ports


def test_screen_publishes_table_pdf_and_images(night: FakePorts) -> None:
    folder = f"reports/{ASOF}"
    lines = night.store.get(f"{folder}/screener_results_{ASOF}.csv").decode().splitlines()
    assert lines[0].startswith("symbol,num_bullish,num_bearish,sma_cross,")
    assert lines[1:] == sorted(lines[1:])
    assert night.store.get(f"{folder}/screener_{ASOF}.pdf").startswith(b"%PDF")
    images = night.store.keys(f"{folder}/overnight_{ASOF}/")
    assert len(images) in {6 + 14, 7 + 14}  # one symbol, 13 funds, the market


def test_screen_again_without_charts_removes_old_images_and_pdf(tmp_path: Path) -> None:
    ports = make_ports(tmp_path)
    publish(ports.store, build_market(sessions_back=70, forecast_days=5))
    stale = [f"overnight_{ASOF}/OLD_daily_price.jpg", f"screener_{ASOF}.pdf"]
    for name in stale:
        ports.store.put(f"reports/{ASOF}/{name}", b"of an earlier call")
    done = call(screen, ports, "--max-charts", "1", "--skip-sectors", "--skip-pdf")
    kept = ports.store.keys(f"reports/{ASOF}/")
    assert kept[-1] == f"reports/{ASOF}/screener_results_{ASOF}.csv"
    assert not {f"reports/{ASOF}/{name}" for name in stale} & set(kept)
    assert done.values["simulated"] is True


def test_screen_of_some_symbols_leaves_the_nights_own_report(tmp_path: Path) -> None:
    """Red: `--symbols ALFA` replaced the list and the PDF of the whole night."""
    ports = make_ports(tmp_path)
    publish(ports.store, build_market(sessions_back=70, forecast_days=5))
    pages = (f"screener_results_{ASOF}.csv", f"screener_{ASOF}.pdf")
    for name in pages:
        ports.store.put(f"reports/{ASOF}/{name}", b"of the night")
    (tmp_path / "list.csv").write_text("symbol\nALFA\nNOPE\n")
    listed = ("--watchlist", str(tmp_path / "list.csv"))
    done = call(screen, ports, *listed, "--skip-sectors", "--skip-pdf")
    assert (done.values["screened"], done.skipped["no_row"]) == (1, 1)
    assert done.values["folder"] == f"reports/{ASOF}/part"
    assert f"reports/{ASOF}/part/{pages[0]}" in done.objects
    assert [ports.store.get(f"reports/{ASOF}/{name}") for name in pages] == [b"of the night"] * 2


def test_screen_of_an_unknown_symbol_names_near_ones_and_writes_nothing(ports: FakePorts) -> None:
    """Red: it wrote an empty list, and ended with 0."""
    before = ports.store.keys("reports/")
    with pytest.raises(UsageError, match=r"ALFB is not in the root; did you mean ALFA\b"):
        call(screen, ports, "--symbols", "ALFA,ALFB")
    assert ports.store.keys("reports/") == before


def test_screen_names_the_nearest_indicator(ports: FakePorts) -> None:
    with pytest.raises(UsageError, match="did you mean macd_zero"):
        call(screen, ports, "--indicators", "macd_zro")


def test_screen_without_gold_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of any day.*run: bft run nightly --asof 2026-01-02"):
        call(screen, make_ports(tmp_path))


def test_site_pointer_names_a_complete_folder(night: FakePorts) -> None:
    pointer = json.loads(night.store.get("site/current.json"))
    folder = f"site/{pointer['digest']}"
    listed = json.loads(night.store.get(f"{folder}/manifest.json"))
    head = {"asof": str(ASOF), "simulated": True, "failed": []}
    assert pointer == {**head, "digest": pointer["digest"]}
    assert night.store.digest(f"{folder}/manifest.json") == pointer["digest"]
    assert {name: night.store.digest(f"{folder}/{name}") for name in listed["files"]} == listed[
        "files"
    ]
    overnight = json.loads(night.store.get(f"{folder}/overnight.json"))
    assert overnight["has_market_returns"] is True
    assert len(overnight["sectors"]) == 13


def test_report_twice_gives_the_same_objects(night: FakePorts) -> None:
    assert call(report, night, "--site").objects == call(report, night, "--site").objects


def test_report_does_not_depend_on_what_the_registry_said(tmp_path: Path) -> None:
    """`models` of the first night ran before its promotion, of the second one after it."""
    ports = make_ports(tmp_path, summarizer=Template())
    args = arguments(report.STEP, "--site", asof=ASOF)
    before = report.inputs(ports, args)
    ports.store.put(f"lineage/models/{ASOF}.json", b'{"skipped": {}}')
    assert report.inputs(ports, args) == before
    ports.store.put(f"lineage/scan/{ASOF}.json", b'{"skipped": {}}')
    assert report.inputs(ports, args) != before


def test_old_versions_of_the_site_go_and_the_last_one_stays(tmp_path: Path) -> None:
    ports = make_ports(tmp_path, summarizer=Template())
    publish(ports.store, build_market(sessions_back=70, forecast_days=5))
    ports.store.put("site/aaa/manifest.json", b"{}")
    ports.store.put("site/bbb/manifest.json", b"{}")
    ports.store.put("site/current.json", b'{"digest": "bbb"}')
    done = call(report, ports, "--site")
    folders = {key.split("/")[1] for key in ports.store.keys("site/") if key.count("/") == 2}
    assert folders == {"bbb", done.values["site"].split("/")[1]}


def test_report_shows_source_skips_lineage_and_words(night: FakePorts) -> None:
    html = night.store.get(f"reports/{ASOF}/day.html").decode()
    assert "source: sim" in html
    words = "<br><small>the answer was whole, but ended before this day</small>"
    assert f"<dt>pull: stale day{words}</dt><dd>2</dd>" in html
    manifest = night.store.manifest("gold", asof=ASOF)
    assert manifest is not None
    assert manifest.digest in html
    assert "ALFA closed at $" in html
    assert "0 sentences dropped" in html


def test_wrong_figure_is_dropped_and_counted(ports: FakePorts) -> None:
    class Liar(Template):
        name = "liar"

        def summarize(self, symbol: str, facts: Any) -> list[str]:
            return [f"{symbol} closed at $123456.78.", *super().summarize(symbol, facts)]

    lying = FakePorts(store=ports.store, summarizer=Liar())
    done = call(report, lying, "--day")
    html = ports.store.get(f"reports/{ASOF}/day.html").decode()
    assert done.values["sentences_dropped"] > 0
    assert done.skipped == {"sentence_not_traced": done.values["sentences_dropped"]}
    assert "123456" not in html
    assert f"{done.values['sentences_dropped']} sentences dropped" in html


@pytest.mark.parametrize(
    ("own", "setting", "simulated", "pages"),
    [(None, -1, True, 8), (None, -1, False, 0), (None, 0, True, 0), (3, -1, True, 3)],
)
def test_chart_pages_follow_the_call_then_the_setting_then_the_prices(
    own: int | None, setting: int, simulated: bool, pages: int
) -> None:
    """`make demo` and a plain run of the same root draw the same: nothing runs again."""
    args = Namespace(max_charts=own, screen_max_charts=setting)
    assert screen.limit(args, SimpleNamespace(simulated=simulated)) == pages


def test_report_of_an_empty_root_says_what_is_absent(tmp_path: Path) -> None:
    ports = make_ports(tmp_path, summarizer=Template())
    done = call(report, ports)
    assert "gold" in done.values["absent"]
    assert b"Absent tables: gold, forecasts" in ports.store.get(f"reports/{ASOF}/day.html")
    with pytest.raises(DataError, match="gold 2026-01-02 is absent"):
        call(report, ports, "--site")


def test_report_of_a_night_that_was_never_run_invents_none(night: FakePorts) -> None:
    """Red: a page that said the night had failed, for a day nobody asked for."""
    unasked = sessions.shift(ASOF, 3)
    args = arguments(report.STEP, asof=unasked, screen_max_charts=8)
    with pytest.raises(DataError, match=f"newest: {ASOF}"):
        report.STEP.run(night, args, no_tick)
    assert not night.store.keys(f"reports/{unasked}/")


def test_model_cards_show_intervals_and_name_the_absent(ports: FakePorts) -> None:
    evaluation = {
        "simulated": True,
        "survivors_only": True,
        "metrics": {"rank_ic": 0.0312, "days": 120, "samples": 54321, "sharpe_net": -0.4},
        "intervals": {"rank_ic": {"lo": 0.0101, "hi": 0.0522}},
        "baselines": {
            "ridge": {
                "rank_ic": 0.0299,
                "rank_ic_difference": 0.0013,
                "interval": {"lo": -0.01, "hi": 0.012},
                "beaten": True,
            },
            "lightgbm": {"absent": "lightgbm is not installed"},
        },
    }
    store = ports.store
    store.put("models/abc/evaluation.json", json.dumps(evaluation).encode())
    store.put("models/abc/model.json", b'{"created_utc": "2026-01-01", "type": "<encoder>"}')
    store.put("models/abc/plots/loss.png", b"\x89PNG")
    common = {"version": "1", "train_end": "2025-11-28", "origin": "candidate"}
    entries = [
        {"name": "reg_3d", "digest": "abc", **common},
        {"name": "reg_10d", "digest": None, **common},
    ]
    store.put("sets/5e7.json", json.dumps({"entries": entries, "paper_only": True}).encode())
    folder = f"reports/models_{ASOF}"
    store.put(f"{folder}/bin_3d.html", b"a card of the set before")
    done = call(report, ports, "--models")
    assert store.keys(f"{folder}/") == sorted(done.objects)
    card = store.get(f"{folder}/reg_3d.html").decode()
    assert "RankIC +0.0312, above zero beyond chance" in card
    assert "+0.0101 to +0.0522" in card
    assert "lightgbm is not installed" in card
    assert "&lt;encoder&gt;" in card
    assert "Simulated data" in card
    assert "54,321" in card
    index = store.get(f"{folder}/index.html").decode()
    assert "1 of 2 models present, 1 with a RankIC above zero" in index
    assert done.skipped == {"no_artifact": 1}
    call(report, ports, "--day")
    day = store.get(f"reports/{ASOF}/day.html").decode()
    assert f'href="../models_{ASOF}/reg_3d.html"' in day


@pytest.fixture(scope="module")
def served(night: FakePorts) -> Iterator[str]:
    """The day's folder over loopback, with a page that measures the report in a narrow frame."""
    folder = night.store.path(f"reports/{ASOF}")
    (folder / "probe.html").write_text(
        '<body><iframe id="f" src="day.html" style="border:0;width:390px;height:900px"></iframe>'
        "<script>f.onload=()=>{const d=f.contentDocument.documentElement;"
        "const cut=[...d.querySelectorAll('#ranking .scroll')];"
        "const n=cut.filter(e=>e.scrollWidth>e.clientWidth).length;"
        "document.title=`${d.scrollWidth}<=${d.clientWidth}<=${n}`}</script>",
        encoding="utf-8",
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_day_report_fits_a_phone_and_logs_nothing(served: str, tmp_path: Path) -> None:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is absent (apt-get install chromium)")
    words = [program, *BROWSER, f"--user-data-dir={tmp_path}", f"{served}/probe.html"]
    seen = subprocess.run(words, capture_output=True, text=True, timeout=100, check=True)
    title = seen.stdout.split("<title>")[1].split("</title>")[0]
    wide, shown, cut = (int(part) for part in title.split("&lt;="))
    assert wide <= shown == 390
    assert cut == 0
    assert "CONSOLE" not in seen.stderr
