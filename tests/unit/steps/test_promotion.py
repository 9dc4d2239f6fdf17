import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import NOW, FakePorts, FixedClock, arguments, no_tick
from panels import table
from registries import ASOF, put_artifact, put_set, with_registry

from bft.adapters.store.state import SqlState
from bft.adapters.store.tables import schema
from bft.domain.errors import DataError, RefusedError, StaleDataError, UnavailableError, UsageError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import ModelVersion
from bft.ports import Summary
from bft.steps import gate, models, promote, registry, rollback

DAY = date.fromisoformat(ASOF)


@pytest.fixture
def ports(ports: FakePorts) -> Iterator[FakePorts]:
    yield with_registry(ports)
    ports.state.close()


def call(ports: FakePorts, step: Any, *words: str, mode: str = "paper") -> Summary:
    args = arguments(step.STEP, *words, asof=DAY, trading_mode=mode, gates_dir="")
    found: Summary = step.STEP.run(ports, args, no_tick)
    return found


def status(summary: Summary) -> tuple[Any, int]:
    return summary.values["status"], summary.exit_code


def test_first_set_goes_into_production_with_audit_exports_and_aliases(ports: FakePorts) -> None:
    digest = put_set(ports, "a")
    done = call(ports, promote, "--reason", "first-set")
    assert status(done) == ("promoted", 0)
    assert (done.values["from"], done.values["to"], done.values["revision"]) == (None, digest, 1)
    (row,) = ports.state.audit()
    assert (row["actor"], row["reason"], row["verdicts"]) == (
        "bft",
        "first-set",
        {"bootstrap": "pass"},
    )
    assert row["ts_utc"] == NOW.isoformat()  # asof is the newest closed session
    assert ports.store.get("exports/production.alias").decode() == f"{digest}\n"
    exported = json.loads(ports.store.get("exports/registry.json"))
    assert [m["name"] for m in exported["models"]] == list(MODEL_NAMES)
    assert exported["moved_utc"] == NOW.isoformat()
    assert ports.tracker.aliases("bft-reg_3d") == {"production": "1"}
    (version,) = ports.tracker.versions("bft-set")
    assert (version.tags["digest"], ports.tracker.aliases("bft-set")) == (
        digest,
        {"production": "1"},
    )


def test_promoting_twice_finds_the_first_effect(ports: FakePorts) -> None:
    put_set(ports, "a")
    first, second = call(ports, promote), call(ports, promote)
    assert (first.values["already"], second.values["already"]) == (False, True)
    assert status(second) == ("promoted", 0)
    assert len(ports.state.audit()) == 1


def test_failed_gate_is_a_result_with_reasons(ports: FakePorts) -> None:
    put_set(ports, "a", verdict="fail")
    done = call(ports, promote)
    assert status(done) == ("not_promoted", 0)
    assert done.values["reasons"] == ["gate fail", "reg_3d leak: leak"]
    assert ports.state.pointer("production").revision == 0


def test_equal_nine_digests_are_unchanged(ports: FakePorts) -> None:
    put_set(ports, "a")
    call(ports, promote)
    put_set(ports, "a", note="judged again")
    done = call(ports, promote)
    assert (status(done), done.values["reasons"]) == (("not_promoted", 0), ["unchanged"])


def test_rerun_finds_a_promotion_done_where_its_models_are_in_production(
    ports: FakePorts,
) -> None:
    def found(*words: str) -> Any:
        return promote.STEP.done(ports, arguments(promote.STEP, *words, asof=DAY))

    put_set(ports, "a", absent=["buck_3d"])  # held back: missing, and judged every night
    assert found() is None
    call(ports, promote)
    assert found() == {"status": "not_promoted", "reasons": ["unchanged"]}
    put_set(ports, "a", absent=["buck_3d"], note="judged again")
    assert found() == {"status": "not_promoted", "reasons": ["unchanged"]}
    for words in (["--dry-run"], ["--expect", "0"], ["--from-mlflow"], ["--approve"]):
        assert found(*words) is None
    put_set(ports, "b")
    assert found() is None


