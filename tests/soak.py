"""Seeded days at a gateway that misbehaves: signals, prices, faults, crashes, people.

Each seed makes one scenario; at its end the faults are over, the executor has restarted and
reconciled, and every invariant must hold (executor specification, section 12).
"""

import asyncio
import logging
import multiprocessing
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from crashes import Point
from executors import CLOSE, DAY, OPEN, signal, usd
from scenes import WireScene
from virtual_time import LoopClock, run, settle

from bft.domain import sessions
from bft.domain.errors import BftError
from bft.domain.trading import ExitPolicy
from bft.services.executor.closing import Selection
from bft.sim.gateway.exchange.books import ChildMode, Orphans, Rules

SYMBOLS = ("AAPL", "MSFT", "NVDA")
CALM_S = 150.0
ACTS = 16  # of one day
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  a disk's speed is no part
STARTS = (OPEN + timedelta(minutes=6), OPEN + timedelta(hours=2), CLOSE - timedelta(minutes=12))

_MESSAGES = (
    ("drop", "openOrder", {}),
    ("drop", "orderStatus", {}),
    ("drop", "execDetails", {}),
    ("drop", "commissionReport", {}),
    ("drop", "placeOrder", {}),
    ("drop", "cancelOrder", {}),
    ("delay", "execDetails", {"ms": 3000}),
    ("delay", "openOrder", {"ms": 12_000}),
    ("duplicate", "execDetails", {"n": 2}),
    ("duplicate", "orderStatus", {"n": 1}),
    ("duplicate", "placeOrder", {"n": 1}),
    ("reorder", "execDetails", {"window": 3}),
    ("reorder", "orderStatus", {"window": 2}),
    ("corrupt", "orderStatus", {"how": "fields"}),
    ("corrupt", "execDetails", {"how": "nan"}),
    ("corrupt", "openOrder", {"how": "length"}),
    ("slow_bytes", "execDetails", {"ms": 5}),
    ("half_open", "placeOrder", {"s": 40}),
    ("half_open", "execDetails", {}),
    ("disconnect", "placeOrder", {}),
    ("disconnect", "execDetails", {}),
    ("disconnect_before_ack", "placeOrder", {}),
    ("disconnect_after_ack", "placeOrder", {}),
    ("auth_hang", "startApi", {"s": 8}),
    ("client_id_in_use", "startApi", {}),
    ("no_end", "reqPositions", {"msg": "positionEnd"}),
    ("no_end", "reqExecutions", {"msg": "execDetailsEnd"}),
    ("silent_accept", "placeOrder", {}),
    ("reject", "placeOrder", {"code": 201}),
    ("reject", "placeOrder", {"code": 110}),
    ("reject", "placeOrder", {"code": 103}),
    ("warn", "placeOrder", {"code": 399}),
    ("warn", "placeOrder", {"code": 10349}),
    ("warn", "placeOrder", {"code": 2109}),
    ("warn", "placeOrder", {"code": 10999}),
    ("partial_fill", "placeOrder", {"fractions": [0.3, 0.2]}),
    ("partial_fill", "placeOrder", {"fractions": [0.5, 0.5]}),
    ("overfill", "placeOrder", {"qty": 3}),
    ("fill_then_cancel", "placeOrder", {"fraction": 0.4}),
    ("two_perm_ids", "placeOrder", {}),
    ("cancel_race", "cancelOrder", {}),
)
_ACTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("code", {"code": 2103}),
    ("restart", {"s": 12}),
    ("id_rollback", {"n": 5}),
    ("vanish", {"s": 2}),
    ("positions_empty", {"s": 15}),
    ("clock_skew", {"s": 5}),
    ("stale", {"s": 20}),
    ("zero", {"s": 20}),
    ("crossed", {"s": 20}),
    ("halted", {"s": 20}),
)


@dataclass
class Outcome:
    """What a seed came to; `problems` empty is good."""

    seed: int
    problems: list[str]
    journal: list[str]
    story: list[str]
    counts: Counter[str] = field(default_factory=Counter)


