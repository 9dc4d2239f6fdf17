"""What a delivery adds to a stored table: new keys, revisions, refusals; equal rows are nothing.

The overlap of old and new rows is compared, never cut by the newest stored day, so a late row
still arrives and a correction is seen (data specification, 1.4).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bft.domain import sessions

PRICES = ("open", "high", "low", "close")
REVISION_FRAC = 0.01  # a larger price change needs an action that explains it
KEY, ADJUSTED = ["symbol", "date"], "vendor_adjusted_close"
ADJUSTED_FRAC, ANCHOR_ROWS = 5e-4, 20  # adjusted closes of cheap shares are rounded as coarsely
VOLUME_FRAC = 0.50  # a larger volume change is accepted and flagged
OVERVIEW_SESSIONS = 20  # an unchanged snapshot is stored again after so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Rows to store with `revision` and `status`; what they were, row by row, in `change`.

    `change` is new, revised or refused; `equal` counts the delivered rows that say nothing new.
    """

    rows: pd.DataFrame
    change: pd.Series
    equal: int

    def count(self, change: str) -> int:
        """Rows of one kind of change."""
        return int((self.change == change).sum())


Judge = Callable[[pd.DataFrame], pd.Series]
"""Changed rows, with the stored values as `NAME_was`, to True where the change is believed."""


def arrivals(
    stored: pd.DataFrame,
    fetched: pd.DataFrame,
    *,
    key: Sequence[str],
    values: Sequence[str],
    judge: Judge | None = None,
) -> Arrivals:
    """Compare a delivery with what is stored, both free of repeats within a revision.

    `fetched` may bear a `status` of its own, which is then compared with the newest revision's.
    Otherwise the newest accepted one counts, and a change that repeats a newer refused revision
    is equal: the vendor insists, nothing new is known.
    """
    key, own_status = list(key), "status" in fetched
    fetched = fetched if own_status else fetched.assign(status="ok")
    fetched = fetched.sort_values(key, kind="stable", ignore_index=True)
    if not len(stored):
        change = fetched["status"].eq("refused").map({True: "refused", False: "new"})
        return Arrivals(rows=fetched.assign(revision=np.int16(0)), change=change, equal=0)
    stored = stored.sort_values("revision", kind="stable")
    kept = [*key, *values, "status", "revision"]
    newest = stored.drop_duplicates(key, keep="last")[kept]
    accepted = stored[stored["status"] != "refused"].drop_duplicates(key, keep="last")[kept]
    seen = _beside(fetched, newest, key)
    known = _beside(fetched, accepted, key)
    if own_status:
        same = _same(seen, [*values, "status"]) & seen["revision_was"].notna()
    else:
        same = _same(known, values) & known["revision_was"].notna()
        same |= _same(seen, values) & (seen["status_was"] == "refused")
    new = seen["revision_was"].isna()
    rows = fetched.assign(revision=seen["revision_was"].add(1).fillna(0).astype("int16"))
    changed = ~new & ~same & known["revision_was"].notna() & (rows["status"] == "ok")
    if judge is not None and changed.any():
        doubted = changed.copy()
        doubted[changed] = ~judge(known[changed])
        rows["status"] = rows["status"].mask(doubted, "refused")
    change = pd.Series(np.where(new, "new", "revised"), index=rows.index)
    change = change.mask(rows["status"] == "refused", "refused")
    return Arrivals(rows=rows[~same], change=change[~same], equal=int(same.sum()))


def with_vintages(found: Arrivals, fetched: pd.DataFrame, key: Sequence[str]) -> Arrivals:
    """Arrivals, and the stored vintages that were fetched beside them and were known later.

    They arrive once more: of vintages that arrive together the one known last counts.
    """
    key = list(key)
    first = found.rows.groupby(key, as_index=False)["known_at"].min()
    since = _beside(fetched[key], first, key)["known_at_was"].set_axis(fetched.index)
    new = pd.MultiIndex.from_frame(found.rows[[*key, "known_at"]])
    equal = ~pd.MultiIndex.from_frame(fetched[[*key, "known_at"]]).isin(new)
    again = fetched[(fetched["known_at"] > since) & equal].assign(status="ok")
    if not len(again):
        return found
    change = pd.Series("again", index=again.index)
    rows = pd.concat([found.rows, again]).assign(change=pd.concat([found.change, change]).array)
    rows = rows.sort_values([*key, "known_at"], kind="stable", ignore_index=True)
    return Arrivals(
        rows=rows.drop(columns="change"), change=rows["change"], equal=found.equal - len(again)
    )


def numbered(rows: pd.DataFrame, stored: pd.DataFrame, key: Sequence[str]) -> pd.Series:
    """Revision numbers of several vintages of a key: after the stored ones, in row order."""
    last = stored.groupby(list(key), as_index=False)["revision"].max()
    before = _beside(rows[list(key)], last, list(key))["revision_was"].add(1).fillna(0)
    order = rows.groupby(list(key)).cumcount()
    return (before.to_numpy() + order).astype("int16")


