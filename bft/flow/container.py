"""A container node: found finished, or tried until it succeeds or may not be tried again."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bft.domain.errors import BftError, ConfigError
from bft.domain.runs import Json
from bft.flow.context import Context, Values, last_name, stopped
from bft.flow.expression import ExpressionError, as_text, fill, should_retry
from bft.flow.graph import Phase, Result, error
from bft.flow.node import Child, Ended
from bft.flow.quantity import seconds
from bft.flow.spec import Container, EnvVar, Parameter, Retry, Template
from bft.ports import Commands

NOT_STARTED = Ended(exit_code=None, line=None, message="", seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One container node; `end` is the instant (monotonic) its template's timeout is up."""

    path: str
    template: Template
    container: Container
    values: Values
    end: float | None


def run_container(run: Context, job: Job) -> Result:
    """The node's result; recorded."""
    path, done = job.path, run.finished(job.path)
    if done is not None and not run.forced(path):
        return run.over(path, done, event="cached")
    try:
        args = [fill(arg, {**job.values, "retries": "0"}) for arg in job.container.args]
    except ExpressionError as fault:
        return run.over(path, error(str(fault)))
    found = None if run.forced(path) else found_finished(run.commands, job.template, args)
    if found is not None:
        return run.over(path, found, event="cached")
    only = run.options.only
    if only and last_name(path) != only and args[:1] != ["workflow"]:
        return run.over(path, Result(phase=Phase.OMITTED, reason=f"not asked for (--only {only})"))
    return _attempts(run, job)


def found_finished(commands: Commands, template: Template, args: Sequence[str]) -> Result | None:
    """The result of an equal finished call whose outputs are all there, or None."""
    try:
        line = commands.cached(args) if args else None
    except BftError:
        return None  # the child says it better
    outputs = None if line is None else outputs_of_line(template, line)
    if outputs is None:
        return None
    return Result(phase=Phase.SUCCEEDED, outputs=outputs, cached=True, exit_code=0)


def outputs_of_line(template: Template, line: Json) -> dict[str, str] | None:
    """Declared outputs as text, from a JSON line; None where one is missing."""
    outputs = {}
    for wanted in template.outputs:
        key = Path(wanted.path or "").name
        if key not in line:
            return None
        outputs[wanted.name] = as_text(line[key])
    return outputs


def _attempts(run: Context, job: Job) -> Result:
    retry, attempt, began = job.template.retry, 0, time.monotonic()
    while True:
        result, ended = _attempt(run, job, attempt)
        took = round(time.monotonic() - began, 3)
        about = {"attempt": attempt, "seconds": took}
        if not result.phase.bad or retry is None or run.halted(job.end):
            return run.over(job.path, result, more=about)
        attempt += 1
        try:
            again = _again(retry, result, ended, attempt, took)
        except ExpressionError as fault:
            return run.over(job.path, error(str(fault)), more=about)
        if not again:
            return run.over(job.path, result, more=about)
        pause_s, code = retry.pause_s(attempt), result.exit_code
        run.journal.note(
            "retried",
            job.path,
            leaf=True,
            attempt=attempt,
            exit_code=code,
            reason=result.reason,
            seconds=pause_s,
        )
        if _pause(run, pause_s, job.end):
            return run.over(job.path, stopped(run.halted(job.end)), more=about)


def _again(retry: Retry, result: Result, ended: Ended, attempts: int, took_s: float) -> bool:
    """May it be tried again after that many attempts?"""
    spent = retry.max_s is not None and took_s + retry.pause_s(attempts) > retry.max_s
    policy = retry.policy == "Always" or (retry.policy == "OnFailure") is (
        result.phase is Phase.FAILED
    )
    if spent or not policy or (retry.limit is not None and attempts > retry.limit):
        return False
    last = {
        "exitCode": str(-1 if ended.exit_code is None else ended.exit_code),
        "status": str(result.phase),
        "duration": str(int(ended.seconds)),
        "message": result.reason,
    }
    return retry.expression is None or should_retry(retry.expression, last)


def _pause(run: Context, pause_s: float, end: float | None) -> bool:
    left_s = pause_s if end is None else min(pause_s, max(0.0, end - time.monotonic()))
    return run.stop.wait(left_s) or run.halted(end) is not None


