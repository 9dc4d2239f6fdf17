"""Daily bars: TIME_SERIES_DAILY_ADJUSTED and SPLITS, with the faults that sit in them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bft.sim.market.call import Answer, Call, as_csv, as_json, invalid, isodates
from bft.sim.market.draws import Floats, key, uniform
from bft.sim.market.faults import ROW_KINDS, SPLIT_KINDS, VALUE_KINDS
from bft.sim.market.paths import Mask

Places = NDArray[np.intp]
COMPACT_ROWS = 100
LATE_SPLIT_ROWS, LATE_BAR_ROWS, REVISED_ROWS = 3, 2, 5
_NO_NUMBER = ("NaN", "None", "-", ".")
_CSV = (
    "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient".split(
        ","
    )
)
_ROW = (
    '"%s": {"1. open": "%.4f", "2. high": "%.4f", "3. low": "%.4f", "4. close": "%.4f", '
    '"5. adjusted close": "%.8f", "6. volume": "%.0f", "7. dividend amount": "%.4f", '
    '"8. split coefficient": "%.4f"}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Bars of one security, oldest first; `prices` holds open, high, low, close, (4, n)."""

    place: int
    rows: Places
    prices: Floats
    adjusted: Floats
    volume: Floats
    dividend: Floats
    split: Floats


def bars_of(call: Call, place: int, *, last: int | None = None) -> Rows:
    """The security's true bars as known at the moment: all, or the `last` ones."""
    end, first = call.end(place), call.listing(place).first_row
    span = slice(max(first, end - last) if last else first, end)
    bars = call.world.bars
    prices = np.stack([part[span, place] for part in (bars.open, bars.high, bars.low, bars.close)])
    return Rows(
        place=place,
        rows=np.arange(span.start, span.stop),
        prices=prices,
        adjusted=prices[3] * bars.factor[span, place] / bars.factor[end - 1, place],
        volume=bars.volume[span, place],
        dividend=bars.dividend[span, place],
        split=bars.split[span, place],
    )


def daily(call: Call) -> Answer:
    """TIME_SERIES_DAILY_ADJUSTED."""
    place = call.find()
    if place is None:
        return invalid(call)
    compact = call.params.get("outputsize", "compact") != "full"
    made = bars_of(call, place, last=COMPACT_ROWS + 1 if compact else None)
    made, days = _faulty(call, made, COMPACT_ROWS if compact else len(made.rows))
    lines = list(zip(days, *made.prices.tolist(), *_tail(made), strict=True))[::-1]
    if call.wants_csv:
        cells = ([d, *(f"{v:.4f}" for v in rest)] for d, *rest in lines)
        return as_csv(_CSV, ([_word(call, c) for c in row] for row in cells))
    newest = max(days, default="")
    meta = as_json(
        {
            "1. Information": "Daily Time Series with Splits and Dividend Events",
            "2. Symbol": call.symbol,
            "3. Last Refreshed": newest,
            "4. Output Size": "Compact" if compact else "Full size",
            "5. Time Zone": "US/Eastern",
        }
    ).body
    body = ", ".join([_ROW % line for line in lines])
    text = f'{{"Meta Data": {meta}, "Time Series (Daily)": {{{body}}}}}'
    return Answer(text.replace('"nan"', f'"{_word(call, "nan")}"'))


def splits(call: Call) -> Answer:
    """SPLITS, newest first."""
    place = call.find()
    if place is None:
        return as_json({})
    made = _with_splits(call, bars_of(call, place))
    at = np.flatnonzero(made.split != 1)[::-1]
    days = isodates(call, made.rows[at])
    data = [
        {"effective_date": day, "split_factor": f"{ratio:.4f}"}
        for day, ratio in zip(days, made.split[at].tolist(), strict=True)
    ]
    if call.wants_csv:
        return as_csv(["effective_date", "split_factor"], [list(row.values()) for row in data])
    return as_json({"symbol": call.symbol, "data": data})


def _tail(made: Rows) -> list[list[float]]:
    return [part.tolist() for part in (made.adjusted, made.volume, made.dividend, made.split)]


def _word(call: Call, text: str) -> str:
    chance = uniform(call.world.plan.seed, "fault/word", key(call.symbol)).item()
    return _NO_NUMBER[int(chance * len(_NO_NUMBER))] if text == "nan" else text


def _faulty(call: Call, made: Rows, count: int) -> tuple[Rows, list[str]]:
    """Apply the faults of the list; keep the last `count` rows and name their days."""
    if call.faults.any(SPLIT_KINDS):
        made = _with_splits(call, made)
    if call.faults.any(VALUE_KINDS):
        made = _with_values(call, made)
    keep = np.arange(len(made.rows))
    if call.faults.any([*ROW_KINDS, "stale_day"]):
        keep = _kept(call, made)
    made = _take(made, keep[-count:])
    return made, isodates(call, made.rows)


def _take(made: Rows, at: Places) -> Rows:
    return Rows(
        place=made.place,
        rows=made.rows[at],
        prices=made.prices[:, at],
        adjusted=made.adjusted[at],
        volume=made.volume[at],
        dividend=made.dividend[at],
        split=made.split[at],
    )


def _marks(call: Call, kind: str, made: Rows, where: Mask | None = None) -> Mask:
    numbers = call.world.numbers[made.rows]
    there = np.ones(len(numbers), dtype=bool) if where is None else where
    return call.faults.marks(kind, call.function, call.symbol, numbers, there)


def _with_splits(call: Call, made: Rows) -> Rows:
    split, age = made.split.copy(), call.row - made.rows
    split[_marks(call, "missing_split", made, split != 1)] = 1
    split[_marks(call, "late_split", made, (split != 1) & (age < LATE_SPLIT_ROWS))] = 1
    split[_marks(call, "phantom_split", made, split == 1)] = 2
    return replace(made, split=split)


def _with_values(call: Call, made: Rows) -> Rows:
    prices, volume, age = made.prices.copy(), made.volume.copy(), call.row - made.rows
    revised = _marks(call, "revised_close", made, age < REVISED_ROWS)
    prices[3, revised] = (made.prices[1] + made.prices[2])[revised] / 2  # the middle of the range
    for n in np.flatnonzero(_marks(call, "frozen_bar", made)[1:]):  # one by one: they may follow
        prices[:, n + 1], volume[n + 1] = prices[:, n], volume[n]
    volume[_marks(call, "zero_volume", made)] = 0
    prices[3, _marks(call, "negative_price", made)] *= -1
    broken = _marks(call, "ohlc_broken", made)
    prices[1, broken] = 0.99 * prices[2, broken]  # a high below the low
    empty = np.flatnonzero(_marks(call, "nan_value", made))
    field = uniform(call.world.plan.seed, "fault/field", key(call.symbol), made.rows[empty])
    prices[(4 * field).astype(np.intp), empty] = np.nan
    return replace(made, prices=prices, volume=volume)


def _kept(call: Call, made: Rows) -> Places:
    """Places of the rows to send, in sending order (oldest first where nothing is wrong)."""
    newest = made.rows == call.row
    lost = _marks(call, "missing_day", made)
    lost |= _marks(call, "late_bar", made, call.row - made.rows < LATE_BAR_ROWS)
    if call.strikes("stale_day"):
        lost |= newest
    keep = np.flatnonzero(~lost)
    if call.strikes("duplicate_day"):
        keep = np.append(keep, keep[-1:])
    if call.strikes("unsorted"):
        keep = keep[np.argsort(uniform(call.world.plan.seed, "fault/order", keep), kind="stable")]
    return keep
