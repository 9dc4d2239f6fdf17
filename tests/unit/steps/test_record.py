"""Markers claim what a step really read, and every record is JSON."""

import json
import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, make_ports, no_tick

from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.ports import Step, Summary
from bft.steps import record


@pytest.fixture
def ports(tmp_path: Path) -> FakePorts:
    made = make_ports(tmp_path)
    made.store.put("input", b"one")
    return made


def step(run: Callable[[FakePorts], Summary]) -> Step:
    """A step that reads the object `input`."""
    return Step(
        effect="replace",
        summary="",
        arguments=lambda parser: parser.add_argument("--level", type=float, default=1.0),
        run=lambda ports, _args, _tick: run(ports),
        inputs=lambda ports, _args: {"input": ports.store.digest("input") or "absent"},
    )


def execute(ports: FakePorts, made: Step, args: Namespace | None = None) -> Summary:
    args = args or arguments(made)
    return record.execute(ports, "copy", made, args, no_tick)


def copied(ports: FakePorts, *, meanwhile: bytes | None = None) -> Summary:
    data = ports.store.get("input")
    if meanwhile is not None:
        ports.store.put("input", meanwhile)
    return Summary(objects={"output": ports.store.put("output", data)})


def test_finished_work_is_found_again(ports: FakePorts) -> None:
    made = step(copied)
    assert [execute(ports, made).values.get("cached") for _ in range(2)] == [None, True]


def test_what_only_shows_needs_no_room_for_its_marker(ports: FakePorts) -> None:
    """Red: on a root that may not be written to `bft models` ended with 78."""
    (Path(ports.store.root) / "markers").write_text("a file, so that nothing is written below")
    shown = replace(step(lambda _: Summary(values={"told": 1})), effect="pure")
    assert execute(ports, shown).values == {"told": 1}
    with pytest.raises(ConfigError, match="not writable"):
        execute(ports, step(copied))


def test_input_that_changed_while_a_step_ran_leaves_no_marker(ports: FakePorts) -> None:
    with pytest.raises(UnavailableError, match=r"copy: input changed while it ran.*again"):
        execute(ports, step(lambda p: copied(p, meanwhile=b"two")))
    assert ports.store.keys("markers/") == ports.store.keys("lineage/") == []
    assert execute(ports, step(copied)).values.get("cached") is None
    assert ports.store.get("output") == b"two"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"loss": math.nan}, "loss"),
        ({"models": [{"name": "a"}, {"ic": math.inf}]}, r"models\[1\]\.ic"),
        ([1.0, -math.inf], r"\[1\]"),
        (math.nan, "the value"),
    ],
)
def test_number_that_json_lacks_is_refused_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(DataError, match=rf"{path} is (nan|inf|-inf), which JSON cannot hold"):
        record.canonical(value)


def test_result_that_json_lacks_is_refused_and_not_recorded(ports: FakePorts) -> None:
    made = step(lambda p: Summary(values={"models": [{"loss": math.nan}]}))
    with pytest.raises(DataError, match=r"models\[0\]\.loss is nan"):
        execute(ports, made)
    assert ports.store.keys("markers/") == ports.store.keys("lineage/") == []


def test_records_are_strict_json(ports: FakePorts) -> None:
    execute(ports, step(copied))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for key in (*ports.store.keys("markers/"), *ports.store.keys("lineage/")):
        json.loads(ports.store.get(key), parse_constant=refuse)
