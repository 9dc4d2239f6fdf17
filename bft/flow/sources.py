"""Source and profile of a run: named, the root's own, set up, or the file's default."""

import argparse
import shlex
from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bft.domain import origin, sessions
from bft.domain.errors import ConfigError, UsageError
from bft.flow.context import last_name
from bft.flow.due import NIGHTS
from bft.flow.parameters import Given
from bft.flow.spec import Workflow
from bft.flow.state import runs
from bft.ports import Ports, RunRequest

MAP = "bft-workflow"
PROFILE = "model-profile"


def chosen(
    ports: Ports, args: argparse.Namespace, workflow: Workflow, given: Given
) -> dict[str, str]:
    """The parameter `source` of a run, where its workflow has one; none: the file's default.

    Raises:
        ConfigError: it is simulated and the root holds real rows, or the reverse.
    """
    if all(parameter.name != "source" for parameter in workflow.parameters):
        return {"source": args.source} if args.source else {}
    mapped: Mapping[str, str] = given.maps.get(MAP, {})
    named = args.source or given.values.get("source") or mapped.get("source")
    held = origin.remembered(ports.store)
    if named and held:
        root = args.root or "./data"
        held.check(simulated=origin.is_simulated(named), spec=named, root=root)
    usual = next(p.default or p.value for p in workflow.parameters if p.name == "source")
    before = "" if held else tried(ports).get("source")
    before = "" if before == usual else before  # then the environment's own counts
    spec = named or (held.spec(Path.cwd()) if held else before or args.usual_source)
    return {"source": spec} if spec else {}


def tried(ports: Ports) -> dict[str, str]:
    """What the newest run with a source was given, and `run`, its id; nothing without one.

    A root whose first night failed before its pull remembers no source; its runs do.
    """
    found = [] if "://" in ports.store.root else runs(Path(ports.store.root))
    given = [one for one in found if one.head.get("values", {}).get("source")]
    return placed(given[-1].head) | {"run": given[-1].run} if given else {}


def placed(head: Mapping[str, Any]) -> dict[str, str]:
    """Values of an earlier run, of its first line, as a call from this folder must give them."""
    values, folder = dict(head.get("values", {})), head.get("folder")
    if folder and values.get("source"):
        made = origin.origin_of(values["source"], Path(folder), simulated=False)
        values["source"] = made.spec(Path.cwd())
    if folder and values.get(PROFILE):
        values[PROFILE] = origin.training_of(values[PROFILE], Path(folder)).spec(Path.cwd())
    return values


def dated(
    ports: Ports, args: argparse.Namespace, workflow: Workflow, plain: Mapping[str, str]
) -> dict[str, str]:
    """The parameter `asof` of a night for which none is named; none: the guard judges the clock.

    A simulator's days are not the calendar's: its root stays at the newest day it was pulled for,
    which is found finished without the simulator, until a later one is named. Before its first
    pull it is the day that was tried.
    """
    simulated = origin.is_simulated(plain.get("source", ""))
    if not simulated or args.at or workflow.name not in NIGHTS:
        return {}
    day = origin.pulled_to(ports.store)
    before = tried(ports)
    same = before.get("source") == plain["source"]
    text = str(day) if day else before.get("asof") if same else ""
    return {"asof": text} if text else {}


def trained_by(
    ports: Ports, args: argparse.Namespace, workflow: Workflow, given: Given
) -> dict[str, str]:
    """The parameter `model-profile` of a run, where its workflow has one; none: the default."""
    mapped: Mapping[str, str] = given.maps.get(MAP, {})
    named = args.profile or given.values.get(PROFILE) or mapped.get(PROFILE)
    held = origin.trained_by(ports.store)
    if named or held is None or all(p.name != PROFILE for p in workflow.parameters):
        return {PROFILE: named} if named else {}
    return {PROFILE: held.spec(Path.cwd())}


def profile_of(ports: Ports, workflow: Workflow) -> str:
    """The profile of a run that names none: the root's own, else the parameter's default."""
    held = origin.trained_by(ports.store)
    usual = next(p.default or p.value for p in workflow.parameters if p.name == PROFILE)
    return held.spec(Path.cwd()) if held else usual or ""


def remember(ports: Ports, values: Mapping[str, str]) -> None:
    """Note the profile of a new run, so that the root's next one need not name it."""
    spec = values.get(PROFILE)
    made, held = (
        origin.training_of(spec, Path.cwd()) if spec else None,
        origin.trained_by(ports.store),
    )
    same_file = made and held and made.path and made.path == held.path
    if made and made != held and not same_file:
        ports.store.put(origin.PROFILE_KEY, origin.encoded(made))


