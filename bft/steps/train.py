"""Train the nine models in parallel and make them candidates."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bft.domain import sessions
from bft.domain.errors import BftError, ConfigError, DataError, UnavailableError
from bft.domain.numbers import COUNT, COUNT_OR_0, SEED
from bft.domain.runs import Failure, Json, Outcome, Task
from bft.models.model_set import digest_of
from bft.ports import Ports, Step, Summary, Tick
from bft.steps import registry, training
from bft.steps.arguments import add_asof, day
from bft.steps.record import run_instant, table_digests
from bft.steps.train_log import TrainingLog
from bft.steps.training import CALL, Plan

EXITS = {"data": DataError.exit_code, "config": ConfigError.exit_code}
LOST = ("collapsed", "diverged", "failed")
_FINISHED = {"trained", "cached", "collapsed", "diverged"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft train`."""
    add_asof(parser)
    parser.add_argument("name", metavar="NAME", help="one of the nine models, or all")
    parser.add_argument("--profile", default="demo", help="demo, short, realdata, ... or a file")
    parser.add_argument("--type", help="net (the profile's)")
    parser.add_argument("--folds", type=COUNT, help="walk-forward folds (the profile's)")
    parser.add_argument("--train-start", type=day, help="first training session")
    parser.add_argument("--train-end", type=day, help="last session that is used")
    parser.add_argument("--seed", type=SEED, default=1, help="of weights and sample order")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="(the profile's)")
    parser.add_argument(
        "--compute", default="auto", choices=["auto", "inline", "pool", "ray"], help="where"
    )
    parser.add_argument(
        "--jobs", type=COUNT_OR_0, default=0, help="models at once (as many as fit)"
    )
    parser.add_argument(
        "--override", action="append", default=[], metavar="K=V", help="of the profile"
    )
    parser.add_argument("--no-resume", action="store_true", help="ignore checkpoints and keys")
    parser.add_argument(
        "--cpcv", action="store_true", help="45 combinatorial folds: a study, no candidates"
    )
    parser.add_argument("--no-baselines", action="store_true", help="compare with none")
    parser.add_argument("--dry-run", action="store_true", help="show folds and keys, train nothing")


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str] | None:
    """Gold and the profile decide what a training gives."""
    if args.dry_run or args.no_resume:
        return None
    from bft.models.profiles import profile_file

    file = profile_file(args.profile, registry.data_folder(args.profiles_dir, "profiles"))
    text = file.read_text(encoding="utf-8") if file.exists() else "absent"
    tables = table_digests(ports.store, ("gold", "macro", "universe"), args)
    return {**tables, "profile": digest_of(text)}


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Train what no finished key covers, publish artifacts, register candidates.

    Raises:
        DataError: gold is stale, breaks its contract, or is too short.
        ConfigError: an unknown profile or key, or a model larger than every slot.
    """
    names = training.names_of(args.name)
    compute = ports.compute(args.compute, tasks=len(names), jobs=args.jobs)
    if not args.dry_run:
        compute.prepare(CALL.partition(":")[0])
    created = run_instant(ports, args.asof)
    plan = training.plan(ports, args, created=created)
    if args.dry_run:
        return Summary(values={"models": [_planned(task) for task in plan.tasks.values()]})
    known = {} if args.no_resume else _known(ports, plan)
    tasks = {task.key: task for task in plan.tasks.values()}
    due = [task for task in plan.tasks.values() if task.key not in known]
    log = TrainingLog(ports, plan, tick, name=args.name)
    log.count(known)
    for task in due:
        log.open(task)
    if args.no_resume:
        training.forget(due)
    with ThreadPoolExecutor(1, "settle") as settling:  # beside the fits that still run
        rows: dict[str, Future[Json]] = {}

        def ended(outcome: Outcome) -> None:
            task = tasks[outcome.key]
            rows[task.key] = settling.submit(_settle, ports, plan, log, task, outcome)

        ok = False
        try:
            for key, found in known.items():
                ended(Outcome(key=key, value=found | {"status": "cached"}))
            outcomes = compute.run(due, log.on_event, ended) if due else []
            found_rows = [rows[key].result() for key in tasks]
            ok = all(row["status"] != "failed" for row in found_rows)
        finally:
            settling.shutdown()
            log.close(ok=ok)
    return _summary(ports, plan, found_rows, outcomes)


def parts(
    args: argparse.Namespace, summary: Summary
) -> Iterator[tuple[argparse.Namespace, Summary]]:
    """Each of the nine alone, once all are trained: the same data and seed give the same model.

    A night that is run again asks for those that the gate held back.
    """
    for row in summary.values["models"] if args.name == "all" else ():
        lost = row["status"] if row["status"] in LOST else None
        one = Summary(
            values={**summary.values, "models": [row]},
            rows=0 if lost else 1,
            skipped={lost: 1} if lost else {},
            objects=summary.objects,
        )
        yield argparse.Namespace(**{**vars(args), "name": row["name"]}), one


def _known(ports: Ports, plan: Plan) -> dict[str, Json]:
    found = {t.key: training.finished(ports.store, t.key) for t in plan.tasks.values()}
    return {key: value for key, value in found.items() if value is not None}


def _planned(task: Task) -> Json:
    folds = [{k: v if k == "k" else _dated(v) for k, v in f.items()} for f in task.spec["folds"]]
    return {"name": task.spec["name"], "key": task.key, "folds": folds}


def _dated(span: Any) -> Any:
    """Days of a block's session numbers, first and last; of several blocks likewise."""
    if isinstance(span, list):
        return [_dated(part) for part in span]
    return str(sessions.session(span))


