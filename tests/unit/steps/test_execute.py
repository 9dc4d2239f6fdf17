"""How `bft execute` ends, by what became of its signals."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick
from order_roots import NIGHT, night_root

from bft.ports import Summary
from bft.ports.executor import Reply
from bft.steps import execute

CAP = {"error": "max_position", "outcome": "max_position"}
CONFLICT = {"error": "idempotency_conflict", "outcome": "idempotency_conflict"}
SENT = {"state": "ACKED", "outcome": "accepted", "id": "i"}


class Api:
    """Answers every signal alike."""

    url = "http://executor"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def ask(self, _method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if path == "/v1/health":
            return Reply(status=200, body={"mode": "paper", "account": "PER"})
        rows = [self.answer for _ in body["signals"]] if body else []
        return Reply(status=200, body={"rows": rows, "orders": [], "positions": []})


def run(root: Path, answer: Any) -> Summary:
    args = arguments(execute.STEP, "--wait", "0", api_url="", json=True)
    args.asof = NIGHT
    return execute.STEP.run(make_ports(night_root(root), api=Api(answer)), args, no_tick)


@pytest.mark.parametrize(("answer", "code"), [(SENT, 0), (CAP, 0), (CONFLICT, 65)])
def test_denials_end_well_but_not_a_night_scanned_anew(
    tmp_path: Path, answer: Any, code: int
) -> None:
    done = run(tmp_path / "root", answer)
    assert done.exit_code == code
    assert ("all 1 signals were sent before with other" in (done.error or "")) is (code == 65)
