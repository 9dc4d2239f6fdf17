import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bft import cli
from bft.domain.errors import BftError
from bft.flow.load import rendered
from bft.verbs import EXIT_CODES, help_text

HEAVY = {"torch", "pandas", "pyarrow", "mlflow", "matplotlib", "numpy", "sqlalchemy", "httpx"}


def loaded_after(code: str) -> set[str]:
    tell = f"import sys; {code}; print(*{HEAVY!r} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_loads_no_heavy_library() -> None:
    assert loaded_after("from bft.cli import main; main(['--help'])") == set()


def test_parsers_of_all_verbs_load_no_heavy_library() -> None:
    """The linter parses every command line of every workflow."""
    code = "from bft import cli; [cli.parser(v, cli.load(v)) for v in cli.VERBS]"
    assert loaded_after(code) == set()


@pytest.mark.parametrize("verb", cli.VERBS)
def test_description_is_json_with_schemas(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--describe"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verb"] == verb
    assert told["class"] in {"pure", "replace", "once"}
    assert told["description"]
    assert {"input_schema", "output_schema"} <= set(told)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_number_has_limits(verb: str) -> None:
    """A bare int or float takes NaN, infinities and senseless negatives."""
    taken = cli.parser(verb, cli.load(verb))._actions  # noqa: SLF001  no public list
    bare = [action.option_strings for action in taken if action.type in {int, float}]
    assert bare == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["glod"], 2, "did you mean gold?"),
        (["gold", "--export", f"csv:{__file__}"], 2, "test_cli.py is a file; give csv:DIR"),
        (["gold", "--export", "parquet:/"], 2, ": / is a folder; give parquet:FILE"),
        (["gold", "--rot", "x"], 2, "unrecognized arguments: --rot"),
        (["gold", "--asof", "06.01.2025"], 2, "no ISO date such as 2025-01-06"),
        (["gold", "--asof", "2018-02-10"], 2, "nearest earlier: --asof 2018-02-09"),
        (["gold", "--asof", "2099-01-04"], 2, "2099-01-04 is in the future; the newest closed"),
        (["run", "nightly", "--asof", "2099-01-04"], 2, "2099-01-04 is in the future; the newest"),
        (["run", "close", "--asof", "2099-01-05"], 2, "2099-01-05 is in the future; the newest"),
        (["run", "--param", "asof=2099-01-05"], 2, "2099-01-05 is in the future; the newest"),
        (
            ["run", "backfill", "--param", "from=2025-01-06", "--param", "to=2099-01-05"],
            2,
            "--param to=2099-01-05 is in the future; the newest closed session: --param to=20",
        ),
        (["workflow", "due", "nightly", "--day", "2099-01-04"], 2, "2099-01-04 is in the future"),
        (["pull", "--asof", "2018-02-07", "--source", "bloomberg"], 78, "--source sim"),
        (["rank", "--equity", "nan"], 2, "--equity: 'nan' is no finite number above 0"),
        (["rank", "--equity", "inf"], 2, "--equity: 'inf' is no"),
        (["rank", "--equity", "-1"], 2, "--equity: '-1' is no"),
        (["rank", "--filter-above", "nan"], 2, "--filter-above: 'nan' is no finite number"),
        (["scan", "--equity", "nan"], 2, "--equity: 'nan' is no"),
        (["screen", "--n-days", "0"], 2, "--n-days: '0' is no whole number from 1"),
        (["train", "all", "--jobs", "-1"], 2, "--jobs: '-1' is no whole number from 0"),
        (["run", "--wait", "nan"], 2, "--wait: 'nan' is no finite number from 0"),
    ],
)
def test_bad_command_line_says_what_and_what_next(
    words: list[str],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("root")
    more = ["--root", str(root)] if words != ["glod"] else []
    assert cli.main([*words, *more]) == code
    told = capsys.readouterr()
    assert says in told.err
    assert told.out == ""


def test_json_error_is_one_line_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["gold", "--asof", "2018-02-10", "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["exit_code"] == 2
    assert told.err == ""


@pytest.mark.parametrize("words", [["models"], ["models", "--verify"], ["report"]])
def test_what_shows_makes_no_root(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Red: a typo in `--root` made a folder with markers and lineage, and ended with 0."""
    root = tmp_path / "nowhere"
    assert cli.main([*words, "--root", str(root)]) == 65
    told = capsys.readouterr().err
    assert f"root {root} is not there: give --root the folder of a night" in told
    assert f"bft run nightly --root {root}" in told
    assert not root.exists()


@pytest.mark.parametrize(
    ("name", "why"), [("absent/x.jsonl", "No such file or directory"), ("", "Is a directory")]
)
def test_events_that_cannot_be_written_begin_no_run(
    name: str, why: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Red: a traceback, and the folder of a run that never began."""
    prices = tmp_path / "prices.csv"
    prices.write_text("symbol,date,open,high,low,close,volume\nAAA,2018-02-07,1,1,1,1,100\n")
    words = ["--root", str(tmp_path / "root"), "--source", f"files:{prices}", "--only", "guard"]
    events = tmp_path / name
    assert cli.main(["run", "--asof", "2018-02-07", *words, "--events", str(events)]) == 2
    assert f"--events {events}: {why}; name a file" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("words", [["gold", "--describe"], ["--help"], ["glod"]])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_reader_that_goes_away_ends_a_call_without_a_word(words: list[str], stream: str) -> None:
    """Red: `bft why X | head` printed a traceback of BrokenPipeError, and ended with 1 or 120."""
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    pipes = {stream: writing, other: subprocess.PIPE}
    done = subprocess.run([sys.executable, "-m", "bft", *words], text=True, check=False, **pipes)
    os.close(writing)
    told_there = (words == ["glod"]) == (stream == "stderr")
    assert done.returncode == (141 if told_there else 2 if words == ["glod"] else 0)
    assert "Traceback" not in (getattr(done, other) or "")
    assert "BrokenPipe" not in (getattr(done, other) or "")


def test_every_exit_code_of_the_error_tree_is_told() -> None:
    tree, kinds = {BftError.exit_code}, [BftError]
    while kinds:
        below = kinds.pop().__subclasses__()
        tree |= {kind.exit_code for kind in below}
        kinds += below
    assert {*EXIT_CODES} - tree == {0, 130, 141}
    assert tree <= {*EXIT_CODES}
    assert "0 done, 2 usage, 65 bad data, 75 try again, 77 refused, 78 settings" in help_text()


def test_workflow_that_is_called_as_a_verb_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Red: `no verb 'backfill'; did you mean kill?`."""
    for name in {*rendered("")} - {*cli.VERBS}:
        assert cli.main([name]) == 2
        assert f"it is a workflow: bft run {name}" in capsys.readouterr().err
