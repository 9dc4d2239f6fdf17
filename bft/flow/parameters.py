"""Workflow parameters: from the command line, a YAML file, the workflow's own defaults."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from bft.domain.errors import ConfigError, UsageError
from bft.flow.expression import as_text
from bft.flow.spec import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Parameters by name, and ConfigMaps (a mapping in the file) by name and key."""

    values: dict[str, str]
    maps: dict[str, dict[str, str]]


def given(pairs: Sequence[str], file: Path | None) -> Given:
    """Read `--params FILE` and `--param K=V`; the latter win.

    Raises:
        UsageError: a pair without `=`.
        ConfigError: the file is absent or no mapping.
    """
    found = _file(file) if file else {}
    maps = {
        name: {key: as_text(value) for key, value in body.items()}
        for name, body in found.items()
        if isinstance(body, dict)
    }
    values = {name: as_text(value) for name, value in found.items() if name not in maps}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--param {pair}: give it as NAME=VALUE")
        values[name] = text
    return Given(values=values, maps=maps)


def resolve(
    workflow: Workflow,
    wanted: Mapping[str, str],
    maps: Mapping[str, Mapping[str, str]],
    *,
    absent_ok: Sequence[str] = (),
) -> dict[str, str]:
    """Value of every parameter of the workflow.

    Raises:
        UsageError: one it does not have (names the nearest), or one without a value.
    """
    known = {parameter.name: parameter for parameter in workflow.parameters}
    for name in wanted:
        if name not in known and name not in absent_ok:
            raise UsageError(unknown(f"{workflow.name} parameter", name, known))
    values: dict[str, str] = {}
    for name, parameter in known.items():
        config, key = parameter.key or ("", "")
        found = [wanted.get(name), parameter.value, maps.get(config, {}).get(key)]
        text = next((t for t in [*found, parameter.default] if t is not None), None)
        if text is None:
            raise UsageError(f"{workflow.name} needs a parameter: --param {name}=...")
        values[name] = text
    return values


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name nobody knows."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(sorted(known))}"
    return f"no {kind} {name!r}{hint}"


def _file(path: Path) -> dict[str, object]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"--params {path}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"--params {path}: a mapping of names to values is expected")
    return found
