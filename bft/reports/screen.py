"""The screener's ten checks and its selection (data specification, section 8)."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bft.reports.night import Night
from bft.reports.shown import FLAG_OF

CHECKS = tuple(FLAG_OF)
FAILED = "night_failed"
"""Tag reason of an entry that a failed night holds back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Rows of one symbol each, ascending: flags by check name, counts, changed, delta.

    `selected` are those with more than one changed flag (or whitelisted) and a clear majority.
    """

    rows: Any
    selected: Any
    new: int


def screen(
    night: Night,
    *,
    symbols: Collection[str] | None = None,
    checks: Sequence[str] = CHECKS,
    whitelist: Collection[str] = (),
) -> Screened:
    """Count flags at asof, compare with the previous session, select."""
    now = night.now if symbols is None else night.now[night.now.index.isin(set(symbols))]
    rows = flags(now)
    before = flags(night.before).reindex(rows.index)
    chosen = rows[list(checks)]
    rows["num_bullish"] = (chosen == 1).sum(axis=1)
    rows["num_bearish"] = (chosen == -1).sum(axis=1)
    seen = before[list(checks)].notna().all(axis=1)
    rows["changed"] = np.where(seen, (chosen != before[list(checks)]).sum(axis=1), 0)
    rows["bull_bear_delta"] = rows[list(CHECKS)].sum(axis=1)
    majority = (rows["num_bullish"] - rows["num_bearish"]).abs() > 1
    moved = (rows["changed"] > 1) | rows.index.isin(set(whitelist))
    return Screened(rows=rows, selected=rows[majority & moved], new=int((~seen).sum()))


def flags(rows: Any) -> Any:
    """The ten flags under their check names, by symbol ascending; null reads as 0."""
    renamed = {column: check for check, column in FLAG_OF.items()}
    columns = [column for column in renamed if column in rows.columns]
    found = rows[columns].fillna(0).astype("i8").rename(columns=renamed)
    return found.reindex(columns=list(CHECKS), fill_value=0).sort_index()


def to_csv(selected: Any) -> bytes:
    """symbol, num_bullish, num_bearish, then the ten; symbols ascending."""
    columns = ["num_bullish", "num_bearish", *CHECKS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["symbol", *columns])
    writer.writerows([symbol, *row] for symbol, row in zip(*_cells(selected, columns), strict=True))
    return text.getvalue().encode()


def picks_of(night: Night) -> dict[str, str]:
    """Symbols of the entries to execute (or that a failed night holds back), by rank: a label."""
    if night.picks.empty:
        return {}
    rows = night.picks.sort_values("rank").to_dict("records")
    return {
        row["symbol"]: f"pick {row['rank']}: {row['direction']}, {row['strategy_id'] or 'universe'}"
        + (", not executed" if row["tag_reason"] == FAILED else "")
        for row in rows
        if row["tag"] == "execute" or row["tag_reason"] == FAILED
    }


def charted(screened: Screened, limit: int, *, picks: Sequence[str] = ()) -> list[str]:
    """Symbols that get chart pages, at most `limit` (0: all): picks, then the largest |delta|."""
    selected = screened.selected
    order = selected.assign(size=selected["bull_bear_delta"].abs()).reset_index()
    name = order.columns[0]
    largest = order.sort_values(["size", name], ascending=[False, True])[name].tolist()
    first = [symbol for symbol in picks if symbol in screened.rows.index]
    every = list(dict.fromkeys([*first, *largest]))
    return every[:limit] if limit else every


def _cells(rows: Any, columns: list[str]) -> tuple[list[str], list[list[int]]]:
    return list(rows.index), rows[columns].astype("i8").to_numpy().tolist()