@dataclass
class Day:
    """One scenario under way."""

    scene: WireScene
    rng: random.Random
    story: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    mids: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SYMBOLS, usd(100)))
    signals: int = 0

    async def live(self) -> None:
        acts: list[tuple[int, Callable[[], Any]]] = [
            (9, self.signal),
            (4, self.move),
            (4, self.jump),
            (7, self.message),
            (2, self.action),
            (2, self.crash),
            (1, self.trap),
            (1, self.lost),
            (1, self.manual),
            (2, self.close),
            (1, self.kill),
            (1, self.correction),
            (1, self.disk),
        ]
        for act in self.rng.choices([a for _, a in acts], [w for w, _ in acts], k=ACTS):
            self.counts[act.__name__] += 1
            done = act()
            if done is not None:
                await done
            await self.pause()

    async def pause(self) -> None:
        scene, gap_s = self.scene, self.rng.choice([0.05, 0.3, 1.0, 3.0, 7.0, 25.0])
        with suppress(TimeoutError):
            async with asyncio.timeout(gap_s):
                await scene.gate.died.wait()
        if scene.gate.dead:
            await self._rise()

    async def _rise(self) -> None:
        await self.scene.crash()
        await self.scene.sleep(self.rng.choice([0.01, 0.5, 4.0, 20.0]))
        await self.scene.start()
        self.tell("restarted")

    def tell(self, what: str) -> None:
        self.story.append(f"{self.scene.clock.now():%H:%M:%S.%f} {what}")

    # what may happen

    def signal(self) -> None:
        self.signals += 1
        symbol = self.rng.choice(SYMBOLS)
        limit = self.mids[symbol] + usd(self.rng.choice(["0.02", "0.50", "-0.50"]))
        policy = ExitPolicy(stop_frac=0.07, target_frac=self.rng.choice([None, 0.12]))
        now = self.scene.clock.now()
        self.show(symbol, self.rng.choice([7, 10_000, 10_000]))
        order = signal(
            symbol,
            signal_id=f"s{self.signals}",
            limit_price_usd=limit,
            created_at=now,
            decided_at=now,
            exits=policy,
        )
        self.tell(f"signal {symbol} at {limit}")
        self.background(self._submit(order))

    async def _submit(self, order: Any) -> None:
        opened = await self.scene.submit(order)
        self.tell(f"decided {opened.decision.reason} {opened.lapsed}")
        self.counts["allowed"] += opened.decision.allowed

    def background(self, work: Any) -> None:
        async def quiet() -> None:
            with suppress(BftError):
                await work

        self.scene.executor.desk.spawn(quiet(), "soak")

    def move(self) -> None:
        for symbol in SYMBOLS:
            self.mids[symbol] += usd(self.rng.choice(["-0.40", "-0.05", "0", "0.05", "0.40"]))
            self.show(symbol, self.rng.choice([7, 100, 10_000]))

    def jump(self) -> None:
        symbol = self.rng.choice(SYMBOLS)
        self.mids[symbol] = usd(self.rng.choice([86, 92, 100, 113, 116]))
        self.tell(f"{symbol} jumps to {self.mids[symbol]}")
        self.show(symbol, self.rng.choice([5, 10_000]))

    def show(self, symbol: str, size: int = 10_000) -> None:
        self.scene.price(symbol, self.mids[symbol], size=size)

    def message(self) -> None:
        word, msg, params = self.rng.choice(_MESSAGES)
        when: dict[str, Any] = {"msg": msg, "nth": self.rng.choice([1, 1, 2, 3])}
        self.fault(word, **params, when=when)

    def action(self) -> None:
        word, params = self.rng.choice(_ACTIONS)
        self.fault(word, **params)
        if word == "code":
            self.later(10.0, "code", code=2104)
        if word == "clock_skew":
            self.later(15.0, "clock_skew", s=0)

    def lost(self) -> None:
        self.fault("code", code=self.rng.choice([1100, 2110]))
        self.later(self.rng.choice([0.5, 8.0]), "code", code=self.rng.choice([1101, 1102]))

    def later(self, wait_s: float, word: str, **params: Any) -> None:
        asyncio.get_running_loop().call_later(wait_s, lambda: self.fault(word, **params))

    def fault(self, word: str, **params: Any) -> None:
        self.tell(f"fault {word} {params}")
        self.scene.fault(word, **params)

    async def crash(self) -> None:
        self.tell("crash")
        await self._rise()

    def trap(self) -> None:
        point = self.rng.choice(list(Point))
        self.tell(f"trap {point}")
        self.scene.gate.trap = (point, self.rng.choice([1, 2]))

    def manual(self) -> None:
        symbol, word = self.rng.choice(SYMBOLS), self.rng.choice(["order", "close", "foreign"])
        side = self.rng.choice(["BUY", "SELL"])
        if word == "close":
            self.fault("manual_close", symbol=symbol)
        else:
            name = {"order": "manual_order", "foreign": "foreign_client"}[word]
            self.fault(name, symbol=symbol, side=side, qty=self.rng.choice([3, 60]), kind="MKT")

    def close(self) -> None:
        symbol, qty = self.rng.choice(SYMBOLS), self.rng.choice([None, None, 3, 20])
        self.tell(f"close {qty or 'all'} {symbol}")
        closing, named = self.scene.executor.closing, Selection(symbols=(symbol,))
        if qty is None:
            closing.close(named)
        else:
            closing.close_part(named, qty)

    async def kill(self) -> None:
        executor = self.scene.executor
        flatten = self.rng.random() < 0.3
        self.tell(f"kill flatten={flatten}")
        executor.killing.latch("api", by="ada", flatten=flatten)
        await self.scene.sleep(self.rng.choice([0.2, 5.0]))
        if self.scene.gate.dead:
            return
        executor.killing.clear(by="ada", generation=executor.desk.state.kill.generation)

    def correction(self) -> None:
        with suppress(BftError):
            self.fault("correction", price=float(self.mids["AAPL"]))

    async def disk(self) -> None:
        gate = self.scene.gate
        self.tell("disk full")
        gate.disk, gate.free_commits = "database or disk is full", self.rng.choice([0, 20])
        await self.scene.sleep(self.rng.choice([0.3, 3.0]))
        gate.disk = None

    # the end

    async def night(self) -> None:
        """The process ends, the day too, and the gateway forgets it; another one begins."""
        self.tell("night")
        await self.scene.crash()
        self.scene.forgotten = True
        await self.scene.at(sessions.open_at(sessions.shift(DAY, 1)) + timedelta(minutes=6))
        await self.scene.start()

    async def settle(self) -> list[str]:
        """Faults end, the executor restarts; what is still wrong after a while."""
        scene = self.scene
        scene.sim.faults.lift()
        scene.gate.trap = scene.gate.disk = None
        for word in ("code 2104", "clock_skew 0"):
            name, number = word.split()
            scene.fault(name, **({"code": int(number)} if name == "code" else {"s": 0}))
        self.tell("faults are over")
        if self.rng.random() < 0.2:
            await self.night()
        elif self.rng.random() < 0.7 or scene.gate.dead:
            await self._rise()
        else:
            scene.executor.reconciler.query(executions=True)
        for symbol in SYMBOLS:
            self.show(symbol)
        end = scene.clock.now() + timedelta(seconds=CALM_S)
        found = ["never armed"]
        while found and scene.clock.now() < end:
            await scene.sleep(2.0)
            if scene.gate.dead:
                await self._rise()
            with suppress(BftError):
                armed = scene.executor.desk.reconciled and scene.broker.state == "ARMED"
                found = await scene.problems() if armed else [f"session {scene.broker.state}"]
        return found or await scene.stored_problems()


