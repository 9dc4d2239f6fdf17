"""The three targets: what the forward price did over h sessions, known only at the last of them.

They live in a table of their own, for nothing that is stored on a day may change later.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bft.domain.gold import HORIZONS
from bft.features.bars import bars_by_symbol
from bft.features.factors import NO_ACTIONS, actions_by_symbol, forward_factors
from bft.features.facts import Ints, Tables, day_number

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
    ahead = np.array(HORIZONS)
    for code, bars in enumerate(bars_by_symbol(tables["bars"])):
        symbols.append(bars.symbol)
        price = bars.close * forward_factors(bars, known_actions.get(bars.symbol, NO_ACTIONS)).total
        due = bars.session[:, None] + ahead  # (T,) -> (T, H)
        place = np.minimum(np.searchsorted(bars.session, due), len(bars) - 1)
        hit = (bars.session[place] == due) & (bars.day[place] >= first)
        row, column = np.nonzero(hit)
        then = place[hit]
        value = 100 * (price[then] / price[row] - 1)
        parts.append((np.full(len(row), code), bars.day[row], ahead[column], value, bars.day[then]))
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)] or [np.empty(0)] * 5
    return Targets(
        symbols=tuple(symbols),
        code=columns[0].astype(np.int32),
        day=columns[1].astype(np.int32),
        horizon=columns[2].astype(np.int16),
        value=columns[3].astype(np.float32),
        known=columns[4].astype(np.int32),
    )
