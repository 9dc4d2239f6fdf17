"""A workflow as read from its rendered file: frozen, in the words of Argo Workflows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["container", "dag", "steps", "suspend"]
ConfigMaps = Mapping[str, Mapping[str, str]]
"""ConfigMap name -> key -> value, as a parameter file may state them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a workflow or template; `key` is (ConfigMap, key), `path` an output file."""

    name: str
    value: str | None = None
    default: str | None = None
    key: tuple[str, str] | None = None
    path: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file a step leaves for people to look at."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """An environment variable of a container; `kind` is value, configMap or secret."""

    name: str
    kind: Literal["value", "configMap", "secret"]
    value: str | None
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A command line and what it asks for."""

    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[EnvVar, ...]
    cpus: float
    memory_mb: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a failed attempt is made again; waits are wait_s * factor ** n, at most cap_s."""

    limit: int | None
    policy: str
    expression: str | None
    wait_s: float
    factor: float
    cap_s: float | None
    max_s: float | None

    def pause_s(self, attempts: int) -> float:
        """Wait after that many attempts."""
        pause = self.wait_s * self.factor ** (attempts - 1)
        return pause if self.cap_s is None else min(pause, self.cap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What a task is repeated over; exactly one is set."""

    items: tuple[object, ...] | None = None
    param: str | None = None
    count: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A node of a DAG, or a step of a list."""

    name: str
    template: str
    arguments: Mapping[str, str]
    depends: str = ""
    when: str = ""
    loop: Loop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """Named mutexes, and semaphores as (ConfigMap, key)."""

    mutexes: tuple[str, ...] = ()
    semaphores: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of work; which of container, tasks, steps or duration counts says `kind`.

    `runs_if` and `skipped_as` are its author's words for the condition of its task.
    """

    name: str
    kind: Kind
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    container: Container | None = None
    tasks: tuple[Task, ...] = ()
    target: tuple[str, ...] = ()
    fail_fast: bool = True
    steps: tuple[tuple[Task, ...], ...] = ()
    duration: str | None = None
    retry: Retry | None = None
    timeout: str | None = None
    deadline: str | None = None
    locks: Locks = Locks()
    parallelism: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    runs_if: str = ""
    skipped_as: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """When a workflow is asked to run."""

    schedules: tuple[str, ...]
    timezone: str
    start_within_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A WorkflowTemplate or Workflow, complete; `digest` is that of its file."""

    name: str
    digest: str
    entrypoint: str
    on_exit: str | None
    parameters: tuple[Parameter, ...]
    templates: Mapping[str, Template]
    deadline_s: float | None
    parallelism: int | None
    locks: Locks
    cron: Cron | None = None
