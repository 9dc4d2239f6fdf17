"""`bft run NAME`: a rendered workflow, here.

Reads the workflow's rendered file and what the root holds; writes `runs/<id>/` and whatever its
nodes write. Running it again does only what is not finished; a killed run goes on with --resume.
"""

import argparse
import os
import secrets
import shlex
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bft.domain import sessions
from bft.domain.advice import rooted
from bft.domain.errors import ConfigError, RefusedError, UsageError
from bft.domain.numbers import AT_LEAST_0, COUNT
from bft.flow import alone, dry_run, due, expect, graph, outcome, parameters, show, sources
from bft.flow.arguments import instant, optional_day
from bft.flow.context import Approver, Options, last_name
from bft.flow.events import copied
from bft.flow.expression import depends_on
from bft.flow.load import find, load
from bft.flow.plan import Planned
from bft.flow.records import steps_of
from bft.flow.run import Engine, exit_code
from bft.flow.spec import Workflow
from bft.flow.state import Journal, Listener, RunRecord, find_run, only_run, reap
from bft.ports import Ports, Step, Summary, Tick

PREFIX = (sys.executable, "-m", "bft")
CHOICES = """\
workflows: nightly (prices to reports), premarket, market-hours, close (a
  trading day), backfill (--param from=DATE --param to=DATE)
sources: files:PATH (a CSV or Parquet file, or a folder: docs/sources.md),
  sim[:URL] (the simulator: bft serve market-sim), alphavantage (needs
  ALPHAVANTAGE_API_KEY), mysql:URL (an older installation)
profiles: demo (the simulator), short (two years of a few symbols), realdata
  (four years of twenty and more), production, production_cross (a GPU), or
  the path of a YAML file of your own"""
"""What `--help` says of the choices; a test compares it with what there is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, with what, which part of it, and how it is told."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, CHOICES
    add = parser.add_argument
    add("name", nargs="?", default=None, help="workflow (nightly)")
    add(
        "--asof",
        dest="day",
        type=optional_day,
        default=None,
        help="session (newest, of sim: pulled)",
    )
    add("--at", type=instant, default=None, help="pretend the run is created at this instant")
    add("--param", action="append", default=[], metavar="K=V", help="a workflow parameter")
    add("--params", type=Path, default=None, metavar="FILE", help="parameters as YAML")
    add("--source", default=None, help="whose prices (the root's own, else BFT_SOURCE, else sim)")
    add("--profile", default=None, help="of training (the root's own, else demo)")
    add("--jobs", type=COUNT, default=None, help="nodes at once (what fits)")
    add(
        "--from",
        dest="start",
        type=last_name,  # a log says night.build, which is build
        default=None,
        metavar="NODE",
        help="run NODE and all after it again",
    )
    alone = "run NODE alone; the rest must be finished"
    add("--only", type=last_name, default=None, metavar="NODE", help=alone)
    add("--resume", default=None, metavar="RUN", help="go on with a run that ended early")
    add("--approve", default=None, metavar="WHO", help="approve what is suspended")
    add("--dry-run", action="store_true", help="say what would run and why; write nothing")
    add("--events", type=Path, default=None, metavar="FILE", help="also write events here")
    add(
        "--wait",
        type=AT_LEAST_0,
        default=0.0,
        metavar="S",
        help="wait for another run of this root",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A run as asked for: a new one, or one to go on with."""

    workflow: Workflow
    run: str
    created: datetime
    values: dict[str, str]
    limits: Mapping[str, Mapping[str, str]]
    before: RunRecord | None


def run(
    ports: Ports, args: argparse.Namespace, _tick: Tick, *, prefix: tuple[str, ...] = PREFIX
) -> Summary:
    """Run the workflow, or say what it would do; `prefix` stands for the command `bft`."""
    args.prefix = prefix
    if "://" in args.root:
        raise ConfigError(
            f"bft run works on a folder, not {args.root}; a bucket is for steps by hand and for "
            "Argo, which runs the same files (docs/architecture.md, On a cluster)"
        )
    root = Path(ports.store.root)
    asked = _asked(ports, args, root)
    again = sources.again(args, asked.workflow, asked.values if asked.before else {})
    finished = asked.before.finished() if asked.before else ()
    values = sources.looked_at(asked.workflow, asked.values, only=args.only, finished=finished)
    told = sources.told(ports, values, args, created=asked.created, again=again)
    if not args.json:
        sys.stderr.write("".join(f"{rooted(line, args.root)}\n" for line in told))
    if args.dry_run:
        return _dry_run(ports, args, asked, root)
    if args.only and not asked.before:
        day = asked.values.get("asof")
        whole = f"{again} --asof {day}" if day else again
        whole += f" --profile {shlex.quote(args.profile)}" if args.profile else ""
        alone.check(asked.workflow, _planned(ports, args, asked, root), args.only, again=whole)
    with copied(args.events) as copy, only_run(root, wait_s=args.wait):
        reap(root, ports.clock, but=asked.run)
        if not asked.before:
            sources.remember(ports, asked.values)
        return _run(ports, args, asked, root, copy)


