"""From gold to a set in production with real fits and a real MLflow: one small root, made once."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakePorts, arguments, make_ports, no_tick
from goldroots import publish_gold

from bft.adapters.compute.inline import InlineCompute
from bft.adapters.compute.placement import Capacity
from bft.adapters.store.state import SqlState
from bft.adapters.tracker.mlflow import MlflowTracker
from bft.domain import sessions
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Event, Outcome, Task
from bft.ports import Summary
from bft.steps import gate, models, predict, promote, record, train

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries that MLflow imports

SMALL = ("epochs=1", "plots=[loss]", "bootstrap_draws=50", "stride=8")
WORDS = ("all", "--no-baselines", *(word for text in SMALL for word in ("--override", text)))


@dataclass
class Counting:
    """Inline compute that counts the tasks it ran."""

    inner: InlineCompute
    ran: int = 0

    def prepare(self, module: str) -> None:
        pass

    def run(self, tasks: Any, on_event: Any, on_outcome: Any) -> list[Outcome]:
        self.ran += len(tasks)
        return self.inner.run(tasks, on_event, on_outcome)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakePorts, Any, Counting, Summary]:
    root = tmp_path_factory.mktemp("night") / "root"
    ports = make_ports(root)
    asof = publish_gold(ports, symbols=24, days=460)
    capacity = Capacity(cpus=8, memory_mb=99_999)
    counting = Counting(InlineCompute(clock=ports.clock, capacity=capacity))
    ports.compute = lambda _spec, *, tasks, jobs: counting
    ports.state = SqlState(f"sqlite:///{root / 'state.db'}", clock=ports.clock)
    database = root / "mlflow.db"
    ports.tracker = MlflowTracker(
        f"sqlite:///{database}", database=database, store=ports.store, clock=ports.clock
    )
    summary = call(ports, train, asof, *WORDS)
    return ports, asof, counting, summary


def call(ports: FakePorts, step: Any, asof: Any, *words: str, gates_dir: str = "") -> Summary:
    found: Summary = step.STEP.run(
        ports, words_of(step, asof, *words, gates_dir=gates_dir), no_tick
    )
    return found


def words_of(step: Any, asof: Any, *words: str, gates_dir: str = "") -> Any:
    folders = {"gates_dir": gates_dir, "profiles_dir": ""}
    return arguments(step.STEP, *words, asof=asof, trading_mode="paper", **folders)


def test_nine_models_are_trained_published_and_registered(night: Any) -> None:
    ports, asof, _, summary = night
    rows = summary.values["models"]
    assert [row["name"] for row in rows] == list(MODEL_NAMES)
    assert {row["status"] for row in rows} == {"trained"}
    assert {row["version"] for row in rows} == {"1"}
    assert summary.exit_code == 0
    for row in rows:
        assert ports.store.digest(f"models/{row['digest']}/SHA256SUMS") == row["digest"]
        candidate = json.loads(ports.store.get(f"candidates/{row['name']}.json"))
        assert (candidate["digest"], candidate["asof"]) == (row["digest"], str(asof))
        assert ports.tracker.aliases(f"bft-{row['name']}") == {"candidate": "1"}
    lines = [
        json.loads(line)
        for key in ports.store.keys("runs/train-")
        for line in ports.store.get(key).splitlines()
    ]
    assert sum(line["state"] == "progress" for line in lines) == 9


def test_person_sees_curves_plots_parameters_and_card(night: Any) -> None:
    from mlflow import MlflowClient

    ports, _, _, summary = night
    client = MlflowClient(f"sqlite:///{Path(ports.store.root) / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "bft"]
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    parent, child = runs["train all (simulated)"], runs["bin_10d (simulated)"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["simulated"] == "true"
    assert child.data.params["epochs"] == "1"
    assert {"train_loss", "valid_loss", "test_brier_skill"} <= set(child.data.metrics)
    curve = client.get_metric_history(child.info.run_id, "valid_loss")
    kept = min(curve, key=lambda one: (one.value, one.step))
    assert child.data.metrics["best_valid_loss"] == pytest.approx(kept.value)
    assert child.data.metrics["best_epoch"] == kept.step
    (given,) = child.inputs.dataset_inputs
    assert given.dataset.name == "gold"
    assert "was kept with validation loss" in child.data.tags["mlflow.note.content"]
    assert child.data.tags["gold_digest"] == ports.store.manifest("gold").digest
    assert [f.path for f in client.list_artifacts(child.info.run_id)] == ["plots"]
    nested = runs["bin_10d fold 0 (simulated)"]
    assert nested.data.tags["mlflow.parentRunId"] == child.info.run_id
    assert len(client.get_metric_history(nested.info.run_id, "train_loss")) == 1
    version = client.get_model_version("bft-bin_10d", "1")
    digest = next(row["digest"] for row in summary.values["models"] if row["name"] == "bin_10d")
    assert version.tags["digest"] == digest
    assert version.description
    assert version.description.startswith(ports.store.get(f"models/{digest}/card.md").decode()[:40])


def test_registered_version_loads_and_predicts_as_the_artifact(night: Any) -> None:
    import mlflow

    ports, _, _, summary = night
    digest = next(row["digest"] for row in summary.values["models"] if row["name"] == "reg_3d")
    mlflow.set_tracking_uri(f"sqlite:///{Path(ports.store.root) / 'mlflow.db'}")
    served = mlflow.pyfunc.load_model("models:/bft-reg_3d@candidate")
    with np.load(ports.store.path(f"models/{digest}") / "probe.npz") as probe:
        asked = {"windows": probe["raw"], "symbols": [str(name) for name in probe["symbols"]]}
        assert np.abs(served.predict(asked) - probe["calibrated"]).max() <= 1e-5
        assert np.isfinite(served.predict(probe["raw"])).all()


def test_finished_training_key_is_not_trained_again(night: Any) -> None:
    ports, asof, counting, summary = night
    before = counting.ran
    again = call(ports, train, asof, *WORDS)
    assert counting.ran == before
    assert {row["status"] for row in again.values["models"]} == {"cached"}
    digests = [[row["digest"] for row in s.values["models"]] for s in (summary, again)]
    assert digests[0] == digests[1]
    other = call(ports, train, asof, "reg_3d", *WORDS[1:], "--seed", "2", "--dry-run")
    assert other.values["models"][0]["key"] not in {
        row["key"] for row in call(ports, train, asof, *WORDS, "--dry-run").values["models"]
    }


SHORT = ("--override", "min_train_sessions=60")


def test_dry_run_tells_folds_by_their_days(night: Any) -> None:
    """Red: session numbers such as 6010, which nobody can read."""
    ports, asof, _, _ = night
    (row,) = call(ports, train, asof, "reg_3d", *WORDS[1:], "--dry-run").values["models"]
    fold = row["folds"][-1]
    ends = {name: [date.fromisoformat(day) for day in fold[name]] for name in fold if name != "k"}
    days = [*ends["train"], *ends["valid"], *ends["test"]]
    assert days == sorted(days)
    # Labels of 3 days reach from the next open: 4 sessions after the last one that is judged.
    assert days[-1] == sessions.shift(asof, -4)
    study = call(ports, train, asof, "reg_3d", *WORDS[1:], "--cpcv", "--dry-run", *SHORT)
    blocks = [fold["test"] for fold in study.values["models"][0]["folds"]]
    words = json.dumps(blocks).translate(str.maketrans("[],", "   ", '"')).split()
    assert all(date.fromisoformat(day) <= asof for day in words)


def test_each_of_the_nine_is_found_finished_once_all_are(night: Any) -> None:
    """A night run again asks for the one that the gate held back; its data are the same."""
    ports, asof, _, _ = night

    def found(*words: str) -> Any:
        return record.cached(ports, "train", train.STEP, words_of(train, asof, *words))

    assert found("bin_10d", *WORDS[1:]) is None
    record.execute(ports, "train", train.STEP, words_of(train, asof, *WORDS), no_tick)
    line = found("bin_10d", *WORDS[1:])
    assert [(row["name"], row["status"]) for row in line["models"]] == [("bin_10d", "cached")]
    assert (line["cached"], line["rows"], line["study"]) == (True, 1, False)
    assert found("bin_10d", *WORDS[1:], "--seed", "2") is None


@dataclass
class Told:
    """Compute that gives a known answer to every task."""

    value: dict[str, Any]

    def prepare(self, module: str) -> None:
        pass

    def run(self, tasks: Any, on_event: Any, on_outcome: Any) -> list[Outcome]:
        outcomes = [Outcome(key=task.key, value=self.value) for task in tasks]
        for outcome in outcomes:
            on_outcome(outcome)
        return outcomes


def test_combinatorial_folds_are_a_study_and_make_no_candidate(night: Any) -> None:
    """Their nets have seen days after those they are tested on; nothing may be gated on that."""
    ports, asof, counting, summary = night
    key = "candidates/reg_3d.json"
    before = ports.store.get(key)
    digest = summary.values["models"][0]["digest"]
    value = {"digest": digest, "status": "trained", "train_end": "2024-01-02", "folds": []}
    ports.compute = lambda _spec, *, tasks, jobs: Told(value | {"metrics": {}})
    ports.store.delete(key)
    try:
        short = ("min_train_sessions=20", "valid_sessions=20")
        fewer = [word for text in short for word in ("--override", text)]
        done = call(ports, train, asof, "reg_3d", *WORDS[1:], "--cpcv", *fewer)
        assert done.values["models"][0]["version"] is None
        assert done.values["study"] is True
        assert ports.store.digest(key) is None
    finally:
        ports.store.put(key, before)
        ports.compute = lambda _spec, *, tasks, jobs: counting


def test_bootstrap_gate_proposes_a_set_that_is_promoted(night: Any) -> None:
    ports, asof, _, _ = night
    first = call(ports, gate, asof, "--gates", "bootstrap", "--dry-run")
    asked = words_of(gate, asof, "--gates", "bootstrap")
    judged = record.execute(ports, "gate", gate.STEP, asked, no_tick)
    assert first.values["report_digest"] == judged.values["report_digest"]
    absent = [row["name"] for row in judged.values["models"] if row["origin"] == "absent"]
    assert judged.values["verdict"] == ("pass" if len(absent) <= 2 else "fail")
    done = call(ports, promote, asof)
    assert done.values["status"] == "promoted"
    assert done.values["mirror"] == "done"
    again = record.cached(ports, "gate", gate.STEP, asked)
    assert again is not None, "its own proposal is in production: nothing to judge again"
    assert again["report_digest"] == judged.values["report_digest"]
    anew = words_of(gate, asof, "--gates", "bootstrap,nightly")
    other = record.execute(ports, "gate", gate.STEP, anew, no_tick)
    assert other.values["report_digest"] != judged.values["report_digest"]
    values = call(ports, models, asof).values
    assert values["missing"] == absent
    assert values["mlflow_request"] == "none"
    assert ports.tracker.aliases("bft-set") == {"production": "1"}
    live = call(ports, gate, asof, "--live").values
    assert (live["verdict"], live["breached"]) == ("no_outcomes", False)


def test_promoted_set_scores_the_newest_day(night: Any) -> None:
    """What training wrote is what inference reads."""
    ports, asof, _, _ = night
    call(ports, gate, asof, "--gates", "bootstrap")
    call(ports, promote, asof)
    done = call(ports, predict, asof)
    rows = ports.store.read("forecasts", asof=asof).to_pylist()
    assert done.rows == len(rows) > 0
    assert {row["asof"] for row in rows} == {asof}
    assert all(row["rank_3d"] is not None for row in rows if row["status"] == "ok")


def test_paper_gate_compares_the_merge_and_keeps_equal_models(night: Any) -> None:
    ports, asof, _, _ = night
    values = call(ports, gate, asof, "--dry-run").values
    by_id = {(row["id"], row["model"]): row for row in values["rules"]}
    assert by_id[("merge_beats", None)]["reason"] == "same_model"
    assert by_id[("oos_days", None)]["value"] > 0
    assert by_id[("probe", "reg_3d")]["verdict"] == "pass"
    assert {row["origin"] for row in values["models"]} <= {"incumbent", "absent"}
    missing = {row["metric"] for row in values["rules"] if row["reason"] == "missing"}
    assert missing <= {"rank_ic", "rank_ic_10d", "rank_ic_windows_positive"}  # a constant score


LOOSE = """
schema: bft.gates/1
profile: loose
inconclusive: candidate
absent_at_most: 9
rules:
  - {id: probe, scope: model, kind: floor, metric: probe, min: 1}