async def _one(seed: int, folder: Path) -> Outcome:
    rng = random.Random(seed)
    rules = Rules(
        child_mode=rng.choice(list(ChildMode)),
        orphans=rng.choice(list(Orphans)),
        status_after_reject=rng.random() < 0.5,
    )
    config = {"rules": rules, "seed": seed, "reset_at": time(23, 45), "reset_s": 20.0}
    clock = LoopClock(rng.choice(STARTS))
    scene = WireScene(folder=folder, clock=clock, config=config)
    await scene.serve()
    day = Day(scene=scene, rng=rng)
    day.tell(f"seed {seed} {rules.child_mode} {rules.orphans}")
    try:
        for symbol in SYMBOLS:
            day.show(symbol)
        await scene.start()
        await scene.until_armed()
        await day.live()
        problems = await day.settle()
        journal = scene.journal()
        await scene.stop()
    finally:
        await settle()
        await scene.sim.stop()
    return Outcome(
        seed=seed, problems=problems, journal=journal, story=day.story, counts=day.counts
    )


def play(seed: int) -> Outcome:
    """One scenario in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="soak-", dir=MEMORY) as folder:
        return run(_one(seed, Path(folder)))


def quiet() -> None:
    """What a worker process does first: a thousand seeds' alerts are nobody's reading."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def attempt(seed: int) -> Outcome:
    """`play`, an exception being one more problem."""
    try:
        return play(seed)
    except Exception as error:  # noqa: BLE001  a soak goes on
        return Outcome(seed=seed, problems=[f"raised: {error!r}"], journal=[], story=[])


def many(seeds: Iterable[int], *, processes: int) -> Iterator[Outcome]:
    """Outcomes of seeds, in order, from so many processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=quiet) as pool:
        yield from pool.map(attempt, seeds, chunksize=5)
