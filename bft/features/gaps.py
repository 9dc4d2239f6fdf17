"""Sessions that a history lacks between its first and its last day, of all symbols and of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bft.domain import sessions

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Sessions of a span, those of which nobody has a bar, and how many more a symbol lacks.

    A symbol's own span counts: from its first bar to its last one. `begins` is where its first gap
    does.
    """

    span: int
    missing: tuple[date, ...] = ()
    lacking: Mapping[str, int] = field(default_factory=dict)
    begins: Mapping[str, date] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """Sessions with a bar of anybody."""
        return self.span - len(self.missing)

    @property
    def words(self) -> str:
        """What lacks, for people; empty: nothing."""
        said = []
        if self.missing:
            said.append(
                f"{len(self.missing)} of {self.span} sessions have no bar of any symbol, the first "
                f"{self.missing[0]}"
            )
        if self.lacking:
            worst = max(sorted(self.lacking), key=lambda name: self.lacking[name])
            count = len(self.lacking)
            said.append(
                f"{count} symbol{'s' if count > 1 else ''} with gaps of their own, most {worst}: "
                f"{self.lacking[worst]}, the first {self.begins[worst]}"
            )
        return "; ".join(said)


def end_told(source: str, asof: date, *, last: date, after: date | None) -> str:
    """That a source has nothing of a day after its bar `last`: its end, or a gap before `after`."""
    if after is None:
        return f"{source} ends {last}, before {asof}"
    return f"{source} has no bar of {asof}, a gap between {last} and {after}"


def gaps_of(days: Mapping[str, Days]) -> Gaps:
    """What a history lacks; `days` of each symbol's bars in any order, of no session not counted.

    Shape: (bars of the symbol,), unit days.
    """
    every = np.concatenate([*days.values(), np.array([], dtype="datetime64[D]")])
    if not len(every):
        return Gaps(span=0)
    listed = np.array(
        sessions.sessions(every.min().item(), every.max().item()), dtype="datetime64[D]"
    )
    held = np.isin(listed, every)
    lacking, begins = dict[str, int](), dict[str, date]()
    for symbol, mine in days.items():
        absent = _absent(listed, held, mine)
        if len(absent):
            lacking[symbol], begins[symbol] = len(absent), absent[0].item()
    missing: list[Any] = listed[~held].tolist()
    return Gaps(span=len(listed), missing=tuple(missing), lacking=lacking, begins=begins)


def gaps_in(bars: pd.DataFrame) -> Gaps:
    """What rows with `symbol` and `date` lack."""
    days = bars["date"].to_numpy().astype("datetime64[D]")
    places = bars.groupby("symbol").indices
    return gaps_of({str(symbol): days[rows] for symbol, rows in places.items()})


def _absent(listed: Days, held: npt.NDArray[np.bool_], mine: Days) -> Days:
    """Sessions within a symbol's own span that others have and it has not."""
    mine = np.intersect1d(mine, listed)
    if not len(mine):
        return mine
    first, after = np.searchsorted(listed, [mine.min(), mine.max() + np.timedelta64(1, "D")])
    own = listed[first:after]
    return own[held[first:after] & ~np.isin(own, mine)]
