"""The loop with virtual time that soak tests stand on."""

import asyncio
import socket
import time
from datetime import timedelta

import pytest
from virtual_time import START, LoopClock, run, settle, until


def test_a_day_of_timers_passes_at_once_and_in_order() -> None:
    async def main() -> list[tuple[str, float]]:
        loop, seen = asyncio.get_running_loop(), []

        async def every(name: str, seconds: float, times: int) -> None:
            for _ in range(times):
                await asyncio.sleep(seconds)
                seen.append((name, loop.time()))

        await asyncio.gather(every("slow", 43_200, 2), every("fast", 28_800, 3))
        return seen

    began = time.monotonic()
    seen = run(main())
    assert time.monotonic() - began < 2
    assert seen[:3] == [("fast", 28_800), ("slow", 43_200), ("fast", 57_600)]
    assert {name for name, at in seen[3:] if at == 86_400} == {"slow", "fast"}


def test_clock_shows_start_plus_what_passed() -> None:
    async def main() -> None:
        clock = LoopClock()
        await until(START + timedelta(hours=3, microseconds=7), clock)
        assert clock.now() == START + timedelta(hours=3, microseconds=7)
        await until(START, clock)
        assert clock.now() == START + timedelta(hours=3, microseconds=7)

    run(main())


def test_time_stands_still_while_sockets_talk() -> None:
    async def main() -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        for n in range(2_000):
            writer.write(b"%d\n" % n)
            async with asyncio.timeout(0.001):  # of virtual time
                assert await reader.readline() == b"%d\n" % n
        talked = asyncio.get_running_loop().time()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        await settle()
        return talked

    assert run(main()) == 0


def test_what_is_sent_to_a_server_of_the_loop_is_there_at_once() -> None:
    async def main() -> None:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.set_result(await reader.read(1))
            writer.close()

        server = await asyncio.start_server(hear, "127.0.0.1", 0)
        where = server.sockets[0].getsockname()[:2]
        reader, writer = await asyncio.open_connection(*where)
        ours = writer.get_extra_info("socket")
        assert ours.family is socket.AF_UNIX  # loopback may deliver late, and time has jumped
        writer.write(b"x")
        async with asyncio.timeout(1e-9):  # of virtual time
            assert await heard == b"x"
        assert await reader.read() == b""
        writer.close()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*where)
        await settle()

    run(main())


def test_threads_are_waited_for_in_real_time() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(0.001):
            await loop.run_in_executor(None, time.sleep, 0.05)
        return loop.time()

    assert run(main()) == 0


def test_a_wait_for_nothing_fails_instead_of_hanging() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="stands still"):
        run(main(), stall_s=0.01)


def test_what_a_callback_raises_is_raised() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(2)

    with pytest.raises(ZeroDivisionError):
        run(main())
