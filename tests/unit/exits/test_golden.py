"""Worked examples of the strategies specification, section 10, digit for digit."""

from decimal import Decimal

import pytest
from positions import bar, day, entry, position, ran, shown

from bft.domain.trading import ExitPolicy
from bft.exits import Close, Ordering, at_close, on_bar, opened, protective
from bft.strategies import STRATEGIES

S1 = STRATEGIES["bollinger"].exits
TRAILING = [  # bar, best, level for the next session
    ("100 102 99 101", "102", "93.00"),
    ("101 104.5 100.5 104", "104.5", "99.72"),
    ("104.5 110 103.5 109", "110", "106.64"),
    ("108 109 107 107.5", "110", "106.64"),
]


def test_trailing_stop_example() -> None:
    state = position(S1)
    assert (state.stop_usd, state.target_usd) == (Decimal("93.00"), Decimal("112.00"))
    for number, (prices, best, level) in enumerate(TRAILING, start=1):
        state, fills = on_bar(state, bar(number, prices))
        state, scheduled = at_close(state, Close(bar=bar(number, prices)))
        assert (fills, scheduled, state.held_days) == ((), None, number)
        assert (state.best_usd, protective(state).stop_usd) == (Decimal(best), Decimal(level))
        assert state.armed is (number > 1)


@pytest.mark.parametrize(
    ("last", "fill", "gain"),
    [
        ("107 107.2 102.5 102.9", "trail 100@106.64 inside", "0.0664"),
        ("105 107.2 102.5 102.9", "trail_gap 100@105 open", "0.05"),
    ],
)
def test_trailing_stop_example_leaves(last: str, fill: str, gain: str) -> None:
    bars = [bar(n, prices) for n, (prices, _, _) in enumerate(TRAILING, start=1)]
    state, fills = ran(position(S1), *bars, bar(5, last))
    assert shown(fills) == [fill]
    assert not state.is_open
    assert fills[0].price_usd / 100 - 1 == Decimal(gain)
    if fills[0].reason == "trail":
        r = (fills[0].price_usd - 100) / abs(100 - state.initial_stop_usd)
        assert round(r, 3) == Decimal("0.949")


@pytest.mark.parametrize(
    ("ordering", "fill"),
    [
        (Ordering.WORST, "stop 100@93.00 inside"),
        (Ordering.BEST, "target 100@112.00 inside"),
    ],
)
def test_trailing_stop_example_where_session_2_reaches_both(ordering: Ordering, fill: str) -> None:
    bars = [bar(1, "100 102 99 101"), bar(2, "100 113 92 110")]
    assert shown(ran(position(S1), *bars, ordering=ordering)[1]) == [fill]


def test_gap_through_a_stop_example() -> None:
    policy = ExitPolicy(stop_frac=0.05, target_frac=None, cooldown_days=1)
    state = opened(entry("50.217139", "200"), policy, None)
    assert state.initial_stop_usd == Decimal("47.71")
    state, fills = ran(state, bar(1, "50.20 50.90 49.00 50.00"), bar(2, "45 46 44 45.5"))
    assert shown(fills) == ["stop_gap 200@45 open"]
    assert fills[0].session == day(2)
    filled = Decimal("44.984636")  # after 3.414214 bps of slippage
    r = (filled - state.entry.price_usd) / (state.entry.price_usd - state.initial_stop_usd)
    assert round(r, 4) == Decimal("-2.0870")
