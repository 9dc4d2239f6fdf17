"""Judge the newest trained models and propose a set of nine."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.models.model_set import (
    ABSENT_AT_MOST,
    Entry,
    ModelSet,
    age_days,
    digest_of,
    read_set,
    report_digest,
    write_set,
)
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps import registry, training
from bft.steps.arguments import add_asof
from bft.steps.held_back import GATE_TAG, held_back, verdicts
from bft.steps.lacking import need
from bft.steps.record import run_instant, table_digests

if TYPE_CHECKING:
    from bft.models.gates import Evidence, Profile, Reading
    from bft.models.proposal import Choice, Standing

PASS, FAIL, UNKNOWN, MISSING = 0, 1, 2, 3  # --contract-exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is judged: candidates against production, by a profile, at an instant."""

    asof: str
    instant: datetime
    profile: "Profile"
    candidates: Mapping[str, Entry]
    revision: int
    production: str | None
    incumbents: ModelSet | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft gate`."""
    add_asof(parser)
    parser.add_argument("--gates", default="paper", help="gates file or files, with commas")
    parser.add_argument("--set", metavar="DIGEST", help="judge this set's models instead")
    parser.add_argument("--live", action="store_true", help="judge production by its outcomes")
    parser.add_argument("--dry-run", action="store_true", help="show every rule, write nothing")
    parser.add_argument(
        "--contract-exit", action="store_true", help="exit 0 pass, 1 fail, 2 unknown, 3 missing"
    )


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str] | None:
    """Candidates, production, gates, prices and the day's date decide a report."""
    if args.dry_run or args.contract_exit:
        return None
    day = str(run_instant(ports, args.asof).date())
    if args.live:
        pointer = ports.state.pointer("production")
        production = f"{pointer.revision} {pointer.audit_seq} {pointer.set_digest}"
        tables = table_digests(ports.store, ("forecasts", "outcomes", "gold", "macro"), args)
        return {**tables, "production": production, "day": day}
    keys = [f"candidates/{name}.json" for name in MODEL_NAMES]
    folder = registry.data_folder(args.gates_dir, "gates")
    files = [folder / f"{name}.yaml" for name in names_of(args.gates)]
    texts = [file.read_text(encoding="utf-8") if file.exists() else "" for file in files]
    newest = ports.store.manifest("gold")
    tables = table_digests(ports.store, ("gold", "macro"), args)
    return {key: ports.store.digest(key) or "absent" for key in keys} | {
        **tables,
        "newest_gold": str(newest.asof) if newest else "absent",
        "production": _production(ports, args.asof),
        "gates": digest_of(texts),
        "day": day,
    }


def _production(ports: Ports, asof: date) -> str:
    """Production as reports of asof found it, where one of them alone has moved it.

    What it proposed is in production then; to judge the same again would only find `unchanged`.
    """
    pointer, rows = ports.state.pointer("production"), ports.state.audit()
    last = rows[-1] if rows else None
    own = last is not None and last["action"] == "promote" and last["seq"] == pointer.audit_seq
    if last is None or not own or not _stands(ports.store, asof, last):
        return f"{pointer.revision} {pointer.audit_seq} {pointer.set_digest}"
    return f"{last['revision'] - 1} {last['seq'] - 1} {last['from']}"


def _stands(store: Store, asof: date, promotion: Json) -> bool:
    """Whether the newest report of asof is the promoted one, or one of asof judged since.

    The latter is what a run of other candidates leaves: its inputs are the same before and after.
    """
    newest = f"gates/asof={asof}/newest.json"
    if store.digest(newest) is None:
        return False
    digest, promoted = json.loads(store.get(newest))["report_digest"], promotion["report_digest"]
    if digest == promoted:
        return True
    first, last = (json.loads(store.get(f"gates/{one}.json")) for one in (promoted, digest))
    return bool(first["asof"] == str(asof) and last["revision"] == promotion["revision"])


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Evaluate every rule, propose a set, store set and report.

    Raises:
        StaleDataError: no gold of asof: nothing that day could be judged by.
        DataError: nothing was trained.
        ConfigError: an unknown gates file, key, metric or kind.
    """
    need(ports, "gold", args.asof)
    if args.live:
        from bft.steps import live_gate

        return live_gate.run(ports, args, tick)
    case = case_of(ports, args, gates=args.gates, candidates=_candidates(ports, args))
    report, entries = judge(ports, case, tick)
    objects, set_digest = ({}, None) if args.dry_run else publish(ports, case, report, entries)
    values = {
        "verdict": report["verdict"],
        "set_digest": set_digest,
        "report_digest": report_digest(report),
        "gates": report["gates"],
        "models": report["models"],
        "rules": report["rules"],
        "revision": report["revision"],
        "paper_only": report["paper_only"],
    }
    if not args.dry_run:
        values["held_back"] = held_back(report)
        values["mlflow"] = registry.tag_candidates(ports, GATE_TAG, verdicts(report))
    code = _contract_exit(report) if args.contract_exit else PASS
    return Summary(values=values, rows=len(report["rules"]), objects=objects, exit_code=code)


def names_of(gates: str) -> list[str]:
    """Profile names of `--gates`."""
    return [name.strip() for name in gates.split(",")]


def case_of(
    ports: Ports, args: argparse.Namespace, *, gates: str, candidates: Mapping[str, Entry]
) -> Case:
    """What is to be judged.

    Raises:
        DataError: no candidate, and nothing in production.
    """
    from bft.models import gates as rules
    from bft.models import proposal

    folder = registry.data_folder(args.gates_dir, "gates")
    files = [folder / f"{name}.yaml" for name in names_of(gates)]
    loaded = [rules.load(registry.read_yaml(file), source=file.name) for file in files]
    pointer, incumbents = registry.production(ports)
    if not candidates and incumbents is None:
        raise DataError(f"no model is trained; run: bft train all --asof {args.asof}")
    return Case(
        asof=str(args.asof),
        instant=run_instant(ports, args.asof),
        profile=proposal.combined(loaded),
        candidates=candidates,
        revision=pointer.revision,
        production=pointer.set_digest,
        incumbents=incumbents,
    )


def judge(ports: Ports, case: Case, tick: Tick) -> tuple[Json, tuple[Entry, ...]]:
    """The gate report and the nine entries proposed."""
    from bft.models import proposal
    from bft.models.gates import judge_set

    choices: dict[str, Choice] = {}
    for place, name in enumerate(MODEL_NAMES):
        tick(place, len(MODEL_NAMES), name)
        choices[name] = proposal.choose(case.profile, _standing(ports, case, name))
    entries = tuple(choices[name].entry for name in MODEL_NAMES)
    rows = [row for choice in choices.values() for row in choice.judgements]
    rows += proposal.no_model_rows(case.profile, choices)
    of_set = judge_set(case.profile, _set_evidence(ports, case, entries))
    report = {
        "schema": "bft.gate_report/1",
        "asof": case.asof,
        "gates": case.profile.profile,
        "verdict": proposal.set_verdict(case.profile, choices, of_set),
        "revision": case.revision,
        "production": case.production,
        "paper_only": "nightly" not in names_of(case.profile.profile),
        "models": [proposal.as_json(choices[name]) for name in MODEL_NAMES],
        "rules": [asdict(row) for row in [*rows, *of_set]],
    }
    return json.loads(json.dumps(report)), entries


def publish(
    ports: Ports, case: Case, report: Json, entries: tuple[Entry, ...]
) -> tuple[dict[str, str], str | None]:
    """Store the report, and the set it proposes if it has models enough; their digests."""
    set_digest = None
    objects: dict[str, str] = {}
    if sum(entry.digest is None for entry in entries) <= ABSENT_AT_MOST:
        about = json.loads(ports.store.get(f"models/{_any(entries)}/model.json"))
        set_digest = write_set(
            ports.store,
            ModelSet(
                created_utc=case.instant.isoformat(),
                asof=case.asof,
                entries=entries,
                feature_set=about["feature_set"]["id"],
                gate_report_digest=report_digest(report),
                paper_only=report["paper_only"],
            ),
        )
        objects[f"sets/{set_digest}.json"] = set_digest
    return objects | registry.put_report(ports.store, case.asof, report, set_digest), set_digest


def _any(entries: tuple[Entry, ...]) -> str:
    return next(entry.digest for entry in entries if entry.digest)


def _candidates(ports: Ports, args: argparse.Namespace) -> dict[str, Entry]:
    if args.set:
        entries = read_set(ports.store, args.set).entries
        return {entry.name: entry for entry in entries if entry.digest}
    return {
        name: registry.entry_of(name, row, origin="candidate")
        for name, row in registry.candidates(ports.store).items()
    }


def _standing(ports: Ports, case: Case, name: str) -> "Standing":
    from bft.models.proposal import Standing, needs_evidence

    incumbent = case.incumbents.entry(name) if case.incumbents else None
    one = Standing(
        name=name,
        candidate=case.candidates.get(name),
        incumbent=incumbent,
        incumbent_age_days=_age(ports.store, incumbent, case.instant),
    )
    if one.candidate is None or not needs_evidence(case.profile, one):
        return one
    return replace(one, evidence=_evidence(ports, case, one, one.candidate.digest or ""))


def _age(store: Store, entry: Entry | None, instant: datetime) -> int | None:
    if entry is None or entry.digest is None:
        return None
    there = store.digest(f"models/{entry.digest}/model.json") is not None
    return age_days(store, entry.digest, at=instant) if there else None


def _evidence(ports: Ports, case: Case, one: "Standing", digest: str) -> "Evidence":
    from bft.models import gate_evidence
    from bft.models.gates import Evidence

    mine = _json(ports.store, digest, "evaluation.json")
    theirs, after = None, 0
    if one.incumbent and one.incumbent.digest and not one.same:
        theirs = _json(ports.store, one.incumbent.digest, "evaluation.json")
        after = _judged_after(_json(ports.store, one.incumbent.digest, "model.json"))
    folder = ports.store.path(f"models/{digest}")
    return Evidence(
        readings={
            **gate_evidence.evaluation_readings(mine),
            **gate_evidence.artifact_readings(folder, digest),
            **_ages(ports, case, digest),
        },
        pairs=gate_evidence.pairs(case.profile, mine, incumbent=theirs, after=after),
        unpaired="same_model" if one.same else "no_incumbent",
    )


def _judged_after(about: Json) -> int:
    """Last session that validation labels of a model reach."""
    valid_end = date.fromisoformat(about["split"]["valid"][-1][-1])
    return sessions.number(valid_end) + int(about["split"]["purge"])


def _ages(ports: Ports, case: Case, digest: str) -> "dict[str, Reading]":
    from bft.models.gates import Reading

    newest = sessions.number(sessions.last_closed(case.instant))
    gold = ports.store.manifest("gold")
    gold_age = newest - sessions.number(gold.asof) if gold else None
    return {
        "artifact_age_days": Reading(value=age_days(ports.store, digest, at=case.instant)),
        "gold_age_sessions": Reading(value=gold_age),
    }


def _json(store: Store, digest: str, name: str) -> Json:
    found: Json = json.loads(store.get(f"models/{digest}/{name}"))
    return found


def _set_evidence(ports: Ports, case: Case, entries: tuple[Entry, ...]) -> "Evidence":
    from bft.models.gates import Evidence

    if not any(rule.scope == "set" for rule in case.profile.rules):
        return Evidence(readings={})
    from bft.dataset.arrays import open_arrays
    from bft.models import set_evidence

    before = case.incumbents.entries if case.incumbents else ()
    ends = [
        _judged_after(_json(ports.store, entry.digest, "model.json"))
        for entry in before
        if entry.digest
    ]
    return set_evidence.evidence(
        case.profile,
        _folders(ports.store, entries),
        _folders(ports.store, before),
        open_arrays(training.arrays_folder(ports, date.fromisoformat(case.asof))),
        after=max(ends, default=0),
    )


def _folders(store: Store, entries: Sequence[Entry]) -> dict[str, Path]:
    return {e.name: store.path(f"models/{e.digest}") for e in entries if e.digest}


def _contract_exit(report: Json) -> int:
    reasons = {row["reason"] for row in report["rules"] if row["verdict"] == "fail"}
    if reasons & {"missing", "not_a_number"}:
        return MISSING
    return FAIL if reasons else PASS


STEP = Step(
    effect="pure",
    summary="judge the newest trained models and propose a set of nine",
    arguments=arguments,
    run=run,
    inputs=inputs,
    reads=("models", "candidates", "sets", "gold"),
    writes=("gates", "sets"),
    outputs={
        "verdict": "pass, fail or inconclusive",
        "set_digest": "the set proposed",
        "revision": "of production when it was judged",
        "breached": "with --live: true when production must be rolled back",
    },
    settings=("gates_dir",),
    code=(
        "dataset",
        "features",
        "models",
        "steps.gate",
        "steps.gold_tables",
        "steps.held_back",
        "steps.live_gate",
        "steps.registry",
        "steps.training",
    ),
)
