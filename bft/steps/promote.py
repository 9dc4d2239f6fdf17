"""Move a gated set of models into production."""

import argparse
from datetime import date, datetime, timedelta
from typing import Any

from bft.domain.errors import ConfigError, RefusedError, UsageError
from bft.domain.numbers import COUNT_OR_0
from bft.domain.runs import Json
from bft.models.model_set import digest_of, read_set, report_digest
from bft.ports import Pointer, Ports, Step, Summary, Tick
from bft.steps import lacking, models, registry
from bft.steps.arguments import add_asof
from bft.steps.record import run_instant

APPROVAL_VALID = timedelta(hours=72)
POLICY_SCHEMA = "bft.policy/1"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft promote`."""
    add_asof(parser)
    parser.add_argument("--set", metavar="DIGEST", help="a gated set (the newest of the day)")
    parser.add_argument("--expect", type=COUNT_OR_0, metavar="REV", help="revision (the report's)")
    parser.add_argument("--from-mlflow", action="store_true", help="adopt aliases moved by hand")
    parser.add_argument("--approve", action="store_true", help="approve the report first")
    parser.add_argument("--as", dest="actor", help="who approves or promotes")
    parser.add_argument("--reason", default="", help="for the audit")
    parser.add_argument(
        "--accept-inconclusive", action="store_true", help="take an undecided set, approved"
    )
    parser.add_argument("--dry-run", action="store_true", help="check, move nothing")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Check policy and approvals, then compare-and-set the pointer.

    Raises:
        DataError: no gate report, or an artifact is absent or altered.
    """
    if args.approve and not args.actor:
        raise UsageError("--approve needs --as NAME; see: bft promote --help")
    if args.from_mlflow:
        from bft.steps import adopt

        return adopt.run(ports, args, tick)
    tick(0, 2, "report")
    newest = _newest_report(ports, args.asof) if args.set is None else {}
    digest = args.set or newest["set_digest"]
    found = read_set(ports.store, digest).gate_report_digest if digest else newest["report_digest"]
    return promote(ports, args, digest, registry.read_report(ports.store, found))


def _newest_report(ports: Ports, asof: date) -> Json:
    if found := registry.newest_report(ports.store, str(asof)):
        return found
    raise lacking.unjudged(ports, asof)


def promote(ports: Ports, args: argparse.Namespace, digest: str | None, report: Json) -> Summary:
    """Promote the set that a report proposed; `digest` None where it proposed none."""
    policy = read_policy(args)
    if args.approve:
        ports.state.approve(report_digest(report), actor=args.actor, at=ports.clock.now())
    pointer = ports.state.pointer("production")
    there = {"from": pointer.set_digest, "to": digest, "revision": pointer.revision}
    here = digest is not None and digest == pointer.set_digest
    if here and not args.dry_run:
        return _promoted(ports, args.asof, there, pointer, already=True)
    reasons = [] if here else blocked(ports, args, policy, digest, report)
    if reasons or digest is None or args.dry_run:
        why = reasons or ["dry_run"]
        return Summary(values={"status": "not_promoted", "reasons": why, **there})
    given = approvals(ports, report_digest(report))
    missing = needed(ports, args, policy, digest, report) - len(given)
    if missing > 0:
        return _awaiting(args, missing, there)
    registry.intact(ports, digest)
    try:
        moved, already = _move(ports, args, digest, report, given)
    except RefusedError as error:
        values = {"status": "conflict", **there, "expected": _expected(args, report)}
        return Summary(values=values, exit_code=error.exit_code, error=str(error))
    return _promoted(ports, args.asof, there, moved, already=already)


def done(ports: Ports, args: argparse.Namespace) -> Json | None:
    """What the day's promotion came to, where its models are those in production."""
    asked = (args.set, args.from_mlflow, args.approve, args.accept_inconclusive, args.dry_run)
    _, current = registry.production(ports)
    if any(asked) or args.expect is not None or current is None:
        return None
    digest = _newest_report(ports, args.asof)["set_digest"]
    if digest is None or read_set(ports.store, digest).digests() != current.digests():
        return None
    return {"status": "not_promoted", "reasons": ["unchanged"]}


def read_policy(args: argparse.Namespace) -> Json:
    """What promotion asks for in this mode.

    Raises:
        ConfigError: no such mode in policy.yaml.
    """
    file = registry.data_folder(args.gates_dir, "gates") / "policy.yaml"
    body = registry.read_yaml(file)
    if (
        not isinstance(body, dict)
        or body.get("schema") != POLICY_SCHEMA
        or args.trading_mode not in body
    ):
        raise ConfigError(f"{file}: no policy ({POLICY_SCHEMA}) for mode {args.trading_mode}")
    policy: Json = body[args.trading_mode]
    return policy


def blocked(
    ports: Ports, args: argparse.Namespace, policy: Json, digest: str | None, report: Json
) -> list[str]:
    """Why a report does not allow its set into production."""
    reasons = []
    accepted = {"pass", "inconclusive"} if args.accept_inconclusive else {"pass"}
    if digest is None or report["verdict"] not in accepted:
        rows = [row for row in report["rules"] if row["verdict"] in {"fail", "inconclusive"}]
        named = [f"{row['model'] or 'set'} {row['id']}: {row['reason']}" for row in rows]
        reasons += [f"gate {report['verdict']}", *named]
    passed = set(report["gates"].split(","))
    if not any(set(wanted) <= passed for wanted in policy["gates"]):
        reasons.append(
            f"mode {args.trading_mode} asks for gates {policy['gates']}, passed {report['gates']}"
        )
    _, current = registry.production(ports)
    if digest and current and read_set(ports.store, digest).digests() == current.digests():
        reasons.append("unchanged")
    return reasons


def needed(ports: Ports, args: argparse.Namespace, policy: Json, digest: str, report: Json) -> int:
    """Distinct approvals that are asked for."""
    undecided = report["verdict"] == "inconclusive"
    returning = registry.demoted(ports, digest)
    return max(int(policy["approvals"]), int(undecided or returning))


def approvals(ports: Ports, judged: str) -> list[str]:
    """Actors whose approval of a report still counts."""
    since = ports.clock.now() - APPROVAL_VALID
    rows = ports.state.approvals(judged)
    return sorted({row["actor"] for row in rows if datetime.fromisoformat(row["at"]) >= since})


def _awaiting(args: argparse.Namespace, missing: int, there: Json) -> Summary:
    text = f"{missing} approval missing; run: bft promote --asof {args.asof} --approve --as NAME"
    values = {"status": "awaiting_approval", "missing_approvals": missing, **there}
    if args.approve:
        return Summary(values=values)
    return Summary(values=values, exit_code=RefusedError.exit_code, error=text)


def _expected(args: argparse.Namespace, report: Json) -> int:
    return int(report["revision"] if args.expect is None else args.expect)


def _move(
    ports: Ports, args: argparse.Namespace, digest: str, report: Json, given: list[str]
) -> tuple[Pointer, bool]:
    expected, judged = _expected(args, report), report_digest(report)
    moved, already = registry.move(
        ports,
        registry.Move(
            action="promote",
            actor=args.actor or "bft",
            to=digest,
            expected_revision=expected,
            key=digest_of([digest, expected, judged]),
            reason=args.reason,
            at=run_instant(ports, args.asof),
            report_digest=judged,
            verdicts={report["gates"]: report["verdict"]},
            approvals=given,
        ),
    )
    now = ports.state.pointer("production")
    if already and now.set_digest != digest:  # a later move undid it
        raise RefusedError(
            f"conflict: production is at revision {now.revision}, this promotion was made at "
            f"{moved.revision} and another move followed; give --expect {now.revision}"
        )
    return moved, already


def _promoted(ports: Ports, asof: date, there: Json, moved: Pointer, *, already: bool) -> Summary:
    values: dict[str, Any] = {
        "status": "promoted",
        **there,
        "revision": moved.revision,
        "audit_seq": moved.audit_seq,
        "already": already,
        "mirror": registry.after_move(ports),
    }
    models.remember(ports, asof)
    return Summary(values=values)


STEP = Step(
    effect="once",
    summary="move a gated set of models into production",
    arguments=arguments,
    run=run,
    done=done,
    reads=("sets", "gates"),
    writes=("model_pointer", "audit"),
    outputs={
        "status": "promoted, not_promoted, awaiting_approval or conflict",
        "revision": "of the pointer after it",
    },
    settings=("trading_mode", "gates_dir"),
    code=("steps.promote",),
)
