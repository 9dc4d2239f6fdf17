"""What all workflows share: pod classes, retries, security, parameters (platform spec, 1.1, 1.5).

A program says what its nodes do; one pre-build hook adds what every container carries.
"""

from collections.abc import Sequence

from hera.shared import register_pre_build_hook
from hera.workflows import (
    DAG,
    Container,
    CronWorkflow,
    EmptyDirVolume,
    Env,
    Parameter,
    RetryStrategy,
    SecretVolume,
    Task,
    WorkflowTemplate,
)
from hera.workflows import models as m


def given(name: str) -> str:
    """Reference to a workflow parameter."""
    return "{{workflow.parameters." + name + "}}"


def handed(name: str) -> str:
    """Reference to an input parameter of the template."""
    return "{{inputs.parameters." + name + "}}"


def output(task_name: str, key: str) -> str:
    """Reference to an output parameter of a task."""
    return "{{tasks." + task_name + ".outputs.parameters." + key + "}}"


ROOT = f"--root {given('root')}"
ASOF = handed("asof")
AR = f"--asof {ASOF} {ROOT}"

DEFAULTS = {
    "root": "./data",
    "image": "bft:dev",
    "image-train": "bft-train:dev",
    "source": "sim",
    "model-profile": "demo",
    "compute": "auto",
    "gates": "paper",
    "gates-first": "bootstrap",
    "approvals": "none",
    "quorum": "6",
    "must": "reg_3d,reg_10d,reg_30d",
    "mode": "paper",
    "positions": "none",
    "models": '["all"]',
    "pod-light": "{}",
    "pod-heavy": "{}",
    "pod-score": "{}",
    "pod-train": "{}",
}
"""Parameters an installation sets in ConfigMap bft-workflow, with the value used without one."""

# class: requests and limits of cpu and memory, scratch, account, parameter with a pod patch
PODS = {
    "tiny": ("100m", "500m", "128Mi", "256Mi", "64Mi", "bft-step", None),
    "order": ("100m", "500m", "128Mi", "256Mi", "64Mi", "bft-order", None),
    "light": ("500m", "2", "1Gi", "2Gi", "2Gi", "bft-step", "pod-light"),
    "heavy": ("1", "2", "3584Mi", "4Gi", "8Gi", "bft-step", "pod-heavy"),
    "score": ("1", "2", "3Gi", "4Gi", "2Gi", "bft-train", "pod-score"),
    "train": ("2", "4", "4608Mi", "6Gi", "16Gi", "bft-train", "pod-train"),
}
RETRIES = {"P": (3, 10), "T": (5, 30)}  # limit, first wait in seconds; doubled each time
RETRY_WHEN = (
    '(lastRetry.status == "Error" || asInt(lastRetry.exitCode) in [-1, 75, 137, 143])'
    ' && not (lastRetry.message contains "OOM")'
)
USER = 10001


def retry(limit: int, wait_s: int, factor: int = 2) -> RetryStrategy:
    """Retry what waiting can heal: lost pods, 75, kills; not 2, 65, 77, 78 nor OOM."""
    wait = m.Backoff(duration=f"{wait_s}s", factor=m.IntOrString(root=factor))
    return RetryStrategy(limit=limit, retry_policy="Always", expression=RETRY_WHEN, backoff=wait)


def chain(*lines: str) -> list[str]:
    """Several command lines in one pod; a word a row, so that no value of a tag is cut in two."""
    return ["chain", *("\n".join(line.split()) for line in lines)]


def step(  # noqa: PLR0913  the columns of the specification's node tables
    name: str,
    args: str | list[str],
    *,
    effect: str,
    retries: str | tuple[int, int, int],
    pod: str,
    limits: tuple[str, int],
    inputs: Sequence[str] = ("asof",),
    outputs: Sequence[str] = (),
    lock: str | m.Synchronization | None = None,
    says: tuple[str, str] | None = None,
    waive: str | None = None,
) -> Container:
    """One command line in a pod; `limits` are (timeout with Pending, seconds of running).

    `says` are the words for its task's condition, see `condition`.
    """
    first = RETRIES.get(retries, ()) if isinstance(retries, str) else retries
    labels = {"bft.dev/node": name, "bft.dev/class": effect, "bft.dev/pod": pod}
    if "asof" in inputs:
        labels["bft.dev/asof"] = ASOF
    mutex = m.Synchronization(mutexes=[m.Mutex(name=lock)]) if isinstance(lock, str) else lock
    return Container(
        name=name,
        args=args.split() if isinstance(args, str) else args,
        inputs=[Parameter(name=key) for key in inputs],
        outputs=[
            Parameter(name=key, value_from=m.ValueFrom(path=f"/bft/out/{key}")) for key in outputs
        ],
        labels=labels,
        annotations=({"bft.dev/waive": waive} if waive else {}) | condition(says) or None,
        retry_strategy=retry(*first) if first else None,
        env=[Env(name="BFT_RETRY_WAIT_S", value=str(first[1]))] if first else [],
        timeout=limits[0],
        active_deadline_seconds=limits[1],
        synchronization=mutex,
    )