def test_gate_is_judged_anew_unless_its_own_proposal_alone_moved_production(
    ports: FakePorts,
) -> None:
    def judged() -> str | None:
        found = gate.STEP.inputs(ports, arguments(gate.STEP, asof=DAY, gates_dir=""))
        return found["production"] if found else None

    first = put_set(ports, "a")
    assert judged() == "0 0 None"
    call(ports, promote)
    assert judged() == "0 0 None"
    put_set(ports, "b", gates="paper")
    assert judged() == "0 0 None", "judging others since does not change its own inputs"
    call(ports, promote)
    assert judged() == f"1 1 {first}"
    call(ports, rollback)
    assert judged() == f"3 3 {first}", "a person took it back"


def test_gate_is_judged_anew_where_a_set_was_promoted_that_the_newest_report_did_not_know(
    ports: FakePorts,
) -> None:
    chosen = put_set(ports, "a")
    put_set(ports, "b", gates="paper")
    call(ports, promote, "--set", chosen)
    found = gate.STEP.inputs(ports, arguments(gate.STEP, asof=DAY, gates_dir=""))
    assert found
    assert found["production"] == f"1 1 {chosen}"


def test_dry_run_moves_nothing(ports: FakePorts) -> None:
    put_set(ports, "a")
    assert status(call(ports, promote, "--dry-run")) == ("not_promoted", 0)
    assert ports.state.pointer("production").revision == 0


def test_other_expected_revision_is_a_conflict(ports: FakePorts) -> None:
    put_set(ports, "a")
    assert status(call(ports, promote, "--expect", "4")) == ("conflict", 77)


def test_altered_artifact_stops_a_promotion(ports: FakePorts) -> None:
    put_set(ports, "a")
    digest = put_artifact(ports, "bin_3d a")
    ports.store.put(f"models/{digest}/weights.pt", b"other")
    with pytest.raises(DataError, match="bin_3d"):
        call(ports, promote)


def test_without_a_gate_report_promotion_says_what_to_run(ports: FakePorts) -> None:
    with pytest.raises(DataError, match=r"none of any day\); run: bft run nightly"):
        call(ports, promote)
    hold_gold(ports)
    with pytest.raises(DataError, match=f"no gate report of {ASOF} .*; run: bft gate --asof"):
        call(ports, promote)


def hold_gold(ports: FakePorts) -> None:
    ports.store.publish("gold", asof=DAY, partitions={"p": schema("gold").empty_table()})


def test_live_mode_asks_for_its_gates_and_an_approval(ports: FakePorts) -> None:
    put_set(ports, "a", gates="paper")
    done = call(ports, promote, mode="live")
    assert status(done) == ("not_promoted", 0)
    put_set(ports, "b", gates="nightly,contracts_v2")
    assert status(call(ports, promote, mode="live")) == ("awaiting_approval", 77)
    done = call(ports, promote, "--approve", "--as", "ada", mode="live")
    assert status(done) == ("promoted", 0)
    assert ports.state.audit()[0]["approvals"] == ["ada"]
    with pytest.raises(UsageError, match="--as"):
        call(ports, promote, "--approve")


def test_approval_older_than_72_hours_does_not_count(ports: FakePorts) -> None:
    digest = put_set(ports, "a", verdict="inconclusive")
    report = registry.newest_report(ports.store, ASOF)["report_digest"]
    words = ("--accept-inconclusive", "--set", digest)
    ports.state.approve(report, actor="ada", at=datetime(2026, 1, 2, 23, 29, tzinfo=UTC))
    assert status(call(ports, promote, *words)) == ("awaiting_approval", 77)
    ports.state.approve(report, actor="ada", at=datetime(2026, 1, 2, 23, 31, tzinfo=UTC))
    assert status(call(ports, promote, *words)) == ("promoted", 0)


def test_64_promotions_at_once_have_one_winner(ports: FakePorts) -> None:
    """64 different sets, all judged against revision 0."""
    digests = [put_set(ports, "a", reg_3d=str(n)) for n in range(64)]
    url = f"sqlite:///{Path(ports.store.root) / 'state.db'}"

    def one(digest: str) -> tuple[Any, int]:
        mine = replace(ports, state=SqlState(url, clock=FixedClock()))
        try:
            return status(call(mine, promote, "--set", digest))
        finally:
            mine.state.close()

    ports.tracker.down = True  # the mirror is another test's
    with ThreadPoolExecutor(64) as threads:
        found = list(threads.map(one, digests))
    assert sorted(found) == [("conflict", 77)] * 63 + [("promoted", 0)]
    assert len(ports.state.audit()) == 1


