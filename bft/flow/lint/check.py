"""All rules over a set of files, waivers applied."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bft.domain import forecast, gold, market, trading
from bft.flow.lint import commands as lines
from bft.flow.lint import fields, graph, pods, values
from bft.flow.lint.document import Document, Place, Problem, mapping, read
from bft.ports import Commands

WARNINGS = frozenset({"WF012", "WF020", "WF049", "WF060"})
RULES = tuple(f"WF{n:03d}" for n in range(1, 61))
ORDER_VERBS = frozenset({"execute", "close"})
WAIVER = "bft.dev/waive"
_TABLES = frozenset(
    table.name
    for table in (
        *market.RAW_TABLES,
        gold.GOLD,
        market.GOLD_TARGETS,
        market.QUALITY,
        forecast.FORECASTS,
        trading.SIGNALS,
        trading.PICKS,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One problem: where it is, what is wrong, how to fix it."""

    file: str
    line: int
    id: str
    severity: str
    path: str
    what: str
    fix: str


def lint(paths: Sequence[Path], *, commands: Commands, profile: str = "laptop") -> list[Finding]:
    """Findings of rendered workflow files, by file and line.

    Raises:
        ConfigError: a file is absent or no YAML.
    """
    documents = [document for path in paths for document in read(path)]
    folder = {
        str(mapping(d.body.get("metadata")).get("name")): [
            str(template.get("name")) for _, template in d.templates()
        ]
        for d in documents
    }
    scheduled = frozenset(d.name for d in documents if d.kind == "CronWorkflow")
    found: list[Finding] = []
    for document in documents:
        waivers = _waivers(document)
        kept = waivers.apply(_errors(document, folder, scheduled, commands))
        complete = not kept  # of a file with errors, warnings would mostly repeat them
        if complete:
            kept = waivers.apply(_warnings(document, profile))
        kept += waivers.idle(complete=complete)
        found += [_finding(document, problem) for problem in kept]
    return sorted(found)


def _errors(
    document: Document,
    folder: dict[str, list[str]],
    scheduled: frozenset[str],
    commands: Commands,
) -> Iterator[Problem]:
    wrong = list(fields.check_fields(document))
    yield from wrong
    if any(rule in {"WF002", "WF003"} for rule, *_ in wrong):
        return  # the other rules read what these have found broken
    shape = [
        *graph.names(document),
        *graph.duplicates(document),
        *graph.entry(document),
        *graph.references(document, folder),
        *graph.edges(document),
    ]
    yield from shape
    if not shape:
        yield from graph.skipped(document)
        yield from graph.fans(document)
        yield from lines.guarded(document, scheduled, commands)
    yield from values.undeclared(document)
    yield from values.read_outputs(document)
    yield from values.made_outputs(document, lines.verb_outputs(document, commands))
    yield from values.supplied(document)
    yield from values.loops(document)
    yield from values.expressions(document)
    yield from values.defaults(document)
    yield from lines.command_lines(document, commands)
    yield from lines.retries(document)
    yield from lines.handlers(document, commands)
    yield from lines.locks(document, commands, _TABLES)
    yield from lines.secrets(document)
    yield from pods.limits(document)
    yield from pods.cleaning(document)
    yield from pods.accounts(document)
    yield from pods.security(document)
    yield from pods.host(document)
    yield from pods.bounded(document)
    yield from pods.placement(document, ORDER_VERBS)
    yield from pods.volumes(document)
    yield from pods.schedules(document)
    yield from pods.rendered(document)


def _warnings(document: Document, profile: str) -> Iterator[Problem]:
    yield from graph.unreached(document)
    yield from graph.pods(document)
    yield from values.unused(document)
    yield from pods.oversized(document, profile)


@dataclass(slots=True)
class _Waiver:
    place: Place
    rule: str
    reason: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Waivers:
    """Waivers of a document's templates; each covers one rule inside its template."""

    rows: tuple[_Waiver, ...]

    def apply(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems that no waiver with a reason covers."""
        return [problem for problem in problems if not self._covers(problem)]

    def idle(self, *, complete: bool) -> list[Problem]:
        """Waivers without reason, or without effect (where all rules were looked at)."""
        odd = []
        for row in self.rows:
            looked = complete or row.rule not in WARNINGS
            if not row.reason or (looked and not row.used):
                lacks = "effect" if row.reason else "a reason"
                where = (*row.place, "metadata", "annotations", WAIVER)
                fix = "delete it, or write `WF0xx reason`"
                odd.append(("WF059", where, f"waiver of {row.rule} without {lacks}", fix))
        return odd

    def _covers(self, problem: Problem) -> bool:
        for row in self.rows:
            inside = problem[1][: len(row.place)] == row.place
            if row.reason and problem[0] == row.rule and inside:
                row.used = True
                return True
        return False


def _waivers(document: Document) -> _Waivers:
    rows = []
    for place, template in document.templates():
        note = mapping(mapping(template.get("metadata")).get("annotations")).get(WAIVER)
        if note is not None:
            rule, _, reason = str(note).partition(" ")
            rows.append(_Waiver(place, rule, reason.strip()))
    return _Waivers(tuple(rows))


def _finding(document: Document, problem: Problem) -> Finding:
    rule, place, what, fix = problem
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return Finding(
        file=document.file,
        line=document.line(place),
        id=rule,
        severity="warning" if rule in WARNINGS else "error",
        path=path.lstrip(".") or document.kind,
        what=what,
        fix=fix,
    )
