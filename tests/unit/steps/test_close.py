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
        "names": [name],
        "underlyings": [root],
        "quantity": str(quantity),
        "con_id": hash(name),
        "sec_type": "OPT" if option else "STK",
        "leaving_quantity": 0,
        "exits": [
            {
                "strategy_id": strategy,
                "flat_by_close": due,
                "quantity": quantity,
                "entry": f"e-{strategy}-{name}",
            }
        ],
    }


def order(name: str, left: int, *, strategy: str = "S1", status: str = "SUBMITTED") -> Any:
    """An entry at work; 2 units of it are filled already."""
    return {
        "id": f"o-{name}",
        "status": status,
        "symbol": name,
        "underlying": name[:4],
        "sec_type": "OPT" if len(name) > 6 else "STK",
        "strategy_id": strategy,
        "quantity": left + 2,
        "filled_quantity": 2,
    }


def item(row: Any, entry: str | None, qty: int, *, stays: int = 0) -> Any:
    named = {"symbol": row["symbol"], "con_id": row["con_id"], "entry": entry}
    return named | {"quantity": qty, "what": "exit", "stays": stays}


class Api:
    """Holds positions; each closing takes `slices` of what was asked, one a look."""

    url = "http://executor"
    differences: Any = ()
    result: Any = None
    orders: Any = ()

    def __init__(self, *held: Any, sells: int = 1000, **health: Any) -> None:
        self.health = {"session_state": "ARMED", "market_opens": None} | health
        self.held, self.sells, self.bodies = list(held), sells, list[Any]()

    def ask(self, method: str, path: str, *, body: Any = None, **_: Any) -> Reply:
        if path == "/v1/health":
            about = {"mode": "paper", "account": "PER", "simulated": True, **self.health}
            return Reply(status=200, body=about)
        if path == "/v1/reconcile":
            self.result = {"differences": self.differences}
            return Reply(status=202, body={})
        if path == "/v1/reconcile/last":
            return Reply(status=200, body={"result": self.result})
        if path == "/v1/orders":
            return Reply(status=200, body={"orders": list(self.orders)})
        if path == "/v1/close":
            self.bodies.append(body)
            return Reply(status=202, body={"closing": self.closing(body)})
        if self.bodies:
            self._sell()
        return Reply(status=200, body={"positions": list(self.held)})

    def closing(self, body: Any) -> list[Any]:
        """Units of each entry, then those of none; so many of them where a part is asked for."""
        left, items = body.get("quantity", 10**9), []
        for row in self.held:
            loose = abs(int(row["quantity"])) - sum(e["quantity"] for e in row["exits"])
            units = [(e["entry"], e["strategy_id"], e["quantity"]) for e in row["exits"]]
            for entry, strategy, qty in [*units, (None, "manual", loose)]:
                less = min(left, qty) if body.get("strategy", strategy) == strategy else 0
                left -= less
                if less:
                    items.append(item(row, entry, less, stays=qty - less))
        return items

    def _sell(self) -> None:
        for row in list(self.held):
            left = int(row["quantity"]) - self.sells
            row["quantity"] = str(left)
            for exit_ in row["exits"]:
                exit_["quantity"] = max(0, exit_["quantity"] - self.sells)
            if left <= 0:
                self.held.remove(row)


def run(root: Path, api: Api, *words: str) -> Summary:
    return told(root, api, *words, json=True)


def told(root: Path, api: Api, *words: str, json: bool = False) -> Summary:
    args = arguments(close.STEP, "--wait", "0", *words, json=json, api_url="")
    return close.STEP.run(make_ports(root, api=api), args, no_tick)


def test_due_names_the_contract_and_nothing_beside_it(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10), position(CALL, 2, due=True))
    run(tmp_path, api, "--due")
    assert api.bodies == [{"symbols": [CALL], "strategy": "S1", "instrument": "option"}]
    api = Api(position("AAPL", 10, due=True), position(CALL, 2))
    run(tmp_path, api, "--due")
    assert api.bodies == [{"symbols": ["AAPL"], "strategy": "S1", "instrument": "stock"}]


