from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bft.risk.costs import half_spread_bps, round_trip_cost_frac
from bft.risk.sizing import Account, Setup, Sizing, Terms, size

ACCOUNT = Account(equity_usd=Decimal(100_000), cash_usd=Decimal(100_000))


def setup(ref: str = "50", stop: str = "2.5", adv: str | None = "4000000") -> Setup:
    return Setup(
        ref_price_usd=Decimal(ref),
        stop_distance_usd=Decimal(stop),
        atr_14_usd=Decimal("1"),
        volatility_frac=Decimal("0.25"),
        adv_20=None if adv is None else Decimal(adv),
    )


def test_fixed_size_of_the_worked_example_is_200_shares() -> None:
    """Strategies specification, section 10: equity 100,000, ref 50.00, floor(10,000 / 50)."""
    assert size(setup(), ACCOUNT, Terms()).qty == 200


@pytest.mark.parametrize(
    ("mode", "stop", "expected"),
    [
        (Sizing.RISK, "2.5", 200),  # 500 / 2.5
        (Sizing.RISK, "4", 125),  # 500 / 4
        (Sizing.ATR, "2.5", 200),  # 400 / 1 = 400, weight cap 200
        (Sizing.VOL, "2.5", 200),  # min(0.10, 0.10 / (0.25 * sqrt 10)) = 0.10
    ],
)
def test_modes_by_hand(mode: Sizing, stop: str, expected: int) -> None:
    assert size(setup(stop=stop), ACCOUNT, Terms(mode=mode)).qty == expected


def test_volatile_names_get_less() -> None:
    """0.10 / (0.50 x sqrt 10) = 0.063246 of 100,000, at 50.00: 126.49."""
    volatile = replace(setup(), volatility_frac=Decimal("0.50"))
    assert size(volatile, ACCOUNT, Terms(mode=Sizing.VOL)).qty == 126
    assert size(volatile, ACCOUNT, Terms(mode=Sizing.FIXED)).qty == 200


def test_unknown_volatility_gets_no_size_where_size_rests_on_it() -> None:
    """Design, 6.3: a missing input blocks; it had given the largest size."""
    unknown = replace(setup(), volatility_frac=None)
    sized = size(unknown, ACCOUNT, Terms(mode=Sizing.VOL))
    assert (sized.qty, sized.reason) == (0, "no_volatility")
    assert size(unknown, ACCOUNT, Terms(mode=Sizing.FIXED)).qty == 200


def test_scale_shrinks_every_mode() -> None:
    half = {"scale": Decimal("0.5"), "max_weight_frac": None}
    assert size(setup(), ACCOUNT, Terms(mode=Sizing.FIXED, **half)).qty == 100
    assert size(setup(), ACCOUNT, Terms(mode=Sizing.RISK, **half)).qty == 100
    assert size(setup(), ACCOUNT, Terms(mode=Sizing.ATR, **half)).qty == 200
    assert size(setup(), ACCOUNT, Terms(mode=Sizing.VOL, **half)).qty == 100


@pytest.mark.parametrize(
    ("given_setup", "account", "qty", "reason"),
    [
        (setup(adv="1500"), ACCOUNT, 15, "participation"),
        (setup(), Account(equity_usd=Decimal(100_000), cash_usd=Decimal(1000)), 19, "cash"),
        (setup(adv="150"), ACCOUNT, 0, "min_order"),
        (setup(stop="0"), ACCOUNT, 0, "no_stop"),
        (
            setup(),
            Account(
                equity_usd=Decimal(100_000), cash_usd=Decimal(100_000), gross_usd=Decimal(95_000)
            ),
            100,
            "max_gross",
        ),
    ],
)
def test_caps_bind_in_words(given_setup: Setup, account: Account, qty: int, reason: str) -> None:
    found = size(given_setup, account, Terms())
    assert (found.qty, found.reason) == (qty, reason)


@given(
    st.decimals("5", "500", places=2),
    st.decimals("0.05", "50", places=2),
    st.decimals("1000", "1000000", places=2),
)
def test_risk_stays_under_its_fraction(ref: Decimal, stop: Decimal, equity: Decimal) -> None:
    account = Account(equity_usd=equity, cash_usd=equity)
    found = size(setup(str(ref), str(stop)), account, Terms(mode=Sizing.RISK))
    assert found.qty * stop <= equity * Decimal("0.005")
    assert found.qty * ref <= equity * Decimal("0.10")


def test_half_spread_steps_at_the_stated_turnover() -> None:
    adv = [np.nan, 0.9e6, 1e6, 5e6, 20e6, 99e6, 100e6]
    assert half_spread_bps(adv).tolist() == [25, 25, 12, 5, 2.5, 2.5, 1]


def test_round_trip_cost_by_hand() -> None:
    # 4 * 1 bp spread, 0.01 USD of 50 USD commission, 0.3 bp regulatory
    assert round_trip_cost_frac([2e8], [50.0])[0] == pytest.approx(0.0004 + 0.0002 + 0.00003)
