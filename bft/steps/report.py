"""Report the night: HTML and Markdown, the site's JSON, cards of the models."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from bft.domain import origin
from bft.domain.gold import COLUMNS as GOLD_COLUMNS
from bft.domain.gold import LOOKAHEAD
from bft.domain.runs import Json
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps.arguments import NEWEST, add_asof
from bft.steps.failures import NODES, failed_steps, failures_digest
from bft.steps.held_back import held_back, newest_gate
from bft.steps.lacking import need, need_root
from bft.steps.reading import gold_asof, source_of
from bft.steps.record import digest_of, doubted, table_digests
from bft.steps.report_failed import screened_again, withhold
from bft.steps.report_models import publish_cards
from bft.steps.report_site import digest_of_site, publish_site, site_day

if TYPE_CHECKING:
    from bft.reports.day import Around
    from bft.reports.night import Night

READS = tuple(
    "gold forecasts outcomes signals picks quality news earnings earnings_calendar universe".split()
)
DAY_COLUMNS = tuple(c.name for c in GOLD_COLUMNS if c.name not in LOOKAHEAD)
WINDOW_DAYS = 420
"""Calendar days of gold in which past signals are judged."""
FORECAST_DAYS = 380
BOOK, DAY_KEY = "ledger/book.json", "ledger/days/{}.json"
"""What `ledger export` and `close --reconcile` left: the book, and the account at the day's end."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft report`."""
    add_asof(parser, default=NEWEST)
    add = parser.add_argument
    add("--day", action="store_true", help="day report as HTML and Markdown (the default)")
    add("--site", action="store_true", help="the day report and the site's JSON files")
    other = parser.add_mutually_exclusive_group()
    add = other.add_argument
    add("--models", action="store_true", help="cards of the production models only")
    add(
        "--failed",
        nargs="?",
        const="build",
        choices=tuple(NODES),
        help="this node failed (build): mark what the night has so far",
    )


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Write what is asked for; without an option, the day report.

    With `--failed` pages, lists and site of an earlier run of the day say that a node of it failed.

    Raises:
        DataError: no root, no gold of asof and `--site` or `--models`, or other nights were run,
            that one never was and there are no books; `--models` without a production set.
    """
    if not args.failed:
        need_root(ports)
    if args.models:
        need(ports, "gold", args.asof)
        return publish_cards(ports, args.asof, getattr(args, "root", None))
    if args.site or not (args.failed or _tried(ports.store, args.asof)):
        need(ports, "gold", args.asof)
    withheld = withhold(ports.store, args.asof, args.failed) if args.failed else {}
    on_site = args.site or (args.failed and site_day(ports.store) == args.asof)
    night = _night(ports, args.asof, getattr(args, "root", None))
    tick(1, 4, "tables")
    words = _words(ports, night, everyone=on_site)
    tick(2, 4, "words")
    site = publish_site(ports, night, words.sentences) if on_site else {}
    tick(3, 4, "site")
    around = _around(ports, night, words)
    objects = {**withheld, **_day(ports.store, night, around), **site}
    if args.failed:
        objects |= screened_again(ports, args, tick)
    values = {
        "report": f"reports/{night.asof}/day.html",
        "site": f"site/{digest_of_site(site)}" if site else None,
        "simulated": night.simulated,
        "failed": [one.verb for one in night.failed],
        "absent": list(night.absent),
        "sentences_dropped": words.dropped,
        "words_by_template": words.fallbacks,
    }
    skipped = {"sentence_not_traced": words.dropped, "no_summary_by_model": words.fallbacks}
    return Summary(
        values=values,
        rows=len(night.now),
        skipped={reason: count for reason, count in skipped.items() if count},
        objects=objects,
    )


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    """Digests of every table, the night's lineage, the ledger export, templates, production."""
    from bft.reports.render import templates_digest

    store = ports.store
    found = dict(table_digests(store, READS, args))
    found |= {key: store.digest(key) or "" for key in _lineages(store, args.asof)}
    for key in (BOOK, DAY_KEY.format(args.asof)):
        found[key] = store.digest(key) or "absent"
    found["templates"] = templates_digest()
    found["failed"] = failures_digest(store, args.asof, node=args.failed)
    found["gate"] = digest_of(newest_gate(store, args.asof))
    if args.models:
        found["production"] = ports.state.pointer("production").set_digest or "absent"
    else:
        found["cards"] = ",".join(href for _, href in _cards(store, args.asof))
    return found


