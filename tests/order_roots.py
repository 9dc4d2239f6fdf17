"""A tiny root with a night behind it, and an executor process that trades the day after."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes import make_ports
from market_signals import rows_to, signal
from servers import free_port, wait_for

from bft.domain import sessions
from bft.steps.token import issued, token_claims

NIGHT = date(2026, 1, 2)
DAY = sessions.shift(NIGHT, 1)
OPEN, CLOSE = sessions.open_at(DAY), sessions.close_at(DAY)
BEFORE_OPEN = OPEN - timedelta(minutes=20)
SYMBOLS = {"AAPL": 100.0, "MSFT": 200.0, "NVDA": 50.0}
SECRET = "".join(chr(65 + n) for n in range(26)) + "0123456789"


def night_root(root: Path, rows: Sequence[dict[str, Any]] | None = None) -> Path:
    """Gold of 25 sessions, a universe, picks and signals of the night."""
    store = make_ports(root).store
    days = sessions.sessions(sessions.shift(NIGHT, -24), NIGHT)
    gold = [_gold(symbol, day) for symbol in SYMBOLS for day in days]
    store.publish("gold", asof=NIGHT, partitions={"all": rows_to("gold", gold)}, replaces=True)
    members = [_member(symbol) for symbol in SYMBOLS]
    store.publish("universe", asof=NIGHT, partitions={"all": rows_to("universe", members)})
    told = [signal(NIGHT, "AAPL"), _row("MSFT", tag="watch")] if rows is None else rows
    table = rows_to("signals", list(told))
    store.publish("signals", asof=NIGHT, partitions={f"asof={NIGHT},slot=close": table})
    return root


def _row(symbol: str, **over: Any) -> dict[str, Any]:
    return signal(NIGHT, symbol, **{"ref_price_usd": SYMBOLS[symbol], **over})


def _gold(symbol: str, day: date) -> dict[str, Any]:
    close = SYMBOLS[symbol]
    return {
        "symbol": symbol,
        "date": day,
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "adjusted_close": close,
        "volume": 5_000_000,
        "split_factor": 1.0,
        "adj_factor": 1.0,
        "atr_14": close * 0.02,
        "sector": "TECHNOLOGY",
        "row_flags": 0,
    }


def _member(symbol: str) -> dict[str, Any]:
    at = datetime(2025, 1, 1, tzinfo=UTC)
    return {
        "symbol": symbol,
        "name": symbol,
        "from": date(2020, 1, 1),
        "known_at": at,
        "arrived_at": at,
        "source": "sim",
        "revision": 0,
        "status": "ok",
    }


@dataclass
class Running:
    """An executor process and how command lines reach it."""

    root: Path
    url: str
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"

    def bft(self, *words: object, role: str = "trader") -> tuple[int, dict[str, Any], str]:
        """One command line: exit code, JSON line, stderr."""
        env = {**self.environment, "BFT_TOKEN_FILE": str(self.root.parent / f"{role}.token")}
        line = [sys.executable, "-m", "bft", *map(str, words)]
        done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
        text = done.stdout.strip()
        return done.returncode, json.loads(text) if text else {}, done.stderr


@contextmanager
def running_executor(
    root: Path, *options: str, clock: datetime | None = None, **settings: str
) -> Iterator[Running]:
    """`bft serve executor` on loopback, at an instant of its own."""
    port = free_port()
    environment = _environment(root, f"http://127.0.0.1:{port}", settings)
    words = [sys.executable, "-m", "bft", "serve", "--root", str(root), "executor"]
    words += ["--port", str(port), *options]
    words += ["--clock", clock.isoformat()] if clock else []
    log = (root.parent / "executor.log").open("wb")
    process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield Running(root, f"http://127.0.0.1:{port}", environment, process)
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _environment(root: Path, url: str, settings: dict[str, str]) -> dict[str, str]:
    folder = root.parent
    (folder / "secret").write_text(SECRET)
    now = datetime.now(UTC)  # noqa: TID251  tokens live by the real clock
    for role in ("viewer", "trader", "admin"):
        claims = token_claims(f"{role}-ada", [role], now=now, lifetime=timedelta(minutes=60))
        (folder / f"{role}.token").write_text(issued(claims, SECRET))
    names = ("PATH", "HOME", "LANG")
    kept = {n: os.environ[n] for n in names if n in os.environ}  # noqa: TID251  a child needs them
    return {
        **kept,
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "BFT_JWT_SECRET_FILE": str(folder / "secret"),
        "BFT_API_URL": url,
        "BFT_PAPER_LATENCY_MS": "0-0",
        **settings,
    }