def newest(stored: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Of each key the row of its last revision."""
    return stored.sort_values("revision", kind="stable").drop_duplicates(list(key), keep="last")


def chained(fetched: pd.DataFrame, stored: pd.DataFrame) -> pd.Series:
    """The vendor's adjusted closes on the basis on which each symbol's first ones came.

    A vendor scales the whole past at every dividend. Only steps from row to row are of use, so a
    delivery is scaled to agree with the oldest stored rows it overlaps, and where it then agrees
    with what is stored, within 5e-4, the stored value stands.
    """
    last = newest(stored, KEY)
    both = _beside(fetched[[*KEY, ADJUSTED]], last[[*KEY, ADJUSTED]], KEY)
    both = both.sort_values(KEY, kind="stable")
    ratio = both[f"{ADJUSTED}_was"] / both[ADJUSTED]
    oldest = ratio[ratio.notna()].groupby(both["symbol"]).head(ANCHOR_ROWS)
    scale = both["symbol"].map(oldest.groupby(both["symbol"]).median()).fillna(1.0)
    moved = (ratio / scale - 1).abs() <= ADJUSTED_FRAC
    scaled = (both[ADJUSTED] * scale).mask(moved, both[f"{ADJUSTED}_was"])
    return scaled.sort_index().set_axis(fetched.index)


def price_judge(actions: pd.DataFrame) -> Judge:
    """Believe price changes up to 1 %, larger ones only beside an accepted action of the symbol.

    Beside: the ex-date is the bar's session or a neighbouring one.
    """
    taken = actions[(actions["status"] == "ok") & (actions["kind"] != "none")]
    near = {
        (symbol, pd.Timestamp(day))
        for symbol, ex_date in zip(taken["symbol"], taken["ex_date"], strict=True)
        for day in _neighbours(ex_date)
    }

    def believed(rows: pd.DataFrame) -> pd.Series:
        moved = pd.concat([_moved(rows, name) for name in PRICES], axis=1).max(axis=1)
        beside = [pair in near for pair in zip(rows["symbol"], rows["date"], strict=True)]
        return (moved <= REVISION_FRAC + 1e-9) | np.array(beside, dtype=bool)

    return believed


def volume_flags(rows: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Revised bars whose volume changed by more than half."""
    last = newest(stored, ["symbol", "date"])
    both = rows.merge(
        last[["symbol", "date", "volume"]], on=["symbol", "date"], suffixes=("", "_was")
    )
    return both[_moved(both, "volume") > VOLUME_FRAC]


def restated(now: pd.DataFrame, was: pd.DataFrame) -> pd.DataFrame:
    """Bars in both of which a price moved by more than 1 %; the other's prices as `NAME_was`."""
    both = now[[*KEY, *PRICES]].merge(was[[*KEY, *PRICES]], on=KEY, suffixes=("", "_was"))
    moved = pd.concat([_moved(both, name) for name in PRICES], axis=1).max(axis=1)
    return both[moved > REVISION_FRAC + 1e-9]


def snapshots(stored: pd.DataFrame, fetched: pd.DataFrame, *, values: Sequence[str]) -> pd.Series:
    """Snapshots worth a row: a field differs from the newest one, or 20 sessions have passed."""
    last = stored.sort_values("arrived_on").drop_duplicates("symbol", keep="last")
    both = _beside(fetched, last[["symbol", "arrived_on", *values]], ["symbol"])
    absent = both["arrived_on_was"].isna()
    age = _session_numbers(both["arrived_on"]) - _session_numbers(both["arrived_on_was"])
    return absent | ~_same(both, values) | (age >= OVERVIEW_SESSIONS)


def _beside(fetched: pd.DataFrame, stored: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    named = stored.rename(columns={c: f"{c}_was" for c in stored.columns if c not in key})
    for column in key:  # an empty table's columns are objects
        named[column] = named[column].astype(fetched[column].dtype)
    return fetched.merge(named, on=key, how="left")


def _same(rows: pd.DataFrame, values: Sequence[str]) -> pd.Series:
    same = pd.Series(data=True, index=rows.index)
    for name in values:
        now, was = rows[name], rows[f"{name}_was"]
        same &= (now == was).fillna(value=False).astype(bool) | (now.isna() & was.isna())
    return same


def _moved(rows: pd.DataFrame, name: str) -> pd.Series:
    now, was = rows[name], rows[f"{name}_was"]
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (now / was - 1).abs()
    return moved.where(was.notna() & now.notna() & (was != now), 0.0)


def _neighbours(ex_date: pd.Timestamp) -> list[object]:
    place = sessions.number(sessions.on_or_after(ex_date.date()))
    return [sessions.session(place + step) for step in (-1, 0, 1)]


def _session_numbers(days: pd.Series) -> pd.Series:
    known = {
        day: sessions.number(sessions.on_or_before(day.date())) for day in days.dropna().unique()
    }
    return days.map(known).astype("float64")
