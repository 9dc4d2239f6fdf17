"""Check 8: trail, time, flip, rule, end of the session."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from positions import FIRST, PLAIN, bar, day, held, later, minute, position, ran, shown

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.trading import Direction, ExitPolicy
from bft.exits import Close, Reason, added, at_close, on_bar, on_clock, protective, schedule

DAY_TRADE = replace(PLAIN, same_session=True, max_hold_days=None, min_hold_days=0)
QUIET = "100 100 100 100"


def test_a_position_leaves_at_the_open_of_entry_plus_maximum_at_the_latest() -> None:
    state = position(replace(PLAIN, max_hold_days=3))
    state, fills = ran(state, *(bar(n, QUIET) for n in (1, 2, 3)))
    assert (fills, state.scheduled) == ([], Reason.TIME)
    _, fills = on_bar(state, bar(4, "101 101 101 101"))
    assert shown(fills) == ["time 100@101 open"]
    assert fills[0].session == day(4)


@pytest.mark.parametrize("limit", [None, 0])
def test_no_maximum_hold_never_leaves(limit: int | None) -> None:
    assert held(position(replace(PLAIN, max_hold_days=limit)), 40).scheduled is None


@pytest.mark.parametrize(
    ("closes", "flip", "rule", "expected"),
    [
        (1, True, True, None),  # two sessions completed at the next close, three are due
        (2, True, True, Reason.FLIP),
        (2, False, True, Reason.RULE),
        (2, False, False, None),
        (4, True, True, Reason.TIME),
    ],
)
def test_minimum_hold_delays_flip_and_rule(
    closes: int, flip: bool, rule: bool, expected: Reason | None
) -> None:
    state = held(position(replace(PLAIN, min_hold_days=3, max_hold_days=5)), closes)
    row = Close(bar=bar(closes + 1, QUIET), flip=flip, rule=rule)
    after, found = at_close(state, row)
    assert (found, after.scheduled) == (expected, expected)


def test_minimum_hold_delays_neither_stop_nor_time() -> None:
    state = position(replace(PLAIN, min_hold_days=9, max_hold_days=1))
    assert held(state, 1).scheduled is Reason.TIME
    assert shown(on_bar(state, bar(1, "100 101 94 95"))[1]) == ["stop 100@95.00 inside"]


def test_a_close_counts_once_and_never_backwards() -> None:
    state = held(position(), 3)
    assert at_close(state, Close(bar=bar(3, QUIET), rule=True)) == (state, None)
    assert at_close(state, Close(bar=bar(2, QUIET), rule=True)) == (state, None)


def test_missing_bars_let_the_hold_stand_still() -> None:
    state, _ = ran(position(), bar(1, QUIET), bar(4, QUIET))
    assert state.held_days == 2


def test_an_intraday_bar_completes_no_session() -> None:
    state = position(replace(PLAIN, max_hold_days=1))
    state, found = at_close(state, Close(bar=minute(1, "10:00", QUIET), ends_session=False))
    assert (state.held_days, found) == (0, None)
    state, found = at_close(state, Close(bar=minute(1, "16:00", QUIET)))
    assert (state.held_days, found) == (1, Reason.TIME)


def test_the_trail_of_a_short_mirrors_the_golden_one() -> None:
    policy = ExitPolicy(stop_frac=0.07, target_frac=0.12, trail_frac=0.05, activation_frac=0.03)
    state = position(policy, direction=Direction.SHORT)
    state, _ = ran(state, bar(1, "99 99.5 95.5 96"))
    # gain 0.045: 95.5 * (1 + 0.0458333) = 99.877083, down for a short
    assert protective(state).stop_usd == Decimal("99.87")


def test_a_trail_without_a_target_keeps_its_width() -> None:
    policy = ExitPolicy(stop_frac=0.07, target_frac=None, trail_frac=0.05, activation_frac=0.03)
    state, _ = ran(position(policy), bar(1, "100 150 100 149"))
    assert protective(state).stop_usd == Decimal("142.50")


def test_the_trail_halves_at_the_target_and_no_further() -> None:
    policy = ExitPolicy(stop_frac=0.5, target_frac=0.12, trail_frac=0.05, activation_frac=0.02)
    state = replace(position(policy), target_usd=None)
    state, _ = ran(state, bar(1, "100 112 100 111"))
    assert protective(state).stop_usd == Decimal("109.20")  # 112 * 0.975
    state, _ = ran(state, bar(2, "112 120 112 119"))
    assert protective(state).stop_usd == Decimal("117.00")  # 120 * 0.975


def test_an_atr_trail_follows_at_its_distance() -> None:
    policy = ExitPolicy(stop_frac=None, stop_atr=2.0, target_frac=None, trail_atr=3.0)
    state, _ = ran(position(policy, atr="1.5"), bar(1, "100 103 100 102"))
    assert protective(state).stop_usd == Decimal("98.50")  # 103 - 4.5, tighter than 97
    state, _ = ran(state, bar(2, "102 102 101 101"))
    assert protective(state).stop_usd == Decimal("98.50")


def test_a_trail_arms_at_its_activation() -> None:
    policy = ExitPolicy(stop_frac=0.07, target_frac=None, trail_frac=0.05, activation_frac=0.03)
    state, _ = ran(position(policy), bar(1, "100 102.99 100 102"))
    assert (state.armed, state.trail_usd) == (False, None)
    state, _ = ran(state, bar(2, "102 103 102 102"))
    assert (state.armed, state.trail_usd) == (True, Decimal("97.85"))


def test_a_dearer_addition_neither_disarms_nor_loosens_the_trail() -> None:
    policy = ExitPolicy(stop_frac=0.07, target_frac=0.12, trail_frac=0.05, activation_frac=0.03)
    state, _ = ran(position(policy), bar(1, "100 106 100 105"))
    assert state.trail_usd == Decimal("101.59")  # 106 * (1 - 0.05 * 5/6) = 101.5833
    state = added(state, qty=Decimal(300), price_usd=Decimal(104))  # average 103: gain 0.029
    state, _ = ran(state, bar(2, "105 106 104 105"))
    assert state.trail_usd == Decimal("101.59")  # full width would be 100.70
    state, _ = ran(state, bar(3, "105 107 104 105"))
    assert state.trail_usd == Decimal("101.92")  # gain 0.038835, progress 0.0982: 101.9126
    bare = replace(policy, target_frac=None)
    state, _ = ran(position(bare), bar(1, "100 103.1 100 103"))
    state = added(state, qty=Decimal(100), price_usd=Decimal(102))  # average 101
    state, _ = ran(state, bar(2, "103 103.5 103 103"))  # gain 0.02475, below activation
    assert state.trail_usd == Decimal("98.33")  # 103.5 * 0.95 = 98.325


def test_a_close_before_the_entry_counts_nothing() -> None:
    state = position(at=minute(2, "10:00", QUIET).ends_at)
    assert at_close(state, Close(bar=bar(1, QUIET))) == (state, None)


def test_a_trail_stays_armed_below_its_activation() -> None:
    policy = ExitPolicy(stop_frac=0.07, target_frac=None, trail_frac=0.05, activation_frac=0.03)
    state, _ = ran(position(policy), bar(1, "100 104 100 103"), bar(2, "101 101 99.5 100"))
    assert state.armed
    assert protective(state).stop_usd == Decimal("98.80")


def test_an_entry_inside_the_bar_counts_only_the_close_of_that_bar() -> None:
    """What the bar reached may lie before the fill."""
    state, _ = ran(position(at_open=False), bar(1, "105 109 99 101"))
    assert state.best_usd == 101
    state, _ = ran(position(at_open=True), bar(1, "100 109 99 101"))
    assert state.best_usd == 109


def test_quotes_of_the_entry_session_count_where_its_daily_bar_does_not() -> None:
    filled_in = minute(1, "11:00", QUIET)
    state = position(at_open=False, at=filled_in.ends_at, bar_key=filled_in.bar_key)
    state, _ = on_bar(state, minute(1, "12:00", "103 103 103 103"))
    state, _ = at_close(state, Close(bar=bar(1, "105 109 99 101")))
    assert state.best_usd == 103


def test_a_same_session_position_is_scheduled_ten_minutes_before_the_close() -> None:
    state = position(DAY_TRADE)
    state, found = at_close(state, Close(bar=minute(1, "15:49", QUIET), ends_session=False))
    assert found is None
    state, found = at_close(state, Close(bar=minute(1, "15:50", QUIET), ends_session=False))
    assert found is Reason.FLATTEN
    _, fills = on_bar(state, minute(1, "15:51", "101 102 100 102"))
    assert shown(fills) == ["flatten 100@101 open"]


def test_a_same_session_position_leaves_a_coarse_last_bar_at_its_close() -> None:
    prices = "100 101 99 100.5"
    for last in (minute(1, "16:00", prices), bar(1, prices), minute(1, "15:55", prices)):
        after, fills = on_bar(position(DAY_TRADE), last)
        assert shown(fills) == ["flatten 100@100.5 close"]
        assert not after.is_open
    assert on_bar(position(DAY_TRADE), minute(1, "15:54", prices))[1] == ()
    stopped = minute(1, "16:00", "100 101 94 100")
    assert shown(on_bar(position(DAY_TRADE), stopped)[1]) == ["stop 100@95.00 inside"]


def test_the_clock_flattens_without_any_bar_and_on_half_days_earlier() -> None:
    half = sessions.on_or_before(FIRST.replace(year=2024, month=11, day=29))
    assert sessions.close_at(half).astimezone(sessions.NEW_YORK).hour == 13
    state = position(DAY_TRADE, session=half, at=sessions.open_at(half), bar_key=half.isoformat())
    due = sessions.close_at(half) - timedelta(minutes=10)
    assert on_clock(state, later(due, -1))[1] is None
    assert on_clock(state, due)[1] is Reason.FLATTEN


def test_a_hold_in_seconds_ends_by_the_clock() -> None:
    state = position(replace(DAY_TRADE, max_hold_s=14_400))
    assert on_clock(state, later(state.entry.at, 14_399))[1] is None
    assert on_clock(state, later(state.entry.at, 14_400))[1] is Reason.TIME
    row = Close(bar=minute(1, "13:30", QUIET), ends_session=False)
    assert at_close(state, row)[1] is Reason.TIME


def test_of_two_scheduled_reasons_the_first_in_rank_stays() -> None:
    state = schedule(schedule(position(), Reason.RULE), Reason.MANUAL)
    assert schedule(state, Reason.TIME).scheduled is Reason.MANUAL
    with pytest.raises(DataError, match="not scheduled"):
        schedule(state, Reason.STOP)


def test_a_closed_position_schedules_nothing() -> None:
    state, _ = ran(position(replace(PLAIN, max_hold_days=1)), bar(1, "100 100 90 91"))
    assert not state.is_open
    assert at_close(state, Close(bar=bar(2, QUIET), rule=True)) == (state, None)
    assert schedule(state, Reason.MANUAL) == state
    assert on_bar(state, bar(2, "1 1 1 1")) == (state, ())
