"""What `bft models` tells, and when its answer still holds."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fakes import NOW, FakePorts, FixedClock, arguments, no_tick
from registries import ASOF, put_artifact, put_set, with_registry

from bft.adapters.store.tables import schema
from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES
from bft.ports import Summary
from bft.steps import models, promote, record, rollback, telling

DAY = date.fromisoformat(ASOF)


@pytest.fixture
def ports(ports: FakePorts) -> Iterator[FakePorts]:
    yield with_registry(ports)
    ports.state.close()


def call(ports: FakePorts, step: Any, *words: str, mode: str = "paper") -> Summary:
    args = arguments(step.STEP, *words, asof=DAY, trading_mode=mode, gates_dir="")
    found: Summary = step.STEP.run(ports, args, no_tick)
    return found


def two_sets(ports: FakePorts) -> tuple[str, str]:
    first = put_set(ports, "a")
    call(ports, promote)
    second = put_set(ports, "b", gates="paper")
    call(ports, promote)
    return first, second


def test_models_names_all_nine_as_missing_before_the_first_set(ports: FakePorts) -> None:
    values = call(ports, models).values
    assert (values["missing"], values["missing_count"]) == (["all"], 9)
    assert values["mlflow_request"] == "none"


def test_models_is_not_found_finished_once_an_artifact_is_gone(ports: FakePorts) -> None:
    put_set(ports, "a")
    call(ports, promote)
    args = arguments(models.STEP, asof=DAY)
    for _ in range(2):
        found = record.execute(ports, "models", models.STEP, args, no_tick).values
    assert (found["cached"], found["missing"]) == (True, [])
    ports.store.delete(f"models/{put_artifact(ports, 'bin_3d a')}/model.json")
    found = record.execute(ports, "models", models.STEP, args, no_tick).values
    assert found["missing"] == ["bin_3d"]


@pytest.mark.parametrize("mover", [promote, rollback])
def test_night_run_again_after_a_move_asks_nothing_anew(ports: FakePorts, mover: Any) -> None:
    """`models` ran before the move, in the same night, and its answer was another one then."""
    args = arguments(models.STEP, asof=DAY)
    put_set(ports, "a")
    call(ports, promote)
    put_set(ports, "b", gates="paper")
    if mover is rollback:
        call(ports, promote)
    record.execute(ports, "models", models.STEP, args, no_tick)
    call(ports, mover)
    found = record.cached(ports, "models", models.STEP, args)
    assert found is not None
    assert found["set_digest"] == ports.state.pointer("production").set_digest
    assert (found["missing_count"], found["mlflow_request"]) == (0, "none")


def test_models_names_absent_and_expired_entries(ports: FakePorts) -> None:
    put_set(ports, "a", created="2025-10-07T23:00:00+00:00", absent=["bin_3d"])
    call(ports, promote)
    values = call(ports, models).values
    assert (values["missing"], values["missing_count"]) == (["bin_3d"], 1)  # 90 days: not yet
    assert {row["age_days"] for row in values["models"]} == {90, None}
    assert values["note"] is None
    ports.store.publish("gold", asof=DAY, partitions={"p": schema("gold").empty_table()})
    later = replace(ports, clock=FixedClock(datetime(2026, 1, 7, 1, tzinfo=UTC)))
    args = arguments(models.STEP, asof=date(2026, 1, 6))
    values = models.STEP.run(later, args, no_tick).values
    assert (values["missing"], values["missing_count"]) == (["all"], 9)
    assert values["note"] == (
        "the set exists, but 8 of its 8 models are over 90 days old on 2026-01-07 (the oldest 91), "
        f"so they count as missing; as of the newest night: bft models --asof {DAY}"
    )


def test_alias_moved_by_hand_is_a_request_and_a_late_mirror_is_none(ports: FakePorts) -> None:
    two_sets(ports)
    assert call(ports, models).values["mlflow_request"] == "none"
    ports.tracker.set_alias("bft-reg_3d", "production", "1")
    assert call(ports, models).values["mlflow_request"] == "bft-reg_3d:1"
    ports.tracker.set_alias("bft-reg_3d", "production", "2")
    put_set(ports, "c", gates="paper")
    ports.tracker.down = True
    call(ports, promote)
    ports.tracker.down = False
    assert call(ports, models).values["mlflow_request"] == "none"


def test_models_shows_what_was_in_production_then(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    assert call(ports, models, "--alias", "previous").values["set_digest"] == first
    values = call(ports, models, "--at", NOW.isoformat()).values
    assert values["set_digest"] == second
    assert call(ports, models, "--at", "2026-01-05T22:00:00+00:00").values["set_digest"] is None
    names = [row["name"] for row in call(ports, models, "--diff", first, second).values["diff"]]
    assert names == list(MODEL_NAMES)
    shown = call(ports, models, "show", "reg_3d").values
    assert (shown["card"], shown["version"]) == ("# reg_3d b", "2")
    card = call(ports, models, "show", "reg_3d", "--version", "1").values["card"]
    assert card == "# reg_3d a"


def test_model_that_was_never_registered_is_shown_without_a_version(ports: FakePorts) -> None:
    digest = put_artifact(ports, "reg_3d a")
    row = {"name": "reg_3d", "version": None, "digest": digest, "asof": str(DAY)}
    ports.store.put("candidates/reg_3d.json", json.dumps(row).encode())
    shown = call(ports, models, "show", "reg_3d").values
    assert (shown["digest"], "version" in shown) == (digest, False)


def test_verify_finds_a_forged_row_and_a_moved_pointer(ports: FakePorts) -> None:
    two_sets(ports)
    assert call(ports, models, "--verify").values["audit"]["verified"]
    engine = sa.create_engine(f"sqlite:///{Path(ports.store.root) / 'state.db'}")
    with engine.begin() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql("UPDATE audit SET body = body || ' '")
    with engine.begin() as connection:  # what only somebody with the file can do
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        body = connection.exec_driver_sql("SELECT body FROM audit WHERE seq = 1").scalar_one()
        forged = body.replace('"actor":"bft"', '"actor":"eve"')
        assert forged != body
        connection.exec_driver_sql("UPDATE audit SET body = ? WHERE seq = 1", (forged,))
    with pytest.raises(DataError, match="audit row 1: hash"):
        call(ports, models, "--verify")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET body = ? WHERE seq = 1", (body,))
        moved = hashlib.sha256(b"x").hexdigest()
        connection.exec_driver_sql(
            "UPDATE model_pointer SET set_digest = ? WHERE alias = 'production'", (moved,)
        )
    engine.dispose()
    with pytest.raises(DataError):
        call(ports, models, "--verify")


def test_models_names_the_profile_they_were_trained_by(ports: FakePorts) -> None:
    put_set(ports, "a")
    call(ports, promote)
    assert call(ports, models).values["profiles"] == []  # of older models it is unknown
    key = f"models/{put_artifact(ports, 'bin_3d a')}/model.json"
    about = json.loads(ports.store.get(key)) | {"profile": {"profile": "short"}}
    ports.store.put(key, json.dumps(about).encode())
    values = call(ports, models).values
    assert values["profiles"] == ["short"]
    assert "revision 1, profile short" in telling.told("models", {"verb": "models", **values})
