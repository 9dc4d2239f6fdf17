"""Routes of the kill switch and of halts. Source: executor specification, sections 1.1, 4 and 9."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.encoding import encode
from bft.domain.orders import IntentState, Reason
from bft.ledger import entries
from bft.ledger.records import Halt
from bft.services.executor import doubts
from bft.services.executor.api import naming
from bft.services.executor.api.auth import Admins, Reads, Trades
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.json_body import read, read_optional
from bft.services.executor.api.problems import Problem, shape, unknown
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.symbols import symbol_named
from bft.services.executor.reconcile import UNKNOWN_ORDER

router = APIRouter(tags=["controls"])
Strict = ConfigDict(strict=True, extra="forbid")
Reasoned = Annotated[str, Field(max_length=500)]


class KillState(BaseModel):
    """The kill switch; `generation` is what clearing must confirm."""

    latched: bool
    generation: int
    sources: list[str]
    pulled_now: str | None
    by: str
    reason: str
    flatten: bool
    at: datetime | None


class KillBody(BaseModel):
    """Why, and whether all positions are closed too."""

    model_config = Strict
    flatten: bool = False
    reason: Reasoned = ""


class ClearBody(BaseModel):
    """The generation that is cleared; as a query parameter it does too."""

    model_config = Strict
    confirm: Annotated[int, Field(ge=0)] | None = None


class HaltBody(BaseModel):
    """What is halted: `key` is the account, profile, strategy or symbol."""

    model_config = Strict
    scope: Literal["account", "profile", "strategy", "symbol"]
    key: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ResumeBody(BaseModel):
    """The halt that ends; `confirm` is its id."""

    model_config = Strict
    confirm: Annotated[str, Field(min_length=1, max_length=200)]
    note: Reasoned = ""


class HaltView(BaseModel):
    """A halt."""

    halt_id: str
    scope: str
    key: str
    rule: str
    reason: str
    set_by: str
    set_at: datetime
    until: datetime | None
    cleared_by: str | None
    cleared_at: datetime | None
    note: str


class HaltMade(HaltView):
    """A halt that holds from now on; `warning` where nobody has met its symbol or strategy."""

    warning: str | None


class Halts(BaseModel):
    """Halts in force, oldest first."""

    halts: list[HaltView]


@router.get("/v1/kill", response_model=KillState, responses=errors())
async def get_kill(request: Request, _: Reads) -> JSONResponse:
    """The kill switch."""
    return JSONResponse(kill_view(service_of(request)))


@router.post(
    "/v1/kill",
    response_model=KillState,
    openapi_extra=body_of(KillBody, required=False),
    responses=errors(400, 413, 415),
)
async def post_kill(request: Request, subject: Trades) -> JSONResponse:
    """Let no opening order leave, cancel those that live; again is fine."""
    service = service_of(request)
    body = await read_optional(request, KillBody)
    service.executor.killing.latch("api", by=subject.name, reason=body.reason, flatten=body.flatten)
    await service.stored()
    return JSONResponse(kill_view(service))


@router.delete(
    "/v1/kill",
    response_model=KillState,
    openapi_extra=body_of(ClearBody, required=False),
    responses=errors(400, 409, 413, 415),
)
async def delete_kill(
    request: Request, subject: Admins, confirm: Annotated[int | None, Query(ge=0)] = None
) -> JSONResponse:
    """Open again, once every source is clear; `confirm` is the generation."""
    service = service_of(request)
    body = await read_optional(request, ClearBody)
    generation = confirm if body.confirm is None else body.confirm
    if generation is None:
        raise shape("confirm: the generation of the kill switch, see GET /v1/kill")
    kill = service.desk.state.kill
    if not kill.latched and not service.desk.killed:
        raise Problem(409, Reason.OTHER, "the kill switch is not latched")
    service.executor.killing.clear(by=subject.name, generation=generation)
    return JSONResponse(kill_view(service))


def kill_view(service: Service) -> dict[str, Any]:
    """The kill switch as the API shows it."""
    kill, desk = service.desk.state.kill, service.desk
    return {
        "latched": desk.killed or kill.latched,
        "generation": kill.generation,
        "sources": list(kill.sources),
        "pulled_now": service.executor.sources.pulled(),
        "by": kill.by,
        "reason": kill.reason,
        "flatten": kill.flatten,
        "at": kill.at.isoformat() if kill.at else None,
    }


@router.get("/v1/halts", response_model=Halts, responses=errors())
async def get_halts(request: Request, _: Reads) -> JSONResponse:
    """Halts in force."""
    service = service_of(request)
    held = service.desk.state.active_halts(service.now)
    return JSONResponse({"halts": [encode(halt) for halt in held]})


@router.post(
    "/v1/halt",
    status_code=201,
    response_model=HaltMade,
    openapi_extra=body_of(HaltBody),
    responses=errors(write=True),
)
async def post_halt(request: Request, subject: Admins) -> JSONResponse:
    """Refuse entries in a scope until an admin resumes.

    A symbol that is not held, or a strategy that has sent nothing yet, is halted all the same: it
    may be the next to be bought. `warning` then says so, in case it is a slip of the pen. Only a
    key that no order can bear (no form of a symbol, another account or profile) is refused.
    """
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, HaltBody)
    key = _key(service, body)
    halt = Halt(
        halt_id=f"manual:{body.scope}:{key}:{service.now.isoformat()}",
        scope=body.scope,
        key=key,
        rule="manual",
        reason=body.reason,
        set_by=subject.name,
        set_at=service.now,
    )
    await service.desk.note(entries.halt(halt))
    warning = naming.halt_warning(service, halt.scope, key)
    return JSONResponse({**encode(halt), "warning": warning}, 201)


def _key(service: Service, body: HaltBody) -> str:
    """What is halted; the account is one, and of several profiles each may be named alone."""
    own = {"account": service.desk.account, "profile": service.desk.profile.name}
    if body.scope in own:
        if body.scope == "profile" and body.key in own["profile"].split("+"):
            return body.key
        if body.key not in {None, own[body.scope]}:
            told = f"...{own['account'][-3:]}" if body.scope == "account" else own["profile"]
            raise shape(
                f"key {body.key!r}: {body.scope} of this server is {told}; give that, or leave key "
                "out. Nothing was halted"
            )
        return own[body.scope]
    if body.key is None:
        raise shape(f"key: which {body.scope}; nothing was halted")
    return body.key if body.scope == "strategy" else symbol_named(body.key)


@router.post(
    "/v1/resume",
    response_model=HaltView,
    openapi_extra=body_of(ResumeBody),
    responses=errors(404, 409, write=True),
)
async def post_resume(request: Request, subject: Admins) -> JSONResponse:
    """End a halt; that of an unknown order only once the order is settled."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, ResumeBody)
    halt = service.desk.state.halts.get(body.confirm)
    if halt is None:
        raise unknown(f"halt {body.confirm[:64]}; see GET /v1/halts")
    if not halt.active(service.now):
        raise Problem(409, Reason.OTHER, f"halt {halt.halt_id} is over already")
    _check_settled(service, halt)
    told = entries.resume(service.now, halt_id=halt.halt_id, by=subject.name, note=body.note)
    durable = service.desk.note(told)
    if halt.rule == Reason.DRAWDOWN.value:
        service.executor.equity.start_anew()
    await durable
    return JSONResponse(encode(service.desk.state.halts[halt.halt_id]))


def _check_settled(service: Service, halt: Halt) -> None:
    """Refuse to resume a symbol whose order nobody knows about: the fence would only come back.

    Raises:
        Problem: 409, says which order, what settles it, and what to do.
    """
    if halt.rule != UNKNOWN_ORDER:
        return
    live = service.desk.state.live_intents()
    waiting = [i for i in live if i.state is IntentState.UNKNOWN and i.contract.symbol == halt.key]
    if waiting:
        raise Problem(409, Reason.HALTED, doubts.awaited(waiting[0], more=len(waiting) - 1))
