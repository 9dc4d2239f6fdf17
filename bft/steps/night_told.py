"""What `bft run nightly` ends with on a terminal: what came out, and where it lies."""

import shlex
from collections import Counter
from datetime import date
from pathlib import Path

from bft.domain.delivery import DROPPED
from bft.domain.runs import Json
from bft.ports import Store
from bft.steps.columns import wrapped
from bft.steps.failures import REASON, failed_steps
from bft.steps.held_back import held_back, newest_gate
from bft.steps.record import doubted, pull_of

PAGES = (
    ("report", "reports/{0}/day.html"),
    ("screener", "reports/{0}/screener_{0}.pdf"),
    ("picks", "reports/{0}/portfolio_picks.csv"),
    ("signals", "reports/{0}/signals.csv"),
)


def night_told(store: Store, line: Json, *, root: str) -> str:
    """Failures, picks, held-back models, time, and where report, PDF and MLflow are.

    Each where there is one: a night that ended early has no verdicts. Empty for another workflow,
    or a run that has no day.
    """
    if line.get("workflow") != "nightly" or not line.get("asof") or "phase" not in line:
        return ""
    asof = date.fromisoformat(line["asof"])
    steps = failed_steps(store, asof)
    failed = [wrapped(f"FAILED    {one.told}") for one in steps]
    gate = newest_gate(store, asof)
    if line["phase"] != "Succeeded" and (gate or {}).get("asof") != str(asof):
        gate = None  # an earlier night's
    verdicts = {"executes": _picks(store, asof, failed=bool(steps)), "models": _held(gate)}
    told = [wrapped(f"{name:<9} {text}") for name, text in verdicts.items() if text]
    found = [(name, key.format(asof)) for name, key in PAGES]
    paths = [f"{name:<9} {_place(root, key)}" for name, key in found if store.digest(key)]
    told += _dropped(store, asof, root)
    return "\n".join([*failed, *told, *paths, *_page(root), f"time      {_time(line)}"])


def _picks(store: Store, asof: date, *, failed: bool) -> str:
    """Picks to execute and why others are watched; a failed night has none to execute.

    What an earlier run of the day tagged may still say otherwise in the table. Empty where nothing
    was ranked on that day.
    """
    names = ["asof", "symbol", "rank", "tag", "tag_reason"]
    rows = store.read("picks", asof=asof, columns=names).to_pylist()
    today = sorted((row for row in rows if row["asof"] == asof), key=lambda row: row["rank"])
    if not today and store.digest(f"lineage/rank/{asof}.json") is None:
        return ""
    execute = [row for row in today if row["tag"] == "execute"]
    chosen = [] if failed else [row["symbol"] for row in execute]
    why = Counter(row["tag_reason"] for row in today if row["tag"] != "execute")
    why.update({REASON: len(execute)} if failed and execute else {})
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(why.items()))
    named = f" ({', '.join(chosen)})" if chosen else ""
    watched = f" ({reasons.replace('_', ' ')})" if reasons else ""
    return f"{len(chosen)}{named}; {sum(why.values())} to watch{watched}"


def _page(root: str) -> list[str]:
    """The command of the MLflow page, where there is anything to see on it."""
    if not (Path(root) / "mlflow.db").exists():
        return []
    named = "" if root == "./data" else f" --root {shlex.quote(root)}"
    return [f"MLflow    bft serve{named} mlflow"]


def _dropped(store: Store, asof: date, root: str) -> list[str]:
    """Rows that the pull refused, dropped or replaced, each reason with its first row."""
    names, counts = doubted(store, asof), pull_of(store, asof).get("skipped", {})
    told = [
        f"{reason.replace('_', ' ')} {counts.get(reason, len(rows)):,} ({rows[0]})"
        for reason, rows in names.items()
        if reason in DROPPED
    ]
    page = _place(root, f"reports/quality_{asof}.md")
    said = wrapped(f"rows      refused or replaced: {'; '.join(told)}")
    return [said, f"quality   {page}"] if told else []


def _held(report: Json | None) -> str:
    if report is None:
        return ""
    rows = held_back(report)
    told = "; ".join(f"{row['name']}: {'; '.join(row['why'])}" for row in rows)
    return f"held back by the gate: {told or 'none'}"


def _place(root: str, key: str) -> str:
    return f"{root.rstrip('/')}/{key}" if "://" in root else str(Path(root).resolve() / key)


def _time(line: Json) -> str:
    minutes, seconds = divmod(round(line["seconds"]), 60)
    return f"{minutes}:{seconds:02d}"
