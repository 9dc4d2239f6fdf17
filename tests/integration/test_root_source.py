"""A root remembers whose prices it holds: pull, run, status on the real command line."""

import json
import shlex
import shutil
import socket
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from commandline import bft, planned
from fakes import FixedClock, make_ports

from bft import cli, wiring
from bft.domain import sessions
from bft.flow.state import Journal
from bft.steps import pull
from bft.steps.reading import source_of
from bft.steps.record import code_digest, run_instant

SPAN = sessions.sessions(date(2016, 4, 1), date(2018, 2, 7))
BARS = "symbol,date,open,high,low,close,volume\n" + "".join(
    f"{name},{day},10,11,9,10,90\n" for name in "ABCDE" for day in SPAN
)
RUN = ("run", "nightly", "--profile", "short")
DAY = ("--asof", "2018-02-07")


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "prices.csv"
    file.write_text(BARS)
    return file


@pytest.fixture
def root(prices: Path, tmp_path: Path) -> str:
    assert bft("pull", *DAY, "--root", "mine", "--source", "files:prices.csv")[0] == 0
    return str(tmp_path / "mine")


def told_profile(*words: str) -> str:
    told = bft("run", "nightly", *DAY, "--dry-run", *words)[2]
    return told.partition("; profile ")[2].partition(" needs ")[0]


def planned_pull(*words: str, day: tuple[str, ...] = DAY) -> str:
    code, line, _ = bft(*RUN, *day, "--dry-run", *words)
    assert code == 0
    return planned(line, "night.build")


