"""`bft chain LINE...`: several command lines in one pod, each a child process, in order.

A member that finds its work finished says so and is over in a moment; each leaves its own outputs.
"""

import argparse
import shlex
import subprocess
import sys
import time

from bft.domain.errors import UsageError
from bft.domain.runs import Json
from bft.flow.node import inherited_fds, json_line
from bft.ports import Ports, Step, Summary, Tick

PREFIX = (sys.executable, "-m", "bft")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lines."""
    parser.add_argument(
        "lines",
        nargs="+",
        metavar="LINE",
        help="a whole command line; of several rows, each is one word",
    )


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Run the lines in order; the first that fails stops the chain and gives its exit code."""
    lines = [words_of(line) for line in args.lines]
    for words in lines:
        _refuse(ports, words)
    told: list[Json] = []
    outputs: Json = {}
    for place, words in enumerate(lines):
        tick(place, len(lines), words[0])
        code, line = _call(words, fresh=args.fresh)
        told.append({"exit_code": code, **line})
        if code != 0:
            why = str(line.get("error") or "failed")
            about = why if why.startswith(f"{words[0]} ") else f"{words[0]}: {why}"
            return Summary(values={"lines": told}, exit_code=code, error=about)
        outputs |= line
    tick(len(lines), len(lines), "")
    rest = {key: value for key, value in outputs.items() if key not in _OWN}
    return Summary(values={**rest, "lines": told}, rows=sum(x.get("rows") or 0 for x in told))


_OWN = frozenset({"verb", "run_id", "seconds", "rows", "skipped", "cached", "lines", "error"})


def words_of(line: str) -> list[str]:
    """Words of one of a chain's lines: its rows, or where it is one row as a shell splits it.

    A tag has a row of its own in a rendered workflow: whatever fills it, here or on Argo, stays one
    word.
    """
    return line.split("\n") if "\n" in line else shlex.split(line)


def _refuse(ports: Ports, words: list[str]) -> None:
    why = ports.commands.refuse(words)
    if why is not None:
        raise UsageError(f"chain: {' '.join(words)}: {why}")


def _call(words: list[str], *, fresh: bool) -> tuple[int, Json]:
    began = time.monotonic()
    more = ["--fresh"] if fresh else []
    with (
        subprocess.Popen(  # noqa: S603  argv comes from the rendered workflow
            [*PREFIX, words[0], *more, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=inherited_fds(),
        ) as process
    ):
        try:
            said, _ = process.communicate()
        except BaseException:  # told to stop: so is the member, which ends its write
            process.terminate()
            process.wait()
            raise
    line = json_line(said) or {"verb": words[0]}
    code = process.returncode
    took = round(time.monotonic() - began, 3)
    return (128 - code if code < 0 else code), {"seconds": took, **line}


STEP = Step(
    effect="replace",
    summary="Run several command lines, one after the other, in this pod.",
    arguments=arguments,
    run=run,
)
