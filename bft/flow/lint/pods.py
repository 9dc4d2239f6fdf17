"""Limits, accounts, security, placement, schedules: WF036, WF037, WF041 to WF053, WF057."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bft.domain.errors import BftError
from bft.flow.lint.commands import waits_s
from bft.flow.lint.document import Document, Problem, listing, mapping, parents
from bft.flow.quantity import NODES, seconds

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3, "k": 1e3, "M": 1e6}
_UNITS |= {"G": 1e9, "": 1.0}
_CRON = re.compile(r"[\d*][\d,*/-]*")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def limits(document: Document) -> Iterator[Problem]:
    """WF036, WF037: every container ends, and so does the workflow, not before its nodes."""
    for place, template in document.containers():
        if not template.get("timeout") or not template.get("activeDeadlineSeconds"):
            what = f"{template.get('name')} may hang"
            yield "WF036", place, what, "timeout (with Pending) and activeDeadlineSeconds"
    if document.kind == "CronWorkflow":
        return
    deadline = document.spec.get("activeDeadlineSeconds")
    if not isinstance(deadline, int):
        yield "WF036", ("spec",), "the workflow has no activeDeadlineSeconds", "add it"
        return
    longest = _longest_s(document, str(document.spec.get("entrypoint")), frozenset())
    if longest > deadline:
        what = f"its nodes may take {longest:.0f} s, its deadline is {deadline} s"
        yield "WF037", ("spec", "activeDeadlineSeconds"), what, f"at least {longest:.0f}"


def _longest_s(document: Document, name: str, seen: frozenset[str]) -> float:
    template = document.template(name)
    if template is None or name in seen:
        return 0.0
    if "container" in template:
        running = _seconds(template.get("activeDeadlineSeconds"))
        return running + waits_s(template)
    if "suspend" in template:
        return _seconds(mapping(template.get("suspend")).get("duration"))
    tasks = {str(t.get("name")): t for t in _tasks(template)}
    ends: dict[str, float] = {}

    def end(task: str, path: frozenset[str]) -> float:
        if task not in ends:
            before = [
                end(p, path | {task}) for p in parents(tasks[task]) if p in tasks and p not in path
            ]
            inner = _longest_s(document, str(tasks[task].get("template")), seen | {name})
            ends[task] = max(before, default=0.0) + inner
        return ends[task]

    if "steps" in template:
        groups = [g if isinstance(g, list) else [g] for g in listing(template["steps"])]
        inner = (
            [_longest_s(document, str(mapping(t).get("template")), seen | {name}) for t in group]
            for group in groups
        )
        return sum(max(group, default=0.0) for group in inner)
    return max((end(task, frozenset()) for task in tasks), default=0.0)


def cleaning(document: Document) -> Iterator[Problem]:
    """WF041: finished workflows and pods go, failed pods stay."""
    if document.kind == "CronWorkflow":
        return
    for key in ("ttlStrategy", "podGC"):
        if key not in document.spec:
            yield "WF041", ("spec",), f"no {key}", f"{key} of the conventions"
    strategy = mapping(document.spec.get("podGC")).get("strategy")
    if "podGC" in document.spec and strategy not in {"OnPodSuccess", "OnWorkflowSuccess"}:
        what = f"podGC {strategy} removes failed pods"
        yield "WF041", ("spec", "podGC"), what, "OnPodSuccess"


def accounts(document: Document) -> Iterator[Problem]:
    """WF042, WF043: own account, no token, Argo's executor account."""
    for place, template in document.containers():
        if template.get("serviceAccountName") in {None, "", "default"}:
            yield "WF042", place, "no service account of its own", "serviceAccountName: bft-..."
        executor = mapping(template.get("executor")).get("serviceAccountName")
        if template.get("automountServiceAccountToken") is not False or not executor:
            what = "the container gets a token, or its wait container none"
            fix = "automountServiceAccountToken: false, executor.serviceAccountName"
            yield "WF043", place, what, fix


def security(document: Document) -> Iterator[Problem]:
    """WF044, WF045: restricted pods."""
    if document.kind == "CronWorkflow":
        return
    pod = mapping(document.spec.get("securityContext"))
    profile = mapping(pod.get("seccompProfile")).get("type")
    users = [pod.get("runAsUser")]
    owned = [mapping(t["container"].get("securityContext")) for _, t in document.containers()]
    users += [own.get("runAsUser", 10001) for own in owned]
    low = [user for user in users if not isinstance(user, int) or user < 10001]
    if pod.get("runAsNonRoot") is not True or profile != "RuntimeDefault" or low:
        what = "pods may run as root, as a low uid, or without seccomp"
        fix = "runAsNonRoot, runAsUser 10001, seccompProfile RuntimeDefault"
        yield "WF044", ("spec", "securityContext"), what, fix
    for (place, _), own in zip(document.containers(), owned, strict=True):
        dropped = listing(mapping(own.get("capabilities")).get("drop"))
        strict = own.get("readOnlyRootFilesystem") is True and "ALL" in dropped
        if not strict or own.get("allowPrivilegeEscalation") is not False:
            fix = "readOnlyRootFilesystem, drop ALL, no escalation"
            yield "WF045", (*place, "container"), "the container is not restricted", fix


def host(document: Document) -> Iterator[Problem]:
    """WF046: nothing of the host is shared."""
    for place, template in document.containers():
        container = template["container"]
        if mapping(container.get("securityContext")).get("privileged"):
            yield "WF046", (*place, "container"), "privileged", "remove it"
        if any(mapping(port).get("hostPort") for port in listing(container.get("ports"))):
            yield "WF046", (*place, "container", "ports"), "a port of the host", "remove it"
        for n, volume in enumerate(listing(template.get("volumes"))):
            if "hostPath" in mapping(volume):
                yield "WF046", (*place, "volumes", n), "a path of the host", "remove it"
    for key in ("hostNetwork", "hostPID"):
        if document.spec.get(key):
            yield "WF046", ("spec", key), f"{key} shares the host", "remove it"


