"""Faults on purpose: `[{kind, rate, functions?, symbols?, days?}]`, drawn by hash.

A call fault hits one attempt of a call (its day is the day asked as of); a data fault sits in the
data of a symbol and session and is the same for every call.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain import sessions
from bft.domain.errors import ConfigError
from bft.sim.market.draws import key, uniform

CALL_KINDS = (
    "minute_limit day_limit premium http_500 http_429 hang slow_body html half_json".split()
)
ANSWER_KINDS = "sample_data missing_symbol empty_body stale_day wrong_chain_date".split()
ROW_KINDS = "missing_day duplicate_day unsorted late_bar".split()
VALUE_KINDS = "nan_value zero_volume negative_price ohlc_broken frozen_bar revised_close".split()
SPLIT_KINDS = "late_split missing_split phantom_split".split()
KINDS = (*CALL_KINDS, *ANSWER_KINDS, *ROW_KINDS, *VALUE_KINDS, *SPLIT_KINDS)
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of the list; an empty set means all."""

    kind: str
    rate: float
    functions: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()
    days: frozenset[int] = frozenset()

    def meets(self, function: str, symbol: str) -> bool:
        """Whether it may strike there; a bulk call counts by any of its symbols."""
        named = not self.symbols or bool(self.symbols & set(symbol.split(",")))
        return named and (not self.functions or function in self.functions)


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a server."""

    seed: int
    all: tuple[Fault, ...] = ()
    served: dict[str, int] = field(default_factory=dict)

    def call(self, function: str, symbol: str, day: date, attempt: int) -> str | None:
        """First call fault that strikes this attempt, or None."""
        for kind in CALL_KINDS:
            if self.strikes(kind, function, symbol, day, attempt):
                return kind
        return None

    def strikes(self, kind: str, function: str, symbol: str, day: date, attempt: int = 0) -> bool:
        """Whether a fault of that kind strikes the answer of a day; counts it."""
        if not self.all:
            return False
        number = np.array([sessions.number(sessions.on_or_before(day))])
        hit = bool(self._drawn(kind, function, symbol, number, attempt)[0])
        return self._count(kind, int(hit)) > 0

    def marks(
        self, kind: str, function: str, symbol: str, numbers: Numbers, where: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Sessions, by number, at which a data fault of that kind changes something; counts them.

        `where` tells at which of them there is something to change.
        """
        hit = self._drawn(kind, function, symbol, numbers, 0, shared=True) & where
        self._count(kind, int(hit.sum()))
        return hit

    def listed(self) -> list[dict[str, object]]:
        """The faults as a JSON list, in words that `parse` reads."""
        return [
            {
                "kind": one.kind,
                "rate": one.rate,
                "functions": sorted(one.functions),
                "symbols": sorted(one.symbols),
                "days": [str(sessions.session(number)) for number in sorted(one.days)],
            }
            for one in self.all
        ]

    def any(self, kinds: tuple[str, ...] | list[str]) -> bool:
        """Whether the list names one of the kinds."""
        return any(fault.kind in kinds for fault in self.all)

    def _count(self, kind: str, hits: int) -> int:
        if hits:
            self.served[kind] = self.served.get(kind, 0) + hits
        return hits

    def _drawn(
        self,
        kind: str,
        function: str,
        symbol: str,
        numbers: Numbers,
        attempt: int,
        *,
        shared: bool = False,
    ) -> NDArray[np.bool_]:
        """Draws of the matching faults; `shared`: two functions see the same data fault."""
        hit = np.zeros(len(numbers), dtype=bool)
        for fault in self.all:
            if fault.kind == kind and fault.meets(function, symbol):
                stream = f"fault/{kind}/{'' if shared else function}"
                chance = uniform(self.seed, stream, key(symbol), numbers, attempt)
                days = np.isin(numbers, list(fault.days)) if fault.days else True
                hit |= (chance < fault.rate) & days
        return hit


def parse(text: str | bytes, *, seed: int, where: str) -> Faults:
    """Faults of a JSON list.

    Raises:
        ConfigError: no list, an unknown key or kind, a rate outside 0..1, a day that is none.
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: no JSON ({error})") from error
    if not isinstance(entries, list):
        raise ConfigError(f"{where}: a JSON list of faults, such as {_EXAMPLE}")
    return Faults(seed, tuple(_fault(entry, f"{where}[{n}]") for n, entry in enumerate(entries)))


_EXAMPLE = '[{"kind": "http_500", "rate": 0.1, "functions": ["OVERVIEW"]}]'


def _fault(entry: Any, where: str) -> Fault:
    known = {"kind", "rate", "functions", "symbols", "days"}
    if not isinstance(entry, Mapping) or not {"kind", "rate"} <= set(entry) <= known:
        raise ConfigError(
            f"{where}: keys kind, rate and perhaps functions, symbols, days; found {entry!r}"
        )
    lists = {name: entry.get(name, []) for name in ("functions", "symbols", "days")}
    for name, words in lists.items():
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ConfigError(f"{where}: {name} is a list of strings, found {words!r}")
    if entry["kind"] not in KINDS:
        raise ConfigError(f"{where}: unknown kind {entry['kind']!r}; one of {', '.join(KINDS)}")
    try:
        days = [date.fromisoformat(day) for day in lists["days"]]
        rate = float(entry["rate"])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    if not 0 <= rate <= 1:
        raise ConfigError(f"{where}: rate {rate} is outside 0..1")
    return Fault(
        kind=entry["kind"],
        rate=rate,
        functions=frozenset(lists["functions"]),
        symbols=frozenset(lists["symbols"]),
        days=frozenset(sessions.number(sessions.on_or_before(day)) for day in days),
    )
