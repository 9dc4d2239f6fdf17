"""Runs a workflow here: its graph as Argo reads it, one child process per container.

Each DAG, list of steps and loop waits for the threads it started; a container waits for its
locks, then for room, then for its child. `Context.stop` ends all of them.
"""

import json
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bft.domain.errors import ConfigError
from bft.flow import graph, locks, wording
from bft.flow.container import Job, run_container
from bft.flow.context import Context, Crew, Options, Stop, Values, join, stopped
from bft.flow.expression import (
    ExpressionError,
    depends_on,
    fill,
    item_values,
    should_run,
    substitute,
)
from bft.flow.graph import Phase, Result, error
from bft.flow.node import Pipe
from bft.flow.quantity import seconds
from bft.flow.spec import Task, Template, Workflow
from bft.flow.state import Journal
from bft.ports import Commands

KEPT_CODES = frozenset({2, 65, 75, 77, 78})


class Engine:
    """One run of one workflow."""

    def __init__(
        self,
        workflow: Workflow,
        values: Values,
        *,
        journal: Journal,
        commands: Commands,
        options: Options,
        root: Path,
    ) -> None:
        every = [workflow.locks, *(t.locks for t in workflow.templates.values())]
        self.run = Context(
            workflow=workflow,
            values=dict(values),
            journal=journal,
            commands=commands,
            options=options,
            locks=locks.Synchronization(root / "locks", every, options.limits),
            room=locks.machine(options.jobs),
            pipe=Pipe(),
        )
        self.stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """End the run early, exit handler excepted."""
        self.stop_reason = self.stop_reason or reason
        self.run.stop.now(reason)

    def execute(self) -> Result:
        """The entrypoint, then the exit handler; its failure makes the run Failed."""
        run, began = self.run, time.monotonic()
        clock = threading.Timer(run.workflow.deadline_s or 0, self.stop, ("deadline",))
        clock.daemon = True
        if run.workflow.deadline_s:
            clock.start()
        try:
            with run.locks.hold(run.workflow.locks, lambda: run.stop.reason is not None):
                result = self._template("", run.workflow.templates[run.workflow.entrypoint], {})
            clock.cancel()
            if run.stop.reason:
                result = stopped(run.stop.reason)
            if result.phase is Phase.SUSPENDED:
                return result
            return self._farewell(result, time.monotonic() - began)
        finally:
            clock.cancel()
            run.pipe.close()
            shutil.rmtree(run.journal.folder / "work", ignore_errors=True)

    def _farewell(self, result: Result, took_s: float) -> Result:
        run = self.run
        if run.workflow.on_exit is None:
            return result
        run.stop = Stop()  # the handler runs whatever ended the rest
        run.values |= {
            "workflow.status": str(result.phase),
            "workflow.failures": json.dumps(run.failures, separators=(",", ":")),
            "workflow.duration": f"{took_s:.6f}",
        }
        run.forget("onExit")  # of how the earlier part ended
        last = self._template("onExit", run.workflow.templates[run.workflow.on_exit], {})
        if last.phase.bad and not result.phase.bad:
            reason = f"onExit: {last.reason}"
            return Result(phase=Phase.FAILED, exit_code=last.exit_code, reason=reason)
        return result

    # --- templates -----------------------------------------------------------------------------

    def _template(self, path: str, template: Template, arguments: Values) -> Result:
        run = self.run
        try:
            values = self._inputs(template, arguments)
            limit_s = seconds(fill(template.timeout or "inf", values))
        except (ExpressionError, ConfigError) as fault:
            return run.over(path, error(str(fault)))
        end = time.monotonic() + limit_s
        with run.locks.hold(template.locks, lambda: run.halted(end) is not None) as got:
            if not got:
                return run.over(path, stopped(run.halted(end)))
            if template.container is not None:
                job = Job(
                    path=path,
                    template=template,
                    container=template.container,
                    values=values,
                    end=end,
                )
                return run_container(run, job)
            graphs = {"dag": self._dag, "steps": self._steps, "suspend": self._suspend}
            return graphs[template.kind](path, template, values)

    def _inputs(self, template: Template, arguments: Values) -> dict[str, str]:
        values = dict(self.run.values)
        for wanted in template.inputs:
            given = arguments.get(wanted.name, wanted.value)
            given = wanted.default if given is None else given
            if given is None:
                raise ExpressionError(f"input {wanted.name} of {template.name} has no value")
            values[f"inputs.parameters.{wanted.name}"] = given
        return values

    def _outputs(self, template: Template, values: Values) -> Result:
        try:
            outputs = {p.name: fill(p.reference, values) for p in template.outputs if p.reference}
        except ExpressionError as fault:
            return error(f"outputs of {template.name}: {fault}")
        return Result(phase=Phase.SUCCEEDED, outputs=outputs)

    # --- graphs --------------------------------------------------------------------------------

    def _dag(self, path: str, template: Template, values: Values) -> Result:
        run = self.run
        try:
            order = graph.wanted(template)
        except ExpressionError as fault:
            return run.over(path, error(str(fault)), leaf=False)
        results: dict[str, Result] = {}
        crew, waiting, asleep = Crew(run.stop), list(order), False
        self._start_ready(path, waiting, results, values, crew)
        while crew.active:
            name, result = crew.next()
            if result.phase is Phase.SUSPENDED:
                asleep = True
            else:
                results[name] = result
            self._start_ready(path, waiting, results, values, crew)
        if run.stop.reason:
            return run.over(path, stopped(run.stop.reason), leaf=False)
        if asleep:
            return Result(phase=Phase.SUSPENDED)
        return run.over(path, self._dag_result(template, order, results, values), leaf=False)

    def _start_ready(
        self,
        path: str,
        waiting: list[Task],
        results: dict[str, Result],
        values: Values,
        crew: Crew,
    ) -> None:
        moved = True
        while moved and not self.run.stop.reason:
            moved = False
            for task in list(waiting):
                may = graph.ready(task, results)
                if may is None:
                    continue
                waiting.remove(task)
                if may:
                    parents = [join(path, name) for name in depends_on(task.depends)]
                    self.run.starts_after(parents, join(path, task.name))
                    crew.start(task.name, self._task, path, task, values | _upstream(results))
                    continue
                moved = True
                omitted = Result(phase=Phase.OMITTED, reason=wording.omitted(task.depends, results))
                results[task.name] = self.run.over(join(path, task.name), omitted)

    def _dag_result(
        self, template: Template, order: Sequence[Task], results: dict[str, Result], values: Values
    ) -> Result:
        phase = graph.dag_phase(template, results)
        if not phase.bad:
            return self._outputs(template, values | _upstream(results))
        first = next(r for r in (results[task.name] for task in order) if r.phase.bad)
        return Result(phase=phase, exit_code=first.exit_code, reason=first.reason)

    def _steps(self, path: str, template: Template, values: Values) -> Result:
        run = self.run
        scope = dict(values)
        for place, group in enumerate(template.steps):
            crew = Crew(run.stop)
            for task in group:
                crew.start(task.name, self._task, f"{path}[{place}]", task, dict(scope))
            done = crew.all()
            if run.stop.reason:
                return run.over(path, stopped(run.stop.reason), leaf=False)
            if any(result.phase is Phase.SUSPENDED for result in done.values()):
                return Result(phase=Phase.SUSPENDED)
            bad = [done[task.name] for task in group if done[task.name].phase.bad]
            if bad:
                code, reason = bad[0].exit_code, bad[0].reason
                failed = Result(phase=Phase.FAILED, exit_code=code, reason=reason)
                return run.over(path, failed, leaf=False)
            scope |= _upstream(done, prefix="steps")
        return run.over(path, self._outputs(template, scope), leaf=False)

    # --- tasks ---------------------------------------------------------------------------------

    def _task(self, path: str, task: Task, values: Values) -> Result:
        node, when = join(path, task.name), substitute(task.when, values)
        if task.loop is None:
            return self._member(node, task, values)
        try:
            items = graph.items_of(task.loop, when, values)
        except ExpressionError as fault:
            return self.run.over(node, error(str(fault)))
        if not items:
            reason = wording.empty(task, self.run.workflow.templates[task.template])
            return self.run.over(node, Result(phase=Phase.SKIPPED, reason=reason))
        crew, names = Crew(self.run.stop), []
        for name, item in graph.expanded(node, items):
            crew.start(name, self._member, name, task, values | item_values(item))
            names.append(name)
        done = crew.all()
        return self._group(node, [done[name] for name in names])

    def _group(self, node: str, members: Sequence[Result]) -> Result:
        if any(member.phase is Phase.SUSPENDED for member in members):
            return Result(phase=Phase.SUSPENDED)
        first = next((m for m in members if m.phase.bad), None)
        result = Result(
            phase=graph.group_phase(members),
            members=tuple(members),
            exit_code=first.exit_code if first else 0,
            reason=first.reason if first else "",
        )
        return self.run.over(node, result, leaf=False)

    def _member(self, node: str, task: Task, values: Values) -> Result:
        template = self.run.workflow.templates[task.template]
        try:
            if not should_run(substitute(task.when, values)):
                reason = wording.skipped(task, template, values)
                return self.run.over(node, Result(phase=Phase.SKIPPED, reason=reason))
            arguments = {name: fill(text, values) for name, text in task.arguments.items()}
        except ExpressionError as fault:
            return self.run.over(node, error(str(fault)))
        return self._template(node, template, arguments)

    def _suspend(self, path: str, template: Template, values: Values) -> Result:
        run, done = self.run, self.run.options.finished.get(path)
        if done is not None:
            return run.over(path, done, event="cached")
        try:
            wait_s = seconds(fill(template.duration, values)) if template.duration else None
        except (ExpressionError, ConfigError) as fault:
            return run.over(path, error(str(fault)))
        run.journal.note("suspended", path, leaf=True, seconds=wait_s)
        locks.arrive()
        who = run.options.approve(path, wait_s)
        if who is None and wait_s is None:
            return Result(phase=Phase.SUSPENDED)
        if who is None and run.stop.wait(wait_s or 0):
            return run.over(path, stopped(run.stop.reason))
        reason = f"approved by {who}" if who else f"{wait_s:g} s are over"
        return run.over(path, Result(phase=Phase.SUCCEEDED, reason=reason))


def _upstream(results: Mapping[str, Result], *, prefix: str = "tasks") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, result in results.items():
        found |= graph.output_values(name, result, prefix=prefix)
    return found


def exit_code(result: Result, stop_reason: str | None) -> int:
    """Exit code of a run: 0, its first failure's, 75 if lost or out of time, 130 on Ctrl-C."""
    if stop_reason == "interrupted":
        return 130
    if not result.phase.bad:
        return 0
    code = result.exit_code
    return code if code in KEPT_CODES else 75 if code is None or code < 0 or code > 128 else 1
