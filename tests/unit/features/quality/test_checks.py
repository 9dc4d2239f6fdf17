"""Every check of the quality gate, green on a healthy market and red on the fault it is for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from markets import LAST, known, raw, walk

from bft.domain import sessions
from bft.domain.market import MACRO_SERIES
from bft.features.build import build_gold
from bft.features.quality import CHECKS, Evidence, Finding, Severity, merged, run_checks, verdict

ROWS = 300
NAMES = [f"S{n:02d}" for n in range(24)]
Market = dict[str, list[dict[str, Any]]]


def market() -> Market:
    """24 members with quiet bars, fresh macro, snapshots, reports and chains."""
    bars = [
        {**row, "vendor_adjusted_close": row["close"]}
        for name in NAMES
        for row in walk(name, ROWS, sd=0.01)
    ]
    return {
        "bars": bars,
        "actions": [],
        "universe": [
            {"symbol": n, "from": date(2010, 1, 4), "sector": "ENERGY", "is_etf": False}
            for n in NAMES
        ],
        "macro": [_macro(name) for name in MACRO_SERIES],
        "fundamentals": [_fact(n, "arrived_on", 3) for n in NAMES],
        "earnings": [_fact(n, "fiscal_date_ending", 30) | {"reported_eps": 1.0} for n in NAMES],
        "options_summary": [
            {"symbol": n, "date": at(back), "call_volume": 5, "put_volume": 3, "total_volume": 8}
            for n in NAMES
            for back in range(5)
        ],
    }


def at(back: int) -> date:
    return sessions.shift(LAST, -back)


def _macro(name: str) -> dict[str, Any]:
    daily = name in {"treasury_yield_2year", "treasury_yield_10year", "ffer"}
    reference = at(2) if daily else date(2017, 1, 1) if name == "inflation" else date(2017, 12, 1)
    known_at = sessions.close_at(at(1))
    return {"series": name, "reference_on": reference, "value": 2.0, "known_at": known_at}


def _fact(symbol: str, day: str, back: int) -> dict[str, Any]:
    known_at = sessions.close_at(at(back))
    return {"symbol": symbol, day: at(back), "basis_on": at(back), "known_at": known_at}


def evidence(given: Market, **more: Any) -> Evidence:
    names = ("bars", "actions", "options_summary", "macro", "earnings", "statements")
    rows = {n: raw(n, given.get(n, [])) for n in (*names, "fundamentals", "universe")}
    tables = known(rows)
    refused = rows["bars"].filter(pc.equal(rows["bars"]["status"], "refused"))
    facts = {"gold": build_gold(tables), "tables": tables, "refused": refused}
    return Evidence(asof=LAST, macro=rows["macro"], **{**facts, **more})


def found(check: str, ev: Evidence) -> list[Finding]:
    return [f for f in run_checks(ev, only=[check]) if f.check == check]


@pytest.fixture(scope="module")
def healthy() -> Evidence:
    return evidence(market())


@pytest.mark.parametrize("check", CHECKS)
def test_healthy_market_passes(check: str, healthy: Evidence) -> None:
    assert [f.severity for f in found(check, healthy)] == [Severity.PASS]


def test_whole_gate_of_a_healthy_market(healthy: Evidence) -> None:
    said = verdict(run_checks(healthy))
    assert not said.failed
    assert said.quarantined == ()
    assert said.counts["pass"] == 24


def last_bar(given: Market, symbol: str) -> dict[str, Any]:
    return next(r for r in reversed(given["bars"]) if r["symbol"] == symbol)


def bar(given: Market, symbol: str, back: int) -> dict[str, Any]:
    return next(r for r in given["bars"] if r["symbol"] == symbol and r["date"] == at(back))


def without(given: Market, symbol: str, *backs: int) -> None:
    gone = {at(back) for back in backs}
    given["bars"] = [r for r in given["bars"] if r["symbol"] != symbol or r["date"] not in gone]


def no_row(given: Market) -> None:
    without(given, "S00", 0)


def broken_order(given: Market) -> None:
    row = last_bar(given, "S00")
    row["high"] = row["close"] - 1


def low_above_open(given: Market) -> None:
    row = last_bar(given, "S00")
    row["low"] = row["open"] + 0.02


def no_price(given: Market) -> None:
    last_bar(given, "S00")["low"] = -5.0


def no_close(given: Market) -> None:
    last_bar(given, "S00")["close"] = None


def idle(given: Market) -> None:
    last_bar(given, "S00")["volume"] = 0


def frozen(given: Market) -> None:
    last_bar(given, "S00").update({**bar(given, "S00", 1), "date": LAST})


def crossed(given: Market) -> None:
    last_bar(given, "S01").update({**last_bar(given, "S00"), "symbol": "S01"})


def split_unannounced(given: Market) -> None:
    for row in given["bars"]:
        if row["symbol"] == "S00" and row["date"] >= at(50):
            for name in ("open", "high", "low", "close", "vendor_adjusted_close"):
                row[name] /= 2
            row["volume"] *= 2


def crash(given: Market) -> None:
    for row in given["bars"]:
        if row["symbol"] == "S00" and row["date"] >= at(50):
            for name in ("open", "high", "low", "close", "vendor_adjusted_close"):
                row[name] *= 0.4
            row["volume"] *= 30


def refused_split(back: int) -> Callable[[Market], None]:
    def spoil(given: Market) -> None:
        refused = {"symbol": "S00", "ex_date": at(back), "kind": "split", "value": 2.0}
        given["actions"] = [{**refused, "status": "refused"}]

    return spoil


def vendor_differs(given: Market) -> None:
    for row in given["bars"]:
        if row["symbol"] == "S00" and row["date"] >= at(20):
            row["vendor_adjusted_close"] *= 1.01


def refused_bar(given: Market) -> None:
    row = bar(given, "S00", 5)
    again = {**row, "close": row["close"] * 2, "revision": 1, "status": "refused"}
    given["bars"].append(again)


def few_gaps(given: Market) -> None:
    without(given, "S00", 10, 20)


def many_gaps(given: Market) -> None:
    without(given, "S00", *range(10, 16))


def old_yields(days: int) -> Callable[[Market], None]:
    def spoil(given: Market) -> None:
        row = next(r for r in given["macro"] if r["series"] == "treasury_yield_2year")
        row["reference_on"] = LAST - timedelta(days=days)

    return spoil


def no_cpi(given: Market) -> None:
    given["macro"] = [row for row in given["macro"] if row["series"] != "cpi"]


def old_snapshots(count: int) -> Callable[[Market], None]:
    def spoil(given: Market) -> None:
        given["fundamentals"][:count] = [_fact(n, "arrived_on", 30) for n in NAMES[:count]]

    return spoil


def old_reports(given: Market) -> None:
    given["earnings"][:1] = [_fact("S00", "fiscal_date_ending", 150) | {"reported_eps": 1.0}]


def no_chain(count: int) -> Callable[[Market], None]:
    def spoil(given: Market) -> None:
        gone = set(NAMES[:count])
        chains = given["options_summary"]
        given["options_summary"] = [
            r for r in chains if r["symbol"] not in gone or r["date"] < LAST
        ]

    return spoil


def jump(pct: float) -> Callable[[Market], None]:
    def spoil(given: Market) -> None:
        for name in NAMES:
            row, before = last_bar(given, name), bar(given, name, 1)["close"]
            new = before * (1 + pct / 100)
            row.update(dict.fromkeys(("open", "high", "low", "close"), new))

    return spoil


def undated(given: Market) -> None:
    for row in given["universe"]:
        row["from"] = None


@pytest.mark.parametrize(
    ("check", "spoil", "severity", "symbol"),
    [
        ("Q02", no_row, Severity.WARN, ""),
        ("Q04", broken_order, Severity.QUARANTINE, "S00"),
        ("Q04", low_above_open, Severity.QUARANTINE, "S00"),
        ("Q04", no_price, Severity.QUARANTINE, "S00"),
        ("Q05", no_close, Severity.QUARANTINE, "S00"),
        ("Q06", idle, Severity.QUARANTINE, "S00"),
        ("Q06", idle, Severity.FAIL, ""),  # 1 of 24 symbols is above 2 %
        ("Q07", frozen, Severity.QUARANTINE, "S00"),
        ("Q07", frozen, Severity.FAIL, ""),
        ("Q08", crossed, Severity.FAIL, ""),
        ("Q09", split_unannounced, Severity.QUARANTINE, "S00"),
        ("Q09", crash, Severity.WARN, "S00"),
        ("Q10", refused_split(0), Severity.QUARANTINE, "S00"),
        ("Q10", refused_split(9), Severity.WARN, ""),
        ("Q11", vendor_differs, Severity.QUARANTINE, "S00"),
        ("Q11", vendor_differs, Severity.FAIL, ""),
        ("Q12", refused_bar, Severity.WARN, "S00"),
        ("Q12", refused_bar, Severity.FAIL, ""),
        ("Q13", few_gaps, Severity.WARN, "S00"),
        ("Q13", many_gaps, Severity.QUARANTINE, "S00"),
        ("Q17", old_yields(8), Severity.WARN, ""),
        ("Q17", old_yields(22), Severity.FAIL, ""),
        ("Q17", no_cpi, Severity.FAIL, ""),
        ("Q18", old_snapshots(1), Severity.WARN, ""),
        ("Q18", old_snapshots(6), Severity.FAIL, ""),
        ("Q18", old_reports, Severity.WARN, ""),
        ("Q19", no_chain(6), Severity.WARN, ""),
        ("Q19", no_chain(15), Severity.FAIL, ""),
        ("Q20", jump(9), Severity.WARN, ""),
        ("Q20", jump(16), Severity.FAIL, ""),
        ("Q21", jump(9), Severity.WARN, ""),
        ("Q24", undated, Severity.WARN, ""),
    ],
)
def test_fault_is_found(
    check: str, spoil: Callable[[Market], None], severity: Severity, symbol: str
) -> None:
    given = market()
    spoil(given)
    seen = {(f.severity, f.symbol) for f in found(check, evidence(given))}
    assert (severity, symbol) in seen


def test_history_of_faults_warns_by_share() -> None:
    given = market()
    for back in range(1, 20):
        row = bar(given, "S00", back)
        row["high"] = row["close"] - 1
    assert [f.severity for f in found("Q04", evidence(given))] == [Severity.WARN]


def changed(ev: Evidence, name: str, value: Any, *, row: int = -1) -> Evidence:
    values = ev.gold[name].to_pylist()
    values[row] = value
    place = ev.gold.schema.get_field_index(name)
    column = pa.array(values, type=ev.gold.schema.field(place).type)
    return replace(
        ev, gold=ev.gold.set_column(place, ev.gold.schema.field(place), column), _cache={}
    )


@pytest.mark.parametrize(
    ("check", "name", "value", "severity"),
    [
        ("Q01", "date", at(1), Severity.FAIL),  # a key twice
        ("Q01", "date", date(2018, 2, 10), Severity.FAIL),  # a Saturday, after asof
        ("Q14", "macd", None, Severity.QUARANTINE),
        ("Q16", "rsi_14", 100.5, Severity.FAIL),
        ("Q16", "atr_14", float("inf"), Severity.FAIL),
        ("Q16", "bull_bear_delta", 9, Severity.FAIL),
        ("Q16", "macd_zero_signal", 0, Severity.FAIL),
    ],
)
def test_broken_column_is_found(
    check: str, name: str, value: Any, severity: Severity, healthy: Evidence
) -> None:
    seen = {f.severity for f in found(check, changed(healthy, name, value))}
    assert severity in seen


def test_other_schema_fails(healthy: Evidence) -> None:
    odd = replace(healthy, gold=healthy.gold.drop_columns(["pcr"]), _cache={})
    assert "pcr" in found("Q01", odd)[0].message


def test_stuck_rsi_is_a_swallowed_null(healthy: Evidence) -> None:
    stuck = healthy
    for row in (-1, -2, -3):
        stuck = changed(stuck, "rsi_14", 0.0, row=row)
    assert [(f.severity, f.symbol) for f in found("Q15", stuck)] == [(Severity.QUARANTINE, "S23")]
    constant = healthy
    for row in (-1, -2, -3):
        constant = changed(constant, "adx_14", 20.0, row=row)
    assert [f.symbol for f in found("Q15", constant)] == ["S23"]


def test_fewer_rows_than_before_fail_unless_restated(healthy: Evidence) -> None:
    fewer = replace(healthy, rows_before=healthy.gold.num_rows + 1)
    assert [f.severity for f in found("Q03", fewer)] == [Severity.FAIL]
    assert [f.severity for f in found("Q03", replace(fewer, restated=True))] == [Severity.PASS]


def test_row_that_knew_the_future_differs_from_its_rebuild(healthy: Evidence) -> None:
    odd = healthy
    values = np.array(odd.gold["sma_20"].to_pylist(), dtype=float) * (1 + 1e-6)
    place = odd.gold.schema.get_field_index("sma_20")
    leaked = pa.array(values, type=pa.float32(), from_pandas=True)
    odd = replace(odd, gold=odd.gold.set_column(place, odd.gold.schema.field(place), leaked))
    assert {f.severity for f in found("Q22", odd)} == {Severity.FAIL}
    assert "sma_20" in found("Q22", odd)[0].message


def test_broken_object_fails(healthy: Evidence) -> None:
    odd = replace(healthy, broken=("object tables/gold/x.parquet is absent",))
    assert [f.message for f in found("Q23", odd)] == ["object tables/gold/x.parquet is absent"]


def test_topics_that_the_source_lacks_are_told_not_failed() -> None:
    bare = {**market(), "macro": [], "fundamentals": [], "earnings": [], "options_summary": []}
    bare["bars"] = [{k: v for k, v in r.items() if "vendor" not in k} for r in bare["bars"]]
    ev = evidence(bare, strict_source=False)
    for check in ("Q11", "Q17", "Q18", "Q19"):
        assert {f.severity for f in found(check, ev)} == {Severity.INFO}, check
        assert all(f.message.startswith("absent") for f in found(check, ev))


def test_rename_pair_may_share_a_bar() -> None:
    given = market()
    crossed(given)
    given["universe"][1]["renamed_from"] = "S00"
    assert [f.severity for f in found("Q08", evidence(given))] == [Severity.PASS]


def test_too_many_quarantined_symbols_fail_the_night() -> None:
    given = market()
    for name in ("S00", "S01"):
        last_bar(given, name)["high"] = last_bar(given, name)["close"] - 1
    rows = run_checks(evidence(given), only=["Q04"])
    assert verdict(rows).failed
    assert verdict(rows).quarantined == ("S00", "S01")
    given = market()
    broken_order(given)
    assert not verdict(run_checks(evidence(given), only=["Q04"])).failed


def test_strict_turns_warnings_into_failures() -> None:
    given = market()
    undated(given)
    ev = evidence(given)
    assert not verdict(run_checks(ev, only=["Q24"])).failed
    assert verdict(run_checks(ev, only=["Q24"], strict=True)).failed


def test_findings_of_one_check_and_symbol_become_one_row() -> None:
    rows = [
        Finding(check="Q16", severity=Severity.WARN, message="a"),
        Finding(check="Q16", severity=Severity.FAIL, message="b"),
        Finding(check="Q16", severity=Severity.FAIL, symbol="A", message="c"),
    ]
    assert [(f.severity, f.symbol, f.message) for f in merged(rows)] == [
        (Severity.FAIL, "", "b; a"),
        (Severity.FAIL, "A", "c"),
    ]
