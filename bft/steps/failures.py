"""Which steps of a night failed: what scan, rank, reports and execute must know.

A step that fails within a run leaves `failures/<asof>/<verb>.json`; its next success removes it.
Failed checks of the data and forecasts that a production set should have given are found in the
tables themselves, so that a step that was killed, or called by hand, counts as well. Of a killed
node its workflow says so (`bft report --failed NODE`), which leaves `failures/<asof>/<node>.json`.
"""

import json
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from typing import Any

from bft.domain.errors import BftError, DataError, UnavailableError
from bft.domain.runs import FailedStep, Json
from bft.ports import Store
from bft.steps.record import digest_of

NODES = {"build": ("pull", "gold", "validate", "models"), "score": ("predict", "gate")}
"""Nodes that are marked when they fail, and the verbs in them; in the order in which they run."""
BUILD = (*NODES["build"], "build")
NIGHT = (*BUILD, *NODES["score"], "score", "scan", "rank", "screen")
"""Verbs and nodes whose failure makes a night a failed one, in the order in which they run."""
UNTOLD = "it was stopped, or ran out of memory or time; the log of its run says more"
"""Of a node that ended before its steps could say why."""
TAKES_BACK = {"models": "build", "predict": "score"}
"""Verbs whose success in a run takes the note of a node back: the last of a build, and forecasts of
tonight, for a resumed `rescore` brings them without `gate`."""
REASON = "night_failed"
"""Why an entry of a failed night is only shown."""
PRODUCTION = "exports/production.alias"


def settle(
    store: Store, verb: str, args: Namespace, line: Json, *, code: int, in_run: bool
) -> None:
    """Note a failure within a run, or remove the note of an earlier one (code 0).

    Scans of a running session, dry runs, and gates that only propose a set decide no night.
    """
    if verb not in NIGHT or not _decides(verb, args):
        return
    why = str(line.get("error") or "no reason given")
    with suppress(BftError):  # the root may be what failed; the exit code says so
        if code and in_run:
            _note(store, args.asof, FailedStep(verb=verb, exit_code=code, error=why))
        for key in () if code else _notes(store, verb, args.asof, in_run=in_run):
            store.delete(key)


def noted(store: Store, verb: str, args: Namespace) -> bool:
    """Does a failure of this very step still stand? Its call must run, though found finished.

    The state a failed call found may be put back, so that an older success is found again; only
    the call itself, over in a moment, takes the note away (`settle`).
    """
    decides = verb in NIGHT and _decides(verb, args)
    return decides and bool(_notes(store, verb, args.asof, in_run=True))


def note_node(store: Store, asof: date, node: str) -> dict[str, str]:
    """Note that a node of asof failed, where none of its steps could: they were killed.

    The note, an output of who calls: without it, the marking has to be done again.
    """
    untold = [one for one in failed_steps(store, asof, node=node) if one.verb == node]
    return {_key(node, asof): _note(store, asof, one) for one in untold}


def failed_steps(
    store: Store, asof: date, *, before: str | None = None, node: str | None = None
) -> tuple[FailedStep, ...]:
    """Steps of the night of asof that failed, in order; only those that run before a verb.

    `node` failed, says its workflow: then a step of it is among them, or the node itself.
    """
    verbs = NIGHT[: NIGHT.index(before)] if before else NIGHT
    found = {
        body["verb"]: FailedStep(**body)
        for body in (json.loads(store.get(key)) for key in store.keys(f"failures/{asof}/"))
    }
    _add(found, "validate", _data_failed(store, asof))
    if node and not found.keys() & {node, *NODES[node]}:
        code = UnavailableError.exit_code
        found[node] = FailedStep(verb=node, exit_code=code, error=UNTOLD)
    if not found.keys() & set(BUILD):  # else nothing could be scored
        _add(found, "predict", _no_forecasts(store, asof))
    return tuple(found[verb] for verb in verbs if verb in found)


def _add(found: dict[str, FailedStep], verb: str, error: str | None) -> None:
    """What the tables say of a step, unless it has said it itself."""
    if error and verb not in found:
        found[verb] = FailedStep(verb=verb, exit_code=DataError.exit_code, error=error)


def failures_digest(
    store: Store, asof: date, *, before: str | None = None, node: str | None = None
) -> str:
    """Digest of `failed_steps`, as an input of the steps that heed them."""
    failed = failed_steps(store, asof, before=before, node=node)
    return digest_of([one.told for one in failed])


def shown_only(strategies: Sequence[Any], failed: Sequence[FailedStep]) -> dict[str, str]:
    """Why entries of strategies are only shown: the night failed. Exits go on."""
    return dict.fromkeys((str(s.id) for s in strategies), REASON) if failed else {}


def check_data(store: Store, asof: date) -> None:
    """Refuse data that did not pass its checks: then a night has no signals at all.

    Raises:
        DataError: `validate` failed at asof; says what and what to do.
    """
    for one in failed_steps(store, asof, before="models"):
        if one.verb == "validate":
            raise DataError(
                f"no signals of {asof}, its data failed: {one.error}; mend it, then: "
                f"bft validate --asof {asof}"
            )


def _key(verb: str, asof: date) -> str:
    return f"failures/{asof}/{verb}.json"


def _note(store: Store, asof: date, failed: FailedStep) -> str:
    text = json.dumps(asdict(failed), sort_keys=True) + "\n"
    return store.put(_key(failed.verb, asof), text.encode())


def _notes(store: Store, verb: str, asof: date, *, in_run: bool) -> list[str]:
    """Notes that a success of the verb takes away: its own; in a run that of its node too.

    By hand that verb only shows: whoever looks at the models has not built anything.
    """
    node = TAKES_BACK.get(verb) if in_run else None
    keys = [_key(one, asof) for one in (verb, *([node] if node else []))]
    return [key for key in keys if store.digest(key) is not None]


def _decides(verb: str, args: Namespace) -> bool:
    shown = getattr(args, "dry_run", False) or getattr(args, "quotes", False)
    return not shown and (verb != "gate" or args.live)


def _data_failed(store: Store, asof: date) -> str | None:
    columns = ["asof", "check", "severity", "message"]
    rows = store.read("quality", asof=asof, columns=columns).to_pylist()  # unfiltered: no pandas
    failed = [row for row in rows if (row["asof"], row["severity"]) == (asof, "fail")]
    told = "; ".join(f"{row['check']}: {row['message']}" for row in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    return f"{told}{more}; all are in reports/quality_{asof}.md" if failed else None


def _no_forecasts(store: Store, asof: date) -> str | None:
    """A set is in production, yet the day has no forecasts."""
    if store.digest(PRODUCTION) is None or not store.get(PRODUCTION).strip():
        return None
    manifest = store.manifest("forecasts", asof=asof)
    if manifest is not None and manifest.asof == asof:
        return None
    return f"a model set is in production, but there are no forecasts of {asof}"