def test_mirror_waits_for_mlflow_and_repair_catches_up(ports: FakePorts) -> None:
    put_set(ports, "a")
    ports.tracker.down = True
    done = call(ports, promote)
    assert status(done) == ("promoted", 0)
    assert done.values["mirror"].startswith("waits")
    ports.tracker.down = False
    assert ports.tracker.aliases("bft-reg_3d") == {}
    call(ports, models, "--repair")
    assert ports.tracker.aliases("bft-reg_3d") == {"production": "1"}


def test_mirror_is_left_to_the_process_that_is_at_it(ports: FakePorts) -> None:
    """Two at once would leave aliases of both; the move itself is never held up."""
    put_set(ports, "a")
    ports.tracker.down = True
    call(ports, promote)
    ports.tracker.down = False
    with ports.state.lease("promotion"):
        said = registry.after_move(ports, wait_s=0)
    assert said.startswith(f"waits: promotion is held by pid {os.getpid()} on ")
    assert ports.tracker.aliases("bft-reg_3d") == {}
    assert registry.after_move(ports) == "done"
    assert ports.tracker.aliases("bft-reg_3d") == {"production": "1"}


def two_sets(ports: FakePorts) -> tuple[str, str]:
    first = put_set(ports, "a")
    call(ports, promote)
    second = put_set(ports, "b", gates="paper")
    call(ports, promote)
    return first, second


