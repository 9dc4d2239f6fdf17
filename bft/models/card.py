"""A model's card: what it is, what it was trained on, how it did, what to beware of (Markdown)."""

from collections.abc import Mapping
from typing import Any

from bft.domain.runs import Json

_ROWS = (
    ("RankIC", "rank_ic", "+.4f"),
    ("RankIC without volatility", "rank_ic_v", "+.4f"),
    ("IC", "ic", "+.4f"),
    ("ICIR", "icir", "+.3f"),
    ("AUC", "auc", ".4f"),
    ("F1 macro", "f1_macro", ".3f"),
    ("minority recall", "minority_recall", ".3f"),
    ("Brier skill", "brier_skill", "+.4f"),
    ("ECE", "ece", ".4f"),
    ("Sharpe, gross", "sharpe_gross", "+.2f"),
    ("Sharpe, net", "sharpe_net", "+.2f"),
    ("max drawdown, net", "max_drawdown", "+.2%"),
    ("turnover a day", "turnover", ".2%"),
    ("break-even, bp a side", "break_even_bps", "+.1f"),
    ("best names less universe, gross", "top_minus_universe", "+.2%"),
    ("trades", "trades", ",d"),
    ("win rate", "win_rate", ".1%"),
)

FINDINGS = {
    "better": "Beats {}: the 95 % interval of the difference in RankIC lies above zero.",
    "open": "**Not shown to beat {}**: the 95 % interval of the difference in RankIC holds zero.",
    "worse": "**Worse than {}**: the 95 % interval of the difference in RankIC lies below zero.",
    "few_days": "**Not compared with {}**: too few test days for an interval.",
}
"""What may be said of baselines; models specification, section 7: beaten needs an interval."""


def card(model: Json, evaluation: Json) -> str:
    """Markdown of model.json and evaluation.json."""
    parts = [
        f"# {model['name']}",
        _what(model, evaluation),
        "## Test results",
        _results(evaluation),
        "## Against baselines",
        baseline_finding(evaluation),
        _baselines(evaluation),
        "## Training",
        _training(model),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def baseline_finding(evaluation: Json) -> str:
    """What the paired intervals allow to be said of each baseline (RankIC on the same days)."""
    found = evaluation["baselines"]
    present = {name: row for name, row in sorted(found.items()) if "absent" not in row}
    kinds: dict[str, list[str]] = {}
    for name, row in present.items():
        kinds.setdefault(against(row), []).append(name)
    said = [text.format(", ".join(kinds[kind])) for kind, text in FINDINGS.items() if kind in kinds]
    said = said or ["No baseline was fitted."]
    absent = [f"{name}: {row['absent']}." for name, row in found.items() if "absent" in row]
    return " ".join([*said, *sorted(absent)])


def against(row: Json) -> str:
    """What the interval of a difference to a baseline shows: better, worse, open or few_days."""
    low, high = (row["interval"].get(end) for end in ("lo", "hi"))
    if low is None or high is None:
        return "few_days"
    return "better" if low > 0 else "worse" if high < 0 else "open"


def _what(model: Json, evaluation: Json) -> str:
    warnings = [
        text
        for key, text in (
            ("simulated", "**Simulated data.**"),
            ("survivors_only", "**Survivors only: results flatter.**"),
        )
        if evaluation[key]
    ]
    features, days = len(model["feature_set"]["names"]), evaluation["horizon_days"]
    net = f"{evaluation['kind']}, net {model['type']}"
    return " ".join(
        [
            f"Forecasts the return over {days} sessions ({net}, {features} inputs,",
            f"{model['lookback']} sessions back).",
            f"Created {model['created_utc']}.",
            *warnings,
        ]
    )


def _results(evaluation: Json) -> str:
    folds = evaluation["folds"]
    counted = f"{len(folds)} fold{'s' if len(folds) > 1 else ''}"
    found, intervals = evaluation["metrics"], evaluation["intervals"]
    lines = [
        f"{found['oos_days']} test days in {counted} ({folds[0]['first']} to "
        f"{folds[-1]['last']}), {found['samples']:,} samples, {found['symbols']} symbols; costs "
        f"{evaluation['costs_bps']:g} bp a side.",
        "",
        "| metric | value | 95 % interval |",
        "|---|---:|---|",
    ]
    for title, key, form in _ROWS:
        if key in found:
            lines.append(
                f"| {title} | {_shown(found[key], form)} | {_band(intervals, key, form)} |"
            )
    return "\n".join(lines)


def _baselines(evaluation: Json) -> str:
    rows = {n: row for n, row in evaluation["baselines"].items() if "absent" not in row}
    if not rows:
        return ""
    lines = [
        "| baseline | RankIC | Sharpe, net | model less baseline, RankIC |",
        "|---|---:|---:|---|",
    ]
    for name, row in rows.items():
        gap = _shown(row["rank_ic_difference"], "+.4f")
        band = _band({"gap": row["interval"]}, "gap", "+.4f")
        own = (
            _shown(row[key], form) for key, form in (("rank_ic", "+.4f"), ("sharpe_net", "+.2f"))
        )
        lines.append(f"| {name} | {' | '.join(own)} | {gap} {band} |")
    return "\n".join(lines)


def _training(model: Json) -> str:
    training, data = model["training"], model["data"]
    return "\n".join(
        [
            f"- loss {training['loss']}, {training['epochs']} epochs (best "
            f"{training['best_epoch']}), seed {training['seed']}, {training['device']}",
            f"- data {data['first']} to {data['last']}: {data['rows']:,} rows, "
            f"{data['symbols']} symbols, gold `{data['gold_digest'][:12]}`",
        ]
    )


def _shown(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def _band(intervals: Mapping[str, Any], key: str, form: str) -> str:
    found = intervals.get(key)
    if found is None:
        return ""
    if found["lo"] is None:
        return str(found["reason"]).replace("_", " ")
    return f"{_shown(found['lo'], form)} to {_shown(found['hi'], form)}"
