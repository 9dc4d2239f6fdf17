"""How far a training is told to be."""

from fakes import NOW, FakePorts

from bft.domain.runs import Event, Task
from bft.steps.train_log import TrainingLog
from bft.steps.training import Plan


def test_models_that_an_earlier_call_finished_count(ports: FakePorts) -> None:
    """Red: a resumed training began with `models 0/3`, and could not reach 3."""
    spec = {"profile": {"epochs": 4}, "name": "reg_3d", "folds": [{}]}
    tasks = {key: Task(key=key, call="m:f", spec=spec) for key in ("a", "b", "c")}
    told: list[tuple[int, int, str]] = []
    plan = Plan(tasks=tasks, tags={}, study=False)
    log = TrainingLog(ports, plan, lambda *how: told.append(how), name="all")
    log.count(["a", "b"])
    log.on_event(Event(key="c", state="running", at=NOW, epochs=4))
    assert told == [(2, 3, "models 2/3")]
    log.on_event(Event(key="c", state="running", at=NOW, epoch=1, epochs=4, epoch_s=2.0))
    assert told[-1] == (2, 3, "models 2/3 · ETA 00:00:06")
    log.on_event(Event(key="c", state="done", at=NOW))
    assert told[-1][:2] == (3, 3)
