"""Prices on the steps of US stocks, worked by hand (SEC Rule 612)."""

from decimal import Decimal

import pytest

from bft.domain.orders import Side
from bft.domain.ticks import COLLAR_FRAC, next_beyond, rounded
from bft.risk.prices import entry_on_tick, stop_on_tick
from bft.risk.profiles import EQUITIES, PAPER_SMALL

D = Decimal


@pytest.mark.parametrize(
    ("price", "up", "tick", "on_tick"),
    [
        ("10.019", False, None, "10.01"),
        ("10.011", True, None, "10.02"),
        ("0.12345", False, None, "0.1234"),
        ("0.99991", True, None, "1.0000"),
        ("1.0000001", True, None, "1.00"),  # a tenth of a micro-dollar is noise
        ("100.13", False, "0.25", "100.00"),
        ("100.13", True, "0.25", "100.25"),
        ("100.13333", True, "0", "100.13333"),
    ],
)
def test_price_lies_on_its_tick(price: str, up: bool, tick: str | None, on_tick: str) -> None:
    found = rounded(D(price), up=up, tick_usd=None if tick is None else D(tick))
    assert found == D(on_tick)


@pytest.mark.parametrize(
    ("price", "up", "beyond"),
    [
        ("101", True, "101.01"),
        ("101.004", True, "101.01"),
        ("0.9999", True, "1.0"),
        ("1", True, "1.01"),
        ("1", False, "0.9999"),
        ("0.5", False, "0.4999"),
    ],
)
def test_next_price_is_strictly_beyond(price: str, up: bool, beyond: str) -> None:
    assert next_beyond(D(price), up=up) == D(beyond)


def test_noise_below_a_micro_dollar_costs_an_entry_no_tick() -> None:
    """Strategies, exits and risk take the same step; risk took 49.99 for this limit."""
    assert entry_on_tick(D("49.9999999"), D("0.01"), Side.BUY) == D("50.00")
    assert entry_on_tick(D("50.0000001"), D("0.01"), Side.SELL) == D("50.00")
    assert stop_on_tick(D("47.7000001"), D("0.01"), Side.BUY) == D("47.70")


def test_collar_of_stock_is_one_number() -> None:
    assert D("0.02") == COLLAR_FRAC == EQUITIES.collar_frac == PAPER_SMALL.collar_frac
