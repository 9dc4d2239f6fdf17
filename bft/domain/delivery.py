"""What is asked of a source of market facts, what it answers, what was left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DOUBTED = (
    "bad_close",
    "bad_volume",
    "bad_symbol",
    "no_date",
    "no_session",
    "before_1962",
    "conflicting_rows",
    "merged_duplicate",
    "sorted_rows",
    "repaired_ohlc",
    "refused_revision",
    "replaced_bars",
    "bad_report",
    "macro_row",
)
"""Reasons that say something of what was delivered is odd: reports name the first such rows."""
DROPPED = frozenset(DOUBTED) - {"merged_duplicate", "sorted_rows", "repaired_ohlc"}
"""Those of rows that do not count, or no more."""


class Skips:
    """What was left out: a count by reason, and the first 20 names of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.names: dict[str, list[str]] = {}

    def add(self, reason: str, names: Iterable[str], *, count: int | None = None) -> None:
        """Count left-out things; `count` where `names` holds only the first of them."""
        listed = list(names)
        total = len(listed) if count is None else count
        if total:
            self.counts[reason] = self.counts.get(reason, 0) + total
            known = self.names.setdefault(reason, [])
            known += listed[: 20 - len(known)]

    def take(self, other: "Skips") -> None:
        """Add another collection's counts and names."""
        for reason, count in other.counts.items():
            self.add(reason, other.names[reason], count=count)


QUOTED = 100
"""Most symbols of one question for quotes."""
TOPICS = (
    "universe",
    "listings",
    "bars",
    "splits",
    "actions",
    "fundamentals",
    "earnings",
    "earnings_calendar",
    "statements",
    "options",
    "news",
    "macro",
)
"""What a pull may ask of a source; the facts of most go into the table of that name.

Besides, for others: quotes (up to QUOTED symbols, comma-separated), quote (one), contracts (an
option chain now), indicators. A source that has no quotes answers `absent`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One question to a source: `name` is a symbol or a macro series, empty for all it has.

    `full`: the whole history instead of the newest rows. `since`: only facts after that instant.
    `series`: which indicator. Listings are asked for by `name` active or delisted. `at`: the
    instant of quotes that a replayed source is asked for; others know only now.
    """

    topic: str
    name: str = ""
    full: bool = False
    series: str = ""
    since: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a source knows: Arrow tables of unjudged facts, or the reason why there are none.

    A table holds columns of its schema without the raw ones, some may be absent; bars may also
    carry dividend_amount and split_coefficient, macro known_on. Bars out of a `file` (its name)
    carry the `line` each stands in. Symbols are normalised, dates are exchange days. `skipped`
    with tables is stale_day: whole, but not up to asof. `refused` names rows that could not be
    read, by reason.
    """

    want: Want
    tables: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    source: str
    refused: Skips = field(default_factory=Skips)
    notes: tuple[str, ...] = ()
    file: str = ""