def test_executor_of_before_an_upgrade_is_asked_all_the_same(tmp_path: Path) -> None:
    """It tells no other names and no units that stay. Red: KeyError, and nothing was asked."""
    old = position("AAPL", 10, due=True)
    for name in ("names", "underlyings", "leaving_quantity"):
        del old[name]
    for words in (["--symbol", "AAPL"], ["--due"]):
        api = Api(dict(old))
        run(tmp_path, api, *words)
        assert [body["symbols"] for body in api.bodies] == [["AAPL"]]


def test_part_is_done_when_so_many_are_gone(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10), sells=4)
    told = run(tmp_path, api, "--symbol", "aapl", "--qty", "4")
    assert api.bodies == [{"symbols": ["AAPL"], "quantity": 4}]
    assert (told.values["left"], told.exit_code) == (0, 0)
    # red: positions told the state before, 10, and nothing told the 6
    assert told.values["positions"] == [{"symbol": "AAPL", "quantity": "4"}]
    assert told.values["stays"] == [{"symbol": "AAPL", "quantity": "6"}]
    told = run(tmp_path, Api(position("AAPL", 10), sells=3), "--symbol", "AAPL", "--qty", "4")
    assert (told.values["left"], told.exit_code) == (1, 75)


def shared(first: int, second: int, others: int) -> list[Any]:
    """One position: so many of S1, of S2, and of no entry."""
    row = position("AAPL", first)
    row["exits"] += position("AAPL", second, strategy="S2")["exits"]
    row["exits"] = [exit_ for exit_ in row["exits"] if exit_["quantity"]]
    return [row | {"quantity": str(first + second + others), "leaving_quantity": others}]


class Becomes(Api):
    """Holds something else from the close on."""

    def __init__(self, after: list[Any]) -> None:
        super().__init__(*shared(6, 4, 3))
        self.after = after

    def _sell(self) -> None:
        self.held = self.after


@pytest.mark.parametrize(
    ("words", "after", "open_still"),
    [
        ("--strategy S1", (0, 4, 3), None),
        ("--strategy S1", (2, 4, 3), "2 of AAPL"),
        ("--strategy S1", (6, 0, 3), "6 of AAPL"),
        ("--strategy manual", (6, 4, 0), None),
        ("--strategy manual", (6, 4, 1), "1 of AAPL"),
        ("--strategy S2 --symbol AAPL --qty 3", (6, 1, 3), None),
        ("--strategy S2 --symbol AAPL --qty 3", (3, 4, 3), "3 of AAPL"),
        ("--symbol AAPL", (0, 0, 1), "1 of AAPL"),
    ],
)
def test_waits_for_just_what_was_asked(
    tmp_path: Path, words: str, after: tuple[int, int, int], open_still: str | None
) -> None:
    """Red: S1's share was closed and the end was 75; of `manual` nothing was waited for."""
    told = run(tmp_path, Becomes(shared(*after)), *words.split())
    assert told.exit_code == (75 if open_still else 0)
    assert (told.error or "").startswith(
        f"still open after 0 s: {open_still}" if open_still else ""
    )
    assert bool(told.error) == bool(open_still)


class FillsFirst(Api):
    """An entry fills before its cancel; the executor sells it by itself."""

    looks = 0

    def ask(self, method: str, path: str, *, body: Any = None, **words: Any) -> Reply:
        if path == "/v1/positions" and self.bodies:
            self.looks += 1
            self.orders = [order("AAPL", 3)] if self.looks == 1 else []
            self.held = [position("AAPL", 3)] if self.looks == 2 else []
        return super().ask(method, path, body=body, **words)

    def closing(self, body: Any) -> list[Any]:
        del body
        ends = item(position("AAPL", 3), "o-AAPL", 3)
        return [ends | {"what": "cancel entry"}]

    def _sell(self) -> None:
        return None


def test_entry_is_waited_for_until_it_has_ended(tmp_path: Path) -> None:
    """Red: the end was 0 while its cancel was on the way, and it might have filled."""
    api = FillsFirst()
    done = run(tmp_path, api, "--symbol", "AAPL", "--wait", "5")
    assert api.bodies == [{"symbols": ["AAPL"]}], "what is meant is fixed when it is asked for"
    assert (done.exit_code, done.values["left"]) == (0, 0)
    soon = run(tmp_path, FillsFirst(), "--symbol", "AAPL")
    assert (soon.exit_code, soon.values["left"]) == (75, 1)
    assert "1 entry not cancelled yet" in (soon.error or "")


