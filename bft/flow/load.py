"""Rendered YAML to a workflow; whatever lies outside the accepted subset is refused by name."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from bft.domain.errors import ConfigError, UsageError
from bft.flow.spec import (
    Artifact,
    Container,
    Cron,
    EnvVar,
    Kind,
    Locks,
    Loop,
    Parameter,
    Retry,
    Task,
    Template,
    Workflow,
)

SPEC = frozenset(
    "entrypoint arguments templates onExit activeDeadlineSeconds ttlStrategy podGC parallelism"
    " serviceAccountName automountServiceAccountToken executor securityContext synchronization"
    " volumes nodeSelector tolerations podMetadata workflowMetadata archiveLogs"
    " podSpecPatch".split()
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
CRON = frozenset(
    "schedules timezone concurrencyPolicy startingDeadlineSeconds successfulJobsHistoryLimit"
    " failedJobsHistoryLimit suspend workflowSpec".split()
)
KINDS = ("WorkflowTemplate", "CronWorkflow", "Workflow")
VOLUMES = frozenset({"name", "emptyDir", "configMap", "secret"})
POLICIES = ("Always", "OnFailure", "OnError", "OnTransientError")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES_MB = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024, "Ti": 1024**2, "k": 1e3 / 2**20}
_SIZES_MB |= {"M": 1e6 / 2**20, "G": 1e9 / 2**20, "T": 1e12 / 2**20, "": 1 / 2**20}


def load(path: Path) -> Workflow:
    """Read a rendered file: one WorkflowTemplate or Workflow, perhaps a CronWorkflow.

    Raises:
        ConfigError: the file is absent or no YAML; a field outside the subset, with its path.
    """
    workflow, cron = None, None
    for number, document in enumerate(_documents(path)):
        where = f"{path.name}[{number}]"
        if not isinstance(document, dict) or document.get("kind") not in KINDS:
            kind = document.get("kind") if isinstance(document, dict) else None
            raise ConfigError(f"{where}: kind {kind!r}; known: {', '.join(KINDS)}")
        _keys(document, {"apiVersion", "kind", "metadata", "spec"}, where)
        if document["kind"] == "CronWorkflow":
            cron = _cron(document["spec"], f"{where}.spec")
        else:
            workflow = _workflow(document, path, where)
    if workflow is None:
        raise ConfigError(f"{path.name}: no WorkflowTemplate in it; run make workflows")
    return Workflow(**{f: getattr(workflow, f) for f in workflow.__slots__} | {"cron": cron})


def find(name: str, folder: str) -> Path:
    """Rendered file of a workflow, in `folder` or in the checkout this code is part of.

    Raises:
        UsageError: there is no such workflow; names the nearest.
    """
    here = Path(folder) if folder else Path(__file__).parents[2] / "workflows" / "rendered"
    known = sorted(path.stem for path in here.glob("*.yaml"))
    if not known:
        raise ConfigError(f"no rendered workflows in {here}; set BFT_WORKFLOWS_DIR")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"no workflow {name!r}; {hint}")
    return here / f"{name}.yaml"


def seconds(text: str) -> float:
    """A duration of Argo (`90`, `10s`, `1h30m`; `inf` for none) in seconds.

    Raises:
        ConfigError: it is none.
    """
    parts = _DURATION.findall(text)
    if parts and "".join(n + unit for n, unit in parts) == text:
        return sum(float(n) * _UNITS_S[unit] for n, unit in parts)
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no duration such as 90s or 1h30m") from None


def _documents(path: Path) -> list[Any]:
    import yaml

    try:
        return [d for d in yaml.load_all(path.read_text("utf-8"), _loader()) if d is not None]
    except FileNotFoundError:
        raise ConfigError(f"no workflow file {path}; run make workflows") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is no YAML: {error}") from error


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _workflow(document: Mapping[str, Any], path: Path, where: str) -> Workflow:
    spec, at = document["spec"], f"{where}.spec"
    _keys(spec, SPEC, at)
    _volumes(spec, at)
    read = (_template(t, f"{at}.templates[{n}]", path) for n, t in enumerate(spec["templates"]))
    templates = {template.name: template for template in read}
    entry = spec.get("entrypoint")
    names = [n for n in (entry, spec.get("onExit")) if n is not None]
    names += [task.template for t in templates.values() for task in _all_tasks(t)]
    missing = sorted({name for name in names if name not in templates})
    if entry is None or missing:
        raise ConfigError(f"{at}: no template {missing or 'as entrypoint'}")
    return Workflow(
        name=document["metadata"]["name"].removeprefix("bft-"),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        entrypoint=entry,
        on_exit=spec.get("onExit"),
        parameters=_parameters(spec.get("arguments"), f"{at}.arguments"),
        templates=templates,
        deadline_s=_number(spec.get("activeDeadlineSeconds"), at),
        parallelism=spec.get("parallelism"),
        locks=_locks(spec.get("synchronization"), f"{at}.synchronization"),
    )


def _all_tasks(template: Template) -> Iterable[Task]:
    yield from template.tasks
    for group in template.steps:
        yield from group


def _template(body: Mapping[str, Any], where: str, path: Path) -> Template:
    _keys(body, TEMPLATE, where)
    _volumes(body, where)
    found: list[Kind] = [kind for kind in get_args(Kind) if kind in body]
    if len(found) != 1 or "name" not in body:
        raise ConfigError(f"{where}: a name and one of container, dag, steps, suspend; has {found}")
    inputs, outputs = body.get("inputs") or {}, body.get("outputs") or {}
    _keys(inputs, {"parameters"}, f"{where}.inputs")
    _keys(outputs, {"parameters", "artifacts"}, f"{where}.outputs")
    artifacts = outputs.get("artifacts") or ()
    return Template(
        name=body["name"],
        kind=found[0],
        inputs=_parameters(inputs, f"{where}.inputs"),
        outputs=_parameters(outputs, f"{where}.outputs"),
        artifacts=tuple(_artifact(a, f"{where}.outputs.artifacts") for a in artifacts),
        retry=_retry(body["retryStrategy"], where) if "retryStrategy" in body else None,
        timeout=_text(body.get("timeout")),
        deadline=_text(body.get("activeDeadlineSeconds")),
        locks=_locks(body.get("synchronization"), f"{where}.synchronization"),
        parallelism=body.get("parallelism"),
        labels=(body.get("metadata") or {}).get("labels") or {},
        **_BODY[found[0]](body[found[0]] or {}, f"{where}.{found[0]}", path),
    )


def _dag(body: Mapping[str, Any], where: str, path: Path) -> dict[str, Any]:
    _keys(body, {"tasks", "target", "failFast"}, where)
    tasks = tuple(_task(t, f"{where}.tasks[{n}]", path) for n, t in enumerate(body["tasks"]))
    fast = body.get("failFast")
    target = tuple((body.get("target") or "").split())
    return {"tasks": tasks, "target": target, "fail_fast": True if fast is None else fast}


def _steps(body: Any, where: str, path: Path) -> dict[str, Any]:
    groups = [group if isinstance(group, list) else [group] for group in body]
    return {
        "steps": tuple(
            tuple(_task(task, f"{where}[{n}]", path) for task in group)
            for n, group in enumerate(groups)
        )
    }


def _suspend(body: Mapping[str, Any], where: str, _path: Path) -> dict[str, Any]:
    _keys(body, {"duration"}, where)
    return {"duration": _text(body.get("duration"))}


def _container(body: Mapping[str, Any], where: str, _path: Path) -> dict[str, Any]:
    _keys(body, CONTAINER, where)
    asks = (body.get("resources") or {}).get("requests") or {}
    for source in body.get("envFrom") or ():
        _keys(source, {"configMapRef"}, f"{where}.envFrom")
    made = Container(
        command=tuple(body.get("command") or ()),
        args=tuple(str(word) for word in body.get("args") or ()),
        env=tuple(_env(item, f"{where}.env") for item in body.get("env") or ()),
        cpus=_cpus(str(asks.get("cpu", 0))),
        memory_mb=_megabytes(str(asks.get("memory", 0)), where),
        gpus=int(asks.get("nvidia.com/gpu", 0)),
    )
    return {"container": made}


_BODY: dict[str, Callable[[Any, str, Path], dict[str, Any]]] = {
    "container": _container,
    "dag": _dag,
    "steps": _steps,
    "suspend": _suspend,
}


def _task(body: Mapping[str, Any], where: str, path: Path) -> Task:
    _keys(body, TASK, where)
    given = body.get("arguments") or {}
    _keys(given, {"parameters"}, f"{where}.arguments")
    if "templateRef" in body:
        raise ConfigError(f"{where}.templateRef: give the template in {path.name} itself")
    return Task(
        name=body["name"],
        template=body["template"],
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
        _keys(body["withSequence"], {"count"}, f"{where}.withSequence")
        return Loop(count=str(body["withSequence"]["count"]))
    return None


def _parameters(holder: Mapping[str, Any] | None, where: str) -> tuple[Parameter, ...]:
    listed = (holder or {}).get("parameters") or ()
    return tuple(_parameter(item, f"{where}.parameters[{n}]") for n, item in enumerate(listed))


def _parameter(item: Mapping[str, Any], where: str) -> Parameter:
    _keys(item, {"name", "value", "default", "valueFrom", "description", "enum"}, where)
    source = item.get("valueFrom") or {}
    _keys(source, {"path", "parameter", "default", "configMapKeyRef"}, f"{where}.valueFrom")
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
    _keys(item, {"name", "path", "archive", "optional"}, where)
    if "none" not in (item.get("archive") or {}):
        raise ConfigError(f"{where}: artifact {item['name']}: archive none only")
    return Artifact(name=item["name"], path=item["path"])


def _env(item: Mapping[str, Any], where: str) -> EnvVar:
    _keys(item, {"name", "value", "valueFrom"}, where)
    source = item.get("valueFrom")
    if not source:
        return EnvVar(name=item["name"], kind="value", value=str(item.get("value", "")))
    _keys(source, {"configMapKeyRef", "secretKeyRef"}, f"{where}.valueFrom")
    kind, ref = next(iter(source.items()))
    return EnvVar(
        name=item["name"],
        kind="configMap" if kind == "configMapKeyRef" else "secret",
        value=None,
        optional=bool(ref.get("optional")),
    )


def _retry(body: Mapping[str, Any], where: str) -> Retry:
    at = f"{where}.retryStrategy"
    _keys(body, {"limit", "retryPolicy", "expression", "backoff"}, at)
    backoff = body.get("backoff") or {}
    _keys(backoff, {"duration", "factor", "cap", "maxDuration"}, f"{at}.backoff")
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


def _locks(body: Mapping[str, Any] | None, where: str) -> Locks:
    if not body:
        return Locks()
    _keys(body, {"mutexes", "semaphores"}, where)
    slots = [s["configMapKeyRef"] for s in body.get("semaphores") or ()]
    return Locks(
        mutexes=tuple(mutex["name"] for mutex in body.get("mutexes") or ()),
        semaphores=tuple((ref["name"], ref["key"]) for ref in slots),
    )


def _cron(spec: Mapping[str, Any], where: str) -> Cron:
    _keys(spec, CRON, where)
    _keys(spec["workflowSpec"], {"workflowTemplateRef"}, f"{where}.workflowSpec")
    return Cron(
        schedules=tuple(spec["schedules"]),
        timezone=spec.get("timezone", "Etc/UTC"),
        start_within_s=spec.get("startingDeadlineSeconds"),
    )


def _volumes(body: Mapping[str, Any], where: str) -> None:
    for n, volume in enumerate(body.get("volumes") or ()):
        _keys(volume, VOLUMES, f"{where}.volumes[{n}]")


def _keys(body: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    if not isinstance(body, Mapping):
        raise ConfigError(f"{where}: a mapping is expected, not {type(body).__name__}")
    odd = sorted(set(body) - set(known))
    if odd:
        raise ConfigError(f"{where}.{odd[0]}: outside what bft runs (WF056); remove it")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object, where: str) -> float | None:
    return None if value is None else seconds(str(value))


def _cpus(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _megabytes(text: str, where: str) -> int:
    number = text.rstrip("KMGTik")
    unit = text[len(number) :]
    if unit not in _SIZES_MB:
        raise ConfigError(f"{where}.resources: {text!r} is no quantity such as 512Mi")
    return round(float(number) * _SIZES_MB[unit])
