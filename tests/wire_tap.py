"""A tap between an executor and its gateway: when which message passed, and a way to cut the line.

Frames are those of the wire specification, section 1.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

PLACE, CANCEL = 3, 4


@dataclass(frozen=True, slots=True)
class Passed:
    """A message of the client: instant (`perf_counter`), its number, its fields."""

    at_s: float
    number: int
    fields: list[str]


@dataclass
class Tap:
    """Listens on a port of its own and passes every byte on to the gateway."""

    gateway_port: int
    passed: list[Passed] = field(default_factory=list)
    opened_at_s: list[float] = field(default_factory=list)
    port: int = 0
    refuses: bool = False  # close whatever connects
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.sleep(0.05)  # the pumps of what was cut end

    def cut(self) -> None:
        """Close every line at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    def of(self, number: int, since_s: float = 0.0) -> list[Passed]:
        return [one for one in self.passed if one.number == number and one.at_s >= since_s]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        self.opened_at_s.append(time.perf_counter())
        there, back = await asyncio.open_connection("127.0.0.1", self.gateway_port)
        self._writers |= {writer, back}
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, back, tap=True), self._pump(there, writer))
        self._writers -= {writer, back}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tap: bool = False
    ) -> None:
        buffer = b""
        while data := await reader.read(65_536):
            at_s = time.perf_counter()
            writer.write(data)
            if tap:
                buffer = self._noted(buffer + data, at_s)
        writer.transport.abort()

    def _noted(self, buffer: bytes, at_s: float) -> bytes:
        buffer = buffer.removeprefix(b"API\0")
        while len(buffer) >= 4 and len(buffer) >= (end := 4 + int.from_bytes(buffer[:4], "big")):
            fields = buffer[4:end].decode(errors="replace").split("\0")
            if fields[0].isdigit():
                self.passed.append(Passed(at_s, int(fields[0]), fields))
            buffer = buffer[end:]
        return buffer