def bounded(document: Document) -> Iterator[Problem]:
    """WF048: requests and limits are there, and in order."""
    for place, template in document.containers():
        at = (*place, "container", "resources")
        asked = mapping(template["container"].get("resources"))
        requests, most = mapping(asked.get("requests")), mapping(asked.get("limits"))
        for name in ("cpu", "memory", "ephemeral-storage"):
            if name not in requests or name not in most:
                yield "WF048", at, f"{name} is not bounded", "requests and limits of its class"
            elif amount(requests[name]) > amount(most[name]):
                what = f"{name}: request {requests[name]} above limit {most[name]}"
                yield "WF048", at, what, "request <= limit"


def oversized(document: Document, profile: str) -> Iterator[Problem]:
    """WF049: no node of the profile can hold it."""
    cores, memory_mib = NODES[profile]
    for place, template in document.containers():
        requests = mapping(mapping(template["container"].get("resources")).get("requests"))
        wants = amount(requests.get("cpu")), amount(requests.get("memory")) / 2**20
        if wants[0] > cores or wants[1] > memory_mib:
            at = (*place, "container", "resources")
            what = f"asks {wants[0]:g} cores, {wants[1]:.0f} MiB"
            yield "WF049", at, what, f"{profile} has {cores:g} cores, {memory_mib} MiB"


def placement(document: Document, order_verbs: frozenset[str]) -> Iterator[Problem]:
    """WF050: orders leave from the control node; GPU pods tolerate its taint."""
    for place, template in document.containers():
        args = [str(word) for word in listing(template["container"].get("args"))]
        role = mapping(template.get("nodeSelector")).get("bft.dev/role")
        if args and args[0] in order_verbs and role != "control":
            what = f"{args[0]} may run off the control node"
            yield "WF050", place, what, "nodeSelector bft.dev/role: control"
        asked = mapping(mapping(template["container"].get("resources")).get("limits"))
        keys = [mapping(t).get("key") for t in listing(template.get("tolerations"))]
        if "nvidia.com/gpu" in asked and "bft.dev/gpu" not in keys:
            yield "WF050", place, "a GPU without its toleration", "tolerations: bft.dev/gpu"


def volumes(document: Document) -> Iterator[Problem]:
    """WF051: scratch is bounded, everything else is read-only."""
    for place, template in document.containers():
        mounts = [mapping(m) for m in listing(template["container"].get("volumeMounts"))]
        read_only = {m.get("name") for m in mounts if m.get("readOnly") is True}
        for n, volume in enumerate(listing(template.get("volumes"))):
            where, name = (*place, "volumes", n), mapping(volume).get("name")
            scratch = mapping(volume).get("emptyDir")
            if scratch is not None and not mapping(scratch).get("sizeLimit"):
                yield "WF051", where, f"emptyDir {name} has no limit", "sizeLimit"
            if scratch is None and "hostPath" not in mapping(volume) and name not in read_only:
                yield "WF051", where, f"volume {name} is writable", "readOnly: true"


def schedules(document: Document) -> Iterator[Problem]:
    """WF052, WF053: when it starts, and what a late or second start does."""
    if document.kind != "CronWorkflow":
        return
    spec = document.spec
    if spec.get("timezone") != "America/New_York":
        what = f"timezone {spec.get('timezone')}"
        yield "WF052", ("spec", "timezone"), what, "America/New_York"
    for n, text in enumerate(listing(spec.get("schedules"))):
        reason = _cron_fault(str(text))
        if reason:
            where = ("spec", "schedules", n)
            yield "WF052", where, f"{text!r}: {reason}", "five fields, outside 01:00-03:00"
    if spec.get("concurrencyPolicy") != "Forbid" or not spec.get("startingDeadlineSeconds"):
        what = "a second or a late start is not prevented"
        yield "WF053", ("spec",), what, "concurrencyPolicy: Forbid, startingDeadlineSeconds"


def rendered(document: Document) -> Iterator[Problem]:
    """WF057: the file says which program rendered it."""
    stem = document.file.rpartition(".")[0].replace("-", "_")
    wanted = f"# Generated from workflows/{stem}.py by make workflows. Do not edit."
    if document.kind != "CronWorkflow" and document.header != wanted:
        yield "WF057", (), "the first line names no program", "make workflows"


def _cron_fault(text: str) -> str | None:
    fields = text.split()
    if len(fields) != 5:
        return f"{len(fields)} fields"
    for field, (low, high) in zip(fields, _BOUNDS, strict=True):
        numbers = [int(n) for n in re.findall(r"\d+", field.partition("/")[0])]
        if not _CRON.fullmatch(field) or any(not low <= n <= high for n in numbers):
            return f"{field!r} is no field of {low}-{high}"
    hours = [int(n) for n in re.findall(r"\d+", fields[1])]
    spans = "-" in fields[1] and min(hours) <= 2 and max(hours) >= 1
    if spans or fields[1].startswith("*") or {1, 2} & set(hours):
        return "between 01:00 and 03:00, when clocks change"
    return None


def amount(text: object) -> float:
    """A Kubernetes quantity as a number; 0 where it is none."""
    number = re.match(r"[\d.]+", str(text))
    if number is None:
        return 0.0
    return float(number[0]) * _UNITS.get(str(text)[number.end() :], 0.0)


def _seconds(value: object) -> float:
    try:
        return seconds(str(value))
    except BftError:
        return 0.0


def _tasks(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [mapping(t) for t in listing(mapping(template.get("dag")).get("tasks"))]
