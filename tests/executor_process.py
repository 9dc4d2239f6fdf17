"""A real `bft serve executor` process on loopback, for tests and benches."""

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
from servers import free_port

CLOCK = "2026-01-06T15:00:00Z"
HEAVY = ("torch", "pandas", "mlflow", "pyarrow")


class Process:
    """A running executor and a client of it; `live_s` from its start to its first answer."""

    live_s: float

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

    def until_night(self) -> None:
        """Wait until the night's facts were read."""
        end = time.monotonic() + 60
        while self.ask("GET", "/v1/model/status").json()["gold_asof"] is None:
            assert time.monotonic() < end, "the night was not read"
            time.sleep(0.1)

    def until_ready(self) -> None:
        end = time.monotonic() + 30
        while httpx.get(f"{self.url}/v1/health/ready").status_code != 200:
            assert time.monotonic() < end, httpx.get(f"{self.url}/v1/health/ready").text
            time.sleep(0.05)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.admin_token()}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, **more)

    def admin_token(self) -> str:
        words = [
            sys.executable,
            "-m",
            "bft",
            "token",
            "ada",
            "--roles",
            "admin",
            "--expires",
            "600",
        ]
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
        made.live_s = made.until_live()
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.communicate()
