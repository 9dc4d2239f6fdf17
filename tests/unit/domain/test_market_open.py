"""When a contract trades, by the exchanges' own hours."""

from datetime import UTC, datetime

import pytest

from bft.domain.trading_days import market_open


@pytest.mark.parametrize(
    ("at", "share", "future"),
    [
        ("2026-01-05 14:29", False, True),  # Monday, 09:29 New York
        ("2026-01-05 14:30", True, True),
        ("2026-01-05 20:59", True, True),
        ("2026-01-05 21:00", False, True),  # 16:00 New York, the shares' close
        ("2026-01-05 21:59", False, True),
        ("2026-01-05 22:00", False, False),  # 16:00 Chicago, the break
        ("2026-01-05 22:59", False, False),
        ("2026-01-05 23:00", False, True),  # 17:00 Chicago: Tuesday's day begins
        ("2026-01-06 08:00", False, True),
        ("2026-01-09 21:59", False, True),  # Friday
        ("2026-01-09 23:00", False, False),
        ("2026-01-10 15:00", False, False),
        ("2026-01-11 22:59", False, False),  # Sunday
        ("2026-01-11 23:00", False, True),
        ("2026-07-06 20:59", False, True),  # summer: an hour earlier
        ("2026-07-06 21:00", False, False),
        ("2026-07-06 22:00", False, True),
        ("2026-01-01 15:00", False, False),
    ],
)
def test_market_is_open_by_the_hours_of_its_exchange(at: str, share: bool, future: bool) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert market_open(instant) == market_open(instant, sec_type="OPT") == share
    assert market_open(instant, sec_type="FUT") == future
