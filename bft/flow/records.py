"""Records of runs in the store, alike here and on a cluster: what each step did, what is done.

A step writes `runs/<run>/steps/<node>-<digest of its words>.json` when it ends; the exit handler
reads them, writes `runs/<run>/summary.json`, and marks (workflow, asof, slot) done if all is well.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bft.domain.errors import DataError
from bft.domain.runs import Json
from bft.ports import Store

GOOD = frozenset({"trained", "cached"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """The last call of one command line in a run."""

    node: str
    words: tuple[str, ...]
    attempt: int
    exit_code: int
    seconds: float
    line: Json

    @property
    def cached(self) -> bool:
        """It found its work finished."""
        return bool(self.line.get("cached"))


def jitter_s(env: Mapping[str, str]) -> float:
    """Seconds a retried step waits before it begins: up to a fifth of the wait just over.

    Drawn from sha256(run, node, attempt), so that it is the same wherever it is computed.
    """
    attempt, wait_s = int(env.get("BFT_ATTEMPT") or 0), float(env.get("BFT_RETRY_WAIT_S") or 0)
    if attempt == 0:
        return 0.0
    text = f"{env.get('BFT_RUN_ID')}\0{env.get('BFT_NODE')}\0{attempt}"
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
    return 0.2 * wait_s * 2.0 ** (attempt - 1) * drawn


def note_step(store: Store, run: str, record: StepRecord) -> None:
    """Write a step's record; a later attempt of the same words replaces it."""
    words = hashlib.sha256("\0".join(record.words).encode()).hexdigest()[:12]
    body = {name: getattr(record, name) for name in record.__slots__}
    text = json.dumps(body, sort_keys=True, default=str) + "\n"
    store.put(f"runs/{run}/steps/{record.node}-{words}.json", text.encode())


def steps_of(store: Store, run: str) -> list[StepRecord]:
    """All step records of a run."""
    found = [json.loads(store.get(key)) for key in store.keys(f"runs/{run}/steps/")]
    return [StepRecord(**{**body, "words": tuple(body["words"])}) for body in found]


def is_done(store: Store, workflow: str, asof: date, slot: str) -> bool:
    """Did the workflow succeed for that asof and slot?"""
    return store.digest(_done_key(workflow, str(asof), slot)) is not None


def summarize(store: Store, run: str, *, status: str, failures: Sequence[Json]) -> Json:
    """What a run did; writes its summary and, after a success that did its work, the done mark."""
    steps = steps_of(store, run)
    verdict = _verdict(steps)
    workflow = str(verdict.get("workflow") or run.partition("-")[0])
    work = [step for step in steps if step.words[0] != "workflow"]
    about: Json = {
        "run": run,
        "workflow": workflow,
        "asof": verdict.get("asof"),
        "slot": verdict.get("slot") or "",
        "status": status,
        "reason": verdict.get("reason") or "",
        "ran": sum(not step.cached for step in work),
        "cached": sum(step.cached for step in work),
        "pod_seconds": round(sum(step.seconds for step in steps if not step.cached), 1),
        "failures": list(failures),
        "steps": [_told(step) for step in work],
        "next": _next(workflow, verdict, status),
    }
    text = json.dumps(about, indent=1, sort_keys=True, default=str) + "\n"
    store.put(f"runs/{run}/summary.json", text.encode())
    pending = any(step.line.get("transient_denied") for step in work)
    if status == "Succeeded" and verdict.get("run") and not pending:
        mark = json.dumps({"run": run, "status": status}) + "\n"
        store.put(_done_key(workflow, str(about["asof"]), about["slot"]), mark.encode())
    return about


def quorum(
    store: Store, run: str, *, node: str, need: int, must: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Models of a run's training node that have a usable result, and those that have none.

    Raises:
        DataError: fewer than `need`, or one of `must` is not among them; names the missing.
    """
    states: dict[str, str] = {}
    for step in steps_of(store, run):
        if step.node == node:
            for model in step.line.get("models") or ():
                states[str(model["name"])] = str(model["status"])
    good = sorted(name for name, state in states.items() if state in GOOD)
    bad = sorted(name for name in states if name not in good)
    absent = [name for name in must if name not in good]
    if len(good) < need or absent:
        lacking = f"; must have {', '.join(absent)}" if absent else ""
        told = ", ".join(f"{name} {states[name]}" for name in bad) or "no others"
        raise DataError(
            f"run {run}: {len(good)} of {len(states)} models are trained, {need} are needed"
            f"{lacking} ({told}); production stays, see runs/{run}/logs"
        )
    return good, bad


def _verdict(steps: Sequence[StepRecord]) -> Mapping[str, object]:
    lines = [step.line for step in steps if step.words[:2] == ("workflow", "due")]
    return lines[0] if lines else {}


def _told(step: StepRecord) -> Json:
    kept = ("rows", "skipped", "error", "degraded")
    line = {key: step.line[key] for key in kept if step.line.get(key)}
    words = " ".join(step.words)
    return {
        "node": step.node,
        "line": words,
        "exit_code": step.exit_code,
        "attempts": step.attempt + 1,
        "cached": step.cached,
        "seconds": step.seconds,
        **line,
    }


def _next(workflow: str, verdict: Mapping[str, object], status: str) -> str:
    if status == "Succeeded":
        return ""
    day = f" --asof {verdict['asof']}" if verdict.get("asof") else ""
    return f"bft run {workflow}{day}"


def _done_key(workflow: str, asof: str, slot: str) -> str:
    return f"runs/done/{workflow}/{asof}{'-' + slot if slot else ''}.json"
