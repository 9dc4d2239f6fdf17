"""What verbs that tell of a night read alike: its day, gold on the asof basis, its source."""

import argparse
import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from bft.domain import origin, sessions
from bft.ports import Ports, Step, Store
from bft.steps.record import pull_of

if TYPE_CHECKING:
    import pyarrow as pa

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")  # whatever else lies there tells of no night
FAILURES, BOOKS = "failures/", "ledger/days/"
BASIS_COLUMNS = ("symbol", "date", "adj_factor", "split_factor", "row_flags")


def fill_day(ports: Ports, step: Step, args: argparse.Namespace) -> date | None:
    """Put a call's day on `args` where it names none, and check it.

    Returns the last closed session where the day was filled in and is another.

    Raises:
        UsageError: asof is no closed session.
    """
    now = ports.clock.now()
    closed = sessions.last_closed(now)
    if args.asof is not None:
        sessions.check_asof(args.asof, now=now)
        return None
    args.asof = newest_day(ports.store, closed=closed) if step.reads_newest(args) else closed
    return None if args.asof == closed else closed


def newest_day(store: Store, *, closed: date) -> date:
    """Newest day up to `closed` that the root holds anything of; `closed` where it holds none.

    A night counts that failed, and a day that only has its books: what is told of either names
    the day, so that a night which is lacking does not look like the one before it (ADR 0093).
    """
    gold, pulled = store.manifest("gold", asof=closed), origin.pulled_to(store)
    noted = {key.removeprefix(FAILURES).partition("/")[0] for key in store.keys(FAILURES)}
    noted |= {key.removeprefix(BOOKS).removesuffix(".json") for key in store.keys(BOOKS)}
    days = [date.fromisoformat(text) for text in noted if _ISO_DAY.fullmatch(text)]
    days += [gold.asof] if gold else []
    days += [pulled] if pulled else []
    return max((day for day in days if day <= closed), default=closed)


def gold_asof(
    ports: Ports, asof: date, *, columns: Sequence[str], since: date | None = None
) -> "pa.Table":
    """Rows of gold up to asof, prices on the basis of asof; sorted by symbol and date."""
    from bft.features.basis import rebase

    names = list(dict.fromkeys([*BASIS_COLUMNS, *columns]))
    rows = ports.store.read("gold", asof=asof, columns=names, since=since)
    return rebase(rows, asof=asof) if rows.num_rows else rows


def source_of(store: Store, asof: date) -> str:
    """Source that the pull of asof names, else that of the root, or unknown."""
    about, held = pull_of(store, asof), origin.remembered(store)
    found = about["args"].get("source") or "alphavantage" if about else held and held.source
    return str(found or "unknown").partition(":")[0]