def _attempt(run: Context, job: Job, attempt: int) -> tuple[Result, Ended]:
    run.journal.note("queued", job.path, attempt=attempt)
    with run.room.hold(job.container, lambda: run.halted(job.end) is not None) as got:
        if not got:
            return stopped(run.halted(job.end)), NOT_STARTED
        values = {**job.values, "retries": str(attempt)}
        name = f"{job.path}({attempt})" if job.template.retry else job.path
        try:
            limit_s = seconds(fill(job.template.deadline or "inf", values))
            child = _child(run, job, name, values)
        except (ExpressionError, ConfigError) as fault:
            return error(str(fault)), NOT_STARTED
        large = run.room.too_large(job.container)
        warned = f"larger than this machine ({large}), so it runs alone" if large else None
        run.journal.note("started", job.path, leaf=True, attempt=attempt, reason=warned)
        run.started.add(job.path)
        with _work(child):
            ended = _follow(run, job, child, limit_s)
            return _judged(run, job, child, ended, name), ended


@contextmanager
def _work(child: Child) -> Iterator[None]:
    try:
        yield
    finally:
        child.forget()


def _follow(run: Context, job: Job, child: Child, limit_s: float) -> Ended:
    limit = time.monotonic() + limit_s

    def halted() -> str | None:
        return "deadline" if time.monotonic() > limit else run.halted(job.end)

    def tick(done: int, total: int, note: str) -> None:
        run.journal.note("progress", job.path, done=done, total=total, reason=note)

    return child.run(tick, halted)


def _child(run: Context, job: Job, name: str, values: Values) -> Child:
    args = [fill(arg, values) for arg in job.container.args]
    fresh = [args[0], "--fresh", *args[1:]] if args and run.forced(job.path) else None
    if fresh and run.commands.refuse(fresh) is None:
        args = fresh
    command = job.container.command
    file = name.replace("/", "_")
    return Child(
        [*(run.options.prefix if command == ("bft",) else command), *args],
        env=_environment(job.container.env, run.options.env, values),
        work=run.journal.folder / "work" / file,
        log=run.journal.folder / "logs" / f"{file}.log",
        pipe=run.pipe,
    )


def _environment(
    wanted: Sequence[EnvVar], inherited: Mapping[str, str], values: Values
) -> dict[str, str]:
    env = dict(inherited)
    for variable in wanted:
        if variable.kind == "value":
            env[variable.name] = fill(variable.value or "", values)
        elif variable.name not in env and not variable.optional:
            raise ConfigError(
                f"{variable.name}: a {variable.kind} gives it on a cluster; here the environment "
                f"must: export {variable.name}=..."
            )
    return env


def _judged(run: Context, job: Job, child: Child, ended: Ended, name: str) -> Result:
    code = ended.exit_code
    if code is None:
        return Result(phase=Phase.ERROR, exit_code=-1, reason=ended.message)
    if ended.halted:
        return Result(phase=Phase.FAILED, exit_code=code, reason=ended.halted)
    if code != 0:
        reason = ended.message or str((ended.line or {}).get("error") or "")
        return Result(phase=Phase.FAILED, exit_code=code, reason=reason)
    outputs, missing = _outputs(job.template.outputs, child.outputs)
    if missing:
        reason = f"it left no output {missing[0]}"
        return Result(phase=Phase.ERROR, exit_code=64, reason=reason)
    for artifact in job.template.artifacts:
        source = child.outputs / Path(artifact.path).name
        if source.exists():
            folder = run.journal.folder / "artifacts" / name.replace("/", "_")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.move(source, folder / artifact.name)
    return Result(phase=Phase.SUCCEEDED, outputs=outputs, exit_code=0)


def _outputs(wanted: Sequence[Parameter], made: Path) -> tuple[dict[str, str], list[str]]:
    found, missing = {}, []
    for parameter in wanted:
        file = made / Path(parameter.path or "").name
        if file.is_file():
            found[parameter.name] = file.read_text("utf-8").removesuffix("\n")
        elif parameter.default is not None:
            found[parameter.name] = parameter.default
        else:
            missing.append(parameter.name)
    return found, missing
