"""A rendered workflow file as plain values, with the line each value stands on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bft.domain.errors import ConfigError
from bft.flow.expression import ExpressionError, depends_on, tags_in

Place = tuple[str | int, ...]
"""Path of a value inside its document."""
Problem = tuple[str, Place, str, str]
"""(rule, place, what is wrong, how to fix it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document: values, lines, and the file it came from."""

    file: str
    header: str
    body: dict[str, Any]
    lines: Mapping[Place, int]

    @property
    def kind(self) -> str:
        """Its `kind`."""
        return str(self.body.get("kind", ""))

    @property
    def spec(self) -> dict[str, Any]:
        """Its `spec`, empty where it has none."""
        return mapping(self.body.get("spec"))

    @property
    def name(self) -> str:
        """Name of the object without `bft-`."""
        return str(mapping(self.body.get("metadata")).get("name", "")).removeprefix("bft-")

    def templates(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Templates with their places."""
        for n, template in enumerate(listing(self.spec.get("templates"))):
            yield ("spec", "templates", n), mapping(template)

    def containers(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Templates that run a container."""
        return (pair for pair in self.templates() if isinstance(pair[1].get("container"), dict))

    def tasks(self) -> Iterator[tuple[Place, dict[str, Any], dict[str, Any]]]:
        """Tasks of DAGs and steps: place, task, template it stands in."""
        for place, template in self.templates():
            for n, task in enumerate(listing(mapping(template.get("dag")).get("tasks"))):
                yield (*place, "dag", "tasks", n), mapping(task), template
            for n, group in enumerate(listing(template.get("steps"))):
                for k, task in enumerate(group if isinstance(group, list) else [group]):
                    yield (*place, "steps", n, k), mapping(task), template

    def template(self, name: object) -> dict[str, Any] | None:
        """Template of that name."""
        return next((t for _, t in self.templates() if t.get("name") == name), None)

    def texts(self) -> Iterator[tuple[Place, str]]:
        """All strings of the document, keys apart."""
        return _texts((), self.body)

    def line(self, place: Place) -> int:
        """Line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> list[Document]:
    """Documents of a file.

    Raises:
        ConfigError: the file is absent or is no YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        pairs = list(_composed(text))
    except FileNotFoundError:
        raise ConfigError(f"no workflow file {path}; run make workflows") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is no YAML: {error}") from error
    header = text.partition("\n")[0]
    return [
        Document(file=path.name, header=header, body=mapping(body), lines=dict(_lines((), node)))
        for body, node in pairs
        if body is not None
    ]


def _composed(text: str) -> Iterator[tuple[Any, yaml.Node]]:
    """Each document as values and as nodes, which know their lines; parsed once."""
    loader = _loader()(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield loader.construct_document(node), node
    finally:
        loader.dispose()


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def parameters(holder: object) -> list[dict[str, Any]]:
    """Parameters of inputs, outputs or arguments."""
    return [mapping(p) for p in listing(mapping(holder).get("parameters"))]


def upstream(tasks: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    """All tasks that a task waits for, through others too; unparsable `depends` wait for none."""
    edges = {str(task.get("name")): set(parents(task)) for task in tasks}
    found: set[str] = set()
    todo = list(edges.get(name, ()))
    while todo:
        parent = todo.pop()
        if parent not in found:
            found.add(parent)
            todo += edges.get(parent, ())
    return found


def parents(task: Mapping[str, Any]) -> list[str]:
    """Tasks named by `depends` or `dependencies`."""
    try:
        named = depends_on(str(task.get("depends") or ""))
    except ExpressionError:
        named = []
    return named + [str(name) for name in listing(task.get("dependencies"))]


def tags(value: object) -> list[str]:
    """Names of all `{{tags}}` inside a value."""
    return [tag for _, text in _texts((), value) for tag in tags_in(text)]


def _texts(place: Place, value: object) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts((*place, key), inner)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _texts((*place, n), inner)


def _lines(place: Place, node: Any) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines((*place, key.value), value)
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            yield from _lines((*place, n), value)


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
