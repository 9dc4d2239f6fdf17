"""The table of checks, and the verdict over what they find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bft.domain.quality import held_words
from bft.features.quality import actions, bars, columns, facts, rebuilt
from bft.features.quality.evidence import Evidence
from bft.features.quality.findings import Finding, Severity

QUARANTINED_FAIL_FRAC = 0.05
ALL = "all"
"""The check that too many symbols are quarantined, by whichever checks."""
CHECKS: dict[str, tuple[str, Callable[[Evidence], list[Finding]]]] = {
    "Q01": ("schema, keys and sessions", bars.schema_and_keys),
    "Q02": ("active symbols with a row", bars.coverage),
    "Q03": ("row count", bars.row_count),
    "Q04": ("OHLC order", bars.ohlc_order),
    "Q05": ("bars without a close", bars.dropped_bars),
    "Q06": ("zero volume", bars.zero_volume),
    "Q07": ("frozen bars", bars.frozen_bars),
    "Q08": ("equal bars of two symbols", bars.crossed_symbols),
    "Q09": ("suspected splits", actions.suspected_splits),
    "Q10": ("refused actions", actions.unconfirmed_splits),
    "Q11": ("vendor-adjusted close", actions.vendor_steps),
    "Q12": ("refused revisions", actions.refused_revisions),
    "Q13": ("missing sessions", actions.missing_sessions),
    "Q14": ("null kernels", columns.null_kernels),
    "Q15": ("stuck RSI or ADX", columns.stuck_kernels),
    "Q16": ("ranges and flags", columns.ranges_and_flags),
    "Q17": ("macro age", facts.macro_age),
    "Q18": ("snapshot and report age", facts.snapshot_age),
    "Q19": ("chains now", facts.chains_now),
    "Q20": ("median move", bars.median_move),
    "Q21": ("input drift", columns.input_drift),
    "Q22": ("rows rebuilt from cut data", rebuilt.rebuilt_rows),
    "Q23": ("digests", rebuilt.store_agrees),
    "Q24": ("universe", facts.universe),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says: `failed` checks stop the night, quarantined symbols get no signal.

    `reasons` says of each quarantined symbol why.
    """

    failures: tuple[str, ...]
    counts: dict[str, int]
    reasons: dict[str, str]

    @property
    def failed(self) -> bool:
        """Whether the night stops."""
        return bool(self.failures)

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Symbols without a signal, sorted."""
        return tuple(self.reasons)

    @property
    def head(self) -> str:
        """The verdict in a line: whether it passed, whom it holds back and why."""
        names = ("too many quarantined" if name == ALL else name for name in self.failures)
        state = f"failed ({', '.join(names)})" if self.failed else "passed"
        held = held_words(self.reasons)
        return f"{state}, {held}" if held else state


def run_checks(
    evidence: Evidence, *, only: Sequence[str] | None = None, strict: bool = False
) -> list[Finding]:
    """Findings of all checks (or some) in their order; a check that finds nothing passes.

    `strict` turns warnings into failures.
    """
    found = []
    for name in CHECKS if only is None else only:
        rows = CHECKS[name][1](evidence)
        found += rows or [Finding(check=name, severity=Severity.PASS)]
    if strict:
        found = [_strict(finding) for finding in found]
    return found + _too_many_quarantined(found, len(evidence.active))


def verdict(findings: Sequence[Finding]) -> Verdict:
    """Count findings by severity."""
    counts = {str(level): sum(f.severity is level for f in findings) for level in Severity}
    failures = sorted({f.check for f in findings if f.severity is Severity.FAIL})
    held: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity is Severity.QUARANTINE:
            held.setdefault(finding.symbol, []).append(finding.message)
    reasons = {symbol: "; ".join(held[symbol]) for symbol in sorted(held)}
    return Verdict(failures=tuple(failures), counts=counts, reasons=reasons)


def _strict(finding: Finding) -> Finding:
    warned = finding.severity is Severity.WARN
    return replace(finding, severity=Severity.FAIL) if warned else finding


def _too_many_quarantined(findings: Sequence[Finding], active: int) -> list[Finding]:
    held = verdict(findings).quarantined
    value = len(held) / max(1, active)
    if value <= QUARANTINED_FAIL_FRAC:
        return []
    message = f"{len(held)} of {active} active symbols quarantined: {', '.join(held[:10])}"
    return [
        Finding(
            check=ALL,
            severity=Severity.FAIL,
            value=value,
            threshold=QUARANTINED_FAIL_FRAC,
            message=message,
        )
    ]
