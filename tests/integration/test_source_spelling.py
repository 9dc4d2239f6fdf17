"""Slips of the pen in --root and --source are told what was meant, and write nothing."""

from pathlib import Path

import pytest
from commandline import bft

NIGHT = ("run", "nightly", "--asof", "2018-02-07", "--profile", "short", "--root", "mien")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.csv").write_text("symbol,date,open,high,low,close,volume\n")
    return tmp_path


@pytest.mark.usefixtures("silent")
def test_root_that_holds_nothing_is_said_so_first(here: Path) -> None:
    """Red: of a mistyped root only the simulator was told."""
    code, _, told = bft(*NIGHT)
    assert (code, told.startswith("error: root mien holds nothing yet; no simulator")) == (78, True)
    assert not (here / "mien").exists()


@pytest.mark.parametrize("spec", ["{0}/prices.csv", "file:{0}/prices.csv", "csv:{0}/prices.csv"])
def test_path_in_place_of_a_source_is_told_how_to_write_it(spec: str, here: Path) -> None:
    given = spec.format(here)
    for words in (NIGHT, ("pull", "--asof", "2018-02-07", "--root", "mien")):
        code, _, told = bft(*words, "--source", given)
        assert (code, f"did you mean files:{here}/prices.csv?" in told) == (78, True)
    assert not (here / "mien").exists()


@pytest.mark.parametrize("spec", ["alphavantag", "http://127.0.0.1:9100/x.csv", "oracle:db"])
def test_source_that_is_no_path_is_told_what_there_is(spec: str) -> None:
    code, _, told = bft(*NIGHT, "--source", spec)
    assert (code, "give alphavantage, sim[:URL], files:PATH or mysql:URL" in told) == (78, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("prcs.csv", "prcs.csv: no such file; did you mean files:prices.csv?"),
        ("other.csv", "other.csv: no such file; give --source files:PATH"),
        ("nowhere/prices.csv", "nowhere/prices.csv: no such file; nowhere is no folder"),
    ],
)
def test_file_that_is_not_there_is_told_a_near_name(given: str, said: str, here: Path) -> None:
    for words in (NIGHT, ("pull", "--asof", "2018-02-07", "--root", "mien")):
        code, _, told = bft(*words, "--source", f"files:{given}")
        assert (code, said in told) == (65, True), told
    assert not list(here.glob("mien/lineage"))
