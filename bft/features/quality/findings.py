"""What a check finds, and how a value is graded against its thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

KEYS_SHOWN = 10


class Severity(StrEnum):
    """How much a finding weighs; `fail` stops the night, `quarantine` one symbol."""

    PASS = "pass"  # noqa: S105  a verdict, no password
    INFO = "info"
    WARN = "warn"
    QUARANTINE = "quarantine"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of the quality table without asof; `symbol` is empty for a whole table."""

    check: str
    severity: Severity
    symbol: str = ""
    value: float | None = None
    threshold: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A finding once `value` is above `above`."""

    severity: Severity
    above: float


def share(check: str, keys: Sequence[str], total: int, *limits: Limit, what: str) -> list[Finding]:
    """Grade a share of rows or symbols: the gravest limit it is above, with the first keys."""
    value = len(keys) / total if total else 0.0
    for limit in limits:
        if value > limit.above:
            shown = ", ".join(keys[:KEYS_SHOWN])
            message = (
                f"{what}: {len(keys)} of {total}, {value:.3%} (limit {limit.above:.2%}): {shown}"
            )
            severity, above = limit.severity, limit.above
            return [
                Finding(
                    check=check, severity=severity, value=value, threshold=above, message=message
                )
            ]
    return []


def each(check: str, symbols: Sequence[str], severity: Severity, *, what: str) -> list[Finding]:
    """One finding per symbol."""
    return [
        Finding(check=check, severity=severity, symbol=symbol, value=1.0, message=what)
        for symbol in sorted(set(symbols))
    ]


def fail(above: float) -> Limit:
    """Stop the night above a share."""
    return Limit(severity=Severity.FAIL, above=above)


def warn(above: float) -> Limit:
    """Warn above a share."""
    return Limit(severity=Severity.WARN, above=above)


def one(
    check: str,
    severity: Severity,
    message: str,
    *,
    value: float | None = None,
    at: float | None = None,
) -> list[Finding]:
    """A single finding about the whole table."""
    return [Finding(check=check, severity=severity, message=message, value=value, threshold=at)]
