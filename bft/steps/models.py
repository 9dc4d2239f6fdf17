"""What is in production, what is missing, what a person asked for in MLflow."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime

from bft.domain import origin
from bft.domain.errors import BftError, DataError, UsageError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.models import audit
from bft.models.model_set import EXPIRES_DAYS, Entry, ModelSet, age_days, read_set
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps import registry
from bft.steps.arguments import NEWEST, add_asof
from bft.steps.held_back import held_back, newest_gate, verdicts
from bft.steps.lacking import need_root
from bft.steps.record import digest_of, execute, run_instant


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft models`."""
    add_asof(parser, default=NEWEST)
    parser.add_argument("show", nargs="*", metavar="show NAME", help="the card of a model")
    parser.add_argument("--version", help="of the model shown (the one in production)")
    parser.add_argument("--alias", default="production", help="production or previous")
    parser.add_argument("--at", metavar="INSTANT", help="what was in production then (ISO)")
    parser.add_argument("--verify", action="store_true", help="check the audit chain")
    parser.add_argument("--repair", action="store_true", help="mirror aliases to MLflow again")
    parser.add_argument("--diff", nargs=2, metavar=("A", "B"), help="compare two sets")


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str] | None:
    """Pointer, artifacts, aliases and requests, and the day that ages are measured on."""
    if args.show or args.diff or args.at or args.verify or args.repair:
        return None
    pointer = ports.state.pointer(args.alias)
    return {
        "artifacts": digest_of(_artifacts(ports.store, pointer.set_digest)),
        "pointer": f"{pointer.revision} {pointer.audit_seq} {pointer.set_digest}",
        "aliases": digest_of(registry.aliases(ports)),
        "mlflow": " ".join(_request(ports)),
        "gate": digest_of(newest_gate(ports.store, args.asof)),
        "day": str(run_instant(ports, args.asof).date()),
    }


def _artifacts(store: Store, digest: str | None) -> list[str | None]:
    """What rows are read from: a model whose files are gone is missing."""
    entries = read_set(store, digest).entries if digest else ()
    files = ("model.json", "evaluation.json")
    return [store.digest(f"models/{e.digest}/{file}") for e in entries for file in files]


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Tell what the registry holds.

    Raises:
        DataError: no root, the audit chain is broken (`--verify`), a set or card is absent.
        UnavailableError: MLflow does not answer (`--repair`).
        RefusedError: another process mirrors (`--repair`).
    """
    need_root(ports)
    if args.show:
        return Summary(values=_card(ports, args))
    if args.diff:
        return Summary(values={"diff": _difference(ports.store, *args.diff)})
    if args.repair:
        registry.mirror(ports)
    instant = run_instant(ports, args.asof)
    pointer = ports.state.pointer(args.alias)
    digest = _digest_at(ports, args.at) if args.at else pointer.set_digest
    found = read_set(ports.store, digest) if digest else None
    rows = [_row(ports.store, entry, instant) for entry in (found.entries if found else ())]
    missing = _missing(rows)
    request, waits = _request(ports)
    values = {
        "alias": args.alias,
        "set_digest": digest,
        "paper_only": found.paper_only if found else None,
        "aliases": registry.aliases(ports),
        "revision": pointer.revision,
        "models": rows,
        "profiles": sorted({row["profile"] for row in rows if row["profile"]}),
        "held_back": held_back(newest_gate(ports.store, args.asof)),
        "audit": _audit(ports, verify=args.verify),
        "missing": ["all"] if len(missing) == len(MODEL_NAMES) else missing,
        "missing_count": len(missing),
        "note": _aged(ports, rows, instant),
        "mlflow_request": request,
        "mlflow": waits,
    }
    return Summary(values=values, rows=len(rows))


def remember(ports: Ports, asof: date) -> None:
    """After a move: leave the answer of `bft models`, so that a re-run night finds it finished."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    args = parser.parse_args([])
    args.asof = asof
    with suppress(BftError):  # the move stands; the next night asks by itself
        execute(ports, "models", STEP, args, lambda *_: None)


def _digest_at(ports: Ports, text: str) -> str | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text}: an instant such as 2025-01-06T21:00:00+00:00") from None
    if at.tzinfo is None:
        raise UsageError(f"--at {text}: add its zone, as {text}+00:00")
    row = audit.in_production(ports.state.audit(), at=at)
    return row["to"] if row else None


