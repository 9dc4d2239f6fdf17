"""Which steps of a night failed: what scan, rank, reports and execute must know.

A step that fails within a run leaves `failures/<asof>/<verb>.json`; its next success removes it.
Failed checks of the data and forecasts that a production set should have given are found in the
tables themselves, so that a step that was killed, or called by hand, counts as well.
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

UNTOLD = FailedStep(
    verb="build",
    exit_code=UnavailableError.exit_code,
    error="it was stopped, or ran out of memory or time; the log of its run says more",
)
"""A build that ended before one of its steps could say why; a success of its last takes it back."""
BUILD_ENDS = "models"
BUILD = ("pull", "gold", "validate", BUILD_ENDS, UNTOLD.verb)
NIGHT = (*BUILD, "predict", "gate", "scan", "rank", "screen")
"""Verbs whose failure makes a night a failed one, in the order in which they run."""
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


def note_build(store: Store, asof: date) -> None:
    """Note that the build of asof failed, where none of its steps could: they were killed."""
    if UNTOLD in failed_steps(store, asof, build_failed=True):
        _note(store, asof, UNTOLD)


def failed_steps(
    store: Store, asof: date, *, before: str | None = None, build_failed: bool = False
) -> tuple[FailedStep, ...]:
    """Steps of the night of asof that failed, in order; only those that run before a verb.

    With `build_failed` its workflow says that the build did: then one of it is among them.
    """
    verbs = NIGHT[: NIGHT.index(before)] if before else NIGHT
    found = {
        body["verb"]: FailedStep(**body)
        for body in (json.loads(store.get(key)) for key in store.keys(f"failures/{asof}/"))
    }
    _add(found, "validate", _data_failed(store, asof))
    if build_failed and not found.keys() & set(BUILD):
        found[UNTOLD.verb] = UNTOLD
    if not found.keys() & set(BUILD):  # else nothing could be scored
        _add(found, "predict", _no_forecasts(store, asof))
    return tuple(found[verb] for verb in verbs if verb in found)


def _add(found: dict[str, FailedStep], verb: str, error: str | None) -> None:
    """What the tables say of a step, unless it has said it itself."""
    if error and verb not in found:
        found[verb] = FailedStep(verb=verb, exit_code=DataError.exit_code, error=error)


def failures_digest(
    store: Store, asof: date, *, before: str | None = None, build_failed: bool = False
) -> str:
    """Digest of `failed_steps`, as an input of the steps that heed them."""
    failed = failed_steps(store, asof, before=before, build_failed=build_failed)
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


def _note(store: Store, asof: date, failed: FailedStep) -> None:
    text = json.dumps(asdict(failed), sort_keys=True) + "\n"
    store.put(_key(failed.verb, asof), text.encode())


def _notes(store: Store, verb: str, asof: date, *, in_run: bool) -> list[str]:
    """Notes that a success of the verb takes away: its own; in a run the last of the build its too.

    By hand that verb only shows: whoever looks at the models has not built anything.
    """
    verbs = [verb, UNTOLD.verb] if in_run and verb == BUILD_ENDS else [verb]
    keys = [_key(one, asof) for one in verbs]
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
