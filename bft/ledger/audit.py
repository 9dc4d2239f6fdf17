"""The audit report: what the trade log, the book and the broker say of each other.

Pure: rows and figures in, checks and a page of Markdown out.
Source: executor specification, section 13.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]

MOST_BACKFILL, LEAST_LIVE, LEAST_LABELLED = 0.80, 50, 0.40
WIN_LOW, WIN_HIGH, FEATURE, LEAST_FILLED = 0.35, 0.65, 0.50, 0.80
MOST_SLIPPAGE_BPS = 10
_BAND = f"{WIN_LOW:.0%} to {WIN_HIGH:.0%}"
LIVE_WITHIN = timedelta(days=30)
OLD_ORDER = timedelta(days=1)
_LABELLED = frozenset({"target", "stop"})


class Level(StrEnum):
    """How a check came out."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check with what it saw."""

    level: Level
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a report is made of: rows of tables, and what else is known.

    `chain` is why the journal's chain is broken, None where it is whole; `undecided` entries
    without a stored decision; `adopted` those taken back from the broker, whose decisions went with
    the state that was lost; `gap_qty` units without a live stop; `old_orders` live longer than
    a day (stops and targets that rest aside), `lasting` those of them asked to last (GTC); `known`
    symbols of the profile, empty: not known; `by_hand` ids of rows that a person placed, who need
    name no target (decision record 99).
    """

    at: datetime
    trades: Sequence[Row]
    entries: Sequence[Row]
    chain: str | None
    undecided: Sequence[str] = ()
    adopted: Sequence[str] = ()
    unknown: Sequence[str] = ()
    differences: Sequence[str] = ()
    gap_qty: int = 0
    old_orders: Sequence[str] = ()
    lasting: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    by_hand: frozenset[str] = frozenset()
    soft_features: Sequence[str] = ()
    mode: str = "paper"
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Checks, and the report as Markdown."""

    checks: tuple[Check, ...] = field(default_factory=tuple)
    markdown: str = ""

    @property
    def worst(self) -> Level:
        """The worst level of all checks."""
        levels = {check.level for check in self.checks}
        return next((x for x in (Level.FAIL, Level.WARN) if x in levels), Level.OK)


def audit(evidence: Evidence) -> Audit:
    """Every check, and the page."""
    checks = (*_fails(evidence), *_warnings(evidence))
    return Audit(checks=checks, markdown=_page(evidence, checks))


def _fails(e: Evidence) -> Iterator[Check]:
    yield _fail("trades", not e.trades, f"{len(e.trades)} trades")
    # a backfill is a word about the past: nobody sized it by its stop, nobody waits for one
    told = {row["id"] for row in e.trades if row["is_backfill"]} & e.by_hand
    lacking = [str(row["id"]) for row in e.trades if _risk(row) is None]
    yield _split("risk", "rows without entry or stop", lacking, told)
    unrewarded = [str(row["id"]) for row in e.trades if not row["target_price"]]
    yield _split("rr", "rows without target", unrewarded, e.by_hand)
    rows: tuple[tuple[str, bool, str], ...] = (
        ("journal", e.chain is not None, e.chain or "chain whole"),
        ("decisions", bool(e.undecided), _decisions(e)),
        ("unknown", bool(e.unknown), _listed("orders nobody knows about", e.unknown)),
        ("book", bool(e.differences), _listed("differences of book and broker", e.differences)),
        ("protection", e.gap_qty > 0, f"{e.gap_qty} units without a live stop"),
    )
    for row in rows:
        yield _fail(*row)
    old = "entries open for over a day"
    yield _split("old orders", old, e.old_orders, e.lasting, named="asked to last (GTC)")


def _split(
    name: str, what: str, ids: Sequence[str], excused: Set[str], *, named: str = "by hand"
) -> Check:
    """FAIL for rows that must not lack it, WARN where only those do that may."""
    bad = [one for one in ids if one not in excused]
    mine = [one for one in ids if one in excused]
    level = Level.FAIL if bad else Level.WARN if mine else Level.OK
    text = f"{_listed(what, bad)}; {_listed(named, mine)}" if mine else _listed(what, bad)
    return Check(level=level, name=name, text=text)


def _decisions(e: Evidence) -> str:
    told = _listed("orders without a decision", e.undecided)
    return f"{told}; {_listed('adopted from the broker', e.adopted)}" if e.adopted else told


def _warnings(e: Evidence) -> Iterator[Check]:
    yield from _log_warnings(e)
    yield from _result_warnings(e)


def _log_warnings(e: Evidence) -> Iterator[Check]:
    back = [row for row in e.trades if row["is_backfill"]]
    share = _of(back, e.trades)
    yield _warn(
        "backfill",
        share is not None and share > MOST_BACKFILL,
        _shown(share, f"of rows are backfilled, at most {MOST_BACKFILL:.0%}", "no row"),
    )
    recent = [
        row
        for row in e.trades
        if not row["is_backfill"] and _at(row["created_at"]) >= e.at - LIVE_WITHIN
    ]
    yield _warn(
        "recent",
        len(recent) < LEAST_LIVE,
        f"{len(recent)} trades in the last 30 days, {LEAST_LIVE} judge well",
    )
    strange = sorted({row["symbol"] for row in e.trades} - e.known) if e.known else []
    yield _warn("symbols", bool(strange), _listed("symbols outside the profile", strange))
    twins = Counter((r["symbol"], r["side"], r["entry_price"], r["created_at"]) for r in e.trades)
    doubled = [f"{key[0]} {key[3]}" for key, count in twins.items() if count > 1]
    yield _warn("duplicates", bool(doubled), _listed("rows told twice", doubled))
    rare = [n for n in e.soft_features if _present(e.trades, n) < FEATURE]
    yield _warn("features", bool(rare), _listed("features in under half of the rows", rare))


