"""Put the set before into production, whole, within a second of the command's start."""

import argparse
import json

from bft.domain.errors import RefusedError
from bft.domain.runs import Json
from bft.models import audit
from bft.models.model_set import digest_of
from bft.ports import Ports, Step, Summary, Tick
from bft.steps import models, registry
from bft.steps.arguments import add_asof
from bft.steps.record import run_instant


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft rollback`."""
    add_asof(parser)
    parser.add_argument("--to", metavar="DIGEST", help="a set (the previous one)")
    parser.add_argument(
        "--if-breached", action="store_true", help="only if the day's live gate was breached"
    )
    parser.add_argument("--as", dest="actor", default="bft", help="who does it")
    parser.add_argument("--reason", default="", help="for the audit")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Move the pointer to the set before; the set left needs an approval to return.

    Raises:
        DataError: an artifact of the set is absent or altered.
        RefusedError: never in production, or rolled back; conflict, another move came first.
    """
    now = ports.state.pointer("production")
    to = args.to or ports.state.pointer("previous").set_digest
    why = _nothing(ports, args, now.set_digest, to)
    if why or to is None:
        idle = {"status": "nothing_to_do", "why": why, "from": now.set_digest, "to": None}
        return Summary(values={**idle, "revision": now.revision})
    _check_known(ports, to)
    tick(0, 2, "artifacts")
    registry.intact(ports, to)
    moved, already = registry.move(
        ports,
        registry.Move(
            action="rollback",
            actor=args.actor,
            to=to,
            expected_revision=now.revision,
            key=digest_of(["rollback", now.set_digest, to, now.revision]),
            reason=args.reason,
            at=run_instant(ports, args.asof),
            previous=audit.before(ports.state.audit(), to),
        ),
    )
    tick(1, 2, "mirror")
    values: Json = {
        "status": "rolled_back",
        "from": now.set_digest,
        "to": to,
        "revision": moved.revision,
        "audit_seq": moved.audit_seq,
        "already": already,
        "mirror": registry.after_move(ports),
    }
    models.remember(ports, args.asof)
    return Summary(values=values)


def _check_known(ports: Ports, to: str) -> None:
    """Only what passed its gates once comes back this way; what was demoted needs an approval."""
    if to not in {row["to"] for row in ports.state.audit()}:
        raise RefusedError(f"set {to[:16]} was never in production; run: bft promote --set {to}")
    if registry.demoted(ports, to):
        raise RefusedError(
            f"set {to[:16]} was rolled back; to return it needs an approval: "
            f"bft promote --set {to} --approve --as NAME"
        )


def _nothing(
    ports: Ports, args: argparse.Namespace, current: str | None, to: str | None
) -> str | None:
    """Why there is nothing to do, or None."""
    if args.if_breached:
        live = _live_report(ports, args)
        if not live.get("breached"):
            return "the day's live gate was not breached"
        if live["set_digest"] != current:
            return "the set that was breached is no longer in production"
    if to is None:
        return "no previous set"
    return "it is in production" if to == current else None


def _live_report(ports: Ports, args: argparse.Namespace) -> Json:
    key = registry.live_key(args.asof)
    found: Json = json.loads(ports.store.get(key)) if ports.store.digest(key) else {}
    return found


STEP = Step(
    effect="once",
    summary="put the previous set of models back into production",
    arguments=arguments,
    run=run,
    reads=("sets", "gates"),
    writes=("model_pointer", "audit"),
    outputs={"status": "rolled_back or nothing_to_do", "revision": "of the pointer after it"},
    code=("steps.rollback",),
)
