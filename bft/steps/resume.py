"""End a halt, or say which there are.

Source: executor specification, sections 1.1 and 4.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bft.domain.advice import rooted
from bft.domain.encoding import utc_told
from bft.domain.errors import UsageError
from bft.ports import Ports, Step, Summary, Tick
from bft.steps.asking import add_api, answer, own

Halt = Mapping[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft resume`."""
    parser.add_argument("id", nargs="?", help="of the halt, or how it begins; none: list them")
    parser.add_argument("--note", default="", help="why, for the record")
    add_api(parser)


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Resume one halt; entries may leave again unless another holds.

    Raises:
        UsageError: no halt in force has that id, or several begin so.
        RefusedError: the token is no admin's, or the executor trades for another root.
        UnavailableError: no executor answers.
    """
    api = own(ports, args.api_url)
    held: list[Halt] = answer(api.ask("GET", "/v1/halts"))["halts"]
    resumed = None
    if args.id:
        name = _named(args.id, held)
        body = {"confirm": name, "note": args.note[:500]}
        resumed = answer(api.ask("POST", "/v1/resume", body=body))
        held = [halt for halt in held if halt["halt_id"] != name]
    if not args.json:
        _say(resumed, held, args.root)
    return Summary(values={"resumed": resumed, "halts": held}, rows=len(held))


def _named(text: str, held: Sequence[Halt]) -> str:
    """The one id that is or begins with a text."""
    ids = [str(halt["halt_id"]) for halt in held]
    found = [name for name in ids if name == text] or [n for n in ids if n.startswith(text)]
    if len(found) == 1:
        return found[0]
    have = ", ".join(found or ids) or "none"
    told = "several halts begin so" if found else "no halt in force has that id"
    raise UsageError(f"{text}: {told}: {have}; bft resume lists them")


def _say(resumed: Halt | None, held: Sequence[Halt], root: str | None) -> None:
    if resumed:
        sys.stderr.write(f"resumed: {_words(resumed)}\n")
    elif not held:
        sys.stderr.write("no halt is in force\n")
    for halt in held:
        command = rooted(f"bft resume {shlex.quote(halt['halt_id'])}", root)
        sys.stderr.write(f"halt: {_words(halt)}\n  {command}\n")


def _words(halt: Halt) -> str:
    until = f", until {utc_told(halt['until'])}" if halt.get("until") else ""
    return f"{halt['scope']} {halt['key']}: {halt['reason']} (by {halt['set_by']}{until})"


STEP = Step(
    effect="once",
    summary="End a halt by its id (admin); without one, list the halts in force.",
    arguments=arguments,
    run=run,
    writes=("halts of the executor",),
    outputs={"resumed": "the halt that ended", "halts": "those in force now"},
    settings=("api_url",),
    code=("steps.resume",),
)
