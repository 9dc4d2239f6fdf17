"""`bft run --dry-run`: gathers the plan of a run and shows it as a table."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from bft.domain.runs import Json
from bft.flow.context import Options
from bft.flow.node import json_line
from bft.flow.plan import Plan, Planned
from bft.flow.show import clock_text, console
from bft.flow.spec import Workflow
from bft.ports import Ports

STYLES = {"cached": "green", "stale": "yellow", "error": "bold red"}


def planned(
    ports: Ports,
    workflow: Workflow,
    values: Mapping[str, str],
    options: Options,
    usual_s: Mapping[str, float],
) -> list[Planned]:
    """Every node with its state; reads only."""

    def ask(line: list[str]) -> Json | None:
        done = subprocess.run(  # noqa: S603  argv comes from the rendered workflow
            [*options.prefix, *line], stdout=subprocess.PIPE, check=False, env=dict(options.env)
        )
        return json_line(done.stdout)

    plan = Plan(
        workflow,
        dict(values),
        commands=ports.commands,
        options=options,
        ask=ask,
        expected_s=usual_s,
    )
    return plan.make()


def show_plan(rows: Sequence[Planned]) -> None:
    """A table on stderr."""
    if not sys.stderr.isatty():
        for row in rows:
            sys.stderr.write(f"{row.node:<28}  {row.state:<8}  {row.why}\n")
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    for name in ("node", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1)
    table.add_column("asks", justify="right", no_wrap=True)
    table.add_column("usually", justify="right", no_wrap=True)
    for row in rows:
        asks = f"{row.cpus:g} cpu {row.memory_mb / 1024:.1f} GiB" if row.memory_mb else ""
        usual = clock_text(row.expected_s) if row.expected_s else ""
        style = STYLES.get(row.state, "dim")
        table.add_row(row.node, f"[{style}]{row.state}[/]", row.why, asks, usual)
    console().print(table)
