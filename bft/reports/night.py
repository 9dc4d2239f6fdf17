"""The tables of one night as the reports read them; what is absent is named, never invented."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bft.domain import sessions
from bft.domain.advice import rooted
from bft.domain.gold import SIMULATED
from bft.domain.market import SECTOR_FUNDS, sector_of
from bft.domain.runs import FailedStep

EXPECTED = (
    "gold",
    "forecasts",
    "outcomes",
    "signals",
    "picks",
    "quality",
    "news",
    "earnings",
    "earnings_calendar",
    "universe",
)
"""Tables a report asks for; one without rows is named as absent."""
LONGEST = 240
"""Characters of one failure in a banner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """Frames of one asof. `gold` is on the asof basis (data specification, 3.1), sorted by key.

    `now` and `before` are its rows of asof and of the session before, indexed by symbol.
    `forecasts`, `signals` and `picks` hold the rows of asof, `past_*` those before it.
    """

    asof: date
    gold: Any
    now: Any
    before: Any
    forecasts: Any
    past_forecasts: Any
    outcomes: Any
    signals: Any
    past_signals: Any
    picks: Any
    past_picks: Any
    quality: Any
    news: Any
    earnings: Any
    earnings_calendar: Any
    universe: Any
    absent: tuple[str, ...]
    simulated: bool
    failed: tuple[FailedStep, ...] = ()
    root: str | None = None


def open_night(
    tables: Mapping[str, pa.Table],
    *,
    asof: date,
    failed: tuple[FailedStep, ...] = (),
    root: str | None = None,
    simulated: bool = False,
) -> Night:
    """Frames from Arrow tables; `gold` must already be on the asof basis.

    `failed` are steps of the night that failed: then no entry is one to execute, and what to do
    names the `root` the call gave. `simulated` is what the root holds, though the day have no rows.
    """
    frames = {name: _frame(tables.get(name)) for name in EXPECTED}
    if "slot" in frames["signals"]:  # what intraday scans showed is no decision of a close
        frames["signals"] = frames["signals"][frames["signals"]["slot"] == "close"]
    gold, day = frames["gold"], pd.Timestamp(asof)
    previous = pd.Timestamp(sessions.shift(asof, -1))
    split = {name: _split(frames[name], day) for name in ("forecasts", "signals", "picks")}
    now = _rows_of(gold, day)
    return Night(
        asof=asof,
        gold=gold,
        now=now,
        before=_rows_of(gold, previous),
        forecasts=_by_symbol(split["forecasts"][0]),
        past_forecasts=split["forecasts"][1],
        outcomes=frames["outcomes"],
        signals=_held_back(split["signals"][0], failed),
        past_signals=split["signals"][1],
        picks=_held_back(split["picks"][0], failed),
        past_picks=split["picks"][1],
        quality=_split(frames["quality"], day)[0],
        news=newest(frames["news"], ["article_id", "symbol"]),
        earnings=newest(frames["earnings"], ["symbol", "fiscal_date_ending"]),
        earnings_calendar=newest(frames["earnings_calendar"], ["symbol", "fiscal_date_ending"]),
        universe=_members(frames["universe"], asof),
        absent=tuple(name for name in EXPECTED if frames[name].empty),
        simulated=simulated or _simulated(now, split),
        failed=failed,
        root=root,
    )


def failure_lines(failed: tuple[FailedStep, ...], asof: date, root: str | None = None) -> list[str]:
    """What a banner says of a failed night: that it failed, each step and why, what to do."""
    if not failed:
        return []
    return [
        f"This night failed at {', '.join(one.verb for one in failed)}: none of its picks is "
        "executed. " + rooted(f"Mend it, then: bft run nightly --asof {asof}", root),
        *(_clipped(one.told) for one in failed),
        "Exits that it decided are still sent; stops stand at the broker.",
    ]


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rsplit(' ', 1)[0]} ..."


def series(night: Night, *, since: date | None = None) -> dict[str, Any]:
    """Rows of gold per symbol, oldest first."""
    gold = night.gold if since is None else night.gold[night.gold["date"] >= pd.Timestamp(since)]
    return {str(symbol): rows for symbol, rows in gold.groupby("symbol", sort=True)}


def newest(frame: Any, key: list[str]) -> Any:
    """The newest accepted revision per key."""
    if frame.empty:
        return frame
    rows = frame[frame["status"] != "refused"].sort_values([*key, "arrived_at", "revision"])
    return rows.drop_duplicates(key, keep="last").reset_index(drop=True)


def fund_of(sector: Any) -> str | None:
    """Fund of a sector label, or None where the label names no known sector."""
    name = sector_of(sector if isinstance(sector, str) else None)
    return SECTOR_FUNDS[name] if name else None


def value(frame: Any, symbol: str, column: str) -> Any:
    """One cell, None where the row, column or value is absent."""
    if column not in frame.columns or symbol not in frame.index:
        return None
    cell = frame.at[symbol, column]
    if isinstance(cell, str):
        return cell or None
    return None if pd.isna(cell) else cell.item() if isinstance(cell, np.generic) else cell


def _frame(table: pa.Table | None) -> Any:
    if table is None:
        return pd.DataFrame()
    frame = table.to_pandas(date_as_object=False)
    for name in table.schema.names:
        if pa.types.is_string(table.schema.field(name).type):
            words = frame[name].astype(object)
            frame[name] = words.where(words.notna(), None)  # a null string is None, never NaN
    return frame


def _held_back(frame: Any, failed: tuple[FailedStep, ...]) -> Any:
    """Entries of a failed night are only shown, also those tagged before it failed."""
    if not failed or frame.empty:
        return frame
    entry = frame["kind"] == "entry" if "kind" in frame else True
    execute = (frame["tag"] == "execute") & entry
    return frame.assign(
        tag=frame["tag"].mask(execute, "watch"),
        tag_reason=frame["tag_reason"].mask(execute, "night_failed"),
    )


def _rows_of(gold: Any, day: Any) -> Any:
    if gold.empty:
        return pd.DataFrame()
    return gold[gold["date"] == day].set_index("symbol")


def _by_symbol(frame: Any) -> Any:
    return frame.set_index("symbol") if "symbol" in frame.columns else pd.DataFrame()


def _split(frame: Any, day: Any) -> tuple[Any, Any]:
    if frame.empty:
        return frame, frame
    return frame[frame["asof"] == day], frame[frame["asof"] < day]


def _members(frame: Any, asof: date) -> Any:
    if frame.empty:
        return pd.DataFrame()
    rows = newest(frame, ["symbol", "from"])
    day = pd.Timestamp(asof)
    member = (rows["from"].isna() | (rows["from"] <= day)) & (
        rows["to"].isna() | (rows["to"] > day)
    )
    return rows[member].drop_duplicates("symbol", keep="last").set_index("symbol")


def _simulated(now: Any, split: Mapping[str, tuple[Any, Any]]) -> bool:
    flagged = not now.empty and bool((now["row_flags"].fillna(0).astype(int) & SIMULATED).any())
    said = [frames[0] for frames in split.values() if not frames[0].empty]
    return flagged or any(bool(frame["simulated"].fillna(value=False).any()) for frame in said)
