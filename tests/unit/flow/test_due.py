"""The guard: each session gets its runs, holidays and half days included, whatever the clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest

from bft.domain import sessions
from bft.domain.errors import ConfigError, UsageError
from bft.domain.sessions import NEW_YORK
from bft.flow.due import days_to_fill, judge, window

FIRST, LAST = date(2020, 1, 1), date(2035, 12, 31)


def at(text: str) -> datetime:
    """An instant given in New York time."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def never(_asof: date, _slot: str) -> bool:
    return False


def verdict(
    workflow: str, when: str, *, day: date | None = None, done: bool = False
) -> tuple[bool, str, str]:
    found = judge(workflow, at=at(when), day=day, now=at(when), done=lambda _a, _s: done)
    return found.run, str(found.asof), found.reason


@pytest.mark.parametrize(
    ("workflow", "when", "wanted"),
    [
        # Monday 2026-01-05 is a session; the weekend before it is none.
        ("nightly", "2026-01-05T18:30", (True, "2026-01-05", "due")),
        ("nightly", "2026-01-06T05:00", (True, "2026-01-05", "due")),
        ("nightly", "2026-01-06T08:44", (True, "2026-01-05", "due")),
        ("nightly", "2026-01-06T08:45", (False, "2026-01-05", "too_late")),
        ("nightly", "2026-01-03T05:00", (True, "2026-01-02", "due")),
        ("nightly", "2026-07-03T18:30", (True, "2026-07-02", "due")),  # Independence Day observed
        ("retrain", "2026-01-03T06:00", (True, "2026-01-02", "due")),
        ("retrain", "2026-01-04T06:00", (True, "2026-01-02", "due")),
        ("premarket", "2026-01-05T09:05", (True, "2026-01-02", "due")),
        ("premarket", "2026-01-05T08:59", (False, "2026-01-02", "too_early")),
        ("premarket", "2026-01-05T09:27", (False, "2026-01-02", "too_late")),
        ("premarket", "2026-07-03T09:05", (False, "2026-07-02", "holiday")),
        ("market-hours", "2026-01-05T09:34", (False, "2026-01-02", "too_early")),
        ("market-hours", "2026-01-05T09:35", (True, "2026-01-02", "due")),
        ("market-hours", "2026-01-05T15:51", (True, "2026-01-02", "due")),
        ("market-hours", "2026-01-05T15:52", (False, "2026-01-02", "too_late")),
        ("market-hours", "2026-11-27T12:50", (True, "2026-11-25", "due")),  # closes at 13:00
        ("market-hours", "2026-11-27T13:05", (False, "2026-11-25", "too_late")),
        ("close", "2026-01-05T15:48", (True, "2026-01-05", "due")),
        ("close", "2026-01-05T12:48", (False, "2026-01-05", "too_early")),
        ("close", "2026-11-27T12:48", (True, "2026-11-27", "due")),
        ("close", "2026-11-27T15:48", (False, "2026-11-27", "half_day")),
        ("close", "2026-01-05T16:00", (False, "2026-01-05", "too_late")),
        ("close", "2026-01-03T15:48", (False, "2026-01-02", "holiday")),
    ],
)
def test_guard_judges_by_the_calendar(
    workflow: str, when: str, wanted: tuple[bool, str, str]
) -> None:
    assert verdict(workflow, when) == wanted


@pytest.mark.parametrize(
    ("workflow", "asof", "words"),
    [
        ("nightly", "2026-01-02", "from the close of 2026-01-02 to 08:45 of 2026-01-05"),
        ("retrain", "2026-01-02", "from the close of 2026-01-02 on"),
        ("premarket", "2026-01-02", "09:00 to 09:27 on 2026-01-05"),
        ("market-hours", "2026-01-02", "09:35 to 15:52 on 2026-01-05"),
        ("market-hours", "2026-11-25", "09:35 to 12:52 on 2026-11-27, a half day"),
        ("close", "2026-01-05", "15:48 to 16:00 on 2026-01-05"),
        ("close", "2026-11-27", "12:48 to 13:00 on 2026-11-27, a half day"),
    ],
)
def test_hours_in_words_are_those_the_guard_keeps(workflow: str, asof: str, words: str) -> None:
    assert window(workflow, date.fromisoformat(asof)) == words


@pytest.mark.parametrize("workflow", ["nightly", "retrain", "premarket", "market-hours", "close"])
def test_guard_repeats_nothing_that_is_done(workflow: str) -> None:
    when = {
        "close": "2026-01-05T15:48",
        "premarket": "2026-01-05T09:05",
        "market-hours": "2026-01-05T10:05",
    }
    run, _, reason = verdict(workflow, when.get(workflow, "2026-01-05T18:30"), done=True)
    assert (run, reason) == (False, "done")


@pytest.mark.parametrize("workflow", ["nightly", "retrain"])
def test_explicit_past_session_always_runs(workflow: str) -> None:
    day = date(2018, 2, 7)
    assert verdict(workflow, "2026-01-05T12:00", day=day, done=True) == (True, "2018-02-07", "due")


@pytest.mark.parametrize(("day", "reason"), [("2026-01-01", "holiday"), ("2026-01-02", "too_late")])
def test_orders_never_act_on_another_day(day: str, reason: str) -> None:
    found = verdict("premarket", "2026-01-06T09:05", day=date.fromisoformat(day))
    assert (found[0], found[2]) == (False, reason)


def test_session_to_come_is_a_usage_error_naming_the_newest() -> None:
    with pytest.raises(UsageError, match="the newest closed session: --asof 2026-01-05"):
        verdict("nightly", "2026-01-05T18:30", day=date(2026, 1, 6))


