"""Profiles against the executor specification's table, cell by cell; several at once; overrides."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from risk_cases import AT, D

from bft.domain.errors import ConfigError, RefusedError
from bft.domain.trading import Instrument
from bft.risk.overrides import configured, overridden, tightened, tightest
from bft.risk.profiles import (
    BENCH,
    EQUITIES,
    FUTURES_NQ,
    OPTIONS,
    PAPER_SMALL,
    Entry,
    Profile,
    profile_named,
)
from bft.risk.windows import Window

ORDER = (EQUITIES, PAPER_SMALL, FUTURES_NQ, OPTIONS)
TABLE = """
risk_frac               | 0.005   | 0.005 | -      | 0.02
risk_usd                | -       | -     | 300    | -
open_risk_frac          | 0.10    | 0.05  | -      | 0.10
open_risk_usd           | -       | -     | 300    | -
base_cap_usd            | -       | 10000 | -      | -
min_price_usd           | -       | 5     | -      | -
max_price_usd           | -       | 200   | -      | -
position_frac           | 0.05    | 0.10  | -      | 0.02
position_cap_usd        | 50000   | 1000  | -      | 5000
max_units               | 10000   | 100   | 5      | 20
max_positions           | 10      | 5     | 2      | 5
max_entries_per_day     | 5       | 3     | 5      | 10
max_orders_per_day      | 20      | 10    | -      | -
max_entries_per_symbol  | 2       | 1     | 5      | 2
daily_loss_cap_usd      | 5000    | 200   | 300    | 500
daily_loss_frac         | 0.02    | 0.01  | 0.02   | 0.02
drawdown_frac           | 0.10    | 0.10  | 0.10   | 0.10
flatten_loss_frac       | 0.05    | 0.03  | 0.05   | 0.05
symbol_frac             | 0.05    | 0.10  | -      | 0.10
sector_frac             | 0.30    | 0.40  | -      | 0.30
gross_frac              | 1.00    | 0.50  | -      | 0.25
opening_per_day_frac    | 1.00    | 0.50  | -      | 0.50
min_order_usd           | 100     | 20    | 0      | 30
collar_frac             | 0.02    | 0.02  | 0.005  | 0.10
max_spread_frac         | 0.01    | 0.005 | -      | 0.10
max_spread_ticks        | -       | -     | 4      | -
max_quote_age_s         | 5       | 5     | 2      | 120
min_adv_20              | 500000  | 500000| -      | -
participation_frac      | 0.01    | 0.01  | -      | -
min_option_volume       | -       | -     | -      | 10
min_option_volume_day_trade | -   | -     | -      | 100
min_open_interest       | -       | -     | -      | 100
min_confidence          | 0.60    | 0.60  | -      | 0.70
cooldown_s              | -       | -     | 300    | -
lifetime_s              | -       | -     | 60     | 120
reprice_after_s         | -       | -     | -      | 60
reprice_spread_frac     | -       | -     | -      | 0.15
max_orders_1s           | 10      | 10    | 10     | 10
max_orders_60s          | 60      | 60    | 60     | 60
"""
CELLS = [
    (row.split("|")[0].strip(), profile, cell.strip())
    for row in TABLE.strip().splitlines()
    for profile, cell in zip(ORDER, row.split("|")[1:], strict=True)
]


@pytest.mark.parametrize(("name", "profile", "cell"), CELLS)
def test_profile_has_the_number_of_the_table(name: str, profile: Profile, cell: str) -> None:
    value = getattr(profile, name)
    assert value is None if cell == "-" else Decimal(value) == Decimal(cell)


def test_profiles_admit_what_the_table_says() -> None:
    assert [p.modes for p in ORDER] == [("paper", "live"), ("paper",), *[("paper", "live")] * 2]
    assert [p.short_allowed for p in ORDER] == [False, False, True, False]
    assert [p.require_model_gate for p in ORDER] == [False] * 4
    assert [p.entry for p in ORDER] == [Entry.COLLAR, Entry.COLLAR, Entry.AS_GIVEN, Entry.MID]
    assert FUTURES_NQ.roots == ("NQ", "MNQ")
    assert OPTIONS.instruments == (Instrument.CALL, Instrument.PUT)
    kinds = ("close", "day_trade", "swing_trade")
    assert [OPTIONS.position_frac_for(k) for k in kinds] == [D("0.02"), D("0.03"), D("0.10")]


@pytest.mark.parametrize(
    ("profile", "steps"),
    [
        (EQUITIES, {2: "1", 3: "0.75", 4: "0.75", 5: "0.5", 9: "0.5"}),
        (FUTURES_NQ, {2: "1", 9: "1"}),
    ],
)
def test_streak_factors(profile: Profile, steps: dict[int, str]) -> None:
    assert {n: profile.streak.factor(n) for n in steps} == {n: D(v) for n, v in steps.items()}
    assert [p.streak.halt for p in ORDER] == [10, 6, 3, 10]


def test_bench_raises_counts_and_caps_and_nothing_else() -> None:
    raised = {
        "max_entries_per_symbol max_orders_1s max_orders_60s max_entries_per_day",
        "max_orders_per_day max_positions position_cap_usd max_units position_frac writes_per_s",
        "opening_per_day_frac symbol_frac sector_frac gross_frac open_risk_frac",
    }
    names = {name for row in raised for name in row.split()}
    same = replace(BENCH, **{name: getattr(EQUITIES, name) for name in names})
    assert same == replace(EQUITIES, name="bench", modes=("paper",), simulated_only=True)
    assert all(getattr(BENCH, name) > getattr(EQUITIES, name) for name in names)


def test_unknown_profile_suggests_the_nearest() -> None:
    assert profile_named("options") is OPTIONS
    with pytest.raises(ConfigError, match="equities"):
        profile_named("equites")


def test_tightest_takes_the_minimum_and_the_higher_floor() -> None:
    both = tightest((EQUITIES, PAPER_SMALL))
    assert both.name == "equities+paper-small"
    assert both.modes == ("paper",)
    assert (both.position_frac, both.max_units, both.min_order_usd) == (D("0.05"), 100, D(100))
    assert (both.max_spread_frac, both.base_cap_usd) == (D("0.005"), D(10_000))
    assert (both.streak.three_quarters, both.streak.halt) == (3, 6)
    assert tightest((OPTIONS,)) is OPTIONS
    gated = replace(EQUITIES, require_model_gate=True, what_if=False)
    assert tightest((EQUITIES, gated)).require_model_gate
    assert tightest((EQUITIES, gated)).what_if is None
    for profiles in ((), (EQUITIES, FUTURES_NQ)):
        with pytest.raises(ConfigError):
            tightest(profiles)


def test_tightest_of_options_and_itself_changes_only_the_name() -> None:
    assert replace(tightest((OPTIONS, OPTIONS)), name="options") == OPTIONS
    assert replace(tightest((FUTURES_NQ, FUTURES_NQ)), name="futures_nq") == FUTURES_NQ


def test_settings_move_hours_and_lower_contracts() -> None:
    moved = configured(FUTURES_NQ, timezone="America/New_York", max_contracts=2)
    assert [h.timezone for h in moved.hours] == ["America/New_York"]
    assert (moved.timezone, moved.max_units) == ("America/New_York", 2)
    assert configured(FUTURES_NQ, max_contracts=9) == FUTURES_NQ
    assert configured(EQUITIES, max_contracts=2) == EQUITIES
    for bad in ({"timezone": "Mars/Base"}, {"max_contracts": 0}):
        with pytest.raises(ConfigError):
            configured(FUTURES_NQ, **bad)


LOOSER: list[tuple[Profile, dict[str, Any]]] = [
    (EQUITIES, {"max_trades_per_day": 6}),
    (EQUITIES, {"daily_loss_cap_usd": 5001}),
    (EQUITIES, {"ignore_session": True}),
    (FUTURES_NQ, {"session_windows": "06:29-08:00"}),
    (FUTURES_NQ, {"session_windows": "06:30-10:00"}),
    (replace(EQUITIES, require_model_gate=True), {"require_model_gate": False}),
]


@pytest.mark.parametrize(("profile", "overrides"), LOOSER)
def test_live_refuses_what_is_looser_and_names_it(
    profile: Profile, overrides: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError, match=next(iter(overrides))):
        overridden(profile, overrides, live=True)
    assert overridden(profile, overrides, live=False) != profile


@pytest.mark.parametrize(("profile", "overrides"), LOOSER)
def test_what_settings_are_tighter_than_does_not_hold_and_is_told(
    profile: Profile, overrides: dict[str, Any]
) -> None:
    tighter = {"max_trades_per_day": 1, **overrides}
    found, looser = tightened(profile, tighter, live=True)
    assert set(looser) == set(overrides)
    assert all(name in why for name, why in looser.items())
    one = 1 if "max_trades_per_day" not in overrides else profile.max_entries_per_day
    hours = found.hours[: len(profile.hours)]
    assert replace(found, hours=hours) == replace(profile, max_entries_per_day=one)
    assert tightened(profile, overrides, live=False) == (
        overridden(profile, overrides, live=False),
        {},
    )


def test_of_looser_windows_the_minutes_of_both_remain() -> None:
    """Set while the profile was open longer: 06:00 to 07:00, of which it has 06:30 on."""
    found, looser = tightened(FUTURES_NQ, {"session_windows": "06:00-07:00"}, live=True)
    assert set(looser) == {"session_windows"}
    instants = [AT.replace(hour=13, minute=m) for m in (15, 30, 59)] + [AT]
    assert [all(h.admit(at) for h in found.hours) for at in instants] == [False, True, True, False]


def test_live_takes_what_is_tighter() -> None:
    found = overridden(
        FUTURES_NQ,
        {
            "max_trades_per_day": 1,
            "daily_loss_cap_usd": "250.50",
            "session_windows": ["06:30-07:00", {"start": "09:00", "end": "10:00"}],
            "ignore_session": False,
            "require_model_gate": True,
        },
        live=True,
    )
    assert (found.max_entries_per_day, found.daily_loss_cap_usd) == (1, D("250.50"))
    assert found.require_model_gate
    at_0700, at_0659 = AT, AT.replace(hour=13, minute=59)
    assert [all(h.admit(at) for h in found.hours) for at in (at_0659, at_0700)] == [True, False]


def test_paper_windows_take_the_place_of_the_profiles() -> None:
    found = overridden(FUTURES_NQ, {"session_windows": "05:00-11:00"}, live=False)
    assert found.hours[0].windows == (Window(start_min=300, end_min=660),)
    assert len(found.hours) == 1
    assert found.hours[0].timezone == "America/Phoenix"


@pytest.mark.parametrize(
    "overrides",
    [
        {"max_trade_per_day": 1},
        {"max_trades_per_day": -1},
        {"max_trades_per_day": True},
        {"max_trades_per_day": "5"},
        {"daily_loss_cap_usd": "NaN"},
        {"daily_loss_cap_usd": 0},
        {"daily_loss_cap_usd": "much"},
        {"session_windows": "25:00-26:00"},
        {"ignore_session": "yes"},
        {"require_model_gate": 1},
    ],
)
def test_unusable_overrides_are_refused_by_name(overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"override|" + next(iter(overrides)) + r"|window"):
        overridden(EQUITIES, overrides, live=False)