def _row(store: Store, entry: Entry, instant: datetime) -> Json:
    row: Json = {"name": entry.name, "version": entry.version, "digest": entry.digest}
    row |= {"age_days": None, "rank_ic": None, "origin": entry.origin, "profile": None}
    folder = f"models/{entry.digest}"
    if entry.digest is None or store.digest(f"{folder}/model.json") is None:
        return row
    row["profile"] = origin.profile_of(store, entry.digest)
    row["age_days"] = age_days(store, entry.digest, at=instant)
    if store.digest(f"{folder}/evaluation.json") is not None:
        metrics = json.loads(store.get(f"{folder}/evaluation.json"))["metrics"]
        row["rank_ic"] = metrics.get("rank_ic")
    return row


def _missing(rows: list[Json]) -> list[str]:
    """Names without an entry that `predict` would use."""
    usable = {
        row["name"]
        for row in rows
        if row["age_days"] is not None and row["age_days"] <= EXPIRES_DAYS
    }
    return [name for name in MODEL_NAMES if name not in usable]


def _aged(ports: Ports, rows: list[Json], instant: datetime) -> str | None:
    """Why models that are there count as missing: their age today; None: no such ones."""
    ages = [row["age_days"] for row in rows if row["age_days"] is not None]
    old = [age for age in ages if age > EXPIRES_DAYS]
    if not old:
        return None
    gold = ports.store.manifest("gold")
    night = gold.asof if gold and gold.asof < instant.date() else None
    judged = f"; as of the newest night: bft models --asof {night}" if night else ""
    return (
        f"the set exists, but {len(old)} of its {len(ages)} models are over {EXPIRES_DAYS} days "
        f"old on {instant.date()} (the oldest {max(old)}), so they count as missing{judged}"
    )


def _request(ports: Ports) -> tuple[str, str]:
    """Aliases a person moved in MLflow, as name:version, and how MLflow is."""
    try:
        found = registry.requests(ports)
    except BftError as error:
        return "none", str(error)
    return ",".join(f"{name}:{version}" for name, version in sorted(found.items())) or "none", "ok"


def _audit(ports: Ports, *, verify: bool) -> Json:
    rows = ports.state.audit()
    if verify:
        fault = registry.chain_fault(ports)
        if fault:
            raise DataError(f"{fault}; restore the state database from a backup")
    return {"rows": len(rows), "verified": verify, "last": rows[-1] if rows else None}


def _difference(store: Store, a: str, b: str) -> list[Json]:
    first, second = read_set(store, a), read_set(store, b)
    return [
        {"name": name, "a": _brief(first, name), "b": _brief(second, name)}
        for name in MODEL_NAMES
        if first.entry(name).digest != second.entry(name).digest
    ]


def _brief(found: ModelSet, name: str) -> Json:
    entry = found.entry(name)
    return {"version": entry.version, "digest": entry.digest, "train_end": entry.train_end}


def _card(ports: Ports, args: argparse.Namespace) -> Json:
    name = args.show[-1]
    if args.show[0] != "show" or len(args.show) != 2 or name not in MODEL_NAMES:
        raise UsageError(f"bft models show NAME, one of {', '.join(MODEL_NAMES)}")
    version, digest = _version(ports, name, args)
    text = ports.store.get(f"models/{digest}/card.md").decode()
    gate = newest_gate(ports.store, args.asof)
    if gate and name in verdicts(gate):
        text += f"\n## Gate\n\nThe newest model of this name: {verdicts(gate)[name]}.\n"
    # A model that was trained while MLflow was away bears no version yet.
    told = {"version": version} if version else {}
    return {"name": name, **told, "digest": digest, "card": text}


def _version(ports: Ports, name: str, args: argparse.Namespace) -> tuple[str | None, str]:
    """Version and digest of the model to show: of `--version`, in production, newest trained."""
    if args.version is not None:
        for one in ports.tracker.versions(registry.model_name(name)):
            if one.version == args.version:
                return one.version, one.tags["digest"]
        raise DataError(f"{name} has no version {args.version}; see: bft models")
    _, current = registry.production(ports)
    entry = current.entry(name) if current else None
    if entry and entry.digest:
        return entry.version, entry.digest
    row = registry.candidates(ports.store).get(name)
    if row is None:
        raise DataError(f"{name} was never trained; run: bft train {name} --asof {args.asof}")
    return row["version"], str(row["digest"])


STEP = Step(
    effect="pure",
    summary="what is in production, what is missing, what was asked for in MLflow",
    arguments=arguments,
    run=run,
    reads_newest=lambda _a: True,
    inputs=inputs,
    reads=("sets", "models", "model_pointer", "audit"),
    writes=("exports",),
    outputs={
        "profiles": "that the set's models were trained by",
        "missing": "JSON list of names to train; all nine: all",
        "held_back": "newest models that the gate did not let in, and why",
        "missing_count": "how many of the nine are missing",
        "note": "why models that are there count as missing, if so",
        "mlflow_request": "aliases moved by hand in MLflow, or none",
    },
    code=("models", "steps.models", "steps.registry", "steps.held_back"),
)
