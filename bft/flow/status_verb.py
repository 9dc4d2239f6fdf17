"""`bft status`: what ran last, what is missing, how the executor stands, what to do next."""

import argparse
import sys
from datetime import date, datetime
from pathlib import Path

from bft.domain import origin, sessions
from bft.domain.advice import rooted
from bft.domain.runs import Json
from bft.flow import executor, records
from bft.flow.show import SIGNS, clock_text, console
from bft.flow.state import RunRecord, reap, runs
from bft.ports import Ports, Step, Summary, Tick

SHOWN = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to refuse, and whom to ask."""
    parser.add_argument(
        "--check", action="store_true", help="exit 77 if closed to opening, 75 if no executor"
    )
    parser.add_argument("--api", dest="api_url", metavar="URL", help="executor (BFT_API_URL)")


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Tell the state of the root and of the executor.

    Raises:
        RefusedError: `--check`, and the executor is closed to opening.
        UnavailableError: `--check`, and none answers.
    """
    now = ports.clock.now()
    asof = sessions.last_closed(now)
    found = _runs(ports)
    missing = _missing(ports, asof)
    after = f"bft run nightly --asof {asof}" if missing else ""
    held = origin.remembered(ports.store)
    values: Json = {"asof": str(asof), "missing": missing, "next": after}
    values["source"] = held.source if held else None
    values["simulated"] = held.simulated if held else None
    values["runs"] = [_told(record) for record in found[-SHOWN:]]
    values["executor"] = told = executor.standing(ports.executor(args.api_url), ports.store.root)
    if not args.json:
        holds = held.words if held else "nothing yet"
        sys.stderr.write(f"root {args.root or './data'}: {holds}\n")
        _say(found[-SHOWN:], missing, rooted(after, args.root), now)
        executor.say(told)
    if args.check:
        executor.check(told)
    return Summary(values=values)


def _runs(ports: Ports) -> list[RunRecord]:
    root = ports.store.root
    if "://" in root:
        return []
    reap(Path(root), ports.clock)
    return runs(Path(root))


def _missing(ports: Ports, asof: date) -> list[str]:
    return [] if records.is_done(ports.store, "nightly", asof, "") else ["nightly"]


def _told(record: RunRecord) -> Json:
    return {
        "run": record.run,
        "workflow": record.workflow,
        "phase": record.phase,
        "at": record.head["at"],
        "seconds": record.end.get("seconds"),
        "exit_code": record.end.get("exit_code"),
        "reason": record.end.get("reason"),
    }


def _say(found: list[RunRecord], missing: list[str], after: str, now: datetime) -> None:
    if sys.stderr.isatty() and found:
        _table(found, now)
    else:
        for record in found:
            took = record.end.get("seconds")
            length = clock_text(took) if took is not None else ""
            sys.stderr.write(f"{record.run:<38}  {record.phase:<10}  {length}\n")
    told = f"missing: {', '.join(missing)}; run: {after}" if missing else "nothing is missing"
    sys.stderr.write(told + "\n")


def _table(found: list[RunRecord], now: datetime) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "run", "ended as"):
        table.add_column(name, no_wrap=True)
    for name in ("took", "ago"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in found:
        sign, style = SIGNS.get(record.phase, ("✗" if record.phase == "Lost" else "▸", "yellow"))
        took = record.end.get("seconds")
        ago = clock_text((now - datetime.fromisoformat(record.head["at"])).total_seconds())
        length = clock_text(took) if took is not None else ""
        table.add_row(f"[{style}]{sign}[/]", record.run, record.phase, length, ago)
    console().print(table)


STEP = Step(
    effect="pure",
    summary="What ran last, what is missing, and the command to run next.",
    arguments=arguments,
    run=run,
    outputs={
        "source": "of the root's pulls, once there was one",
        "simulated": "whether its rows are simulated",
        "runs": "the last runs",
        "missing": "what is not done",
        "next": "a command",
        "executor": "mode, account, session, positions, protection, halts, kill; or why none told",
    },
    settings=("api_url",),
)
