"""Model inputs that no row can have, for lack of the facts they are made of.

Known before anything is built, so a lower bound: an input that is not named here may still be
empty, as one whose file holds nothing of the days that are learned from.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bft.domain.gold import CONTEXT_INPUTS, INPUTS
from bft.domain.market import MACRO_SERIES

SNAPSHOT = (
    "forward_pe",
    *(name for name in INPUTS if name.startswith("analyst_rating_")),
)
"""Inputs that only a snapshot of the company tells."""
EARNINGS = ("pe_ratio", "surprise_percentage")
"""Inputs from reports: the last four quarters, the last surprise."""
MARKET = ("beta", *(name for name in CONTEXT_INPUTS if name.startswith("spy_")))
"""Inputs that compare with the market."""
SECTOR = tuple(name for name in CONTEXT_INPUTS if name.startswith("sector_"))
"""Inputs that compare with the symbol's sector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What there is beside prices: topics, macro series; sectors, dividends, a market or not."""

    topics: Collection[str]
    series: Collection[str]
    sectors: bool
    dividends: bool
    market: bool


def unfed(beside: Beside) -> tuple[str, ...]:
    """Names of the inputs that stay unknown, in the order of `domain.gold.INPUTS`."""
    topics = set(beside.topics)
    lacking = {name for name in CONTEXT_INPUTS if name in set(MACRO_SERIES) - set(beside.series)}
    lacking |= set() if "fundamentals" in topics else set(SNAPSHOT)
    lacking |= set() if topics & {"fundamentals", "statements"} else {"price_to_book_ratio"}
    lacking |= set() if "earnings" in topics else set(EARNINGS)
    lacking |= set() if beside.dividends else {"dividend_yield"}
    lacking |= set() if beside.sectors else set(SECTOR)
    lacking |= set() if beside.market else set(MARKET)
    return tuple(name for name in INPUTS if name in lacking)
