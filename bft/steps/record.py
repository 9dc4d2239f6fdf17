"""What surrounds every step: its marker (finished work is found again), lineage, JSON line.

A marker's key covers the verb, its arguments without the root, the digests of what it reads and
the source of the packages it runs. Lineage holds no clock time, so re-runs give equal bytes.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bft.domain import origin, sessions
from bft.domain.delivery import DOUBTED
from bft.domain.errors import ConfigError, UnavailableError
from bft.domain.market import RAW_TABLES
from bft.domain.runs import Json, check_finite
from bft.ports import Manifest, Ports, Step, Store, Summary, Tick

PACKAGE = Path(__file__).resolve().parents[1]
UNKEYED = frozenset(
    {"verb", "root", "json", "debug", "quiet", "events", "describe", "fresh", "api_url", "export"}
)
"""Arguments that change no output below the root."""
OUTSIDE = ("exported", "exported_to")
"""What a call tells of files outside the root: no equal call that is found finished wrote them."""
KEPT = ("names", "equity_usd")
"""What a call tells that later steps read in its lineage."""
OTHER_OUTPUTS = ("live", "models", "legacy", "quotes", "failed")
"""Flags that make a verb write something else, which has a lineage of its own."""
_RAW = frozenset(table.name for table in RAW_TABLES)
PARTIAL = {
    "pull": ("symbols", "topics", "max_symbols", "only_stale"),
    "screen": ("symbols", "watchlist"),
}
"""Arguments that ask for a part of a night: it adds to what the night's own call gave."""


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8.

    Raises:
        DataError: a number that JSON cannot hold; names the path to it.
    """
    check_finite(value)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False
    ).encode()


def digest_of(value: Any) -> str:
    """sha256 hex of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


@cache
def code_digest(packages: tuple[str, ...]) -> str:
    """Digest of the source files of packages, named relative to bft (`features`, `steps.gold`)."""
    total = hashlib.sha256()
    for name in packages:
        top = PACKAGE / name.replace(".", "/")
        files = sorted(top.rglob("*.py")) if top.is_dir() else [top.with_suffix(".py")]
        for file in files:
            total.update(f"{file.relative_to(PACKAGE)}\n".encode() + file.read_bytes())
    return total.hexdigest()


def reading(store: Store, asof: date) -> date | None:
    """Whose manifests to read: asof where that day was pulled, else None, the newest.

    A day that was never pulled is read from the newest tables: of those the rows that are
    backfilled or had arrived count.
    """
    manifest = store.manifest("bars", asof=asof)
    return asof if manifest is not None and manifest.asof == asof else None


def table_digests(
    store: Store, tables: tuple[str, ...], args: argparse.Namespace
) -> dict[str, str]:
    """Manifest digests of the tables a step reads, as of its `--asof`; the usual `inputs`.

    Of raw tables it is the manifest that `reading` names.
    """
    raw = reading(store, args.asof)
    manifests = {
        name: store.manifest(name, asof=raw if name in _RAW else args.asof) for name in tables
    }
    return {name: m.digest if m else "absent" for name, m in manifests.items()}


def published(store: Store, manifest: Manifest, partitions: Iterable[str]) -> dict[str, str]:
    """What a publication wrote, for `Summary.objects`: those partitions and the manifest."""
    wanted = set(partitions)
    objects = {ref.key: ref.digest for ref in manifest.objects if ref.partition in wanted}
    key = f"manifests/{manifest.table}/asof={manifest.asof}.json"
    return {**objects, key: store.digest(key) or ""}


def pull_of(store: Store, asof: date) -> Json:
    """Lineage of the pull of a night, or {} where there was none."""
    return _lineage(store, f"lineage/pull/{asof}.json")


def scan_of(store: Store, asof: date) -> Json:
    """Lineage of the scan of a night's closes, or {} where there was none."""
    return _lineage(store, f"lineage/scan/{asof}.json")


def rank_of(store: Store, asof: date) -> Json:
    """Lineage of the ranking of a night, or {} where there was none."""
    return _lineage(store, f"lineage/rank/{asof}.json")


def _lineage(store: Store, key: str) -> Json:
    found: Json = json.loads(store.get(key)) if store.digest(key) is not None else {}
    return found


def doubted(store: Store, asof: date) -> dict[str, list[str]]:
    """Rows of a night's pull that were refused, moved or replaced, by reason: the first of each."""
    names = pull_of(store, asof).get("names", {})
    return {reason: names[reason] for reason in DOUBTED if reason in names}


def is_part(verb: str, args: Mapping[str, Any]) -> bool:
    """Whether a call with these arguments is of a part of a night."""
    return any(args.get(name) for name in PARTIAL.get(verb, ()))


def run_instant(ports: Ports, asof: date) -> datetime:
    """The run's instant of `asof` (design, 6.5); replayed where its pull, or the root, says so."""
    about, held = pull_of(ports.store, asof), origin.remembered(ports.store)
    source = str(about["args"].get("source")) if about else held.source if held else ""
    replayed = source.partition(":")[0] in {"sim", "files"}
    return sessions.run_instant(asof, now=ports.clock.now(), replayed=replayed)