def test_shown_are_the_units_that_are_meant(tmp_path: Path) -> None:
    told = run(tmp_path, Becomes([]), "--strategy", "S2")
    assert told.values["positions"] == [{"symbol": "AAPL", "quantity": "4"}]


def test_more_than_is_held_is_no_part(tmp_path: Path) -> None:
    api = Api(position("AAPL", 10))
    with pytest.raises(UsageError, match="--qty 99: 10 are held; without --qty all of them leave"):
        run(tmp_path, api, "--symbol", "AAPL", "--qty", "99")
    assert api.bodies == []


def test_part_of_a_share_counts_no_options_on_it(tmp_path: Path) -> None:
    """The executor sells shares alone: 12 of 10 shares and 5 calls would be all ten."""
    held = (position("AAPL", 10), position(CALL, 5))
    with pytest.raises(UsageError, match="--qty 12: 10 are held"):
        run(tmp_path, Api(*held), "--symbol", "AAPL", "--qty", "12")
    told = run(tmp_path, Api(*held), "--symbol", "AAPL", "--qty", "2", "--dry-run")
    assert [row["quantity"] for row in told.values["positions"]] == ["2"]
    assert [row["quantity"] for row in told.values["stays"]] == ["8"]
    assert foreseen(told) == [("AAPL", 2, "exit")]
    told = run(tmp_path, Api(*held), "--symbol", "AAPL", "--qty", "2", "--options", "--dry-run")
    assert [row["quantity"] for row in told.values["positions"]] == ["2"]


def foreseen(told: Summary) -> list[tuple[str, int, str]]:
    return [(item["symbol"], item["quantity"], item["what"]) for item in told.values["closing"]]


@pytest.mark.parametrize(
    ("words", "closing"),
    [
        ("--symbol AAPL", [("AAPL", 6, "exit"), ("AAPL", 4, "exit"), ("AAPL", 3, "cancel entry")]),
        ("--symbol AAPL --qty 8", [("AAPL", 6, "exit"), ("AAPL", 2, "exit")]),
        ("--strategy S2", [("AAPL", 4, "exit"), ("MSFT", 7, "cancel entry")]),
        ("--strategy manual", [("NVDA", 5, "exit")]),
        ("--symbol MSFT", [("MSFT", 7, "cancel entry")]),
        ("--options", [("TSLA", 1, "cancel entry")]),
        ("--due", [("AAPL", 6, "exit"), ("AAPL", 3, "cancel entry")]),
        (
            "--all",
            [
                ("AAPL", 6, "exit"),
                ("AAPL", 4, "exit"),
                ("NVDA", 5, "exit"),
                ("AAPL", 3, "cancel entry"),
                ("MSFT", 7, "cancel entry"),
                ("TSLA", 1, "cancel entry"),
            ],
        ),
    ],
)
def test_dry_run_tells_what_the_call_would_do(tmp_path: Path, words: str, closing: Any) -> None:
    """As the executor does: whole entries, pending ones too; of a part no pending ones."""
    aapl, bare = position("AAPL", 6, due=True), position("NVDA", 5)
    aapl["quantity"] = "10"
    aapl["exits"] += position("AAPL", 4, strategy="S2")["exits"]
    bare["exits"] = []
    api = Api(aapl, bare)
    calls = "TSLA260220P00150000"
    api.orders = [order("AAPL", 3), order("MSFT", 7, strategy="S2"), order(calls, 1)]
    api.orders += [order("AAPL", 9, status="CANCELLED")]
    assert foreseen(run(tmp_path, api, *words.split(), "--dry-run")) == closing
    assert api.bodies == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_part_of_nothing_held_names_the_entries_that_are_pending(
    tmp_path: Path, dry: tuple[str, ...]
) -> None:
    api = Api()
    api.orders = [order("AAPL", 3)]
    told = "AAPL: no position to take 5 of; entries of 3 units are pending.*without --qty they end"
    with pytest.raises(UsageError, match=told):
        run(tmp_path, api, "--symbol", "AAPL", "--qty", "5", *dry)


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


def test_nothing_held_of_what_is_named_is_said_with_what_is_held(tmp_path: Path) -> None:
    api = Api()
    with pytest.raises(UsageError, match="NOPE: no position and no pending entry of it; held: no"):
        run(tmp_path, api, "--symbol", "NOPE")
    assert run(tmp_path, api, "--due").exit_code == 0  # nothing due is a fine day


