"""What happens to single nodes: attempts, limits, locks, suspension, environment, artifacts."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from graphs import dag, execute, step, task

from bft.domain.runs import Json
from bft.flow.run import exit_code
from bft.flow.state import lines_of

RETRY_ON = (
    '(lastRetry.status == "Error" || asInt(lastRetry.exitCode) in [-1, 75, 137, 143])'
    ' && not (lastRetry.message contains "OOM")'
)


def retry(limit: int = 3, **fields: Any) -> Json:
    return {"limit": limit, "backoff": {"duration": "10ms", "factor": 2}, **fields}


def alone(folder: Path, args: str, **fields: Any) -> Any:
    template = step("a", args, **fields)
    return execute(folder, template, dag("main", task("a")))


@pytest.mark.parametrize(
    ("code", "expression", "attempts", "phase"),
    [
        (75, RETRY_ON, 4, "Failed"),
        (65, RETRY_ON, 1, "Failed"),
        (78, RETRY_ON, 1, "Failed"),
        (1, None, 4, "Failed"),
        (3, "asInt(lastRetry.exitCode) == 3 && lastRetry.status == 'Failed'", 4, "Failed"),
        (3, "lastRetry.nothing == 1", 1, "Error"),
        (3, "asInt(lastRetry.message) == 1", 1, "Error"),
    ],
)
def test_retry_follows_limit_and_expression(
    code: int, expression: str | None, attempts: int, phase: str, tmp_path: Path
) -> None:
    more = {"expression": expression} if expression else {}
    strategy = retry(**more)
    ran = alone(tmp_path, f"append {tmp_path}/calls x exit {code} why", retryStrategy=strategy)
    assert ran.phases()["a"] == phase
    assert len((tmp_path / "calls").read_text().split()) == attempts


def test_retry_stops_at_the_first_success(tmp_path: Path) -> None:
    args = f"fail-times {tmp_path}/n 2 75 out x=1"
    ran = alone(tmp_path, args, retryStrategy=retry(expression=RETRY_ON), outputs="x")
    assert ran.phases()["a"] == "Succeeded"
    assert ran.attempts("a") == 3
    logs = sorted(path.name for path in (tmp_path / "runs/r1/logs").iterdir())
    assert logs == ["a(0).log", "a(1).log", "a(2).log"]


@pytest.mark.parametrize(("number", "attempts"), [(9, 2), (15, 2), (6, 1)])
def test_signal_is_an_exit_code_of_128_and_more(number: int, attempts: int, tmp_path: Path) -> None:
    args = f"append {tmp_path}/calls x kill {number}"
    ran = alone(tmp_path, args, retryStrategy=retry(1, expression=RETRY_ON))
    assert ran.record.nodes["a"]["exit_code"] == 128 + number
    assert len((tmp_path / "calls").read_text().split()) == attempts


def test_oom_is_not_tried_again(tmp_path: Path) -> None:
    args = f"append {tmp_path}/calls x exit 137 OOMKilled"
    alone(tmp_path, args, retryStrategy=retry(expression=RETRY_ON))
    assert (tmp_path / "calls").read_text() == "x\n"


@pytest.mark.parametrize(
    ("policy", "args", "attempts"),
    [
        ("OnFailure", "exit 1", 2),
        ("OnError", "exit 1", 1),
        ("OnError", "exit 0", 2),  # its output is missing: Error
        ("OnFailure", "exit 0", 1),
        ("Always", "exit 0", 2),
        (None, "exit 1", 2),
        (None, "exit 0", 1),
    ],
)
def test_retry_policy_tells_failures_from_errors(
    policy: str | None, args: str, attempts: int, tmp_path: Path
) -> None:
    more = {"retryPolicy": policy} if policy else {}
    template = f"append {tmp_path}/calls x {args}"
    alone(tmp_path, template, retryStrategy=retry(1, **more), outputs="never")
    assert len((tmp_path / "calls").read_text().split()) == attempts


def test_backoff_doubles_and_is_capped(tmp_path: Path) -> None:
    strategy = {"limit": 3, "backoff": {"duration": "20ms", "factor": 2, "cap": "50ms"}}
    alone(tmp_path, "exit 1", retryStrategy=strategy)
    told = lines_of(tmp_path / "runs/r1/events.jsonl")
    assert [e["seconds"] for e in told if e["event"] == "retried"] == [0.02, 0.04, 0.05]


def test_backoff_never_exceeds_its_most(tmp_path: Path) -> None:
    strategy = {"limit": 9, "backoff": {"duration": "1h", "maxDuration": "1m"}}
    ran = alone(tmp_path, "exit 1", retryStrategy=strategy)
    assert ran.attempts("a") == 1


def test_program_that_cannot_start_is_an_error_with_code_minus_one(tmp_path: Path) -> None:
    absent = step("a", "x", container={"command": ["/no/such/program"]})
    ran = execute(
        tmp_path, {**absent, "retryStrategy": retry(1, expression=RETRY_ON)}, dag("main", task("a"))
    )
    assert (ran.phases()["a"], ran.record.nodes["a"]["exit_code"]) == ("Error", -1)
    assert ran.attempts("a") == 2
    assert exit_code(ran.result, None) == 75


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"activeDeadlineSeconds": "100ms"}, "deadline"), ({"timeout": "100ms"}, "timeout")],
)
def test_node_over_its_time_is_ended(fields: Json, reason: str, tmp_path: Path) -> None:
    began = time.monotonic()
    ran = alone(tmp_path, "sleep 30", **fields)
    assert time.monotonic() - began < 5
    assert (ran.phases()["a"], ran.result.reason) == ("Failed", reason)
    assert exit_code(ran.result, None) == 75


def test_timeout_covers_all_attempts(tmp_path: Path) -> None:
    strategy = {"limit": 50, "backoff": {"duration": "10s"}}
    ran = alone(tmp_path, "exit 1", retryStrategy=strategy, timeout="300ms")
    assert ran.phases()["a"] == "Failed"
    assert ran.result.reason == "timeout"


def test_deadline_of_the_workflow_ends_all_and_the_exit_handler_runs(tmp_path: Path) -> None:
    bye = step("bye", f"append {tmp_path}/bye {{{{workflow.status}}}}")
    graph = dag("main", task("a"), task("b", "a", template="a"))
    ran = execute(
        tmp_path, step("a", "sleep 30"), bye, graph, onExit="bye", activeDeadlineSeconds="200ms"
    )
    assert ran.phases() == {"a": "Failed", "onExit": "Succeeded"}
    assert (tmp_path / "bye").read_text() == "Failed\n"
    assert ran.engine.stop_reason == "deadline"


def test_deaf_node_is_killed_after_its_grace(tmp_path: Path) -> None:
    from graphs import prefix

    from bft.flow.node import Child, Pipe

    pipe = Pipe()
    words = [*prefix(tmp_path), "stubborn", "sleep", "30"]
    child = Child(words, env={}, work=tmp_path / "w", log=tmp_path / "log", pipe=pipe, grace_s=0.2)
    since = time.monotonic()
    late = since + 0.3
    ended = child.run(lambda *_: None, lambda: "deadline" if time.monotonic() > late else None)
    pipe.close()
    assert ended.exit_code == 137
    assert time.monotonic() - since < 5


def test_nothing_a_node_started_outlives_it(tmp_path: Path) -> None:
    alone(tmp_path, f"child {tmp_path}/pid")
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 5
    while time.monotonic() < end and _runs(pid):
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- locks -------------------------------------------------------------------------------------


def overlapping(folder: Path) -> bool:
    told = [
        e
        for e in lines_of(folder / "runs/r1/events.jsonl")
        if e["event"] in {"started", "finished"}
    ]
    active = most = 0
    for line in told:
        if "(" in line["node"]:
            active += 1 if line["event"] == "started" else -1
            most = max(most, active)
    return most > 1


def loop(**fields: Any) -> Json:
    return dag("main", task("a", withItems=[1, 2, 3], **fields))


@pytest.mark.parametrize(
    ("locks", "limits", "overlaps"),
    [
        ({}, {}, True),
        ({"mutexes": [{"name": "tables"}]}, {}, False),
        (
            {"semaphores": [{"configMapKeyRef": {"name": "m", "key": "k"}}]},
            {"m": {"k": "1"}},
            False,
        ),
        ({"semaphores": [{"configMapKeyRef": {"name": "m", "key": "k"}}]}, {}, True),
    ],
)
def test_locks_bound_what_runs_at_once(
    locks: Json, limits: Json, overlaps: bool, tmp_path: Path
) -> None:
    fields = {"synchronization": locks} if locks else {}
    execute(tmp_path, step("a", "sleep 0.1", **fields), loop(), options={"limits": limits})
    assert overlapping(tmp_path) is overlaps


def test_mutex_is_a_file_others_can_hold(tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "locks").mkdir()
    with (tmp_path / "locks/tables").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threading.Timer(0.3, lambda: fcntl.flock(held, fcntl.LOCK_UN)).start()
        began = time.monotonic()
        alone(tmp_path, "exit 0", synchronization={"mutexes": [{"name": "tables"}]})
        assert time.monotonic() - began >= 0.3


def test_lock_that_never_comes_ends_by_timeout(tmp_path: Path) -> None:
    locks = {"synchronization": {"mutexes": [{"name": "t"}]}}
    ran = execute(
        tmp_path,
        step("a", "sleep 1", **locks),
        step("b", "exit 0", timeout="200ms", **locks),
        dag("main", task("a"), task("b")),
    )
    assert ran.phases() == {"a": "Succeeded", "b": "Failed"}


@pytest.mark.parametrize(
    ("cpu", "jobs", "overlaps"), [("10m", None, True), ("10m", 1, False), ("4000", None, False)]
)
def test_requests_and_jobs_bound_what_runs_at_once(
    cpu: str, jobs: int | None, overlaps: bool, tmp_path: Path
) -> None:
    container = {"resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}}
    execute(tmp_path, step("a", "sleep 0.1", container=container), loop(), options={"jobs": jobs})
    assert overlapping(tmp_path) is overlaps
    started = [e for e in lines_of(tmp_path / "runs/r1/events.jsonl") if e["event"] == "started"]
    assert ("runs alone" in str(started[0].get("reason"))) is (cpu == "4000")
    if jobs == 1:
        assert [e["node"] for e in started] == ["a(0:1)", "a(1:2)", "a(2:3)"]


# --- suspension --------------------------------------------------------------------------------


def waiting(folder: Path, duration: str | None, **options: Any) -> Any:
    body = {"suspend": {"duration": duration} if duration else {}}
    graph = dag("main", task("wait"), task("b", "wait.Succeeded", template="ok"))
    return execute(folder, {"name": "wait", **body}, step("ok", "exit 0"), graph, options=options)


def test_suspended_node_waits_its_duration(tmp_path: Path) -> None:
    assert waiting(tmp_path, "50ms").phases() == {"wait": "Succeeded", "b": "Succeeded"}


def test_suspended_node_without_duration_leaves_the_run_suspended(tmp_path: Path) -> None:
    ran = waiting(tmp_path, None)
    assert (str(ran.result.phase), exit_code(ran.result, None)) == ("Suspended", 0)
    assert "b" not in ran.phases()


def test_approved_node_lets_the_run_go_on(tmp_path: Path) -> None:
    ran = waiting(tmp_path, None, approve=lambda node, _s: f"ann for {node}")
    assert ran.phases() == {"wait": "Succeeded", "b": "Succeeded"}
    assert ran.record.nodes["wait"]["reason"] == "approved by ann for wait"


# --- what a node gets and leaves ---------------------------------------------------------------


# --- finished work -----------------------------------------------------------------------------


def test_reason_of_a_failure_is_told_whole_and_a_cut_shows(tmp_path: Path) -> None:
    advice = f"{'x' * 900};load-them"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert alone(tmp_path / "a", f"exit 65 {advice}").result.reason == advice
    cut = alone(tmp_path / "b", f"exit 65 {'x' * 3000}").result.reason
    assert (len(cut), cut[-5:]) == (2003, "xx...")