def identity(
    store: Store, verb: str, step: Step, args: argparse.Namespace, inputs: Mapping[str, str | None]
) -> Json:
    """What a marker's key is made of; the same from every working directory."""
    keyed = {k: v for k, v in vars(args).items() if k not in UNKEYED}
    arguments = origin.worded(store, keyed, Path.cwd())
    code = code_digest(("domain", *step.code))
    return {"verb": verb, "args": arguments, "inputs": dict(inputs), "code": code}


def cached(ports: Ports, verb: str, step: Step, args: argparse.Namespace) -> Json | None:
    """JSON line of an equal finished call whose outputs are all present and equal, or None."""
    if step.effect == "once" or getattr(args, "fresh", False) or _dry(args):
        return None
    inputs = step.inputs(ports, args)
    if inputs is None or None in inputs.values():
        return None
    key = f"markers/{digest_of(identity(ports.store, verb, step, args, inputs))}.json"
    if ports.store.digest(key) is None:
        return None
    marker: Json = json.loads(ports.store.get(key))
    intact = all(ports.store.digest(name) == found for name, found in marker["outputs"].items())
    return {**marker["line"], "cached": True} if intact else None


def execute(ports: Ports, verb: str, step: Step, args: argparse.Namespace, tick: Tick) -> Summary:
    """Run a step, or find it finished; publish its lineage and marker after its outputs.

    Raises:
        UnavailableError: an input changed while it ran; nothing is recorded, so it runs again.
        DataError: its line holds a number that JSON cannot hold.
    """
    line = cached(ports, verb, step, args)
    if line is not None and step.whole(ports, args):
        return Summary(values=line)
    inputs = step.inputs(ports, args)
    summary = step.run(ports, args, tick)
    check_finite(summary.values)
    if summary.exit_code == 0 and inputs is not None and step.effect != "once" and not _dry(args):
        about = identity(ports.store, verb, step, args, inputs)
        _check_unchanged(verb, inputs, step.inputs(ports, args) or {})
        for part, told in step.parts(args, summary):
            _publish(ports.store, identity(ports.store, verb, step, part, inputs), told)
        # What only shows something does so on a root that nobody may write to, or a full disk.
        showed = step.effect == "pure" and not summary.objects
        with suppress(ConfigError, UnavailableError) if showed else nullcontext():
            _publish(ports.store, about, summary)
    return summary


def difference(ports: Ports, verb: str, step: Step, args: argparse.Namespace) -> str:
    """Say why an equal call would run: which input, argument or code changed, or what is gone."""
    inputs = step.inputs(ports, args)
    if step.effect == "once" or inputs is None or None in inputs.values() or _dry(args):
        return "never cached"
    about = json.loads(canonical(identity(ports.store, verb, step, args, inputs)))
    lineage = _lineage_key(about)
    if ports.store.digest(lineage) is None:
        return "never ran"
    last = json.loads(ports.store.get(lineage))
    changed = [
        f"{part} {name}"
        for part in ("args", "inputs")
        for name in sorted({*about[part], *last[part]})
        if about[part].get(name) != last[part].get(name)
    ]
    changed += ["code"] if about["code"] != last["code"] else []
    return "changed: " + ", ".join(changed) if changed else "an output is absent or altered"


def line_of(summary: Summary) -> Json:
    """The JSON keys a summary contributes."""
    return {"rows": summary.rows, "skipped": dict(summary.skipped), **summary.values}


def _dry(args: argparse.Namespace) -> bool:
    """A dry run leaves nothing behind, nor is it found finished."""
    return bool(getattr(args, "dry_run", False))


def _check_unchanged(
    verb: str, before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> None:
    """What a step read is what its marker will claim."""
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    if changed:
        raise UnavailableError(
            f"{verb}: {', '.join(changed)} changed while it ran; nothing was recorded, run it again"
        )


def _publish(store: Store, about: Json, summary: Summary) -> None:
    lineage = {
        **about,
        "version": version("bft"),
        "rows": summary.rows,
        "skipped": dict(summary.skipped),
        **{name: told for name in KEPT if (told := summary.values.get(name))},
        "outputs": dict(summary.objects),
    }
    path = _lineage_key(about)
    lines = json.dumps(lineage, sort_keys=True, indent=1, default=str) + "\n"
    outputs = {**summary.objects, path: store.put(path, lines.encode())}
    line = {key: value for key, value in line_of(summary).items() if key not in OUTSIDE}
    marker = {"identity": about, "line": line, "outputs": outputs}
    store.put(f"markers/{digest_of(about)}.json", canonical(marker))


def _lineage_key(about: Json) -> str:
    args = about["args"]
    if is_part(about["verb"], args):
        return f"lineage/{about['verb']}-part/{args['asof']}-{digest_of(args)[:12]}.json"
    parts = [str(args[key]) for key in ("asof", "name", "slot") if args.get(key)]
    parts += [flag for flag in OTHER_OUTPUTS if args.get(flag)]
    return f"lineage/{about['verb']}/{'-'.join(parts) or 'all'}.json"
