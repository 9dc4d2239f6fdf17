"""A night whose build or scoring fails after a good run of that day: what that run left says so."""

import csv
import io
import json
import re
import shlex
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import make_ports
from panels import ASOF, table, wavy

from bft.cli import CommandLine, main
from bft.ports import Store
from bft.steps import failures

FALLEN = {"adjusted_close": 94.0, "rsi_14": 28.0, "bollinger_bands_signal": 1}
FOLDER = f"reports/{ASOF}"
LISTS = (f"{FOLDER}/signals.csv", f"{FOLDER}/portfolio_picks.csv")
PDF = f"{FOLDER}/screener_{ASOF}.pdf"
SCREENED = f"{FOLDER}/screener_results_{ASOF}.csv"
PAGES = (f"{FOLDER}/day.html", f"{FOLDER}/day.md", *LISTS, "site/current.json")
NOTE = f"failures/{ASOF}/build.json"
BAD_PULL = b'{"verb": "pull", "exit_code": 65, "error": "bars.csv line 7: no number"}'
Call = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gold whose rules fire in two symbols; every call is part of a run."""
    monkeypatch.setenv("BFT_RUN_ID", "nightly-x")
    monkeypatch.setenv("BFT_SCREEN_MAX_CHARTS", "1")
    rows = [*wavy("AAA", seed=1, **FALLEN), *wavy("BBB", seed=2, sector="UTILITIES", **FALLEN)]
    store = make_ports(tmp_path / "root").store
    store.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    return tmp_path / "root"


@pytest.fixture
def store(root: Path) -> Store:
    return make_ports(root).store


@pytest.fixture
def call(root: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def one(*words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main([words[0], "--asof", str(ASOF), "--root", str(root), "--json", *words[1:]])
        return code, json.loads(capsys.readouterr().out)

    return one


@pytest.fixture
def good(store: Store, call: Call) -> Callable[[], None]:
    """The night's `publish`, all of it well; its screener is not drawn but put there."""

    def night() -> None:
        store.put(PDF, b"%PDF of an earlier run")
        store.put(SCREENED, b"symbol\n")
        for words in (("scan",), ("rank",), ("report", "--site")):
            assert call(*words)[0] == 0, words

    return night


def kept(store: Store) -> dict[str, bytes]:
    return {key: store.get(key) for key in PAGES}


def tagged(store: Store, key: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(store.get(key).decode()))
    return [(row["tag"], row["tag_reason"]) for row in rows]


def test_failed_build_marks_everything_an_earlier_run_left(
    store: Store, root: Path, call: Call, good: Callable[[], None]
) -> None:
    good()
    before = kept(store)
    assert [tagged(store, key).count(("execute", "")) for key in LISTS] == [2, 2]
    store.put(f"failures/{ASOF}/pull.json", BAD_PULL)
    code, line = call("report", "--failed")
    assert (code, line["failed"]) == (0, ["pull"])
    html, text = (store.get(f"{FOLDER}/day.{kind}").decode() for kind in ("html", "md"))
    assert 'class="banner failed"' in html
    assert ">execute<" not in html
    for page in (html, re.sub(r"[\\*]", "", text)):
        assert "pull failed (exit code 65): bars.csv line 7: no number" in page
        assert f"bft run nightly --root {root} --asof {ASOF}" in page
    for key in LISTS:
        assert "execute" not in {tag for tag, _ in tagged(store, key)}
        assert tagged(store, key).count(("watch", "night_failed")) == 2
    shown = json.loads(store.get("site/current.json"))
    assert [one["verb"] for one in shown["failed"]] == ["pull"]
    today = json.loads(store.get(f"site/{shown['digest']}/signals_today.json"))
    assert [one["verb"] for one in today["failed"]] == ["pull"]
    assert store.get(PDF).startswith(b"%PDF-1")
    assert store.get(SCREENED) != b"symbol\n"
    assert store.keys("failures/") == [f"failures/{ASOF}/pull.json"], "told already: no more notes"
    assert call("report", "--failed")[1]["cached"] is True
    store.delete(f"failures/{ASOF}/pull.json")  # as the pull of a mended night does
    good()
    assert kept(store) == before


def test_lists_keep_exits_and_every_other_cell(store: Store, call: Call) -> None:
    rows = (
        'symbol,reason,kind,tag,tag_reason\nAAA,"a, ""b""",exit,execute,\nBBB,,entry,execute,\n'
        "CCC,1.50,entry,watch,falling_knife\n"
    )
    for name in ("signals.csv", "signals-0935.csv"):
        store.put(f"{FOLDER}/{name}", rows.encode())
    call("report", "--failed")
    for name in ("signals.csv", "signals-0935.csv"):
        after = store.get(f"{FOLDER}/{name}").decode()
        assert after == rows.replace("BBB,,entry,execute,", "BBB,,entry,watch,night_failed")