def _asked(ports: Ports, args: argparse.Namespace, root: Path) -> Asked:
    before = find_run(root, args.resume) if args.resume else None
    name = before.workflow if before else args.name or "nightly"
    if before and args.name not in {None, name}:
        raise UsageError(f"run {before.run} is of {name}, not {args.name}")
    workflow = load(find(name, args.workflows_dir))
    for node in (args.start, args.only):
        _known(workflow, node)
    if before:
        return _again(workflow, before, args)
    created = args.at or ports.clock.now()
    given = parameters.given(args.param, args.params)
    now = max(created, ports.clock.now())
    if args.day:
        sessions.check_past(args.day, now=now)
    if args.day and not sessions.is_session(args.day):
        nearest = sessions.on_or_before(args.day)
        raise UsageError(f"--asof {args.day} is no XNYS session; nearest earlier: --asof {nearest}")
    short = {"asof": str(args.day) if args.day else None, "root": args.root}
    plain = given.values | {key: text for key, text in short.items() if text is not None}
    plain |= sources.chosen(ports, args, workflow, given)
    plain = sources.dated(ports, args, workflow, plain) | plain
    plain |= sources.trained_by(ports, args, workflow, given)
    values = parameters.resolve(workflow, plain, given.maps, absent_ok=("root",))
    due.check_days(name, values, now=now)
    if args.at and values.get("mode") == "live":
        raise RefusedError("--at pretends another time and is for paper only; mode is live")
    run_id = f"{name}-{created:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return Asked(
        workflow=workflow,
        run=run_id,
        created=created,
        values=values,
        limits=given.maps,
        before=None,
    )


def _again(workflow: Workflow, before: RunRecord, args: argparse.Namespace) -> Asked:
    if before.head["digest"] != workflow.digest:
        raise ConfigError(
            f"{workflow.name}.yaml changed since run {before.run}; start a new run "
            f"(finished work is found again): bft run {workflow.name}"
        )
    given = parameters.given(args.param, args.params)
    odd = sorted(given.values) + [k for k in ("day", "at", "source", "profile") if getattr(args, k)]
    if odd:
        raise UsageError(f"--resume goes on with the run's own parameters; drop {odd[0]}")
    return Asked(
        workflow=workflow,
        run=before.run,
        created=datetime.fromisoformat(before.head["created"]),
        values=sources.placed(before.head) | {"root": args.root},
        limits=before.head.get("limits", {}) | given.maps,
        before=before,
    )


def _run(
    ports: Ports, args: argparse.Namespace, asked: Asked, root: Path, copy: Listener
) -> Summary:
    folder, began = root / "runs" / asked.run, time.monotonic()
    journal = Journal(folder, run=asked.run, workflow=asked.workflow.name, clock=ports.clock)
    day = asked.values.get("asof") or ""
    tree = show.Tree(
        asked.workflow,
        f"{asked.workflow.name} {day}".rstrip() + f" · {asked.run}",
        expect.usual_seconds(root, asked.workflow.name),
    )
    with journal.beating():
        _begin(journal, asked)
        with show.shown(tree, quiet=args.json) as (listener, pause):
            journal.listeners += [listener, copy]
            engine = _engine(ports, args, asked, journal, _approver(args, pause), root)
            with _interruptible(engine):
                result = engine.execute()
            why = engine.stop_reason
        code = exit_code(result, why)
        took = round(time.monotonic() - began, 3)
        journal.note(
            "ended",
            phase=str(result.phase),
            exit_code=code,
            reason=result.reason or None,
            seconds=took,
        )
    record = find_run(root, asked.run)
    if not args.json:
        sys.stderr.write(outcome.held_back(steps_of(ports.store, asked.run), record))
    forced = args.only or args.start
    return outcome.tell(
        record, asked.values, result, root=args.root, quiet=args.json, forced=forced
    )


