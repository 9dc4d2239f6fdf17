"""The command line: parse, wire, run a step, exit code.

`bft --help` imports no step; a verb's module is imported when the verb is used.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bft.domain.advice import again, root_of, rooted
from bft.domain.errors import BftError, UnavailableError, UsageError
from bft.domain.masking import all_masked
from bft.verbs import VERBS, help_text, meant

if TYPE_CHECKING:
    from datetime import date

    from bft.domain.runs import Json
    from bft.ports import Ports, RunRequest, Step, Summary
    from bft.steps.preflight import History


class _Terminated(BaseException):
    """SIGTERM; no handler of errors may swallow it."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        _attach()
    try:
        try:
            return _main(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        from bft.wiring.pipes import UNREAD, silenced

        if not silenced():
            raise
        return UNREAD


def _main(words: list[str]) -> int:
    if not words or words[0] in {"-h", "--help"}:
        sys.stdout.write(help_text())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(version("bft") + "\n")
        return 0
    try:
        return _run(words)
    except BftError as error:
        return _failed(error, words)
    except _Terminated:
        return _failed(UnavailableError("told to stop; the same command resumes"), words)
    except KeyboardInterrupt:
        return _failed(BftError("interrupted; the same command resumes"), words, code=130)


def _attach() -> None:
    """End in good order on SIGTERM, and when the runner that started this process is gone."""

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, lambda *_: None)  # a chain and its runner both say it: once is enough
        raise _Terminated

    signal.signal(signal.SIGTERM, stop)
    parent = os.environ.get("BFT_PARENT_FD")  # noqa: TID251  set by the runner, not a setting
    if parent:
        from bft.flow.node import follow_parent

        follow_parent(int(parent), lambda: os.kill(os.getpid(), signal.SIGTERM))


def _run(words: list[str]) -> int:
    step = load(words[0])
    if "--describe" in words:
        _print(describe(words[0], step))
        return 0
    args = parse(words)
    from bft import wiring
    from bft.steps import record

    settings = wiring.settings()
    ports = wiring.wire(settings, root=args.root, commands=CommandLine(words), json_only=args.json)
    closed = prepare(ports, step, args)
    started = time.monotonic()
    try:
        _settle_before_retry()
        with wiring.progress(words[0], quiet=args.json) as tick:
            summary = record.execute(ports, words[0], step, args, tick)
    except BftError as error:
        told: Json = {"error": rooted(all_masked(str(error)), args.root)}
        _remember(ports, words, error.exit_code, told, started)
        _settle(ports, words[0], args, told, error.exit_code)
        raise
    except OSError as error:
        raise wiring.fault_of_root(error, args.root or settings.root) or error from error
    line = _line(words[0], args, summary, seconds=time.monotonic() - started)
    line |= {"last_closed": str(closed)} if closed else {}
    _outputs(step, line)
    _remember(ports, words, summary.exit_code, line, started)
    _settle(ports, words[0], args, line, summary.exit_code)
    _tell(ports, words[0], args, line)
    if summary.error and not args.json:
        sys.stderr.write(f"error: {line['error']}  [{summary.exit_code}]\n")
    return summary.exit_code


def _settle_before_retry() -> None:
    """Retries of many pods spread out: a later attempt first waits a part of the last wait."""
    from bft.flow.records import jitter_s

    time.sleep(jitter_s(os.environ))  # noqa: TID251  set by the workflow, not settings


def _remember(ports: "Ports", words: list[str], code: int, line: "Json", began: float) -> None:
    """Leave a record of this call in its run, if it is part of one."""
    from bft.flow import records

    env = os.environ  # noqa: TID251  set by the workflow, not settings
    if not env.get("BFT_RUN_ID") or words[0] in {"run", "chain"}:
        return
    made = records.StepRecord(
        node=env.get("BFT_NODE", words[0]),
        words=tuple(words),
        attempt=int(env.get("BFT_ATTEMPT") or 0),
        exit_code=code,
        seconds=round(time.monotonic() - began, 3),
        line=line,
    )
    with suppress(BftError):  # the root may be what failed; the exit code says so
        records.note_step(ports.store, env["BFT_RUN_ID"], made)


