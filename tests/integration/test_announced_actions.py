"""Actions entered before their day: applied to that day's quotes, judged by that day's prices."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import FakePorts, make_ports
from markets import raw

from bft.domain import sessions
from bft.features.overlay import history_of, overlay
from bft.services.executor.reference import read_reference
from bft.steps.gold_tables import known_tables

DAY, NEXT = date(2018, 2, 6), date(2018, 2, 7)
AFTER = sessions.shift(NEXT, 1)
SPAN = sessions.sessions(date(2017, 10, 2), AFTER)
SAME = ("adjusted_close_pct", "rsi_14", "sma_20", "adj_factor", "split_factor", "row_flags")


def close(symbol: str, day: date, n: int) -> float:
    """A walk; the split that SPL announces halves it, the one that LIE announces does not."""
    price = 50 + (n * 37 % 101) / 13
    return price / 2 if symbol == "SPL" and day >= NEXT else price


def prices(last: date) -> str:
    rows = [
        f"{s},{d},{c},{c + 1},{c - 1},{c},{1000 + n}\n"
        for s in ("DIV", "LIE", "SPL")
        for n, d in enumerate(SPAN)
        if d <= last
        for c in [close(s, d, n)]
    ]
    return "symbol,date,open,high,low,close,volume\n" + "".join(rows)


def night(day: date) -> list[str]:
    """Pull and build; what the pull has to say."""
    Path("bars.csv").write_text(prices(day))
    root, notes = ("--asof", str(day), "--root", "r"), []
    for words in (("pull", *root, "--source", "files:bars.csv"), ("gold", *root)):
        code, line, told = bft(*words)
        assert code == 0, told
        notes += line.get("notes", [])
    return notes


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    monkeypatch.chdir(tmp_path)
    told = [f"DIV,{NEXT},dividend,2.0\n", f"SPL,{NEXT},split,2\n", f"LIE,{NEXT},split,2\n"]
    Path("actions.csv").write_text("symbol,ex_date,kind,value\n" + "".join(told))
    night(DAY)
    return make_ports(tmp_path / "r")


def states(ports: FakePorts, day: date) -> list[tuple[str, str]]:
    rows = ports.store.read("actions", asof=day).to_pylist()
    return [(row["symbol"], row["status"]) for row in rows]


@pytest.mark.parametrize("kept", [True, False])
def test_announced_action_is_expected_then_judged(*, kept: bool, ports: FakePorts) -> None:
    """Red: the evening before knew of none. `kept`: the file still names them on their day."""
    assert states(ports, DAY) == [("DIV", "expected"), ("LIE", "expected"), ("SPL", "expected")]
    now = [(s, d, close(s, d, n)) for s in ("DIV", "SPL") for n, d in enumerate(SPAN) if d == NEXT]
    at = sessions.close_at(NEXT)
    quotes = [
        {"symbol": s, "at": at, "bulk": True, "last": c, "open": c, "high": c + 1, "low": c - 1}
        | {"volume": 1000 + SPAN.index(NEXT)}
        for s, _, c in now
    ]
    tables = known_tables(ports.store, DAY, history_start="2016-01-01")
    laid = overlay(
        history_of(tables, asof=DAY), raw("quotes", quotes), at=at, active=["DIV", "SPL"]
    )
    if not kept:
        Path("actions.csv").unlink()
    night(NEXT)
    held = {row["symbol"]: row for row in ports.store.read("gold", since=NEXT).to_pylist()}
    shown = {row["symbol"]: row for row in laid.rows.to_pylist()}
    assert laid.without_row == {"LIE": "no_quote"}
    for symbol in ("DIV", "SPL"):
        flags = shown[symbol]["row_flags"] & ~16  # provisional
        assert {n: shown[symbol][n] for n in SAME} | {"row_flags": flags} == {
            n: held[symbol][n] for n in SAME
        }
    newest = dict(states(ports, NEXT))
    assert newest == {"DIV": "ok", "LIE": "refused", "SPL": "ok"}
    assert held["LIE"]["split_factor"] == 1.0
    assert held["SPL"]["split_factor"] == 2.0


def test_last_announced_action_is_withdrawn_by_a_list_of_none(ports: FakePorts) -> None:
    """Red: the header alone was refused (65), and without the file the action was applied."""
    Path("actions.csv").write_text("symbol,ex_date,kind,value\n")
    night(NEXT)
    assert dict(states(ports, NEXT)) == dict.fromkeys(("DIV", "LIE", "SPL"), "refused")


def test_pull_says_what_stays_due_without_a_list(ports: FakePorts) -> None:
    Path("actions.csv").unlink()
    due = f"no list of actions is there, so these stay due: DIV {NEXT} dividend 2; LIE"
    assert [note for note in night(NEXT) if note.startswith(due)]


@pytest.mark.parametrize("moved", [True, False])
def test_withdrawn_action_is_not_applied(*, moved: bool, ports: FakePorts) -> None:
    """Red: the executor saw what the list lacks, its day applied it, and a moved one twice."""
    later = sessions.shift(NEXT, 1)
    told = [f"DIV,{later},dividend,2.0\n", f"SPL,{later},split,2\n"] if moved else []
    told.append("LIE,2017-11-01,dividend,0.1\n")
    Path("actions.csv").write_text("symbol,ex_date,kind,value\n" + "".join(told))
    since = read_reference(ports.store, held={"DIV"})
    assert (len(since.splits), len(since.dividends)) == (2, 1)
    night(NEXT)
    rows = ports.store.read("actions", asof=NEXT).to_pylist()
    announced = [row for row in rows if row["ex_date"] == NEXT]
    newest = {row["symbol"]: row["status"] for row in announced}
    assert newest == dict.fromkeys(("DIV", "LIE", "SPL"), "refused")
    now = read_reference(ports.store, held={"DIV"})
    assert {s.ex_date for s in now.splits} == ({later} if moved else set())
    assert {d.ex_date for d in now.dividends} == ({later} if moved else set())
    held = {row["symbol"]: row for row in ports.store.read("gold", since=NEXT).to_pylist()}
    assert [held[s]["split_factor"] for s in ("DIV", "SPL")] == [1.0, 1.0]
    assert held["DIV"]["adj_factor"] == 1.0


def test_day_of_a_withdrawn_action_holds_its_symbol_not_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: `an action of today was refused` held it back, on the day it had been told for."""
    monkeypatch.chdir(tmp_path)
    head, other = "symbol,ex_date,kind,value\n", f"SPL,{SPAN[5]},none,\n"
    reasons = []
    for day, told in (
        (DAY, f"DIV,{NEXT},dividend,2.0\nLIE,{AFTER},dividend,2.0\n"),
        (NEXT, f"DIV,{NEXT},dividend,2.0\n"),
        (AFTER, ""),
    ):
        Path("actions.csv").write_text(head + other + told)
        night(day)
        reasons.append(bft("validate", "--asof", str(day), "--root", "r", "--only", "Q10")[1])
    assert [each["counts"]["pass"] for each in reasons] == [1, 1, 1], reasons