def test_build_that_was_killed_is_a_failed_night_until_a_run_builds_it(
    store: Store, root: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step could leave a note; to look at the models by hand takes nothing back."""
    assert call("models")[0] == 0
    words = shlex.join(("models", "--asof", str(ASOF), "--root", str(root)))
    assert CommandLine().cached(("chain", words)) is not None
    code, line = call("report", "--failed")
    assert (code, line["failed"]) == (0, ["build"])
    assert "build failed (exit code 75): it was stopped" in store.get(f"{FOLDER}/day.html").decode()
    monkeypatch.delenv("BFT_RUN_ID")
    assert call("models")[0] == 0
    assert store.keys("failures/") == [NOTE]
    assert CommandLine().cached(("chain", words)) is None, "a run has to start it"
    monkeypatch.setenv("BFT_RUN_ID", "nightly-y")
    assert call("models")[0] == 0
    assert store.keys("failures/") == []


def test_failed_build_of_a_new_day_has_a_page_and_leaves_the_site_of_the_day_before(
    tmp_path: Path, call: Call, root: Path
) -> None:
    """Nothing of the day is there but its failure."""
    store = make_ports(root).store
    for key in store.keys("manifests/"):
        store.delete(key)
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    store.put("exports/production.alias", b"abc\n")
    site = b'{"asof": "2025-03-13", "digest": "d"}'
    store.put("site/current.json", site)
    store.put(f"failures/{ASOF}/pull.json", BAD_PULL)
    assert call("report", "--failed")[0] == 0
    assert store.keys(f"{FOLDER}/") == [f"{FOLDER}/day.html", f"{FOLDER}/day.md"]
    html = store.get(f"{FOLDER}/day.html").decode()
    assert "Night failed at pull; nothing to execute" in html
    assert "there are no forecasts" not in html, "nothing could be scored"
    assert "<span>source: sim</span><span>simulated data</span>" in html
    assert store.get("site/current.json") == site


def test_failed_build_whose_report_fails_too_leaves_no_page_that_looks_good(
    store: Store, call: Call, good: Callable[[], None]
) -> None:
    good()
    for ref in store.manifest("gold", asof=ASOF).objects:  # type: ignore[union-attr]
        store.put(ref.key, b"no table")
    assert call("report", "--failed")[0] != 0
    assert not {f"{FOLDER}/day.html", f"{FOLDER}/day.md", PDF} & set(store.keys(f"{FOLDER}/"))
    assert "execute" not in {tag for key in LISTS for tag, _ in tagged(store, key)}


def test_scoring_that_was_killed_after_a_good_run_leaves_nothing_to_execute(
    store: Store, root: Path, call: Call, good: Callable[[], None]
) -> None:
    """Red: forecasts of the earlier run stood in for those that were never made."""
    store.put("exports/production.alias", b"abc\n")
    store.publish("forecasts", asof=ASOF, partitions={f"asof={ASOF}": table("forecasts", [])})
    good()
    before = kept(store)
    code, line = call("report", "--failed", "score")
    assert (code, line["failed"]) == (0, ["score"])
    assert store.keys("failures/") == [f"failures/{ASOF}/score.json"]
    assert "score failed (exit code 75): it was stopped" in store.get(PAGES[0]).decode()
    good()  # the same run goes on with `publish`
    for key in LISTS:
        assert "execute" not in {tag for tag, _ in tagged(store, key)}
    assert call("execute", "--dry-run")[1]["would_send"] == []
    settled(store, "predict")
    assert store.keys("failures/") == []
    good()
    assert kept(store) == before


def test_scoring_that_is_killed_again_is_noted_again(store: Store, call: Call) -> None:
    """Red: the marking was found finished, though its note was gone."""
    for _ in range(2):
        assert call("report", "--failed", "score")[1]["failed"] == ["score"]
        assert store.keys("failures/") == [f"failures/{ASOF}/score.json"]
        settled(store, "predict")


def test_scoring_that_said_why_is_noted_once(store: Store, call: Call) -> None:
    store.put(f"failures/{ASOF}/gate.json", BAD_PULL.replace(b"pull", b"gate"))
    assert call("report", "--failed", "score")[1]["failed"] == ["gate"]
    assert store.keys("failures/") == [f"failures/{ASOF}/gate.json"]


def test_scoring_again_after_a_killed_one_takes_its_note_back(store: Store, call: Call) -> None:
    """Red: the `rescore` of a resumed run is no `gate`, and its good night stayed a failed one."""
    assert call("report", "--failed", "score")[1]["failed"] == ["score"]
    settled(store, "predict", shadow=False)
    assert store.keys("failures/") == []


def settled(store: Store, verb: str, **flags: bool) -> None:
    """A success of a verb within a run."""
    failures.settle(store, verb, Namespace(asof=ASOF, **flags), {}, code=0, in_run=True)
