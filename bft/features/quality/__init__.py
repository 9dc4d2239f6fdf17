"""The quality gate: 24 checks over gold and the facts behind it (data specification, 5)."""

from bft.features.quality.evidence import Evidence
from bft.features.quality.findings import Finding, Severity
from bft.features.quality.gate import CHECKS, Verdict, run_checks, verdict
from bft.features.quality.page import merged, report

__all__ = [
    "CHECKS",
    "Evidence",
    "Finding",
    "Severity",
    "Verdict",
    "merged",
    "report",
    "run_checks",
    "verdict",
]
