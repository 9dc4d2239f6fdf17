"""Leave to send: rates, priorities, back-off, budgets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from ib_gateways import now_s
from virtual_time import run

from bft.adapters.broker.ib.pacer import BACKOFF_S, Bucket, Pacer
from bft.domain.broker import Priority
from bft.domain.errors import UnavailableError

P = Priority
Sent = list[tuple[float, Priority, int]]


def send_all(pacer: Pacer, sent: Sent, *wanted: tuple[Priority, int]) -> Awaitable[object]:
    """Ask for leave in this order; note when each message goes."""

    async def one(priority: Priority, number: int) -> None:
        await pacer.token(priority)
        pacer.sent(cancel=priority is P.CANCEL)
        sent.append((now_s(), priority, number))

    return asyncio.gather(*(one(p, n) for p, n in wanted))


def most_in_a_second(sent: Sent, fits: Callable[[Priority], bool]) -> int:
    times = [at for at, priority, _ in sent if fits(priority)]
    return max((sum(start <= at <= start + 1.0 for at in times) for start in times), default=0)


def test_all_but_cancels_leave_at_35_a_second() -> None:
    async def main() -> None:
        pacer, sent = Pacer(), Sent()
        await send_all(pacer, sent, *((P.OPENING, n) for n in range(100)))
        assert most_in_a_second(sent, lambda _: True) == 35
        assert [n for *_, n in sent] == list(range(100))  # openings keep their order
        assert sent[-1][0] == pytest.approx(2.1, abs=0.01)

    run(main())


def test_cancels_overtake_and_fill_up_to_45() -> None:
    async def main() -> None:
        pacer, sent = Pacer(), Sent()
        others = [(P.OPENING, n) for n in range(50)]
        await send_all(pacer, sent, *others, *((P.CANCEL, n) for n in range(50)))
        assert most_in_a_second(sent, lambda _: True) == 45
        assert most_in_a_second(sent, lambda p: p is not P.CANCEL) == 35
        last_cancel = max(at for at, p, _ in sent if p is P.CANCEL)
        assert last_cancel <= 1.5
        assert sum(at > last_cancel for at, p, _ in sent if p is P.OPENING) > 0

    run(main())


def test_priorities_are_those_of_the_table() -> None:
    async def main() -> None:
        pacer, sent = Pacer(), Sent()
        await send_all(pacer, sent, *((P.OPENING, n) for n in range(35)))
        await send_all(pacer, sent, *((P.CANCEL, n) for n in range(10)))
        sent.clear()
        words = [P.DATA, P.QUERY, P.OPENING, P.AMEND, P.CLOSING, P.CANCEL]
        await send_all(pacer, sent, *((p, 0) for p in words))
        assert [p for _, p, _ in sent] == list(reversed(words))

    run(main())


def test_messages_without_leave_count_and_unused_leave_lapses() -> None:
    async def main() -> None:
        pacer, sent = Pacer(), Sent()
        for _ in range(30):
            pacer.sent()
        await send_all(pacer, sent, *((P.OPENING, n) for n in range(10)))
        assert [at for at, *_ in sent] == [0.0] * 5 + [pytest.approx(1.05)] * 5
        await asyncio.sleep(5)
        for _ in range(35):
            await pacer.token(P.OPENING)  # never used
        began_s = now_s()
        await pacer.token(P.OPENING)
        assert now_s() - began_s == pytest.approx(1.05)

    run(main())


def test_complaints_hold_queries_back_ever_longer_but_no_orders() -> None:
    async def main() -> None:
        pacer = Pacer()
        for wait_s in BACKOFF_S[:4]:
            began_s = now_s()
            assert pacer.complained() == pytest.approx(wait_s)
            assert pacer.complained() == pytest.approx(wait_s)  # a burst is one complaint
            await pacer.token(P.OPENING)
            assert now_s() == began_s
            await pacer.token(P.QUERY)
            assert now_s() - began_s == pytest.approx(wait_s)
        await asyncio.sleep(61)
        assert pacer.complained() == pytest.approx(1)

    run(main())


def test_a_lost_session_refuses_those_who_wait() -> None:
    async def main() -> None:
        pacer = Pacer()
        for _ in range(35):
            await pacer.token(P.OPENING)
        waiting = asyncio.ensure_future(pacer.token(P.OPENING))
        await asyncio.sleep(0.1)
        pacer.fail("gone")
        with pytest.raises(UnavailableError, match="gone"):
            await waiting
        await pacer.token(P.OPENING)  # of the next session

    run(main())


def test_those_who_give_up_do_not_block_the_rest() -> None:
    async def main() -> None:
        pacer, sent = Pacer(), Sent()
        for _ in range(35):
            await pacer.token(P.OPENING)
        waiting = asyncio.ensure_future(pacer.token(P.OPENING))
        await asyncio.sleep(0)
        waiting.cancel()
        await send_all(pacer, sent, (P.OPENING, 1))
        assert sent[0][0] == pytest.approx(1.05)

    run(main())


def test_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    async def main() -> None:
        bucket, times = Bucket(per_s=2, burst=5), []
        for _ in range(9):
            await bucket.take()
            times.append(round(now_s(), 6))
        assert times == [0, 0, 0, 0, 0, 0.5, 1.0, 1.5, 2.0]
        await asyncio.sleep(10)
        began_s = now_s()
        await bucket.take(5)
        assert now_s() == began_s

    run(main())
