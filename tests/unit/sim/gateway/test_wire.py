"""The protocol on a raw socket: frames cut anywhere, versions, unknown messages, limits."""

import asyncio

import pytest
from gateways import Stage, play, settle

from bft.sim.gateway.wire.frames import LARGEST, FrameError, Frames, fields_of, frame


class Raw:
    """A socket that speaks frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @staticmethod
    async def open(stage: Stage) -> "Raw":
        return Raw(*await asyncio.open_connection("127.0.0.1", stage.sim.port))

    async def send(self, *messages: tuple[object, ...]) -> None:
        self.writer.write(b"".join(frame(message) for message in messages))
        await settle()

    async def next(self) -> list[str]:
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        return fields_of(await self.reader.readexactly(size))

    async def greet(self, versions: bytes = b"v157..178") -> list[str]:
        self.writer.write(b"API\0" + len(versions).to_bytes(4, "big") + versions)
        return await self.next()

    async def begin(self, client_id: int = 1) -> list[list[str]]:
        await self.greet()
        await self.send((71, 2, client_id, ""))
        return [await self.next() for _ in range(4)]

    def close(self) -> None:
        self.writer.close()


def test_frames_cut_at_any_byte_or_glued_are_the_same() -> None:
    stream = frame((4, 2, -1, "täxt")) + frame((9, 1, 7)) + frame(("", ""))
    for cut in range(len(stream) + 1):
        frames, found = Frames(), []
        for part in (stream[:cut], stream[cut:]):
            frames.feed(part)
            found += [fields_of(payload) for payload in frames.payloads()]
        assert found == [["4", "2", "-1", "täxt"], ["9", "1", "7"], ["", ""]]


def test_length_above_16_mib_is_no_frame() -> None:
    frames = Frames()
    frames.feed((LARGEST + 1).to_bytes(4, "big"))
    with pytest.raises(FrameError):
        list(frames.payloads())


def test_handshake_sent_byte_by_byte_is_answered_by_version_and_time() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        greeting = b"API\0" + (9).to_bytes(4, "big") + b"v157..178"
        for n in range(len(greeting)):
            raw.writer.write(greeting[n : n + 1])
            await settle(0.001)
        assert await raw.next() == ["178", "20261120 15:00:00 UTC"]
        raw.close()

    play(body)


def test_version_is_the_smaller_and_below_157_the_socket_is_closed() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        assert (await raw.greet(b"v100..165 +PACEAPI"))[0] == "165"
        raw.close()
        for greeting in (b"v100..156", b"nonsense"):
            raw = await Raw.open(stage)
            with pytest.raises(asyncio.IncompleteReadError):
                await raw.greet(greeting)
            raw.close()

    play(body)


def test_ready_means_accounts_and_next_id() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        told = await raw.begin()
        assert ["15", "1", "DU0000001,DU0000002,"] in told
        assert ["9", "1", "1"] in told
        raw.close()

    play(body, accounts=("DU0000001", "DU0000002"))


def test_unknown_message_is_320_known_but_unserved_321_and_the_socket_stays() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        await raw.begin()
        await raw.send((999, 1), ("nonsense",), (22, 31, 50), (52, 2, 32), (82,), (96, 33), (49, 1))
        answers = [await raw.next() for _ in range(7)]
        assert [a[2:4] for a in answers[:6]] == [
            ["-1", "320"],
            ["-1", "320"],
            ["31", "321"],
            ["32", "321"],
            ["-1", "321"],
            ["33", "321"],
        ]
        assert answers[6][0] == "49"
        raw.close()

    play(body)


def test_short_message_is_320_and_half_an_order_321() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        await raw.begin()
        await raw.send((9, 8, 5), (3, 6, 0, "AAPL"))
        assert [(await raw.next())[2:4] for _ in range(2)] == [["-1", "320"], ["6", "321"]]
        raw.close()

    play(body)


def test_wrong_prefix_or_length_closes_the_socket() -> None:
    async def body(stage: Stage) -> None:
        for bytes_sent in (b"GET / HTTP/1.1\r\n\r\n", b"API\0\xff\xff\xff\xff"):
            raw = await Raw.open(stage)
            raw.writer.write(bytes_sent)
            assert await raw.reader.read() == b""
            raw.close()

    play(body)


def test_second_connection_with_an_id_in_use_is_told_326_and_closed() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client(7)
        raw = await Raw.open(stage)
        await raw.greet()
        await raw.send((71, 2, 7, ""))
        assert (await raw.next())[:4] == ["4", "2", "-1", "326"]
        assert await raw.reader.read() == b""
        raw.close()
        assert ib.isConnected()
        ib.disconnect()
        await settle()
        assert (await stage.client(7)).isConnected()

    play(body)


def test_more_than_50_messages_a_second_are_refused_with_100_and_then_closed() -> None:
    async def body(stage: Stage) -> None:
        raw = await Raw.open(stage)
        await raw.begin()
        for extra in (1, 2):
            await raw.send(*[(49, 1)] * (50 + extra))
            answers = [await raw.next() for _ in range(50 + extra)]
            assert [a[3] for a in answers if a[0] == "4"] == ["100"] * extra
            await asyncio.sleep(1)
        assert await raw.reader.read() == b""  # the third warning was the last
        raw.close()

    play(body)
