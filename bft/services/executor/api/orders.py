"""Routes of orders and signals. Source: executor specification, sections 1.1 to 1.3."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from heapq import nlargest
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.encoding import decode, instant_text
from bft.domain.errors import UnavailableError
from bft.domain.journal import AtLeast
from bft.domain.orders import RESOLVED, Intent, IntentState, Leg, Reason
from bft.ledger import entries
from bft.ledger.state import KEPT
from bft.services.executor.api.auth import Admins, Reads, Subject, Trades
from bft.services.executor.api.denying import PART
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.idempotency import KEY_CHARS, Answer, hash_of
from bft.services.executor.api.json_body import read, read_body, strict_json, validated
from bft.services.executor.api.order_body import SignalBody, SignalsBody, WholeOrderBody
from bft.services.executor.api.placing import Caller, Placing
from bft.services.executor.api.problems import Problem, shape, unknown
from bft.services.executor.api.reading import Since
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.views import STATUS, OrderView, order_view

DECISIONS_S = 1.0  # a book that answers later is one that does not
router = APIRouter(tags=["orders"])
CONFIRM_S, LOOK_S = 0.5, 0.02
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
Mode = Annotated[str | None, Header(alias="X-BFT-Mode", max_length=16)]


class Orders(BaseModel):
    """Entries, newest first."""

    orders: list[OrderView]


class OrderStatus(BaseModel):
    """Where an order stands."""

    id: str
    status: str
    state: str
    filled_quantity: int
    quantity: int


class Batch(BaseModel):
    """One answer per row, in order; counts by outcome."""

    rows: list[dict[str, Any]]
    counts: dict[str, int]


class ResolveBody(BaseModel):
    """What a person found out about an unknown order; `confirm` is its id."""

    model_config = ConfigDict(strict=True, extra="forbid")
    state: Annotated[str, Field(pattern=f"^({'|'.join(RESOLVED)})$")]
    evidence: Annotated[str, Field(min_length=1, max_length=500)]
    note: Annotated[str, Field(max_length=2000)] = ""
    confirm: str


def caller_of(request: Request, subject: Subject, mode: str | None) -> Caller:
    """Who sends a body."""
    return Caller(
        subject=subject.name,
        roles=subject.roles,
        user_agent=request.headers.get("user-agent", ""),
        request_id=request.state.request_id,
        mode=mode,
    )


def placing_of(request: Request) -> Placing:
    """The one place where bodies become orders."""
    found: Placing = request.app.state.placing
    return found


def answered(answer: Answer) -> JSONResponse:
    """An answer as HTTP."""
    return JSONResponse(dict(answer.body), answer.status, headers=dict(answer.headers))


@router.post(
    "/v1/orders",
    status_code=201,
    response_model=OrderView,
    openapi_extra=body_of(WholeOrderBody),
    responses=errors(409, 423, 429, write=True, also={200: OrderView, 202: OrderView}),
)
async def post_order(
    request: Request,
    subject: Trades,
    key: Key = None,
    mode: Mode = None,
) -> JSONResponse:
    """Place an order; risk decides, and denies what it would have to shrink.

    The other side of what is held closes it, with more than is held all of it. Without a key an
    equal body buys again after 10 s. Fields, refusals, keys: docs/orders.md.
    """
    service_of(request).writes.count(subject.name)
    sent = strict_json(await read_body(request))
    body = validated(WholeOrderBody, sent)
    caller = caller_of(request, subject, mode)
    return answered(await placing_of(request).place(body, sent, caller, header=key))


@router.post(
    "/v1/signal",
    status_code=201,
    response_model=OrderView,
    openapi_extra=body_of(SignalBody),
    responses=errors(409, 423, 429, write=True, also={200: OrderView, 202: OrderView}),
)
async def post_signal(
    request: Request,
    subject: Trades,
    key: Key = None,
    mode: Mode = None,
) -> JSONResponse:
    """Decide on a signal: risk sizes it, an exit closes what is held."""
    service_of(request).writes.count(subject.name)
    sent = strict_json(await read_body(request))
    body = validated(SignalBody, sent)
    caller = caller_of(request, subject, mode)
    return answered(await placing_of(request).place(body, sent, caller, header=key))


@router.post(
    "/v1/signals",
    response_model=Batch,
    openapi_extra=body_of(SignalsBody, SignalBody, rows=True),
    responses=errors(409, write=True),
)
async def post_signals(
    request: Request,
    subject: Trades,
    key: Key = None,
    mode: Mode = None,
) -> JSONResponse:
    """Decide on up to 500 signals, one after the other; one malformed row refuses all."""
    service_of(request).writes.count(subject.name)
    sent = strict_json(await read_body(request))
    sent = {"signals": sent} if isinstance(sent, list) else sent
    body = validated(SignalsBody, sent)
    _one_content_each(body, sent["signals"])
    caller, made = caller_of(request, subject, mode), []
    for place, (row, told) in enumerate(zip(body.signals, sent["signals"], strict=True)):
        header = row_key(key, place) if key else None
        made.append(await _row(request, row, told, caller, header))
    counts: dict[str, int] = {}
    for answer in made:
        name = _outcome(answer)
        counts[name] = counts.get(name, 0) + 1
    rows = [{"code": answer.status, "outcome": _outcome(answer), **answer.body} for answer in made]
    return JSONResponse({"rows": rows, "counts": counts})


def row_key(key: str, place: int) -> str:
    """The key of one row of a batch; of a long key its digest, so that none loses its begin."""
    name = f"{key}:{place}"
    return name if len(name) <= KEY_CHARS else f"{sha256(key.encode()).hexdigest()}:{place}"


async def _row(
    request: Request, row: SignalBody, told: Any, caller: Caller, header: str | None
) -> Answer:
    """One decision; what only concerns this row does not end the batch."""
    try:
        return await placing_of(request).place(row, told, caller, header=header)
    except Problem as problem:
        if problem.status in {401, 403}:
            raise
        service = service_of(request)
        name = service.turned_away(problem, subject=caller.subject, user_agent=caller.user_agent)
        body = {"error": problem.reason.value, "message": problem.message, "rule": None}
        return Answer(status=problem.status, body=body | {"decision": name})


def _outcome(answer: Answer) -> str:
    if "Idempotency-Replayed" in answer.headers:
        return "replayed"
    if answer.body.get("error"):
        return str(answer.body["error"])
    return "unknown" if answer.body.get("state") == "UNKNOWN" else "accepted"


def _one_content_each(body: SignalsBody, sent: list[Any]) -> None:
    seen: dict[str, str] = {}
    for row, told in zip(body.signals, sent, strict=True):
        if row.signal_id and seen.setdefault(row.signal_id, hash_of(told)) != hash_of(told):
            raise shape(f"signal_id {row.signal_id} stands for two contents")


@router.get("/v1/orders", response_model=Orders, responses=errors())
async def get_orders(
    request: Request,
    _: Reads,
    status: Annotated[str | None, Query(max_length=32)] = None,
    symbol: Annotated[str | None, Query(max_length=32)] = None,
    since: Since = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JSONResponse:
    """Entries, newest first."""
    service = service_of(request)
    wanted = status.upper() if status else None
    if wanted is not None and wanted not in STATUS.values():
        raise shape(f"status {status!r}: one of {', '.join(sorted(set(STATUS.values())))}")
    found = [
        intent
        for intent in await _entries(service, since)
        if (symbol is None or intent.contract.symbol == symbol.upper())
        and (wanted is None or STATUS[intent.state] == wanted)
    ]
    newest = nlargest(limit, found, key=lambda i: (i.created_at or service.now, i.intent_id))
    return JSONResponse({"orders": await _views(service, newest)})


async def _views(service: Service, intents: Sequence[Intent]) -> list[dict[str, Any]]:
    """Entries as they are told, each with the decision that let it pass.

    A book that cannot be read hides a decision, never an order: `bft close` asks for these.
    """
    known = service.decisions
    missing = [i.signal_id for i in intents if i.signal_id and i.signal_id not in known]
    with suppress(UnavailableError, TimeoutError):
        async with asyncio.timeout(DECISIONS_S):
            for at in range(0, len(missing), PART):
                where = {"signal_id": missing[at : at + PART], "allowed": True}
                for row in await service.rows("decisions", where=where):
                    known[row["signal_id"]] = row["decision_id"]
    views = ((order_view(service.desk, intent), intent.signal_id) for intent in intents)
    return [view | {"decision": known.get(signal_id)} for view, signal_id in views]


async def _entries(service: Service, since: datetime | None) -> list[Intent]:
    """Entries of memory (30 days), of the book where more is asked for."""
    if since is None or since >= service.now - KEPT:
        held = service.desk.state.intents.values()
        return [
            i
            for i in held
            if i.leg is Leg.ENTRY and (since is None or (i.created_at or since) >= since)
        ]
    where = {"leg": Leg.ENTRY.value, "created_at": AtLeast(instant_text(since))}
    return [decode(Intent, row) for row in await service.rows("intents", where=where)]


async def entry_of(request: Request, name: str) -> Intent:
    """An entry by its id or by the client's.

    Raises:
        Problem: 404.
    """
    service, placing = service_of(request), placing_of(request)
    state = service.desk.state.intents
    intent = state.get(name) or state.get(placing.by_client_id.get(name, ""))
    if intent is not None and intent.leg is Leg.ENTRY:
        return intent
    rows = await service.rows("intents", where={"intent_id": name, "leg": Leg.ENTRY.value})
    if rows:
        return decode(Intent, rows[0])
    found = await placing.client_entry(name)
    if found is not None:
        return found
    raise unknown(f"order {name[:64]}")


@router.get("/v1/orders/{id}", response_model=OrderView, responses=errors(404))
async def get_order(
    request: Request,
    id: str,
    _: Reads,
) -> JSONResponse:
    """One order."""
    (view,) = await _views(service_of(request), [await entry_of(request, id)])
    return JSONResponse(view)


@router.get("/v1/orders/{id}/status", response_model=OrderStatus, responses=errors(404))
async def get_order_status(
    request: Request,
    id: str,
    _: Reads,
) -> JSONResponse:
    """Where one order stands."""
    intent = await entry_of(request, id)
    return JSONResponse(
        {
            "id": intent.intent_id,
            "status": STATUS[intent.state],
            "state": intent.state.value,
            "quantity": intent.qty,
            "filled_quantity": intent.filled_qty,
        }
    )


@router.delete(
    "/v1/orders/{id}",
    response_model=OrderView,
    responses=errors(404, 409, also={202: OrderView}),
)
async def delete_order(
    request: Request,
    id: str,
    _: Trades,
) -> JSONResponse:
    """Cancel an order; never blocked by a halt, and queued while the broker is away."""
    service, intent = service_of(request), await entry_of(request, id)
    if intent.state.terminal:
        text = f"order {intent.intent_id} is {intent.state} already"
        raise Problem(409, Reason.OTHER, text)
    service.executor.cancelling.cancel(intent, why="api")
    waited, state = 0.0, service.desk.state.intents
    while waited < CONFIRM_S and not state[intent.intent_id].state.terminal:
        await asyncio.sleep(LOOK_S)
        waited += LOOK_S
    now = state[intent.intent_id]
    code = 200 if now.state in {IntentState.CANCELLED, IntentState.LAPSED} else 202
    if now.state.terminal and code != 200:
        raise Problem(409, Reason.OTHER, f"order {now.intent_id} is {now.state} by now")
    return JSONResponse(order_view(service.desk, now), code)


@router.post(
    "/v1/orders/{id}/resolve",
    response_model=OrderView,
    openapi_extra=body_of(ResolveBody),
    responses=errors(404, 409, write=True),
)
async def resolve_order(
    request: Request,
    id: str,
    subject: Admins,
) -> JSONResponse:
    """Settle an UNKNOWN order by what a person found out; its executions still count."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, ResolveBody)
    intent = await entry_of_any(request, id)
    if intent.state is not IntentState.UNKNOWN:
        raise Problem(409, Reason.OTHER, f"order {intent.intent_id} is {intent.state}, not UNKNOWN")
    if body.confirm != intent.intent_id:
        raise Problem(409, Reason.OTHER, "confirm must be the order's id")
    told = entries.moved(
        service.now,
        intent_id=intent.intent_id,
        state=IntentState(body.state),
        evidence=f"{subject.name}: {body.evidence}",
        text=body.note,
    )
    await service.desk.note(told)
    service.desk.poke()
    now = service.desk.state.intents[intent.intent_id]
    return JSONResponse(order_view(service.desk, now))


async def entry_of_any(request: Request, name: str) -> Intent:
    """An order of any leg in memory, where unknown ones always are; else as `entry_of`."""
    found = service_of(request).desk.state.intents.get(name)
    return found or await entry_of(request, name)
