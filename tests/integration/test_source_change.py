"""Another file on a root: a newer export is taken and told, other symbols are refused."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import make_ports

from bft.domain import sessions

SPAN = sessions.sessions(date(2016, 4, 1), date(2018, 2, 7))
DAY = ("--asof", "2018-02-07", "--root", "mine")
RUN = ("run", "nightly", *DAY, "--profile", "short", "--dry-run")


def written(names: str, *, last: date = SPAN[-1]) -> str:
    head = "symbol,date,open,high,low,close,volume\n"
    rows = [f"{name},{day},10,20,9,10,90\n" for name in names for day in SPAN if day <= last]
    return head + "".join(rows)


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, symbols in (("a", "ABCDEF"), ("b", "UVWXYZ"), ("half", "ABCXYZ"), ("few", "ABWXYZ")):
        Path(f"{name}.csv").write_text(written(symbols))
    assert bft("pull", *DAY, "--source", "files:a.csv")[0] == 0


@pytest.mark.parametrize(("name", "shared"), [("b", "none"), ("few", "2")])
def test_a_file_of_other_symbols_is_refused(name: str, shared: str) -> None:
    """Red: it replaced the night and the root's source, and old models scored its symbols."""
    words = f"holds files:a.csv (6 symbols); files:{name}.csv shares {shared} of them: give another"
    later = ("--asof", "2018-02-07", "--root", "mine", "--source", f"files:{name}.csv")
    for call in ((*RUN, "--source", f"files:{name}.csv"), ("pull", *later)):
        code, _, told = bft(*call)
        assert code == 78, told
        assert words in told
        assert "--root for it, or --fresh" in told
    store = make_ports(Path("mine")).store
    assert set(store.read("bars")["symbol"].to_pylist()) == set("ABCDEF")
    assert bft("status", "--root", "mine")[1]["source"] == "files:a.csv"
    code, line, _ = bft("pull", *later, "--fresh")
    assert (code, line["notes"][-1]) == (0, f"source changes from files:a.csv to files:{name}.csv")


def test_the_same_file_with_other_symbols_is_refused() -> None:
    Path("a.csv").write_text(written("UVWXYZ"))
    assert bft("pull", *DAY)[0] == bft(*RUN)[0] == 78


def test_a_newer_export_is_taken_and_told() -> None:
    code, _, told = bft(*RUN, "--source", "files:half.csv")
    assert code == 0
    assert "source changes from files:a.csv to files:half.csv\n" in told
    assert "source changes" not in bft(*RUN, "--source", f"files:{Path('a.csv').resolve()}")[2]
    code, line, _ = bft("pull", *DAY, "--source", "files:half.csv")
    assert (code, "source changes from files:a.csv to files:half.csv" in line["notes"]) == (0, True)


def test_a_night_pulled_again_names_what_it_replaces() -> None:
    """Red: a restated file was taken with no word, `revisions: 0`."""
    last = sessions.shift(SPAN[-1], -1)
    mended = "".join(f"{name},{SPAN[-1]},10,20,9,10.5,90\n" for name in "ABCDEF")
    Path("a.csv").write_text(written("ABCDEF", last=last) + mended)
    code, line, told = bft("pull", *DAY)
    assert (code, line["skipped"]["replaced_bars"]) == (0, 6), told
    assert line["names"]["replaced_bars"][0] == "A 2018-02-07 close 10 -> 10.5"
    bars = make_ports(Path("mine")).store.read("bars").to_pylist()
    assert [b["close"] for b in bars if b["symbol"] == "A" and b["date"] == SPAN[-1]] == [10.5]
    assert "replaced_bars" not in bft("pull", *DAY, "--fresh")[1]["skipped"]
