"""Score a model set on the newest gold, or day by day over the past.

Reads gold, macro, quality, the pointer `production`, its set and artifacts from the root; writes
`forecasts` (and `forecasts_shadow`) and the `outcomes` that became known. A run uses the set that
was resolved at its start, whatever the pointer does meanwhile; the same gold and set give the same
bytes.
"""

import argparse
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as hour
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain import origin, sessions
from bft.domain.errors import BftError, DataError
from bft.domain.runs import Json
from bft.ports import Ports, Step, Summary, Tick
from bft.steps import registry
from bft.steps.arguments import add_asof
from bft.steps.arguments import day as day_argument
from bft.steps.lacking import need
from bft.steps.record import published, run_instant, table_digests

if TYPE_CHECKING:
    import pyarrow as pa

    from bft.models.infer import Market, Scores
    from bft.steps.predict_inputs import LoadedSet

READS = ("gold", "macro", "quality")
DEADLINE = hour(9)  # New York, of the next session
OUTCOME_SESSIONS = 60  # labels that became known this many sessions back are looked for
_LABEL_SESSIONS = 36  # the longest label (30), its entry, and the wait for a missing bar


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """What all days of a run share."""

    market: "Market"
    gold_digest: str
    days: Sequence[date]
    late: Callable[[], bool]
    tick: Tick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Day:
    day: date
    oos: bool
    scores: "Scores"
    table: "pa.Table"


