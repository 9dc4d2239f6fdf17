"""Every row of the order of checks (strategies specification, 3.3), long and short."""

from dataclasses import replace
from decimal import Decimal

import pytest
from positions import HALVES, PLAIN, bar, held, minute, position, shown

from bft.domain.errors import DataError
from bft.domain.trading import Direction
from bft.exits import Ordering, Reason, on_bar, schedule, wanted

WORST, BEST = Ordering.WORST, Ordering.BEST
# long from 100, stop 95, target 110, on a later bar: prices, worst, best
BARS = [
    ("96 109 95.01 100", [], []),
    ("95 96 94 95", ["stop_gap 100@95 open"], None),  # row 3: at the level is a gap too
    ("90 120 88 111", ["stop_gap 100@90 open"], None),  # the open comes first
    ("110 112 94 100", ["target_gap 100@110 open"], None),  # row 4
    ("111.5 112 94 100", ["target_gap 100@111.5 open"], None),
    ("97 99 95 98", ["stop 100@95.00 inside"], None),  # row 5
    ("105 110 104 106", ["target 100@110.00 inside"], None),  # row 6
    ("100 110 95 100", ["stop 100@95.00 inside"], ["target 100@110.00 inside"]),  # row 7
]
# the same with partials of 50 at 104 and 25 at 106, breakeven after the first
PARTIALS = [
    ("100 104 99 103", ["partial 50@104.00 inside"], None),
    ("100 109 99 103", ["partial 50@104.00 inside", "partial 25@106.00 inside"], None),
    (
        "100 110 99 103",
        ["partial 50@104.00 inside", "partial 25@106.00 inside", "target 25@110.00 inside"],
        None,
    ),
    ("105 105.5 101 103", ["partial 50@105 open"], None),  # a limit fills at a better open
    ("105 106 101 103", ["partial 50@105 open", "partial 25@106.00 inside"], None),
    ("112 113 90 91", ["target_gap 100@112 open"], None),
    (
        "105 105.5 94 95",  # the open comes first, then the stop that it lifted to 100
        ["partial 50@105 open", "stop 50@100.00 inside"],
        None,
    ),
    (
        "98 105 94 95",
        ["stop 100@95.00 inside"],
        ["partial 50@104.00 inside", "stop 50@100.00 inside"],
    ),
    (
        "98 111 94 95",
        ["stop 100@95.00 inside"],
        ["partial 50@104.00 inside", "partial 25@106.00 inside", "target 25@110.00 inside"],
    ),
]


def mirrored(text: str) -> str:
    """Prices O H L C around 100, turned upside down."""
    o, h, low, c = (200 - Decimal(price) for price in text.split())
    return f"{o} {low} {h} {c}"


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("policy", "prices", "worst", "best"),
    [(PLAIN, *row) for row in BARS] + [(HALVES, *row) for row in PARTIALS],
)
def test_a_later_bar(policy, prices, worst, best, short) -> None:  # type: ignore[no-untyped-def]
    state = held(position(policy, direction=Direction.SHORT if short else Direction.LONG), 1)
    for ordering, expected in ((WORST, worst), (BEST, worst if best is None else best)):
        after, fills = on_bar(state, bar(2, mirrored(prices) if short else prices), ordering)
        if short:
            fills = tuple(replace(f, price_usd=200 - f.price_usd) for f in fills)
        assert shown(fills) == expected
        assert after.open_qty == 100 - sum(f.qty for f in fills)


