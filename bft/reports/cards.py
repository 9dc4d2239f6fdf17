"""One HTML card per model of a set, and one page for the set; no script, images inline."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bft.domain.runs import Json
from bft.reports.render import render
from bft.reports.shown import UNKNOWN, frac, known, number

METRICS = (
    ("RankIC", "rank_ic", 4, ""),
    ("RankIC without volatility", "rank_ic_v", 4, ""),
    ("IC", "ic", 4, ""),
    ("ICIR", "icir", 3, ""),
    ("AUC", "auc", 4, ""),
    ("F1 macro", "f1_macro", 3, ""),
    ("Minority recall", "minority_recall", 1, "%"),
    ("Brier skill", "brier_skill", 4, ""),
    ("Calibration error (ECE)", "ece", 1, "%"),
    ("Sharpe, gross", "sharpe_gross", 2, ""),
    ("Sharpe, net", "sharpe_net", 2, ""),
    ("Maximum drawdown, net", "max_drawdown", 1, "%"),
    ("Turnover a day", "turnover", 1, "%"),
    ("Break-even cost, bp a side", "break_even_bps", 1, ""),
    ("Test days", "days", 0, ""),
    ("Test samples", "samples", 0, ""),
)
"""Shown as (name, key of evaluation.json, decimals, unit); fractions are shown as percent."""
_SIGNED = {"rank_ic", "rank_ic_v", "ic", "icir", "brier_skill", "sharpe_gross", "sharpe_net"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of a set; `evaluation` and `about` (model.json) are empty for an absent one."""

    name: str
    version: str
    digest: str
    train_end: str
    origin: str
    gate: str = ""  # what the newest gate said of the newest model of this name
    evaluation: Json = field(default_factory=dict)
    about: Json = field(default_factory=dict)
    plots: Mapping[str, bytes] = field(default_factory=dict)


def cards(
    models: Sequence[Model],
    *,
    asof: str,
    set_digest: str,
    paper_only: bool,
    failures: Sequence[str] = (),
) -> dict[str, bytes]:
    """`index.html` and `<name>.html` of every model that has an artifact.

    `failures` are lines on what failed in the night, in red on every page.
    """
    simulated = any(model.evaluation.get("simulated") for model in models)
    page: Json = {"asof": asof, "simulated": simulated, "set_digest": set_digest}
    page["failures"] = list(failures)
    made = {
        f"{model.name}.html": render("model.html.j2", {**page, **_model(model)})
        for model in models
        if model.evaluation
    }
    rows = [_row(model) for model in models]
    body = {"rows": rows, "title": _set_title(models), "paper_only": paper_only}
    return {"index.html": render("set.html.j2", {**page, **body}), **made}


def _model(model: Model) -> Json:
    evaluation, training = model.evaluation, model.about.get("training", {})
    data = model.about.get("data", {})
    facts = [
        ("Version", model.version),
        ("Artifact digest", model.digest),
        ("Trained up to", model.train_end),
        ("Created", str(model.about.get("created_utc", UNKNOWN))),
        ("Net", str(model.about.get("type", UNKNOWN))),
        ("Loss", str(training.get("loss", UNKNOWN))),
        (
            "Epochs, best",
            f"{training.get('epochs', UNKNOWN)}, {training.get('best_epoch', UNKNOWN)}",
        ),
        ("Data", f"{data.get('first', UNKNOWN)} to {data.get('last', UNKNOWN)}"),
        ("Gold digest", str(data.get("gold_digest", UNKNOWN))),
    ]
    return {
        "name": model.name,
        "title": f"{model.name}: {_finding(evaluation)}",
        "gate": model.gate,
        "survivors_only": bool(evaluation.get("survivors_only")),
        "metrics": _metrics(evaluation),
        "baselines": _baselines(evaluation),
        "facts": facts,
        "plots": [
            {"name": name.removesuffix(".png"), "data": base64.b64encode(image).decode()}
            for name, image in sorted(model.plots.items())
        ],
    }


def _finding(evaluation: Json) -> str:
    """RankIC with its interval, and whether it is above zero beyond chance."""
    mean = evaluation.get("metrics", {}).get("rank_ic")
    band = evaluation.get("intervals", {}).get("rank_ic") or {}
    if not known(mean):
        return "no RankIC"
    text = f"RankIC {number(mean, 4, sign=True)}"
    if not known(band.get("lo")):
        return f"{text}, too few days for an interval"
    sure = "above zero beyond chance" if band["lo"] > 0 else "not above zero beyond chance"
    return f"{text}, {sure}"


def _metrics(evaluation: Json) -> list[Json]:
    found, bands = evaluation.get("metrics", {}), evaluation.get("intervals", {})
    return [
        {
            "name": name,
            "value": _shown(found[key], places, unit, sign=key in _SIGNED),
            "band": _band(bands.get(key), places, unit, sign=key in _SIGNED),
        }
        for name, key, places, unit in METRICS
        if known(found.get(key))
    ]


def _shown(value: Any, places: int, unit: str, *, sign: bool) -> str:
    return frac(value, places, sign=sign) if unit else number(value, places, sign=sign)


def _band(found: Any, places: int = 4, unit: str = "", *, sign: bool = True) -> str:
    if not isinstance(found, dict):
        return ""
    if not known(found.get("lo")):
        return str(found.get("reason") or "").replace("_", " ")
    low, high = (_shown(found[end], places, unit, sign=sign) for end in ("lo", "hi"))
    return f"{low} to {high}"


def _baselines(evaluation: Json) -> list[Json]:
    return [
        {
            "name": name,
            "rank_ic": number(row.get("rank_ic"), 4, sign=True),
            "gap": number(row.get("rank_ic_difference"), 4, sign=True),
            "band": _band(row.get("interval")),
            "verdict": row.get("absent") or _verdict(row),
        }
        for name, row in sorted(evaluation.get("baselines", {}).items())
    ]


def _verdict(row: Json) -> str:
    """What the interval of the difference allows to be said."""
    band = row.get("interval") or {}
    if not known(band.get("lo")) or not known(band.get("hi")):
        return "too few days"
    if band["lo"] > 0:
        return "beaten"
    return "better than the model" if band["hi"] < 0 else "no difference shown"


def _row(model: Model) -> Json:
    metrics, bands = (model.evaluation.get(part, {}) for part in ("metrics", "intervals"))
    rows = model.evaluation.get("baselines", {}).values()
    judged = [_verdict(row) for row in rows if "absent" not in row]
    return {
        "name": model.name,
        "href": f"{model.name}.html" if model.evaluation else "",
        "version": model.version,
        "train_end": model.train_end,
        "origin": model.origin,
        "gate": model.gate,
        "rank_ic": number(metrics.get("rank_ic"), 4, sign=True),
        "band": _band(bands.get("rank_ic")),
        "sharpe_net": number(metrics.get("sharpe_net"), 2, sign=True),
        "beaten": f"{judged.count('beaten')} of {len(judged)}" if judged else UNKNOWN,
    }


def _set_title(models: Sequence[Model]) -> str:
    present = [model for model in models if model.evaluation]
    lows = [(m.evaluation.get("intervals", {}).get("rank_ic") or {}).get("lo") for m in present]
    sure = sum(low > 0 for low in lows if low is not None)
    return (
        f"{len(present)} of {len(models)} models present, "
        f"{sure} with a RankIC above zero beyond chance"
    )
