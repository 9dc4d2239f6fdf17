"""What option ticks say beside the touch: model greeks, volume, open interest.

Source: wire specification, section 5 (tickOption) and 9 (ticks); TWS API, available tick types.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.adapters.broker.ib.contracts import decimal_of
from bft.domain.broker import OptionFigures
from bft.domain.orders import Contract

OPEN_INTEREST = "101"  # generic tick: open interest of an option
_VOLUME = frozenset({8, 74})
_INTEREST = {"C": 27, "P": 28}
_MODEL = frozenset({13, 83})


def generic_ticks(contract: Contract) -> str:
    """What a line asks for beside its ordinary ticks."""
    return OPEN_INTEREST if contract.sec_type == "OPT" else ""


def counted(known: OptionFigures, tick: int, size: int | None, at: datetime) -> OptionFigures:
    """The figures after a size tick; those of other kinds change nothing."""
    if known.contract.sec_type != "OPT":
        return known
    if tick in _VOLUME:
        return replace(known, volume=size, volume_at=at)
    if tick == _INTEREST.get(known.contract.right or ""):
        return replace(known, open_interest=size, open_interest_at=at)
    return known


def computed(
    known: OptionFigures, tick: int, told: tuple[float | None, float | None], at: datetime
) -> OptionFigures:
    """The figures after a computation of (implied volatility, delta); only the model's counts.

    -1 and -2 say that there is none; nor is there one beyond what each can be.
    """
    if tick not in _MODEL:
        return known
    volatility, delta = (decimal_of(value) for value in told)
    sound = volatility is not None and volatility > 0
    inside = delta is not None and abs(delta) <= Decimal(1)
    return replace(
        known,
        implied_volatility=volatility if sound else None,
        delta=delta if inside else None,
        model_at=at,
    )
