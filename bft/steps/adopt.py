"""Aliases that a person moved in MLflow are requests: `bft promote --from-mlflow`.

The set asked for passes the mode's gates, approvals and the same transaction, or the aliases are
put back and the reasons stand in the version's tag.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bft.domain.errors import DataError, RefusedError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json, ModelVersion
from bft.models.model_set import Entry, read_set
from bft.ports import Ports, Summary, Tick
from bft.steps import gate, promote, registry
from bft.steps.lacking import need

REASON, REFUSED = "bft.reason", "bft.refused"
ACTOR = "mlflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Versions that were given the alias `production`, and the nine entries that would mean."""

    versions: tuple[ModelVersion, ...]
    entries: Mapping[str, Entry]


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Gate and promote what was asked for, or put the aliases back.

    Raises:
        StaleDataError: no gold of asof; the request stays.
        UnavailableError: MLflow, the root or the state does not answer; the request stays.
        ConfigError: the policy or its gates cannot be read; likewise.
    """
    found = registry.requests(ports)
    if not found:
        return Summary(values={"status": "not_promoted", "reasons": ["no request in MLflow"]})
    need(ports, "gold", args.asof)  # a wrong day refuses no request
    asked = [_version(ports, name, version) for name, version in sorted(found.items())]
    mine = argparse.Namespace(**vars(args) | {"actor": ACTOR, "approve": False})
    mine.reason = next((v.tags[REASON] for v in asked if v.tags.get(REASON)), args.reason)
    try:
        summary = _decided(ports, mine, _request(ports, asked), tick)
    except (DataError, RefusedError) as error:
        summary = Summary(values={"status": "not_promoted", "reasons": [str(error)]}, exit_code=0)
    if args.dry_run:
        return summary
    if summary.values["status"] != "promoted":
        _put_back(ports, asked, summary.values)
    return summary


def _decided(ports: Ports, args: argparse.Namespace, request: Request, tick: Tick) -> Summary:
    policy = promote.read_policy(args)
    gates = ",".join(policy["gates"][0])
    case = gate.case_of(ports, args, gates=gates, candidates=request.entries)
    report, entries = gate.judge(ports, case, tick)
    taken = {entry.name: entry.digest for entry in entries}
    other = [name for name, entry in request.entries.items() if taken[name] != entry.digest]
    if other:
        rows = [row for row in report["rules"] if row["model"] in other]
        why = [f"{r['model']} {r['id']}: {r['reason']}" for r in rows if r["verdict"] == "fail"]
        return Summary(values={"status": "not_promoted", "reasons": why or other})
    digest = None if args.dry_run else gate.publish(ports, case, report, entries)[1]
    return promote.promote(ports, args, digest, report)


def _version(ports: Ports, name: str, version: str) -> ModelVersion:
    for one in ports.tracker.versions(name):
        if one.version == version:
            return one
    raise DataError(f"{name} version {version} has an alias, but is deleted")


def _request(ports: Ports, asked: list[ModelVersion]) -> Request:
    """A set asked for stands alone; single names replace their entry in the set in production.

    Raises:
        DataError: a version without digest, or nothing in production to replace entries of.
    """
    bare = [v for v in asked if "digest" not in v.tags]
    if bare:
        raise DataError(f"{bare[0].name} version {bare[0].version} is none of bft's: no digest")
    whole = [v for v in asked if v.name == registry.SET_MODEL]
    if whole:
        entries = read_set(ports.store, whole[0].tags["digest"]).entries
        return Request(versions=tuple(asked), entries={e.name: e for e in entries if e.digest})
    _, current = registry.production(ports)
    if current is None:
        raise DataError("no set is in production; its first one comes from: bft gate, bft promote")
    by_name = {v.name: v for v in asked}
    entries = tuple(
        _replaced(ports, current.entry(name), by_name.get(registry.model_name(name)))
        for name in MODEL_NAMES
    )
    return Request(versions=tuple(asked), entries={e.name: e for e in entries if e.digest})


def _replaced(ports: Ports, entry: Entry, version: ModelVersion | None) -> Entry:
    if version is None:
        return entry
    digest = version.tags["digest"]
    about = json.loads(ports.store.get(f"models/{digest}/model.json"))
    end = about["split"]["train_end"]
    return replace(entry, version=version.version, digest=digest, train_end=end, origin="candidate")


def _put_back(ports: Ports, asked: list[ModelVersion], values: Json) -> None:
    why = "; ".join(values.get("reasons") or [values["status"]])
    for version in asked:
        ports.tracker.tag_version(version.name, version.version, REFUSED, why[:5000])
    registry.mirror(ports)
