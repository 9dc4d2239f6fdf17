"""A pull is done again where a list it was given has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import bft

HEAD = "symbol,date,open,high,low,close,volume\n"
BARS = HEAD + "".join(
    f"{name},{day},20,21,19,20.5,200\n"
    for name in ("AAA", "BBB", "NEW")
    for day in ("2018-02-06", "2018-02-07")
)
LISTED = "symbol,name,sector\nAAA,a,Technology\n"

Pull = Callable[..., dict[str, Any]]


@pytest.fixture
def pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pull:
    monkeypatch.chdir(tmp_path)
    Path("bars.csv").write_text(BARS)
    Path("lists").mkdir()
    Path("lists/u.csv").write_text(LISTED)

    def call(*words: str) -> dict[str, Any]:
        source = ("--source", "files:bars.csv", "--asof", "2018-02-07", "--root", "r")
        code, line, told = bft("pull", *source, *words)
        assert code == 0, told
        return line

    return call


def test_symbol_file_that_changed_is_read_again(pull: Pull) -> None:
    words = ("--universe", "lists/u.csv")
    assert pull(*words)["symbols"] == 1
    assert pull(*words)["cached"] is True
    Path("lists/u.csv").write_text(LISTED + "BBB,b,Energy\n")
    again = pull(*words)
    assert ("cached" in again, again["symbols"]) == (False, 2)
    assert pull(*words)["cached"] is True


def test_renames_beside_the_symbol_file_are_read_again(pull: Pull) -> None:
    Path("lists/u.csv").write_text(LISTED + "OLD,o,Energy\n")
    words = ("--universe", "lists/u.csv")
    assert pull(*words)["symbols"] == 1  # OLD has no bar
    Path("lists/renames.csv").write_text("old,new,date\nOLD,NEW,2018-02-07\n")
    renamed = pull(*words)
    assert ("cached" in renamed, renamed["with_bar"]) == (False, 2)
    assert pull(*words)["cached"] is True
    Path("lists/renames.csv").write_text("old,new,date\nOLD,BBB,2018-02-07\n")
    assert "cached" not in pull(*words)


def test_watchlist_that_changed_is_read_again(pull: Pull) -> None:
    Path("w.txt").write_text("AAA\n")
    words = ("--universe", "lists/u.csv", "--watchlist", "w.txt")
    assert pull(*words)["symbols"] == 1
    Path("w.txt").write_text("AAA\nBBB\n")
    assert pull(*words)["symbols"] == 2


def test_symbol_file_that_is_gone_is_named(pull: Pull) -> None:
    words = ("--universe", "lists/none.csv", "--asof", "2018-02-07", "--root", "r")
    code, _, told = bft("pull", "--source", "files:bars.csv", *words)
    assert code == 65
    assert "lists/none.csv" in told
    assert pull()["symbols"] == 3
