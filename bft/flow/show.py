"""How a run looks: a live tree with progress and time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bft.domain.runs import Json
from bft.flow import graph
from bft.flow.context import join
from bft.flow.expect import left_s
from bft.flow.expression import ExpressionError
from bft.flow.spec import Template, Workflow
from bft.flow.state import Listener

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

# state: sign, style; the sign says without colour what the colour says
SIGNS = {
    "waiting": ("·", "dim"),
    "queued": ("·", "dim"),
    "running": ("▸", "cyan"),
    "retrying": ("↻", "yellow"),
    "suspended": ("‖", "yellow"),
    "Succeeded": ("✓", "green"),
    "cached": ("=", "green"),
    "Skipped": ("-", "dim"),
    "Omitted": ("-", "dim"),
    "Failed": ("✗", "bold red"),
    "Error": ("✗", "bold red"),
}
_STATES = {"queued": "queued", "started": "running", "retried": "retrying"}
_STATES |= {"suspended": "suspended", "cached": "cached"}
BAR_CELLS = 12
PROGRESS_EVERY_S = 10.0
"""How often plain lines tell how far a node is."""


@dataclass
class Row:
    """One node on the screen."""

    name: str
    depth: int
    state: str = "waiting"
    note: str = ""
    since: float | None = None
    took_s: float | None = None
    done: int = 0
    total: int = 0


class Tree:
    """The nodes of a run in the order they can start, with what is known of each."""

    def __init__(self, workflow: Workflow, title: str, usual_s: Mapping[str, float]) -> None:
        self.workflow, self.title, self.usual_s = workflow, title, usual_s
        self.rows: dict[str, Row] = {}
        self.began = time.monotonic()
        self._add("", workflow.templates[workflow.entrypoint], 0)

    def _add(self, path: str, template: Template, depth: int) -> None:
        if template.kind == "dag":
            try:
                tasks = [(join(path, task.name), task) for task in graph.wanted(template)]
            except ExpressionError:
                return
        else:
            tasks = [
                (join(f"{path}[{place}]", task.name), task)
                for place, group in enumerate(template.steps)
                for task in group
            ]
        for node, task in tasks:
            self.rows[node] = Row(name=task.name, depth=depth)
            self._add(node, self.workflow.templates[task.template], depth + 1)

    def take(self, line: Json) -> None:
        """Learn from one event."""
        node, event = line["node"], line["event"]
        if not node:
            return
        row = self.rows.get(node) or self._member(node)
        row.note = str(line.get("reason") or "") if event != "queued" else row.note
        if event == "progress":
            row.done, row.total = int(line["done"]), int(line["total"])
            return
        row.state = _STATES.get(event) or str(line["phase"])
        if event == "started":
            row.since = time.monotonic()
            row.done = row.total = 0
        elif row.state not in {"queued", "running"} and row.since is not None:
            row.took_s = time.monotonic() - row.since
            row.since = None
        if row.state in {"Failed", "Error"} and line.get("exit_code") is not None:
            row.note = f"[{line['exit_code']}] {row.note}"

    def _member(self, node: str) -> Row:
        parent = node.partition("(")[0]
        depth = self.rows[parent].depth + 1 if parent in self.rows else 0
        name = node.rpartition("(")[2].rstrip(")").partition(":")[2]
        row = Row(name=name or node, depth=depth)
        mine = [path for path in self.rows if path == parent or path.startswith(parent + "(")]
        order = list(self.rows.items())
        place = next((n for n, (path, _) in enumerate(order) if mine and path == mine[-1]), None)
        order.insert(len(order) if place is None else place + 1, (node, row))
        self.rows = dict(order)
        return row

    def left_s(self) -> float | None:
        """Seconds left on the longest path, from the last good runs."""
        spent: dict[str, float] = {}
        for node, row in self.rows.items():
            if row.since is not None:
                spent[node] = time.monotonic() - row.since
            elif row.state not in {"waiting", "queued"}:
                spent[node] = float("inf")
        return left_s(self.workflow, self.usual_s, spent)

    def __rich__(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(expand=True)
        head.add_column(ratio=1)
        head.add_column(justify="right")
        left = self.left_s()
        told = clock_text(time.monotonic() - self.began)
        told += f", about {clock_text(left)} left" if left else ""
        head.add_row(Text(self.title, style="bold"), Text(told, style="dim"))
        return Group(head, self._body())

    def _state(self, node: str, row: Row) -> str:
        """State of a row; a graph or loop runs once something in it has begun."""
        if row.state != "waiting":
            return row.state
        inside = (node + ".", node + "(", node + "[")
        begun = any(
            path.startswith(inside) and other.state not in {"waiting", "queued"}
            for path, other in self.rows.items()
        )
        return "running" if begun else "waiting"

    def _body(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        body = Table.grid(padding=(0, 1), expand=True)
        body.add_column(width=1)
        body.add_column(no_wrap=True)
        body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        body.add_column(justify="right", no_wrap=True)
        for node, row in self.rows.items():
            state = self._state(node, row)
            sign, style = SIGNS[state]
            quiet = "dim" if state in {"waiting", "queued", "Skipped", "Omitted"} else ""
            name = Text("  " * row.depth + row.name, style=quiet)
            note = Text(_note(row), style=style if row.state in {"Failed", "Error"} else "dim")
            body.add_row(Text(sign, style=style), name, note, Text(_time(row), style="dim"))
        return body


def _note(row: Row) -> str:
    words = {"cached": "cached", "Skipped": "skipped", "Omitted": "omitted", "queued": "queued"}
    words |= {"retrying": "again soon:", "suspended": "suspended"}
    if row.state == "running" and row.total:
        filled = round(BAR_CELLS * min(row.done, row.total) / row.total)
        bar = "━" * filled + "─" * (BAR_CELLS - filled)
        return f"{bar} {row.done}/{row.total} {row.note}".rstrip()
    return f"{words.get(row.state, '')} {row.note}".strip()


def _time(row: Row) -> str:
    took = time.monotonic() - row.since if row.since is not None else row.took_s
    return "" if took is None else clock_text(took)


def clock_text(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `3:05`, `1:02:03`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def shown(tree: Tree, *, quiet: bool) -> Iterator[tuple[Listener, Callable[[], None]]]:
    """Yields what listens to events, and a call that clears the screen for a question."""
    if quiet:
        yield (lambda _line: None), (lambda: None)
    elif sys.stderr.isatty():
        with _live(tree) as pause:
            yield tree.take, pause
    else:
        yield Lines().take, (lambda: None)


@contextmanager
def _live(tree: Tree) -> Iterator[Callable[[], None]]:
    from rich.live import Live

    with Live(tree, console=console(), refresh_per_second=8) as live:
        yield live.stop


def show_nodes(nodes: Sequence[Json], title: str) -> None:
    """Nodes of a run that is over, or goes on elsewhere, on stderr."""
    lines = [title]
    for line in nodes:
        state = _STATES.get(line["event"]) or str(line["phase"])
        sign = SIGNS[state][0]
        code = f"[{line['exit_code']}]" if line.get("exit_code") else ""
        took = clock_text(line["seconds"]) if line.get("seconds") else ""
        parts = [sign, f"{line['node']:<30}", f"{state.lower():<10}", f"{took:>7}", code]
        lines.append(" ".join([*parts, str(line.get("reason") or "")]).rstrip())
    sys.stderr.write("\n".join(lines) + "\n")


def console() -> "Console":
    """Where people look."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