def _engine(
    ports: Ports,
    args: argparse.Namespace,
    asked: Asked,
    journal: Journal,
    approve: Approver,
    root: Path,
) -> Engine:
    options = _options(args, asked, approve)
    values = _tags(asked)
    return Engine(
        asked.workflow,
        values,
        journal=journal,
        commands=ports.commands,
        options=options,
        root=root,
    )


def _tags(asked: Asked) -> dict[str, str]:
    return {
        **{f"workflow.parameters.{name}": text for name, text in asked.values.items()},
        "workflow.name": asked.run,
        "workflow.uid": asked.run,
        "workflow.creationTimestamp.RFC3339": f"{asked.created:%Y-%m-%dT%H:%M:%SZ}",
    }


def _options(args: argparse.Namespace, asked: Asked, approve: Approver) -> Options:
    forced = _forced(asked.workflow, args.start)
    if args.only:
        forced |= {"guard", args.only}
    return Options(
        prefix=args.prefix,
        env=dict(os.environ),  # noqa: TID251  children inherit the caller's environment
        limits=asked.limits,
        jobs=args.jobs,
        fresh=args.fresh,
        forced=forced,
        only=args.only,
        approve=approve,
        finished=asked.before.finished() if asked.before else {},
        order=asked.before.order if asked.before else {},
    )


def _forced(workflow: Workflow, start: str | None) -> frozenset[str]:
    if start is None:
        return frozenset()
    forced = {start}
    for template in workflow.templates.values():
        for task in graph.wanted(template) if template.kind == "dag" else ():
            if forced & set(depends_on(task.depends)):
                forced.add(task.name)
    return frozenset(forced | {"guard"})


def _known(workflow: Workflow, node: str | None) -> None:
    every = {t.name for template in workflow.templates.values() for t in template.tasks}
    every |= {t.name for tpl in workflow.templates.values() for group in tpl.steps for t in group}
    if node is not None and node not in every:
        raise UsageError(parameters.unknown("node", node, every))


def _approver(args: argparse.Namespace, pause: object) -> Approver:
    def ask(node: str, duration_s: float | None) -> str | None:
        if args.approve or duration_s is not None or args.json or not sys.stdin.isatty():
            return str(args.approve) if args.approve else None
        if callable(pause):
            pause()
        sys.stderr.write(f"{node} waits for approval. Your name to approve, nothing to leave it: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() or None

    return ask


def _begin(journal: Journal, asked: Asked) -> None:
    if asked.before:
        journal.note("resumed", pid=os.getpid())
        return
    journal.note(
        "run",
        pid=os.getpid(),
        created=asked.created.isoformat(),
        digest=asked.workflow.digest,
        folder=str(Path.cwd()),  # what a relative source or profile is relative to
        values={key: text for key, text in asked.values.items() if key != "root"},
        limits=asked.limits,
    )


@contextmanager
def _interruptible(engine: Engine) -> Iterator[None]:
    """Ctrl-C stops the run in good order, a second one at once; SIGTERM likewise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        if engine.stop_reason:
            raise KeyboardInterrupt
        engine.stop("interrupted" if number == signal.SIGINT else "terminated")

    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _planned(ports: Ports, args: argparse.Namespace, asked: Asked, root: Path) -> list[Planned]:
    options = _options(args, asked, lambda _node, _s: None)
    usual_s = expect.usual_seconds(root, asked.workflow.name)
    return dry_run.planned(ports, asked.workflow, _tags(asked), options, usual_s)


def _dry_run(ports: Ports, args: argparse.Namespace, asked: Asked, root: Path) -> Summary:
    rows = _planned(ports, args, asked, root)
    if not args.json:
        dry_run.show_plan(rows)
    counts = Counter(row.state for row in rows)
    nodes = [{name: getattr(row, name) for name in row.__slots__} for row in rows]
    return Summary(
        values={
            "workflow": asked.workflow.name,
            "dry_run": True,
            "nodes": nodes,
            **{state: counts[state] for state in ("cached", "stale", "skipped", "open")},
        }
    )


STEP = Step(
    effect="pure",
    summary="Run a workflow here: only what is not finished, one process per node.",
    arguments=arguments,
    run=run,
    outputs={
        "workflow": "name",
        "run": "id of the run",
        "phase": "Succeeded, Failed, Error or Suspended",
        "ran": "nodes that did work",
        "cached": "nodes whose work was found finished",
        "failures": "nodes that failed, with exit code and reason",
        "source": "whose prices it asked for",
        "next": "the command to go on with",
    },
    settings=("root", "workflows_dir", "usual_source", "sim_url"),
)
