"""One Alpha Vantage call: paced, counted, retried, judged (data specification, 1.3)."""

import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit
from weakref import WeakSet

import httpx

from bft.adapters.sources.av_quirks import Kind, Verdict, judge
from bft.adapters.sources.bucket import Bucket
from bft.domain import origin, sessions
from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.ports import Clock

ATTEMPTS, WAITS_S, RETRY_AFTER_MAX_S = 5, (1.0, 2.0, 4.0, 8.0), 60.0
_DAILY = "TIME_SERIES_DAILY_ADJUSTED"

logging.getLogger("httpx").setLevel(logging.WARNING)  # its INFO lines hold the key


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Of one attempt: to connect, between bytes (short and long answers), in all."""

    connect_s: float = 5.0
    read_s: float = 30.0
    read_long_s: float = 60.0
    call_s: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Whom to call; `sim`: the simulator, which is told when to answer."""

    url: str
    key: str = field(repr=False)
    sim: bool = False
    simulator: str = origin.SIMULATOR  # the command that starts it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One call: a function and its parameters, sorted; `asked` are the symbols it is about.

    `at` is the instant at which the simulator answers (None: the evening of asof).
    """

    function: str
    parameters: tuple[tuple[str, str], ...] = ()
    asked: frozenset[str] = frozenset()
    at: datetime | None = None

    @property
    def slow(self) -> bool:
        """Whether the answer is long: a full series, or a chain."""
        return "OPTIONS" in self.function or ("outputsize", "full") in self.parameters

    @property
    def words(self) -> str:
        """The call in words, without the key."""
        return " ".join((self.function, *(f"{k}={v}" for k, v in self.parameters)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A body that says something, and whether a simulator said it."""

    text: str
    simulated: bool
    verdict: Verdict


