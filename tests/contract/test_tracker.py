"""The MLflow tracker on a real, embedded MLflow. Opening it takes seconds: one module, one root."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import FixedClock

from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.tables import TableStore
from bft.adapters.tracker.mlflow import MlflowTracker
from bft.domain.errors import UnavailableError
from bft.domain.runs import Metric
from bft.services.mlflow import runs_page

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries that MLflow imports

NOWHERE = "http://127.0.0.1:9"


def made(root: Path, uri: str | None = None) -> MlflowTracker:
    store = TableStore(FolderObjects(root))
    database = None if uri else root / "mlflow.db"
    return MlflowTracker(
        uri or f"sqlite:///{database}", database=database, store=store, clock=FixedClock()
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracker")


@pytest.fixture(scope="module")
def tracker(root: Path) -> MlflowTracker:
    return made(root)


@pytest.fixture(scope="module")
def client(root: Path, tracker: MlflowTracker) -> Any:
    tracker.start("first", run_key="first", tags={})
    tracker.finish("first")
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root / 'mlflow.db'}")


def run_of(client: Any, key: str) -> Any:
    (experiment,) = [e for e in client.search_experiments() if e.name == "bft"]
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`bft.run_key` = '{key}'")
    return run


def folder(path: Path, text: str = "net") -> Path:
    files = {"model.json": "{}", "weights.pt": text, "card.md": "# card"}
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_text(content)
    return path


def tags(text: str) -> dict[str, str]:
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), "gold_digest": "g"}


def loss(step: int, value: float, at_ms: int = 1_700_000_000_000) -> Metric:
    return Metric(name="train_loss", value=value, step=step, at_ms=at_ms)


def test_parent_child_and_nested_runs_hold_what_was_logged(
    tracker: MlflowTracker, client: Any, tmp_path: Path
) -> None:
    parent = tracker.start("train", run_key="p1", tags={"profile": "demo"})
    child = tracker.start("reg_3d", run_key="c1", tags={"gold": "abc"}, parent=parent)
    fold = tracker.start("fold 0", run_key="f1", tags={}, parent=child)
    tracker.params(child, {"lr": 2e-3, "lookback": 20})
    tracker.metrics(fold, [loss(n, 1 / (n + 1)) for n in range(1500)])
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "loss.png").write_bytes(b"png")
    tracker.artifacts(child, plots, to="plots")
    for run in (fold, child, parent):
        tracker.finish(run)

    ids = {key: run_of(client, key).info.run_id for key in ("p1", "c1", "f1")}
    child_run = client.get_run(ids["c1"])
    assert child_run.data.tags["mlflow.parentRunId"] == ids["p1"]
    assert client.get_run(ids["f1"]).data.tags["mlflow.parentRunId"] == ids["c1"]
    assert child_run.data.tags["gold"] == "abc"
    assert child_run.info.run_name == "reg_3d"
    assert child_run.info.status == "FINISHED"
    assert child_run.data.params == {"lr": "0.002", "lookback": "20"}
    assert len(client.get_metric_history(ids["f1"], "train_loss")) == 1500
    assert [f.path for f in client.list_artifacts(ids["c1"], "plots")] == ["plots/loss.png"]


def test_run_has_a_description_and_the_data_it_learned_from(
    tracker: MlflowTracker, client: Any
) -> None:
    tracker.start("told", run_key="told", tags={})
    tracker.describe("told", "before")
    tracker.describe("told", "reg_3d on gold of 2025-06-30")
    digest = hashlib.sha256(b"gold").hexdigest()
    for _ in range(2):
        tracker.dataset("told", "gold", digest=digest, about={"asof": "2025-06-30"})
    tracker.finish("told")
    run = run_of(client, "told")
    assert run.data.tags["mlflow.note.content"] == "reg_3d on gold of 2025-06-30"
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("gold", digest[:36])
    assert json.loads(given.dataset.source)["digest"] == digest
    assert json.loads(given.dataset.profile) == {"asof": "2025-06-30"}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_runs_page_of_the_experiment_opens_with_metric_columns(client: Any, root: Path) -> None:
    """The shape is that of MLflow 3.17's own share button: JSON in a tag of the experiment."""
    (experiment,) = [e for e in client.search_experiments() if e.name == "bft"]
    view = json.loads(experiment.tags["mlflow.sharedViewState.bft"])
    assert "metrics.`best_valid_loss`" in view["selectedColumns"]
    shown = sorted(
        name.replace("`", "") for name in view["selectedColumns"]
    )  # as MLflow orders metrics: by name
    assert shown[:2] == ["metrics.best_valid_loss", "metrics.test_rank_ic"]
    page = runs_page(root / "mlflow.db")
    # MLflow opens its pages for language models otherwise: traces, prompts, no registry
    shown_as = "workflowType=machine_learning&viewStateShareKey=bft"
    assert page == f"/#/experiments/{experiment.experiment_id}/runs?{shown_as}"
    assert "tags.`simulated`" in view["selectedColumns"]


def test_repeated_metrics_count_once_also_in_a_later_process(
    tracker: MlflowTracker, client: Any, root: Path
) -> None:
    tracker.start("again", run_key="again", tags={})
    tracker.metrics("again", [loss(0, 0.5), loss(0, 0.5), loss(1, 0.4)])
    tracker.metrics("again", [loss(1, 0.4, at_ms=1_700_000_009_000)])
    tracker.finish("again")
    later = made(root)
    later.start("again", run_key="again", tags={"resumed": "yes"})
    later.metrics("again", [loss(n, 0.3, at_ms=1_700_000_099_000) for n in range(3)])
    later.finish("again")
    run = run_of(client, "again")
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)] == [
        (0, 0.5),
        (1, 0.4),
        (2, 0.3),
    ]
    assert run.data.tags["resumed"] == "yes"