# entry bar: filled at the open, then inside it
AT_OPEN = [
    ("100 109 96 105", [], []),
    ("100 109 95 105", ["stop 100@95.00 inside"], None),
    ("100 110 96 105", ["target 100@110.00 inside"], None),
    ("100 110 95 105", ["stop 100@95.00 inside"], ["target 100@110.00 inside"]),
    ("94 99 93 98", ["stop 100@94 inside"], None),  # slippage put the stop above the open
]
INSIDE = [
    ("102 109 96 105", [], []),
    ("102 109 95 105", ["stop 100@95.00 inside"], []),
    ("102 109 94 95", ["stop 100@95.00 inside"], None),
    ("102 110 96 105", [], ["target 100@110.00 inside"]),
    ("102 111 96 110", ["target 100@110.00 inside"], None),
    ("102 111 95 110", ["stop 100@95.00 inside"], ["target 100@110.00 inside"]),
    ("102 111 94 94", ["stop 100@95.00 inside"], ["target 100@110.00 inside"]),
]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("at_open", "prices", "worst", "best"),
    [(True, *row) for row in AT_OPEN] + [(False, *row) for row in INSIDE],
)
def test_the_entry_bar(at_open, prices, worst, best, short) -> None:  # type: ignore[no-untyped-def]
    direction = Direction.SHORT if short else Direction.LONG
    state = position(at_open=at_open, direction=direction)
    for ordering, expected in ((WORST, worst), (BEST, worst if best is None else best)):
        fills = wanted(state, bar(1, mirrored(prices) if short else prices), ordering)
        if short:
            fills = tuple(replace(f, price_usd=200 - f.price_usd) for f in fills)
        assert shown(fills) == expected


@pytest.mark.parametrize("reason", ["time", "flip", "rule", "manual", "risk", "flatten"])
@pytest.mark.parametrize("opening", ["90", "100", "120"])
def test_a_scheduled_exit_comes_before_every_level(reason: str, opening: str) -> None:
    state = schedule(held(position(), 1), Reason(reason))
    _, fills = on_bar(state, bar(2, f"{opening} 121 89 100"))
    assert shown(fills) == [f"{reason} 100@{opening} open"]


def test_a_scheduled_exit_waits_for_a_bar() -> None:
    """Session 2 has no bar: nothing is called; the exit leaves at the open of session 3."""
    state = schedule(held(position(), 1), Reason.TIME)
    _, fills = on_bar(state, bar(3, "101 102 100 101"))
    assert shown(fills) == ["time 100@101 open"]


def test_a_stop_and_a_trail_at_one_level_are_the_stop() -> None:
    state = replace(held(position(), 1), trail_usd=Decimal("95"))
    assert shown(wanted(state, bar(2, "97 98 94 95"))) == ["stop 100@95.00 inside"]
    state = replace(state, trail_usd=Decimal("95.01"))
    assert shown(wanted(state, bar(2, "97 98 94 95"))) == ["trail 100@95.01 inside"]
    assert shown(wanted(state, bar(2, "94 98 94 95"))) == ["trail_gap 100@94 open"]


def test_a_bar_seen_before_changes_nothing() -> None:
    state = held(position(HALVES), 1)
    once, fills = on_bar(state, bar(2, "100 104 99 103"))
    assert len(fills) == 1
    assert on_bar(once, bar(2, "100 104 99 103")) == (once, ())


def test_a_bar_that_ended_before_the_entry_changes_nothing() -> None:
    state = position(at=minute(1, "10:31", "9 9 9 9").ends_at, bar_key="x")
    assert on_bar(state, minute(1, "10:30", "90 91 89 90")) == (state, ())


def test_a_quote_fills_at_its_price() -> None:
    state = held(position(), 1)
    assert shown(wanted(state, minute(2, "10:00", "95.01 95.01 95.01 95.01"))) == []
    assert shown(wanted(state, minute(2, "10:00", "94.98 94.98 94.98 94.98"))) == [
        "stop_gap 100@94.98 open"
    ]


def test_breakeven_may_be_switched_off() -> None:
    state = held(position(replace(HALVES, breakeven_after_partial=False)), 1)
    after, _ = on_bar(state, bar(2, "100 104 99 103"))
    assert after.stop_usd == 95
    after, _ = on_bar(held(position(HALVES), 1), bar(2, "100 104 99 103"))
    assert after.stop_usd == 100


@pytest.mark.parametrize("prices", ["1 2 0 1", "1 NaN 1 1", "5 4 3 4", "2 4 3 3", "1 Infinity 1 1"])
def test_prices_that_are_no_bar_are_refused(prices: str) -> None:
    with pytest.raises(DataError, match="treat it as missing"):
        bar(1, prices)
