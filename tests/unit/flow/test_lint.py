"""Each rule catches its fault: the clean file plus one fault gives exactly that id."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bft.cli import CommandLine
from bft.flow.lint import RULES, Finding, lint

RENDERED = Path(__file__).resolve().parents[3] / "workflows" / "rendered"
Documents = list[dict[str, Any]]


def template(documents: Documents, name: str) -> dict[str, Any]:
    return next(t for t in documents[0]["spec"]["templates"] if t["name"] == name)


def task(documents: Documents, dag: str, name: str) -> dict[str, Any]:
    return next(t for t in template(documents, dag)["dag"]["tasks"] if t["name"] == name)


def parameter(documents: Documents, name: str) -> dict[str, Any]:
    given = documents[0]["spec"]["arguments"]["parameters"]
    return next(p for p in given if p["name"] == name)


def container(documents: Documents, name: str) -> dict[str, Any]:
    return template(documents, name)["container"]


def add_template(d: Documents, source: str, **changes: Any) -> None:
    d[0]["spec"]["templates"].append(copy.deepcopy(template(d, source)) | changes)


def add_task(d: Documents, dag: str, **body: Any) -> None:
    template(d, dag)["dag"]["tasks"].append(body)


def rename(d: Documents, old: str, new: str) -> None:
    text = yaml.dump_all(d, Dumper=yaml.CSafeDumper)
    d[:] = list(yaml.load_all(text.replace(old, new), yaml.CSafeLoader))


def own_volume(d: Documents, **volume: Any) -> None:
    template(d, "build")["volumes"].append(volume)
    mount = {"name": volume["name"], "mountPath": "/more"}
    container(d, "build")["volumeMounts"].append(mount)


ASOF_ARGUMENT = {"parameters": [{"name": "asof", "value": "{{inputs.parameters.asof}}"}]}
REORDERED = {"retryPolicy": "Always", "expression": "asInt(lastRetry.exitCode) != 0"}

# (rule, what is planted, fault); several kinds of one rule are several rows
FAULTS: list[tuple[str, str, Callable[[Documents], Any]]] = [
    ("WF001", "misspelt spec field", lambda d: d[0]["spec"].update(ttlStrategie={})),
    ("WF001", "misspelt container field", lambda d: container(d, "build").update(imagePull="x")),
    ("WF001", "misspelt cron field", lambda d: d[1]["spec"].update(timeZone="x")),
    ("WF002", "text for a number", lambda d: d[0]["spec"].update(parallelism="two")),
    ("WF002", "task without a name", lambda d: task(d, "night", "adopt").pop("name")),
    ("WF002", "mapping for a list", lambda d: container(d, "build").update(command={})),
    ("WF003", "unknown kind", lambda d: d[0].update(kind="WorkflowTemplat")),
    ("WF003", "another API", lambda d: d[0].update(apiVersion="argoproj.io/v1")),
    ("WF004", "capital letters", lambda d: rename(d, "train-missing", "train-Missing")),
    ("WF004", "cron name too long", lambda d: d[1]["metadata"].update(name="bft-" + "x" * 50)),
    ("WF005", "entrypoint absent", lambda d: d[0]["spec"].update(entrypoint="mian")),
    ("WF005", "exit handler absent", lambda d: d[0]["spec"].update(onExit="exti")),
    ("WF006", "template twice", lambda d: add_template(d, "exit")),
    ("WF007", "missing template", lambda d: task(d, "night", "score").update(template="scroe")),
    (
        "WF008",
        "templateRef elsewhere",
        lambda d: add_task(
            d,
            "main",
            name="other",
            depends="night.Succeeded",
            templateRef={"name": "bft-other", "template": "x"},
        ),
    ),
    (
        "WF009",
        "depends on nobody",
        lambda d: task(d, "night", "rescore").update(depends="x.Failed"),
    ),
    ("WF010", "unknown state", lambda d: task(d, "night", "rescore").update(depends="demote.Done")),
    ("WF010", "no parse", lambda d: task(d, "night", "rescore").update(depends="demote &&")),
    ("WF011", "cycle", lambda d: task(d, "night", "build").update(depends="publish.Succeeded")),
    (
        "WF012",
        "unreached template",
        lambda d: add_template(d, "rescore", name="idle"),
    ),
    (
        "WF013",
        "older dependencies",
        lambda d: task(d, "night", "rescore").update(dependencies=["demote"]),
    ),
    ("WF014", "unknown target", lambda d: template(d, "night")["dag"].update(target="pubish")),
    ("WF014", "unseen leaf", lambda d: template(d, "night")["dag"].update(target="build score")),
    (
        "WF015",
        "undeclared workflow parameter",
        lambda d: container(d, "guard")["args"].__setitem__(6, "{{workflow.parameters.day}}"),
    ),
    (
        "WF015",
        "undeclared input",
        lambda d: template(d, "score")["metadata"]["labels"].update(
            {"bft.dev/slot": "{{inputs.parameters.slot}}"}
        ),
    ),
    (
        "WF016",
        "output of no ancestor",
        lambda d: task(d, "night", "rescore").update(
            when="{{tasks.publish.outputs.parameters.x}} == true"
        ),
    ),
    (
        "WF017",
        "output nobody declares",
        lambda d: task(d, "night", "demote").update(
            when="{{tasks.build.outputs.parameters.mising}} == true"
        ),
    ),
    (
        "WF017",
        "output no verb makes",
        lambda d: (
            template(d, "gate-missing")["outputs"]["parameters"].append(
                {"name": "mood", "valueFrom": {"path": "/bft/out/mood"}}
            ),
            task(d, "night", "promote-missing").update(
                when="{{tasks.gate-missing.outputs.parameters.verdict}} == "
                "{{tasks.gate-missing.outputs.parameters.mood}}"
            ),
        ),
    ),
    ("WF018", "input not given", lambda d: task(d, "night", "score").pop("arguments")),
    (
        "WF019",
        "argument not taken",
        lambda d: task(d, "night", "score")["arguments"]["parameters"].append(
            {"name": "slot", "value": "close"}
        ),
    ),
    (
        "WF020",
        "parameter never read",
        lambda d: d[0]["spec"]["arguments"]["parameters"].append({"name": "idle", "value": "x"}),
    ),
    (
        "WF020",
        "output never read",
        lambda d: task(d, "night", "adopt").update(when="{{inputs.parameters.asof}} != none"),
    ),
    (
        "WF021",
        "withParam no list",
        lambda d: task(d, "night", "train-missing").update(withParam="all"),
    ),
    (
        "WF022",
        "item outside a loop",
        lambda d: task(d, "night", "adopt").update(when="{{item}} == x"),
    ),
    (
        "WF022",
        "unknown key of an item",
        lambda d: (
            task(d, "night", "train-missing").pop("withParam"),
            task(d, "night", "train-missing").update(
                withItems=[{"name": "reg_3d"}], when="{{item.nme}} != x"
            ),
        ),
    ),
    ("WF023", "when no parse", lambda d: task(d, "night", "adopt").update(when="a == == b")),
    (
        "WF023",
        "unknown variable",
        lambda d: template(d, "build")["retryStrategy"].update(
            expression="asInt(lastRetry.code) in [75]"
        ),
    ),
    (
        "WF023",
        "expression tag",
        lambda d: (
            template(d, "night")["dag"].update(target="{{=x}}")
            or template(d, "build")["metadata"]["labels"].update({"bft.dev/x": "{{= 1 + 1}}"})
            or template(d, "night")["dag"].update(target="build score publish")
        ),
    ),
    ("WF024", "no default", lambda d: parameter(d, "root")["valueFrom"].pop("default")),
    (
        "WF025",
        "unknown ConfigMap key",
        lambda d: parameter(d, "root")["valueFrom"]["configMapKeyRef"].update(key="rooot"),
    ),
    ("WF026", "shell", lambda d: container(d, "exit").update(command=["sh", "-c"])),
    ("WF027", "unknown option", lambda d: container(d, "rescore")["args"].append("--deadlin")),
    ("WF027", "unknown verb in a chain", lambda d: container(d, "publish")["args"].append("scna")),
    (
        "WF028",
        "chain line without --asof",
        lambda d: container(d, "publish")["args"].append(
            "rank --root {{workflow.parameters.root}}"
        ),
    ),
    ("WF029", "fixed image", lambda d: container(d, "rescore").update(image="bft:latest")),
    (
        "WF029",
        "torch verb on the small image",
        lambda d: container(d, "rescore").update(image="{{workflow.parameters.image}}"),
    ),
    (
        "WF030",
        "wrong class",
        lambda d: template(d, "build")["metadata"]["labels"].update({"bft.dev/class": "pure"}),
    ),
    ("WF031", "replace without retries", lambda d: template(d, "rescore").pop("retryStrategy")),
    (
        "WF032",
        "once with retries",
        lambda d: template(d, "demote").update(
            retryStrategy=copy.deepcopy(template(d, "build")["retryStrategy"])
        ),
    ),
    (
        "WF033",
        "retries bad data",
        lambda d: template(d, "rescore")["retryStrategy"].update(
            expression="asInt(lastRetry.exitCode) != 0"
        ),
    ),
    (
        "WF033",
        "does not retry 75",
        lambda d: template(d, "rescore")["retryStrategy"].update(
            expression='lastRetry.status == "Error"'
        ),
    ),
    (
        "WF034",
        "expression without policy",
        lambda d: template(d, "rescore")["retryStrategy"].pop("retryPolicy"),
    ),
    ("WF035", "no backoff", lambda d: template(d, "rescore")["retryStrategy"].pop("backoff")),
    (
        "WF035",
        "maxDuration",
        lambda d: template(d, "rescore")["retryStrategy"]["backoff"].update(maxDuration="10m"),
    ),
    ("WF036", "no timeout", lambda d: template(d, "rescore").pop("timeout")),
    ("WF036", "no running limit", lambda d: template(d, "exit").pop("activeDeadlineSeconds")),
    ("WF037", "deadline too short", lambda d: d[0]["spec"].update(activeDeadlineSeconds=30_000)),
    (
        "WF038",
        "no exit handler",
        lambda d: (
            d[0]["spec"].pop("onExit"),
            d[0]["spec"]["templates"].remove(template(d, "exit")),
        ),
    ),
    (
        "WF039",
        "fan-out whose failures nobody tolerates",
        lambda d: task(d, "night", "gate-missing").update(
            depends="build.Succeeded && train-missing.Succeeded"
        ),
    ),
    (
        "WF040",
        "bare depends on a when",
        lambda d: task(d, "night", "rescore").update(depends="demote"),
    ),
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
            template(d, "night")["dag"].update(target="build score publish again"),
            d[0]["spec"].update(activeDeadlineSeconds=86_400),
        ),
    ),
]


def check(documents: Documents, folder: Path, *, header: bool = True) -> list[Finding]:
    file = folder / "nightly.yaml"
    first = "# Generated from workflows/nightly.py by make workflows. Do not edit.\n"
    file.write_text((first if header else "") + yaml.dump_all(documents, Dumper=yaml.CSafeDumper))
    return lint([file], commands=CommandLine())


CLEAN = list(yaml.safe_load_all((RENDERED / "nightly.yaml").read_text()))


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