def _settle(ports: "Ports", verb: str, args: argparse.Namespace, line: "Json", code: int) -> None:
    """A failed step of a run marks its night as failed; any later success takes that back."""
    from bft.steps import failures

    if "asof" in args:
        in_run = bool(os.environ.get("BFT_RUN_ID"))  # noqa: TID251  set by the runner
        failures.settle(ports.store, verb, args, line, code=code, in_run=in_run)


def prepare(ports: "Ports", step: "Step", args: argparse.Namespace) -> "date | None":
    """Put the root's source and settings on `args`; fill in and check `--asof`.

    Returns the last closed session where the call names no day and is as of an older one.

    Raises:
        UsageError: asof is no closed session.
    """
    from bft import wiring
    from bft.domain import origin
    from bft.steps import reading

    settings = wiring.settings()
    if "source" in step.settings and args.source is None:
        found = origin.remembered(ports.store)
        args.source = found.spec(Path.cwd()) if found else None
    for name in step.settings:
        if getattr(args, name, None) is None:
            setattr(args, name, getattr(settings, name))
    return reading.fill_day(ports, step, args) if "asof" in args else None


def load(verb: str) -> "Step":
    """The step behind a verb.

    Raises:
        UsageError: no such verb; names the nearest.
    """
    if verb not in VERBS:
        raise UsageError(f"no verb {verb!r}; {meant(verb)}")
    step: Step = importlib.import_module(VERBS[verb][0]).STEP
    return step


def parser(verb: str, step: "Step") -> argparse.ArgumentParser:
    """The parser of one verb, common options included."""
    made = _Parser(prog=f"bft {verb}", description=step.summary, allow_abbrev=False)
    step.arguments(made)
    common = made.add_argument_group("common")
    common.add_argument("--root", default=None, help="folder or s3://bucket/prefix (./data)")
    common.add_argument("--json", action="store_true", help="one JSON line, silent stderr")
    common.add_argument("--debug", action="store_true", help="traceback on errors")
    common.add_argument("--describe", action="store_true", help="print the verb's schema as JSON")
    if step.effect != "once":
        common.add_argument("--fresh", action="store_true", help="ignore finished work")
    return made


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse one command line.

    Raises:
        UsageError: unknown verb or argument, or a value of the wrong kind.
    """
    return parser(words[0], load(words[0])).parse_args(list(words[1:]))


def describe(verb: str, step: "Step") -> "Json":
    """Description, input and output schema of a verb."""
    actions = [a for a in parser(verb, step)._actions if a.dest != "help"]  # noqa: SLF001  no public list
    properties = {
        a.dest: {
            "type": "boolean" if a.nargs == 0 else getattr(a.type, "json_type", "string"),
            "description": a.help,
            **({"enum": list(a.choices)} if a.choices else {}),
            **({"default": a.default} if a.default is not None else {}),
        }
        for a in actions
    }
    required = [a.dest for a in actions if a.required]
    return {
        "verb": verb,
        "description": step.summary,
        "class": step.effect,
        "classes": dict(step.effects),
        "reads": list(step.reads),
        "writes": list(step.writes),
        "input_schema": {"type": "object", "properties": properties, "required": required},
        "output_schema": {
            "type": "object",
            "properties": {key: {"description": text} for key, text in step.outputs.items()},
        },
    }


class CommandLine:
    """The Commands port: what steps and `flow` ask of the command line, of its own call too."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._words = tuple(words)
        self._wired: dict[str, Ports] = {}
        self._seen: dict[str, History] = {}

    def again(self, day: "date | None") -> str:
        """See `advice.again`."""
        return again(self._words, day)

    def describe(self, verb: str) -> "Json":
        """See `describe`."""
        return describe(verb, load(verb))

    def refuse(self, argv: Sequence[str]) -> str | None:
        """Why the parser refuses a command line, or None."""
        try:
            parse(argv)
        except BftError as error:
            return str(error)
        return None

    def cached(self, argv: Sequence[str]) -> "Json | None":
        """JSON line of an equal finished call, or None; a chain's is that of all its lines.

        None too while a failure of that step is noted, which only its own success takes back.
        """
        from bft.flow.chain import words_of
        from bft.steps import failures, record

        args, step = parse(argv), load(argv[0])
        if argv[0] == "chain":
            found = [None if args.fresh else self.cached(words_of(x)) for x in args.lines]
            return None if None in found else _joined([line for line in found if line])
        ports = self._ports(args.root)
        prepare(ports, step, args)
        if failures.noted(ports.store, argv[0], args):
            return None
        once = step.effect == "once"
        line = step.done(ports, args) if once else record.cached(ports, argv[0], step, args)
        return None if line is None else _head(argv[0], args) | line

    def stale_because(self, argv: Sequence[str]) -> str:
        """In words: why an equal call would run."""
        from bft.flow.chain import words_of
        from bft.steps import failures, record

        args, step = parse(argv), load(argv[0])
        if argv[0] == "chain":
            stale = next((w for w in map(words_of, args.lines) if not self.cached(w)), None)
            return f"{stale[0]} {self.stale_because(stale)}" if stale else "asked for"
        ports = self._ports(args.root)
        prepare(ports, step, args)
        if failures.noted(ports.store, argv[0], args):
            return "its last call failed"
        return record.difference(ports, argv[0], step, args)

    def preflight(self, root: str, asked: "RunRequest") -> tuple[str, ...]:
        """Sentences on whether a source's prices suffice for a profile."""
        from bft import wiring
        from bft.steps import preflight

        folder = wiring.settings().profiles_dir
        return preflight.look(self._ports(root), asked, profiles_dir=folder, seen=self._seen)

    def source_end(self, root: str, *, source: str, asof: "date") -> "date | None":
        """Last session up to asof that a file has prices of; None for other sources."""
        from bft.steps import preflight

        return preflight.ends_on(self._ports(root), source, asof, self._seen)

    def _ports(self, given: str | None) -> "Ports":
        from bft import wiring

        root = given or wiring.settings().root
        if root not in self._wired:
            made = wiring.Wired(wiring.settings(), root=root, commands=self, silent=True)
            self._wired[root] = made
        return self._wired[root]


