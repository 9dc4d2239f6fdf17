"""Frames: a 4-byte big-endian length, then fields that each end with NUL (ib-wire, section 1)."""

import math
from collections.abc import Iterable, Iterator
from decimal import Decimal

LARGEST = 16 * 1024 * 1024
UNSET = "1.7976931348623157E308"


class FrameError(Exception):
    """A length that no frame has."""


class Frames:
    """Splits a stream into frames, however it was cut."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._held += data

    def take(self, size: int) -> bytes | None:
        """Raw bytes off the front, or None while there are fewer."""
        if len(self._held) < size:
            return None
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def payloads(self) -> Iterator[bytes]:
        """Whole frames received so far.

        Raises:
            FrameError: a length above 16 MiB.
        """
        while len(self._held) >= 4:
            size = int.from_bytes(self._held[:4], "big")
            if size > LARGEST:
                raise FrameError(f"frame of {size} bytes")
            if len(self._held) < 4 + size:
                return
            payload = bytes(self._held[4 : 4 + size])
            del self._held[: 4 + size]
            yield payload


def fields_of(payload: bytes) -> list[str]:
    """Fields of a payload."""
    return payload.decode(errors="backslashreplace").split("\0")[:-1]


def frame(values: Iterable[object]) -> bytes:
    """One frame of values."""
    payload = "".join(f"{text(value)}\0" for value in values).encode()
    return len(payload).to_bytes(4, "big") + payload


def text(value: object) -> str:
    """A value as the protocol writes it: unset is empty, bool 1 or 0, infinity a word."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, float):
        return "Infinite" if value == math.inf else repr(value)
    return str(value).replace("\0", " ")
