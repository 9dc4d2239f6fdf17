"""The same day over the real wire: the executor's IB client against the gateway simulator."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from order_roots import NIGHT, OPEN, Running, night_root, running_executor
from servers import free_port, wait_for
from waiting import until

from bft.adapters.store.book import SqlBook

ACCOUNT = "DU0000001"
LEAST_S = 0.05


@dataclass
class Gateway:
    """The simulator's control port; its virtual clock follows the real one while a test waits."""

    port: int
    http: httpx.Client
    moved_at: float = field(default_factory=time.monotonic)

    def post(self, path: str, **body: Any) -> Any:
        told = self.http.post(path, json=body)
        told.raise_for_status()
        return told.json()

    def price(self, bid: float) -> None:
        self.post("/tick", symbol="AAPL", bid=bid, ask=bid + 0.02, last=bid + 0.01)

    def wait(self, done: Callable[[], object], bid: float | None = None) -> None:
        """Let the gateway's time pass until something is so; `bid` goes on being quoted."""

        def turn() -> object:
            passed_s, self.moved_at = time.monotonic() - self.moved_at, time.monotonic()
            self.post("/advance", seconds=max(passed_s, LEAST_S))
            if bid is not None:
                self.price(bid)
            return done()

        until(turn, seconds=60)


@contextmanager
def gateway(folder: Path) -> Iterator[Gateway]:
    port, control = free_port(), free_port()
    words = [sys.executable, "-m", "bft", "serve", "--root", str(folder), "gateway-sim"]
    words += [
        "--port",
        str(port),
        "--control-port",
        str(control),
        "--prices",
        "control",
        "--cash",
        "100000",
    ]
    words += ["--clock", "virtual", "--at", (OPEN + timedelta(minutes=6)).isoformat()]
    with (folder.parent / "gateway.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_for(port, process)
            wait_for(control, process)
            with httpx.Client(base_url=f"http://127.0.0.1:{control}") as http:
                yield Gateway(port, http)
        finally:
            process.terminate()
            process.wait(20)


def test_nights_signal_becomes_a_protected_position_and_is_closed(tmp_path: Path) -> None:
    root = night_root(tmp_path / "root")
    settings = {"BFT_ACCOUNT": ACCOUNT, "BFT_IB_PORT_OTHER": "1"}
    with gateway(root) as sim:
        settings["BFT_IB_PORT"] = str(sim.port)
        options = ("--broker", "ib", "--clock", "gateway")
        with running_executor(root, *options, **settings) as run, client(run) as api:
            _story(run, sim, api)
    book = SqlBook(f"sqlite:///{root / 'state.db'}", at=OPEN)
    days = {row.entry.at.date() for row in book.journal()}
    (counted,) = book.rows("limits_state", where={"scope": "account", "key": ACCOUNT})
    book.close()
    assert (counted["entries"], counted["orders"]) == (1, 1)  # of 5 and 20 a day
    assert counted["trading_day"] == OPEN.date().isoformat()
    assert float(counted["realised_usd"]) > 0 > -float(counted["fees_usd"])
    assert days == {OPEN.date()}  # no entry bears the machine's time, the first ones neither


def client(run: Running) -> httpx.Client:
    token = (run.root.parent / "trader.token").read_text()
    return httpx.Client(base_url=run.url, headers={"authorization": f"Bearer {token}"})


def _story(run: Running, sim: Gateway, api: httpx.Client) -> None:
    sim.price(100)
    sim.wait(lambda: api.get("/v1/health").json()["session_state"] == "ARMED", bid=100)

    def sent() -> bool:
        words = ("execute", "--asof", NIGHT, "--root", run.root, "--wait", 0)
        code, line, err = run.bft(*words)
        assert code == 0, err
        return bool(line["sent"])

    sim.wait(sent, bid=100)
    sim.wait(lambda: _held(api) == (49, 49), bid=100)

    (order,) = api.get("/v1/orders").json()["orders"]
    (position,) = sim.http.get("/state").json()["positions"]
    sim.wait(lambda: _in_the_book(run) == [("AAPL", "49")], bid=100)  # written behind the answer
    _, status, _ = run.bft("status", "--root", run.root)
    assert (order["status"], order["filled_quantity"]) == ("FILLED", 49)
    assert float(position["qty"]) == 49
    assert [p["protected"] for p in status["executor"]["positions"]] == [True]
    assert status["executor"]["simulated"] is True

    closing = subprocess.Popen(
        [sys.executable, "-m", "bft", "close", "--symbol", "AAPL", "--root", str(run.root)],
        env={**run.environment, "BFT_TOKEN_FILE": str(run.root.parent / "trader.token")},
        stdout=subprocess.PIPE,
    )
    sim.wait(lambda: closing.poll() is not None, bid=101)
    assert closing.stdout is not None
    with closing.stdout as out:
        line = json.loads(out.read())
    assert (closing.returncode, line["left"]) == (0, 0)
    assert not sim.http.get("/state").json()["positions"]
    _, line, _ = run.bft("ledger", "trades", "--root", run.root)
    assert [t["outcome"] for t in line["trades"]] == ["manual_exit"]


def _held(api: httpx.Client) -> tuple[int, int] | None:
    """Units held, units under live stops."""
    held = api.get("/v1/positions").json()["positions"]
    return (int(held[0]["quantity"]), held[0]["protected_quantity"]) if held else None


def _in_the_book(run: Running) -> list[tuple[str, str]]:
    _, line, _ = run.bft("ledger", "positions", "--root", run.root)
    return [(position["symbol"], position["qty"]) for position in line["positions"]]
