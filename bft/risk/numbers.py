"""Numbers risk may reckon with: finite and of a sane size, or none at all."""

import math
from decimal import Decimal

LARGEST_EXPONENT, SMALLEST_EXPONENT = 15, -9
ZERO = Decimal(0)


def number(value: Decimal | float | None) -> Decimal | None:
    """The value, or None where it is absent, NaN, infinite or absurd (10^16 and more).

    Below 10^-9 it is 0: no price step, quantity or fraction is that small.
    """
    if value is None:
        return None
    found = value if type(value) is Decimal else Decimal(str(value))
    if not found.is_finite():
        return None
    size = found.adjusted()
    if SMALLEST_EXPONENT <= size <= LARGEST_EXPONENT:
        return found
    return ZERO if size < SMALLEST_EXPONENT or not found else None


def positive(value: Decimal | float | None) -> Decimal | None:
    """The value where it is a number above zero."""
    found = number(value)
    return found if found is not None and found > 0 else None


def seconds(value: float | None) -> float | None:
    """An age, or None where it is absent or no number."""
    return None if value is None or not math.isfinite(value) else value
