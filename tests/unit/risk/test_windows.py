"""Entry windows: parsing, half-open ends, midnight, half days, daylight saving, no-trade bands."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_cases import context, future_context, future_order, option_context, option_order, order

from bft.domain.errors import ConfigError
from bft.domain.orders import Verdict
from bft.domain.trading_days import trading_day
from bft.risk.decide import evaluate
from bft.risk.freshness import entries_from, entries_open
from bft.risk.overrides import overridden
from bft.risk.profiles import EQUITIES, FUTURES_NQ
from bft.risk.windows import Hours, Window, parse_windows

MORNING = Window(start_min=575, end_min=950)  # 09:35 to 15:50


@pytest.mark.parametrize(
    "value",
    [
        "09:35-15:50",
        " 9:35 - 15:50 ",
        ["09:35-15:50"],
        ("09:35-15:50",),
        {"start": "09:35", "end": "15:50"},
        [{"start": "09:35", "end": "15:50"}],
        "09:35-15:50,",
    ],
)
def test_spellings_of_one_window(value: object) -> None:
    assert parse_windows(value) == (MORNING,)


def test_several_windows_and_a_whole_day() -> None:
    assert parse_windows("06:30-08:00,08:30-10:00") == (
        Window(start_min=390, end_min=480),
        Window(start_min=510, end_min=600),
    )
    assert parse_windows("00:00-24:00")[0].minutes() == frozenset(range(1440))


@pytest.mark.parametrize(
    "value",
    [
        "25:00-26:00",
        "08:00",
        "08:00-09:60",
        "08:00-09:00-10:00",
        "08:00-08:00",
        "",
        [],
        None,
        5,
        ["08:00-09:00", 7],
        {"start": "08:00"},
        {"start": "08:00", "end": "09:00", "tz": "UTC"},
        {"start": 8, "end": 9},
        "nonsense",
    ],
)
def test_unparsable_windows_are_a_configuration_error(value: object) -> None:
    with pytest.raises(ConfigError, match="window") as found:
        parse_windows(value)
    assert found.value.exit_code == 78


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_windows_are_half_open_and_wrap(start: int, end: int, minute: int) -> None:
    """Oracle: walk from the start minute by minute until the end."""
    if start == end:
        return
    inside, at = set(), start
    while at != end:
        inside.add(at)
        at = (at + 1) % 1440
    window = Window(start_min=start, end_min=end)
    assert window.admits(minute) is (minute in inside)
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    assert parse_windows(text)[0].minutes() == inside


def session_verdict(asked: Any, seen: Any) -> Verdict:
    return evaluate(asked, seen).rules[8].verdict


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# New York is UTC-4 in June and July, UTC-5 in January; 2025-07-03 closes at 13:00.
STOCKS = [
    (True, "2025-06-04T12:44:59", False),
    (True, "2025-06-04T12:45:00", True),
    (True, "2025-06-04T13:31:00", True),
    (False, "2025-06-04T13:34:59", False),
    (False, "2025-06-04T13:35:00", True),
    (False, "2025-06-04T12:50:00", False),
    (True, "2025-06-04T19:49:59", True),
    (True, "2025-06-04T19:50:00", False),
    (False, "2025-06-04T19:50:00", False),
    (True, "2025-01-08T13:44:59", False),
    (True, "2025-01-08T13:45:00", True),
    (False, "2025-01-08T14:35:00", True),
    (False, "2025-01-08T20:49:59", True),
    (False, "2025-07-03T16:49:59", True),
    (False, "2025-07-03T16:50:00", False),
    (False, "2025-07-04T15:00:00", False),
    (False, "2025-06-07T15:00:00", False),
    (False, "2025-03-10T13:35:00", True),  # the Monday after clocks went forward
    (False, "2025-03-07T13:35:00", False),
    (False, "2025-03-07T14:35:00", True),
]


@pytest.mark.parametrize(("close_decided", "at", "open_"), STOCKS)
def test_stock_entries_keep_to_the_session(close_decided: bool, at: str, open_: bool) -> None:
    asked = order(close_decided=close_decided)
    expected = Verdict.PASS if open_ else Verdict.BLOCK
    assert session_verdict(asked, context(at=utc(at))) is expected


# Phoenix is UTC-7 all year.
FUTURES = [
    ("2025-06-04T13:29:59", False),
    ("2025-06-04T13:30:00", True),
    ("2025-06-04T15:00:00", False),
    ("2025-06-04T15:30:00", True),
    ("2025-06-04T17:00:00", False),
    ("2025-01-08T13:30:00", True),
    ("2025-07-04T13:30:00", False),
]


@pytest.mark.parametrize(("at", "open_"), FUTURES)
def test_future_entries_keep_to_phoenix_hours(at: str, open_: bool) -> None:
    expected = Verdict.PASS if open_ else Verdict.BLOCK
    assert session_verdict(future_order(), future_context(at=utc(at))) is expected


@pytest.mark.parametrize(
    ("kind", "at", "open_"),
    [
        ("swing_trade", "2025-06-04T13:34:59", False),
        ("swing_trade", "2025-06-04T13:35:00", True),
        ("swing_trade", "2025-06-04T19:49:59", True),
        ("day_trade", "2025-06-04T19:29:59", True),
        ("day_trade", "2025-06-04T19:30:00", False),
    ],
)
def test_option_day_trades_stop_half_an_hour_earlier(kind: str, at: str, open_: bool) -> None:
    asked = option_order(strategy_type=kind)
    expected = Verdict.PASS if open_ else Verdict.BLOCK
    assert session_verdict(asked, option_context(at=utc(at))) is expected


def test_close_decided_options_wait_for_the_open() -> None:
    asked = option_order(close_decided=True)
    seen = option_context(at=utc("2025-06-04T13:00:00"))
    assert session_verdict(asked, seen) is Verdict.BLOCK


def test_no_trade_band_blocks_and_ignore_session_passes() -> None:
    noon = Hours(timezone="America/New_York", windows=parse_windows("12:00-13:00"))
    seen = future_context(profile__no_trade=(noon,), at=utc("2025-06-04T16:00:00"))
    assert session_verdict(future_order(), seen) is Verdict.BLOCK
    free = overridden(EQUITIES, {"ignore_session": True}, live=False)
    assert session_verdict(order(), context(profile=free, at=utc("2025-06-07T15:00:00"))) is (
        Verdict.PASS
    )


@pytest.mark.parametrize(
    ("at", "stocks", "futures"),
    [
        ("2025-06-04T12:44:00", False, False),
        ("2025-06-04T12:45:00", True, False),
        ("2025-06-04T13:32:00", True, True),
        ("2025-06-04T15:10:00", True, False),
        ("2025-06-04T19:50:00", False, False),
        ("2025-06-07T15:00:00", False, False),
    ],
)
def test_entries_open_while_any_window_is(at: str, stocks: bool, futures: bool) -> None:
    found = (entries_open(EQUITIES, utc(at)), entries_open(FUTURES_NQ, utc(at)))
    assert found == (stocks, futures)


def test_unknown_time_zone_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="Mars"):
        Hours(timezone="Mars/Base", windows=(MORNING,)).admit(utc("2025-06-04T15:00:00"))


@pytest.mark.parametrize(
    ("at", "futures", "day"),
    [
        ("2025-06-04T23:30:00", False, date(2025, 6, 4)),
        ("2025-06-05T03:59:00", False, date(2025, 6, 4)),
        ("2025-06-07T15:00:00", False, date(2025, 6, 9)),
        ("2025-06-04T21:59:59", True, date(2025, 6, 4)),
        ("2025-06-04T22:00:00", True, date(2025, 6, 5)),  # 17:00 Chicago in summer
        ("2025-01-08T22:59:59", True, date(2025, 1, 8)),  # before 17:00 in winter
        ("2025-06-06T22:00:00", True, date(2025, 6, 9)),  # Friday evening counts for Monday
    ],
)
def test_trading_day(at: str, futures: bool, day: date) -> None:
    assert trading_day(utc(at), sec_type="FUT" if futures else "STK") == day


@pytest.mark.parametrize(
    ("at", "close_decided", "others"),
    [
        ("2025-06-03T12:00", "2025-06-03T12:45", "2025-06-03T13:35"),  # 08:00 New York, a Tuesday
        ("2025-06-03T13:32", "2025-06-03T13:32", "2025-06-03T13:35"),
        ("2025-06-03T14:00", "2025-06-03T14:00", "2025-06-03T14:00"),
        ("2025-06-06T20:00", "2025-06-09T12:45", "2025-06-09T13:35"),  # over the weekend
    ],
)
def test_entries_from_names_the_next_start_of_either_kind(
    at: str, close_decided: str, others: str
) -> None:
    for early, told in ((True, close_decided), (False, others)):
        assert entries_from(EQUITIES, utc(at), close_decided=early) == utc(told)


def test_entries_from_reads_the_hours_of_futures() -> None:
    """08:30 in Phoenix, after the window that ended at 08:00."""
    found = entries_from(FUTURES_NQ, utc("2025-06-03T15:10"), close_decided=False)
    assert found == utc("2025-06-03T15:30")