def _settle(ports: Ports, plan: Plan, log: TrainingLog, task: Task, outcome: Outcome) -> Json:
    """Publish, log and register one model; its row of the JSON line."""
    found = outcome.value
    if found is None:
        log.finish(task, ok=False)
        error = outcome.failure.message if outcome.failure else None
        return _row(task, None, status="failed", error=error)
    digest = found["digest"]
    if "folder" in found:  # else it was finished before
        artifact = _publish(ports, task, found)
        log.result(task, found, artifact, ports.clock.now())
    version, refused = None, None
    if digest is not None and not plan.study:
        try:
            version = _register(ports, plan, log, task, found)
        except BftError as error:  # the model is kept: the same command registers it
            refused = error
    log.finish(task, ok=digest is not None)
    made = _row(task, found, status=found["status"], version=version)
    return made if refused is None else made | {"error": str(refused), "code": refused.exit_code}


def _publish(ports: Ports, task: Task, found: Json) -> Path | None:
    """Put artifact and result into the root; the key counts as finished after both."""
    digest = found["digest"]
    if digest is not None:
        ports.store.put_folder(f"models/{digest}", Path(found["folder"]))
    kept = {key: value for key, value in found.items() if key != "folder"}
    ports.store.put(f"training/{task.key}.json", json.dumps(kept, sort_keys=True).encode())
    return None if digest is None else ports.store.path(f"models/{digest}")


def _register(ports: Ports, plan: Plan, log: TrainingLog, task: Task, found: Json) -> str:
    """Make the artifact a version with the alias `candidate`, unless it is that already."""
    name, digest = str(task.spec["name"]), str(found["digest"])
    there = registry.candidates(ports.store).get(name)
    if there and there["digest"] == digest:
        return str(there["version"])
    folder = ports.store.path(f"models/{digest}")
    card = folder / "card.md"
    tags = {**plan.tags, "digest": digest, "training_key": task.key}
    made = ports.tracker.register(
        registry.model_name(name),
        folder,
        run=log.open(task),
        tags=tags,
        description=card.read_text(encoding="utf-8") if card.exists() else "",
    )
    row = {
        "name": name,
        "version": made.version,
        "digest": digest,
        "asof": task.spec["asof"],
        "train_end": found["train_end"],
        "training_key": task.key,
        "gold_digest": task.spec["gold_digest"],
    }
    registry.put_candidate(ports, row)
    return made.version


def _row(
    task: Task,
    found: Json | None,
    *,
    status: str,
    version: str | None = None,
    error: str | None = None,
) -> Json:
    value: Json = found or {}
    return {
        "name": task.spec["name"],
        "status": status,
        "version": version,
        "digest": value.get("digest"),
        "valid_loss": value.get("valid_loss"),
        "rank_ic": value.get("metrics", {}).get("test_rank_ic"),
        "epochs": value.get("epochs"),
        "seconds": round(value.get("seconds", 0.0), 3),
        "error": error,
    }


def _summary(
    ports: Ports, plan: Plan, rows: Sequence[Json], outcomes: Sequence[Outcome]
) -> Summary:
    failures = [o.failure for o in outcomes if o.failure]
    unregistered = [row for row in rows if row["error"] and row["status"] in _FINISHED]
    objects: dict[str, str] = {}
    for task, row in zip(plan.tasks.values(), rows, strict=True):
        if row["digest"]:
            objects[f"models/{row['digest']}/SHA256SUMS"] = row["digest"]
        if row["status"] in _FINISHED:
            key = f"training/{task.key}.json"
            objects[key] = ports.store.digest(key) or ""
    skipped = {s: n for s in LOST if (n := _count(rows, s))}
    code, error = _exit(failures, unregistered)
    return Summary(
        values={"models": list(rows), "study": plan.study},
        rows=len(rows) - sum(skipped.values()),
        skipped=skipped,
        objects=objects,
        exit_code=code,
        error=error,
    )


def _count(rows: Sequence[Json], status: str) -> int:
    return sum(row["status"] == status for row in rows)


def _exit(failures: Sequence[Failure], unregistered: Sequence[Json]) -> tuple[int, str | None]:
    """75 if anything may go better next time, else the failure's own code."""
    if unregistered:
        codes = [row["code"] for row in unregistered]
        away = UnavailableError.exit_code
        names = ", ".join(row["name"] for row in unregistered)
        text = f"unregistered: {names}: {unregistered[0]['error']}; the same command registers them"
        return away if away in codes else codes[0], text
    if not failures:
        return 0, None
    retryable = [one for one in failures if one.retryable]
    worst: Any = (retryable or failures)[0]
    code = UnavailableError.exit_code if retryable else EXITS.get(worst.kind, 1)
    return code, f"{len(failures)} of the models failed: {worst.kind}: {worst.message}"


STEP = Step(
    effect="replace",
    summary="train the nine models in parallel and make them candidates",
    arguments=arguments,
    run=run,
    inputs=inputs,
    parts=parts,
    reads=("gold", "macro", "universe"),
    writes=("models", "training", "candidates"),
    outputs={
        "models": "name, status, version, digest, rank_ic and seconds of each model",
        "study": "whether no candidates were made (--cpcv)",
    },
    settings=("profiles_dir",),
    code=("dataset", "features", "models", "steps.train", "steps.training", "steps.gold_tables"),
)
