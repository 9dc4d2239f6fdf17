"""Checks of the rows themselves: Q01 to Q08, Q20."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain import sessions
from bft.domain.gold import ZERO_VOLUME
from bft.features.bars import unusable_closes
from bft.features.facts import Bools, day_number, numbers
from bft.features.quality.evidence import Evidence
from bft.features.quality.findings import Finding, Severity, each, fail, one, share, warn
from bft.features.repair import out_of_order
from bft.features.rows import SCHEMA

FIVE = ("open", "high", "low", "adjusted_close", "volume")
MEDIAN_WARN_PCT, MEDIAN_FAIL_PCT = 8.0, 15.0


def schema_and_keys(ev: Evidence) -> list[Finding]:
    """Q01: 96 names, order and types; keys unique, sorted, on sessions, none after asof."""
    if not ev.gold.schema.equals(SCHEMA):
        odd = sorted(set(ev.gold.schema.names) ^ set(SCHEMA.names)) or "order or types"
        return one("Q01", Severity.FAIL, f"gold differs from its schema: {odd}")
    steps = np.diff(ev.day)
    wrong = np.r_[False, (ev.code[1:] == ev.code[:-1]) & (steps <= 0)][: len(ev.day)]
    grid = np.array([day_number(d) for d in sessions.sessions(sessions.EPOCH, ev.asof)])
    place = np.minimum(np.searchsorted(grid, ev.day), len(grid) - 1)
    early = ev.day < grid[0]
    wrong |= (grid[place] != ev.day) & ~early
    wrong |= ev.day > day_number(ev.asof)
    unsorted = ev.symbols != sorted(ev.symbols)
    if not wrong.any() and not unsorted:
        return []
    shown = ", ".join(ev.keys(wrong)[:10]) or "symbols are not ascending"
    return one("Q01", Severity.FAIL, f"keys repeat, are unsorted or on no session: {shown}")


def coverage(ev: Evidence) -> list[Finding]:
    """Q02: active symbols with a row now."""
    have = set(ev.names(ev.now))
    lacking = [symbol for symbol in ev.active if symbol not in have]
    return share(
        "Q02", lacking, len(ev.active), fail(0.05), warn(0.02), what="active symbols without a row"
    )


def row_count(ev: Evidence) -> list[Finding]:
    """Q03: no fewer rows than the manifest before, unless facts were restated."""
    if ev.rows_before is None or ev.restated or ev.gold.num_rows >= ev.rows_before:
        return []
    message = f"{ev.gold.num_rows} rows, {ev.rows_before} before, and nothing was restated"
    return one("Q03", Severity.FAIL, message, value=ev.gold.num_rows, at=ev.rows_before)


def ohlc_order(ev: Evidence) -> list[Finding]:
    """Q04: bars as delivered: low <= open, close <= high but for the slack, all above zero."""
    bars = ev.tables["bars"]
    prices = (numbers(bars[name]) for name in ("open", "high", "low", "close"))
    broken = bars.filter(pa.array(out_of_order(*prices))).select(["symbol", "date"]).to_pylist()
    now = [row["symbol"] for row in broken if row["date"] == ev.asof]
    keys = [f"{row['symbol']} {row['date']}" for row in broken]
    what = "OHLC order broken or not above zero"
    return [
        *each("Q04", now, Severity.QUARANTINE, what=f"{what} now"),
        *share("Q04", keys, bars.num_rows, fail(0.05), warn(0.001), what=what),
    ]


def dropped_bars(ev: Evidence) -> list[Finding]:
    """Q05: bars without a usable close."""
    bars = unusable_closes(ev.tables["bars"])
    keys = [
        f"{symbol} {day}"
        for symbol, day in zip(bars["symbol"].to_pylist(), bars["date"].to_pylist(), strict=True)
    ]
    today = bars.filter(pc.equal(bars["date"], ev.asof))["symbol"].to_pylist()
    total = ev.tables["bars"].num_rows
    return [
        *each("Q05", today, Severity.QUARANTINE, what="no usable close now"),
        *share("Q05", keys, total, fail(0.05), warn(0.005), what="bars without a usable close"),
    ]


def zero_volume(ev: Evidence) -> list[Finding]:
    """Q06: no volume."""
    idle = (ev.column("row_flags").astype(np.int64) & ZERO_VOLUME) > 0
    names = ev.names(idle & ev.now)
    return [
        *each("Q06", names, Severity.QUARANTINE, what="no volume now"),
        *share("Q06", names, int(ev.now.sum()), fail(0.02), what="symbols without volume now"),
        *share("Q06", ev.keys(idle), len(idle), warn(0.01), what="rows without volume"),
    ]


def frozen_bars(ev: Evidence) -> list[Finding]:
    """Q07: all five values equal those of the session before, though volume traded."""
    frozen = ev.column("volume") > 0
    for name in FIVE:
        frozen = frozen & ev.same_as_before(name)
    names = ev.names(frozen & ev.now)
    return [
        *each("Q07", names, Severity.QUARANTINE, what="bar repeats the session before"),
        *share("Q07", names, int(ev.now.sum()), fail(0.01), what="symbols with a frozen bar now"),
        *share("Q07", ev.keys(frozen), len(frozen), warn(0.0002), what="frozen bars"),
    ]


def crossed_symbols(ev: Evidence) -> list[Finding]:
    """Q08: two symbols share all five values now, a declared rename pair excepted."""
    rows = np.flatnonzero(ev.now)
    values = np.column_stack([ev.column(name)[rows] for name in FIVE])
    names = [ev.symbols[code] for code in ev.code[rows]]
    seen: dict[tuple[float, ...], str] = {}
    renames = _renames(ev)
    pairs = []
    for name, row in zip(names, values, strict=True):
        if not np.isnan(row).any():
            first = seen.setdefault(tuple(row), name)
            if first != name and frozenset((first, name)) not in renames:
                pairs.append(f"{first} = {name}")
    return one("Q08", Severity.FAIL, f"equal bars now: {', '.join(pairs[:10])}") if pairs else []


def median_move(ev: Evidence) -> list[Finding]:
    """Q20: median move of the day."""
    moves = np.abs(ev.column("adjusted_close_pct")[_known(ev, "adjusted_close_pct") & ev.now])
    if not len(moves):
        return []
    value = float(np.median(moves))
    for severity, at in ((Severity.FAIL, MEDIAN_FAIL_PCT), (Severity.WARN, MEDIAN_WARN_PCT)):
        if value > at:
            message = f"median move {value:.1f} % (limit {at:.0f} %): a wrong basis or a crash"
            return one("Q20", severity, message, value=value, at=at)
    return []


def _known(ev: Evidence, name: str) -> Bools:
    return ~np.isnan(ev.column(name))


def _renames(ev: Evidence) -> set[frozenset[str]]:
    universe = ev.tables["universe"].select(["symbol", "renamed_from"]).to_pylist()
    return {
        frozenset((row["symbol"], row["renamed_from"])) for row in universe if row["renamed_from"]
    }
