"""How `bft execute` ends, by what became of its signals."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick
from order_roots import NIGHT, night_root

from bft.ports import Summary
from bft.ports.executor import Reply
from bft.risk.finding import missing
from bft.steps import execute
from bft.steps.execute_send import NO_QUOTE

CAP = {"error": "max_position", "outcome": "max_position"}
CONFLICT = {"error": "idempotency_conflict", "outcome": "idempotency_conflict"}
SENT = {"state": "ACKED", "outcome": "accepted", "id": "i"}


class Api:
    """Answers every signal alike."""

    url = "http://executor"

    def __init__(self, answer: Any, broker: str = "paper") -> None:
        self.answer, self.broker = answer, broker

    def ask(self, _method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if path == "/v1/health":
            return Reply(status=200, body={"mode": "paper", "account": "PER"})
        if path == "/v1/broker/health":
            return Reply(status=200, body={"broker": self.broker})
        rows = [self.answer for _ in body["signals"]] if body else []
        return Reply(status=200, body={"rows": rows, "orders": [], "positions": []})


def run(root: Path, answer: Any, broker: str = "paper") -> Summary:
    args = arguments(execute.STEP, "--wait", "0", api_url="", json=True)
    args.asof = NIGHT
    return execute.STEP.run(make_ports(night_root(root), api=Api(answer, broker)), args, no_tick)


@pytest.mark.parametrize(("answer", "code"), [(SENT, 0), (CAP, 0), (CONFLICT, 65)])
def test_denials_end_well_but_not_a_night_scanned_anew(
    tmp_path: Path, answer: Any, code: int
) -> None:
    done = run(tmp_path / "root", answer)
    assert done.exit_code == code
    assert ("all 1 signals were sent before with other" in (done.error or "")) is (code == 65)


@pytest.mark.parametrize(("broker", "said"), [("paper", True), ("ib", False)])
def test_paper_broker_without_prices_is_said_to_need_ticks(
    tmp_path: Path, broker: str, said: bool
) -> None:
    """Red: `5 denied (stale_data 5)` and `quote is unknown`, not how to make it known."""
    answer = {"error": "stale_data", "outcome": "stale_data", "message": "quote is unknown"}
    done = run(tmp_path / "root", answer, broker)
    assert ("no price of AAPL: show it one by POST /v1/tick" in done.values["note"]) is said


def test_words_of_the_rule_are_those_that_are_looked_for() -> None:
    assert missing("quote")[3] == NO_QUOTE
