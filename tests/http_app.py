"""A small HTTP/1.1 server on loopback inside the test's own loop, without timers of its own."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


Answer = tuple[int, Any]
"""Status and JSON value; a string is sent as it is."""


class HttpApp:
    """Serves `handle` while the block lasts; a handler that returns None drops the connection."""

    def __init__(self, handle: Callable[[Request], Answer | None]) -> None:
        self._handle = handle
        self._talks: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self.url = ""

    async def __aenter__(self) -> "HttpApp":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        talks = dict(self._talks)
        for writer in talks:
            writer.close()
        await asyncio.gather(*filter(None, talks.values()))
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks[writer] = asyncio.current_task()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = await _read(head.decode(), reader)
                answer = self._handle(request)
                if answer is None:
                    return
                writer.write(_written(answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._talks.pop(writer)
            writer.close()


async def _read(head: str, reader: asyncio.StreamReader) -> Request:
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(
        method=method,
        path=parts.path,
        params=dict(parse_qsl(parts.query)),
        headers=headers,
        body=json.loads(body) if body else None,
    )


def _written(answer: Answer) -> bytes:
    status, value = answer
    text = value if isinstance(value, str) else json.dumps(value)
    body = b"" if value is None else text.encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