class Lines:
    """Plain lines: one for each transition, and how far a node is once in a while."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told_s: dict[str, float] = {}
        self._reasons: set[str | None] = set()

    def take(self, line: Json) -> None:
        """Tell of one event, or leave it."""
        node = line["node"]
        if line["event"] == "queued" or not node:
            return
        now, progress = self._now(), line["event"] == "progress"
        if progress and now - self._told_s.get(node, now) < PROGRESS_EVERY_S:
            return
        self._told_s[node] = now
        reason = line.get("reason")
        if line.get("leaf") is False and reason in self._reasons:
            line = {**line, "reason": None}  # of the node that failed; its graph repeats it
        self._reasons.add(reason)
        sys.stderr.write((_far if progress else _ended)(line) + "\n")
        sys.stderr.flush()


def _far(line: Json) -> str:
    told = f"{line['done']}/{line['total']}  {line.get('reason') or ''}"
    return f"{_at(line)}  {line['node']:<28}  {'running':<9}  {told}".rstrip()


def _ended(line: Json) -> str:
    event = line.get("phase") if line["event"] == "finished" else line["event"]
    code = line.get("exit_code")
    parts = [
        _at(line),
        f"{line['node']:<28}",
        f"{event or '':<9}".lower(),
        clock_text(line["seconds"]) if line.get("seconds") else "",
        f"[{code}]" if code else "",
        str(line.get("reason") or ""),
    ]
    return "  ".join(part for part in parts if part).rstrip()


def _at(line: Json) -> str:
    return f"{datetime.fromisoformat(line['at']).astimezone(UTC):%H:%M:%S}"
