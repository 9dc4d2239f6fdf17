"""Command lines, images, classes and retries: WF026 to WF038, WF047, WF054, WF055."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bft.domain.errors import BftError
from bft.flow.chain import words_of
from bft.flow.expression import ExpressionError, should_retry, substitute, tags_in
from bft.flow.lint.document import Document, Place, Problem, listing, mapping, parameters
from bft.flow.quantity import seconds
from bft.ports import Commands

TORCH = frozenset({"train", "predict", "reproduce"})
_SAMPLES = {"slot": "0935", "model": "reg_3d", "item": "reg_3d", "revision": "1", "settle_s": "0"}
_SECRET_NAME = re.compile(r"password|passwd|secret|api[_-]?key|token|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[A-Za-z0-9+/_-]{40,}\b")
_FINAL, _HEALED = ("2", "65", "77", "78"), (("Failed", "75"), ("Error", "-1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command line of a container; `described` is what its verb says of itself."""

    argv: tuple[str, ...]
    described: Mapping[str, Any] | None
    refused: str | None


def lines_of(document: Document, template: Mapping[str, Any], commands: Commands) -> list[Line]:
    """Command lines of a container, those of a chain one by one, with tags filled in."""
    args = [str(word) for word in listing(mapping(template.get("container")).get("args"))]
    if not args:
        return [Line(argv=(), described=None, refused="no arguments")]
    samples = _samples(document)
    texts = [words_of(text) for text in args[1:]] if args[0] == "chain" else [args]
    filled = [tuple(_filled(word, samples) for word in words) for words in texts if words]
    return [_line(words, commands) for words in filled]  # type: ignore[arg-type]  # by identity


def verb_outputs(document: Document, commands: Commands) -> dict[str, frozenset[str]]:
    """Keys that the verbs of each container put out, by its arguments as JSON."""
    found = {}
    for _, template in document.containers():
        lines = lines_of(document, template, commands)
        keys = {
            k for ln in lines if ln.described for k in ln.described["output_schema"]["properties"]
        }
        if all(line.described for line in lines):
            found[json.dumps(listing(template["container"].get("args")))] = frozenset(keys)
    return found


def command_lines(document: Document, commands: Commands) -> Iterator[Problem]:
    """WF026 to WF032: command, arguments, image, class, retries."""
    for place, template in document.templates():
        if "script" in template:
            yield "WF026", (*place, "script"), "inline source is not run", "a verb of bft"
    for place, template in document.containers():
        at, container = (*place, "container"), template["container"]
        if container.get("command") != ["bft"]:
            yield "WF026", (*at, "command"), f"command is {container.get('command')}", '["bft"]'
            continue
        lines = lines_of(document, template, commands)
        refused = [line.refused for line in lines if line.refused]
        for reason in refused:
            yield "WF027", (*at, "args"), reason, "see: bft VERB --help"
        if not refused:
            yield from _complete(at, lines)
            yield from _image(at, container, lines)
            yield from _class(place, template, lines)


def retries(document: Document) -> Iterator[Problem]:
    """WF033, WF034, WF035: what is retried, by which policy, with which waits."""
    deadline = document.spec.get("activeDeadlineSeconds")
    for place, template in document.containers():
        retry, where = mapping(template.get("retryStrategy")), (*place, "retryStrategy")
        if not retry:
            continue
        text = retry.get("expression")
        if text is not None and not retry.get("retryPolicy"):
            yield "WF034", where, "an expression without retryPolicy", "retryPolicy: Always"
        wrong = _wrongly_retried(str(text)) if text is not None else "without an expression"
        if wrong:
            yield "WF033", where, f"retries {wrong}", "the expression of class P, T"
        backoff = mapping(retry.get("backoff"))
        waits = waits_s(template)
        if not backoff.get("duration"):
            yield "WF035", where, "no backoff", "backoff of class P, T"
        elif "maxDuration" in backoff:
            yield "WF035", where, "maxDuration counts running time", "remove it"
        elif isinstance(deadline, int) and waits > deadline and not _is_exit(document, template):
            yield "WF035", where, f"waits {waits:.0f} s, the workflow {deadline} s", "class P, T"


