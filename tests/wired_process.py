"""An executor and a gateway, a process each, with a tap between them; for benches.

The bench is the third process on the machine: the API's client, the tap and the reader of the
book share one loop in it.
"""

import asyncio
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from executor_process import CLOCK, Process
from servers import free_port, wait_for
from wire_tap import Tap

ACCOUNT = "DU0000001"
BID, ASK, REST_AT = 100.0, 100.02, 99.0  # within the collar of 2 %, below the market
FRESH_S = 1.5  # the profile takes quotes of 5 s


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[int, httpx.Client]]:
    """A gateway's port and a client of its control port; its clock starts in a session."""
    port, control = free_port(), free_port()
    words = [sys.executable, "-m", "bft", "serve", "--root", str(folder), "gateway-sim"]
    words += ["--port", str(port), "--control-port", str(control), "--prices", "control"]
    words += ["--cash", "100000000", "--at", CLOCK]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        wait_for(control, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{control}") as http:
            yield port, http
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Wired:
    """The three, and what a bench asks of them."""

    root: Path
    tap: Tap
    control: httpx.Client
    symbols: Sequence[str]
    process: Process = field(init=False)
    http: httpx.AsyncClient = field(init=False)
    book: sqlite3.Connection = field(init=False)
    signals: int = 0
    began: tuple[datetime, float] | None = None
    quotes: Counter[str] = field(default_factory=Counter)
    quoted_at_s: dict[str, float] = field(default_factory=dict)

    async def start(self) -> float:
        """Start an executor; returns the instant (`perf_counter`) it was started at."""
        began_s, self.began = time.perf_counter(), None
        environment = {"BFT_ACCOUNT": ACCOUNT, "BFT_IB_PORT_OTHER": "1"}
        environment["BFT_IB_PORT"] = str(self.tap.port)
        options = ("--broker", "ib", "--clock", "gateway", "--profile", "bench")
        self.process = Process(self.root, *options, **environment)
        token = await asyncio.to_thread(self.process.admin_token)
        headers = {"authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=self.process.url, headers=headers, timeout=30)
        return began_s

    async def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        await self.http.aclose()
        code, told, _ = await asyncio.to_thread(self.process.stop)
        assert code == 0, told

    async def until(self, done: Callable[[], Any], *, seconds: float, every_s: float = 0.02) -> Any:
        """Wait for something true; `done` may be a coroutine function."""
        end = time.perf_counter() + seconds
        while True:
            found = done()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            assert time.perf_counter() < end, f"not within {seconds} s"
            await asyncio.sleep(every_s)

    async def get(self, path: str) -> Any:
        try:
            return (await self.http.get(path)).json()
        except httpx.TransportError:
            return None  # not listening yet

    async def armed(self) -> bool:
        found = await self.get("/v1/health/ready")
        return bool(found) and found["checks"]["broker"] is True

    async def until_trading(self) -> None:
        """Armed, the night read, a quote of every symbol there."""
        await self.until(self.armed, seconds=60)
        await self.until(self._night, seconds=60)
        self.quote_all()
        for symbol in self.symbols:
            await self.until(lambda s=symbol: self._tried(s), seconds=60, every_s=0.2)
        await self.cancel_all()

    async def _night(self) -> bool:
        return (await self.get("/v1/model/status"))["gold_asof"] is not None

    async def _tried(self, symbol: str) -> bool:
        """An entry passes: contract and quote are known. Its order is cancelled later."""
        self.quote(symbol)
        code, _ = await self.signal(symbol)
        return code == 201

    def quote_all(self, bid: float = BID, ask: float = ASK) -> None:
        for symbol in self.symbols:
            self.quote(symbol, bid, ask)

    async def fresh(self, symbol: str) -> None:
        """See that its quote is young enough for an entry, well before one is asked for."""
        if time.perf_counter() - self.quoted_at_s.get(symbol, 0.0) > FRESH_S:
            self.quote(symbol)
            await asyncio.sleep(0.05)

    def quote(self, symbol: str, bid: float = BID, ask: float = ASK) -> None:
        self.quoted_at_s[symbol] = time.perf_counter()
        self.quotes[symbol] += 1
        bid += self.quotes[symbol] % 2 / 100  # what does not change is not told
        body = {"symbol": symbol, "bid": bid, "ask": ask + 0.01, "last": bid}
        self.control.post("/tick", json=body).raise_for_status()

    async def signal(self, symbol: str, *, price: float = REST_AT) -> tuple[int, dict[str, Any]]:
        """Enter ten shares at a limit that rests below the market, or fills."""
        self.signals += 1
        body = {"symbol": symbol, "side": "BUY", "kind": "entry", "quantity": 10, "price": price}
        body |= {"stop_frac": 0.05, "target_frac": 0.10, "confidence": 0.9}
        body |= {"signal_id": f"w{self.signals}-{self.process.process.pid}"}
        body |= {"decided_at": (await self.now()).isoformat()}
        answer = await self.http.post("/v1/signal", json=body)
        return answer.status_code, answer.json()

    async def now(self) -> datetime:
        """The executor's clock; asked once in its life."""
        if self.began is None:
            told = (await self.http.get("/v1/health")).json()["now"]
            self.began = (datetime.fromisoformat(told), time.perf_counter())
        at, at_s = self.began
        return at + timedelta(seconds=time.perf_counter() - at_s)

    def states(self, leg: str = "entry") -> dict[str, str]:
        """State by intent id, as the book on disk holds it."""
        found = self.book.execute("SELECT intent_id, state FROM intents WHERE leg = ?", (leg,))
        return dict(found.fetchall())

    def state(self, intent_id: str) -> str:
        found = self.book.execute("SELECT state FROM intents WHERE intent_id = ?", (intent_id,))
        row = found.fetchone()
        return "" if row is None else row[0]

    def live(self) -> list[str]:
        """Entries that are not over."""
        over = {"FILLED", "CANCELLED", "REJECTED", "EXPIRED", "LAPSED"}
        return [name for name, state in self.states().items() if state not in over]

    async def cancel_all(self) -> None:
        for intent_id in self.live():
            await self.http.delete(f"/v1/orders/{intent_id}")
        await self.until(lambda: not self.live(), seconds=60)

    async def resting(self, count: int) -> None:
        """Leave so many entries live and acknowledged, their children with them."""
        for number in range(count):
            symbol = self.symbols[number % len(self.symbols)]
            await self.fresh(symbol)
            code, answer = await self.signal(symbol)
            assert code == 201, answer
        done = {"ACKED"}
        await self.until(
            lambda: len([1 for s in self.states().values() if s in done]) == count, seconds=120
        )

    def send_signal(self) -> None:
        self.process.process.send_signal(signal.SIGUSR2)


@asynccontextmanager
async def wired(
    folder: Path, symbols: Sequence[str], publish: Callable[[Path, Sequence[str]], None]
) -> AsyncIterator[Wired]:
    """All three under way, armed and quoted."""
    root = folder / "root"
    publish(root, symbols)
    with gateway(folder / "gateway") as (port, control):
        tap = Tap(port)
        await tap.start()
        made = Wired(root, tap, control, symbols)
        await made.start()
        try:
            await made.until(lambda: (root / "state.db").exists(), seconds=30)
            await made.until(made.armed, seconds=60)
            made.book = sqlite3.connect(f"file:{root / 'state.db'}?mode=ro", uri=True)
            await made.until_trading()
            yield made
        finally:
            if made.process.process.poll() is None:
                made.process.process.kill()
                made.process.process.communicate()
            await tap.stop()


def machine() -> str:
    """The machine and its load, for beside a figure."""
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"machine: {platform.machine()}, {os.cpu_count()} cores, load {load}"
