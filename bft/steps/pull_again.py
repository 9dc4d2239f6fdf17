"""A night that is pulled again: which of its bars now say something else.

What a night brought is replaced by what it brings now, so that a mended file is taken at once; of
earlier nights' bars it makes revisions (data specification, 1.4).
"""

from contextlib import suppress

import pandas as pd

from bft.domain import market
from bft.domain.errors import BftError
from bft.features import arrivals
from bft.steps.pull_night import Night, frame


def count_replaced(night: Night, bars: pd.DataFrame) -> None:
    """Count the bars of this night's earlier pull whose prices are replaced by others.

    As for revisions, changes up to 1 % are not worth a word.
    """
    was = _earlier(night)
    if was.empty:
        return
    moved = arrivals.restated(bars, was[was["status"] == "ok"])
    head = moved.sort_values("date", ascending=False, kind="stable").head(20)
    names = [
        f"{row.symbol} {row.date.date()} close {row.close_was:.12g} -> {row.close:.12g}"
        for row in head.itertuples(index=False)
    ]
    night.skips.add("replaced_bars", names, count=len(moved))


def _earlier(night: Night) -> pd.DataFrame:
    with suppress(BftError):  # what is broken is replaced unread
        last = night.store.manifest(market.BARS.name, asof=night.asof)
        if last is not None and last.asof == night.asof:
            columns = ["symbol", "date", *arrivals.PRICES, "status"]
            parts = [f"arrived={night.asof}"]
            rows = night.store.read(
                market.BARS.name, asof=night.asof, columns=columns, partitions=parts
            )
            return frame(rows)
    return pd.DataFrame()
