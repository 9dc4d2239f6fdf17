"""Builds small workflows as YAML, and runs them with a script that stands for the verbs.

The script's words: `out KEY=VALUE...` leaves outputs, `exit CODE [MESSAGE]`, `fail-times N CODE`
counts its calls in the root, `sleep S`, `append FILE WORD`, `progress N`, `env NAME`, `kill N`.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from fakes import FixedClock

from bft.domain.runs import Json
from bft.flow.context import Options
from bft.flow.graph import Result
from bft.flow.load import load
from bft.flow.run import Engine
from bft.flow.state import Journal, RunRecord, read_run
from bft.ports import RunRequest

SCRIPT = """
import os, sys
out = os.environ["BFT_OUTPUTS_DIR"]
def put(name, text):
    with open(out + "/" + name, "w") as f:
        f.write(text)
words = sys.argv[1:]
while words:
    verb = words.pop(0)
    if verb == "out":
        while words and "=" in words[0]:
            key, _, text = words.pop(0).partition("=")
            put(key, text + "\\n")
    elif verb == "exit":
        code = int(words.pop(0))
        if code and words:
            sys.stderr.write("error: " + words.pop(0) + "\\n")
        sys.exit(code)
    elif verb == "fail-times":
        file, times, code = words.pop(0), int(words.pop(0)), int(words.pop(0))
        n = int(open(file).read()) if os.path.exists(file) else 0
        with open(file, "w") as f:
            f.write(str(n + 1))
        if n < times:
            sys.exit(code)
    elif verb == "sleep":
        import time
        time.sleep(float(words.pop(0)))
    elif verb == "stubborn":
        import signal
        signal.signal(signal.SIGTERM, lambda *_: None)
    elif verb == "append":
        file, word = words.pop(0), words.pop(0)
        with open(file, "a") as f:
            f.write(word + "\\n")
    elif verb == "env":
        put("env", os.environ.get(words.pop(0), "absent"))
    elif verb == "progress":
        import time
        for n in range(int(words.pop(0))):
            data = '{"done": %d, "total": 3, "note": "x"}' % (n + 1)
            os.write(int(os.environ["BFT_PROGRESS_FD"]), data.encode() + b"\\n")
            time.sleep(0.02)
    elif verb == "kill":
        os.kill(os.getpid(), int(words.pop(0)))
    elif verb == "child":
        import subprocess
        process = subprocess.Popen(["sleep", "60"])
        with open(words.pop(0), "w") as f:
            f.write(str(process.pid))
sys.stdout.write('{"verb": "fake"}')
"""


class NoCommands:
    """A command line that finds nothing finished, except what it is given."""

    def __init__(self, known: Mapping[str, Json] | None = None) -> None:
        self.known = dict(known or {})
        self.asked: list[str] = []

    def describe(self, verb: str) -> Json:
        return {"verb": verb, "class": "pure", "output_schema": {"properties": {}}}

    def refuse(self, argv: Sequence[str]) -> str | None:
        return None

    def cached(self, argv: Sequence[str]) -> Json | None:
        self.asked.append(" ".join(argv))
        return self.known.get(" ".join(argv))

    def stale_because(self, argv: Sequence[str]) -> str:
        return "never ran"

    def source_end(self, root: str, *, source: str, asof: date) -> date | None:
        return None

    def preflight(self, root: str, asked: RunRequest) -> tuple[str, ...]:
        return ()


def step(name: str, args: str, **fields: Any) -> Json:
    """A container template; `outputs=a,b` declares output parameters, `inputs=a,b` inputs."""
    outputs = [k for k in fields.pop("outputs", "").split(",") if k]
    inputs = [k for k in fields.pop("inputs", "").split(",") if k]
    container = {"command": ["bft"], "args": args.split(), **fields.pop("container", {})}
    made: Json = {"name": name, "container": container, **fields}
    if inputs:
        made["inputs"] = {"parameters": [{"name": key} for key in inputs]}
    if outputs:
        listed = [{"name": k, "valueFrom": {"path": f"/bft/out/{k}"}} for k in outputs]
        made["outputs"] = {"parameters": listed}
    return made


def task(name: str, depends: str = "", *, template: str = "", **fields: Any) -> Json:
    """A DAG task; `given={"a": "1"}` are its arguments."""
    given = fields.pop("given", {})
    made: Json = {"name": name, "template": template or name, **fields}
    if depends:
        made["depends"] = depends
    if given:
        made["arguments"] = {
            "parameters": [{"name": key, "value": value} for key, value in given.items()]
        }
    return made


def dag(name: str, *tasks: Json, **fields: Any) -> Json:
    return {"name": name, "dag": {"tasks": list(tasks), **fields}}


def write(path: Path, *templates: Json, **spec: Any) -> Path:
    """A workflow file; `parameters={"a": "1"}` are workflow parameters."""
    parameters = [{"name": k, "value": v} for k, v in spec.pop("parameters", {}).items()]
    body = {"entrypoint": "main", "templates": list(templates), **spec}
    if parameters:
        body["arguments"] = {"parameters": parameters}
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": f"bft-{path.stem}"},
        "spec": body,
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


class Ran:
    """What a small run came to."""

    def __init__(self, result: Result, record: RunRecord, engine: Engine) -> None:
        self.result, self.record, self.engine = result, record, engine

    def phases(self) -> dict[str, str]:
        """Phase of every node, its graph's name left out."""
        return {node: line["phase"] for node, line in self.record.nodes.items() if "phase" in line}

    def attempts(self, node: str) -> int:
        return int(self.record.nodes[node].get("attempt", 0)) + 1


def prefix(folder: Path) -> tuple[str, ...]:
    script = folder / "verbs.py"
    script.write_text(SCRIPT)
    return (sys.executable, "-I", "-S", str(script))


def execute(
    folder: Path,
    *templates: Json,
    commands: NoCommands | None = None,
    options: Mapping[str, Any] | None = None,
    values: Mapping[str, str] | None = None,
    **spec: Any,
) -> Ran:
    """Write, load and run a workflow in `folder`; its tags include its parameters."""
    workflow = load(write(folder / "small.yaml", *templates, **spec))
    tags = {f"workflow.parameters.{p.name}": p.value or "" for p in workflow.parameters}
    journal = Journal(folder / "runs" / "r1", run="r1", workflow="small", clock=FixedClock())
    made = Options(**{"prefix": prefix(folder), "env": {}, **(options or {})})
    engine = Engine(
        workflow,
        {**tags, "workflow.name": "r1", **(values or {})},
        journal=journal,
        commands=commands or NoCommands(),
        options=made,
        root=folder,
    )
    with journal.beating():
        journal.note("run")
        result = engine.execute()
    record = read_run(folder / "runs" / "r1")
    assert record is not None
    return Ran(result, record, engine)