def _joined(lines: "Sequence[Json]") -> "Json":
    own = {"verb", "rows", "skipped", "cached"}
    values = {key: value for line in lines for key, value in line.items() if key not in own}
    return {"verb": "chain", **values, "cached": True}


def _head(verb: str, args: argparse.Namespace) -> "Json":
    asof = getattr(args, "asof", None)
    return {"verb": verb, **({"asof": str(asof)} if asof else {})}


def _line(verb: str, args: argparse.Namespace, summary: "Summary", *, seconds: float) -> "Json":
    from bft.steps import record

    line = _head(verb, args) | record.line_of(summary)
    advice = {"note": line.get("note"), "error": summary.error}
    line |= {key: rooted(all_masked(text), args.root) for key, text in advice.items() if text}
    return {**line, "run_id": os.environ.get("BFT_RUN_ID"), "seconds": round(seconds, 3)}  # noqa: TID251  set by the runner


def _outputs(step: "Step", line: "Json") -> None:
    folder = os.environ.get("BFT_OUTPUTS_DIR")  # noqa: TID251  set by the runner, not a setting
    for key in step.outputs if folder else ():
        if key not in line:
            continue
        value = line[key]
        text = value if isinstance(value, str) else json.dumps(value)
        (Path(folder or "") / key).write_text(text, encoding="utf-8")


def _tell(ports: "Ports", verb: str, args: argparse.Namespace, line: "Json") -> None:
    """The JSON line for programs, text for people; a terminal gets the text alone."""
    if args.json or not sys.stdout.isatty():
        _print(line)
    if args.json or not (sys.stdout.isatty() or sys.stderr.isatty()):
        return
    from bft import wiring
    from bft.steps import night_told, telling

    text = telling.told(verb, line)
    if verb == "run":
        text = night_told.night_told(ports.store, line, root=args.root or wiring.settings().root)
    if text:
        out = sys.stdout if sys.stdout.isatty() else sys.stderr
        print(rooted(text, args.root), file=out, flush=True)


def _print(line: "Json") -> None:
    print(json.dumps(line, default=str), flush=True)


def _failed(error: BftError, words: list[str], code: int | None = None) -> int:
    code = code or error.exit_code
    if "--debug" in words:
        traceback.print_exc()
    told = rooted(all_masked(str(error)), root_of(words))
    # A runner shows the cause of a failed node from its line.
    if "--json" in words or os.environ.get("BFT_RUN_ID"):  # noqa: TID251  set by the runner
        _print({"verb": words[0], "error": told, "exit_code": code})
    if "--json" not in words:
        sys.stderr.write(f"error: {told}  [{code}]\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
