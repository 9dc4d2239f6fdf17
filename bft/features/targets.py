"""The three targets: what the forward price did over h sessions, known only at the last of them.

They live in a table of their own, for nothing that is stored on a day may change later.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bft.domain.gold import HORIZONS
from bft.features.bars import Bars, bars_by_symbol
from bft.features.factors import NO_ACTIONS, actions_by_symbol, forward_factors
from bft.features.facts import Floats, Ints, Tables, day_number

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("date", pa.date32()),
        ("horizon", pa.int16()),
        ("value", pa.float32()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Targets sorted by symbol, date and horizon; `known` is the day at whose close each is known.

    Shape: (N,) each; `code` is the place in `symbols`.
    """

    symbols: tuple[str, ...]
    code: npt.NDArray[np.int32]
    day: npt.NDArray[np.int32]
    horizon: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]
    known: npt.NDArray[np.int32]

    def table(self, order: Ints | None = None) -> pa.Table:
        """The gold_targets table of these rows, or of some of them."""
        chosen = slice(None) if order is None else order
        columns = [
            pa.array([*self.symbols], pa.string()).take(pa.array(self.code[chosen])),
            pa.array(self.day[chosen]).cast(pa.date32()),
            pa.array(self.horizon[chosen]),
            pa.array(self.value[chosen]),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def build_targets(tables: Tables, *, since: date | None = None) -> Targets:
    """Targets known from `since` on: 100 (x[t+h sessions] / x[t] - 1), none without a bar there."""
    first = day_number(since) if since else 0
    known_actions = actions_by_symbol(tables["actions"])
    parts, symbols = [], []
    for code, bars in enumerate(bars_by_symbol(tables["bars"])):
        symbols.append(bars.symbol)
        factors = forward_factors(bars, known_actions.get(bars.symbol, NO_ACTIONS))
        parts.append((code, *_of_symbol(bars, bars.close * factors.total, first)))
    return Targets(
        symbols=tuple(symbols),
        code=_joined([np.full(len(day), code) for code, day, *_ in parts], np.int32),
        day=_joined([day for _, day, *_ in parts], np.int32),
        horizon=_joined([horizon for _, _, horizon, *_ in parts], np.int16),
        value=_joined([value for *_, value, _ in parts], np.float32),
        known=_joined([known for *_, known in parts], np.int32),
    )


def _of_symbol(bars: Bars, price: Floats, first: int) -> tuple[Ints, Ints, Floats, Ints]:
    """Day, horizon, value and day of being known, by day and horizon."""
    ahead = np.array(HORIZONS)
    begin = max(0, int(np.searchsorted(bars.day, first)) - max(HORIZONS))
    due = bars.session[begin:, None] + ahead  # (T,) -> (T, H)
    place = np.searchsorted(bars.session, due)
    place[place == len(bars)] = 0  # not there: the first row is never due
    row, column = np.nonzero((bars.session[place] == due) & (bars.day[place] >= first))
    then = place[row, column]
    row += begin
    return bars.day[row], ahead[column], 100 * (price[then] / price[row] - 1), bars.day[then]


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts or [np.empty(0)]).astype(kind)
