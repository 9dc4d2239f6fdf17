"""A symbol whose prices end early: how to say that it ended, before a night and in its pull."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft

from bft.domain import sessions

SPAN = sessions.sessions(date(2016, 4, 1), date(2018, 2, 7))
HEAD = "symbol,date,open,high,low,close,volume\n"
ROOT = ("--asof", "2018-02-07", "--root", "new", "--source", "files:in/prices.csv")
PULL, NIGHT = ("pull", *ROOT), ("run", "nightly", *ROOT, "--profile", "short", "--dry-run")
TOLD = "5 of 6 active symbols have a bar, expected 98%; without: ['F']"


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of prices in which F ends on 2018-02-02, a Friday."""
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{name},{day},10,11,9,10,90\n"
        for name in "ABCDEF"
        for day in SPAN
        if name != "F" or day <= date(2018, 2, 2)
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "prices.csv").write_text(HEAD + "".join(rows))
    return tmp_path / "in"


def test_symbol_that_ends_early_is_told_of_with_the_line_that_ends_it(beside: Path) -> None:
    """Red: the pull said to take it off the universe, and not how; the night's first look nothing.

    The line does what it says: `to` is the first day that a symbol is no member.
    """
    line = "in sectors.csv beside the prices: columns symbol,to and the line F,2018-02-05"
    for words in (PULL, NIGHT):
        code, _, told = bft(*words)
        assert (code, TOLD in told, line in told) == (65, True, True), told
    assert not (beside.parent / "new" / "source.json").exists()
    (beside / "sectors.csv").write_text("symbol,to\nF,2018-02-05\n")
    assert bft(*NIGHT)[0] == 0
    code, line_of, _ = bft(*PULL)
    assert (code, line_of["active"], line_of["with_bar"]) == (0, 5, 5)


def test_list_that_is_there_is_named(beside: Path) -> None:
    (beside / "constituents.csv").write_text("symbol\nA\nB\nC\nD\nE\nF\n")
    (beside / "sectors.csv").write_text("symbol,sector\nA,Energy\n")
    for words in (PULL, NIGHT):
        code, _, told = bft(*words)
        assert (code, "in constituents.csv beside the prices" in told) == (65, True), told


def test_symbol_that_ended_long_ago_is_no_matter(beside: Path) -> None:
    text = (beside / "prices.csv").read_text()
    kept = [row for row in text.splitlines() if row < "F,2017-12-01"]
    (beside / "prices.csv").write_text("\n".join([HEAD.strip(), *kept]) + "\n")
    assert bft(*NIGHT)[0] == bft(*PULL)[0] == 0


def test_symbol_with_a_new_name_goes_on(beside: Path) -> None:
    """FB became META on 2022-06-09 (shipped list): its old name does not look like an end."""
    span = sessions.sessions(date(2020, 1, 2), date(2022, 6, 15))
    named = {"FB": lambda day: day < date(2022, 6, 9), "META": lambda day: day >= date(2022, 6, 9)}
    rows = [
        f"{name},{day},10,11,9,10,90\n"
        for name in (*"ABCDE", *named)
        for day in span
        if named.get(name, lambda _: True)(day)
    ]
    (beside / "prices.csv").write_text(HEAD + "".join(rows))
    words = [word.replace("2018-02-07", "2022-06-15") for word in NIGHT]
    code, _, told = bft(*words)
    assert code == 0, told
