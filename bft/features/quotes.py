"""Whether a quote may stand for the running session's bar (data specification, 7.1 and 7.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bft.domain import sessions
from bft.features.facts import Bools, Floats
from bft.features.suspects import CANDIDATES, CLOSE_LOG, STEP_DOWN, STEP_UP

MAX_AGE_S = 120.0
MAX_MOVE_FRAC = 0.20
SHARE_MIN = 0.1
"""Least elapsed share of a session by which volume so far is projected."""
NO_QUOTE, STALE_QUOTE, BAD_QUOTE, HALTED = "no_quote", "stale_quote", "bad_quote", "halted"
SPLIT = "suspected_split"
PRICES = ("last", "open", "high", "low", "prev_close", "volume")
Words = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """One quote per symbol, NaN where absent; shape (S,) each.

    `at_s` are seconds since 1970 by the feed's stamp (NaN: the feed gave no time), `simulated`
    says who answered.
    """

    at_s: Floats
    last: Floats
    open: Floats
    high: Floats
    low: Floats
    prev_close: Floats
    volume: Floats
    simulated: Bools


def newest(table: pa.Table, symbols: Sequence[str]) -> Quotes:
    """The newest quote of each symbol; one without a time of its own (not bulk) has no stamp."""
    rows = table.to_pandas().sort_values("at", kind="stable").drop_duplicates("symbol", keep="last")
    rows = rows.set_index("symbol").reindex(list(symbols))
    stamp = rows["at"].to_numpy("datetime64[us]").astype(np.int64).astype(np.float64) / 1e6
    timed = rows["bulk"].fillna(value=False).to_numpy(bool) & rows["at"].notna().to_numpy()
    return Quotes(
        at_s=np.where(timed, stamp, np.nan),
        simulated=(rows["source"] == "sim").to_numpy(bool),
        **{name: rows[name].to_numpy(np.float64, na_value=np.nan) for name in PRICES},
    )


def reasons(
    quotes: Quotes, *, previous: Floats, acted: Bools, session: date, at: datetime
) -> Words:
    """Why each quote is of no use, empty where it is usable.

    `previous` is the close before on the basis of `session`; where an action is due that day
    (`acted`) the vendor's own previous close says nothing. `at` is the run's instant.
    """
    moment, none = at.timestamp(), np.isnan(quotes.last) & np.isnan(quotes.at_s)
    timely = np.abs(moment - quotes.at_s) <= MAX_AGE_S
    timely &= quotes.at_s >= sessions.open_at(session).timestamp()
    odd = ~(np.isfinite(quotes.last) & (quotes.last > 0))
    odd |= (quotes.low > quotes.last) | (quotes.high < quotes.last)
    far = _far(quotes.last, previous)
    far |= ~acted & _far(quotes.last, quotes.prev_close)
    split = ~odd & _like_a_split(previous, quotes.last)
    found = np.select(
        [none, ~timely, split, odd | far, quotes.volume == 0],
        [NO_QUOTE, STALE_QUOTE, SPLIT, BAD_QUOTE, HALTED],
        default="",
    )
    return np.asarray(found, dtype=np.str_)


def elapsed_share(quotes: Quotes, session: date) -> Floats:
    """Share of the session that is over at each quote, at least SHARE_MIN; shape (S,)."""
    first, last = (each(session).timestamp() for each in (sessions.open_at, sessions.close_at))
    return np.clip((quotes.at_s - first) / (last - first), SHARE_MIN, 1.0)


def _far(last: Floats, before: Floats) -> Bools:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Bools = np.abs(last / before - 1) > MAX_MOVE_FRAC
    return found


def _like_a_split(before: Floats, last: Floats) -> Bools:
    """Where the gap is one that Q09 would look at, near a ratio of splits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        q = before / last
        distance = np.abs(np.log(q[:, None] / CANDIDATES))  # (S,) -> (S, C)
    found: Bools = ((q >= STEP_DOWN) | (q <= STEP_UP)) & (distance.min(axis=1) <= CLOSE_LOG)
    return found
