"""`bft close`: what is asked of the executor, and when it is done."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick

from bft.domain.errors import UsageError
from bft.ports import Summary
from bft.ports.executor import Reply
from bft.steps import close

CALL = "AAPL260220C00150000"


def position(name: str, quantity: int, *, due: bool = False, strategy: str = "S1") -> Any:
    root, option = name[:4], len(name) > 6
    return {
        "symbol": root,
        "underlying": root,
        "name": name,
        "quantity": str(quantity),
        "con_id": hash(name),
        "sec_type": "OPT" if option else "STK",
        "exits": [{"strategy_id": strategy, "flat_by_close": due}],
    }


class Api:
    """Holds positions; each closing takes `slices` of what was asked, one a look."""

    url = "http://executor"

    def __init__(self, *held: Any, sells: int = 1000) -> None:
        self.held, self.sells, self.bodies = list(held), sells, list[Any]()

    def ask(self, method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if path == "/v1/health":
            return Reply(status=200, body={"mode": "paper", "account": "PER", "simulated": True})
        if path == "/v1/close":
            self.bodies.append(body)
            item = {"symbol": "AAPL", "quantity": 1, "entry": None, "what": "exit"}
            return Reply(status=202, body={"closing": [item]})
        if self.bodies:
            self._sell()
        return Reply(status=200, body={"positions": list(self.held)})

    def _sell(self) -> None:
        for row in list(self.held):
            left = int(row["quantity"]) - self.sells
            row["quantity"] = str(left)
            if left <= 0:
                self.held.remove(row)


def run(root: Path, api: Api, *words: str) -> Summary:
    args = arguments(close.STEP, "--wait", "0", *words, json=True, api_url="")
    return close.STEP.run(make_ports(root, api=api), args, no_tick)


def test_due_names_the_contract_and_nothing_beside_it(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10), position(CALL, 2, due=True))
    run(tmp_path, api, "--due")
    assert api.bodies == [{"symbols": [CALL], "strategy": "S1", "instrument": "option"}]
    api = Api(position("AAPL", 10, due=True), position(CALL, 2))
    run(tmp_path, api, "--due")
    assert api.bodies == [{"symbols": ["AAPL"], "strategy": "S1", "instrument": "stock"}]


def test_part_is_done_when_so_many_are_gone(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10), sells=4)
    told = run(tmp_path, api, "--symbol", "aapl", "--qty", "4")
    assert api.bodies == [{"symbols": ["AAPL"], "quantity": 4}]
    assert (told.values["left"], told.exit_code) == (0, 0)
    told = run(tmp_path, Api(position("AAPL", 10), sells=3), "--symbol", "AAPL", "--qty", "4")
    assert (told.values["left"], told.exit_code) == (1, 75)


def test_more_than_is_held_waits_for_all_of_it(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10), sells=9)
    assert run(tmp_path, api, "--symbol", "AAPL", "--qty", "99").exit_code == 75


@pytest.mark.parametrize(
    "words",
    [
        ("--qty", "4"),
        ("--qty", "4", "--all", "--confirm", "X"),
        ("--qty", "4", "--symbol", "AAPL", "MSFT"),
        ("--qty", "4", "--shares"),
    ],
)
def test_part_needs_one_symbol(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="one --symbol"):
        run(tmp_path, Api(), *words)
