"""bft run, workflow, chain, status on the real command line; the nodes of the rendered files."""

import io
import json
import os
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from graphs import dag, step, task, write

from bft import cli
from bft.domain.errors import UsageError
from bft.flow import run_verb
from bft.flow.chain import words_of
from bft.flow.expression import substitute
from bft.flow.load import load
from bft.flow.spec import Template

RENDERED = Path(__file__).resolve().parents[2] / "workflows" / "rendered"


def bft(*words: str) -> tuple[int, dict[str, object], str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(words))
    lines = out.getvalue().splitlines()
    return code, json.loads(lines[-1]) if lines else {}, err.getvalue()


# --- every node's words ------------------------------------------------------------------------

EXAMPLES = {
    "asof": "2026-01-05",
    "last": "2026-01-05",
    "from": "2026-01-02",
    "to": "2026-01-05",
    "model": "reg_3d",
    "slot": "1005",
    "root": 'my "root\'s", 1',
    "source": 'files:our "file\'s", 1.csv',
}


def lines() -> list[tuple[str, list[str]]]:
    found = []
    for path in sorted(RENDERED.glob("*.yaml")):
        workflow = load(path)
        values = {
            "workflow.creationTimestamp.RFC3339": "2026-01-05T23:30:00Z",
            "workflow.name": "r",
        }
        values |= {"workflow.status": "Succeeded", "workflow.failures": "[]"}
        values |= {
            f"workflow.parameters.{p.name}": EXAMPLES.get(p.name, p.value or p.default or "")
            for p in workflow.parameters
        }
        for template in workflow.templates.values():
            found += [(f"{path.stem}/{template.name}", words) for words in calls(template, values)]
    return found


def calls(template: Template, values: dict[str, str]) -> list[list[str]]:
    if template.container is None:
        return []
    given = {f"inputs.parameters.{p.name}": EXAMPLES[p.name] for p in template.inputs}
    args = [substitute(arg, values | given) for arg in template.container.args]
    members = [words_of(line) for line in args[1:]] if args[0] == "chain" else []
    return [args, *members]