def test_version_is_registered_once_per_digest_and_loads_without_pickle(
    tracker: MlflowTracker, client: Any, tmp_path: Path
) -> None:
    tracker.start("reg", run_key="reg", tags={})
    art = folder(tmp_path / "art")
    first = tracker.register("bft-reg_3d", art, run="reg", tags=tags("a"), description="a card")
    again = tracker.register("bft-reg_3d", art, run="reg", tags=tags("a"))
    other = tracker.register("bft-reg_3d", art, run="reg", tags=tags("b"))
    assert (first.version, again.version, other.version) == ("1", "1", "2")
    assert first.tags["gold_digest"] == "g"
    version = client.get_model_version("bft-reg_3d", "1")
    assert version.description == "a card"
    assert version.run_id == run_of(client, "reg").info.run_id
    local = Path(version.source.removeprefix("file://"))
    meta = (local / "MLmodel").read_text()
    assert "loader_module: bft.models.mlflow_loader" in meta
    assert [p.name for p in sorted(local.rglob("*")) if p.suffix in {".pkl", ".pickle"}] == []


def test_set_is_registered_as_a_plain_folder(
    tracker: MlflowTracker, client: Any, tmp_path: Path
) -> None:
    tracker.start("sets", run_key="sets", tags={})
    (tmp_path / "set.json").write_text("{}")
    made_version = tracker.register("bft-set", tmp_path, run="sets", tags=tags("s"))
    source = client.get_model_version("bft-set", made_version.version).source
    assert (Path(source.removeprefix("file://")) / "set.json").read_text() == "{}"


def test_table_reads_equal_the_library(tracker: MlflowTracker, client: Any, tmp_path: Path) -> None:
    assert tracker.versions("bft-nothing") == []
    assert tracker.aliases("bft-nothing") == {}
    tracker.start("x", run_key="x", tags={})
    art = folder(tmp_path / "art")
    for text in "abc":
        tracker.register("bft-bin_3d", art, run="x", tags=tags(text))
    tracker.set_alias("bft-bin_3d", "candidate", "3")
    tracker.set_alias("bft-bin_3d", "production", "1")
    tracker.set_alias("bft-bin_3d", "shadow", "1")
    tracker.set_alias("bft-bin_3d", "shadow", None)
    tracker.tag_version("bft-bin_3d", "1", "bft.refused", "worse")
    client.delete_model_version("bft-bin_3d", "2")
    aliases = {a: str(v) for a, v in client.get_registered_model("bft-bin_3d").aliases.items()}
    assert tracker.aliases("bft-bin_3d") == aliases == {"candidate": "3", "production": "1"}
    library = client.search_model_versions("name='bft-bin_3d'")
    expected = sorted(((str(v.version), v.run_id, v.tags) for v in library), reverse=True)
    assert [(v.version, v.run_id, v.tags) for v in tracker.versions("bft-bin_3d")] == expected
    assert tracker.versions("bft-bin_3d")[-1].tags["bft.refused"] == "worse"


@pytest.fixture
def outage(tmp_path: Path) -> Path:
    """A root whose tracker was away during a training."""
    away = made(tmp_path, NOWHERE)
    away.start("train", run_key="out", tags={"profile": "demo"})
    for step in range(50):
        away.metrics("out", [loss(step, 1.0 + step)])
    away.params("out", {"lr": 1})
    away.finish("out")
    return tmp_path


def test_outage_spools_in_order_and_registration_says_unavailable(outage: Path) -> None:
    files = sorted((outage / "spool" / "mlflow").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert [lines[0]["op"], lines[-1]["op"]] == ["start", "finish"]
    values = [value for line in lines if line["op"] == "metrics" for value in line["values"]]
    assert [value[2] for value in values] == list(range(50))
    tracker = made(outage, NOWHERE)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        tracker.register("bft-reg_3d", outage, run="out", tags=tags("a"))


def test_next_connection_replays_the_spool_and_loses_nothing(
    outage: Path, root: Path, client: Any
) -> None:
    store = TableStore(FolderObjects(outage))
    database = root / "mlflow.db"
    tracker = MlflowTracker(
        f"sqlite:///{database}", database=database, store=store, clock=FixedClock()
    )
    tracker.start("next", run_key="next", tags={})
    tracker.finish("next")
    run = run_of(client, "out")
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert sorted((m.step, m.value) for m in history) == [(n, 1.0 + n) for n in range(50)]
    assert (run.data.params, run.info.status) == ({"lr": "1"}, "FINISHED")
    assert store.keys("spool/") == []


OPEN = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from test_tracker import folder, made, tags
root, name = Path(sys.argv[2]), sys.argv[3]
tracker = made(root)
run = tracker.start(name, run_key=name, tags={})
print(tracker.register("bft-reg_3d", folder(root / name), run=run, tags=tags(name)).version)
tracker.finish(run)
"""


def test_two_first_openings_at_once_both_register(tmp_path: Path) -> None:
    """Nine training nodes of a fresh root open it together; without a lock both migrate it."""
    here = str(Path(__file__).parent)
    words = [sys.executable, "-W", "ignore", "-c", OPEN, here, str(tmp_path)]
    both = [
        subprocess.Popen([*words, name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    assert sorted(process.communicate()[0].strip() for process in both) == ["1", "2"]