@pytest.mark.parametrize(
    ("health", "says"),
    [
        ({"session_state": "DOWN"}, "session is DOWN: nothing leaves before it is ARMED"),
        ({"market_opens": "2026-01-06T14:30:00+00:00"}, "market is closed: it fills at the open"),
    ],
)
def test_what_cannot_leave_now_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], health: dict[str, str], says: str
) -> None:
    told(tmp_path, Api(position("AAPL", 1), **health), "--symbol", "AAPL")
    assert says in capsys.readouterr().err
    told(tmp_path, Api(position("AAPL", 1)), "--symbol", "AAPL")
    assert capsys.readouterr().err == "exit          1 AAPL\n"


def test_entry_that_is_cancelled_fills_at_no_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red: `the market is closed: it fills at the open`, of an order that was taken back."""

    class Waits(Api):
        def closing(self, body: Any) -> list[Any]:
            ended = {"symbol": "MSFT", "con_id": 1, "entry": "o-MSFT", "stays": 0}
            return [ended | {"quantity": 5, "what": "cancel entry"}]

    api = Waits(market_opens="2026-01-06T14:30:00+00:00")
    told(tmp_path, api, "--symbol", "MSFT")
    assert capsys.readouterr().err == "cancel entry  5 MSFT\n"


def test_differences_are_told_with_both_numbers(tmp_path: Path) -> None:
    api = Api()
    api.differences = [{"symbol": "AAPL", "book": "705", "broker": "0"}]
    found = told(tmp_path, api, "--reconcile", "--wait", "5")
    assert found.exit_code == 77
    assert found.error == (
        "book and broker differ: AAPL: book 705, broker 0; see bft status and bft ledger"
    )


def test_symbols_that_are_not_held_are_told_beside_those_that_leave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = told(tmp_path, Api(position("AAPL", 10)), "--symbol", "aapl", "zzzz")
    assert (made.values["not_held"], made.exit_code) == (["ZZZZ"], 0)
    assert "no position and no pending entry of ZZZZ\n" in capsys.readouterr().err


def test_position_that_is_gone_before_its_turn_keeps_no_other(tmp_path: Path) -> None:
    class Late(Api):
        def ask(self, method: str, path: str, *, body: Any = None, **more: Any) -> Reply:
            if path == "/v1/close" and body["symbols"] == ["AAPL"]:
                return Reply(status=404, body={"message": "AAPL: no position"})
            return super().ask(method, path, body=body, **more)

    api = Late(position("AAPL", 10, due=True), position("MSFT", 5, due=True))
    run(tmp_path, api, "--due")
    assert [body["symbols"] for body in api.bodies] == [["MSFT"]]


def renamed(quantity: int, **exits: Any) -> Any:
    """A share that the book holds as AAPL, and that is APPL now."""
    row = position("AAPL", quantity, **exits)
    return row | {"names": ["APPL", "AAPL"], "underlyings": ["APPL", "AAPL"]}


@pytest.mark.parametrize("name", ["AAPL", "APPL"])
def test_part_is_measured_by_every_name_of_what_is_held(tmp_path: Path, name: str) -> None:
    api = Api(renamed(10))
    with pytest.raises(UsageError, match="--qty 100: 10 are held"):
        run(tmp_path, api, "--symbol", name, "--qty", "100")
    made = run(tmp_path, api, "--symbol", name, "--qty", "4", "--dry-run")
    assert [row["quantity"] for row in made.values["closing"]] == [4]
    assert api.bodies == []


def test_part_of_what_nobody_knows_by_that_name_is_not_asked_for(tmp_path: Path) -> None:
    """Without a measure a zero too many would sell all, whatever the executor takes it for."""
    api = Api(position("AAPL", 10))
    with pytest.raises(UsageError, match=r"ZZZZ: no position.*held: AAPL"):
        run(tmp_path, api, "--symbol", "ZZZZ", "--qty", "100")
    assert api.bodies == []


def test_due_is_named_as_it_is_called_now(tmp_path: Path) -> None:
    api = Api(renamed(10, due=True))
    run(tmp_path, api, "--due")
    assert api.bodies == [{"symbols": ["APPL"], "strategy": "S1", "instrument": "stock"}]
