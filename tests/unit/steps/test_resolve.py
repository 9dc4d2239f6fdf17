"""`bft resolve`: which orders are unknown, and what a person found out about one."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick

from bft.domain.errors import UsageError
from bft.ports import Summary
from bft.ports.executor import Reply
from bft.steps import resolve

TOLD = "order X is still UNKNOWN: bft close --reconcile looks now"


class Api:
    """Holds one unknown order, until it is resolved."""

    url = "http://executor"

    def __init__(self) -> None:
        self.orders, self.bodies = [{"id": "X", "symbol": "AAPL", "awaited": TOLD}], list[Any]()

    def ask(self, method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if method == "POST":
            self.bodies.append((path, body))
            self.orders.clear()
            return Reply(status=200, body={"id": "X", "symbol": "AAPL", "state": body["state"]})
        if path == "/v1/health":
            return Reply(status=200, body={})
        assert path == "/v1/reconcile/unknown"
        return Reply(status=200, body={"orders": list(self.orders)})


def run(root: Path, api: Api, *words: str) -> Summary:
    args = arguments(resolve.STEP, *words, api_url="", json=False, root="demo")
    return resolve.STEP.run(make_ports(root, api=api), args, no_tick)


def test_without_an_id_each_order_tells_what_settles_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, Api()).rows == 1
    told = "order X is still UNKNOWN: bft close --root demo --reconcile looks now\n"
    assert capsys.readouterr().err == told


def test_order_is_settled_by_state_and_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api()
    made = run(tmp_path, api, "X", "--state", "CANCELLED", "--evidence", "window", "--note", "ada")
    body = {"state": "CANCELLED", "evidence": "window", "note": "ada", "confirm": "X"}
    assert api.bodies == [("/v1/orders/X/resolve", body)]
    assert made.values["unknown"] == []
    assert capsys.readouterr().err.splitlines() == [
        "X AAPL is CANCELLED now",
        "its symbol's halt stays until: bft resume --root demo",
    ]


@pytest.mark.parametrize("words", [(), ("--state", "CANCELLED"), ("--evidence", "window")])
def test_half_a_statement_settles_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    api = Api()
    with pytest.raises(UsageError, match=r"bft resolve X: give --state .* and --evidence"):
        run(tmp_path, api, "X", *words)
    assert api.bodies == []
