"""What a run would do, found out by reading only: `bft run --dry-run`.

Walks the graph as the engine does. A node that is finished supplies its outputs; behind one that
would run, whatever hangs on its outputs is open.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bft.domain.errors import BftError
from bft.domain.runs import Json
from bft.flow import graph, wording
from bft.flow.container import found_finished, outputs_of_line
from bft.flow.context import Options, Values, join
from bft.flow.due import IN_WORDS
from bft.flow.expression import (
    ExpressionError,
    depends_on,
    fill,
    item_values,
    should_run,
    substitute,
    tags_in,
)
from bft.flow.graph import Phase, Result, error
from bft.flow.spec import Loop, Task, Template, Workflow
from bft.ports import Commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A node: cached, stale (would run), skipped, open (depends on a result), or error."""

    node: str
    state: str
    why: str
    line: str = ""
    cpus: float = 0
    memory_mb: int = 0
    expected_s: float | None = None


Ask = Callable[[list[str]], Json | None]
"""Answers a `workflow due` line, which is read-only."""


class Plan:
    """Collects the nodes of one workflow."""

    def __init__(
        self,
        workflow: Workflow,
        values: Values,
        *,
        commands: Commands,
        options: Options,
        ask: Ask,
        expected_s: Mapping[str, float],
    ) -> None:
        self._workflow, self._values, self._commands = workflow, values, commands
        self._options, self._ask, self._expected = options, ask, expected_s
        self.nodes: list[Planned] = []

    def make(self) -> list[Planned]:
        """All nodes, in the order they would start."""
        workflow = self._workflow
        self._template("", workflow.templates[workflow.entrypoint], {})
        return self.nodes

    def _template(self, path: str, template: Template, arguments: Values) -> Result | None:
        values = dict(self._values)
        for wanted in template.inputs:
            given = arguments.get(wanted.name, wanted.value or wanted.default)
            if given is not None:
                values[f"inputs.parameters.{wanted.name}"] = given
        if template.kind == "dag":
            return self._dag(path, template, values)
        if template.kind == "container":
            return self._container(path, template, values)
        if template.kind == "suspend":
            self._say(path, "open", "waits for an approval or its time")
            return None
        for place, group in enumerate(template.steps):
            for task in group:
                self._task(f"{path}[{place}]", task, values)
        return None

    def _dag(self, path: str, template: Template, values: Values) -> Result | None:
        results: dict[str, Result] = {}
        idle: dict[str, Result] = {}  # what an unfinished node comes to if it need not run
        for task in graph.wanted(template):
            node, after = join(path, task.name), [p for p in depends_on(task.depends) if p in idle]
            if graph.ready(task, results) is False:
                results[task.name] = Result(phase=Phase.OMITTED)
                self._say(node, "omitted", wording.omitted(task.depends, results))
                continue
            if _hinges(task, results, {name: idle[name] for name in after}):
                self._say(node, "open", wording.waits_for(task.depends))
                idle[task.name] = Result(phase=Phase.OMITTED)
                continue
            scope = dict(values)
            for name, result in results.items():
                scope |= graph.output_values(name, result)
            found = self._task(path, task, scope, after=after)
            if found is None:
                idle[task.name] = self._idle(node, task)
            else:
                results[task.name] = found
        return None if idle else Result(phase=graph.dag_phase(template, results))

    def _idle(self, node: str, task: Task) -> Result:
        last = self.nodes[-1]
        may = last.node == node and last.state == "open" and (task.when or task.loop)
        return Result(phase=Phase.SKIPPED if may else Phase.SUCCEEDED)

    def _task(
        self, path: str, task: Task, values: Values, *, after: list[str] | None = None
    ) -> Result | None:
        node = join(path, task.name)
        when = substitute(task.when, values)
        open_tags = [tag for tag in tags_in(when) if tag.startswith(("tasks.", "steps."))]
        if open_tags:
            self._say(node, "open", wording.waits_for_value(task, self._of(task)))
            return None
        try:
            if task.loop is None:
                return self._member(node, task, values, after)
            return self._loop(node, task, when, values, after)
        except ExpressionError as fault:
            self._say(node, "error", str(fault))
            return error(str(fault))

    def _loop(
        self, node: str, task: Task, when: str, values: Values, after: list[str] | None
    ) -> Result | None:
        loop = task.loop or Loop()
        source = str(loop.param or loop.count or "")
        if tags_in(substitute(source, values)):
            self._say(node, "open", wording.waits_for_value(task, self._of(task)))
            return None
        items = graph.items_of(loop, when, values)
        if not items:
            self._say(node, "skipped", wording.empty(task, self._of(task)))
            return Result(phase=Phase.SKIPPED)
        members = [
            self._member(name, task, values | item_values(item), after)
            for name, item in graph.expanded(node, items)
        ]
        known = [member for member in members if member is not None]
        if len(known) < len(members):
            return None
        return Result(phase=graph.group_phase(known), members=tuple(known))

    def _member(
        self, node: str, task: Task, values: Values, after: list[str] | None
    ) -> Result | None:
        template = self._of(task)
        if not should_run(substitute(task.when, values)):
            self._say(node, "skipped", wording.skipped(task, template, values))
            return Result(phase=Phase.SKIPPED)
        arguments = {name: substitute(text, values) for name, text in task.arguments.items()}
        if after and template.kind == "container":
            self._stale(node, template, arguments, f"after {', '.join(after)}")
            return None
        return self._template(node, template, arguments)

    def _of(self, task: Task) -> Template:
        return self._workflow.templates[task.template]

    def _container(self, path: str, template: Template, values: Values) -> Result | None:
        container = template.container
        if container is None:
            return None
        try:
            args = [fill(arg, {**values, "retries": "0"}) for arg in container.args]
        except ExpressionError as fault:
            self._say(path, "open", str(fault))
            return None
        if args[:2] == ["workflow", "due"]:
            return self._judge(path, template, args)
        found = (
            None if self._options.forces(path) else found_finished(self._commands, template, args)
        )
        if found is not None:
            self._say(path, "cached", "finished, and its outputs are there", args=args)
            return found
        self._say(path, "stale", self._why(path, args), args=args, template=template)
        return None

    def _judge(self, path: str, template: Template, args: list[str]) -> Result | None:
        line = self._ask(args)
        if line is None:
            self._say(path, "error", "the guard does not answer", args=args)
            return None
        reason = str(line.get("reason"))
        self._say(path, "judged", IN_WORDS.get(reason, reason), args=args)
        outputs = outputs_of_line(template, line)
        return Result(phase=Phase.SUCCEEDED, outputs=outputs or {})

    def _why(self, path: str, args: list[str]) -> str:
        if self._options.forces(path):
            return "asked for"
        try:
            return self._commands.stale_because(args)
        except BftError as fault:
            return str(fault)

    def _stale(self, node: str, template: Template, arguments: Values, why: str) -> None:
        values = self._values | {
            f"inputs.parameters.{name}": text for name, text in arguments.items()
        }
        args = [substitute(arg, values) for arg in template.container.args]  # type: ignore[union-attr]
        self._say(node, "stale", why, args=args, template=template)

    def _say(
        self,
        node: str,
        state: str,
        why: str,
        *,
        args: list[str] | None = None,
        template: Template | None = None,
    ) -> None:
        asks = template.container if template else None
        self.nodes.append(
            Planned(
                node=node,
                state=state,
                why=why,
                line=json.dumps(args) if args else "",
                cpus=asks.cpus if asks else 0,
                memory_mb=asks.memory_mb if asks else 0,
                expected_s=self._expected.get(node.partition("(")[0]),
            )
        )


def _hinges(task: Task, results: Mapping[str, Result], idle: Mapping[str, Result]) -> bool:
    """Whether a node is there for a failure, or for a parent that may not run itself."""
    well = {name: Result(phase=Phase.SUCCEEDED) for name in idle}
    if graph.ready(task, {**results, **well}) is False:
        return True
    if task.when or task.loop:  # which says more
        return False
    return graph.ready(task, {**results, **idle}) is False
