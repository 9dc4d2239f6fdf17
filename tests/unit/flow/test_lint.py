"""Each rule catches its fault: the clean file plus one fault gives exactly that id."""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lint_faults import (
    ASOF_ARGUMENT,
    GRAPH_FAULTS,
    TARGET,
    Documents,
    add_task,
    add_template,
    container,
    own_volume,
    parameter,
    rename,
    task,
    template,
)

from bft.cli import CommandLine
from bft.flow.lint import RULES, Finding, lint

RENDERED = Path(__file__).resolve().parents[3] / "workflows" / "rendered"

POD_FAULTS: list[tuple[str, str, Callable[[Documents], Any]]] = [
    ("WF041", "no ttl", lambda d: d[0]["spec"].pop("ttlStrategy")),
    (
        "WF041",
        "failed pods removed",
        lambda d: d[0]["spec"]["podGC"].update(strategy="OnPodCompletion"),
    ),
    (
        "WF042",
        "default account",
        lambda d: template(d, "score").update(serviceAccountName="default"),
    ),
    ("WF043", "token", lambda d: template(d, "score").update(automountServiceAccountToken=True)),
    ("WF043", "no executor account", lambda d: template(d, "score").pop("executor")),
    ("WF044", "root user", lambda d: d[0]["spec"]["securityContext"].update(runAsUser=0)),
    ("WF044", "no seccomp", lambda d: d[0]["spec"]["securityContext"].pop("seccompProfile")),
    (
        "WF045",
        "writable root",
        lambda d: container(d, "score")["securityContext"].update(readOnlyRootFilesystem=False),
    ),
    (
        "WF045",
        "capabilities kept",
        lambda d: container(d, "score")["securityContext"].pop("capabilities"),
    ),
    (
        "WF046",
        "privileged",
        lambda d: container(d, "score")["securityContext"].update(privileged=True),
    ),
    ("WF046", "host path", lambda d: own_volume(d, name="host", hostPath={"path": "/"})),
    ("WF046", "host network", lambda d: d[0]["spec"].update(hostNetwork=True)),
    (
        "WF046",
        "host port",
        lambda d: container(d, "score").update(ports=[{"containerPort": 80, "hostPort": 80}]),
    ),
    (
        "WF047",
        "secret in the environment",
        lambda d: container(d, "build")["env"].append({"name": "API_KEY", "value": "hunter2"}),
    ),
    (
        "WF047",
        "secret as a default",
        lambda d: parameter(d, "source").update(value="AKIAABCDEFGHIJKLMNOP"),
    ),
    (
        "WF048",
        "no memory limit",
        lambda d: container(d, "score")["resources"]["limits"].pop("memory"),
    ),
    (
        "WF048",
        "request above limit",
        lambda d: (
            container(d, "score")["resources"]["requests"].update(cpu="1", memory="8Gi")
            or container(d, "score")["resources"]["limits"].update(memory="4Gi")
        ),
    ),
    (
        "WF049",
        "larger than every node",
        lambda d: container(d, "score")["resources"].update(
            requests={"cpu": "1", "memory": "64Gi", "ephemeral-storage": "1Gi"},
            limits={"cpu": "1", "memory": "64Gi", "ephemeral-storage": "1Gi"},
        ),
    ),
    (
        "WF050",
        "GPU without toleration",
        lambda d: container(d, "train-missing")["resources"]["limits"].update(
            {"nvidia.com/gpu": 1}
        ),
    ),
    (
        "WF051",
        "unbounded scratch",
        lambda d: template(d, "score")["volumes"][0]["emptyDir"].pop("sizeLimit"),
    ),
    ("WF051", "writable volume", lambda d: own_volume(d, name="m", configMap={"name": "x"})),
    ("WF052", "clock change", lambda d: d[1]["spec"].update(schedules=["30 1 * * 1-5"])),
    ("WF052", "four fields", lambda d: d[1]["spec"].update(schedules=["30 18 * *"])),
    ("WF052", "another timezone", lambda d: d[1]["spec"].update(timezone="Etc/UTC")),
    ("WF053", "overlapping runs", lambda d: d[1]["spec"].update(concurrencyPolicy="Allow")),
    ("WF053", "no start deadline", lambda d: d[1]["spec"].pop("startingDeadlineSeconds")),
    ("WF055", "writer without mutex", lambda d: template(d, "build").pop("synchronization")),
    (
        "WF056",
        "memoize",
        lambda d: template(d, "build").update(memoize={"key": "x", "cache": {}}),
    ),
    ("WF056", "hooks", lambda d: d[0]["spec"].update(hooks={})),
    (
        "WF058",
        "task name too long",
        lambda d: (
            rename(d, "name: promote-missing", "name: promote-missing")
            or task(d, "main", "guard").update(name="g" * 64)
            or task(d, "main", "night").update(
                depends="g" * 64 + ".Succeeded",
                when="{{tasks." + "g" * 64 + ".outputs.parameters.run}} == true",
                arguments={
                    "parameters": [
                        {
                            "name": "asof",
                            "value": "{{tasks." + "g" * 64 + ".outputs.parameters.asof}}",
                        }
                    ]
                },
            )
        ),
    ),
    (
        "WF059",
        "waiver without effect",
        lambda d: template(d, "build")["metadata"].update(
            annotations={"bft.dev/waive": "WF048 it needs more"}
        ),
    ),
    (
        "WF060",
        "five pods a night",
        lambda d: (
            add_template(d, "rescore", name="again"),
            add_task(
                d,
                "night",
                name="again",
                template="again",
                depends="publish.Succeeded",
                arguments=ASOF_ARGUMENT,
            ),
            template(d, "night")["dag"].update(target=f"{TARGET} again"),
            d[0]["spec"].update(activeDeadlineSeconds=86_400),
        ),
    ),
]
FAULTS = [*GRAPH_FAULTS, *POD_FAULTS]