def condition(says: tuple[str, str] | None) -> dict[str, str]:
    """How people are told of a task's condition: it runs if (...), it was skipped as (...)."""
    return dict(zip(("bft.dev/runs-if", "bft.dev/skipped-as"), says or (), strict=False))


@register_pre_build_hook
def conventions(container: Container) -> Container:
    """Image, resources, placement, account and restrictions of the container's pod class."""
    pod = container.labels.pop("bft.dev/pod")
    cpu, cpu_limit, memory, memory_limit, scratch, account, patch = PODS[pod]
    large = pod in {"score", "train"}
    container.command = ["bft"]
    container.image = given("image-train" if large else "image")
    container.service_account_name = account
    container.automount_service_account_token = False
    container.executor = m.ExecutorConfig(service_account_name="bft-argo-executor")
    container.pod_spec_patch = given(patch) if patch else None
    container.node_selector = None if large else {"bft.dev/role": "control"}
    attempt = [Env(name="BFT_ATTEMPT", value="{{retries}}")] if container.retry_strategy else []
    container.env = [
        Env(name="BFT_RUN_ID", value="{{workflow.name}}"),
        Env(name="BFT_NODE", value=container.name),
        Env(name="BFT_OUTPUTS_DIR", value="/bft/out"),
        *attempt,
        *container.env,
    ]
    container.env_from = [
        m.EnvFromSource(config_map_ref=m.ConfigMapEnvSource(name="bft-env", optional=True))
    ]
    container.resources = m.ResourceRequirements(
        requests=_amounts(cpu, memory, scratch), limits=_amounts(cpu_limit, memory_limit, scratch)
    )
    container.security_context = m.SecurityContext(
        allow_privilege_escalation=False,
        capabilities=m.Capabilities(drop=["ALL"]),
        read_only_root_filesystem=True,
        run_as_non_root=True,
    )
    container.volumes = [
        EmptyDirVolume(name="tmp", mount_path="/tmp", size_limit=scratch),  # noqa: S108  the pod's own
        EmptyDirVolume(name="out", mount_path="/bft/out", size_limit="8Mi"),
        SecretVolume(
            name="secrets",
            secret_name=account,
            mount_path="/secrets",
            read_only=True,
            default_mode=0o440,
            optional=True,
        ),
    ]
    return container


def _amounts(cpu: str, memory: str, scratch: str) -> dict[str, m.Quantity]:
    amounts = {"cpu": cpu, "memory": memory, "ephemeral-storage": scratch}
    return {name: m.Quantity(root=amount) for name, amount in amounts.items()}


def semaphore(key: str) -> m.Synchronization:
    """Wait for one of the slots that ConfigMap bft-limits grants `key`."""
    slots = m.ConfigMapKeySelector(name="bft-limits", key=key)
    return m.Synchronization(semaphores=[m.SemaphoreRef(config_map_key_ref=slots)])


def done(*names: str) -> str:
    """`depends`: all these succeeded."""
    return " && ".join(f"{name}.Succeeded" for name in names)


def bad(*names: str) -> str:
    """`depends`: one of these failed, or was lost."""
    return " || ".join(f"{name}.{state}" for name in names for state in ("Failed", "Errored"))


def ended(name: str) -> str:
    """`depends`: the task is over, whatever became of it."""
    states = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted")
    return "(" + " || ".join(f"{name}.{state}" for state in states) + ")"


def task(template: Container | DAG, **options: object) -> Task:
    """A task named as its template, handing on the inputs it shares with the graph around it."""
    own = dict(options.pop("arguments", {}))
    names = [parameter.name for parameter in template.inputs or []]
    values = {key: own.get(key, handed(key)) for key in names}
    return Task(name=template.name, template=template.name, arguments=values, **options)


