"""A root whose first night failed before its pull, and runs that go on in another folder."""

import json
import socket
from datetime import date
from pathlib import Path

import pytest
from commandline import bft, planned
from fakes import FixedClock

from bft import wiring
from bft.domain import sessions
from bft.flow.load import find, load
from bft.flow.state import Journal

DAY = "2018-02-07"
NIGHT = ("run", "nightly", "--profile", "short", "--dry-run")


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two years of five symbols that end at DAY, in the folder where a first run was started."""
    first = tmp_path / "first"
    first.mkdir()
    monkeypatch.chdir(first)
    days = sessions.sessions(date(2016, 4, 1), date.fromisoformat(DAY))
    rows = [f"{name},{day},10,11,9,10,90\n" for name in "ABCDE" for day in days]
    (first / "prices.csv").write_text("symbol,date,open,high,low,close,volume\n" + "".join(rows))
    return first / "prices.csv"


def failed_run(root: Path, source: str, folder: Path, **values: str) -> None:
    made = load(find("nightly", ""))
    journal = Journal(root / "runs" / "r1", run="r1", workflow="nightly", clock=FixedClock())
    given = {p.name: p.default or p.value or "" for p in made.parameters}
    given |= {"source": source, "asof": DAY, "model-profile": "short", **values}
    created = f"{DAY}T23:30:00+00:00"
    about = {"digest": made.digest, "folder": str(folder), "values": given, "limits": {}}
    journal.note("run", pid=1, created=created, **about)
    journal.note("ended", phase="Failed", exit_code=75, seconds=1.0)
    journal.close()


def planned_pull(*words: str) -> str:
    code, line, told = bft(*words)
    assert code == 0, told
    return planned(line, "night.build")


def test_next_night_takes_the_source_of_the_failed_one(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: it asked the simulator."""
    failed_run(tmp_path / "new", "files:prices.csv", prices.parent)
    words = (*NIGHT, "--asof", DAY, "--root", str(tmp_path / "new"))
    assert "--source files:prices.csv" in planned_pull(*words)
    assert "the source that run r1 was given\n" in bft(*words)[2]
    monkeypatch.chdir(tmp_path)
    assert f"--source files:{prices}" in planned_pull(*words)
    (tmp_path / "other.csv").write_text(prices.read_text())
    own = bft(*words, "--source", "files:other.csv")
    assert "r1" not in own[2]


def test_next_night_of_a_simulator_takes_its_day_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        failed_run(tmp_path / "new", f"sim:{url}", tmp_path)
        monkeypatch.setenv("BFT_SOURCE", "alphavantage")
        wiring.settings.cache_clear()
        line = planned_pull(*NIGHT, "--root", str(tmp_path / "new"))
    assert f"pull --asof {DAY} " in line
    assert f"--source sim:{url}" in line


def test_default_source_of_the_failed_one_gives_way_to_the_environment(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_run(tmp_path / "new", "sim", prices.parent)
    monkeypatch.setenv("BFT_SOURCE", "files:prices.csv")
    wiring.settings.cache_clear()
    words = (*NIGHT, "--asof", DAY, "--root", str(tmp_path / "new"))
    assert "--source files:prices.csv" in planned_pull(*words)


def test_run_goes_on_from_every_folder(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: `prices.csv: no such file`, for what was relative to the folder of the first call."""
    profile = Path(__file__).parents[2] / "mlflow" / "profiles" / "short.yaml"
    (prices.parent / "own.yaml").write_text(profile.read_text())
    root = tmp_path / "new"
    failed_run(root, "files:prices.csv", prices.parent, **{"model-profile": "own.yaml"})
    words = ("run", "--resume", "r1", "--dry-run", "--root", str(root))
    assert "--source files:prices.csv" in planned_pull(*words)
    monkeypatch.chdir(tmp_path)
    assert f"--source files:{prices}" in planned_pull(*words)


def test_run_notes_the_folder_it_was_started_in(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFT_SOURCE", "")
    root = str(tmp_path / "new")
    at = ("--at", f"{DAY}T15:00:00Z")  # before the night's hour: its guard lets nothing run
    words = (*NIGHT[:-1], *at, "--source", "files:prices.csv", "--root", root)
    assert bft(*words)[0] == 0
    (state,) = (tmp_path / "new" / "runs").glob("*/state.jsonl")
    assert json.loads(state.read_text().splitlines()[0])["folder"] == str(prices.parent)