def test_rollback_restores_the_whole_set_before(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    done = call(ports, rollback, "--reason", "live-gate")
    assert status(done) == ("rolled_back", 0)
    assert (done.values["from"], done.values["to"], done.values["revision"]) == (second, first, 3)
    assert ports.state.pointer("previous").set_digest is None
    assert ports.tracker.aliases("bft-reg_3d") == {"production": "1"}
    assert ports.state.audit()[-1]["action"] == "rollback"
    assert status(call(ports, rollback)) == ("nothing_to_do", 0)


def test_demoted_set_needs_an_approval_to_return(ports: FakePorts) -> None:
    _, second = two_sets(ports)
    call(ports, rollback)
    again = put_set(ports, "b", gates="paper")
    assert again != second
    words = ("--set", second, "--expect", "3")
    assert status(call(ports, promote, *words)) == ("awaiting_approval", 77)
    assert status(call(ports, promote, *words, "--approve", "--as", "ada")) == ("promoted", 0)


def test_demoted_models_need_an_approval_in_another_set_too(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    call(ports, rollback)
    again = put_set(ports, "b", gates="paper", note="judged the next evening")
    assert again != second
    assert status(call(ports, promote)) == ("awaiting_approval", 77)
    assert ports.state.pointer("production").set_digest == first
    assert status(call(ports, promote, "--approve", "--as", "ada")) == ("promoted", 0)
    assert ports.state.pointer("production").set_digest == again
    call(ports, rollback)
    with pytest.raises(RefusedError, match="--approve"):
        call(ports, rollback, "--to", second)


def test_promotion_that_was_undone_since_is_a_conflict(ports: FakePorts) -> None:
    """Its key is in the audit, but what it moved there has left."""
    first, second = two_sets(ports)
    call(ports, rollback)
    words = ("--set", second, "--approve", "--as", "ada")
    assert status(call(ports, promote, *words)) == ("conflict", 77)
    assert ports.state.pointer("production").set_digest == first


def test_set_in_production_is_not_moved_onto_itself(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    done = call(ports, promote, "--set", second, "--expect", "2")
    assert (*status(done), done.values["already"]) == ("promoted", 0, True)
    assert ports.state.pointer("previous").set_digest == first
    assert len(ports.state.audit()) == 2


def test_rollback_names_only_sets_that_were_in_production(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    never = put_set(ports, "c", verdict="fail")
    with pytest.raises(RefusedError, match="never in production"):
        call(ports, rollback, "--to", never)
    assert status(call(ports, rollback, "--to", first)) == ("rolled_back", 0)
    with pytest.raises(RefusedError, match="--approve"):
        call(ports, rollback, "--to", second)
    assert ports.state.pointer("production").set_digest == first


def test_rollback_only_if_the_days_set_was_breached(ports: FakePorts) -> None:
    first, second = two_sets(ports)
    assert status(call(ports, rollback, "--if-breached")) == ("nothing_to_do", 0)
    live = {"breached": True, "set_digest": second}
    ports.store.put(registry.live_key(ASOF), json.dumps(live).encode())
    assert status(call(ports, rollback, "--if-breached")) == ("rolled_back", 0)
    assert status(call(ports, rollback, "--if-breached")) == ("nothing_to_do", 0)
    assert ports.state.pointer("production").set_digest == first


def test_rollback_refuses_a_set_without_its_artifacts(ports: FakePorts) -> None:
    two_sets(ports)
    digest = put_artifact(ports, "buck_30d a")
    ports.store.delete(f"models/{digest}/weights.pt")
    with pytest.raises(DataError, match="buck_30d"):
        call(ports, rollback)
    assert ports.state.pointer("production").revision == 2


def test_gate_report_is_stale_once_there_is_newer_gold(ports: FakePorts) -> None:
    """Rules judge the age of gold, and sets by its prices."""
    args = arguments(gate.STEP, asof=DAY, gates_dir="")
    seen = []
    for word in ("a", "b"):
        rows = table("gold", [{"symbol": word, "date": DAY}])
        ports.store.publish("gold", asof=DAY, partitions={"all": rows})
        seen.append(gate.inputs(ports, args))
    assert seen[0] != seen[1]


def test_alias_on_a_foreign_version_is_put_back_with_the_reason(ports: FakePorts) -> None:
    two_sets(ports)
    ports.tracker.models["bft-reg_3d"].insert(
        0, ModelVersion(name="bft-reg_3d", version="3", run_id=None, tags={})
    )
    ports.tracker.set_alias("bft-reg_3d", "production", "3")
    hold_gold(ports)
    assert call(ports, models).values["mlflow_request"] == "bft-reg_3d:3"
    done = call(ports, promote, "--from-mlflow")
    assert status(done) == ("not_promoted", 0)
    assert ports.tracker.aliases("bft-reg_3d")["production"] == "2"
    assert "no digest" in ports.tracker.versions("bft-reg_3d")[0].tags["bft.refused"]
    assert call(ports, models).values["mlflow_request"] == "none"
    assert ports.state.pointer("production").revision == 2
    again = call(ports, promote, "--from-mlflow")
    assert again.values["reasons"] == ["no request in MLflow"]


def test_request_waits_while_something_does_not_answer(ports: FakePorts) -> None:
    """A fault that may pass is no refusal: the alias stays, and the node is tried again.

    Nor is a day without gold, which a call by hand of no day takes.
    """
    two_sets(ports)
    ports.tracker.set_alias("bft-reg_3d", "production", "1")
    with pytest.raises(StaleDataError, match="gold 2026-01-05 is absent"):
        call(ports, promote, "--from-mlflow")
    hold_gold(ports)

    def away(_key: str) -> bytes:
        raise UnavailableError("the bucket does not answer")

    get, ports.store.get = ports.store.get, lambda k: away(k) if k.startswith("models") else get(k)
    with pytest.raises(UnavailableError, match="bucket"):
        call(ports, promote, "--from-mlflow")
    assert ports.tracker.aliases("bft-reg_3d")["production"] == "1"


FORBIDDEN = """
import sys
sys.modules.update(dict.fromkeys(["mlflow", "torch", "pandas", "pyarrow", "numpy"]))
from bft.cli import main
sys.exit(main(["rollback", "--root", sys.argv[1], "--asof", sys.argv[2], "--json"]))
"""


def test_rollback_commits_without_mlflow_torch_or_arrays(ports: FakePorts) -> None:
    """In a process that cannot import them; the mirror comes after the commit and waits."""
    first, _ = two_sets(ports)
    words = [sys.executable, "-c", FORBIDDEN, ports.store.root, ASOF]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    line = json.loads(done.stdout)
    assert (done.returncode, line["status"], line["to"]) == (0, "rolled_back", first)
    assert line["mirror"].startswith("waits")
    assert ports.state.pointer("production").set_digest == first
