"""`bft status`: what ran last, what is missing, how the executor stands, what to do next."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

from bft.domain import origin, sessions
from bft.domain.advice import rooted, serve_again
from bft.domain.errors import BftError, UnfitError
from bft.domain.runs import Json
from bft.flow import executor, records, sources
from bft.flow.graph import Phase
from bft.flow.load import find, load
from bft.flow.show import SIGNS, clock_text, console
from bft.flow.state import RunRecord, reap, runs
from bft.ports import Ports, RunRequest, Step, Summary, Tick

SHOWN = 5
BROKEN = frozenset({str(Phase.FAILED), str(Phase.ERROR), "Lost"})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to refuse, and whom to ask."""
    parser.add_argument(
        "--check",
        nargs="?",
        const=executor.ENTRIES,
        choices=(executor.ENTRIES, executor.ORDERS),
        help="exit 77 if closed to opening, 75 if no executor; orders: 75 until exits may leave",
    )
    parser.add_argument("--api", dest="api_url", metavar="URL", help="executor (BFT_API_URL)")


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Tell the state of the root and of the executor.

    Raises:
        RefusedError: `--check`, and the executor is closed to opening.
        UnavailableError: `--check`, and none answers, or (`orders`) its broker is away.
    """
    now = ports.clock.now()
    found = _runs(ports)
    held = origin.remembered(ports.store)
    end = _end(ports, held, sessions.last_closed(now))
    first = None if held else _broken(found)
    asof = _asof(ports, held, end or sessions.last_closed(now))
    asof = date.fromisoformat(_day(first) or str(asof)) if first else asof
    missing = _missing(ports, asof, found)
    again = f"bft run --resume {first.run}" if first else ""
    after = rooted(again or _night(ports, args, held, asof), args.root) if missing else ""
    values: Json = {"asof": str(asof), "missing": missing, "next": after}
    values["source_end"] = str(end) if end else None
    values["source"] = held.source if held else None
    values["simulated"] = held.simulated if held else None
    training = origin.trained_by(ports.store)
    values["profile"] = training.profile if training else None
    values["runs"] = [_told(record) for record in found[-SHOWN:]]
    api, root = ports.executor(args.api_url), ports.store.root
    values["executor"] = told = executor.standing(api, root, given=args.root)
    if not told.keys().isdisjoint(("away", "foreign")):
        told["held"] = _held(ports)
        told["start"] = rooted(_start(ports), args.root)
    if not args.json:
        holds = held.words if held else "nothing yet"
        by = f", profile {training.profile}" if training else ""
        by += _models(ports, training)
        sys.stderr.write(f"root {args.root or './data'}: {holds}{by}\n")
        _say(found[-SHOWN:], missing, after, now)
        sys.stderr.write(_ended(held, end, args))
        executor.say(told)
    if args.check:
        executor.check(told, args.check)
    return Summary(values=values)


def _models(ports: Ports, training: origin.Training | None) -> str:
    """Of which profile the models in production are, where it is not the root's own."""
    made = origin.learned_by(ports.store, ports.state.pointer("production").set_digest)
    own = training and (Path(training.profile).stem if training.path else training.profile)
    others = [name for name in made if name != own]
    return f" (models of {', '.join(others)})" if others else ""


def _held(ports: Ports) -> list[str]:
    """What the book holds while nobody tells; one that cannot be read keeps no status back."""
    with suppress(BftError):
        return ports.held_symbols()
    return []


def _start(ports: Ports) -> str:
    """The command of the book's executor, in the broker and the clock it was last in."""
    with suppress(BftError):
        return serve_again(ports.last_start())
    return serve_again({})


def _runs(ports: Ports) -> list[RunRecord]:
    root = ports.store.root
    if "://" in root:
        return []
    reap(Path(root), ports.clock)
    return runs(Path(root))


def _end(ports: Ports, held: origin.Origin | None, last: date) -> date | None:
    """The last session there are prices of; None: up to today, or a file that tells no end.

    What a simulator has is known while it runs only: of its roots the newest pull counts.
    """
    if held and held.simulated:
        return origin.pulled_to(ports.store)
    if held is None:
        return None
    with suppress(BftError):  # a run says it better
        root, spec = ports.store.root, held.spec(Path.cwd())
        return ports.commands.source_end(root, source=spec, asof=last)
    return None


def _ended(held: origin.Origin | None, end: date | None, args: argparse.Namespace) -> str:
    """What to do for a day after the last one."""
    if held is None or end is None:
        return ""
    if held.simulated:
        later = rooted("bft run nightly --asof DAY", args.root)
        return (
            f"simulated prices were pulled up to {end}; a later day:\n"
            f"  {held.simulator(args.sim_url)} --today DAY\n  {later}\n"
        )
    return f"{held.source} ends {end}\n"


def _asof(ports: Ports, held: origin.Origin | None, last: date) -> date:
    """The night that is asked after: a simulator's newest may have failed before a pull."""
    if held is None or not held.simulated:
        return last
    failed = (key.split("/")[1] for key in ports.store.keys("failures/"))
    return max([last, *map(date.fromisoformat, failed)])


