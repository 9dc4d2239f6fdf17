"""The Markdown page of the quality gate, and findings as rows of the quality table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from bft.domain.quality import skipped_words
from bft.features.quality.findings import Finding, Severity
from bft.features.quality.gate import CHECKS, Verdict

GRAVEST_FIRST = (
    Severity.FAIL,
    Severity.QUARANTINE,
    Severity.WARN,
    Severity.INFO,
    Severity.PASS,
)


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """One finding per check and symbol: the gravest, with all messages."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.symbol), []).append(finding)
    out = []
    for group in groups.values():
        first = min(group, key=lambda f: GRAVEST_FIRST.index(f.severity))
        rest = [f.message for f in group if f is not first]
        out.append(replace(first, message="; ".join([first.message, *rest])))
    return out


def report(
    asof: date,
    findings: Sequence[Finding],
    found: Verdict,
    *,
    skipped: Mapping[str, int],
    names: Mapping[str, Sequence[str]],
    simulated: bool,
) -> str:
    """One page: verdict, quarantined symbols, what each check found, what the pull made of rows.

    `skipped`: rows by reason that the pull of the night refused, merged or put in order; `names`
    has the first ones of some reasons.
    """
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    held = ", ".join(found.quarantined) or "none"
    lines = [
        f"# Data quality of {asof}: {found.head}{', simulated data' if simulated else ''}",
        "",
        f"{counts}. Quarantined symbols: {held}.",
        "",
        "| check | about | severity | symbol | value | limit | message |",
        "|---|---|---|---|---:|---:|---|",
    ]
    for finding in findings:
        about = CHECKS[finding.check][0] if finding.check in CHECKS else "all checks"
        value, limit = (_number(x) for x in (finding.value, finding.threshold))
        message = finding.message.replace("|", "\\|")
        cells = [finding.check, about, finding.severity, finding.symbol, value, limit, message]
        lines.append(f"| {' | '.join(cells)} |")
    if skipped:
        lines += [
            "",
            "## What the pull did not get, refused, merged or sorted",
            "",
            "| reason | count | meaning |",
        ]
        lines += ["|---|---:|---|"]
        lines += [f"| {r} | {skipped[r]:,} | {skipped_words(r)} |" for r in sorted(skipped)]
    for reason, rows in names.items():
        lines += ["", f"{reason}, {len(rows)} of {skipped.get(reason, len(rows)):,}:", ""]
        lines += [f"- `{row}`" for row in rows]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