@pytest.mark.parametrize(
    ("node", "words"),
    lines(),
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_node_is_a_command_line_of_bft(node: str, words: list[str]) -> None:
    assert not [word for word in words if "{{" in word], node
    given = vars(cli.parse(words))
    assert words[0] == "chain" or given["root"] == EXAMPLES["root"]
    assert given.get("source") in {None, EXAMPLES["source"]}


def test_declared_outputs_are_keys_the_verb_states() -> None:
    for path in sorted(RENDERED.glob("*.yaml")):
        for template in load(path).templates.values():
            words = template.container.args if template.container else ()
            members = (
                [line.split()[0] for line in words[1:]] if words[:1] == ("chain",) else words[:1]
            )
            if not members or any(verb not in cli.VERBS for verb in members):
                continue
            stated = {key for verb in members for key in cli.load(verb).outputs}
            assert {p.name for p in template.outputs} <= stated, (path.stem, template.name)


# --- run ---------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root, and a workflow `small` of real verbs: the guard, then what it allows."""
    due = "workflow due nightly --at {{workflow.creationTimestamp.RFC3339}}"
    due += " --day {{workflow.parameters.asof}} --root {{workflow.parameters.root}}"
    guard = step("guard", due, outputs="run,asof,reason")
    here = " --root {{workflow.parameters.root}}"
    vote = "workflow quorum --run {{workflow.name}} --node none --need 0"
    told = step("told", vote + here, outputs="degraded")
    end = "workflow summary --run {{workflow.name}} --status {{workflow.status}}"
    bye = step("bye", end + " --failures {{workflow.failures}}" + here)
    for made in (guard, told, bye):
        made["container"]["env"] = [
            {"name": "BFT_RUN_ID", "value": "{{workflow.name}}"},
            {"name": "BFT_NODE", "value": made["name"]},
        ]
    night = task("told", "guard.Succeeded", when="{{tasks.guard.outputs.parameters.run}} == true")
    folder = tmp_path / "flows"
    folder.mkdir()
    write(
        folder / "nightly.yaml",
        guard,
        told,
        bye,
        dag("main", task("guard"), night),
        onExit="bye",
        parameters={"root": "./data", "asof": "", "mode": "paper"},
    )
    monkeypatch.setenv("BFT_WORKFLOWS_DIR", str(folder))
    from bft import wiring

    wiring.settings.cache_clear()
    yield tmp_path / "root"
    wiring.settings.cache_clear()


def test_run_works_marks_done_and_the_guard_then_says_so(root: Path) -> None:
    at = ("--at", "2026-01-05T23:30:00Z", "--root", str(root))
    code, line, _ = bft("run", "nightly", *at, "--json")
    assert (code, line["phase"], line["asof"], line["reason"]) == (
        0,
        "Succeeded",
        "2026-01-05",
        "due",
    )
    summary = json.loads((root / "runs" / str(line["run"]) / "summary.json").read_text())
    assert (summary["status"], summary["asof"]) == ("Succeeded", "2026-01-05")
    code, line, err = bft("run", "nightly", *at)
    assert (code, line["reason"], line["ran"]) == (0, "done", 0)
    assert "2026-01-05 is done" in err
    assert f"again: bft run nightly --root {root} --asof 2026-01-05" in err


@pytest.mark.parametrize(
    ("name", "at", "told"),
    [
        (
            "premarket",
            "2026-01-05T13:00:00Z",
            "it is too early for 2026-01-02\nit runs 09:00 to 09:27 on 2026-01-05, New York time;"
            "\nit was 08:00 on 2026-01-05 there\n",
        ),
        (
            "close",
            "2026-11-27T19:00:00Z",
            "it is too late for 2026-11-27\nit runs 12:48 to 13:00 on 2026-11-27, a half day, New "
            "York time;\nit was 14:00 on 2026-11-27 there\n",
        ),
    ],
)
def test_run_outside_its_hours_names_them(tmp_path: Path, name: str, at: str, told: str) -> None:
    code, _, err = bft("run", name, "--at", at, "--root", str(tmp_path / "root"))
    assert (code, err[-len(told) :]) == (0, told)


def test_fresh_and_explicit_asof_run_what_is_done(root: Path) -> None:
    at = ("--at", "2026-01-05T23:30:00Z", "--root", str(root), "--json")
    bft("run", *at)
    assert bft("run", *at, "--fresh")[1]["ran"] == 1
    assert bft("run", "--asof", "2026-01-05", "--root", str(root), "--json")[1]["ran"] == 1


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["run", "nightley"], 2, "did you mean nightly?"),
        (["run", "--param", "mod=live"], 2, "did you mean mode?"),
        (["run", "--param", "mode"], 2, "NAME=VALUE"),
        (["run", "--from", "nobody"], 2, "no node 'nobody'"),
        (["run", "--only", "main.nobody(1:x)"], 2, "no node 'nobody'"),
        (["run", "--asof", "2026-13-40"], 2, "ISO date"),
        (["run", "--jobs", "0"], 2, "whole number from 1"),
        (["run", "--params", "absent.yaml"], 78, "absent.yaml"),
        (["run", "--resume", "nobody"], 2, "no run nobody"),
        (["run", "--at", "2026-01-05T23:30:00Z", "--param", "mode=live"], 77, "paper only"),
    ],
)
def test_run_refuses_what_it_cannot_do(root: Path, words: list[str], code: int, told: str) -> None:
    found, line, err = bft(*words, "--root", str(root), "--json")
    assert (found, err) == (code, "")
    assert told in str(line["error"])
    assert not root.exists()


def test_bucket_root_is_refused_with_what_to_use(root: Path) -> None:
    code, line, _ = bft("run", "--root", "s3://bft/x", "--json")
    assert code == 78
    assert "Argo, which runs the same files (docs/architecture.md, On a cluster)" in str(
        line["error"]
    )
    assert "\n## On a cluster\n" in (RENDERED.parents[1] / "docs/architecture.md").read_text()


