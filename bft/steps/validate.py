"""`bft validate`: the quality gate of a night, 24 checks over gold and the facts behind it.

Reads gold and the raw tables. Writes the quality table's partition of asof and
`reports/quality_<asof>.md`; with `--only` it writes neither. Exit 65 stops the night. A finished
call that is made again looks at the digests of all objects of gold and raw tables first.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bft.domain import origin, sessions
from bft.domain.errors import DataError
from bft.domain.market import QUALITY
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps import gold_tables, record
from bft.steps.arguments import add_asof
from bft.steps.lacking import need
from bft.steps.reading import source_of

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from bft.features.quality import Evidence, Finding, Verdict

CHECKED = ("gold", "gold_targets", *gold_tables.READS)
CHECK_IDS = tuple(f"Q{number:02d}" for number in range(1, 25))


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_asof(parser)
    parser.add_argument("--strict", action="store_true", help="warnings fail too")
    parser.add_argument("--only", type=_ids, metavar="Q01,...", help="some checks; stores nothing")


def _inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    return {
        **gold_tables.digests(ports.store, args.asof),
        **record.table_digests(ports.store, ("gold", "gold_targets"), args),
        "pull": record.digest_of(_pulled(ports.store, args.asof)),
    }


def _whole(ports: Ports, args: argparse.Namespace) -> bool:
    """Whether every object the night is made of, of whichever day, is as its manifest says."""
    return not _broken(ports.store, args.asof)


def _run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    from bft.features.quality import run_checks, verdict

    store, asof = ports.store, args.asof
    tick(0, 2, "reading")
    need(ports, "gold", asof)
    broken = _broken(store, asof)
    evidence = None if broken else _evidence(store, args)
    tick(1, 2, "checking")
    if evidence is None:
        findings = _unreadable(broken)
    else:
        findings = run_checks(evidence, only=args.only, strict=args.strict)
    found = verdict(findings)
    objects = {} if args.only else _store(store, asof, findings, found)
    return Summary(
        values={**_values(found), "page": next((k for k in objects if k.endswith(".md")), None)},
        rows=len(findings),
        objects=objects,
        exit_code=DataError.exit_code if found.failed else 0,
        error=_error(store, asof, findings) if found.failed else None,
    )


def _evidence(store: Store, args: argparse.Namespace) -> "Evidence":
    """Read what the checks look at."""
    import pyarrow.compute as pc

    from bft.features.quality import Evidence

    asof = args.asof
    before = store.manifest("gold", asof=sessions.shift(asof, -1))
    day = record.reading(store, asof)
    arrived = store.read("bars", asof=day, partitions=[f"arrived={asof}"])
    tables = gold_tables.known_tables(store, asof, history_start=args.history_start)
    return Evidence(
        asof=asof,
        gold=store.read("gold", asof=asof),
        tables=tables,
        refused=arrived.filter(pc.equal(arrived["status"], "refused")),
        macro=gold_tables.macro_read(store, asof),
        rows_before=sum(ref.rows for ref in before.objects) if before else None,
        restated=bool(pc.any(pc.greater(arrived["revision"], 0)).as_py()),
        strict_source="files" not in pc.unique(tables["bars"]["source"]).to_pylist(),
    )


def _broken(store: Store, asof: "date") -> list[str]:
    """Objects whose digest is not their manifest's, and inputs that are not gold's lineage's."""
    day = record.reading(store, asof)
    found: list[str] = []
    for name in CHECKED:
        manifest = store.manifest(name, asof=asof if name.startswith("gold") else day)
        found += store.faults(manifest).values() if manifest else ()
    key = f"lineage/gold/{asof}.json"
    if store.digest(key) is None:
        return [*found, f"{key} is absent; run: bft gold --asof {asof}"]
    inputs, now = json.loads(store.get(key))["inputs"], gold_tables.digests(store, asof)
    odd = sorted(name for name in now if inputs.get(name) != now[name])
    if odd:
        found.append(f"gold of {asof} was built from other {odd}; run: bft gold --asof {asof}")
    return found


