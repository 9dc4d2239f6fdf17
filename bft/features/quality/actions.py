"""Checks of splits, dividends, revisions and gaps: Q09 to Q13."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from bft.domain import sessions
from bft.domain.gold import SUSPECTED
from bft.features import rebased, suspects
from bft.features.bars import Bars
from bft.features.factors import NO_ACTIONS, Actions, actions_by_symbol
from bft.features.facts import day_number, days, numbers
from bft.features.gaps import gaps_of
from bft.features.quality.evidence import YEAR_SESSIONS, Evidence
from bft.features.quality.findings import Finding, Severity, each, fail, one, share

STEP_ROWS, STEP_FRAC = 100, 0.005
GAP_SESSIONS, GAPS_ALLOWED = 60, 5
STEP_SHARE = 0.02
STEPS_SHOWN = 3  # in the line of all symbols; the others stand on their own lines


def suspected_splits(ev: Evidence) -> list[Finding]:
    """Q09: a price step that looks like a split nobody announced, in the last 252 rows."""
    refused = actions_by_symbol(ev.tables["refused_actions"])
    found = []
    for bars, actions in _symbols(ev):
        sure = suspects.confidences(bars, actions, refused.get(bars.symbol, NO_ACTIONS))
        sure[: max(0, len(bars) - YEAR_SESSIONS)] = np.nan
        rows = np.flatnonzero(~np.isnan(sure)).tolist()
        found += [_suspicion(bars, row, float(sure[row])) for row in rows]
    return found


def unconfirmed_splits(ev: Evidence) -> list[Finding]:
    """Q10: actions refused because the price does not confirm them, or impossible ones."""
    rows = ev.tables["refused_actions"]
    today = rows.filter(pc.equal(rows["ex_date"], ev.asof))["symbol"].to_pylist()
    older = [
        f"{row['symbol']} {row['ex_date']} {row['kind']} {row['value']:g}"
        for row in rows.filter(pc.less(rows["ex_date"], ev.asof)).to_pylist()
    ]
    found = each("Q10", today, Severity.QUARANTINE, what="an action of today was refused")
    if older:
        message = f"refused actions: {', '.join(older[:10])}"
        found += one("Q10", Severity.WARN, message, value=len(older))
    return found


def vendor_steps(ev: Evidence) -> list[Finding]:
    """Q11: own factor against the vendor's adjusted close, step by step over 100 rows."""
    odd, compared = [], 0
    adjusted = numbers(ev.tables["bars"]["vendor_adjusted_close"])
    if np.isnan(adjusted).all():
        return one("Q11", Severity.INFO, "absent: no vendor-adjusted close")
    factor = ev.column("adj_factor")
    for bars, _ in _symbols(ev):
        a, b = ev.spans[bars.symbol]
        own, ratio = factor[a:b][-STEP_ROWS:], (bars.vendor_close / bars.close)[-STEP_ROWS:]
        steps = (own[1:] / own[:-1]) / (ratio[1:] / ratio[:-1]) - 1
        compared += 1
        if (np.abs(steps[~np.isnan(steps)]) > STEP_FRAC).any():
            odd.append(bars.symbol)
    what = "own factor differs from the vendor's adjusted close"
    return [
        *each("Q11", odd, Severity.QUARANTINE, what=what),
        *share("Q11", odd, compared, fail(STEP_SHARE), what=what),
    ]


def refused_revisions(ev: Evidence) -> list[Finding]:
    """Q12: corrections that this pull did not believe; of a file, what they look like."""
    names = sorted(set(ev.refused["symbol"].to_pylist()))
    likely = {} if ev.strict_source else _likely_steps(ev, names)
    what = "a revised bar was refused"
    found = [
        replace(finding, message="; ".join(filter(None, [what, likely.get(finding.symbol)])))
        for finding in each("Q12", names, Severity.WARN, what=what)
    ]
    what, shown = "symbols with refused revisions", list(likely.values())[:STEPS_SHOWN]
    whole = share("Q12", names, len(ev.active), fail(0.01), what=what)
    return found + [replace(f, message="; ".join([f.message, *shown])) for f in whole]


def _likely_steps(ev: Evidence, names: Sequence[str]) -> dict[str, str]:
    """What would explain a symbol's refused bars, with the line to enter; in words."""
    symbol, found = np.array(ev.refused["symbol"].to_pylist()), {}
    day, close = days(ev.refused["date"]), numbers(ev.refused["close"])
    for bars in (held for held in ev.bars if held.symbol in names):
        mine = symbol == bars.symbol
        step = rebased.likely_step(bars.day, bars.close, day[mine], close[mine])
        if step is not None:
            found[bars.symbol] = (
                f"{bars.symbol}: the file divides its closes before {step.ex_date} by "
                f"{step.value:g}, as files that are adjusted do for {_event(step)}; if there was "
                "one, the line to write into actions.csv beside the prices (columns symbol,"
                f"ex_date,kind,value) is {bars.symbol},{step.ex_date},{step.kind},{step.value:g}"
            )
    return found


def _event(step: rebased.Step) -> str:
    if step.kind == "other":
        return "a special dividend or a spin-off"
    return f"a split ({step.value:g} new shares for an old one)"


def missing_sessions(ev: Evidence) -> list[Finding]:
    """Q13: sessions without a bar in the last 60, counted from the first bar on.

    Of a file the gaps of the whole history are told too: they are learned across, and may be meant.
    """
    first = sessions.shift(ev.asof, 1 - GAP_SESSIONS)
    grid = np.array([day_number(day) for day in sessions.sessions(first, ev.asof)])
    found = []
    for symbol in ev.active:
        a, b = ev.spans.get(symbol, (0, 0))
        if a == b:
            continue  # no row at all: Q02 speaks
        expected = grid[grid >= ev.day[a]]
        count = int((~np.isin(expected, ev.day[a:b])).sum())
        if count:
            many = count > GAPS_ALLOWED
            found.append(
                Finding(
                    check="Q13",
                    severity=Severity.QUARANTINE if many else Severity.WARN,
                    symbol=symbol,
                    value=count,
                    threshold=GAPS_ALLOWED if many else 0,
                    message=f"{count} of the last {len(expected)} sessions have no bar",
                )
            )
    return found + ([] if ev.strict_source else _history_gaps(ev))


def _history_gaps(ev: Evidence) -> list[Finding]:
    days = ev.day.astype("datetime64[D]")
    gaps = gaps_of({symbol: days[a:b] for symbol, (a, b) in ev.spans.items()})
    count = len(gaps.missing) + sum(gaps.lacking.values())
    return one("Q13", Severity.INFO, gaps.words, value=count) if count else []


def _suspicion(bars: Bars, row: int, confidence: float) -> Finding:
    sure = confidence >= SUSPECTED
    q = bars.close[row - 1] / bars.close[row]
    day = np.datetime64(int(bars.day[row]), "D")
    return Finding(
        check="Q09",
        severity=Severity.QUARANTINE if sure else Severity.WARN,
        symbol=bars.symbol,
        value=confidence,
        threshold=SUSPECTED,
        message=f"close fell or rose by a factor of {q:.3f} on {day} without an action; "
        "enter the split, or an action `none`, in actions.csv",
    )


def _symbols(ev: Evidence) -> Iterator[tuple[Bars, Actions]]:
    known = actions_by_symbol(ev.tables["actions"])
    for bars in ev.bars:
        yield bars, known.get(bars.symbol, NO_ACTIONS)
