"""What a run came to, in one JSON line and in a few words."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from bft.domain.advice import learned_anew, rooted
from bft.domain.runs import Json
from bft.domain.sessions import NEW_YORK
from bft.flow.context import last_name
from bft.flow.due import NIGHTS, window
from bft.flow.graph import Phase, Result
from bft.flow.records import StepRecord
from bft.flow.show import clock_text
from bft.flow.state import RunRecord
from bft.ports import Summary

JUDGES = frozenset({"guard", "plan", "onExit"})
"""Nodes that judge the work; they are not it."""


TRAIN = "train-missing"
"""The node that trains the models a set lacks; of a whole set it has nothing to do."""
OUTSIDE = {"too_early": "too early", "too_late": "too late", "half_day": "too late"}
"""Reasons of a guard that have to do with the hour, in words."""


def tell(
    record: RunRecord,
    given: Mapping[str, str],
    result: Result,
    *,
    root: str | None,
    quiet: bool,
    forced: str | None = None,
) -> Summary:
    """Summary of a run that has ended, or waits for somebody; `root` as the call gave it.

    `forced` is the node that the call asked to run again.
    """
    leaves = [line for line in record.nodes.values() if line.get("leaf")]
    code = int(record.end["exit_code"])
    counts = Counter(_kind(line) for line in leaves)
    verdict = (record.nodes.get("guard") or {}).get("outputs") or {}
    bad = [line for line in leaves if line.get("phase") in {Phase.FAILED, Phase.ERROR}]
    failed = [{key: line.get(key) for key in ("node", "exit_code", "reason")} for line in bad]
    values: Json = {
        "workflow": record.workflow,
        "run": record.run,
        "phase": str(result.phase),
        "asof": verdict.get("asof") or given.get("asof") or None,
        "reason": verdict.get("reason"),
        **({"source": given["source"]} if "source" in given else {}),
        **{key: counts[key] for key in ("ran", "cached", "failed")},
        "failures": failed,
        "next": rooted(_next(record.run, result, code), root),
    }
    if not quiet:
        took_s, made = float(record.end["seconds"]), datetime.fromisoformat(record.head["created"])
        told = _words(values, counts, took_s, made)
        told += _untrained(record, given, forced, values["asof"])
        sys.stderr.write(rooted(told, root) + "\n")
    return Summary(
        values=values,
        skipped={key: counts[key] for key in ("skipped", "omitted") if counts[key]},
        exit_code=code,
        error=_error(values, failed) if code else None,
    )


def held_back(steps: Sequence[StepRecord], record: RunRecord) -> str:
    """A line for each check of the data that kept symbols out of signals; empty without any."""
    paths = {last_name(path): path for path in record.nodes}
    return "".join(
        f"{paths.get(step.node, step.node)}: quality {step.line['head']}\n"
        for step in steps
        if step.words[:1] == ("validate",) and step.line.get("reasons") and "head" in step.line
    )


def _kind(line: Json) -> str:
    if line["event"] == "cached":
        return "cached"
    if line["event"] in {"skipped", "omitted"}:
        return str(line["event"])
    if line["node"] in JUDGES:
        return "judged"
    return "ran" if line.get("phase") == Phase.SUCCEEDED else "failed"


def _next(run: str, result: Result, code: int) -> str:
    if result.phase is Phase.SUSPENDED:
        return f"bft run --resume {run} --approve NAME"
    return f"bft run --resume {run}" if code else ""


def _error(values: Json, failed: Sequence[Json]) -> str:
    first = failed[0] if failed else {"node": "", "reason": str(values["phase"])}
    what = f"{values['workflow']} {first['node']}: {first['reason'] or 'failed'}"
    where = f"; log in runs/{values['run']}/logs" if failed else ""
    return f"{what}{where}; then: {values['next']}"


def _untrained(
    record: RunRecord, given: Mapping[str, str], forced: str | None, asof: str | None
) -> str:
    """Why a training that was asked for did nothing, and what trains anew; else empty."""
    idle = [
        line for path, line in record.nodes.items() if forced and last_name(path) == forced == TRAIN
    ]
    if not asof or not idle or idle[-1]["event"] != "skipped":
        return ""
    anew = learned_anew(asof, given.get("model-profile") or "demo")
    return f"\n{TRAIN} trained nothing, for no model is missing; all anew: {anew}"


def _hours(workflow: str, asof: date, at: datetime) -> str:
    """When it would have run, and what New York's clock said instead."""
    there = at.astimezone(NEW_YORK)
    runs = f"it runs {window(workflow, asof)}, New York time;"
    return f"\n{runs}\nit was {there:%H:%M} on {there.date()} there"


def _words(values: Json, counts: Mapping[str, int], took_s: float, made: datetime) -> str:
    name, reason = values["workflow"], values["reason"]
    kinds = ("ran", "cached", "skipped", "omitted", "failed")
    ran = ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind])
    text = f"{name} {str(values['phase']).lower()} in {clock_text(took_s)}: "
    if reason in {None, "due"}:
        whole = values["phase"] == Phase.SUCCEEDED and counts["cached"]
        idle = whole and not counts["ran"] + counts["failed"]
        text += f"unchanged, nothing to do ({ran})" if idle else ran or "nothing to do"
    elif reason == "holiday":
        text += f"nothing to do, that day has no session; the last before it is {values['asof']}"
    elif reason in OUTSIDE:
        text += f"nothing to do, it is {OUTSIDE[reason]} for {values['asof']}"
        text += _hours(name, date.fromisoformat(values["asof"]), made)
    else:
        text += f"nothing to do, {values['asof']} is {reason}"
    if reason in {"done", "too_late"} and name in NIGHTS:
        text += f"\nagain: bft run {name} --asof {values['asof']}"
    if values["phase"] == Phase.SUSPENDED:
        text += f"\nthen: {values['next']}"
    return text