def _tried(store: Store, asof: date) -> bool:
    """Whether a step of that night was run, or of none: a day nobody asked for did not fail.

    Where there are books (`bft run close`) a day is told by them, before its night.
    """
    found = store.keys(f"failures/{asof}/") or _lineages(store, asof)
    return bool(found) or store.manifest("gold") is None or store.digest(BOOK) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Checked sentences by symbol, those shown on the page, and how many did not pass."""

    name: str
    sentences: Mapping[str, list[str]]
    shown: list[str]
    dropped: int
    fallbacks: int


def _night(ports: Ports, asof: date, root: str | None) -> "Night":
    from bft.reports.night import open_night

    since = {
        "signals": asof - timedelta(days=WINDOW_DAYS),
        "picks": asof - timedelta(days=WINDOW_DAYS),
        "forecasts": asof - timedelta(days=FORECAST_DAYS),
        "outcomes": asof - timedelta(days=FORECAST_DAYS),
        "quality": asof,
    }
    tables = {
        name: ports.store.read(name, asof=asof, since=since.get(name))
        for name in READS
        if name != "gold"
    }
    first = asof - timedelta(days=WINDOW_DAYS)
    tables["gold"] = gold_asof(ports, asof, columns=DAY_COLUMNS, since=first)
    held = origin.remembered(ports.store)
    return open_night(
        tables,
        asof=asof,
        failed=failed_steps(ports.store, asof),
        root=root,
        simulated=held is not None and held.simulated,
    )


def _words(ports: Ports, night: "Night", *, everyone: bool) -> _Words:
    """Summaries of the symbols on the page first, then (for the site) of all others."""
    from bft.reports.day import worth_words
    from bft.reports.words import checked, facts

    shown = worth_words(night)
    others = [str(symbol) for symbol in night.now.index] if everyone else []
    sentences, dropped = dict[str, list[str]](), 0
    for symbol in dict.fromkeys([*shown, *others]):
        cells = facts(night, symbol)
        said = ports.summarizer.summarize(symbol, cells)
        sentences[symbol], refused = checked(symbol, said, cells)
        dropped += refused
    return _Words(
        name=ports.summarizer.name,
        sentences=sentences,
        shown=shown,
        dropped=dropped,
        fallbacks=ports.summarizer.fallbacks,
    )


def _around(ports: Ports, night: "Night", words: _Words) -> "Around":
    from bft.reports.day import Around

    store, asof = ports.store, night.asof
    manifests = {name: store.manifest(name, asof=asof) for name in READS}
    lineage = [
        (f"table {name} of {found.asof}", found.digest)
        for name, found in manifests.items()
        if found is not None
    ]
    return Around(
        source=source_of(store, asof),
        version=version("bft"),
        sentences={symbol: words.sentences[symbol] for symbol in words.shown},
        summarizer=words.name,
        dropped=words.dropped,
        fallbacks=words.fallbacks,
        account=_kept(store, DAY_KEY.format(asof)),
        book=_kept(store, BOOK),
        lineage=lineage,
        skipped={key.split("/")[1]: _skips(store, key) for key in _lineages(store, asof)},
        named={"pull": doubted(store, asof)},
        cards=_cards(store, asof),
        held_back=_held_back(store, asof),
    )


def _held_back(store: Store, asof: date) -> list[str]:
    """Models that the newest gate did not let in, as the page says it."""
    report = newest_gate(store, asof)
    return [
        f"Model {row['name']} is held back by the gate {report['gates']} of {report['asof']}: "
        f"{'; '.join(row['why'])}. Instead: {row['instead']}."
        for row in held_back(report)
        if report
    ]


def _kept(store: Store, key: str) -> Json | None:
    found: Json | None = json.loads(store.get(key)) if store.digest(key) else None
    return found


def _day(store: Store, night: "Night", around: "Around") -> dict[str, str]:
    from bft.reports.day import day

    html, markdown = day(night, around)
    folder = f"reports/{night.asof}"
    files = {f"{folder}/day.html": html, f"{folder}/day.md": markdown}
    return {key: store.put(key, data) for key, data in files.items()}


def _lineages(store: Store, asof: date) -> list[str]:
    """Lineage of the night's other steps, but of `models`, which skips nothing.

    What it says changes when the night's own promotion has moved the pointer.
    """
    return [
        key
        for key in store.keys("lineage/")
        if key.endswith(f"/{asof}.json") and key.split("/")[1] not in {"report", "models"}
    ]


def _skips(store: Store, key: str) -> dict[str, int]:
    skipped = json.loads(store.get(key))["skipped"]
    return {reason: int(count) for reason, count in skipped.items()}


def _cards(store: Store, asof: date) -> list[tuple[str, str]]:
    """Cards of the newest model report up to asof, as links from the day report's folder."""
    keys = [
        key
        for key in store.keys("reports/models_")
        if key.endswith(".html") and key.split("/")[1] <= f"models_{asof}"
    ]
    newest = max((key.split("/")[1] for key in keys), default="")
    names = sorted(key.split("/")[2] for key in keys if key.split("/")[1] == newest)
    return [(name.removesuffix(".html"), f"../{newest}/{name}") for name in names]


STEP = Step(
    effect="replace",
    summary="Day report (HTML, Markdown), site JSON, model cards.",
    arguments=arguments,
    run=run,
    reads_newest=lambda args: not args.failed,
    inputs=inputs,
    reads=READS,
    writes=("reports/<asof>", "site", "reports/models_<asof>", "failures/<asof>"),
    outputs={
        "report": "key of the page to open",
        "site": "folder of the site's files",
        "sentences_dropped": "summary sentences with a figure that is in no table",
        "failed": "steps of the night that failed",
    },
    settings=("ollama_url", "ollama_model", "ollama_symbols", "screen_max_charts"),
    code=(
        *("steps.report", "steps.report_failed", "steps.report_models", "steps.report_site"),
        *("steps.failures", "steps.held_back", "steps.reading", "steps.screen"),
        *("reports", "features.basis"),
    ),
)