def _result_warnings(e: Evidence) -> Iterator[Check]:
    closed = [row for row in e.trades if row["exited_at"] is not None]
    labelled = [row for row in closed if row["outcome"] in _LABELLED]
    share = _of(labelled, closed)
    yield _warn(
        "labelled",
        share is not None and share < LEAST_LABELLED,
        _shown(share, f"end at target or stop, at least {LEAST_LABELLED:.0%}", "no closed trade"),
    )
    rate = _of([row for row in closed if Decimal(row["pnl_usd"] or 0) > 0], closed)
    yield _warn(
        "win rate",
        rate is not None and not WIN_LOW <= rate <= WIN_HIGH,
        _shown(rate, f"of {len(closed)} closed won, {_BAND} is usual", "no closed trade"),
    )
    over = [row for row in e.entries if row["ended_at"] is not None]
    part = _of([row for row in over if row["filled_qty"]], over)
    usual = f"of {len(over)} entries filled, at least {LEAST_FILLED:.0%}"
    yield _warn(
        "fill rate",
        part is not None and part < LEAST_FILLED,
        _shown(part, usual, "no entry has ended"),
    )
    yield _slippage(e)


def _slippage(e: Evidence) -> Check:
    slips = [float(r["slippage_bps"]) for r in e.trades if r["slippage_bps"] is not None]
    if not slips:
        return _warn("slippage", False, "none: no fill against a reference price")  # noqa: FBT003
    median = statistics.median(slips)
    text = f"median {median:.1f} bps, at most {MOST_SLIPPAGE_BPS}"
    return _warn("slippage", median > MOST_SLIPPAGE_BPS, text)


def _of(part: Sequence[Row], whole: Sequence[Row]) -> float | None:
    """The share of rows; None of none."""
    return len(part) / len(whole) if whole else None


def _shown(share: float | None, what: str, nothing: str) -> str:
    return f"none: {nothing}" if share is None else f"{share:.0%} {what}"


def _fail(name: str, bad: bool, text: str) -> Check:  # noqa: FBT001  a row of a table
    return Check(level=Level.FAIL if bad else Level.OK, name=name, text=text)


def _warn(name: str, bad: bool, text: str) -> Check:  # noqa: FBT001  a row of a table
    return Check(level=Level.WARN if bad else Level.OK, name=name, text=text)


def _page(e: Evidence, checks: Sequence[Check]) -> str:
    simulated = " (simulated)" if e.simulated else ""
    lines = [
        f"# Audit, {e.at.isoformat(timespec='seconds')}",
        "",
        f"Mode {e.mode}{simulated}. {len(e.trades)} trades, {len(e.entries)} entries.",
        f"Dates: {_range(e.trades)}.",
        "",
        "## Checks",
        "",
        *(f"- [{check.level}] {check.name}: {check.text}" for check in checks),
    ]
    tables: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("Outcomes", lambda row: str(row["outcome"] or "open")),
        ("Backfill against live", lambda row: "backfill" if row["is_backfill"] else "live"),
        ("Sources", lambda row: str(row["source"])),
    )
    for title, key in tables:
        counts = Counter(key(row) for row in e.trades)
        lines += ["", f"## {title}", "", *(f"- {k}: {n}" for k, n in sorted(counts.items()))]
    lines += ["", "## Quartiles in time", "", *_quartiles(e.trades)]
    return "\n".join(lines) + "\n"


def _quartiles(trades: Sequence[Row]) -> list[str]:
    ordered = sorted(trades, key=lambda row: str(row["created_at"]))
    found = []
    for number in range(4):
        part = ordered[len(ordered) * number // 4 : len(ordered) * (number + 1) // 4]
        closed = [row for row in part if row["pnl_usd"] is not None]
        total = sum((Decimal(row["pnl_usd"]) for row in closed), Decimal(0))
        found.append(f"- {number + 1}: {_range(part)}: {len(part)} trades, {total:,.2f} USD net")
    return found


def _range(trades: Sequence[Row]) -> str:
    days = sorted(str(row["created_at"])[:10] for row in trades)
    return f"{days[0]} to {days[-1]}" if days else "none"


def _risk(row: Row) -> Decimal | None:
    """Distance of entry and stop; of an entry without a fill there is none to ask for."""
    if row["outcome"] in {"cancelled", "error"} or (
        row["outcome"] is None and not row["entry_price"]
    ):
        return Decimal(0)
    entry, stop = row["entry_price"], row["stop_price"]
    return abs(Decimal(entry) - Decimal(stop)) if entry and stop else None


def _present(trades: Sequence[Row], name: str) -> float:
    found = sum(1 for row in trades if (row["features"] or {}).get(name) is not None)
    return found / len(trades) if trades else 1.0


def _at(text: Any) -> datetime:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def _listed(what: str, items: Sequence[str]) -> str:
    shown = ", ".join(items[:5]) + (" ..." if len(items) > 5 else "")
    return f"{len(items)} {what}" + (f": {shown}" if items else "")