def waits_s(template: Mapping[str, Any]) -> float:
    """Longest sum of waits between the attempts of a container."""
    retry = mapping(template.get("retryStrategy"))
    backoff = mapping(retry.get("backoff"))
    try:
        first = seconds(str(backoff.get("duration", "0")))
        factor, limit = float(backoff.get("factor", 1)), int(retry.get("limit", 0))
    except (BftError, ValueError):
        return 0.0
    return sum(first * factor**n for n in range(limit))


def handlers(document: Document, commands: Commands) -> Iterator[Problem]:
    """WF038, WF054: an exit handler that needs little, and a guard before scheduled work."""
    if document.kind == "CronWorkflow":
        return
    name = document.spec.get("onExit")
    template = document.template(name) if name else None
    if name is None:
        yield "WF038", ("spec",), "no onExit", "onExit: a container with `workflow summary`"
    elif template is not None:
        lines = lines_of(document, template, commands)
        if [line.argv[:2] for line in lines] != [("workflow", "summary")]:
            yield "WF038", ("spec", "onExit"), "the exit handler does other work", "summary only"


def guarded(document: Document, scheduled: frozenset[str], commands: Commands) -> Iterator[Problem]:
    """WF054: what a CronWorkflow starts asks the calendar first."""
    if document.kind == "CronWorkflow" or document.name not in scheduled:
        return
    entry = document.template(document.spec.get("entrypoint")) or {}
    tasks = [mapping(t) for t in listing(mapping(entry.get("dag")).get("tasks"))]
    first = [t for t in tasks if not t.get("depends")]
    for task in first or [{}]:
        template = document.template(task.get("template")) or {}
        lines = lines_of(document, template, commands)
        if [line.argv[:2] for line in lines] != [("workflow", "due")]:
            what = "scheduled, and its first node is no guard"
            yield "WF054", ("spec", "entrypoint"), what, "begin with `workflow due`"


def locks(document: Document, commands: Commands, tables: frozenset[str]) -> Iterator[Problem]:
    """WF055: writers of tables hold the mutex; no mutex spans a suspend."""
    for place, template in document.containers():
        written = {
            name
            for line in lines_of(document, template, commands)
            for name in (line.described or {}).get("writes", ())
        }
        held = mapping(template.get("synchronization"))
        named = [mapping(m).get("name") for m in listing(held.get("mutexes"))]
        if written & tables and "bft-tables" not in named and not held.get("semaphores"):
            what = f"writes {', '.join(sorted(written & tables))} without a lock"
            yield "WF055", place, what, "synchronization.mutexes: bft-tables"
    suspends = any("suspend" in template for _, template in document.templates())
    if suspends and mapping(document.spec.get("synchronization")).get("mutexes"):
        what = "the workflow's mutex is held across a suspend"
        yield "WF055", ("spec", "synchronization"), what, "put it on the templates that write"


def secrets(document: Document) -> Iterator[Problem]:
    """WF047: nothing that looks like a secret is written down."""
    fix = "mount a file, name it in BFT_..._FILE"
    for place, name, value in _written(document):
        if _secret(name, value):
            yield "WF047", place, f"{name or 'an argument'} looks like a secret", fix


def _written(document: Document) -> Iterator[tuple[Place, str, object]]:
    """Every place a value can be written down: environment, arguments, parameters."""
    for place, template in document.containers():
        at, container = (*place, "container"), template["container"]
        for n, item in enumerate(listing(container.get("env"))):
            yield (*at, "env", n), str(mapping(item).get("name")), mapping(item).get("value")
        for n, word in enumerate(listing(container.get("args"))):
            option = re.match(r"--([\w-]+)[= ](.+)", str(word))
            yield (*at, "args", n), option[1] if option else "", option[2] if option else word
    for n, parameter in enumerate(parameters(document.spec.get("arguments"))):
        source = mapping(parameter.get("valueFrom"))
        value = parameter.get("value", source.get("default"))
        yield ("spec", "arguments", "parameters", n), str(parameter.get("name")), value


