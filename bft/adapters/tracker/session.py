"""An open MLflow: operations become client calls. Importing MLflow takes seconds."""

import fcntl
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bft.domain.errors import BftError, ConfigError, DataError
from bft.domain.runs import Json, ModelVersion

EXPERIMENT = "bft"
RUN_KEY = "bft.run_key"
BATCH = 1000  # metrics in one log_batch, the server's limit
PARAMS = 100  # likewise
DESCRIPTION_CHARS = 5000  # the database's limit
DIGEST_CHARS = 36  # of a dataset, the database's limit
VIEW = "bft"
"""Key of the view that shows metrics as columns: /#/experiments/ID/runs?viewStateShareKey=bft"""
# MLflow orders shown metrics by name and puts the dataset before them: the more are shown, the
# farther right test_rank_ic is. All others are a click away ("Columns").
_METRICS = ("best_valid_loss", "test_rank_ic", "test_sharpe_net")
_LABELS = ("tags.`simulated`", "tags.`asof`", "tags.`profile`")
_COLUMNS = [*(f"metrics.`{name}`" for name in _METRICS), *_LABELS]
_EXPERIMENT_TAGS = {
    "mlflow.note.content": (
        "One line a model; open one for its curves, plots, parameters and the digest of its data; "
        "its card stands at its registered model. Simulated: learned from a simulator, no market "
        "did this.\n\n"
        "`test_*` are on days no model saw in training; `valid_loss` is a curve over epochs, "
        "`best_valid_loss` that of the epoch kept (`best_epoch`). Runs of `bft train` calls and of "
        "folds appear when the search `metrics.best_epoch >= 0` is cleared."
    ),
    "mlflow.experimentKind": "custom_model_development",  # not asked for, nor taken for an LLM's
    "mlflow.experiment.primaryMetric.name": "test_rank_ic",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {
            "searchFilter": "metrics.best_epoch >= 0",  # models alone: calls and folds have none
            "orderByKey": "metrics.`test_rank_ic`",  # by date, MLflow folds them under their calls
            "orderByAsc": False,
            "selectedColumns": _COLUMNS,
        }
    ),
}
"""What the runs page opens with; MLflow 3.17 shows no metric by itself."""
LOADER = "bft.models.mlflow_loader"
# MLflow 3.17's codes that no retry heals; of all others (500, 503, 429, timeouts) one may.
_BAD = (
    "ALREADY_EXISTS BAD_REQUEST INVALID_PARAMETER_VALUE INVALID_STATE RESOURCE_ALREADY_EXISTS "
    "RESOURCE_CONFLICT RESOURCE_DOES_NOT_EXIST"
).split()
_MISCONFIGURED = (
    "CUSTOMER_UNAUTHORIZED ENDPOINT_NOT_FOUND NOT_FOUND NOT_IMPLEMENTED PERMISSION_DENIED "
    "UNAUTHENTICATED"
).split()
_STATUS = re.compile(r"failed with error code (4\d\d)")  # of an answer that is no JSON
_PASSING = {"408", "425", "429"}


