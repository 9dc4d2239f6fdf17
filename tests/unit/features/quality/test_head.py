"""The line above every quality report. Red: `passed` beside a quarantined symbol."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from bft.features.quality import Finding, Severity, report, verdict
from bft.reports import sections
from bft.steps import telling, validate

DAY = date(2025, 6, 30)
OK = Finding(check="Q01", severity=Severity.PASS)


def held(symbol: str, message: str, check: str = "Q13") -> Finding:
    return Finding(check=check, severity=Severity.QUARANTINE, symbol=symbol, message=message)


def failed(check: str) -> Finding:
    return Finding(check=check, severity=Severity.FAIL, message="too bad")


@pytest.mark.parametrize(
    ("findings", "head"),
    [
        ([OK], "passed"),
        ([OK, held("SC", "10 lack")], "passed, 1 symbol quarantined: SC (10 lack)"),
        (
            [held("B", "no volume", "Q06"), held("A", "x"), held("B", "y", "Q15")],
            "passed, 2 symbols quarantined: A (x), B (no volume; y)",
        ),
        (
            [held(name, "x") for name in "EDCBA"],
            "passed, 5 symbols quarantined: A (x), B (x), C (x), 2 more",
        ),
        (
            [held("A", "x"), failed("all"), failed("Q02")],
            "failed (Q02, too many quarantined), 1 symbol quarantined: A (x)",
        ),
    ],
)
def test_head_says_whom_the_gate_holds_back_and_why(findings: list[Finding], head: str) -> None:
    found = verdict(findings)
    assert found.head == head
    page = report(DAY, findings, found, skipped={}, names={}, simulated=False)
    assert page.startswith(f"# Data quality of 2025-06-30: {head}\n")


def test_day_report_says_it_too() -> None:
    rows: list[dict[str, Any]] = [
        {"severity": "quarantine", "symbol": "SC", "message": "10 lack"},
        {"severity": "warn", "symbol": "", "message": "old"},
    ]
    night = SimpleNamespace(quality=pd.DataFrame(rows))
    assert sections.verdict_of(night) == "data passed, 1 symbol quarantined: SC (10 lack)"


def test_terminal_says_it_in_eighty_columns() -> None:
    line = {
        "verb": "validate",
        "asof": "2025-06-30",
        "rows": 34,
        "head": "passed, 1 symbol quarantined: SC (10 of the last 60 sessions are missing)",
        "counts": {"pass": 17, "info": 0, "quarantine": 1},
        "page": "reports/quality_2025-06-30.md",
        "seconds": 4.1,
    }
    assert telling.told("validate", line) == (
        "data quality: passed, 1 symbol quarantined: SC (10 of the last 60 sessions are\n"
        "  missing)\n"
        "findings: 17 pass, 1 quarantine; reports/quality_2025-06-30.md\n"
        "validate 2025-06-30: 34 rows in 4.1 s"
    )


def test_schema_of_the_line_names_head_and_reasons() -> None:
    assert {"head", "reasons", "page"} <= set(validate.STEP.outputs)
