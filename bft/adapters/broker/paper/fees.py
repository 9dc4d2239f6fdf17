"""Commissions of the paper account, as the backtest charges them.

Source: strategies specification, section 4.3 (`ib_fixed`, options, `percent`); executor
specification, section 7 (futures).
"""

from collections.abc import Callable
from decimal import Decimal

from bft.domain.errors import ConfigError
from bft.domain.orders import Contract, Side
from bft.domain.ticks import MICRO

Fee = Callable[[Contract, Side, int, Decimal], Decimal]
"""USD for a whole order: contract, side, units filled so far, their value with multiplier."""

PER_SHARE_USD, LEAST_USD, MOST_FRAC = Decimal("0.005"), Decimal("1.00"), Decimal("0.01")
REGULATORY_FRAC = Decimal("0.00003")  # of what is sold
PER_OPTION_USD, PER_FUTURE_USD = Decimal("0.65"), Decimal("2.25")
PERCENT_FRAC = Decimal("0.001")


def ib_fixed(contract: Contract, side: Side, qty: int, notional_usd: Decimal) -> Decimal:
    """Interactive Brokers' fixed prices: a rate with a minimum per order, regulatory on sales."""
    if contract.sec_type == "FUT":
        return PER_FUTURE_USD * qty
    if contract.sec_type == "OPT":
        return max(PER_OPTION_USD * qty, LEAST_USD)
    commission = min(max(PER_SHARE_USD * qty, LEAST_USD), MOST_FRAC * notional_usd)
    regulatory = REGULATORY_FRAC * notional_usd if side is Side.SELL else Decimal(0)
    return (commission + regulatory).quantize(MICRO)


def percent(contract: Contract, side: Side, qty: int, notional_usd: Decimal) -> Decimal:
    """0.1 % of the value, either side; futures by the contract."""
    if contract.sec_type == "FUT":
        return PER_FUTURE_USD * qty
    return (PERCENT_FRAC * notional_usd).quantize(MICRO)


def fee_named(name: str) -> Fee:
    """Fee of a cost profile.

    Raises:
        ConfigError: no such profile.
    """
    profiles: dict[str, Fee] = {"ib_fixed": ib_fixed, "percent": percent}
    if name not in profiles:
        raise ConfigError(f"no cost profile {name!r} for paper fills; one of {', '.join(profiles)}")
    return profiles[name]
