from datetime import UTC, date, datetime

import pytest

from bft.domain import sessions
from bft.domain.errors import DataError, UsageError


def test_sessions_equal_exchange_calendars() -> None:
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start="1990-01-01", end="2036-12-31")
    ours = sessions.sessions(date(1990, 1, 1), date(2036, 12, 31))
    assert [str(day) for day in ours] == list(calendar.sessions.strftime("%Y-%m-%d"))
    closes = [int(sessions.close_at(day).timestamp()) * 10**9 for day in ours]
    assert closes == calendar.closes_nanos.tolist()
    opens = [int(sessions.open_at(day).timestamp()) * 10**9 for day in ours]
    assert opens == calendar.opens_nanos.tolist()


def test_number_counts_from_the_first_session_of_2000() -> None:
    assert sessions.number(date(2000, 1, 3)) == 0
    assert sessions.number(date(1999, 12, 31)) == -1
    assert sessions.session(sessions.number(date(2018, 2, 7))) == date(2018, 2, 7)


def test_last_closed_changes_at_the_close_of_a_half_day() -> None:
    day_after_thanksgiving = date(2026, 11, 27)
    assert sessions.last_closed(datetime(2026, 11, 27, 17, 59, tzinfo=UTC)) == date(2026, 11, 25)
    assert sessions.last_closed(datetime(2026, 11, 27, 18, 0, tzinfo=UTC)) == day_after_thanksgiving


def test_run_instant_is_the_evening_for_past_and_replayed_days() -> None:
    now = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    newest, past = date(2026, 11, 20), date(2018, 2, 7)
    assert sessions.run_instant(newest, now=now, replayed=False) == now
    evening = datetime(2018, 2, 7, 23, 0, tzinfo=UTC)
    assert sessions.run_instant(past, now=now, replayed=False) == evening
    assert sessions.run_instant(newest, now=now, replayed=True) == sessions.evening(newest)


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (date(2018, 2, 10), "no XNYS session; nearest earlier: --asof 2018-02-09"),
        (date(2026, 1, 5), "--asof 2026-01-05 has not closed yet; use --asof 2026-01-02"),
        (date(2026, 1, 6), "in the future; the newest closed session: --asof 2026-01-02"),
        (date(2099, 1, 4), "in the future; the newest closed session: --asof 2026-01-02"),
    ],
)
def test_check_asof_names_the_nearest_session(day: date, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sessions.check_asof(day, now=datetime(2026, 1, 5, 20, tzinfo=UTC))


@pytest.mark.parametrize("sessions_by", [10_000, -100_000])
def test_a_session_beyond_the_calendar_is_bad_data(sessions_by: int) -> None:
    with pytest.raises(DataError, match=r"not in the calendar, 1962-01-02 to 2036-12-31"):
        sessions.shift(date(2026, 11, 25), sessions_by)


def test_a_shift_may_end_at_the_calendars_last_session() -> None:
    assert sessions.shift_or_last(date(2026, 11, 25), 1) == date(2026, 11, 27)
    assert sessions.shift_or_last(date(2026, 11, 25), 10_000) == date(2036, 12, 31)
