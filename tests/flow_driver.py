"""`bft run` with a script for the verbs: `python flow_driver.py ROOT WORDS...` (tests and benches).

Workflows are in ROOT/workflows. The script's verb is `work NAME N`: N short waits, then the object
ROOT/made/NAME, then its marker. ROOT/ledger tells what began and what finished.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bft import wiring
from bft.domain.errors import BftError
from bft.domain.runs import Json
from bft.flow import run_verb
from bft.ports import RunRequest
from bft.settings import Settings

SCRIPT = """
import hashlib, json, os, pathlib, signal, sys, time
root = pathlib.Path(sys.argv[1])
words = sys.argv[2:]
if "BFT_PARENT_FD" in os.environ:
    from bft.flow.node import follow_parent
    follow_parent(int(os.environ["BFT_PARENT_FD"]), lambda: os.kill(os.getpid(), signal.SIGTERM))
def aside(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.write_text(text)
    temporary.replace(path)
def ledger(*said):
    handle = os.open(root / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (" ".join(said) + "\\n").encode())
    os.close(handle)
key = hashlib.sha256(json.dumps(words).encode()).hexdigest()
out = pathlib.Path(os.environ["BFT_OUTPUTS_DIR"])
line = {"verb": words[0]}
if words[0] == "work":
    name, count = words[1], int(words[2])
    line |= {"said": name}
    if not (root / "markers" / key).exists():
        ledger("began", name)
        for n in range(count):
            time.sleep(0.01)
        aside(root / "made" / name, hashlib.sha256(name.encode()).hexdigest())
        aside(root / "markers" / key, json.dumps(line))
        ledger("finished", name)
    (out / "said").write_text(name)
elif words[0] == "exit":
    sys.exit(int(words[1]))
print(json.dumps(line))
"""


class Markers:
    """A command line whose markers are those of the script."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def describe(self, verb: str) -> Json:
        return {"verb": verb, "class": "replace"}

    def refuse(self, _argv: Sequence[str]) -> str | None:
        return None

    def cached(self, argv: Sequence[str]) -> Json | None:
        key = hashlib.sha256(json.dumps(list(argv)).encode()).hexdigest()
        path = self.root / "markers" / key
        return {**json.loads(path.read_text()), "cached": True} if path.exists() else None

    def stale_because(self, _argv: Sequence[str]) -> str:
        return "never ran"

    def source_end(self, root: str, *, source: str, asof: date) -> date | None:
        return None

    def preflight(self, root: str, asked: RunRequest) -> tuple[str, ...]:
        return ()


def main(words: list[str]) -> int:
    root = Path(words[0])
    script = root / "verbs.py"
    if not script.exists():
        aside = script.with_name(f".verbs-{os.getpid()}")
        aside.write_text(SCRIPT)
        aside.replace(script)  # a kill leaves no half script
    parser = argparse.ArgumentParser()
    run_verb.arguments(parser)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(words[1:])
    args.root, args.workflows_dir = str(root), str(root / "workflows")
    commands = Markers(root)
    ports = wiring.Wired(Settings(root=str(root)), root=str(root), commands=commands)
    prefix = (sys.executable, str(script), str(root))
    try:
        summary = run_verb.run(ports, args, lambda *_: None, prefix=prefix)
    except BftError as error:
        sys.stdout.write(json.dumps({"error": str(error), "exit_code": error.exit_code}) + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(json.dumps(summary.values | {"error": summary.error}) + "\n")
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
