"""Checks of computed columns and inputs: Q14 to Q16, Q21."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bft.domain import gold, sessions
from bft.domain.gold import INPUTS
from bft.features.facts import Bools, Floats, Ints
from bft.features.flags import flags
from bft.features.inputs import HISTORY_ROWS, model_inputs
from bft.features.quality.evidence import YEAR_SESSIONS, Evidence
from bft.features.quality.findings import Finding, Severity, each, fail, one, share

KERNEL_COLUMNS = (
    *(column.name for column in gold.COLUMNS[7:21]),
    *("52_week_high", "52_week_low", "macd_9_ema"),
)
STUCK_ROWS = 3
LEVELS = ("sma_50", "macd_9_ema", "atr_14", "bbands_upper_20", "bbands_lower_20")
MARGIN = 1e-5  # flags next to a threshold may differ after rounding to f4
RANGES = {
    "rsi_14": (0.0, 100.0),
    "adx_14": (0.0, 100.0),
    **dict.fromkeys(("volume", "call_volume", "put_volume", "total_volume", "pcr"), (0.0, np.inf)),
}
BY_DATE = {"day_of_week_num", "month", *gold.CONTEXT_INPUTS} - {"sector_rel_ret_1d"}
"""Inputs that are the same for all symbols of a day, or of a sector."""
BINS, EMPTY, DRIFT = 10, 1e-4, 0.25
NEWEST_SESSIONS = 20
"""Sessions that do not count as usual yet, so that a lasting shift is warned of that long."""


def null_kernels(ev: Evidence) -> list[Finding]:
    """Q14: kernels that are null now though their segment holds 252 rows."""
    ready = ev.now & (_rows_in_segment(ev) >= gold.YEAR_ROWS)
    null = np.zeros(len(ready), dtype=bool)
    for name in KERNEL_COLUMNS:
        null |= np.isnan(ev.column(name))
    names = ev.names(null & ready)
    return [
        *each("Q14", names, Severity.QUARANTINE, what="a kernel is null now"),
        *share("Q14", names, int(ev.now.sum()), fail(0.02), what="symbols with a null kernel"),
    ]


def stuck_kernels(ev: Evidence) -> list[Finding]:
    """Q15: RSI exactly 0 or 100, or ADX constant, for three rows while the price moved."""
    names = []
    for symbol, rows in ev.by_symbol():
        if not ev.now[rows][-1] or rows.stop - rows.start <= STUCK_ROWS:
            continue
        rsi, adx, moved = (
            ev.column(name)[rows][-STUCK_ROWS:]
            for name in ("rsi_14", "adx_14", "adjusted_close_pct")
        )
        stuck = (rsi == 0).all() or (rsi == 100).all() or (adx == adx[0]).all()
        if stuck and (np.nan_to_num(moved) != 0).all():
            names.append(symbol)
    return each("Q15", names, Severity.QUARANTINE, what="RSI or ADX stands still: a swallowed null")


def ranges_and_flags(ev: Evidence) -> list[Finding]:
    """Q16: values in range, no infinity, flags and their sum as a recomputation says."""
    wrong: dict[str, Bools] = {}
    for name, (low, high) in RANGES.items():
        values = ev.column(name)
        wrong[name] = (values < low) | (values > high)
    for field in ev.gold.schema:
        if pa.types.is_floating(field.type) and pc.any(pc.is_inf(ev.gold[field.name])).as_py():
            wrong[f"{field.name} infinite"] = np.isinf(ev.column(field.name))
    wrong |= _wrong_flags(ev)
    found = []
    for name, rows in wrong.items():
        if rows.any():
            keys = ", ".join(ev.keys(rows)[:10])
            message = f"{name}: {int(rows.sum())} rows out of range or wrong: {keys}"
            found += one("Q16", Severity.FAIL, message, value=float(rows.sum()), at=0.0)
    return found


def input_drift(ev: Evidence) -> list[Finding]:
    """Q21: the day's distribution of each input against the 252 sessions before.

    One day's symbols move together, so that the PSI of a usual day is far above the limit; it
    is warned of where it also exceeds that of every earlier day, the newest 20 left out.
    """
    since = sessions.shift(ev.asof, -YEAR_SESSIONS)
    read = sessions.shift(since, -HISTORY_ROWS)
    rows = ev.gold.filter(pc.greater_equal(ev.gold["date"], read))
    rows = rows.drop_columns([name for name in gold.LOOKAHEAD if name in rows.schema.names])
    inputs = model_inputs(rows, macro=ev.macro)
    day = rows["date"].to_numpy().astype("datetime64[D]")
    now, before = day == np.datetime64(ev.asof), day >= np.datetime64(since)
    before &= ~now & (day < np.datetime64(ev.asof))
    usual_until = np.datetime64(sessions.shift(ev.asof, -NEWEST_SESSIONS))
    found = []
    for place, name in enumerate(INPUTS):
        if name in BY_DATE:
            continue
        expected = inputs[before, place]
        value = stability(expected, inputs[now, place])
        if value is None or value <= DRIFT:
            continue
        usual = _highest(expected, day[before], until=usual_until)
        if value > usual:
            message = (
                f"{name}: PSI {value:.2f} against the last {YEAR_SESSIONS} sessions, whose own "
                f"days reached {usual:.2f}"
            )
            found += one("Q21", Severity.WARN, message, value=value, at=max(DRIFT, usual))
    return found


def stability(expected: Floats, found: Floats) -> float | None:
    """Population stability index over quantile bins of `expected`; None without values.

    Source: Siddiqi, Credit Risk Scorecards (2006), chapter 6.
    """
    expected, found = expected[~np.isnan(expected)], found[~np.isnan(found)]
    if not len(expected) or not len(found):
        return None
    edges = _edges(expected)
    p, q = (_shares(values, edges) for values in (expected, found))
    return float(((q - p) * np.log(q / p)).sum())


def _highest(expected: Floats, day: NDArray[np.datetime64], *, until: np.datetime64) -> float:
    """Highest index of a single day before `until` against all days; 0 without such days."""
    known = ~np.isnan(expected)
    expected, day = expected[known], day[known]
    edges = _edges(expected)
    days, place = np.unique(day, return_inverse=True)
    bins = len(edges) + 1
    cells = place * bins + np.searchsorted(edges, expected)
    counts = np.bincount(cells, minlength=len(days) * bins).reshape(len(days), bins)
    p = _shares(expected, edges)
    q = np.maximum(counts / counts.sum(axis=1, keepdims=True), EMPTY)
    by_day = ((q - p) * np.log(q / p)).sum(axis=1)
    return float(by_day[days < until].max(initial=0.0))


def _edges(expected: Floats) -> Floats:
    return np.unique(np.quantile(expected, np.linspace(0, 1, BINS + 1)[1:-1]))


def _shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return np.maximum(counts / len(values), EMPTY)


def _rows_in_segment(ev: Evidence) -> Ints:
    """Rows of its segment up to each row, itself included."""
    row = np.arange(len(ev.day))
    far = np.r_[False, np.diff(ev.session) > gold.GAP_SESSIONS + 1][: len(row)]
    start = np.maximum.accumulate(np.where(ev.first_of_symbol | far, row, 0))
    return row - start + 1


def _wrong_flags(ev: Evidence) -> dict[str, Bools]:
    """Rows whose flag is none of those that the stored columns, rounded to f4, allow."""
    variants = [flags(_levels(ev, nudge)) for nudge in (0.0, MARGIN, -MARGIN)]
    stored = {name: ev.column(name) for name in (*gold.FLAGS, "bull_bear_delta")}
    wrong = {
        name: np.logical_and.reduce([stored[name] != each[name] for each in variants])
        for name in gold.FLAGS
    }
    total = np.sum([stored[name] for name in gold.FLAGS], axis=0)
    return wrong | {"bull_bear_delta": stored["bull_bear_delta"] != total}


def _levels(ev: Evidence, nudge: float) -> dict[str, Floats]:
    """What flags compare, moved a little to one side."""
    price = ev.column("adjusted_close")
    levels = {name: ev.column(name) for name in LEVELS}
    levels |= {name: ev.column(name) * (1 + nudge) for name in ("sma_20", "pe_ratio", "pcr")}
    levels |= {name: ev.column(name) + nudge * 100 for name in ("adx_14", "rsi_14", "cci_14")}
    levels["macd"] = ev.column("macd") + nudge * price
    levels["price"] = price * (1 + 2 * nudge)
    return levels