def _complete(at: Place, lines: list[Line]) -> Iterator[Problem]:
    for line in lines:
        takes = (line.described or {})["input_schema"]["properties"]
        for option in ("asof", "root"):
            if option in takes and f"--{option}" not in line.argv:
                what = f"{line.argv[0]} without --{option}"
                yield "WF028", (*at, "args"), what, "add --asof and --root"


def _image(at: Place, container: Mapping[str, Any], lines: list[Line]) -> Iterator[Problem]:
    image = str(container.get("image"))
    if not image.startswith("{{workflow.parameters."):
        yield "WF029", (*at, "image"), f"image {image} is fixed", "a workflow parameter"
    elif "image-train" not in image and TORCH & {line.argv[0] for line in lines}:
        what = f"{lines[0].argv[0]} needs torch, the image has none"
        yield "WF029", (*at, "image"), what, "{{workflow.parameters.image-train}}"


def _class(place: Place, template: Mapping[str, Any], lines: list[Line]) -> Iterator[Problem]:
    classes = {_class_of(line) for line in lines}
    wanted = next(name for name in ("once", "replace", "pure") if name in classes)
    label = mapping(mapping(template.get("metadata")).get("labels")).get("bft.dev/class")
    if label != wanted:
        where = (*place, "metadata", "labels")
        yield "WF030", where, f"class {label}, its verb is {wanted}", f"bft.dev/class: {wanted}"
    if wanted == "once" and ("retryStrategy" in template or len(lines) > 1):
        what = "a once verb is retried or shares a pod"
        yield "WF032", place, what, "its own node without retryStrategy"
    if wanted != "once" and "retryStrategy" not in template:
        yield "WF031", place, f"a {wanted} step without retries", "retryStrategy of class P or T"


def _class_of(line: Line) -> str:
    """The class of a command line: that of its verb, or of the verb's action."""
    told = line.described or {}
    action = line.argv[1] if len(line.argv) > 1 else ""
    return str(told.get("classes", {}).get(action, told["class"]))


@lru_cache(1024)  # several rules look at each line
def _line(argv: tuple[str, ...], commands: Commands) -> Line:
    refused = commands.refuse(argv)
    described = None if refused else commands.describe(argv[0])
    return Line(argv=argv, described=described, refused=refused)


def _samples(document: Document) -> dict[str, str]:
    """A plausible value for every tag a command line may hold."""
    found = {"workflow.name": "run-1", "workflow.status": "Succeeded", "workflow.failures": "[]"}
    found["workflow.creationTimestamp.RFC3339"] = "2025-01-06T23:30:00Z"
    for parameter in parameters(document.spec.get("arguments")):
        source = mapping(parameter.get("valueFrom"))
        value = parameter.get("value", source.get("default", ""))
        found[f"workflow.parameters.{parameter.get('name')}"] = str(value)
    return found


def _filled(word: str, samples: Mapping[str, str]) -> str:
    values = {tag: samples.get(tag) or _sample(tag.rpartition(".")[2]) for tag in tags_in(word)}
    return substitute(word, values)


def _sample(name: str) -> str:
    return _SAMPLES.get(name, "2025-01-06")


def _wrongly_retried(expression: str) -> str | None:
    def retried(status: str, code: str, message: str = "") -> bool:
        last = {"status": status, "exitCode": code, "duration": "1", "message": message}
        return should_retry(expression, last)

    try:
        for code in _FINAL:
            if retried("Failed", code):
                return f"exit code {code}"
        for status, code in _HEALED:
            if not retried(status, code):
                return f"not {status} {code}"
        return "OOM" if retried("Failed", "137", "OOMKilled (exit code 137)") else None
    except ExpressionError:
        return None  # WF023 says so


def _is_exit(document: Document, template: Mapping[str, Any]) -> bool:
    return template.get("name") == document.spec.get("onExit")


def _secret(name: str, value: object) -> bool:
    if not isinstance(value, str) or not value or "{{" in value:
        return False
    by_name = bool(_SECRET_NAME.search(name)) and not name.endswith(("_FILE", "-file"))
    return by_name or bool(_SECRET_TEXT.search(value))
