"""`bft pull`: ask a source for market facts and store what is new in them.

Reads the tables as of the session before asof, the symbol lists, and the source. Writes the raw
tables' partition of asof: new keys, revisions and refused rows, with the instant each fact was
known. A killed pull resumes from staged answers; the same answers give the same bytes.
"""

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain import origin, sessions
from bft.domain.delivery import TOPICS
from bft.domain.errors import DataError, UnavailableError
from bft.domain.market import RAW_TABLES
from bft.domain.numbers import COUNT
from bft.ports import Ports, Step, Summary, Tick
from bft.steps.arguments import add_asof
from bft.steps.lists import file_digest, renames_beside
from bft.steps.record import is_part

if TYPE_CHECKING:
    from bft.ports import Source
    from bft.steps.pull_night import Coverage, Night

STAGED_H = 12
"""Hours within which an interrupted pull resumes (data specification, 1.3)."""
_DERIVED = ("universe", "splits", "actions")
"""Topics that other ones bring along: lists, bars."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_asof(parser)
    parser.add_argument(
        "--source", help="alphavantage, sim[:URL], files:PATH or mysql:URL (the root's)"
    )
    parser.add_argument("--symbols", help="only these, as AAPL,MSFT")
    parser.add_argument("--universe", metavar="FILE", help="symbol file")
    parser.add_argument("--watchlist", metavar="FILE|all", help="symbols to follow the news of")
    parser.add_argument("--topics", type=_topics, help=f"only these of {','.join(TOPICS)}")
    parser.add_argument("--max-symbols", type=COUNT, metavar="N", help="the first N by rank")
    parser.add_argument("--full", action="store_true", help="whole histories")
    parser.add_argument("--only-stale", action="store_true", help="symbols without today's bar")
    parser.add_argument(
        "--verify-indicators",
        nargs="?",
        const="5",
        metavar="N|all|A,B",
        help="compare the vendor's indicators with local ones",
    )
    parser.add_argument("--strict", action="store_true", help="doubtful indicators fail")


def _run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    from bft.steps import pull_bulk, pull_vendor

    source = ports.source(args.source)
    _check_kind(ports, args, simulated=source.name == "sim")
    world = check_world(ports, source)
    night = _night(ports, source, args)
    notes: list[str] = []
    collect = pull_bulk.collect if source.bulk else pull_vendor.collect
    coverage = collect(night, source, args, tick, notes)
    _check_kind(ports, args, simulated=night.source == "sim")  # a vendor's address may simulate
    notes += _changed(ports, args, night, coverage)
    if coverage and coverage.current and not coverage.active:
        current = len(coverage.current)
        notes.append(f"nothing is stale: all {current} active symbols have a bar of {args.asof}")
    exit_code, error = _outcome(night, coverage, args.universe, source.digests())
    objects: Mapping[str, str] = {}
    if not error:
        with ports.store.exclusive():  # another pull of this day may hold other symbols
            _remember(ports, args, night, world)
            objects = night.publish()
    stored, revisions = ({}, 0) if error else (dict(sorted(night.rows.items())), night.revisions)
    doubts: list[str] = []
    if args.verify_indicators and coverage and not error:
        doubts = _doubts(ports, source, args, coverage, tick)
        notes += doubts
    if doubts and args.strict:
        exit_code, error = DataError.exit_code, f"--strict: {doubts[0]}; {len(doubts)} in all"
    values = {
        "tables": stored,
        "calls": source.calls,
        "revisions": revisions,
        "names": night.skips.names,
        "symbols": len(coverage.symbols) if coverage else 0,
        "active": len(coverage.active) if coverage else 0,
        "with_bar": len(coverage.with_bar) if coverage else 0,
        "simulated": night.source == "sim",
        "absent": night.absent,
        "files": dict(source.digests()),
        "notes": notes,
    }
    return Summary(
        values=values,
        rows=sum(stored.values()),
        skipped=night.skips.counts,
        objects=objects,
        exit_code=exit_code,
        error=error,
    )


def _check_kind(ports: Ports, args: argparse.Namespace, *, simulated: bool) -> None:
    """Refuse to mix simulated rows with real ones.

    Raises:
        ConfigError: the root holds the other kind.
    """
    before = origin.remembered(ports.store)
    if before:
        spec = args.source or "alphavantage"
        before.check(simulated=simulated, spec=spec, root=ports.store.root)


def check_world(ports: Ports, source: "Source") -> str:
    """The command of the simulator that is asked; empty where it tells none.

    Raises:
        ConfigError: the root's prices are another simulator's, or nobody listens.
    """
    told, before = source.world(), origin.remembered(ports.store)
    if before:
        before.check_world(told, root=ports.store.root)
    return told


def _changed(
    ports: Ports, args: argparse.Namespace, night: "Night", coverage: "Coverage | None"
) -> tuple[str, ...]:
    """That a whole night takes another source than the root's.

    Raises:
        ConfigError: a file that holds few of the root's symbols.
    """
    from bft.steps import source_change

    if night.partial:
        return ()
    spec = args.source or "alphavantage"
    if night.source == "files" and coverage and not args.universe:
        source_change.check(ports.store, spec, coverage.symbols, fresh=args.fresh)
    return source_change.words(ports.store, spec)


def _remember(ports: Ports, args: argparse.Namespace, night: "Night", world: str) -> None:
    """Note the source that later runs use; a part of a night changes no note."""
    before = origin.remembered(ports.store)
    if night.partial and before:
        return
    spec, simulated = args.source or "alphavantage", night.source == "sim"
    world = world or (before.world if before else "")
    made = origin.origin_of(spec, Path.cwd(), simulated=simulated, world=world)
    if before and made.path:  # the words of the first call, by which finished work is found
        made = replace(made, source=before.words_of(spec, Path.cwd()))
    ports.store.put(origin.KEY, origin.encoded(made))


def _doubts(
    ports: Ports, source: "Source", args: argparse.Namespace, coverage: "Coverage", tick: Tick
) -> list[str]:
    """Indicators of which more than 5 % are outside the tolerance, in words."""
    from bft.steps import pull_verify

    names = pull_verify.symbols_of(args.verify_indicators, coverage.with_bar, asof=args.asof)
    lines = pull_verify.verified(source, ports.store, names, asof=args.asof, tick=tick)
    return [
        f"{line['symbol']} {line['indicator']}: {line['outside_frac']:.0%} of {line['compared']} "
        f"values differ from ours ({line['basis']} fits better)"
        for line in lines
        if line["doubtful"]
    ]


def _outcome(
    night: "Night", coverage: "Coverage | None", listed: str | None, files: Collection[str]
) -> tuple[int, str | None]:
    """0, or why too few active symbols have a bar for asof: 75 if the vendor was late, else 65."""
    from bft.steps.pull_bulk import end_told

    if coverage is None or coverage.whole:
        return 0, None
    if not coverage.active:
        return DataError.exit_code, (
            f"pull {night.asof}: nobody of the universe is listed on {night.asof}; give another "
            "--asof or --universe; nothing was stored"
        )
    refused = _refused_now(night, coverage.lacking)
    told = f"; refused: {'; '.join(refused[:3])}" if refused else ""
    mend = "mend these rows" if refused else "mend the source or take them off the universe"
    if files and not (refused or listed):
        mend = end_told(coverage, files)
    next_step = "try again later" if coverage.awaited else mend
    return (UnavailableError if coverage.awaited else DataError).exit_code, (
        f"pull {night.asof}: {coverage.words}{told}; nothing was stored; {next_step}"
    )


def _refused_now(night: "Night", lacking: Sequence[str]) -> list[str]:
    """Which bars of asof were delivered and refused, with place and value."""
    from bft.features.intake import REFUSALS

    keys = {f"{symbol} {night.asof}" for symbol in lacking}
    named = [(reason, name) for reason in REFUSALS for name in night.skips.names.get(reason, ())]
    return [
        f"{reason}: {name}"
        for reason, name in named
        if any(f" {key} " in f" {name} " for key in keys)
    ]


def _inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    """Digests of files; what a vendor or database answered for a night is asked for once."""
    reads_files = (args.source or "").partition(":")[0] == "files"
    found = dict(ports.source(args.source).digests()) if reads_files else {}
    beside = renames_beside(args.universe)
    watched = None if args.watchlist == "all" else args.watchlist
    lists = {"universe": args.universe, "renames": beside, "watchlist": watched}
    return found | {f"list {name}": file_digest(path) for name, path in lists.items() if path}


def _night(ports: Ports, source: "Source", args: argparse.Namespace) -> "Night":
    from bft.steps.pull_night import Night

    now = ports.clock.now()
    instant = sessions.evening(args.asof) if source.replayed else _begun(ports, args, now)
    return Night(
        store=ports.store,
        asof=args.asof,
        base=sessions.shift(args.asof, -1),
        instant=instant,
        source=source.name,
        bulk=source.bulk,
        past=source.bulk or (not source.replayed and args.asof < sessions.last_closed(now)),
        partial=is_part("pull", vars(args)),
        again=ports.commands.again,
        absent=[topic for topic in TOPICS if topic not in {*source.topics, *_DERIVED}],
    )


def _begun(ports: Ports, args: argparse.Namespace, now: datetime) -> datetime:
    """When this pull first ran: a resumed one bears the same instant, so gives the same bytes."""
    key = f"staging/pull/asof={args.asof}/begun.json"
    if not args.fresh and ports.store.digest(key) is not None:
        begun = datetime.fromisoformat(json.loads(ports.store.get(key))["at"])
        if now - begun < timedelta(hours=STAGED_H):
            return begun
    ports.store.put(key, json.dumps({"at": now.isoformat()}).encode())
    return now


def _topics(text: str) -> tuple[str, ...]:
    topics = tuple(text.split(","))
    odd = sorted(set(topics) - set(TOPICS))
    if odd:
        raise argparse.ArgumentTypeError(f"no topic {odd}; choose of {','.join(TOPICS)}")
    return topics


_CODE = tuple(
    f"steps.pull{part}"
    for part in (
        *(
            "",
            "_again",
            "_bulk",
            "_facts",
            "_night",
            "_plan",
            "_stored",
            "_tables",
            "_universe",
            "_vendor",
        ),
        "_verify",
    )
)
STEP = Step(
    effect="replace",
    summary="Ask a source for market facts and store what is new.",
    arguments=_arguments,
    run=_run,
    inputs=_inputs,
    writes=tuple(table.name for table in RAW_TABLES),
    outputs={
        "tables": "rows stored, by table",
        "calls": "calls made to the vendor",
        "revisions": "stored facts that changed",
        "symbols": "symbols asked for",
        "with_bar": "active symbols that have a bar for asof",
        "simulated": "whether a simulator answered",
    },
    settings=("source",),
    code=("features", "adapters.sources", "steps.source_change", *_CODE),
)