class Client:
    """Calls one address; safe to share between threads.

    `charge` counts a call of a day and tells whether the day's limit allows it.
    """

    def __init__(
        self,
        vendor: Vendor,
        *,
        bucket: Bucket,
        clock: Clock,
        charge: Callable[[date], bool],
        timeouts: Timeouts | None = None,
    ) -> None:
        self._url, self._key, self._sim = vendor.url, vendor.key, vendor.sim
        self._simulator = vendor.simulator
        self._bucket, self._timeouts = bucket, timeouts or Timeouts()
        self._clock, self._charge = clock, charge
        self._lock = threading.Lock()
        self._premium: set[str] = set()
        self._streams: WeakSet[Any] = WeakSet()
        self.calls = 0
        self._http = httpx.Client(trust_env=not vendor.sim)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def start(self) -> None:
        """Make calls again after `drain` or `stop`."""
        self._bucket.stopped.clear()

    def drain(self) -> None:
        """End waits and begin no call; those under way end by themselves."""
        self._bucket.stopped.set()

    def stop(self) -> None:
        """End waits and the calls under way, which then raise UnavailableError."""
        self.drain()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            _cut(stream)

    def check_listening(self) -> None:
        """See that somebody listens, where the address is one of this machine.

        Raises:
            ConfigError: nobody does. Nobody starts to by being waited for.
        """
        parts = urlsplit(self._url)
        if not _loopback(self._url):
            return
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname or "", port), self._timeouts.connect_s).close()
        except ConnectionRefusedError as error:
            raise ConfigError(self._nobody()) from error
        except OSError:  # slow is not absent: the pull tries again, and says what came of it
            return

    def world(self) -> str:
        """The command of a simulator's world, as it tells itself; empty: it does not.

        Raises:
            ConfigError: nobody listens on this machine.
        """
        place, limits = urljoin(self._url, "healthz"), self._timeouts
        try:
            told = httpx.get(place, timeout=limits.connect_s, trust_env=not self._sim).json()
        except (httpx.HTTPError, ValueError) as error:
            if _refused(error) and _loopback(self._url):
                raise ConfigError(self._nobody()) from error
            return ""  # the calls that follow say what is wrong with it
        return str(told.get("world") or "") if isinstance(told, dict) else ""

    def ask(self, unit: Unit, *, asof: date) -> Reply:
        """Call until there is an answer that says something.

        Raises:
            UnavailableError: the attempts, the day's calls or the pauses are used up, or `stop`.
            ConfigError: a demo key, a refused address, nobody listening on this machine, or daily
                series that the plan lacks.
            DataError: daily series of another symbol, twice.
        """
        if unit.function in self._premium:
            return Reply(text="", simulated=False, verdict=Verdict(kind=Kind.PREMIUM))
        attempt, samples, last = 0, 0, ""
        while attempt < ATTEMPTS:
            slot = self._slot()
            reply, wait_s = self._once(unit, asof)
            kind = reply.verdict.kind
            last = reply.verdict.detail
            if kind is Kind.MINUTE_LIMIT:
                self._bucket.pause(slot=slot)
            elif kind is Kind.SAMPLE and not samples:
                samples += 1
            elif kind is not Kind.BROKEN:
                return self._settled(unit, reply)
            else:
                attempt += 1
                if attempt < ATTEMPTS:
                    self._bucket.wait(self._backoff(unit, attempt) if wait_s is None else wait_s)
        hint = f"is it running ({self._simulator})? Then " if self._sim else ""
        raise UnavailableError(
            f"{unit.words}: no answer of {self._url} in {ATTEMPTS} attempts ({last}); {hint}"
            "run the same command again, finished calls are kept"
        )

    def _slot(self) -> float:
        slot = self._bucket.take()
        if self._bucket.stopped.is_set():
            raise UnavailableError("stopped; the same command resumes")
        today = self._clock.now().astimezone(sessions.NEW_YORK).date()
        with self._lock:
            if not self._charge(today):
                raise UnavailableError(
                    "BFT_AV_CALLS_PER_DAY is used up; resume after 00:00 America/New_York, "
                    "finished calls are kept"
                )
            self.calls += 1
        return slot

    def _once(self, unit: Unit, asof: date) -> tuple[Reply, float | None]:
        """One attempt; the wait is what the server asks for, if it does."""
        try:
            status, text, headers = self._get(unit, asof)
        except (httpx.HTTPError, httpx.StreamError) as error:
            if _refused(error) and _loopback(self._url):
                raise ConfigError(self._nobody()) from error
            return _broken(type(error).__name__), None
        simulated = "x-simulated" in headers
        if status == 429 or status >= 500:
            return _broken(f"HTTP {status}"), self._retry_after(headers.get("retry-after"))
        if status >= 400:
            raise ConfigError(f"{unit.words}: HTTP {status}; check BFT_AV_URL and the key")
        text = text.replace(self._key, "***") if self._key else text
        verdict = judge(unit.function, text, asked=unit.asked)
        return Reply(text=text, simulated=simulated, verdict=verdict), None

    def _get(self, unit: Unit, asof: date) -> tuple[int, str, httpx.Headers]:
        parameters = {"function": unit.function, **dict(unit.parameters), "apikey": self._key}
        limits, parts = self._timeouts, []
        read_s = limits.read_long_s if unit.slow else limits.read_s
        timeout = httpx.Timeout(read_s, connect=limits.connect_s, pool=None)
        moment = unit.at.isoformat() if unit.at else str(asof)
        headers = {"X-Bft-Asof": moment} if self._sim else {}
        end = time.monotonic() + limits.call_s
        with self._http.stream(
            "GET",
            self._url,
            params=parameters,
            headers=headers,
            timeout=timeout,
            extensions={"trace": self._trace},
        ) as answer:
            for part in answer.iter_bytes():
                parts.append(part)
                if time.monotonic() > end:
                    raise httpx.ReadTimeout(f"more than {limits.call_s} s")
        return answer.status_code, b"".join(parts).decode("utf-8", "replace"), answer.headers

    def _trace(self, event: str, about: Mapping[str, Any]) -> None:
        """Keep the streams that are opened, for `stop`."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._streams.add(about["return_value"])
            if self._bucket.stopped.is_set():  # it was on its way when `stop` looked
                _cut(about["return_value"])

    def _settled(self, unit: Unit, reply: Reply) -> Reply:
        """Turn what ends a run into an error; remember what the plan lacks."""
        kind, detail = reply.verdict.kind, reply.verdict.detail
        if kind is Kind.DAY_LIMIT:
            raise UnavailableError(
                f"{unit.words}: day limit ({detail}); resume after 00:00 America/New_York, "
                "finished calls are kept"
            )
        if kind is Kind.DEMO_KEY:
            raise ConfigError("ALPHAVANTAGE_API_KEY is the demo key; get a key, or --source sim")
        if kind is Kind.PREMIUM:
            self._premium.add(unit.function)
            if unit.function == _DAILY:
                raise ConfigError(
                    "the key's plan lacks TIME_SERIES_DAILY_ADJUSTED; take a plan that has it, or "
                    "--source sim"
                )
        if kind is Kind.SAMPLE and unit.function == _DAILY:
            raise DataError(
                f"{unit.words}: twice the data of another symbol ({detail.strip()}), nothing of it "
                "is kept; run the same command again, or take the symbol off the universe"
            )
        return reply

    def _backoff(self, unit: Unit, attempt: int) -> float:
        """Wait before the next attempt, spread +-20 % by a hash, not by chance."""
        digest = hashlib.sha256(f"{unit.words} {attempt}".encode()).digest()
        return WAITS_S[attempt - 1] * (0.8 + 0.4 * digest[0] / 255)

    def _nobody(self) -> str:
        """On this machine nobody begins to listen by waiting: somebody must start the server."""
        if not self._sim:
            return f"nobody listens on {self._url}; check BFT_AV_URL"
        return (
            f"no simulator listens on {self._url}; start one in another terminal with "
            f"{self._simulator}, or take your own prices with --source files:PATH; then run this "
            "again"
        )

    def _retry_after(self, text: str | None) -> float | None:
        if text is None:
            return None
        if text.strip().isdigit():
            seconds = float(text)
        else:
            try:
                seconds = (parsedate_to_datetime(text) - self._clock.now()).total_seconds()
            except (TypeError, ValueError):
                return None
        return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _cut(stream: Any) -> None:
    """End a connection under whoever reads from it; closing alone would not wake them."""
    with suppress(OSError):
        stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _refused(error: BaseException | None) -> bool:
    """Whether a connection was refused; two libraries wrap the cause, one of them implicitly."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _broken(detail: str) -> Reply:
    return Reply(text="", simulated=False, verdict=Verdict(kind=Kind.BROKEN, detail=detail))
