"""The one place where bft hooks into ib_async: its client and decoder, without its bookkeeping.

ib_async's `IB` and `Wrapper` hold a model of orders, positions and requests that loses and
distorts what the executor needs (one waiting slot, statuses made of error codes, swallowed
corrections; wire specification, section 9). So bft gives the client a receiver of its own and keeps
three things: framing, the layouts of requests, the layouts of answers. `GatewayClient` changes:

- no throttle: bft's own pacer decides, the library never queues;
- what cannot be decoded is told to the receiver (`malformed`) instead of logged and forgotten, as
  are frames over 16 MiB; what the receiver itself raises counts as that too;
- an empty tick price, or number of an option computation, reaches the receiver as None;
- `open` connects without the library's waiting, logging and closing.

Messages that bft does not use are skipped. Pinned to ib_async 2.1 (pyproject).
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from types import SimpleNamespace
from typing import Any

from ib_async.client import Client
from ib_async.decoder import Decoder

LARGEST_FRAME = 16 * 1024 * 1024
Handler = Callable[..., None]
USED = (1, 2, 3, 4, 5, 6, 9, 10, 11, 15, 21, 45, 49, 52, 53, 54, 55, 58, 59, 61, 62, 93, 101, 102)


class StrictDecoder(Decoder):
    """The library's decoder for the messages bft uses; it hides no error."""

    def __init__(self, receiver: SimpleNamespace) -> None:
        super().__init__(receiver, 0)  # type: ignore[arg-type]
        self.handlers = {number: self.handlers[number] for number in USED}
        self.handlers[1] = self._tick_price
        self.handlers[21] = self._tick_option

    def interpret(self, fields: list[str]) -> None:
        """Decode one message and hand it over; raises whatever is wrong with it."""
        handler = self.handlers.get(int(fields[0]))
        if handler is not None:
            handler(fields)

    def wrap(self, methodName: str, types: Sequence[type], skip: int = 2) -> Handler:  # noqa: N803  the library's name
        """A handler for a plain message; raises where the library logs."""

        def handler(fields: list[str]) -> None:
            given = fields[skip : skip + len(types)]
            args = [_value(kind, text) for kind, text in zip(types, given, strict=True)]
            getattr(self.wrapper, methodName)(*args)

        return handler

    def _tick_price(self, fields: list[str]) -> None:
        _, _, req_id, kind, price, size, _ = fields
        told = float(price) if price else None
        self.wrapper.priceSizeTick(int(req_id), int(kind), told, float(size or 0))  # type: ignore[arg-type]

    def _tick_option(self, fields: list[str]) -> None:
        _, req_id, kind, _attributes, *texts = fields
        told = [float(text) if text else None for text in texts]
        self.wrapper.tickOptionComputation(int(req_id), int(kind), *told)  # type: ignore[arg-type]


class GatewayClient(Client):
    """A socket to the gateway that speaks the library's protocol to bft's receiver.

    `receivers` maps the library's callback names to functions; `malformed` gets the reason when
    the stream cannot be understood, `closed` runs when the socket is gone.
    """

    MaxRequests = 0  # the pacer is bft's

    def __init__(
        self,
        receivers: Mapping[str, Handler],
        *,
        malformed: Callable[[str], None],
        closed: Handler,
    ) -> None:
        self._malformed = malformed
        quiet = {"connectAck": _nothing, "connectionClosed": _nothing, "setEventsDone": closed}
        receiver = SimpleNamespace(**{**quiet, **receivers})
        receiver.defaultTimezone = UTC
        receiver.ib = SimpleNamespace(TimezoneTWS="UTC")  # of instants that name no zone
        super().__init__(receiver)
        self.decoder = StrictDecoder(receiver)
        self._logger.setLevel(logging.CRITICAL)  # it prints every outage as an error

    async def open(self, host: str, port: int, client_id: int) -> None:
        """Connect and begin the handshake; answers arrive by callback.

        Raises:
            OSError: nobody listens there.
        """
        self.host, self.port, self.clientId = host, port, client_id
        self.connState = Client.CONNECTING
        await self.conn.connectAsync(host, port)
        versions = b"v%d..%d" % (self.MinClientVersion, self.MaxClientVersion)
        self.conn.sendMsg(b"API\0" + self._prefix(versions))

    @property
    def ready(self) -> bool:
        """Version, accounts and the next order id have come."""
        return bool(self.isReady())

    @property
    def next_order_id(self) -> int:
        """The library's counter: first order id it takes to be free."""
        return int(self._reqIdSeq)

    def abort(self) -> None:
        """Close the socket now; what is not on the wire yet is lost."""
        transport = self.conn.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()

    def _onSocketHasData(self, data: bytes) -> None:  # noqa: N802  the library's name
        try:
            super()._onSocketHasData(data)
        except Exception as error:  # noqa: BLE001  whatever bytes can provoke ends the session
            self._malformed(f"malformed message: {error!r}")
            return
        if len(self._data) >= 4 and struct.unpack(">I", self._data[:4])[0] > LARGEST_FRAME:
            self._malformed("malformed message: a frame of more than 16 MiB is announced")


def _nothing(*_: object) -> None:
    """For what the client tells and bft does not need."""


def _value(kind: type, text: str) -> Any:
    if kind is bool:
        return bool(int(text or 0))
    return text if kind is str else kind(text or 0)
