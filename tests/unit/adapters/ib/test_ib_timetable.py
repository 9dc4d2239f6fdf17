"""The gateway's timetable: restarts and logins by New York's clock, whatever the season."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from ib_gateways import LIMIT, Desk, now_s, play

from bft.adapters.broker.ib.windows import LoginWatch, last_login, restarting
from bft.domain.broker import SessionState
from bft.domain.orders import Side

LATE = time(23, 45)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "inside"),
    [
        ("2026-01-06 04:39:59", False),  # winter: 23:45 is 04:45 UTC
        ("2026-01-06 04:40:00", True),
        ("2026-01-06 04:59:59", True),
        ("2026-01-06 05:00:00", False),
        ("2026-07-07 03:39:59", False),  # summer: 03:45 UTC
        ("2026-07-07 03:40:00", True),
        ("2026-07-07 04:00:00", False),
        ("2026-03-09 03:40:00", True),  # the night after the clocks went forward
        ("2026-03-08 04:40:00", True),
        ("2026-01-06 15:00:00", False),
    ],
)
def test_restart_window_is_5_min_before_to_15_after(instant: str, inside: bool) -> None:
    assert restarting(at(instant), LATE) is inside


def test_window_may_cross_midnight_and_may_be_absent() -> None:
    assert restarting(at("2026-01-06 05:10:00"), time(23, 57))
    assert restarting(at("2026-01-06 04:58:00"), time(0, 1))
    assert not restarting(at("2026-01-06 04:45:00"), None)


def test_last_login_is_the_newest_not_after() -> None:
    sunday = (6, time(13))
    assert last_login(at("2026-01-04 17:59:59"), sunday) == at("2025-12-28 18:00:00")
    assert last_login(at("2026-01-04 18:00:00"), sunday) == at("2026-01-04 18:00:00")
    assert last_login(at("2026-01-10 00:00:00"), sunday) == at("2026-01-04 18:00:00")
    assert last_login(at("2026-01-10 00:00:00"), None) is None


def test_login_is_announced_once_a_week() -> None:
    start = at("2026-01-02 12:00:00")
    watch = LoginWatch((6, time(13)), start)
    hours = [start + timedelta(hours=n) for n in range(24 * 14)]
    told = [hour for hour in hours if watch.tomorrow(hour)]
    assert told == [at("2026-01-03 18:00:00"), at("2026-01-10 18:00:00")]


def test_approval_is_needed_only_while_no_session_has_outlived_the_login() -> None:
    due = at("2026-01-04 18:00:00")
    watch = LoginWatch((6, time(13)), due + timedelta(minutes=30))
    assert not watch.needed(due - timedelta(seconds=1))
    assert watch.needed(due + timedelta(minutes=40))
    assert not watch.needed(due + timedelta(minutes=54))
    assert watch.needed(due + timedelta(minutes=55))
    watch.alive_at = due + timedelta(minutes=61)  # an outage of another kind
    assert not watch.needed(due + timedelta(days=2))
    assert watch.needed(due + timedelta(days=7))


@pytest.mark.parametrize("ending", ["close", "1101", "1102"])
@pytest.mark.parametrize("silence_s", [20, 75])
def test_nightly_reset_is_survived(tmp_path: Path, ending: str, silence_s: int) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.order(Side.BUY, 1, **LIMIT)
        await desk.status(order, "Submitted")
        desk.reports.clear()
        began_s = now_s()
        desk.fault("nightly_reset", s=silence_s, ending=ending)
        await desk.session(SessionState.LOST)
        await desk.rearm(silence_s + 90)
        assert desk.broker.state is SessionState.ARMED
        assert now_s() - began_s < silence_s + 60
        assert [o.order_ref for o in await desk.broker.open_orders()] == [order.order_ref]

    play(story, tmp_path)
