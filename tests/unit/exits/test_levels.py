"""Levels at entry, their rounding, and what rests at the broker; numbers by hand."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from positions import HALVES, PLAIN, bar, entry, held, position

from bft.domain.errors import DataError
from bft.domain.ticks import rounded
from bft.domain.trading import Direction, ExitPolicy
from bft.exits import ExitFill, Moment, Reason, filled, initial_levels, opened, protective

NONE = ExitPolicy(stop_frac=None, target_frac=None)
LONG, SHORT = Direction.LONG, Direction.SHORT


def levels(
    policy: ExitPolicy, price: str, *, direction: Direction = LONG, **other: str
) -> list[str]:
    atr, tick = other.get("atr"), other.get("tick")
    made = initial_levels(
        Decimal(price),
        policy,
        direction=direction,
        atr_usd=None if atr is None else Decimal(atr),
        tick_usd=None if tick is None else Decimal(tick),
    )
    found = [made.stop_usd, made.target_usd, *(level for level, _ in made.partials)]
    return ["-" if level is None else format(level.normalize(), "f") for level in found]


@pytest.mark.parametrize(
    ("policy", "price", "other", "expected"),
    [
        (PLAIN, "33.33", {}, ["31.67", "36.66"]),  # 31.6635 up, 36.663 down
        (PLAIN, "33.33", {"direction": SHORT}, ["34.99", "30"]),  # 34.9965 down, 29.997 up
        (PLAIN, "33.33", {"tick": "0"}, ["31.6635", "36.663"]),
        (PLAIN, "33.33", {"tick": "0.25"}, ["31.75", "36.5"]),
        (PLAIN, "0.5001", {}, ["0.4751", "0.5501"]),  # 0.475095 up, 0.55011 down
        (PLAIN, "1.02", {}, ["0.969", "1.12"]),  # the tick is that of the level
        (replace(NONE, stop_atr=2.0, target_atr=3.0), "50", {"atr": "1.234"}, ["47.54", "53.7"]),
        (replace(PLAIN, stop_atr=1.0), "100", {"atr": "2"}, ["98", "110"]),  # the nearer stop
        (replace(PLAIN, stop_atr=3.0), "100", {"atr": "2"}, ["95", "110"]),
        (replace(NONE, stop_atr=2.0, target_risk=2.0), "100", {"atr": "1.001"}, ["98", "104"]),
        (replace(NONE, stop_frac=0.05, target_risk=2.0), "33.33", {}, ["31.67", "36.65"]),
        (replace(NONE, stop_atr=2.0, atr_floor_frac=0.005), "100", {"atr": "0.1"}, ["99", "-"]),
        (replace(NONE, stop_atr=2.0, atr_floor_frac=0.005), "100", {"atr": "0.8"}, ["98.4", "-"]),
        (replace(NONE, stop_atr=2.0), "100", {"atr": "0.001"}, ["99.99", "-"]),  # never at entry
        (replace(PLAIN, target_frac=0.00001), "100", {}, ["95", "100.01"]),
        (replace(NONE, stop_atr=2.0), "1.00", {"atr": "0.6"}, ["0.0001", "-"]),  # never below 0
        (HALVES, "100", {}, ["95", "110", "104", "106"]),
        (HALVES, "100", {"direction": SHORT}, ["105", "90", "96", "94"]),
        (replace(PLAIN, target_frac=0.0), "100", {}, ["95", "-"]),
    ],
)
def test_levels(policy: ExitPolicy, price: str, other: dict[str, Any], expected: list[str]) -> None:
    assert levels(policy, price, **other) == expected


def test_noise_of_a_division_never_costs_a_tick() -> None:
    assert rounded(Decimal("95.00000000001"), up=True, tick_usd=None) == Decimal("95.00")
    assert rounded(Decimal("95.000001"), up=True, tick_usd=None) == Decimal("95.01")


@pytest.mark.parametrize(
    ("policy", "atr", "says"),
    [
        (NONE, None, "no_stop"),
        (replace(NONE, stop_atr=2.0), None, "no_stop"),
        (replace(NONE, stop_atr=2.0), "0", "no_stop"),
        (replace(NONE, stop_atr=2.0), "NaN", "no_stop"),
        (replace(PLAIN, trail_atr=3.0), None, "no_stop"),
        (replace(PLAIN, stop_frac=0.0), None, "stop_frac 0.0"),
        (replace(PLAIN, stop_frac=1.0), None, "stop_frac 1.0"),
        (replace(PLAIN, target_atr=-1.0), None, "target_atr -1.0"),
        (replace(PLAIN, activation_frac=0.10), None, "activation_frac 0.1"),
        (replace(PLAIN, partials=((0.0, 0.5),)), None, "partials"),
    ],
)
def test_a_policy_that_cannot_protect_is_refused(
    policy: ExitPolicy, atr: str | None, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        position(policy, atr=atr)


def test_prices_that_an_order_names_take_the_place_of_the_policy() -> None:
    fill = entry(stop_usd=Decimal("97.3"), target_usd=Decimal("108"))
    state = opened(fill, PLAIN, None)
    assert (state.initial_stop_usd, state.target_usd) == (Decimal("97.3"), Decimal(108))
    state = opened(entry(stop_usd=Decimal("97.3")), replace(NONE, target_risk=2.0), None)
    assert (state.stop_usd, state.target_usd) == (Decimal("97.3"), Decimal("105.4"))


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_partials_at_or_beyond_the_target_drop_out(side: Direction) -> None:
    near = position(replace(HALVES, target_frac=0.06), direction=side)
    assert [p.qty for p in near.partials] == [50]
    named = position(HALVES, direction=side, target_usd=Decimal(103 if side is LONG else 97))
    assert named.partials == ()


def test_protective_covers_the_open_quantity_once() -> None:
    state = position(HALVES)
    found = protective(state)
    assert (found.qty, found.target_qty) == (100, 25)
    assert [(p.level_usd, p.qty) for p in found.partials] == [(104, 50), (106, 25)]
    assert protective(position(replace(PLAIN, target_frac=None))).target_qty == 0


def test_partials_keep_one_share_and_round_down() -> None:
    thirds = replace(PLAIN, partials=((0.02, 0.333), (0.04, 0.667)))
    sizes = [p.qty for p in position(thirds, qty="10").partials]
    assert sizes == [3, 6]
    assert [p.qty for p in position(thirds, qty="3").partials] == [2]  # 0.999: none; 2 of 3
    assert position(thirds, qty="1").partials == ()
    fine = position(thirds, qty="1", qty_step=Decimal("0.000001"))
    assert [p.qty for p in fine.partials] == [Decimal("0.333"), Decimal("0.666999")]


def test_partials_shrink_with_what_is_left() -> None:
    state = held(position(HALVES), 1)
    sold = ExitFill(
        qty=Decimal(70),
        price_usd=Decimal(101),
        reason=Reason.MANUAL,
        moment=Moment.INSIDE,
        bar_key="m",
        session=bar(2, "1 1 1 1").session,
        at=bar(2, "1 1 1 1").ends_at,
    )
    found = protective(filled(state, sold))
    assert (found.qty, found.target_qty, [p.qty for p in found.partials]) == (30, 1, [29])