def test_run_and_pull_go_on_with_the_source_of_the_root(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--source files:prices.csv" in planned_pull("--root", root)
    assert bft("pull", *DAY, "--root", root)[1]["cached"] is True
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"--source files:{tmp_path.resolve()}/prices.csv" in planned_pull("--root", root)


def test_named_source_of_the_same_kind_is_taken_and_remembered(root: str, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "prices.csv", tmp_path / "newer.csv")
    assert "--source files:newer.csv" in planned_pull("--root", root, "--source", "files:newer.csv")
    assert bft("pull", *DAY, "--root", root, "--source", "files:newer.csv")[0] == 0
    assert "--source files:newer.csv" in planned_pull("--root", root)


def test_part_of_a_night_from_elsewhere_is_not_remembered(root: str, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "prices.csv", tmp_path / "newer.csv")
    words = ("--root", root, "--source", "files:newer.csv", "--symbols", "A")
    assert bft("pull", *DAY, *words)[0] == 0
    assert "--source files:prices.csv" in planned_pull("--root", root)


def test_part_of_a_night_leaves_the_lineage_of_the_night(root: str, tmp_path: Path) -> None:
    """Red: source, digest of the file and refused rows of the night gave way to those of a part."""
    store, key = make_ports(Path(root)).store, "lineage/pull/2018-02-07.json"
    night = store.get(key)
    shutil.copy(tmp_path / "prices.csv", tmp_path / "newer.csv")
    for part in (("--symbols", "A"), ("--symbols", "B"), ("--topics", "bars")):
        assert bft("pull", *DAY, "--root", root, "--source", "files:newer.csv", *part)[0] == 0
    assert store.get(key) == night
    parts = [json.loads(store.get(one))["args"] for one in store.keys("lineage/pull-part/")]
    assert sorted((str(p["symbols"]), p["source"]) for p in parts) == [
        ("A", "files:newer.csv"),
        ("B", "files:newer.csv"),
        ("None", "files:newer.csv"),
    ]


def test_day_of_which_only_a_part_was_pulled_is_the_roots(tmp_path: Path, prices: Path) -> None:
    """Its source is what the root remembers: replayed, so that its instant is the evening."""
    words = ("--root", "mine", "--source", f"files:{prices}", "--symbols", "A")
    assert bft("pull", *DAY, *words)[0] == 0
    ports = make_ports(tmp_path / "mine", clock=FixedClock(datetime(2018, 2, 8, 9, tzinfo=UTC)))
    assert ports.store.keys("lineage/pull/") == []
    assert source_of(ports.store, date(2018, 2, 7)) == "files"
    assert run_instant(ports, date(2018, 2, 7)) == datetime(2018, 2, 7, 23, tzinfo=UTC)


def test_simulated_source_is_refused_for_a_root_of_real_prices(root: str) -> None:
    for words in (RUN, (*RUN, "--param", "source=sim"), ("pull",)):
        named = () if "--param" in words else ("--source", "sim")
        code, _, told = bft(*words, *DAY, "--root", root, *named)
        assert (code, "holds real prices (files:prices.csv)" in told) == (78, True), words
    assert not list((Path(root) / "runs").glob("*/state.jsonl"))


def test_fresh_root_takes_the_simulator_and_says_so(
    prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("BFT_SIM_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        wiring.settings.cache_clear()
        assert "--source sim" in planned_pull("--root", "new")
        told = bft(*RUN, *DAY, "--dry-run", "--root", "new")[2]
    assert told.startswith("source: sim, SIMULATED prices; your own: --source files:PATH\n")
    assert prices.exists()


@pytest.mark.usefixtures("silent", "prices")
def test_fresh_root_without_source_key_and_simulator_ends_a_run_before_it_begins(
    tmp_path: Path,
) -> None:
    """Red: the pull failed with it, and the new root kept a failed night and a profile."""
    code, _, told = bft(*RUN, *DAY, "--root", "new")
    assert (code, told.count("\n")) == (78, 1)
    assert "no simulator listens" in told
    assert "--source files:PATH" in told
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("source", "lacks"), [("files:", "its path"), ("mysql:", "its address")])
def test_source_that_lacks_its_place_is_told_so(tmp_path: Path, source: str, lacks: str) -> None:
    root = str(tmp_path / "new")
    for words in ((*RUN, *DAY), ("pull", *DAY)):
        code, _, told = bft(*words, "--root", root, "--source", source)
        assert (code, f"--source {source} lacks {lacks}, for example" in told) == (78, True)
    assert not (tmp_path / "new").exists()


def test_unknown_profile_ends_a_run_before_it_begins(prices: Path, tmp_path: Path) -> None:
    for source in ("sim", f"files:{prices}"):
        words = ("run", *DAY, "--root", "new", "--source", source, "--profile", "shrt")
        code, _, told = bft(*words)
        assert (code, "did you mean short?" in told) == (78, True)
    assert not (tmp_path / "new").exists()


def test_status_says_what_the_root_holds(root: str, tmp_path: Path) -> None:
    code, line, told = bft("status", "--root", root)
    assert (code, line["source"], line["simulated"]) == (0, "files:prices.csv", False)
    assert f"root {root}: real prices (files:prices.csv)\n" in told
    assert (line["asof"], line["source_end"]) == ("2018-02-07", "2018-02-07")
    assert line["next"] == f"bft run nightly --root {root} --asof 2018-02-07 --profile short"
    assert "files:prices.csv ends 2018-02-07\n" in told
    assert "nothing yet" in bft("status", "--root", str(tmp_path / "new"))[2]


def test_status_of_simulated_prices_ends_where_they_were_pulled_to(tmp_path: Path) -> None:
    store = make_ports(tmp_path / "demo").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    for day in ("2025-06-27", "2025-06-30"):
        store.put(f"lineage/pull/{day}.json", b"{}")
    store.put("runs/done/nightly/2025-06-30.json", b"{}")
    code, line, told = bft("status", "--root", str(tmp_path / "demo"))
    assert (code, line["asof"], line["missing"], line["next"]) == (0, "2025-06-30", [], "")
    assert (
        "simulated prices were pulled up to 2025-06-30; a later day:\n  bft serve market-sim"
        in told
    )


@pytest.mark.usefixtures("silent")
def test_night_of_simulated_prices_without_a_day_is_of_the_newest_pulled(tmp_path: Path) -> None:
    """Red: the clock's day, which no simulator was asked for; a failed night beside a good one."""
    store = make_ports(tmp_path / "demo").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    for day in ("2025-06-27", "2025-06-30"):
        told = {"args": {}, "inputs": {}, "code": code_digest(("domain", *pull.STEP.code))}
        store.put(f"lineage/pull/{day}.json", json.dumps(told).encode())
    root = ("--root", str(tmp_path / "demo"))
    assert "--asof 2025-06-30" in planned_pull(*root, day=())
    told = bft(*RUN, "--dry-run", *root)[2]
    assert "SIMULATED prices up to 2025-06-30; a later day: bft serve market-sim" in told
    code, _, told = bft(*RUN, *DAY, "--dry-run", *root)
    assert code == 78, "that day is asked for, and no simulator listens"
    assert "no simulator listens" in told
    at = ("--at", "2018-02-07T23:30:00Z")
    assert bft(*RUN, *at, "--dry-run", *root)[0] == 78, "the guard judges that instant"


def test_night_of_a_simulator_that_failed_before_its_pull_is_missing(tmp_path: Path) -> None:
    store = make_ports(tmp_path / "demo").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    store.put("lineage/pull/2025-06-30.json", b"{}")
    store.put("runs/done/nightly/2025-06-30.json", b"{}")
    store.put("failures/2025-07-01/pull.json", b"{}")
    _, line, told = bft("status", "--root", str(tmp_path / "demo"))
    assert (line["asof"], line["missing"]) == ("2025-07-01", ["nightly"])
    assert line["next"] == f"bft run nightly --root {tmp_path / 'demo'} --asof 2025-07-01"
    assert "simulated prices were pulled up to 2025-06-30;" in told


def test_a_night_that_failed_after_a_good_one_is_missing_again(root: str) -> None:
    store = make_ports(Path(root)).store
    store.put("runs/done/nightly/2018-02-07.json", b"{}")
    assert bft("status", "--root", root)[1]["missing"] == []
    store.put("failures/2018-02-07/pull.json", b"{}")
    assert bft("status", "--root", root)[1]["missing"] == ["nightly"]


@pytest.mark.parametrize(("ended", "missing"), [("Lost", ["nightly"]), ("Succeeded", [])])
def test_a_run_that_was_lost_after_a_good_one_is_missing(
    ended: str, missing: list[str], root: str
) -> None:
    """Killed with `kill -9`: no step could note it."""
    make_ports(Path(root)).store.put("runs/done/nightly/2018-02-07.json", b"{}")
    journal = Journal(Path(root) / "runs" / "r2", run="r2", workflow="nightly", clock=FixedClock())
    journal.note("run", values={"asof": ""})
    journal.note("finished", "guard", leaf=True, outputs={"asof": "2018-02-07"})
    journal.note("ended", phase=ended, reason="the runner ended without a word")
    journal.close()
    _, line, told = bft("status", "--root", root)
    assert (line["missing"], line["runs"][0]["asof"]) == (missing, "2018-02-07")
    assert f"2018-02-07  {ended}" in told


def test_status_says_why_a_run_failed(root: str) -> None:
    journal = Journal(Path(root) / "runs" / "r1", run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run")
    about = {"leaf": True, "phase": "Failed", "exit_code": 65}
    journal.note("finished", "night.build", reason="pull: bad_close\nof A", **about)
    journal.note("ended", phase="Failed", exit_code=65)
    journal.close()
    _, line, told = bft("status", "--root", root)
    assert line["runs"][0]["reason"] == "night.build: pull: bad_close of A"
    assert "r1: night.build: pull: bad_close of A\n" in told


def test_looking_at_a_new_root_writes_nothing(prices: Path, tmp_path: Path) -> None:
    words = ("--root", "new", "--source", f"files:{prices}")
    code, line, _ = bft(*RUN, *DAY, "--dry-run", *words)
    assert code == 0
    assert bft("status", "--root", "new")[0] == 0
    assert not (tmp_path / "new").exists()
    whys = {node["node"]: node["why"] for node in line["nodes"]}
    assert whys["night.train-missing"] == "only if a model is missing"
    assert whys["night.gate-missing"] == "only if a model is missing"
    assert whys["night.mark-failed"] == "only if build fails"
    assert not [why for why in whys.values() if "{{" in why]


@pytest.mark.parametrize("place", ["prices.csv", "prices.csv/x", "prices.csv/x/y"])
def test_root_that_can_be_no_folder_is_told_in_a_sentence(prices: Path, place: str) -> None:
    pull = ("pull", *DAY, "--source", f"files:{prices}")
    for words in (("run", *DAY), pull, ("status",), ("models", *DAY)):
        code, _, told = bft(*words, "--root", place)
        assert (code, told.count("\n")) == (78, 1), words
        assert "is a file; give --root the path of a folder" in told


def test_file_where_the_root_needs_a_folder_is_told_in_a_sentence(
    root: str, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "runs").write_text("")
    code, _, told = bft(*RUN, *DAY, "--root", root)
    assert code == 78
    assert f"root {root}: " in told
    assert "Traceback" not in told


def test_simulator_that_does_not_listen_here_is_no_matter_of_waiting(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: refused, and nobody else's
        taken.bind(("127.0.0.1", 0))
        address = f"sim:http://127.0.0.1:{taken.getsockname()[1]}"
        code, _, told = bft("pull", *DAY, "--root", str(tmp_path / "r"), "--source", address)
    assert code == 78
    assert "bft serve market-sim" in told


def test_run_goes_on_with_the_profile_of_the_root(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    shutil.copy(Path(cli.__file__).parents[1] / "mlflow" / "profiles" / "short.yaml", own)
    words = ("--root", "mine", "--source", "files:prices.csv", "--only", "guard")
    night = ("run", "nightly", *DAY)
    assert told_profile(*words[:-2]) == "demo"
    assert bft(*night, *words, "--profile", "own.yaml")[0] == 0
    assert told_profile(*words[:-2]) == "own.yaml"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    root = ("--root", str(tmp_path / "mine"))
    again = (*root, "--source", "files:../prices.csv")
    assert told_profile(*again) == str(own.resolve())
    assert told_profile(*again, "--param", "model-profile=short") == "short"
    _, line, told = bft("status", *root)
    assert (line["profile"], "profile own.yaml" in told) == ("own.yaml", True)


def test_vendor_without_its_key_ends_a_run_before_it_begins(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prices.exists()
    for name in ("ALPHAVANTAGE_API_KEY", "ALPHAVANTAGE_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    days = ("--param", "from=2018-02-07", "--param", "to=2018-02-07")
    for words in ((*RUN, *DAY), ("run", "backfill", *days)):
        code, _, told = bft(*words, "--root", "new", "--source", "alphavantage")
        assert (code, told.count("\n")) == (78, 1), told
        assert "ALPHAVANTAGE_API_KEY_FILE" in told
    assert not (tmp_path / "new").exists()


def test_profile_that_a_file_does_not_suffice_for_ends_a_run_before_it_begins(
    prices: Path, tmp_path: Path
) -> None:
    """Red: training refused it after the pull and the gold table, and the root remembered both."""
    assert prices.exists()
    root = tmp_path / "a new root"
    wanted = ("--param", "compute=inline", "--source", "files:prices.csv")
    for named in ((), ("--profile", "demo"), ("--param", "model-profile=demo")):
        words = ("run", "nightly", "--root", str(root), *DAY, *wanted, *named)
        code, _, told = bft(*words)
        assert (code, root.exists(), told.count("\n")) == (65, False, 1)
        command = told.partition("take --profile short: ")[2].partition("  [65]")[0]
        assert command == (
            f"bft run nightly --root '{root}' --param compute=inline --source files:prices.csv "
            "--asof 2018-02-07 --profile short"
        )
    assert bft(*shlex.split(command)[1:], "--dry-run")[0] == 0


@pytest.mark.usefixtures("silent")
def test_node_alone_is_not_refused_for_what_it_does_not_use(root: str, tmp_path: Path) -> None:
    """Red: a build for the profile's sake, which trains nothing; a page for the simulator's."""
    words = ("run", "nightly", "--dry-run", "--only")
    assert bft(*words, "train-missing", *DAY, "--root", root, "--profile", "demo")[0] == 65
    assert bft(*words, "build", *DAY, "--root", root, "--profile", "demo")[0] == 0
    store = make_ports(tmp_path / "sim").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    assert bft(*words, "build", *DAY, "--root", str(tmp_path / "sim"))[0] == 78
    assert bft(*words, "publish", *DAY, "--root", str(tmp_path / "sim"))[0] == 0


def test_node_alone_is_refused_before_what_it_needs_is_there(prices: Path, tmp_path: Path) -> None:
    """Red: every node was omitted, the night succeeded, and the root was there."""
    words = ("run", "nightly", *DAY, "--root", "new", "--source", f"files:{prices}")
    for node, needs in (("publish", "build"), ("score", "build"), ("train-missing", "build")):
        code, _, told = bft(*words, "--profile", "short", "--only", node)
        assert (code, f"--only {node} needs night.{needs}, which is not finished" in told) == (
            65,
            True,
        )
        assert f"run: bft run nightly --root new --source files:{prices} --asof 2018-02-07" in told
    assert not (tmp_path / "new").exists()


def test_status_of_a_new_root_says_what_a_run_must_be_told(prices: Path) -> None:
    assert prices.exists()
    told = bft("status", "--root", "new")[1]["next"]
    assert told.endswith("--source files:PATH --profile realdata")


@pytest.mark.parametrize(("ended", "goes_on"), [("Failed", True), ("Succeeded", False)])
def test_status_after_a_failed_first_night_goes_on_with_it(
    tmp_path: Path, ended: str, goes_on: bool
) -> None:
    """Red: `--source files:PATH` where `files:prices.csv` had been typed, and the clock's day."""
    folder = tmp_path / "new" / "runs" / "r1"
    journal = Journal(folder, run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run", values={"source": "files:prices.csv", "asof": "2018-02-07"})
    journal.note("ended", phase=ended, exit_code=65)
    journal.close()
    line = bft("status", "--root", str(tmp_path / "new"))[1]
    assert (line["next"] == f"bft run --root {tmp_path / 'new'} --resume r1") is goes_on
    assert (line["asof"] == "2018-02-07", line["missing"]) == (goes_on, ["nightly"])


def test_status_tells_of_a_node_that_was_killed_without_a_word(root: str) -> None:
    journal = Journal(Path(root) / "runs" / "r1", run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run")
    about = {"leaf": True, "phase": "Failed", "exit_code": 137, "reason": None}
    journal.note("finished", "night.build", **about)
    journal.note("ended", phase="Failed", exit_code=75)
    journal.close()
    reason = bft("status", "--root", root)[1]["runs"][0]["reason"]
    assert reason == "night.build: it failed without a word (exit code 137)"
