"""The real command line in this process: exit code, JSON line, stderr."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from bft import cli


def bft(*words: str) -> tuple[int, dict[str, Any], str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(list(words))
    lines = out.getvalue().splitlines()
    return code, json.loads(lines[-1]) if lines else {}, err.getvalue()


def planned(line: Any, node: str) -> str:
    """The call that a dry run plans for a node, its words parted by blanks."""
    call = next(told["line"] for told in line["nodes"] if told["node"] == node)
    return " ".join(word.replace("\n", " ") for word in json.loads(call))