"""
POLICY = """
schema: bft.policy/1
paper: {gates: [[loose]], approvals: 0}
"""


def test_alias_moved_in_mlflow_is_adopted_by_the_modes_gates(night: Any, tmp_path: Path) -> None:
    ports, asof, _, _ = night
    row = call(ports, train, asof, "reg_3d", *WORDS[1:], "--seed", "2").values["models"][0]
    assert (row["status"], row["version"]) == ("trained", "2")
    before = ports.state.pointer("production").revision
    ports.tracker.set_alias("bft-reg_3d", "production", "2")
    assert call(ports, models, asof).values["mlflow_request"] == "bft-reg_3d:2"
    (tmp_path / "loose.yaml").write_text(LOOSE)
    (tmp_path / "policy.yaml").write_text(POLICY)
    done = call(ports, promote, asof, "--from-mlflow", gates_dir=str(tmp_path)).values
    assert (done["status"], done["revision"]) == ("promoted", before + 1)
    by_alias = {"candidate": "2", "production": "2", "previous": "1"}
    assert ports.tracker.aliases("bft-reg_3d") == by_alias
    assert ports.tracker.aliases("bft-bin_10d")["production"] == "1"
    assert ports.state.audit()[-1]["actor"] == "mlflow"
    assert call(ports, models, asof).values["mlflow_request"] == "none"


class Away:
    """Compute whose tasks all fail in one way."""

    def __init__(self, kind: str, *, retryable: bool) -> None:
        self.kind, self.retryable = kind, retryable

    def prepare(self, module: str) -> None:
        pass

    def run(self, tasks: list[Task], on_event: Any, on_outcome: Any) -> list[Outcome]:
        from bft.domain.runs import Failure

        failure = Failure(kind=self.kind, message="why", retryable=self.retryable)
        for one in tasks:
            on_event(Event(key=one.key, state="failed", at=np.datetime64(0, "s").item()))
        outcomes = [Outcome(key=one.key, value=None, failure=failure) for one in tasks]
        for one in outcomes:
            on_outcome(one)
        return outcomes


@pytest.mark.parametrize(
    ("kind", "retryable", "code"),
    [("data", False, 65), ("config", False, 78), ("crashed", True, 75), ("crashed", False, 1)],
)
def test_failures_decide_the_exit_code(night: Any, kind: str, retryable: bool, code: int) -> None:
    from registries import MemoryTracker

    ports, asof, _, _ = night
    mine = make_ports(Path(ports.store.root), tracker=MemoryTracker())
    mine.compute = lambda _spec, *, tasks, jobs: Away(kind, retryable=retryable)
    found = call(mine, train, asof, "reg_3d", "--seed", "7")
    assert found.exit_code == code
    assert found.skipped == {"failed": 1}
    assert found.values["models"][0]["error"] == "why"
    assert {run["status"] for run in mine.tracker.runs.values()} == {"FAILED"}
