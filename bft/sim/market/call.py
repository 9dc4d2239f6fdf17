"""One question to the vendor, and the forms an answer takes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.sim.market.faults import Faults
from bft.sim.market.moment import Moment
from bft.sim.market.universe import Listing
from bft.sim.market.world import World

DOCS = "https://www.alphavantage.co/documentation/"


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and its kind."""

    body: str
    is_csv: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A question: parameters, and the moment it is asked."""

    world: World
    moment: Moment
    faults: Faults
    params: Mapping[str, str]

    @property
    def function(self) -> str:
        """Name of the API function."""
        return self.params.get("function", "").upper()

    @property
    def symbol(self) -> str:
        """The symbol asked for, or several with commas; empty for macro."""
        return self.params.get("symbol", self.params.get("tickers", "")).upper()

    @property
    def row(self) -> int:
        """Row of the newest closed session; negative before the first."""
        return self.world.row(self.moment.day)

    @property
    def wants_csv(self) -> bool:
        """Whether datatype=csv."""
        return self.params.get("datatype", "json").lower() == "csv"

    def find(self, symbol: str | None = None) -> int | None:
        """Place of a listed security, or None."""
        return self.world.find(symbol or self.symbol, self.row)

    def listing(self, place: int) -> Listing:
        """Security at a place."""
        return self.world.listings[place]

    def end(self, place: int) -> int:
        """Row after the newest bar of a security."""
        end = self.listing(place).end_row
        return self.row + 1 if end is None else min(end, self.row + 1)

    def strikes(self, kind: str, symbol: str | None = None) -> bool:
        """Whether a fault of the answer strikes."""
        asked = self.symbol if symbol is None else symbol
        return self.faults.strikes(kind, self.function, asked, self.moment.day)


Function = Callable[[Call], Answer]


def as_json(value: Any) -> Answer:
    """JSON body."""
    return Answer(json.dumps(value, separators=(", ", ": ")))


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Answer:
    """CSV body; lines end as the vendor's do."""
    lines = [",".join(header), *(",".join(row) for row in rows)]
    return Answer("\r\n".join(lines) + "\r\n", is_csv=True)


def table(call: Call, head: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> Answer:
    """Rows under `data` after some words of head, or as CSV when asked."""
    if call.wants_csv:
        return as_csv(list(rows[0]) if rows else [], [list(row.values()) for row in rows])
    return as_json({**head, "data": rows})


def invalid(call: Call) -> Answer:
    """What the vendor says of a symbol or parameter it does not know."""
    again = f"Invalid API call. Please retry or visit the documentation ({DOCS})"
    return as_json({"Error Message": f"{again} for {call.function}."})


def isodates(call: Call, rows: NDArray[np.intp]) -> list[str]:
    """ISO dates of rows."""
    texts: list[str] = call.world.dates[rows].astype(str).tolist()
    return texts
