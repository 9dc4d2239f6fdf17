"""Signals to an executor, and what became of each.

Source: executor specification, sections 1.3 and 10.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bft.domain.orders import Reason
from bft.ports import ExecutorApi
from bft.steps.asking import answer
from bft.steps.execute_rows import Row

AGAIN_S = 10.0
NO_QUOTE = "quote is unknown"  # as rule 12 says it
BATCH_ROWS, BATCH_BYTES = 100, 192 * 1024
ROW_S = 4.0  # a first quote and a trial margin may be waited for
TRANSIENT = frozenset(
    {
        Reason.NOT_ARMED,
        Reason.SESSION,
        Reason.CLOCK,
        Reason.STALE_DATA,
        Reason.PRICE_COLLAR,
        Reason.LIQUIDITY,
        Reason.RATE,
        Reason.MARGIN,
        Reason.IN_PROGRESS,
    }
)
"""Reasons marked T in section 4: the same signal may be tried again until it expires."""
UNTIL_A_PERSON_ACTS = frozenset({Reason.KILL, Reason.HALTED})
"""Transient as well, but only a person ends them: waiting gains nothing (ADR 0080)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one signal: sent, replayed, unknown, lapsed, or a reason it was denied."""

    row: Row
    word: str
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def denied(self) -> bool:
        """Risk, or the API, said no."""
        return self.word not in {"sent", "replayed", "unknown", "lapsed", "nothing_held"}

    @property
    def transient(self) -> bool:
        """It may be tried again, in this call or a later one."""
        return self.waits or self.word in UNTIL_A_PERSON_ACTS

    @property
    def waits(self) -> bool:
        """It may pass within moments, by itself."""
        return self.word in TRANSIENT

    @property
    def unpriced(self) -> bool:
        """It was denied as its broker had heard no quote (rule 12)."""
        return self.word == Reason.STALE_DATA and NO_QUOTE in str(self.told.get("message"))

    def shown(self) -> dict[str, Any]:
        """For people: what it was, what came of it, and why."""
        body = self.row.body
        found = {
            "symbol": body["symbol"],
            "side": body["side"],
            "strategy": body.get("strategy_id"),
            "outcome": self.word,
            "id": self.told.get("id") or self.told.get("decision"),
            "rule": self.told.get("rule"),
            "why": self.told.get("message"),
        }
        return {name: value for name, value in found.items() if value is not None}


def send(
    api: ExecutorApi, rows: Sequence[Row], *, wait_s: float, again_s: float = AGAIN_S
) -> list[Outcome]:
    """Post all rows, and those denied for now again every `again_s` until `wait_s` is over.

    Raises:
        DataError: a row the API does not understand; nothing of its batch was sent.
        UnavailableError: no answer; what was sent will be found again by its key.
    """
    end = time.monotonic() + wait_s
    found = _posted(api, rows)
    while True:
        again = [place for place, outcome in enumerate(found) if outcome.waits]
        left_s = end - time.monotonic()
        if not again or left_s < again_s:
            return found
        time.sleep(again_s)
        repeated = _posted(api, [found[place].row for place in again])
        for place, outcome in zip(again, repeated, strict=True):
            found[place] = outcome


def _posted(api: ExecutorApi, rows: Sequence[Row]) -> list[Outcome]:
    made: list[Outcome] = []
    for batch in _batches(rows):
        body = {"signals": [row.body for row in batch]}
        wait_s = 30.0 + ROW_S * len(batch)
        told = answer(api.ask("POST", "/v1/signals", body=body, wait_s=wait_s))
        pairs = zip(batch, told["rows"], strict=True)
        made += [Outcome(row=row, word=_word(each), told=each) for row, each in pairs]
    return made


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in order, in bodies that the API takes."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row.body).encode()) + 2
        if batch and (len(batch) == BATCH_ROWS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch


def _word(told: Mapping[str, Any]) -> str:
    state = told.get("state")
    if state == "LAPSED":
        return "lapsed"
    if told.get("outcome") == "replayed":
        return "replayed"
    if told.get("error"):
        return str(told["error"])
    return {"UNKNOWN": "unknown", "NOTHING_HELD": "nothing_held"}.get(str(state), "sent")


def counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """How many were sent, denied by reason, replayed, unknown; who may be tried again."""
    words = Counter(outcome.word for outcome in outcomes)
    denied = Counter(outcome.word for outcome in outcomes if outcome.denied)
    return {
        "sent": words["sent"],
        "exits": sum(o.word == "sent" and o.row.is_exit for o in outcomes),
        "denied": dict(sorted(denied.items())),
        "replayed": words["replayed"],
        "unknown": words["unknown"],
        "lapsed": words["lapsed"],
        "nothing_held": words["nothing_held"],
        "transient_denied": sum(outcome.transient for outcome in outcomes),
    }


def totals(told: Mapping[str, Any], skipped: Mapping[str, int]) -> str:
    """For people, one line: what was sent, what was not and why, skipped rows included."""
    held = {name: count for name, count in skipped.items() if count}
    parts = [f"{told['sent']} sent"]
    parts += [f"{told[name]} {name}" for name in ("replayed", "unknown", "lapsed") if told[name]]
    parts += [f"{told['nothing_held']} with nothing to leave"] if told["nothing_held"] else []
    for words, reasons in (("denied", told["denied"]), ("skipped", held)):
        if reasons:
            named = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items()))
            parts.append(f"{sum(reasons.values())} {words} ({named})")
    return ", ".join(parts)


def cancel(api: ExecutorApi, rows: Sequence[Row], pending: Mapping[str, str]) -> Counter[str]:
    """Take back the pending entries of rows tagged `drop`; `pending` is order id by signal id."""
    found: Counter[str] = Counter()
    for row in rows:
        order = pending.get(str(row.body.get("signal_id")))
        if order is None:
            found["drop_not_pending"] += 1
            continue
        reply = api.ask("DELETE", f"/v1/orders/{order}")
        if reply.status == 409:
            found["drop_too_late"] += 1
            continue
        answer(reply)
        found["dropped"] += 1
    return found
