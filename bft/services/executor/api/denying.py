"""What a refusal says: the rule that failed, the value it saw, the limit it held it against.

Denials of orders come first; requests that no rule has seen are counted beside them.
Source: executor specification, sections 1.1 (error body), 4 and 13; decision record 0076.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from bft.domain.encoding import encode, short_number_text
from bft.domain.journal import AtLeast
from bft.domain.orders import Decision, Reason, RuleResult, Verdict
from bft.services.executor.api.idempotency import Answer
from bft.services.executor.api.service import Service
from bft.services.executor.opening import Opened

OF_ORDERS: Mapping[str, object] = {"symbol": AtLeast("0")}  # a body refused unread has none
UNREAD: Mapping[str, object] = {"symbol": ""}
SHOWN_UNREAD = 20
PART = 100  # decisions read at once: each holds 32 rules and all their inputs


class RefusedRequests(BaseModel):
    """Requests refused before risk saw them: how many, and the newest twenty."""

    count: int
    rows: list[dict[str, Any]]


class Denials(BaseModel):
    """Denied orders and signals, newest first; beside them requests that were refused unread."""

    rows: list[dict[str, Any]] = Field(
        description="each with the rule that failed first, its value and its limit"
    )
    refused_requests: RefusedRequests


def denial(opened: Opened) -> Answer:
    """What a denied order is told: the first rule that failed, and all that did."""
    decision = opened.decision
    failed = [rule for rule in decision.rules if rule.verdict is not Verdict.PASS]
    first = failed[0] if failed else None
    body: dict[str, Any] = {
        "error": (decision.reason or Reason.OTHER).value,
        "message": _message(decision, first),
        "rule": first.number if first else None,
        "value": encode(first.value) if first else None,
        "limit": encode(first.limit) if first else None,
        "details": [_rule(rule) for rule in failed],
        "decision": opened.decision_id,
    }
    code = decision.http_code
    kept = not decision.transient and code < 500 and code != 429
    headers = {"Retry-After": "1"} if code == 429 else {}
    return Answer(status=code, body=body, kept=kept, headers=headers)


def _rule(rule: RuleResult) -> dict[str, Any]:
    return {
        "rule": rule.number,
        "name": rule.rule,
        "verdict": rule.verdict.value,
        "note": rule.note,
        "value": encode(rule.value),
        "limit": encode(rule.limit),
    }


def _message(decision: Decision, first: RuleResult | None) -> str:
    """The note, and the numbers of its rule where it does not say them itself."""
    told = decision.detail or "denied"
    if first is None or first.value is None or first.limit is None:
        return told
    value, limit = short_number_text(first.value), short_number_text(first.limit)
    return told if limit in told else f"{told} ({value}, limit {limit})"


async def denied(service: Service, *, since: datetime | None, limit: int) -> list[dict[str, Any]]:
    """Denials of orders, newest first, each with the rule that failed first and its numbers."""
    rows = await service.rows(
        "denials", where=OF_ORDERS, since=since, limit=limit, newest_first=True
    )
    firsts: dict[str, Mapping[str, Any]] = {}
    for at in range(0, len(rows), PART):
        names = [row["decision_id"] for row in rows[at : at + PART]]
        found = await service.rows("decisions", where={"decision_id": names})
        firsts |= {row["decision_id"]: _first(row["body"]["rules"]) for row in found}
    return [row | _numbers(firsts.get(row["decision_id"], {})) for row in rows]


def _first(rules: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next((rule for rule in rules if rule["verdict"] != Verdict.PASS.value), {})


def _numbers(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {"rule": rule.get("number"), "value": rule.get("value"), "limit": rule.get("limit")}


async def unread(service: Service, *, since: datetime | None) -> dict[str, Any]:
    """Requests refused before risk saw them: their number and the newest."""
    rows = await service.rows(
        "denials", where=UNREAD, since=since, limit=SHOWN_UNREAD, newest_first=True
    )
    count = len(rows)
    if count == SHOWN_UNREAD:
        count = await service.offload(
            lambda: service.book.count("denials", where=UNREAD, since=since)
        )
    return {"count": count, "rows": rows}