class Session:
    """One connection; raises what MLflow raises (see `refusal`)."""

    def __init__(self, uri: str, *, database: Path | None) -> None:
        import mlflow
        from mlflow import MlflowClient
        from mlflow.environment_variables import (
            MLFLOW_HTTP_REQUEST_MAX_RETRIES,
            MLFLOW_HTTP_REQUEST_TIMEOUT,
        )

        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # our messages say what failed
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(1)  # the spool retries
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(20)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        with _alone(database):
            self._client = MlflowClient(uri, registry_uri=uri)
            self._experiment = self._open_experiment(database)
            self._label_experiment()
        self._runs: dict[str, str] = {}
        self._sent: dict[str, set[tuple[str, int]]] = {}

    def _open_experiment(self, database: Path | None) -> str:
        from mlflow.exceptions import MlflowException

        artifacts = (database.parent / "mlflow" / "artifacts").as_uri() if database else None
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                return str(self._client.create_experiment(EXPERIMENT, artifact_location=artifacts))
            except MlflowException as error:  # another process was quicker
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id)

    def _label_experiment(self) -> None:
        there = self._client.get_experiment(self._experiment).tags
        for key, value in _EXPERIMENT_TAGS.items():
            if there.get(key) != value and not (key.endswith("content") and key in there):
                self._client.set_experiment_tag(self._experiment, key, value)

    def apply(self, operation: Json) -> None:
        """Carry out one operation; a repeat changes nothing."""
        rest = {key: value for key, value in operation.items() if key not in {"op", "run"}}
        getattr(self, f"_{operation['op']}")(operation["run"], **rest)

    def register(
        self, name: str, folder: Path, *, run: str, tags: Mapping[str, str], description: str
    ) -> ModelVersion:
        """Register a folder, unless a version bears its digest."""
        for known in self.versions(name):
            if known.tags.get("digest") == tags["digest"]:
                return known
        run_id = self._id(run)
        where = self._log_model(run_id, folder) if (folder / "model.json").exists() else None
        if where is None:
            self._client.log_artifacts(run_id, str(folder), "set")
            where = (f"{self._client.get_run(run_id).info.artifact_uri}/set", None)
        self._create_registered(name)
        made = self._client.create_model_version(
            name,
            where[0],
            run_id=run_id,
            tags=dict(tags),
            description=description[:DESCRIPTION_CHARS],
            model_id=where[1],
        )
        return _version(made)

    def versions(self, name: str) -> list[ModelVersion]:
        """Versions, newest first."""
        found = self._client.search_model_versions(f"name='{name}'", max_results=1000)
        return sorted(map(_version, found), key=lambda one: -int(one.version))

    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version."""
        found = self._client.search_registered_models(f"name='{name}'", max_results=1)
        # a search result carries no aliases (MLflow 3.17), the model itself does
        model = self._client.get_registered_model(name) if found else None
        return {alias: str(version) for alias, version in model.aliases.items()} if model else {}

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point or remove an alias."""
        if version is None:
            self._client.delete_registered_model_alias(name, alias)
        else:
            self._client.set_registered_model_alias(name, alias, version)

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        """Tag a version."""
        self._client.set_model_version_tag(name, version, key, value)

    def _start(
        self, run: str, *, name: str, tags: Mapping[str, str], parent: str | None, at_ms: int
    ) -> None:
        run_id = self._find(run)
        if run_id is None:
            above = {"mlflow.parentRunId": self._id(parent)} if parent else {}
            all_tags = {**tags, **above, RUN_KEY: run}
            made = self._client.create_run(
                self._experiment, start_time=at_ms, tags=all_tags, run_name=name
            )
            self._runs[run], self._sent[run] = made.info.run_id, set()
            return
        self._client.update_run(run_id, status="RUNNING")
        self._tag(run_id, tags)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def _params(self, run: str, *, values: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        run_id = self._id(run)
        rows = [Param(key, value) for key, value in values.items()]
        for start in range(0, len(rows), PARAMS):
            self._client.log_batch(run_id, params=rows[start : start + PARAMS])

    def _describe(self, run: str, *, text: str) -> None:
        self._tag(self._id(run), {"mlflow.note.content": text})

    def _dataset(self, run: str, *, name: str, digest: str, about: Mapping[str, object]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = json.dumps(about, sort_keys=True)
        made = Dataset(
            name=name,
            digest=digest[:DIGEST_CHARS],
            source_type="bft",
            source=json.dumps({"table": name, "digest": digest}),
            profile=facts,
        )
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self._id(run), datasets=[DatasetInput(made, [context])])

    def _metrics(self, run: str, *, values: list[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric

        run_id = self._id(run)
        sent = self._sent.setdefault(run, set())
        rows = []
        for key, value, step, at_ms in values:
            if (key, step) not in sent:
                sent.add((key, step))
                rows.append(Metric(key, value, at_ms, step))
        for start in range(0, len(rows), BATCH):
            self._client.log_batch(run_id, metrics=rows[start : start + BATCH])

    def _artifacts(self, run: str, *, folder: str, to: str) -> None:
        self._client.log_artifacts(self._id(run), folder, to or None)

    def _finish(self, run: str, *, status: str, at_ms: int) -> None:
        self._client.set_terminated(self._id(run), status=status, end_time=at_ms)

    def _find(self, run: str) -> str | None:
        if run not in self._runs:
            test = f"tags.`{RUN_KEY}` = '{run}'"
            found = self._client.search_runs([self._experiment], test, max_results=1)
            if not found:
                return None
            self._runs[run] = found[0].info.run_id
            self._sent[run] = self._history(found[0])
        return self._runs[run]

    def _id(self, run: str) -> str:
        found = self._find(run)
        if found is None:
            raise LookupError(f"no run {run} was started")
        return found

    def _history(self, run: Any) -> set[tuple[str, int]]:
        rows = (self._client.get_metric_history(run.info.run_id, key) for key in run.data.metrics)
        return {(one.key, one.step) for row in rows for one in row}

    def _log_model(self, run_id: str, folder: Path) -> tuple[str, str | None]:
        from importlib.metadata import version

        import mlflow

        with mlflow.start_run(run_id=run_id):
            made = mlflow.pyfunc.log_model(
                name="model",
                loader_module=LOADER,
                data_path=str(folder),
                pip_requirements=[f"bft[train]=={version('bft')}"],
            )
        return made.artifact_path, made.model_id

    def _create_registered(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


@contextmanager
def _alone(database: Path | None) -> Iterator[None]:
    """Nobody else opens this database meanwhile.

    Two first openings at once would both migrate it: MLflow 3.17's own lock does not hold them.
    """
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def refusal(error: Exception) -> type[BftError] | None:
    """What a refusal that lasts is to bft; None where MLflow may answer later."""
    code = getattr(error, "error_code", None)
    if code is None:
        from sqlalchemy.exc import SQLAlchemyError

        local = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
        passing = isinstance(error, SQLAlchemyError | OSError) and not local
        return None if passing else DataError
    if code in _MISCONFIGURED:
        return ConfigError
    status = _STATUS.search(str(error))
    lasting = status is not None and status[1] not in _PASSING
    return DataError if code in _BAD or lasting else None


def _version(found: Any) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or None,
        tags=dict(found.tags or {}),
    )
