"""`bft workflow due|summary|quorum|status|lint`: what workflows ask, how they stand."""

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from bft.domain.errors import UsageError
from bft.domain.numbers import COUNT_OR_0
from bft.domain.runs import Json
from bft.flow import due, records, show
from bft.flow.arguments import instant, optional_day, required_day
from bft.flow.load import rendered
from bft.flow.quantity import NODES
from bft.flow.state import find_run, reap, runs
from bft.ports import Ports, Step, Summary, Tick

OUTPUTS = {
    "workflow": "name",
    "run": "whether this run has work to do",
    "asof": "session the run covers",
    "slot": "quarter of an hour the run is for (market-hours)",
    "settle_s": "seconds until ten minutes after the close",
    "reason": "due holiday done too_late too_early half_day",
    "days": "sessions to fill, ascending",
    "last": "the last of them",
    "models": "models with a usable result",
    "missing": "models without one",
    "degraded": "whether a model is missing",
    "nodes": "nodes of the run, with phase, exit code and reason",
    "findings": "what the linter found",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Subcommands."""
    parsers = parser.add_subparsers(dest="action", required=True)
    ask = parsers.add_parser("due", help="does the calendar ask for a run?", allow_abbrev=False)
    ask.add_argument("name", help="workflow")
    ask.add_argument("--at", type=instant, default=None, help="instant to judge at (now)")
    ask.add_argument("--day", type=optional_day, default=None, help="asof somebody asked for")
    ask.add_argument("--from", dest="first", type=required_day, default=None, help="backfill")
    ask.add_argument("--to", dest="last", type=required_day, default=None, help="backfill")
    end = parsers.add_parser("summary", help="what a run did; closes it", allow_abbrev=False)
    end.add_argument("--run", required=True, help="id of the run")
    end.add_argument("--status", required=True, help="Succeeded, Failed or Error")
    end.add_argument("--failures", default="[]", help="JSON list of failed nodes")
    vote = parsers.add_parser("quorum", help="are enough models trained?", allow_abbrev=False)
    vote.add_argument("--run", required=True, help="id of the run")
    vote.add_argument("--node", required=True, help="the training node")
    vote.add_argument("--need", type=COUNT_OR_0, required=True, help="models needed")
    vote.add_argument("--must", default="", help="models needed by name, comma between")
    look = parsers.add_parser("lint", help="what is wrong in rendered files", allow_abbrev=False)
    look.add_argument("files", nargs="*", type=Path, help="rendered YAML (all of the folder)")
    look.add_argument("--profile", choices=sorted(NODES), default="laptop", help="node sizes")
    look.add_argument("--strict", action="store_true", help="warnings are errors")
    look.add_argument("--fix-hints", action="store_true", help="say how to mend each finding")
    tell = parsers.add_parser("status", help="how a run here stands", allow_abbrev=False)
    tell.add_argument("--run", default=None, help="id of the run (the newest)")
    for each in (ask, end, vote, look, tell):
        each.add_argument("--root", default=argparse.SUPPRESS, help="folder or bucket")
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        each.add_argument("--fresh", action="store_true", default=argparse.SUPPRESS)


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Dispatch."""
    if args.action == "lint":
        return _lint(ports, args)
    acts = {"due": _due, "summary": _summary, "quorum": _quorum, "status": _status}
    return Summary(values=acts[args.action](ports, args))


def _due(ports: Ports, args: argparse.Namespace) -> Json:
    now = ports.clock.now()
    if args.name == "backfill":
        if args.first is None or args.last is None:
            raise UsageError("workflow due backfill: --from and --to are needed")
        days = [str(day) for day in due.days_to_fill(args.first, args.last, now=now)]
        asked = {"workflow": "backfill", "run": True, "reason": "due"}
        return {**asked, "days": days, "asof": days[-1], "last": days[-1]}

    def done(asof: object, slot: str) -> bool:
        return not args.fresh and records.is_done(ports.store, args.name, asof, slot)  # type: ignore[arg-type]

    at: datetime = args.at or now
    verdict = due.judge(args.name, at=at, day=args.day, now=now, done=done)
    found = {name: getattr(verdict, name) for name in verdict.__slots__}
    return {"workflow": args.name, **found, "asof": str(verdict.asof)}


def _summary(ports: Ports, args: argparse.Namespace) -> Json:
    told = json.loads(args.failures or "[]")
    told = json.loads(told) if isinstance(told, str) else told  # Argo quotes the list once more
    about = records.summarize(ports.store, args.run, status=args.status, failures=told or [])
    if args.notify_to and (args.status != "Succeeded" or about["ran"]):
        subject = f"bft {about['workflow']} {about['asof']}: {args.status}"
        ports.notifier.notify(subject, json.dumps(about, indent=1, default=str))
    return {key: value for key, value in about.items() if key != "steps"}


def _quorum(ports: Ports, args: argparse.Namespace) -> Json:
    must = [name for name in args.must.split(",") if name]
    good, bad = records.quorum(ports.store, args.run, node=args.node, need=args.need, must=must)
    return {"models": good, "missing": bad, "degraded": bool(bad)}


def _lint(ports: Ports, args: argparse.Namespace) -> Summary:
    from bft.flow.lint import lint

    files = args.files or sorted(rendered(args.workflows_dir).values())
    found = lint(files, commands=ports.commands, profile=args.profile)
    bad = [f for f in found if args.strict or f.severity == "error"]
    if not args.json:
        for finding in found:
            hint = f"\n    fix: {finding.fix}" if args.fix_hints else ""
            where = f"{finding.file}:{finding.line} {finding.id} {finding.severity}"
            sys.stderr.write(f"{where}: {finding.what} ({finding.path}){hint}\n")
    values = {
        "files": [file.name for file in files],
        "errors": len(bad),
        "findings": [asdict(finding) for finding in found],
    }
    error = f"{len(bad)} errors in {len(files)} workflow files" if bad else None
    return Summary(values=values, exit_code=65 if bad else 0, error=error)


def _status(ports: Ports, args: argparse.Namespace) -> Json:
    root = Path(ports.store.root)
    reap(root, ports.clock)
    newest = [record.run for record in runs(root)[-1:]]
    name = args.run or (newest[0] if newest else "")
    record = find_run(root, name)
    kept = ("node", "event", "phase", "exit_code", "attempt", "seconds", "reason")
    nodes = [{key: line.get(key) for key in kept} for line in record.nodes.values()]
    if not args.json:
        show.show_nodes(nodes, f"{record.run} {record.phase.lower()}")
    return {
        "run": record.run,
        "workflow": record.workflow,
        "phase": record.phase,
        "reason": record.end.get("reason"),
        "nodes": nodes,
    }


STEP = Step(
    effect="pure",
    summary="Ask, tell or check a workflow: due, summary, quorum, status, lint.",
    arguments=arguments,
    run=run,
    outputs=OUTPUTS,
    settings=("notify_to", "workflows_dir"),
)