def test_dry_run_asks_the_guard_and_writes_nothing(root: Path) -> None:
    code, line, _ = bft(
        "run", "--at", "2026-01-05T23:30:00Z", "--root", str(root), "--dry-run", "--json"
    )
    rows = {row["node"]: row for row in line["nodes"]}  # type: ignore[index, union-attr, attr-defined]
    assert code == 0
    assert (rows["guard"]["state"], rows["guard"]["why"]) == ("judged", "due")
    assert rows["told"]["state"] == "stale"
    assert not root.exists()


def test_changed_workflow_is_not_resumed(root: Path) -> None:
    _, line, _ = bft("run", "--root", str(root), "--asof", "2026-01-05", "--json")
    path = root.parent / "flows/nightly.yaml"
    path.write_text(path.read_text() + "\n# changed\n")
    code, line, _ = bft("run", "--resume", str(line["run"]), "--root", str(root), "--json")
    assert code == 78
    assert "changed since run" in str(line["error"])


# --- workflow, chain, status -------------------------------------------------------------------


def test_due_backfill_puts_out_days(root: Path) -> None:
    words = ["workflow", "due", "backfill", "--from", "2025-12-31", "--to", "2026-01-05"]
    code, line, _ = bft(*words, "--root", str(root), "--json")
    assert (code, line["last"]) == (0, "2026-01-05")
    assert line["days"] == ["2025-12-31", "2026-01-02", "2026-01-05"]


def record(root: Path, run: str, node: str, line: dict[str, object]) -> None:
    from fakes import make_ports

    from bft.flow.records import StepRecord, note_step

    step_record = StepRecord(
        node=node, words=("train", str(line)), attempt=0, exit_code=0, seconds=1.0, line=line
    )
    note_step(make_ports(root).store, run, step_record)


@pytest.mark.parametrize(
    ("trained", "need", "must", "code"),
    [(7, 6, "m0", 0), (9, 9, "", 0), (5, 6, "", 65), (8, 6, "m8", 65)],
)
def test_quorum_counts_usable_models(
    root: Path, trained: int, need: int, must: str, code: int
) -> None:
    models = [
        {"name": f"m{n}", "status": "trained" if n < trained else "diverged"} for n in range(9)
    ]
    record(root, "r", "train", {"models": models[:4]})
    record(root, "r", "train", {"models": models[4:]})
    words = ["workflow", "quorum", "--run", "r", "--node", "train", "--need", str(need)]
    found, line, _ = bft(*words, "--must", must, "--root", str(root), "--json")
    assert found == code
    if code == 0:
        assert line["degraded"] is (trained < 9)
    else:
        assert "m8 diverged" in str(line["error"])


@pytest.mark.parametrize(
    "failures", ["[]", "null", '[{"displayName":"a"}]', '"[{\\"displayName\\":\\"a\\"}]"']
)
def test_summary_reads_failures_as_argo_writes_them(root: Path, failures: str) -> None:
    words = [
        "workflow",
        "summary",
        "--run",
        "nightly-x",
        "--status",
        "Failed",
        "--failures",
        failures,
    ]
    code, line, _ = bft(*words, "--root", str(root), "--json")
    assert (code, line["workflow"]) == (0, "nightly")
    assert len(line["failures"]) == ("a" in failures)  # type: ignore[arg-type]


def test_chain_stops_at_the_first_failure_and_gives_its_code(root: Path) -> None:
    good = f"workflow due backfill --from 2026-01-05 --to 2026-01-05 --root {root}"
    bad = f"workflow quorum --run r --node train --need 1 --root {root}"
    code, line, _ = bft("chain", good, bad, good, "--json")
    assert code == 65
    assert [x["exit_code"] for x in line["lines"]] == [0, 65]  # type: ignore[index, union-attr, attr-defined]
    assert str(line["error"]).startswith("workflow: ")


