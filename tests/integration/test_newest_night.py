"""Verbs run by hand on a root whose file ends long ago: the advice they give works."""

import shlex
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from commandline import bft
from fakes import FakePorts, arguments, no_tick
from registries import ASOF as JUDGED
from registries import put_set, with_registry

from bft.adapters.sources.files import Files
from bft.adapters.store.tables import schema
from bft.domain import origin, sessions
from bft.domain.errors import StaleDataError
from bft.ports import Step
from bft.steps import gate, lacking, promote, report
from bft.steps.reading import fill_day, newest_day
from bft.wiring import SystemClock

CLOSED = str(sessions.last_closed(SystemClock().now()))
LAST, ASOF = date(2018, 2, 7), date(2018, 2, 9)
SPAN = sessions.sessions(date(2017, 1, 3), LAST)


def prices(folder: Path) -> Path:
    walk = np.random.default_rng(5)
    lines = ["symbol,date,open,high,low,close,volume"]
    for name in "ABCDE":
        closes = 50 * np.exp(np.cumsum(walk.normal(0, 0.01, len(SPAN))))
        lines += [
            f"{name},{day},{c:.4f},{1.01 * c:.4f},{0.99 * c:.4f},{c:.4f},{1000 + n}"
            for n, (day, c) in enumerate(zip(SPAN, closes, strict=True))
        ]
    file = folder / "prices.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_each_verb_without_a_day_names_its_command_as_of_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: each named a command for today, which a file that ends in 2018 can never serve."""
    monkeypatch.chdir(tmp_path)
    prices(tmp_path)
    root, source = str(tmp_path / "a root"), ("--source", "files:prices.csv")
    code, _, told = bft("pull", "--root", root, *source)
    named = shlex.join(["bft", "pull", "--root", root, *source, "--asof", str(LAST)])
    assert (code, told.endswith(f"load newer prices, or run: {named}  [65]\n")) == (65, True)
    assert bft(*shlex.split(named)[1:])[0] == 0
    for verb in ("pull", "gold", "validate", "scan"):
        code, _, told = bft(verb, "--root", root)
        command = told.rpartition("run: ")[2].removesuffix("  [65]\n")
        assert (code, command) == (65, f"bft {verb} --root '{root}' --asof {LAST}"), told
        assert "files:prices.csv ends 2018-02-07" in told
        assert bft(*shlex.split(command)[1:])[0] == 0
    code, _, told = bft("predict", "--root", root)
    assert (code, f"run: bft predict --root '{root}' --asof {LAST}" in told) == (65, True)
    for words in (("rank",), ("report",), ("screen", "--skip-pdf"), ("models",)):
        code, line, told = bft(*words, "--root", root)
        assert (code, line["asof"], line["last_closed"]) == (0, str(LAST), CLOSED), told
    code, line, told = bft("gold", "--export", f"csv:{tmp_path / 'out'}", "--root", root)
    assert (code, line["asof"], line["exported"]) == (0, str(LAST), 1), told


def test_newest_day_is_that_of_the_last_night_also_of_a_failed_one(ports: FakePorts) -> None:
    """Red: a verb that only tells took the clock's day; a failed night must not hide."""
    today = date(2018, 2, 14)
    assert newest_day(ports.store, closed=today) == today
    hold(ports, "gold", LAST)
    assert newest_day(ports.store, closed=today) == LAST
    ports.store.put("lineage/pull/2018-02-08.json", b"{}")
    assert newest_day(ports.store, closed=today) == date(2018, 2, 8)
    ports.store.put("ledger/days/2018-02-09.json", b"{}")
    assert newest_day(ports.store, closed=today) == date(2018, 2, 9)
    ports.store.put("failures/2018-02-12/pull.json", b"{}")
    assert newest_day(ports.store, closed=today) == date(2018, 2, 12)
    assert newest_day(ports.store, closed=date(2018, 2, 8)) == date(2018, 2, 8)
    for stray in ("ledger/days/2018-02-13.json.bak", "failures/.DS_Store"):  # red: ValueError
        ports.store.put(stray, b"")
    assert newest_day(ports.store, closed=today) == date(2018, 2, 12)