def parameter(name: str) -> Parameter:
    """A workflow parameter of section 1.5."""
    if name == "asof":
        return Parameter(name="asof", value="")
    if name == "deadline":
        return Parameter(name="deadline", value="auto")
    source = m.ConfigMapKeySelector(name="bft-workflow", key=name)
    return Parameter(
        name=name, value_from=m.ValueFrom(config_map_key_ref=source, default=DEFAULTS[name])
    )


def guard(workflow: str) -> Container:
    """First node: does the calendar, and what ran before, ask for this run?"""
    at = "{{workflow.creationTimestamp.RFC3339}}"
    line = f"workflow due {workflow} --at {at} --day {given('asof')} {ROOT}"
    keys = ("run", "asof", "slot", "settle_s", "reason")
    limits = ("10m", 60)
    return step(
        "guard",
        line,
        effect="pure",
        retries="P",
        pod="tiny",
        limits=limits,
        inputs=(),
        outputs=keys,
        waive="WF020 one guard serves every workflow",
    )


def guarded(workflow: str, body: DAG) -> list[Container | DAG]:
    """The guard, then everything else inside one `when`."""
    first = guard(workflow)
    body.annotations = condition(("it is due", "it is not due"))
    asked = {p.name: output("guard", p.name) for p in body.inputs}
    when = output("guard", "run") + " == true"
    inner = task(body, depends=done("guard"), when=when, arguments=asked)
    return [first, body, DAG(name="main", tasks=[task(first), inner])]


def farewell() -> Container:
    """Exit handler: tells what happened and closes the run record."""
    line = (
        "workflow summary --run {{workflow.name}} --status {{workflow.status}}"
        " --failures {{workflow.failures}} " + ROOT
    )
    return step(
        "exit", line, effect="pure", retries="T", pod="tiny", limits=("10m", 120), inputs=()
    )


def workflow(
    name: str,
    templates: list[Container | DAG],
    *,
    parameters: Sequence[str] | Sequence[Parameter],
    deadline_s: int,
    keep_s: int = 86_400,
) -> WorkflowTemplate:
    """A WorkflowTemplate with the conventions of section 1.1; its entrypoint is `main`."""
    wanted = [parameter(p) if isinstance(p, str) else p for p in parameters]
    everything = [*templates, farewell()]
    for template in everything:
        if isinstance(template, Container):
            template.labels = {"bft.dev/workflow": name, **template.labels}
    away = m.Toleration(
        key="node.kubernetes.io/unreachable",
        operator="Exists",
        effect="NoExecute",
        toleration_seconds=60,
    )
    return WorkflowTemplate(
        name=f"bft-{name}",
        labels={"bft.dev/workflow": name},
        entrypoint="main",
        on_exit="exit",
        arguments=wanted,
        templates=everything,
        active_deadline_seconds=deadline_s,
        ttl_strategy=m.TTLStrategy(seconds_after_success=keep_s, seconds_after_failure=604_800),
        pod_gc=m.PodGC(strategy="OnPodSuccess", delete_delay_duration="60s"),
        service_account_name="bft-step",
        automount_service_account_token=False,
        executor=m.ExecutorConfig(service_account_name="bft-argo-executor"),
        archive_logs=False,
        pod_spec_patch='{"enableServiceLinks": false}',
        tolerations=[away],
        security_context=m.PodSecurityContext(
            run_as_non_root=True,
            run_as_user=USER,
            run_as_group=USER,
            fs_group=USER,
            seccomp_profile=m.SeccompProfile(type="RuntimeDefault"),
        ),
        workflow_metadata=m.WorkflowMetadata(labels={"bft.dev/workflow": name}),
    )


def cron(name: str, schedules: list[str], *, start_within_s: int = 1800) -> CronWorkflow:
    """When the workflow is asked to run; the guard decides."""
    return CronWorkflow(
        name=f"bft-{name}",
        labels={"bft.dev/workflow": name},
        schedules=schedules,
        timezone="America/New_York",
        concurrency_policy="Forbid",
        starting_deadline_seconds=start_within_s,
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=5,
        workflow_template_ref=m.WorkflowTemplateRef(name=f"bft-{name}"),
    )
