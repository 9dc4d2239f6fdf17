"""Headless Chromium, driven over its debugging pipe (DevTools protocol); no library, no port."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from waiting import until

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-extensions "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars "
    "--disable-dev-shm-usage --remote-debugging-pipe"
).split()


class NavigatedError(AssertionError):
    """The page went elsewhere while it was asked."""


class Tab:
    """One page: go somewhere, ask for values, press what a person would press."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._buffer, self._next = to, back, b"", 0
        self._session = ""
        self.log: list[str] = []
        self._context = self.call("Target.createBrowserContext")["browserContextId"]
        where = {"url": "about:blank", "browserContextId": self._context}
        target = self.call("Target.createTarget", **where)["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._next += 1
        sent: dict[str, Any] = {"id": self._next, "method": method, "params": params}
        if self._session:
            sent["sessionId"] = self._session
        os.write(self._to, json.dumps(sent).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._next:
                if "navigated" in told.get("error", {}).get("message", ""):
                    raise NavigatedError(told)
                assert "error" not in told, told
                found: dict[str, Any] = told["result"]
                return found
            self._note(told)

    def close(self) -> None:
        """Forget the page, its cookies and all it stored."""
        self._session = ""
        self.call("Target.disposeBrowserContext", browserContextId=self._context)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._back, 1 << 20)
            assert more, "the browser is gone"
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(raw)
        return told

    def _note(self, told: dict[str, Any]) -> None:
        """Keep what this page complained of."""
        if told.get("sessionId") != self._session:
            return
        if told.get("method") == "Log.entryAdded":
            self.log.append(told["params"]["entry"]["text"])
        if told.get("method") == "Runtime.exceptionThrown":
            self.log.append(json.dumps(told["params"]["exceptionDetails"]))

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, script: str) -> Any:
        told = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true in the page, or in the one that follows it."""

        def so() -> bool:
            with suppress(NavigatedError):
                return bool(self.value(f"Boolean({script})"))
            return False

        until(so)

    def click(self, selector: str) -> None:
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        place, value = json.dumps(selector), json.dumps(text)
        self.value(f"document.querySelector({place}).value = {value}")

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def shot(self, path: Path) -> None:
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))


@dataclass(frozen=True)
class Browser:
    """A running browser; each page is a person of its own to it."""

    to: int
    back: int

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        made = Tab(self.to, self.back)
        yield made
        made.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own; skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium (apt-get install chromium)")
    into, to = os.pipe()
    back, out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="bft-chromium-", ignore_cleanup_errors=True) as home:
        words = [program, *FLAGS, f"--user-data-dir={home}", "about:blank"]
        process = _started(words, into, out)
        os.close(into)
        os.close(out)
        try:
            yield Browser(to, back)
        finally:
            os.close(to)
            os.close(back)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _started(words: list[str], into: int, out: int) -> "subprocess.Popen[bytes]":
    """The browser reads commands on 3 and answers on 4."""
    shell = f'exec "$@" 3<&{into} 4>&{out}'
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        ["bash", "-c", shell, "bash", *words],
        pass_fds=(into, out),
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )
