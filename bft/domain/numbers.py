"""Numbers as people write them on a command line: finite, and within their limits."""

import argparse
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A kind of number for `add_argument(type=...)`; NaN and infinities are none.

    `low` and `high` are inclusive, `above` is not. `whole`: no fraction, and the value is an int.
    """

    whole: bool = False
    low: float | None = None
    above: float | None = None
    high: float | None = None

    def __call__(self, text: str) -> int | float:
        """Parse a text. Raises argparse.ArgumentTypeError, which says what would do."""
        try:
            value: int | float = int(text) if self.whole else float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and self._within(value)):
            raise argparse.ArgumentTypeError(f"{text!r} is no {self}")
        return value

    def __str__(self) -> str:
        """In words, as `whole number from 1 to 9`."""
        limits = {"from": self.low, "above": self.above, "to": self.high}
        said = " ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
        return f"{'whole' if self.whole else 'finite'} number {said}".strip()

    @property
    def json_type(self) -> str:
        """Its name in a JSON schema."""
        return "integer" if self.whole else "number"

    def _within(self, value: float) -> bool:
        return (
            (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
        )


FINITE = Number()
AT_LEAST_0 = Number(low=0)
MONEY = Number(above=0)
COUNT = Number(whole=True, low=1)
COUNT_OR_0 = Number(whole=True, low=0)
SEED = Number(whole=True, low=0, high=2**32 - 1)
PORT = Number(whole=True, low=0, high=65_535)
