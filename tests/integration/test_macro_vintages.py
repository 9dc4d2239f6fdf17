"""Macro values that a file tells anew: which of their vintages gold takes, night after night."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import make_ports

from bft.domain import sessions

SPAN = sessions.sessions(date(2018, 2, 13), date(2018, 2, 22))
NIGHTS = SPAN[-3:]
JANUARY = "2018-01-01,cpi"


def night(day: date, *macro: str) -> list[float | None]:
    """The series by day, as gold of a day has it once the file was pulled that tells it so."""
    bars = [f"A,{d},10,11,9,10,90\n" for d in SPAN if d <= day]
    Path("bars.csv").write_text("symbol,date,open,high,low,close,volume\n" + "".join(bars))
    lines = [f"{JANUARY},{line}\n" for line in macro]
    Path("macro.csv").write_text("date,series,value,known_on\n" + "".join(lines))
    root = ("--asof", str(day), "--root", "r")
    for words in (("pull", *root, "--source", "files:bars.csv"), ("gold", *root)):
        code, _, told = bft(*words)
        assert code == 0, told
    made = make_ports(Path("r")).store.read("gold", asof=day, columns=["cpi"])
    return made["cpi"].to_pylist()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_value_mended_with_an_earlier_day_holds() -> None:
    """Red: 274, that the rule has known on the 16th, came back on that day and stayed."""
    assert night(NIGHTS[0], "274,") == [None] * 3 + [274.0] * 2
    assert night(NIGHTS[1], "247,2018-02-14") == [None] + [247.0] * 5
    assert night(NIGHTS[2], "247,2018-02-14") == [None] + [247.0] * 6


def test_earlier_vintage_that_joins_a_later_one_holds_until_that_is_known() -> None:
    """The later one, which was there, arrives with it once more, and then no more."""
    assert night(NIGHTS[0], "310,2018-02-16") == [None] * 3 + [310.0] * 2
    both = ("300,2018-02-14", "310,2018-02-16")
    assert night(NIGHTS[1], *both) == [None, 300.0, 300.0] + [310.0] * 3
    assert night(NIGHTS[2], *both) == [None, 300.0, 300.0] + [310.0] * 4
    stored = make_ports(Path("r")).store.read("macro").to_pylist()
    assert [(row["value"], row["revision"]) for row in stored] == [(310, 0), (300, 1), (310, 2)]