def again(args: argparse.Namespace, workflow: Workflow, before: Mapping[str, str]) -> str:
    """The command of a run without its profile and session, as its caller must type it.

    `before` are the values of the run that it goes on with: a new one must be given them.
    """
    named = [pair for pair in args.param if pair.partition("=")[0] not in {PROFILE, "asof"}]
    usual = {p.name: p.default if p.value is None else p.value for p in workflow.parameters}
    apart = {"source", PROFILE, "asof", "root"}
    kept = {k: text for k, text in before.items() if k not in apart and text != usual.get(k)}
    named += [f"{key}={text}" for key, text in kept.items()]
    words = ["bft", "run", workflow.name, *(w for pair in named for w in ("--param", pair))]
    source = args.source or before.get("source")
    given = {"params": args.params, "source": source, "from": args.start, "jobs": args.jobs}
    given |= {"at": args.at and args.at.isoformat(), "approve": args.approve}
    given |= {"events": args.events, "wait": args.wait or None}
    words += [w for k, v in given.items() if v is not None for w in (f"--{k}", str(v))]
    words += [f"--{key}" for key in ("fresh", "dry-run") if vars(args)[key.replace("-", "_")]]
    return shlex.join(words)


def looked_at(
    workflow: Workflow,
    values: Mapping[str, str],
    *,
    only: str | None,
    finished: Collection[str],
) -> Mapping[str, str]:
    """Values of a run that are worth a look before it.

    What a file holds is looked at for those who train; a source for those who pull. A resumed run
    whose pull is `finished` does neither, nor does a node alone that is given neither.
    """
    used = {key: _given(workflow, key) for key in ("source", PROFILE)}
    over = bool(used["source"] & {last_name(path) for path in finished})
    trains, pulls = (not over and (not only or only in used[key]) for key in (PROFILE, "source"))
    unused = set() if trains else {PROFILE} if pulls else {PROFILE, "source"}
    return {key: text for key, text in values.items() if key not in unused}


def _given(workflow: Workflow, key: str) -> set[str]:
    """Nodes whose command line holds a parameter."""
    word = f"workflow.parameters.{key}}}"
    found = ((name, made.container) for name, made in workflow.templates.items())
    return {name for name, made in found if made and any(word in arg for arg in made.args)}


def told(
    ports: Ports,
    values: Mapping[str, str],
    args: argparse.Namespace,
    *,
    created: datetime,
    again: str,
) -> tuple[str, ...]:
    """Lines for people: what the prices of a run are, and whether they suffice to train.

    `again` is the run's command without its profile and session.

    Raises:
        ConfigError: an unknown profile, key or value; a source that is none, or lacks its key, or
            whose symbols are not the root's (unless `--fresh`).
        DataError: too little to train, or the prices end before the run's session.
        UsageError: the session is no date.
    """
    if "source" not in values:
        return ()
    spec, profile, day = values["source"], values.get(PROFILE), values.get("asof")
    asof = _session(values, created)
    asked = RunRequest(source=spec, profile=profile, asof=asof, again=again, fresh=args.fresh)
    try:
        found = ports.commands.preflight(ports.store.root, asked)
    except ConfigError as error:
        if origin.is_simulated(spec) and not origin.remembered(ports.store):  # a slip of --root?
            root = values.get("root", ports.store.root)
            raise ConfigError(f"root {root} holds nothing yet; {error}") from error
        raise
    before = {} if origin.remembered(ports.store) else tried(ports)
    same = before.get("source") == spec
    since = (f"the source that run {before['run']} was given",) if same else ()
    if origin.is_simulated(spec):
        return (
            f"source: {spec}, SIMULATED prices{_next(ports, day, args.sim_url)}",
            *since,
            *found,
        )
    own = () if any(spec in line for line in found) else (f"source: {spec}",)
    return (*own, *since, *found)


def _session(values: Mapping[str, str], created: datetime) -> date:
    """Session of a run: the one it is given, the last of those to fill, the last one closed."""
    text = values.get("asof") or values.get("to")
    try:
        return date.fromisoformat(text) if text else sessions.last_closed(created)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no date; give it as {sessions.last_closed(created)}"
        ) from error


def _next(ports: Ports, day: str | None, usual: str) -> str:
    """What simulated prices there are, and what to do for others."""
    held = origin.remembered(ports.store)
    if not held:
        return "; your own: --source files:PATH"
    newest = str(origin.pulled_to(ports.store))
    later = f" up to {day}; a later day: {held.simulator(usual)} --today DAY, then --asof DAY"
    return later if day == newest else ""
