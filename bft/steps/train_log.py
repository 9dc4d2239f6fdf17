"""Tells the tracker, the terminal and `events.jsonl` how a training goes."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from bft.domain.runs import Event, Json, Metric, Task
from bft.models.model_set import digest_of
from bft.ports import Ports, Tick
from bft.steps.training import Plan
from bft.steps.training_eta import Eta

KEPT = {"best_valid_loss": "valid_loss", "best_epoch": "best_epoch"}
"""Metric -> key of a fold's record: the epoch whose weights were kept, not the last one."""
_ENDED = {"done", "failed"}


class TrainingLog:
    """One `train` call: a parent run, a child per model, a nested run per fold."""

    def __init__(self, ports: Ports, plan: Plan, tick: Tick, *, name: str) -> None:
        self._ports, self._plan, self._tick, self._name = ports, plan, tick, name
        self._tasks = {task.key: task for task in plan.tasks.values()}
        self.key = digest_of(sorted(self._tasks))[:32]
        most = {k: t.spec["profile"]["epochs"] for k, t in self._tasks.items()}
        self._eta = Eta({k: (n, len(self._tasks[k].spec["folds"])) for k, n in most.items()})
        self._open: dict[str, list[str]] = {}
        self._lines: list[str] = []
        self._ended: set[str] = set()

    def count(self, finished: Iterable[str]) -> None:
        """Count models that an earlier call finished."""
        for key in finished:
            self._ended.add(key)
            self._eta.over(key)

    def open(self, task: Task) -> str:
        """Start (or reopen) the model's run; returns it."""
        if task.key not in self._open:
            tags, spec, tracker = self._plan.tags, task.spec, self._ports.tracker
            if not self._open:
                tracker.start(self._titled(f"train {self._name}"), run_key=self.key, tags=tags)
            model = {"model": spec["name"], "type": spec["type"], "run_key": task.key}
            model |= {"threads": str(spec["threads"]), "device": spec["profile"]["device"]}
            title = self._titled(spec["name"])
            tracker.start(title, run_key=task.key, tags=tags | model, parent=self.key)
            tracker.params(task.key, spec["profile"])
            tracker.describe(task.key, self._about(spec))
            about = {"asof": spec["asof"], "folds": len(spec["folds"]), **spec["folds"][-1]}
            tracker.dataset(task.key, "gold", digest=spec["gold_digest"], about=about)
            self._open[task.key] = []
        return task.key

    def on_event(self, event: Event) -> None:
        """Pass an event on to the tracker, the events file and the terminal."""
        task = self._tasks[event.key]
        row: Json = {"at": event.at.isoformat(), "model": task.spec["name"], "state": event.state}
        if event.state == "progress":
            row |= {"fold": event.step, "epoch": event.epoch, "epochs": event.epochs}
            row |= dict(event.metrics)
            at_ms = int(event.at.timestamp() * 1000)
            self._curve(task, event.step, [{**event.metrics, "epoch": event.epoch}], at_ms)
        self._lines.append(json.dumps(row) + "\n")
        if event.state in _ENDED:
            self._ended.add(event.key)
            self._store_events()
        self._tick(len(self._ended), len(self._tasks), self._note(task, event))

    def result(self, task: Task, found: Json, artifact: Path | None, at: datetime) -> None:
        """Log curves and test metrics that a task returned, and its plots."""
        run, at_ms = self.open(task), int(at.timestamp() * 1000)
        for fold in found["folds"]:
            self._curve(task, int(fold["k"]), fold["history"], at_ms)
        kept = {name: found["folds"][-1][key] for name, key in KEPT.items()}
        numbers = {**found["metrics"], **{k: v for k, v in kept.items() if v is not None}}
        tests = [
            Metric(name=name, value=float(value), step=0, at_ms=at_ms)
            for name, value in numbers.items()
        ]
        self._ports.tracker.metrics(run, tests)
        self._ports.tracker.describe(run, self._about(task.spec) + _outcome(numbers))
        if artifact is not None and (artifact / "plots").is_dir():
            self._ports.tracker.artifacts(run, artifact / "plots", to="plots")

    def finish(self, task: Task, *, ok: bool) -> None:
        """Close a model's run and its folds."""
        status: Literal["FINISHED", "FAILED"] = "FINISHED" if ok else "FAILED"
        for run in [*self._open.get(task.key, ()), task.key] if task.key in self._open else ():
            self._ports.tracker.finish(run, status=status)

    def close(self, *, ok: bool) -> None:
        """Close the parent run, after everything is sent or spooled."""
        self._store_events()
        if self._open:
            self._ports.tracker.finish(self.key, status="FINISHED" if ok else "FAILED")

    def _titled(self, name: str) -> str:
        """A run's name; lists, legends and registered models show it, not the tags."""
        return f"{name} (simulated)" if self._plan.tags["simulated"] == "true" else name

    def _about(self, spec: Json) -> str:
        tags = self._plan.tags
        folds = f"{len(spec['folds'])} fold{'s' if len(spec['folds']) > 1 else ''}"
        kind = "**Simulated data.** " if tags["simulated"] == "true" else ""
        return (
            f"{kind}{spec['name']} ({spec['type']}), profile {tags['profile']}, seed "
            f"{tags['seed']}, {folds} on gold of {spec['asof']} "
            f"(`{spec['gold_digest'][:12]}`)."
        )

    def _curve(self, task: Task, fold: int, history: Sequence[Json], at_ms: int) -> None:
        """Epoch values to the fold's run; the newest fold's are the model's own as well."""
        rows = [
            Metric(name=name, value=float(value), step=int(entry["epoch"]), at_ms=at_ms)
            for entry in history
            for name, value in entry.items()
            if name != "epoch" and value is not None
        ]
        run = self.open(task)
        nested = f"{task.key}-{fold}"
        if nested not in self._open[task.key]:
            spans = task.spec["folds"][fold]
            tags = self._plan.tags | {"model": task.spec["name"], "fold": str(fold)}
            tags |= {block: str(spans[block]) for block in ("train", "valid", "test")}
            title = self._titled(f"{task.spec['name']} fold {fold}")
            self._ports.tracker.start(title, run_key=nested, tags=tags, parent=run)
            self._open[task.key].append(nested)
        self._ports.tracker.metrics(nested, rows)
        if fold == len(task.spec["folds"]) - 1:
            self._ports.tracker.metrics(run, rows)

    def _note(self, task: Task, event: Event) -> str:
        parts = [f"models {len(self._ended)}/{len(self._tasks)}"]
        if event.state == "progress":
            loss = "" if event.loss is None else f" loss {event.loss:.3f}"
            parts.append(f"{task.spec['name']} epoch {event.epoch}/{event.epochs}{loss}")
        left_s = self._eta.note(event)
        if left_s is not None:
            parts.append(f"ETA {timedelta(seconds=round(left_s))!s:0>8}")
        return " · ".join(parts)

    def _store_events(self) -> None:
        self._ports.store.put(f"runs/train-{self.key}/events.jsonl", "".join(self._lines).encode())


def _outcome(numbers: Json) -> str:
    """What came out, as far as it is known."""
    said = [
        text.format(numbers[name])
        for name, text in (
            ("best_epoch", " Epoch {:.0f} was kept"),
            ("best_valid_loss", " with validation loss {:.4f};"),
            ("test_rank_ic", " RankIC on test days {:+.4f}."),
        )
        if name in numbers
    ]
    return "".join(said)
