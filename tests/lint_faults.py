"""Faults of the graph and its steps, planted in the nightly workflow; ways to plant more."""

import copy
from collections.abc import Callable
from typing import Any

import yaml

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


TARGET = "build score rescore publish mark-failed mark-unscored"
ASOF_ARGUMENT = {"parameters": [{"name": "asof", "value": "{{inputs.parameters.asof}}"}]}
REORDERED = {"retryPolicy": "Always", "expression": "asInt(lastRetry.exitCode) != 0"}

# (rule, what is planted, fault); several kinds of one rule are several rows
GRAPH_FAULTS: list[tuple[str, str, Callable[[Documents], Any]]] = [
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
    (
        "WF011",
        "cycle",
        lambda d: task(d, "night", "demote").update(depends="score.Succeeded && rescore.Succeeded"),
    ),
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
            or template(d, "night")["dag"].update(target=TARGET)
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
        lambda d: (
            template(d, "demote").update(
                retryStrategy=copy.deepcopy(template(d, "build")["retryStrategy"])
            ),
            d[0]["spec"].update(activeDeadlineSeconds=86_400),
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
]