def test_chain_hands_on_what_its_members_put_out(root: Path) -> None:
    good = f"workflow due backfill --from 2026-01-05 --to 2026-01-05 --root {root}"
    code, line, _ = bft("chain", good, "--json")
    assert (code, line["days"]) == (0, ["2026-01-05"])


def test_value_of_a_chains_line_stays_one_word(root: Path) -> None:
    """Red: a root with a blank was cut in two, exit code 2."""
    odd = root.parent / 'my "root\'s", 1'
    words = ["workflow", "due", "backfill", "--from", "2026-01-05", "--to", "2026-01-05", "--root"]
    code, line, _ = bft("chain", "\n".join([*words, str(odd)]), "--json")
    assert (code, line["days"]) == (0, ["2026-01-05"])
    assert words_of(f"gold --root '{root}'") == ["gold", "--root", str(root)]
    assert words_of("gold\n--root\n") == ["gold", "--root", ""]


def test_chain_refuses_before_it_begins(root: Path) -> None:
    code, line, _ = bft("chain", f"workflow due nightly --root {root}", "nobody --x", "--json")
    assert code == 2
    assert "nobody" in str(line["error"])


def test_night_that_runs_is_not_missing(root: Path) -> None:
    """Red: `missing: nightly; run: bft run nightly`, while it ran."""
    asof = bft("status", "--root", str(root))[1]["asof"]
    folder = root / "runs" / "nightly-1"
    folder.mkdir(parents=True)
    about = {"run": "nightly-1", "workflow": "nightly", "node": "", "event": "run"}
    line = {"at": "2026-01-05T23:30:00.000Z", **about, "values": {"asof": asof}}
    (folder / "state.jsonl").write_text(json.dumps(line) + "\n")
    (folder / "heartbeat").write_text(f"{os.getpid()} {socket.gethostname()}\n")
    _, told, _ = bft("status", "--root", str(root))
    assert ([one["phase"] for one in told["runs"]], told["missing"]) == (["Running"], [])


def test_status_names_what_is_missing_and_fails_its_check_without_an_executor(root: Path) -> None:
    away = ("--api", "http://127.0.0.1:9", "--root", str(root), "--json")
    code, line, _ = bft("status", *away)
    assert (code, line["missing"]) == (0, ["nightly"])
    assert str(line["next"]).startswith(f"bft run nightly --root {root} --asof ")
    assert "bft serve executor" in line["executor"]["away"]
    assert bft("status", "--check", *away)[0] == 75


def test_workflow_status_tells_the_nodes_of_the_newest_run(root: Path) -> None:
    at = ("--at", "2026-01-05T23:30:00Z", "--root", str(root))
    _, ran, _ = bft("run", *at, "--json")
    code, line, err = bft("workflow", "status", "--root", str(root))
    assert (code, line["run"], line["phase"]) == (0, ran["run"], "Succeeded")
    assert [row["node"] for row in line["nodes"]] == ["guard", "told", "onExit"]  # type: ignore[index, union-attr, attr-defined]
    assert "✓ guard" in err
    assert bft("workflow", "status", "--run", "no", "--root", str(root), "--json")[0] == 2


def test_verbs_of_flow_load_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from bft import cli\n"
        "for verb in ('run', 'workflow', 'chain', 'status'): cli.load(verb)\n"
        "heavy = 'pandas pyarrow torch mlflow sqlalchemy yaml rich'.split()\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"


def test_unknown_verb_in_a_node_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        cli.parse(["nobody"])


def test_help_of_run_names_every_workflow_source_and_profile() -> None:
    told = run_verb.CHOICES
    profiles = RENDERED.parents[1] / "mlflow" / "profiles"
    names = [path.stem for folder in (RENDERED, profiles) for path in folder.glob("*.yaml")]
    for name in [*names, "files:", "sim[", "alphavantage", "mysql:"]:
        assert name in told
    assert told in cli.parser("run", run_verb.STEP).format_help()