def test_unknown_workflow_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nobody"):
        verdict("nobody", "2026-01-05T18:30")


def test_settling_lasts_until_ten_minutes_after_the_close() -> None:
    when = at("2026-01-05T15:48")
    assert judge("close", at=when, day=None, now=when, done=never).settle_s == 22 * 60
    later = when + timedelta(days=3)
    assert judge("close", at=when, day=None, now=later, done=never).settle_s == 0


def weekdays(days: set[int], clock: time) -> Iterator[datetime]:
    """Entries of a cron schedule in New York, 2020 to 2035; days: Monday is 0."""
    day = FIRST
    while day <= LAST:
        if day.weekday() in days:
            yield datetime.combine(day, clock, NEW_YORK).astimezone(UTC)
        day += timedelta(days=1)


def fired(workflow: str, entries: list[datetime]) -> list[tuple[date, str]]:
    """What ran when every run succeeds at once."""
    done: set[tuple[date, str]] = set()
    order = []
    for instant in sorted(entries):
        found = judge(workflow, at=instant, day=None, now=instant, done=lambda a, s: (a, s) in done)
        if found.run:
            done.add((found.asof, found.slot))
            order.append((found.asof, found.slot))
    return order


WORK = set(range(5))


def test_nightly_runs_once_for_every_session_of_sixteen_years() -> None:
    entries = [
        *weekdays(WORK, time(18, 30)),
        *weekdays(WORK, time(21)),
        *weekdays({1, 2, 3, 4, 5}, time(5)),
    ]
    wanted = sessions.sessions(date(2020, 1, 2), sessions.on_or_before(LAST))
    assert [asof for asof, _ in fired("nightly", entries)][1:] == list(wanted)


def test_second_chance_alone_still_covers_every_session() -> None:
    entries = list(weekdays({1, 2, 3, 4, 5}, time(5)))
    missed = set(sessions.sessions(date(2020, 1, 2), date(2035, 12, 28))) - {
        a for a, _ in fired("nightly", entries)
    }
    assert missed == set()


def test_close_runs_once_for_every_session_half_days_included() -> None:
    entries = [
        m
        for c in (time(12, 48), time(12, 53), time(15, 48), time(15, 53))
        for m in weekdays(WORK, c)
    ]
    wanted = sessions.sessions(FIRST, LAST)
    assert [asof for asof, _ in fired("close", entries)] == list(wanted)


def test_premarket_runs_once_for_every_session() -> None:
    entries = [m for c in (time(9, 5), time(9, 15), time(9, 22)) for m in weekdays(WORK, c)]
    wanted = [sessions.shift(day, -1) for day in sessions.sessions(FIRST, LAST)]
    assert [asof for asof, _ in fired("premarket", entries)] == wanted


def test_retrain_runs_once_a_week() -> None:
    entries = [*weekdays({5}, time(6)), *weekdays({6}, time(6))]
    asofs = [asof for asof, _ in fired("retrain", entries)]
    assert len(asofs) == len(set(asofs)) == len(list(weekdays({5}, time(6))))


def test_backfill_lists_sessions_and_says_how_to_split() -> None:
    now = at("2026-01-05T18:30")
    days = days_to_fill(date(2025, 12, 31), date(2026, 1, 5), now=now)
    assert [str(day) for day in days] == ["2025-12-31", "2026-01-02", "2026-01-05"]
    split = (
        "--param from=2024-01-02 --param to=2025-01-14, then --param from=2025-01-15 --param to="
    )
    with pytest.raises(ConfigError, match=f"split it: {split}2026-01-05$"):
        days_to_fill(date(2024, 1, 2), date(2026, 1, 5), now=now)
    with pytest.raises(UsageError, match=r"no session .* such as 2026-01-02$"):
        days_to_fill(date(2026, 1, 3), date(2026, 1, 4), now=now)
    with pytest.raises(
        UsageError, match="in the future; the newest closed session: --param to=2026-01-05"
    ):
        days_to_fill(date(2026, 1, 5), date(2026, 1, 6), now=now)


SLOTS_FULL = [f"{m // 60:02d}{m % 60:02d}" for m in range(9 * 60 + 35, 15 * 60 + 51, 15)]
SLOTS_HALF = [text for text in SLOTS_FULL if text <= "1250"]


def closes_by_exchange_calendars() -> dict[date, time]:
    """Sessions and closing times of New York from the library that others use."""
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start="2019-12-01", end="2036-01-31")
    local = calendar.closes.dt.tz_convert("America/New_York")
    return {day.date(): at.time() for day, at in local.items()}


def test_market_hours_runs_every_slot_of_sixteen_years_once() -> None:
    """Every entry starts two minutes late but a second; UTC instants, so clock changes count."""
    closes = closes_by_exchange_calendars()
    late = timedelta(seconds=119)
    clocks = [time(9, 35), time(9, 50)]
    clocks += [time(h, m) for h in range(10, 16) for m in (5, 20, 35, 50)]
    entries = [m + late for clock in clocks for m in weekdays(WORK, clock)]
    days = sorted(closes)
    before = dict(zip(days[1:], days, strict=False))
    wanted = [
        (before[day], slot)
        for day in days
        if FIRST <= day <= LAST
        for slot in (SLOTS_HALF if closes[day] == time(13) else SLOTS_FULL)
    ]
    assert {closes[day] for day in days} == {time(13), time(16)}
    assert fired("market-hours", entries) == wanted
