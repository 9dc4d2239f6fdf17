"""Price steps of US stocks, and the collar of their entries: the one rule of all who price."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

CENT, SUB_PENNY = Decimal("0.01"), Decimal("0.0001")  # SEC Rule 612: sub-pennies below 1 USD
MICRO = Decimal("0.000001")  # the ledger's unit of prices and amounts
COLLAR_FRAC = Decimal("0.02")
"""How far from its reference an entry in stock may fill (executor specification, 4)."""


def micro(value_usd: Decimal) -> Decimal:
    """A price or an amount in whole micro-dollars, half-even (strategies specification, 4.4)."""
    return value_usd.quantize(MICRO, rounding=ROUND_HALF_EVEN)


def rounded(price_usd: Decimal, *, up: bool, tick_usd: Decimal | None = None) -> Decimal:
    """A price on its tick; `tick_usd` None: US stocks, 0: as it is.

    The price is first rounded to micro-dollars, so that the noise of a division, or of the floats
    in a compiled loop, never costs a tick. Source: strategies specification, 3.1.
    """
    if tick_usd == 0:
        return price_usd
    exact = micro(price_usd)
    mode = ROUND_CEILING if up else ROUND_FLOOR
    if tick_usd is None:
        return exact.quantize(CENT if exact >= 1 else SUB_PENNY, rounding=mode)
    return (exact / tick_usd).to_integral_value(mode) * tick_usd


def next_beyond(price_usd: Decimal, *, up: bool) -> Decimal:
    """The nearest price of a US stock on its tick that is strictly above (or below) another."""
    exact = micro(price_usd)
    tick = SUB_PENNY if exact < 1 or (not up and exact == 1) else CENT
    inner = exact.quantize(tick, rounding=ROUND_FLOOR if up else ROUND_CEILING)
    return inner + (tick if up else -tick)