class Remembered(CommandLine):
    """The real command line, which is asked once for each verb and each line."""

    describe = staticmethod(cache(CommandLine().describe))

    @staticmethod
    @cache
    def refused(words: tuple[str, ...]) -> str | None:
        return CommandLine().refuse(words)

    def refuse(self, argv: Sequence[str]) -> str | None:
        return self.refused(tuple(argv))


COMMANDS = Remembered()


def check(documents: Documents, folder: Path, *, header: bool = True) -> list[Finding]:
    file = folder / "nightly.yaml"
    first = "# Generated from workflows/nightly.py by make workflows. Do not edit.\n"
    file.write_text((first if header else "") + yaml.dump_all(documents, Dumper=yaml.CSafeDumper))
    return lint([file], commands=COMMANDS)


CLEAN = list(yaml.load_all((RENDERED / "nightly.yaml").read_text(), Loader=yaml.CSafeLoader))


@pytest.fixture
def nightly() -> Documents:
    return copy.deepcopy(CLEAN)


def test_committed_workflows_are_clean() -> None:
    assert lint(sorted(RENDERED.glob("*.yaml")), commands=CommandLine()) == []


@pytest.mark.parametrize(
    ("rule", "fault"),
    [pytest.param(rule, fault, id=f"{rule} {words}") for rule, words, fault in FAULTS],
)
def test_planted_fault_gives_exactly_its_rule(
    rule: str, fault: Callable[[Documents], Any], nightly: Documents, tmp_path: Path
) -> None:
    fault(nightly)
    assert {finding.id for finding in check(nightly, tmp_path)} == {rule}


def test_file_without_its_header_is_found(nightly: Documents, tmp_path: Path) -> None:
    assert [f.id for f in check(nightly, tmp_path, header=False)] == ["WF057"]


def test_scheduled_workflow_without_guard_is_found(nightly: Documents, tmp_path: Path) -> None:
    main = template(nightly, "main")["dag"]
    main["tasks"] = [
        {
            "name": "night",
            "template": "night",
            "arguments": {"parameters": [{"name": "asof", "value": "2025-01-06"}]},
        }
    ]
    nightly[0]["spec"]["templates"].remove(template(nightly, "guard"))
    found = {finding.id for finding in check(nightly, tmp_path)}
    assert "WF054" in found
    assert found <= {"WF054", "WF020"}  # the parameter asof is then read by nobody


def test_waiver_with_a_reason_covers_its_rule(nightly: Documents, tmp_path: Path) -> None:
    template(nightly, "rescore").pop("retryStrategy")
    template(nightly, "rescore")["metadata"]["annotations"] = {"bft.dev/waive": "WF031 tried once"}
    assert check(nightly, tmp_path) == []


def test_finding_says_where_what_and_how(nightly: Documents, tmp_path: Path) -> None:
    task(nightly, "night", "score")["template"] = "scroe"
    (found,) = [f for f in check(nightly, tmp_path) if f.id == "WF007"]
    line = (tmp_path / "nightly.yaml").read_text().splitlines()[found.line - 1]
    assert "scroe" in line
    assert found.fix == "did you mean score?"
    assert found.path.endswith(".template")


def test_every_rule_has_a_fault() -> None:
    tested = {rule for rule, _, _ in FAULTS} | {"WF054", "WF057"}
    assert sorted(set(RULES) - tested) == []
    assert len(FAULTS) >= 60
