"""What the loader refuses, by name; and what it reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from graphs import dag, step, task, write

from bft.domain.errors import ConfigError, UsageError
from bft.domain.runs import Json
from bft.flow.load import find, load
from bft.flow.quantity import seconds

RENDERED = Path(__file__).resolve().parents[3] / "workflows" / "rendered"


def changed(folder: Path, change: Any, *, number: int = 0) -> Path:
    """The nightly file with one fault."""
    documents = list(yaml.load_all((RENDERED / "nightly.yaml").read_text(), yaml.CSafeLoader))
    change(documents[number])
    path = folder / "nightly.yaml"
    path.write_text(yaml.dump_all(documents, Dumper=yaml.CSafeDumper))
    return path


def put(*where: str | int, value: object) -> Any:
    def change(document: Json) -> None:
        body: Any = document
        for key in where[:-1]:
            body = body[key]
        body[where[-1]] = value

    return change


BUILD = ("spec", "templates", 3)
TASK = ("spec", "templates", 1, "dag", "tasks", 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put("kind", value="ClusterWorkflowTemplate"), "kind 'ClusterWorkflowTemplate'"),
        (put("spec", "artifactGC", value={}), r"spec\.artifactGC"),
        (put("spec", "volumeClaimTemplates", value=[]), r"spec\.volumeClaimTemplates"),
        (put("spec", "hooks", value={}), r"spec\.hooks"),
        (put(*BUILD, "memoize", value={}), r"templates\[3\]\.memoize"),
        (put(*BUILD, "daemon", value=True), r"templates\[3\]\.daemon"),
        (put(*BUILD, "script", value={}), r"templates\[3\]\.script"),
        (put(*BUILD, "container", "livenessProbe", value={}), r"container\.livenessProbe"),
        (put(*BUILD, "volumes", value=[{"name": "h", "hostPath": {}}]), r"volumes\[0\]\.hostPath"),
        (put(*BUILD, "retryStrategy", "affinity", value={}), r"retryStrategy\.affinity"),
        (put(*BUILD, "retryStrategy", "retryPolicy", value="Sometimes"), "Sometimes"),
        (put(*BUILD, "synchronization", value={"mutex": {}}), r"synchronization\.mutex"),
        (put(*BUILD, "outputs", value={"result": ""}), r"outputs\.result"),
        (put(*BUILD, "container", "resources", "requests", "memory", value="4Q"), "4Q"),
        (put(*TASK, "dependencies", value=["a"]), r"tasks\[0\]\.dependencies"),
        (put(*TASK, "inline", value={}), r"tasks\[0\]\.inline"),
        (put(*TASK, "continueOn", value={}), r"tasks\[0\]\.continueOn"),
        (put(*TASK, "template", value="nobody"), "nobody"),
        (put("spec", "entrypoint", value="nobody"), "nobody"),
        (put("spec", "onExit", value="nobody"), "nobody"),
        (
            put("spec", "templates", 1, "dag", "tasks", 0, "withSequence", value={"end": 3}),
            "withSequence",
        ),
    ],
)
def test_field_outside_the_subset_is_refused_by_name(
    change: Any, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        load(changed(tmp_path, change))
    assert caught.value.exit_code == 78


def test_cron_field_outside_the_subset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[1\]\.spec\.stopStrategy"):
        load(changed(tmp_path, put("spec", "stopStrategy", value={}), number=1))


def test_nightly_reads_back_as_its_program_says() -> None:
    workflow = load(RENDERED / "nightly.yaml")
    build = workflow.templates["build"]
    assert workflow.deadline_s == 43_200
    assert (build.timeout, build.deadline, build.locks.mutexes) == ("3h", "7200", ("bft-tables",))
    assert build.retry is not None
    assert [build.retry.pause_s(n) for n in range(1, 6)] == [30, 60, 120, 240, 480]
    assert build.container is not None
    assert (build.container.cpus, build.container.memory_mb) == (1.0, 3584)
    assert workflow.cron is not None
    assert workflow.cron.timezone == "America/New_York"


def test_every_rendered_workflow_loads() -> None:
    names = [load(path).name for path in sorted(RENDERED.glob("*.yaml"))]
    assert names == [path.stem for path in sorted(RENDERED.glob("*.yaml"))]


def test_template_of_another_file_is_found_in_the_same_folder(tmp_path: Path) -> None:
    write(tmp_path / "other.yaml", step("one", "exit 0"), dag("main", task("one")))
    ref = {"name": "bft-other", "template": "one"}
    graph = {"name": "main", "dag": {"tasks": [{"name": "a", "templateRef": ref}]}}
    workflow = load(write(tmp_path / "small.yaml", graph))
    assert workflow.templates[workflow.templates["main"].tasks[0].template].name == "one"


def test_template_of_an_absent_file_is_refused(tmp_path: Path) -> None:
    ref = {"name": "bft-other", "template": "one"}
    graph = {"name": "main", "dag": {"tasks": [{"name": "a", "templateRef": ref}]}}
    with pytest.raises(ConfigError, match=r"other\.yaml"):
        load(write(tmp_path / "small.yaml", graph))


def test_workflow_nobody_wrote_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean nightly"):
        find("nightley", "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90", 90), ("10s", 10), ("1h30m", 5400), ("250ms", 0.25), ("72h", 259_200)],
)
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["soon", "nan", "-5"])
def test_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        seconds(text)
