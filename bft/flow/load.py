"""Rendered YAML to a workflow; whatever lies outside the accepted subset is refused by name."""

import hashlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bft.domain.errors import ConfigError, UsageError
from bft.flow import template as fields
from bft.flow.quantity import seconds
from bft.flow.spec import Cron, Task, Template, Workflow

SPEC = frozenset(
    "entrypoint arguments templates onExit activeDeadlineSeconds ttlStrategy podGC parallelism"
    " serviceAccountName automountServiceAccountToken executor securityContext synchronization"
    " volumes nodeSelector tolerations podMetadata workflowMetadata archiveLogs"
    " podSpecPatch".split()
)
CRON = frozenset(
    "schedules timezone concurrencyPolicy startingDeadlineSeconds successfulJobsHistoryLimit"
    " failedJobsHistoryLimit suspend workflowSpec".split()
)
KINDS = ("WorkflowTemplate", "CronWorkflow", "Workflow")


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
        fields.keys(document, {"apiVersion", "kind", "metadata", "spec"}, where)
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
    known = rendered(folder)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"no workflow {name!r}; {hint}")
    return known[name]


def rendered(folder: str) -> dict[str, Path]:
    """Rendered files by workflow, in `folder` or in the checkout this code is part of.

    Raises:
        ConfigError: there is none.
    """
    here = Path(folder) if folder else Path(__file__).parents[2] / "workflows" / "rendered"
    known = {path.stem: path for path in sorted(here.glob("*.yaml"))}
    if not known:
        raise ConfigError(f"no rendered workflows in {here}; set BFT_WORKFLOWS_DIR")
    return known


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
    fields.keys(spec, SPEC, at)
    fields.volumes(spec, at)
    read = [fields.template(t, f"{at}.templates[{n}]") for n, t in enumerate(spec["templates"])]
    templates = {template.name: template for template in read} | _borrowed(read, path)
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
        parameters=fields.parameters(spec.get("arguments"), f"{at}.arguments"),
        templates=templates,
        deadline_s=_number(spec.get("activeDeadlineSeconds")),
        parallelism=spec.get("parallelism"),
        locks=fields.locks(spec.get("synchronization"), f"{at}.synchronization"),
    )


def _borrowed(templates: Iterable[Template], path: Path) -> dict[str, Template]:
    """Leaf templates of other files of the folder, as `file/template`."""
    found: dict[str, Template] = {}
    for name in {task.template for template in templates for task in _all_tasks(template)}:
        file, slash, template = name.partition("/")
        if slash:
            other = load(path.with_name(f"{file}.yaml")).templates.get(template)
            if other is None or other.kind in {"dag", "steps"}:
                raise ConfigError(f"{path.name}: {file}.yaml has no container {template}")
            found[name] = other
    return found


def _all_tasks(template: Template) -> Iterable[Task]:
    yield from template.tasks
    for group in template.steps:
        yield from group


def _cron(spec: Mapping[str, Any], where: str) -> Cron:
    fields.keys(spec, CRON, where)
    fields.keys(spec["workflowSpec"], {"workflowTemplateRef"}, f"{where}.workflowSpec")
    return Cron(
        schedules=tuple(spec["schedules"]),
        timezone=spec.get("timezone", "Etc/UTC"),
        start_within_s=spec.get("startingDeadlineSeconds"),
    )


def _number(value: object) -> float | None:
    return None if value is None else seconds(str(value))