def test_day_that_is_named_and_one_that_marks_a_failure_are_the_calls_own(ports: FakePorts) -> None:
    hold(ports, "gold", LAST)
    closed = sessions.last_closed(ports.clock.now())
    for words, day, older in (
        (("--site",), LAST, closed),
        (("--failed",), closed, None),
        (("--asof", str(SPAN[-2])), SPAN[-2], None),
    ):
        args = arguments(report.STEP, *words)
        assert fill_day(ports, report.STEP, args) == older
        assert args.asof == day


def test_root_without_gold_of_any_day_names_the_night_its_file_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prices(tmp_path)
    day = ("--asof", str(LAST))
    assert bft("pull", *day, "--root", "mine", "--source", "files:prices.csv")[0] == 0
    assert "run: bft run nightly --root mine --asof 2018-02-07" in bft("scan", "--root", "mine")[2]
    assert f"run: bft gold --root mine --asof {LAST}" in bft("scan", *day, "--root", "mine")[2]
    told = bft("scan", "--asof", "2010-01-04", "--root", "mine")[2]
    assert "prices begin 2017-01-03; run: bft run nightly --root mine --asof 2017-01-03" in told


def test_day_that_the_file_lacks_between_two_is_told_as_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: `files:prices.csv ends 2018-02-05`; after a later pull, the night that must fail."""
    monkeypatch.chdir(tmp_path)
    file, absent = prices(tmp_path), SPAN[-2]
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if f",{absent}," not in line) + "\n")
    gap = f"files:prices.csv has no bar of {absent}, a gap between {SPAN[-3]} and {LAST}; "
    source, day = ("--root", "mine", "--source", "files:prices.csv"), ("--asof", str(absent))
    advised = f"run: bft pull --root mine --source files:prices.csv --asof {SPAN[-3]}  [65]"
    assert f"error: {gap}load that day, or {advised}" in bft("pull", *source, *day)[2]
    night = bft("run", "nightly", *source, *day, "--profile", "short", "--dry-run")
    assert f"error: {gap}load that day, or run: bft run nightly" in night[2]
    assert bft("pull", *source, "--asof", str(SPAN[-3]))[0] == 0
    for verb in ("gold", "scan"):
        assert f"{gap}run: bft" in bft(verb, "--root", "mine", *day)[2]
    assert bft("pull", *source)[0] == 65
    assert bft("pull", *source, "--asof", str(LAST))[0] == 0
    assert bft("gold", "--root", "mine", "--asof", str(SPAN[-3]))[0] == 0
    for verb, works in (("gold", LAST), ("scan", SPAN[-3])):
        advice = f"{gap}run: bft {verb} --root mine --asof {works}  [65]\n"
        assert bft(verb, "--root", "mine", *day)[2].endswith(advice)


def told(ports: FakePorts, table: str = "gold", asof: date = ASOF) -> str:
    with pytest.raises(StaleDataError) as caught:
        lacking.need(ports, table, asof)
    return str(caught.value)


def hold(ports: FakePorts, table: str, asof: date) -> None:
    rows = schema(table).empty_table()
    if table == "bars":
        days = [{"symbol": "A", "date": day} for day in (min(LAST, asof), asof)]
        rows = pa.Table.from_pylist(days, schema=schema(table))
    ports.store.publish(table, asof=asof, partitions={"p": rows})


def remember(ports: FakePorts, spec: str, *, simulated: bool = False) -> None:
    made = origin.origin_of(spec, Path.cwd(), simulated=simulated)
    ports.store.put(origin.KEY, origin.encoded(made))


def test_vendor_may_have_the_day_so_its_night_comes_first(ports: FakePorts) -> None:
    assert told(ports) == (
        "gold 2018-02-09 is absent (none of any day); run: bft run nightly --asof 2018-02-09"
    )
    remember(ports, "alphavantage")
    hold(ports, "bars", LAST)
    hold(ports, "gold", LAST)
    assert told(ports) == (
        "gold 2018-02-09 is absent (newest: 2018-02-07); run: bft run nightly --asof 2018-02-09; "
        "as of the newest: bft VERB --asof 2018-02-07"
    )


def test_what_the_root_can_make_of_its_own_is_made(ports: FakePorts) -> None:
    remember(ports, "alphavantage")
    hold(ports, "gold", LAST)
    hold(ports, "bars", ASOF)
    assert "; run: bft gold --asof 2018-02-09; as of the newest: bft VERB" in told(ports)
    assert "; run: bft run nightly --asof 2018-02-09" in told(ports, "signals")
    assert told(ports, "signals", LAST).endswith("; run: bft scan --asof 2018-02-07")
    assert lacking.need(ports, "gold", LAST).asof == LAST


def test_simulator_that_was_pulled_up_to_an_earlier_day_is_not_asked(ports: FakePorts) -> None:
    remember(ports, "sim", simulated=True)
    hold(ports, "bars", LAST)
    hold(ports, "gold", LAST)
    words = "; simulated prices were pulled up to 2018-02-07; run: bft VERB --asof 2018-02-07"
    assert told(ports).endswith(words)


def test_file_that_reaches_the_day_is_pulled(ports: FakePorts, tmp_path: Path) -> None:
    ports.sources = {"files:p.csv": Files(prices(tmp_path))}
    remember(ports, "files:p.csv")
    hold(ports, "bars", SPAN[-2])
    hold(ports, "gold", SPAN[-2])
    assert "; run: bft run nightly --asof 2018-02-07; as of the newest: " in told(ports, asof=LAST)
    assert (
        "; files:p.csv ends 2018-02-07, before 2018-02-09; run: bft VERB --asof 2018-02-06"
        in told(ports)
    )


@pytest.fixture
def judged(ports: FakePorts) -> Iterator[FakePorts]:
    """A root whose newest night is judged, asked for a later day."""
    with_registry(ports)
    remember(ports, "sim", simulated=True)
    hold(ports, "bars", date.fromisoformat(JUDGED))
    hold(ports, "gold", date.fromisoformat(JUDGED))
    put_set(ports, "a")
    yield ports
    ports.state.close()


def later(ports: FakePorts, step: Step, *words: str) -> str:
    args = arguments(step, *words, asof=date(2026, 1, 6), trading_mode="paper", gates_dir="")
    with pytest.raises(StaleDataError) as caught:
        step.run(ports, args, no_tick)
    return str(caught.value)


@pytest.mark.parametrize("words", [(), ("--live",), ("--dry-run",)])
def test_gate_of_a_day_without_gold_is_refused(judged: FakePorts, words: tuple[str, ...]) -> None:
    """Red: it judged by what there was, and left a report of a day that nobody ran."""
    before = list(judged.store.keys("gates/"))
    assert later(judged, gate.STEP, *words).endswith(f"; run: bft VERB --asof {JUDGED}")
    assert list(judged.store.keys("gates/")) == before
    assert "run: bft VERB --asof" in later(judged, report.STEP, "--models")


def test_promotion_of_a_day_without_a_report_names_the_newest(judged: FakePorts) -> None:
    """Red: it advised to judge a day that has nothing to judge by."""
    assert later(judged, promote.STEP) == (
        f"no gate report of 2026-01-06 (newest: {JUDGED}); as of the newest: bft VERB --asof "
        f"{JUDGED}"
    )
    hold(judged, "gold", date(2026, 1, 6))
    assert "; run: bft gate --asof 2026-01-06; as of the newest: " in later(judged, promote.STEP)


@pytest.mark.usefixtures("judged")
def test_advice_keeps_what_the_call_was_given(ports: FakePorts) -> None:
    """Red: `bft report --site` was told `bft report`, which writes no site."""
    root = ("--root", ports.store.root)
    day = ("--asof", "2026-01-06")
    for words in (
        ("report", "--site"),
        ("gate", "--gates", "paper,short", "--contract-exit"),
        ("train", "reg_3d", "--profile", "demo", "--override", "folds=2"),
        ("promote", "--reason", "by hand"),
    ):
        code, _, told = bft(*words, *day, *root, "--json")
        assert code == 65
        assert bft(*words, *day, *root)[2].endswith(
            f": {shlex.join(['bft', words[0], *root, *words[1:]])} --asof {JUDGED}  [65]\n"
        ), told