def _night(ports: Ports, args: argparse.Namespace, held: origin.Origin | None, asof: date) -> str:
    """The command of a night, with what the root does not know yet or what does not fit it."""
    command = f"bft run nightly --asof {asof}"
    if held is None:
        own = " --source files:PATH --profile realdata"
        return command if args.usual_source else command + own
    try:
        workflow = load(find("nightly", args.workflows_dir))
        used = sources.profile_of(ports, workflow)
        asked = RunRequest(
            source=held.spec(Path.cwd()), profile=used, asof=asof, again="bft run nightly"
        )
        ports.commands.preflight(ports.store.root, asked)
    except UnfitError as error:
        return error.instead
    except BftError:  # a run says it better
        return command
    return command


def _missing(ports: Ports, asof: date, found: Sequence[RunRecord]) -> list[str]:
    """A night that never succeeded, or did before its newest run failed or was lost.

    One that runs at this moment is not missing: the runs tell of it.
    """
    failed = ports.store.keys(f"failures/{asof}/")  # notes of failed steps, as after a re-run
    done = records.is_done(ports.store, "nightly", asof, "")
    nights = [one for one in found if one.workflow == "nightly" and _day(one) == str(asof)]
    ended = nights[-1].phase if nights else ""
    well = done and not failed and ended not in BROKEN
    return [] if well or ended == "Running" else ["nightly"]


def _broken(found: Sequence[RunRecord]) -> RunRecord | None:
    """The newest night, if it failed or was lost: it knows what it was asked for."""
    nights = [one for one in found if one.workflow == "nightly"]
    return nights[-1] if nights and nights[-1].phase in BROKEN else None


def _day(record: RunRecord) -> str | None:
    """Session a run is of: what its guard found, or what it was given."""
    judged = record.nodes.get("guard", {}).get("outputs") or {}
    given = record.head.get("values", {})
    return judged.get("asof") or given.get("asof") or None


def _told(record: RunRecord) -> Json:
    return {
        "run": record.run,
        "workflow": record.workflow,
        "asof": _day(record),
        "phase": record.phase,
        "idle": _idle(record),
        "at": record.head["at"],
        "seconds": record.end.get("seconds"),
        "exit_code": record.end.get("exit_code"),
        "reason": _reason(record),
    }


def _idle(record: RunRecord) -> str | None:
    """Why a run had nothing to do, in the guard's word; None: it had, or it knows no guard."""
    judged = record.nodes.get("guard", {}).get("outputs") or {}
    if record.phase != str(Phase.SUCCEEDED) or str(judged.get("run")).lower() != "false":
        return None
    return str(judged.get("reason") or "nothing to do")


def _ended_as(record: RunRecord) -> str:
    """The phase; a run that did nothing did not succeed at anything."""
    idle = _idle(record)
    return f"idle, {idle.replace('_', ' ')}" if idle else record.phase


def _failed_last(found: Sequence[RunRecord]) -> str:
    """Workflows but the night's whose newest run that had work to do failed, with that run."""
    newest = {one.workflow: one for one in found if one.workflow != "nightly" and not _idle(one)}
    bad = [one for one in newest.values() if one.phase in BROKEN]
    return "".join(f"; {one.workflow} failed last ({one.run})" for one in bad)


def _reason(record: RunRecord) -> str | None:
    """Why a run ended badly, in one line: its own reason, else its first failed node's."""
    bad = {str(Phase.FAILED), str(Phase.ERROR)}
    leaves = [line for line in record.nodes.values() if line.get("leaf")]
    told = [f"{line['node']}: {_why(line)}" for line in leaves if line.get("phase") in bad]
    found = told[0] if told and record.phase in bad else record.end.get("reason")
    return " ".join(str(found).split()) if found else None


def _why(line: Json) -> str:
    """A node that was killed leaves no word, but a code."""
    return str(line.get("reason") or f"it failed without a word (exit code {line['exit_code']})")


def _say(found: list[RunRecord], missing: list[str], after: str, now: datetime) -> None:
    if sys.stderr.isatty() and found:
        _table(found, now)
    else:
        for record in found:
            took = record.end.get("seconds")
            length = clock_text(took) if took is not None else ""
            day = _day(record) or ""
            sys.stderr.write(f"{record.run:<38}  {day:<10}  {_ended_as(record):<15}  {length}\n")
    for record in found:
        if why := _reason(record):
            sys.stderr.write(f"  {record.run}: {why}\n")
    told = f"missing: {', '.join(missing)}; run: {after}" if missing else "no night is missing"
    sys.stderr.write(told + _failed_last(found) + "\n")


def _table(found: list[RunRecord], now: datetime) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "run", "session", "ended as"):
        table.add_column(name, no_wrap=True)
    for name in ("took", "ago"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in found:
        sign, style = SIGNS.get(record.phase, ("✗" if record.phase == "Lost" else "▸", "yellow"))
        took = record.end.get("seconds")
        ago = clock_text((now - datetime.fromisoformat(record.head["at"])).total_seconds())
        length = clock_text(took) if took is not None else ""
        day = _day(record) or ""
        table.add_row(f"[{style}]{sign}[/]", record.run, day, _ended_as(record), length, ago)
    console().print(table)


STEP = Step(
    effect="pure",
    summary="What ran last, what is missing, and the command to run next.",
    arguments=arguments,
    run=run,
    outputs={
        "source": "of the root's pulls, once there was one",
        "simulated": "whether its rows are simulated",
        "profile": "of its last run",
        "runs": "the last runs",
        "missing": "what is not done",
        "next": "a command",
        "source_end": "the last session with prices of a file, or pulled of a simulator",
        "executor": "mode, account, session, positions, protection, halts, kill; or why none told",
    },
    settings=("api_url", "workflows_dir", "usual_source", "sim_url"),
)