def _unreadable(broken: Sequence[str]) -> "list[Finding]":
    """Q23 alone: what lies behind broken digests is not looked at."""
    from bft.features.quality import Finding, Severity

    return [Finding(check="Q23", severity=Severity.FAIL, message=text) for text in broken]


def _pulled(store: Store, asof: "date") -> tuple[dict[str, int], dict[str, list[str]]]:
    """Rows that the night's pull refused, merged or sorted, by reason: how many, the first."""
    return record.pull_of(store, asof).get("skipped", {}), record.doubted(store, asof)


def _store(
    store: Store, asof: "date", findings: "Sequence[Finding]", found: "Verdict"
) -> dict[str, str]:
    from bft.features.quality import report

    key = f"reports/quality_{asof}.md"
    skipped, names = _pulled(store, asof)
    held = origin.remembered(store)
    simulated = held is not None and held.simulated
    text = report(asof, findings, found, skipped=skipped, names=names, simulated=simulated)
    partition = f"asof={asof}"
    rows = {partition: _table(asof, findings)}
    manifest = store.publish("quality", asof=asof, partitions=rows)
    written = record.published(store, manifest, rows)
    return {**written, key: store.put(key, text.encode())}


def _table(asof: "date", findings: "Sequence[Finding]") -> "pa.Table":
    """Findings as rows; several of one check and symbol become one, the gravest first."""
    import pyarrow as pa

    from bft.features.quality import merged

    rows = [
        {
            "asof": asof,
            "check": f.check,
            "symbol": f.symbol,
            "severity": str(f.severity),
            "value": f.value,
            "threshold": f.threshold,
            "message": f.message,
        }
        for f in merged(findings)
    ]
    kinds = {"d": pa.date32(), "s": pa.string(), "f8": pa.float64()}
    return pa.Table.from_pylist(
        rows, schema=pa.schema([(name, kinds[kind]) for name, kind in QUALITY.columns])
    )


def _values(found: "Verdict") -> dict[str, object]:
    return {
        "verdict": "fail" if found.failed else "pass",
        "head": found.head,
        "counts": found.counts,
        "failed": list(found.failures),
        "quarantined": list(found.quarantined),
        "reasons": found.reasons,
    }


def _error(store: Store, asof: "date", findings: "Sequence[Finding]") -> str:
    failed = [f for f in findings if f.severity == "fail"]
    told = "; ".join(f"{f.check}: {f.message}" for f in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    # A file's digest is an input of its pull; others are asked once for a night.
    again = "" if source_of(store, asof) == "files" else " --fresh"
    mend = f"mend the source, then: bft pull --asof {asof}{again} && bft gold --asof {asof}"
    if {f.check for f in failed} == {"Q23"}:  # it says itself what mends it
        mend = f"then: bft gold --asof {asof} && bft validate --asof {asof}"
    return f"quality of {asof} failed: {told}{more}; read reports/quality_{asof}.md, {mend}"


def _ids(text: str) -> tuple[str, ...]:
    ids = tuple(text.split(","))
    odd = sorted(set(ids) - set(CHECK_IDS))
    if odd:
        raise argparse.ArgumentTypeError(f"no check {odd}; give some of Q01 to Q24")
    return ids


STEP = Step(
    effect="pure",
    summary="Check gold and the facts behind it; stop the night where they break.",
    arguments=_arguments,
    run=_run,
    inputs=_inputs,
    whole=_whole,
    reads=CHECKED,
    writes=("quality",),
    outputs={
        "verdict": "pass or fail",
        "head": "the verdict in words: whether it passed, who is held back and why",
        "counts": "findings by severity",
        "failed": "checks that failed",
        "quarantined": "symbols without forecast, signal or order at asof",
        "reasons": "why, by quarantined symbol",
        "page": "the page in the root; none of `--only`",
    },
    settings=("history_start",),
    code=("features", "steps.validate", "steps.gold_tables"),
)
