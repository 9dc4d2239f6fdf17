"""One client's socket: handshake, frames in, messages out."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from bft.sim.gateway.outbox import Outbox
from bft.sim.gateway.wire.frames import FrameError, Frames, fields_of, frame

SERVER_VERSION, OLDEST_CLIENT = 178, 157
_SECOND_S, _PATIENCE = 1.0, 3  # warnings about the message rate before the socket is closed


class Owner(Protocol):
    """What a session asks of the gateway."""

    messages_per_s: int
    down: bool

    def now(self) -> datetime:
        """Aware UTC instant."""

    def begin(self, session: "Session", client_id: int) -> None:
        """A client said who it is."""

    def handle(self, session: "Session", fields: list[str]) -> None:
        """A request of a client that has begun."""

    def gone(self, session: "Session") -> None:
        """The socket is closed."""

    def deliver(self, session: "Session", values: Sequence[object], about: "About") -> None:
        """Pass a message on to the socket, or what a fault makes of it."""


class About:
    """What a message is about, for fault scripts."""

    __slots__ = ("leg", "symbol")

    def __init__(self, symbol: str = "", leg: str = "") -> None:
        self.symbol, self.leg = symbol, leg


NOTHING = About()


class Session(asyncio.Protocol):
    """Speaks the protocol with one client; `client_id` is None until it has begun."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.owner, self.loop = owner, loop
        self.client_id: int | None = None
        self.deaf = False  # half open: reads and says nothing
        self.transport: asyncio.Transport | None = None
        self.outbox = Outbox(loop, self._put)
        self._paused = 0
        self._waiting: deque[list[str]] = deque()
        self._frames = Frames()
        self._greeted = self._versioned = False
        self._sent_at: deque[float] = deque()
        self._warnings = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; while the gateway is down it is closed again."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  TCP servers make these
        self.transport = transport
        if self.owner.down:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        del exc
        self.transport = None
        self.outbox.stop()
        self.owner.gone(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came; take whole frames off them."""
        if self.deaf:
            return
        self._frames.feed(data)
        if not self._greeted:
            prefix = self._frames.take(4)
            if prefix is None:
                return
            if prefix != b"API\0":
                self.close()
                return
            self._greeted = True
        try:
            for payload in self._frames.payloads():
                self._take(payload)
        except FrameError:
            self.close()

    def send(self, values: Sequence[object], about: About = NOTHING) -> None:
        """Say a message."""
        self.owner.deliver(self, values, about)

    def error(self, req_id: int, code: int, text: str) -> None:
        """Say a code (message 4)."""
        self.send((4, 2, req_id, code, text, ""))

    def close(self) -> None:
        """Close the socket once what was written is sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close the socket at once; what was not sent is lost."""
        self.deaf = True
        if self.transport is not None:
            self.transport.abort()

    def half_open(self, seconds: float | None) -> None:
        """Neither hear nor speak; close after so many seconds, or never."""
        self.deaf = True
        if seconds is not None:
            self.loop.call_later(seconds, self.close)

    def pause(self, seconds: float) -> None:
        """Take requests up again only after so many seconds, in order."""
        self._paused += 1
        self.loop.call_later(seconds, self._unpause)

    def _unpause(self) -> None:
        self._paused -= 1
        while self._waiting and not self._paused:
            self.owner.handle(self, self._waiting.popleft())

    def _put(self, data: bytes) -> None:
        if self.transport is not None and not self.deaf:
            self.transport.write(data)

    def _take(self, payload: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if not self._versioned:
            self._agree(payload.decode(errors="replace"))
            return
        fields = fields_of(payload)
        if self.client_id is not None:
            if not self._paced():
                return
            if self._paused:
                self._waiting.append(fields)
            else:
                self.owner.handle(self, fields)
        elif fields[:1] == ["71"] and len(fields) > 2 and fields[2].isdigit():
            self.owner.begin(self, int(fields[2]))

    def _agree(self, text: str) -> None:
        """Answer `v157..178` with a version, or close."""
        newest = text.split(" ")[0].removeprefix("v").split("..")[-1]
        version = min(SERVER_VERSION, int(newest)) if newest.isdigit() else 0
        if version < OLDEST_CLIENT:
            self.close()
            return
        self._versioned = True
        self.outbox.send(
            frame((version, f"{self.owner.now().astimezone(UTC):%Y%m%d %H:%M:%S} UTC"))
        )

    def _paced(self) -> bool:
        """Whether a message may pass; too many a second are refused, and end the socket."""
        limit = self.owner.messages_per_s
        now = self.loop.time()
        while self._sent_at and now - self._sent_at[0] >= _SECOND_S:
            self._sent_at.popleft()
        if limit and len(self._sent_at) >= limit:
            self._warnings += 1
            text = f"Max rate of messages per second has been exceeded:max={limit}"
            self.error(-1, 100, text)
            if self._warnings >= _PATIENCE:
                self.close()
            return False
        self._sent_at.append(now)
        return True
