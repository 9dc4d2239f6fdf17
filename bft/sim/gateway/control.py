"""The control port: HTTP on loopback that moves the clock, sets prices and shows the state.

POST bodies and answers are JSON: /tick /advance /order /close /fault; GET /tape /state.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bft.domain.errors import BftError, UnavailableError, UsageError
from bft.sim.gateway import snapshot

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

Answer = Mapping[str, Any]
Route = Callable[[dict[str, Any]], Answer | Awaitable[Answer]]
_LARGEST_BODY, _LARGEST_HEAD = 1024 * 1024, 64 * 1024


class ControlServer:
    """Answers one request a connection."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self._server: asyncio.Server | None = None
        self._moving = asyncio.Lock()
        self.routes: dict[tuple[str, str], Route] = {
            ("POST", "/tick"): self._tick,
            ("POST", "/advance"): self._advance,
            ("POST", "/order"): self._order,
            ("POST", "/close"): self._close,
            ("POST", "/fault"): self._fault,
            ("GET", "/tape"): lambda _: {"tape": [json.loads(x) for x in gateway.tape]},
            ("GET", "/state"): lambda _: snapshot.of(gateway),
        }

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None  # noqa: S101  made by start_control alone
        return int(self._server.sockets[0].getsockname()[1])

    async def listen(self, port: int) -> None:
        """Open the port, on loopback whatever the gateway's host is.

        Raises:
            UnavailableError: it is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        except OSError as error:
            raise UnavailableError(f"--control-port {port}: {error.strerror}; try 0") from error

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, _ = head.split(" ", 2)
            body = await reader.readexactly(_length(head))
            status, answer = await self.answer(method, path.partition("?")[0], body)
            data = json.dumps({"simulated": True, **answer}).encode()
            said = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Simulated: bft\r\n"
            said += f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            writer.write(said.encode() + data)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # not HTTP, or gone: nobody to tell
        finally:
            writer.close()

    async def answer(self, method: str, path: str, body: bytes) -> tuple[str, Answer]:
        """Status line and answer of a request."""
        route = self.routes.get((method, path))
        if route is None:
            known = ", ".join(f"{m} {p}" for m, p in sorted(self.routes))
            return "404 Not Found", {"error": f"no {method} {path}; one of {known}"}
        try:
            given = json.loads(body or b"{}")
            if not isinstance(given, dict):
                raise UsageError("the body is a JSON object")
            made = route(given)
            return "200 OK", await made if inspect.isawaitable(made) else made
        except (BftError, ValueError, OverflowError) as error:
            return "400 Bad Request", {"error": str(error)}

    def _tick(self, given: dict[str, Any]) -> Answer:
        made = self.gateway.tick(str(given.pop("symbol", "")), **given)
        return {"bid": str(made.bid), "ask": str(made.ask), "last": str(made.last)}

    async def _advance(self, given: dict[str, Any]) -> Answer:
        """One after the other: seconds count from where the one before ended."""
        async with self._moving:
            await self.gateway.walk(self._instant(given))
        return {"now": self.gateway.now().isoformat()}

    def _instant(self, given: dict[str, Any]) -> datetime:
        if "to" in given:
            to = datetime.fromisoformat(str(given["to"]))
            if to.tzinfo is None:
                raise UsageError(f"to: {given['to']!r} has no zone; as 2026-11-20T15:00:00Z")
            return to
        return self.gateway.now() + timedelta(seconds=float(given.get("seconds", 0)))

    def _order(self, given: dict[str, Any]) -> Answer:
        made = self.gateway.place_manual(**given)
        return {"perm_id": made.perm_id, "status": str(made.status), "filled": str(made.filled)}

    def _fault(self, given: dict[str, Any]) -> Answer:
        self.gateway.fault(str(given.pop("do", "")), **given)
        return {"ok": True}

    def _close(self, given: dict[str, Any]) -> Answer:
        made = self.gateway.close_position(str(given.get("symbol", "")))
        return {"perm_id": made.perm_id if made else None}


async def start_control(gateway: "GatewaySim", port: int) -> ControlServer:
    """A control server that listens.

    Raises:
        UnavailableError: the port is taken.
    """
    made = ControlServer(gateway)
    await made.listen(port)
    return made


def _length(head: str) -> int:
    """Content length of a request's head.

    Raises:
        ValueError: too large, or no number.
    """
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            size = int(value)
            if not 0 <= size <= _LARGEST_BODY:
                raise ValueError(size)
            return size
    return 0
