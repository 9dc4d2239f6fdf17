"""Templates and tasks of a rendered file; a field outside the accepted subset is refused."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from bft.domain.errors import ConfigError
from bft.flow.quantity import cpus, megabytes, seconds
from bft.flow.spec import (
    Artifact,
    Container,
    EnvVar,
    Kind,
    Locks,
    Loop,
    Parameter,
    Retry,
    Task,
    Template,
)

TEMPLATE = frozenset(
    "name container dag steps suspend inputs outputs retryStrategy timeout activeDeadlineSeconds"
    " synchronization podSpecPatch metadata nodeSelector tolerations volumes parallelism failFast"
    " serviceAccountName automountServiceAccountToken executor securityContext".split()
)
TASK = frozenset(
    "name template templateRef arguments depends when withItems withParam withSequence".split()
)
CONTAINER = frozenset(
    "name image imagePullPolicy command args env envFrom volumeMounts resources securityContext"
    " workingDir".split()
)
VOLUMES = frozenset({"name", "emptyDir", "configMap", "secret"})
POLICIES = ("Always", "OnFailure", "OnError", "OnTransientError")


def template(body: Mapping[str, Any], where: str) -> Template:
    """Read one template.

    Raises:
        ConfigError: names the field.
    """
    keys(body, TEMPLATE, where)
    volumes(body, where)
    found: list[Kind] = [kind for kind in get_args(Kind) if kind in body]
    if len(found) != 1 or "name" not in body:
        raise ConfigError(f"{where}: a name and one of container, dag, steps, suspend; has {found}")
    inputs, outputs = body.get("inputs") or {}, body.get("outputs") or {}
    keys(inputs, {"parameters"}, f"{where}.inputs")
    keys(outputs, {"parameters", "artifacts"}, f"{where}.outputs")
    artifacts = outputs.get("artifacts") or ()
    about = body.get("metadata") or {}
    told = about.get("annotations") or {}
    return Template(
        name=body["name"],
        kind=found[0],
        inputs=parameters(inputs, f"{where}.inputs"),
        outputs=parameters(outputs, f"{where}.outputs"),
        artifacts=tuple(_artifact(a, f"{where}.outputs.artifacts") for a in artifacts),
        retry=_retry(body["retryStrategy"], where) if "retryStrategy" in body else None,
        timeout=_text(body.get("timeout")),
        deadline=_text(body.get("activeDeadlineSeconds")),
        locks=locks(body.get("synchronization"), f"{where}.synchronization"),
        parallelism=body.get("parallelism"),
        labels=about.get("labels") or {},
        runs_if=str(told.get("bft.dev/runs-if") or ""),
        skipped_as=str(told.get("bft.dev/skipped-as") or ""),
        **_BODY[found[0]](body[found[0]] or {}, f"{where}.{found[0]}"),
    )


def _dag(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    keys(body, {"tasks", "target", "failFast"}, where)
    tasks = tuple(_task(t, f"{where}.tasks[{n}]") for n, t in enumerate(body["tasks"]))
    fast = body.get("failFast")
    target = tuple((body.get("target") or "").split())
    return {"tasks": tasks, "target": target, "fail_fast": True if fast is None else fast}


def _steps(body: Any, where: str) -> dict[str, Any]:
    groups = [group if isinstance(group, list) else [group] for group in body]
    return {
        "steps": tuple(
            tuple(_task(task, f"{where}[{n}]") for task in group) for n, group in enumerate(groups)
        )
    }


def _suspend(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    keys(body, {"duration"}, where)
    return {"duration": _text(body.get("duration"))}


def _container(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    keys(body, CONTAINER, where)
    asks = (body.get("resources") or {}).get("requests") or {}
    for source in body.get("envFrom") or ():
        keys(source, {"configMapRef"}, f"{where}.envFrom")
    made = Container(
        command=tuple(body.get("command") or ()),
        args=tuple(str(word) for word in body.get("args") or ()),
        env=tuple(_env(item, f"{where}.env") for item in body.get("env") or ()),
        cpus=cpus(str(asks.get("cpu", 0))),
        memory_mb=megabytes(str(asks.get("memory", 0))),
        gpus=int(asks.get("nvidia.com/gpu", 0)),
    )
    return {"container": made}


_BODY: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "container": _container,
    "dag": _dag,
    "steps": _steps,
    "suspend": _suspend,
}


def _task(body: Mapping[str, Any], where: str) -> Task:
    keys(body, TASK, where)
    given = body.get("arguments") or {}
    keys(given, {"parameters"}, f"{where}.arguments")
    ref = body.get("templateRef")
    if ref:
        keys(ref, {"name", "template"}, f"{where}.templateRef")
    return Task(
        name=body["name"],
        template=f"{ref['name'].removeprefix('bft-')}/{ref['template']}"
        if ref
        else body["template"],
        arguments={p["name"]: str(p["value"]) for p in given.get("parameters") or ()},
        depends=body.get("depends") or "",
        when=str(body.get("when") or ""),
        loop=_loop(body, where),
    )


def _loop(body: Mapping[str, Any], where: str) -> Loop | None:
    if "withItems" in body:
        return Loop(items=tuple(body["withItems"]))
    if "withParam" in body:
        return Loop(param=str(body["withParam"]))
    if "withSequence" in body:
        keys(body["withSequence"], {"count"}, f"{where}.withSequence")
        return Loop(count=str(body["withSequence"]["count"]))
    return None


def parameters(holder: Mapping[str, Any] | None, where: str) -> tuple[Parameter, ...]:
    """Parameters of `arguments`, `inputs` or `outputs`."""
    listed = (holder or {}).get("parameters") or ()
    return tuple(_parameter(item, f"{where}.parameters[{n}]") for n, item in enumerate(listed))


def _parameter(item: Mapping[str, Any], where: str) -> Parameter:
    keys(item, {"name", "value", "default", "valueFrom", "description", "enum"}, where)
    source = item.get("valueFrom") or {}
    keys(source, {"path", "parameter", "default", "configMapKeyRef"}, f"{where}.valueFrom")
    ref = source.get("configMapKeyRef")
    return Parameter(
        name=item["name"],
        value=_text(item.get("value")),
        default=_text(source.get("default", item.get("default"))),
        key=(ref["name"], ref["key"]) if ref else None,
        path=source.get("path"),
        reference=source.get("parameter"),
    )


def _artifact(item: Mapping[str, Any], where: str) -> Artifact:
    keys(item, {"name", "path", "archive", "optional"}, where)
    if "none" not in (item.get("archive") or {}):
        raise ConfigError(f"{where}: artifact {item['name']}: archive none only")
    return Artifact(name=item["name"], path=item["path"])


def _env(item: Mapping[str, Any], where: str) -> EnvVar:
    keys(item, {"name", "value", "valueFrom"}, where)
    source = item.get("valueFrom")
    if not source:
        return EnvVar(name=item["name"], kind="value", value=str(item.get("value", "")))
    keys(source, {"configMapKeyRef", "secretKeyRef"}, f"{where}.valueFrom")
    kind, ref = next(iter(source.items()))
    return EnvVar(
        name=item["name"],
        kind="configMap" if kind == "configMapKeyRef" else "secret",
        value=None,
        optional=bool(ref.get("optional")),
    )


def _retry(body: Mapping[str, Any], where: str) -> Retry:
    at = f"{where}.retryStrategy"
    keys(body, {"limit", "retryPolicy", "expression", "backoff"}, at)
    backoff = body.get("backoff") or {}
    keys(backoff, {"duration", "factor", "cap", "maxDuration"}, f"{at}.backoff")
    expression = body.get("expression")
    policy = body.get("retryPolicy") or ("Always" if expression else "OnFailure")
    if policy not in POLICIES:
        raise ConfigError(f"{at}.retryPolicy {policy!r}; known: {', '.join(POLICIES)}")
    cap, most = backoff.get("cap"), backoff.get("maxDuration")
    limit = body.get("limit")
    return Retry(
        limit=None if limit is None else int(limit),
        policy=policy,
        expression=expression,
        wait_s=seconds(str(backoff.get("duration", "0"))),
        factor=float(backoff.get("factor") or 1),
        cap_s=seconds(str(cap)) if cap else None,
        max_s=seconds(str(most)) if most else None,
    )


def locks(body: Mapping[str, Any] | None, where: str) -> Locks:
    """Mutexes and semaphores of a `synchronization`."""
    if not body:
        return Locks()
    keys(body, {"mutexes", "semaphores"}, where)
    slots = [s["configMapKeyRef"] for s in body.get("semaphores") or ()]
    return Locks(
        mutexes=tuple(mutex["name"] for mutex in body.get("mutexes") or ()),
        semaphores=tuple((ref["name"], ref["key"]) for ref in slots),
    )


def volumes(body: Mapping[str, Any], where: str) -> None:
    """Refuse volumes of other kinds than emptyDir, configMap, secret."""
    for n, volume in enumerate(body.get("volumes") or ()):
        keys(volume, VOLUMES, f"{where}.volumes[{n}]")


def keys(body: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a field that is not known."""
    if not isinstance(body, Mapping):
        raise ConfigError(f"{where}: a mapping is expected, not {type(body).__name__}")
    odd = sorted(set(body) - set(known))
    if odd:
        raise ConfigError(f"{where}.{odd[0]}: outside what bft runs (WF056); remove it")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