@dataclass(slots=True)
class _Watch:
    """Seconds of each part; told in the JSON line only."""

    at: float = field(default_factory=time.monotonic)
    laps: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self.at = round(now - self.at, 3), now


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft predict`."""
    add_asof(parser)
    parser.add_argument("--set", dest="set_digest", metavar="DIGEST", help="(the production set)")
    parser.add_argument(
        "--deadline",
        type=_instant,
        metavar="T",
        help="instant with zone, or auto: 09:00 New York of the next session",
    )
    parser.add_argument(
        "--walk-forward",
        type=day_argument,
        metavar="FROM",
        help="score every session from FROM to asof, each by the newest fold that is out of sample",
    )
    # As the night does, so that a call by hand is the night's own call and leaves it finished.
    parser.add_argument(
        "--shadow",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="score the alias shadow as well, where there is one; not with --walk-forward",
    )


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Publish forecasts of asof, and the outcomes that became known.

    Raises:
        StaleDataError: gold does not end at asof.
        DataError: no set in production, bad gold, quorum or coverage not met.
    """
    watch = _Watch()
    if args.walk_forward is None:
        need(ports, "gold", args.asof)
    digest = args.set_digest or ports.state.pointer("production").set_digest
    if digest is None:
        raise DataError(f"no model set is in production; run: {_first_set(ports, args.asof)}")
    loaded = _load(ports, args, digest)
    watch.lap("models")
    job = _prepare(ports, args, loaded, tick)
    watch.lap("gold")
    days = _score(ports, job, loaded)
    watch.lap("forwards")
    with ports.store.exclusive():
        objects = _publish(ports, args, "forecasts", days)
        known, outcomes = _publish_outcomes(ports, args, job)
    watch.lap("publish")
    values = _values(loaded, days) | {"outcomes": known}
    if _scores_shadow(args):
        values["shadow"], more = _shadow(ports, args, job)
        objects |= more
        watch.lap("shadow")
    refused = _refused(days)
    return Summary(
        values=values | {"refused": refused, "timings_s": watch.laps},
        rows=sum(day.table.num_rows for day in days),
        skipped=refused,
        objects=objects | outcomes,
    )


def inputs(ports: Ports, args: argparse.Namespace) -> dict[str, str]:
    """Digests of gold, macro, quality and of the sets to be scored."""
    found = table_digests(ports.store, READS, args)
    found["set"] = args.set_digest or ports.state.pointer("production").set_digest or "none"
    if _scores_shadow(args):
        found["shadow"] = _shadow_digest(ports) or "none"
    return found


def _scores_shadow(args: argparse.Namespace) -> bool:
    return bool(args.shadow) and args.walk_forward is None


def _first_set(ports: Ports, asof: date) -> str:
    """The commands that bring a first set into production."""
    trained = origin.trained_by(ports.store)
    by = f" --profile {shlex.quote(trained.spec(Path.cwd()))}" if trained else ""
    gate = f"bft gate --asof {asof} --gates bootstrap"
    steps = (f"bft train all --asof {asof}{by}", gate)
    return " && ".join((*steps, f"bft promote --asof {asof}"))


def _load(ports: Ports, args: argparse.Namespace, digest: str) -> "LoadedSet":
    from bft.steps.predict_inputs import load_set

    past = args.walk_forward is not None
    expires_at = None if past else run_instant(ports, args.asof)
    return load_set(ports, digest, expires_at=expires_at, older=past)


def _prepare(ports: Ports, args: argparse.Namespace, loaded: "LoadedSet", tick: Tick) -> _Run:
    from bft.steps.predict_inputs import load_market

    past = args.walk_forward is not None
    first = sessions.on_or_after(args.walk_forward) if past else args.asof
    market, gold_digest = load_market(
        ports, args.asof, first=first, lookback=loaded.lookback, past=past
    )
    newest = sessions.session(int(market.arrays.dates.max()))
    days = sessions.sessions(first, newest)
    if not days:
        raise DataError(f"--walk-forward {first} lies after the newest gold row {newest}")
    deadline = args.deadline or _nine_o_clock(args.asof)
    return _Run(
        market=market,
        gold_digest=gold_digest,
        days=days,
        late=lambda: not past and run_instant(ports, args.asof) > deadline,
        tick=tick,
    )


def _score(ports: Ports, job: _Run, loaded: "LoadedSet") -> list[_Day]:
    from bft.models.infer import Rules, score_day
    from bft.steps.predict_inputs import quarantined

    manifest = loaded.manifest
    rules = Rules(weights=manifest.weights, quorum=manifest.quorum, late=job.late)
    aside, scored = quarantined(ports, job.days), []
    for done, day in enumerate(job.days):
        number = sessions.number(day)
        folds = loaded.on(number)
        scores = score_day(
            job.market,
            [fold.model for fold in folds],
            number,
            quarantined=aside[day],
            missing=loaded.missing,
            rules=rules,
        )
        used = [fold for fold in folds if fold.model.name not in scores.missing]
        oos = all(fold.first_test <= number for fold in used)
        ages = [(sessions.evening(day) - fold.created).days for fold in used]
        table = _table(job, loaded, scores, oos=oos, age_days=max(0, *ages))
        scored.append(_Day(day=day, oos=oos, scores=scores, table=table))
        job.tick(done + 1, len(job.days), str(day))
    return scored


def _table(
    job: _Run, loaded: "LoadedSet", scores: "Scores", *, oos: bool, age_days: int
) -> "pa.Table":
    from bft.models.forecasts import Provenance, forecast_rows

    about = Provenance(
        oos=oos,
        set_digest=loaded.digest,
        gold_digest=job.gold_digest,
        feature_set=loaded.manifest.feature_set,
        model_age_days_max=age_days,
        paper_only=loaded.manifest.paper_only,
        simulated=job.market.arrays.simulated,
    )
    return forecast_rows(scores, about)


def _publish(
    ports: Ports, args: argparse.Namespace, table: str, days: Sequence[_Day]
) -> dict[str, str]:
    parts = {f"asof={day.day}": day.table for day in days}
    manifest = ports.store.publish(table, asof=args.asof, partitions=parts)
    return published(ports.store, manifest, parts)


def _publish_outcomes(
    ports: Ports, args: argparse.Namespace, job: _Run
) -> tuple[int, dict[str, str]]:
    """Labels of forecast days, in the partition of the session on which they became known.

    Partitions of earlier nights stay as they were known then, but for a walk-forward.
    """
    from bft.models.forecasts import outcome_rows

    made = ports.store.manifest("forecasts", asof=args.asof)
    partitions = [ref.partition for ref in made.objects] if made else []
    forecast_days = {date.fromisoformat(name.removeprefix("asof=")) for name in partitions}
    wanted = {sessions.number(day) for day in forecast_days}
    before = ports.store.manifest("outcomes", asof=sessions.shift(args.asof, -1))
    kept = {ref.partition for ref in before.objects} if before and not args.walk_forward else set()
    newest, first = sessions.number(args.asof), int(job.market.arrays.dates.min()) + _LABEL_SESSIONS
    parts = {}
    for known in range(max(first, newest + 1 - _looked_back(args, job)), newest + 1):
        name = f"known={sessions.session(known)}"
        rows = outcome_rows(job.market.arrays, known, wanted)
        if rows.num_rows and name not in kept:
            parts[name] = rows
    if not parts:
        return 0, {}
    manifest = ports.store.publish("outcomes", asof=args.asof, partitions=parts)
    count = sum(rows.num_rows for rows in parts.values())
    return count, published(ports.store, manifest, parts)


def _looked_back(args: argparse.Namespace, job: _Run) -> int:
    return max(OUTCOME_SESSIONS, len(job.days) if args.walk_forward else 0)


def _shadow(ports: Ports, args: argparse.Namespace, job: _Run) -> tuple[Json, dict[str, str]]:
    """Score the shadow set; its faults are told and never stop the night."""
    digest = _shadow_digest(ports)
    if digest is None:
        return {"set_digest": None}, {}
    try:
        days = _score(ports, job, _load(ports, args, digest))
    except BftError as error:
        return {"set_digest": digest, "error": str(error)}, {}
    return _values_of_shadow(digest, days), _publish(ports, args, "forecasts_shadow", days)


def _values_of_shadow(digest: str, days: Sequence[_Day]) -> Json:
    return {"set_digest": digest, "rows": sum(day.table.num_rows for day in days)}


def _shadow_digest(ports: Ports) -> str | None:
    """Digest of the set that bears the alias `shadow` in MLflow; None where MLflow is no help."""
    try:
        version = ports.tracker.aliases(registry.SET_MODEL).get("shadow")
        tags = {v.version: v.tags for v in ports.tracker.versions(registry.SET_MODEL)}
    except BftError:
        return None
    return tags[version].get("digest") if version in tags else None


def _values(loaded: "LoadedSet", days: Sequence[_Day]) -> Json:
    missing = {str(name): why for day in days for name, why in day.scores.missing.items()}
    return {
        "set_digest": loaded.digest,
        "days": len(days),
        "scored": sum(why == "ok" for why in days[-1].scores.status.values()),
        "missing": missing,
        "degraded": bool(missing),
        "warnings": [*loaded.warnings, *_in_sample(days)],
        "oos": all(day.oos for day in days),
        "pooled_symbols": len({name for day in days for name in day.scores.pooled}),
        "paper_only": loaded.manifest.paper_only,
    }


def _in_sample(days: Sequence[_Day]) -> list[str]:
    seen = [day.day for day in days if not day.oos]
    if not seen:
        return []
    which = f"{len(seen)} days from {seen[0]} to {seen[-1]}" if seen[1:] else f"{seen[0]}"
    return [
        f"forecasts of {which} are in-sample: their models had learned from these days or later "
        "ones, so what they say of them is no forecast"
    ]


def _refused(days: Sequence[_Day]) -> dict[str, int]:
    from bft.models.forecasts import refusal_counts

    counts: dict[str, int] = {}
    for day in days:
        for why, count in refusal_counts(day.scores.status).items():
            counts[why] = counts.get(why, 0) + count
    return counts


def _nine_o_clock(asof: date) -> datetime:
    return datetime.combine(sessions.shift(asof, 1), DEADLINE, sessions.NEW_YORK)


def _instant(text: str) -> datetime | None:
    if text == "auto":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no instant with a zone such as 2025-01-07T09:00-05:00, nor auto"
        )
    return found


STEP = Step(
    effect="replace",
    summary="Score the production set of models on the newest gold and merge their forecasts.",
    arguments=arguments,
    run=run,
    inputs=inputs,
    reads=READS,
    writes=("forecasts", "forecasts_shadow", "outcomes"),
    outputs={
        "set_digest": "the set that was scored",
        "degraded": "whether a model was missing",
        "missing": "model -> why it was missing",
        "refused": "symbols without a forecast, by reason",
        "pooled_symbols": "symbols that were not in a model's training",
        "timings_s": "seconds of each part",
    },
    code=(
        *("features", "dataset", "models"),
        *("steps.predict", "steps.predict_inputs", "steps.gold_tables"),
    ),
)
