"""`bft serve executor` as a process: start, orders, SIGTERM, restart, second process, refusals."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import free_port

from bft.adapters.broker.ib import login_of

CLOCK = "2026-01-06T15:00:00Z"
HEAVY = ("torch", "pandas", "mlflow", "pyarrow")


class Process:
    """A running executor and a client of it."""

    def __init__(self, root: Path, *options: str, **environment: str) -> None:
        self.root, port = root, free_port()
        secret = root / "secret"
        if not secret.exists():
            root.mkdir(parents=True, exist_ok=True)
            secret.write_text(secrets.token_hex(32))
        inherited = os.environ  # noqa: TID251  what a shell would hand down
        self.env = {**inherited, "BFT_JWT_SECRET_FILE": str(secret), **environment}
        words = [sys.executable, "-m", "bft", "serve", "--root", str(root), "executor"]
        words += ["--port", str(port), "--clock", CLOCK, *options]
        self.url = f"http://127.0.0.1:{port}"
        self.began = time.monotonic()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=self.env)

    def until_live(self) -> float:
        """Seconds from the start to the first answer."""
        while self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/v1/health/live", timeout=5).status_code == 200:
                    return time.monotonic() - self.began
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(self.process.communicate())

    def until_ready(self) -> None:
        end = time.monotonic() + 30
        while httpx.get(f"{self.url}/v1/health/ready").status_code != 200:
            assert time.monotonic() < end, httpx.get(f"{self.url}/v1/health/ready").text
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._token()}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, **more)

    def _token(self) -> str:
        words = [sys.executable, "-m", "bft", "token", "ada", "--roles", "admin"]
        if not hasattr(self, "token"):
            done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=True)
            self.token: str = json.loads(done.stdout)["token"]
        return self.token

    def rss_mib(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def loaded(self) -> set[str]:
        """Heavy libraries whose compiled parts are mapped into the process."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        return {name for name in HEAVY if f"/site-packages/{name}/" in maps}

    def stop(self) -> tuple[int, str, float]:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out + err, time.monotonic() - began


@contextmanager
def running(root: Path, *options: str, **environment: str) -> Iterator[Process]:
    made = Process(root, *options, **environment)
    try:
        made.until_live()
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()


def test_executor_lives_through_a_restart(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with running(root) as first:
        first.until_ready()
        print(f"rss {first.rss_mib():.0f} MiB")  # noqa: T201  for the reader of a slow machine
        assert first.loaded() == set()
        tick = {"symbol": "AAPL", "price": 100}
        assert first.ask("POST", "/v1/tick", tick).status_code == 200
        body = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "price": 100, "stop": 95}
        made = first.ask("POST", "/v1/orders", body)  # there is no night: no universe
        assert (made.status_code, made.json()["error"]) == (400, "symbol")
        assert first.ask("POST", "/v1/kill", {"reason": "test"}).json()["latched"] is True
        second = Process(root)
        assert second.process.wait(20) == 77
        assert "stop that one first" in second.process.communicate()[1]
        code, told, took_s = first.stop()
        assert code == 0, told
        assert took_s < 10
    with running(root) as again:
        assert again.ask("GET", "/v1/kill").json()["latched"] is True
        assert len(again.ask("GET", "/v1/denials").json()["rows"]) == 1
        assert again.stop()[0] == 0


def test_signal_latches_the_kill_switch(tmp_path: Path) -> None:
    with running(tmp_path / "root") as one:
        one.process.send_signal(signal.SIGUSR2)
        end = time.monotonic() + 10
        while not one.ask("GET", "/v1/kill").json()["latched"]:
            assert time.monotonic() < end
        assert one.ask("GET", "/v1/kill").json()["sources"] == ["signal"]


@pytest.mark.parametrize(
    ("options", "environment", "code", "says"),
    [
        (["--host", "0.0.0.0"], {}, 78, "BFT_API_ALLOW_PLAINTEXT"),  # noqa: S104  refused
        (["--broker", "tradovate"], {}, 78, "tradovate"),
        (["--broker", "ib"], {}, 78, "BFT_ACCOUNT"),
        (["--profile", "equites"], {}, 78, "did you mean equities"),
        (["--workers", "2"], {}, 78, "one process"),
        ([], {"SESSION_WINDOWS": "08:00"}, 78, "HH:MM-HH:MM"),
        ([], {"MAX_CONTRACTS": "many"}, 78, "MAX_CONTRACTS"),
        ([], {"BFT_TRADING_MODE": "live", "BFT_ACCOUNT": "U1"}, 78, "--clock"),
        (["--clock", "noon"], {}, 78, "--clock noon"),
        (["--clock", "gateway", "--broker", "ib"], {"BFT_ACCOUNT": "U1"}, 77, "no paper account"),
    ],
)
def test_start_that_can_never_work_is_refused(
    tmp_path: Path, options: list[str], environment: dict[str, str], code: int, says: str
) -> None:
    one = Process(tmp_path / "root", *options, **environment)
    out, err = one.process.communicate(timeout=60)
    assert (one.process.returncode, says in err) == (code, True), out + err


def test_weekly_login_is_a_day_and_a_time() -> None:
    assert str(login_of("Sun 13:00")) == "(6, datetime.time(13, 0))"
    assert login_of("") is None
