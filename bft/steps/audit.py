"""Write the audit of the trade log: totals, checks, what to look at.

Source: executor specification, section 13.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bft.domain.errors import UnavailableError
from bft.ports import Ports, Step, Summary, Tick
from bft.steps.asking import add_api, answer, own

FOLDER = "audit"
FAIL = "FAIL"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft audit`."""
    add_api(parser)
    parser.add_argument("--output", metavar="FILE", help="where (audit_<instant>.md in the root)")


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Have the executor audit itself, and keep the report.

    Raises:
        RefusedError: the executor trades for another root.
        UnavailableError: no executor answers, or the file cannot be written.
    """
    api = own(ports, args.api_url)
    found: Mapping[str, Any] = answer(api.ask("GET", "/v1/audit/report", wait_s=60.0))
    checks = found["checks"]
    if args.output:
        name, objects = args.output, {}
        _write(Path(args.output), found["markdown"])
    else:
        name = f"{FOLDER}/audit_{_stamp(found['at'])}.md"
        objects = {name: ports.store.put(name, found["markdown"].encode())}
    failed = [check["name"] for check in checks if check["level"] == FAIL]
    return Summary(
        values={"report": name, "checks": checks, "failed": failed},
        rows=len(checks),
        objects=objects,
        exit_code=65 if failed else 0,
        error=f"{len(failed)} checks failed: {', '.join(failed)}; see {name}" if failed else None,
    )


def _stamp(at: str) -> str:
    """An instant as it stands in a file's name."""
    return at[:19].replace("-", "").replace(":", "") + "Z"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnavailableError(f"--output {path}: {error.strerror}") from error


STEP = Step(
    effect="pure",
    summary="Audit of the trade log and the book: totals, OK, WARN, FAIL.",
    arguments=arguments,
    run=run,
    writes=("audit/audit_<instant>.md",),
    outputs={"report": "key or file of the report", "failed": "names of failed checks"},
    settings=("api_url",),
    code=("steps.audit",),
)
