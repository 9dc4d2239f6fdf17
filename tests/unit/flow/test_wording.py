"""Conditions of graphs in words. Red: `when none != none: no`, `depends not met`, `no items`."""

from pathlib import Path

import pytest
from graphs import NoCommands, dag, execute, step, task, write

from bft.domain.runs import Json
from bft.flow import wording
from bft.flow.context import Options
from bft.flow.graph import Phase, Result
from bft.flow.load import load
from bft.flow.plan import Plan
from bft.flow.spec import Task, Template

RENDERED = Path(__file__).resolve().parents[3] / "workflows" / "rendered"
PLAIN = Template(name="t", kind="container")
OK = step("ok", "exit 0")


@pytest.mark.parametrize(
    ("when", "values", "said"),
    [
        (
            "{{tasks.build.outputs.parameters.request}} != none",
            {"tasks.build.outputs.parameters.request": "none"},
            "only if request of build is not none; request of build is none",
        ),
        (
            "{{workflow.parameters.n}} > 2 && ({{inputs.parameters.a}} == 'x' || false)",
            {"workflow.parameters.n": "1", "inputs.parameters.a": "y"},
            "only if n is above 2 and a is x or false; n is 1; a is y",
        ),
        ("!({{item}} in (a, b))", {"item": "a"}, "only if not (item is one of a, b); item is a"),
    ],
)
def test_condition_of_a_node_without_words_is_read_out(
    when: str, values: dict[str, str], said: str
) -> None:
    named = Task(name="n", template="t", arguments={}, when=when)
    assert wording.skipped(named, PLAIN, values) == said
    assert wording.waits_for_value(named, PLAIN) == said.partition(";")[0]


@pytest.mark.parametrize(
    ("depends", "phases", "said"),
    [
        ("a.Failed || a.Errored", {"a": Phase.SUCCEEDED}, "a did not fail"),
        (
            "a.Failed || b.Failed",
            {"a": Phase.SUCCEEDED, "b": Phase.SKIPPED},
            "a and b did not fail",
        ),
        (
            "a.Succeeded && (b.Succeeded || b.Skipped) && c",
            {"a": Phase.SKIPPED, "b": Phase.SUCCEEDED, "c": Phase.OMITTED},
            "a was skipped, c did not run",
        ),
        ("a && b", {"a": Phase.FAILED, "b": Phase.ERROR}, "a failed, b failed"),
    ],
)
def test_node_that_never_starts_names_the_parents_that_keep_it(
    depends: str, phases: dict[str, Phase], said: str
) -> None:
    results = {name: Result(phase=phase) for name, phase in phases.items()}
    assert wording.omitted(depends, results) == said


def test_node_for_a_failure_says_whose() -> None:
    depends = "score.Failed || score.Errored || rescore.Failed || rescore.Errored"
    assert wording.waits_for(depends) == "only if score fails or rescore fails"


def test_run_tells_the_words_of_the_author(tmp_path: Path) -> None:
    words = {"bft.dev/runs-if": "it rains", "bft.dev/skipped-as": "it does not rain"}
    wet = {**step("wet", "exit 0"), "metadata": {"annotations": words}}
    ran = execute(
        tmp_path,
        dag("main", task("wet", when="1 == 2"), task("loop", template="wet", withParam="[]")),
        wet,
    )
    told = {node: line["reason"] for node, line in ran.record.nodes.items()}
    assert told == {"wet": "it does not rain", "loop": "it does not rain"}


def planned(path: Path, line: Json, values: dict[str, str] | None = None) -> dict[str, str]:
    """`STATE why` of every node of a plan whose guard answers `line`."""
    workflow = load(path)
    given = {f"workflow.parameters.{p.name}": p.value or p.name for p in workflow.parameters}
    given |= {"workflow.creationTimestamp.RFC3339": "2025-03-15T00:00:00Z", **(values or {})}
    options = Options(prefix=(), env={})
    plan = Plan(
        workflow,
        given,
        commands=NoCommands(),
        options=options,
        ask=lambda _line: line,
        expected_s={},
    )
    return {row.node: f"{row.state} {row.why}" for row in plan.make()}


DUE = {"run": True, "asof": "2025-03-14", "slot": "0935", "settle_s": 0, "reason": "due"}


def test_plan_of_a_new_night_says_what_each_node_waits_for() -> None:
    told = planned(RENDERED / "nightly.yaml", DUE)
    assert {name: told[f"night.{name}"] for name in ("gate-missing", "adopt", "rescore")} == {
        "gate-missing": "open only if a model is missing",
        "adopt": "open only if an alias was moved in MLflow",
        "rescore": "open only if demote succeeds",
    }
    assert told["night.mark-unscored"] == "open only if score fails or rescore fails"
    assert told["night.score"] == "stale after build, promote-missing, adopt"


def test_plan_of_a_day_that_is_not_due_says_why() -> None:
    told = planned(RENDERED / "nightly.yaml", {**DUE, "run": False, "reason": "holiday"})
    assert told == {"guard": "judged no session on that day", "night": "skipped it is not due"}


@pytest.mark.parametrize("path", sorted(RENDERED.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_condition_of_a_shipped_workflow_has_words(path: Path) -> None:
    workflow = load(path)
    tasks = [task for template in workflow.templates.values() for task in template.tasks]
    fixed = {t.template for t in tasks if t.when} | {
        t.template for t in tasks if t.loop and t.loop.param and "missing" in t.loop.param
    }
    for name in fixed:
        template = workflow.templates[name]
        assert template.runs_if, name
        assert template.skipped_as, name


def test_node_behind_one_that_may_not_run_is_open(tmp_path: Path) -> None:
    """Red: it was stale, counted as one that would run."""
    ask = step("ask", "exit 0", outputs="go")
    main = dag(
        "main",
        task("ask"),
        task("maybe", "ask", template="ok", when="{{tasks.ask.outputs.parameters.go}} == yes"),
        task("after", "maybe.Succeeded", template="ok"),
        task("anyway", "maybe", template="ok"),
    )
    told = planned(write(tmp_path / "w.yaml", main, ask, OK), {})
    assert told["after"] == "open only if maybe succeeds"
    assert told["anyway"] == "stale after maybe"
