"""Routes that open and shut the executor: configuration, kill, halts, closing, reconciling.

Source: executor specification, sections 1.1, 4, 6, 8 and 9.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.encoding import encode, money_text
from bft.domain.errors import RefusedError
from bft.domain.orders import Reason
from bft.ledger import entries
from bft.ledger.records import Halt
from bft.risk.overrides import overridden
from bft.risk.profiles import Profile
from bft.risk.windows import Hours
from bft.services.executor.api import fields as f
from bft.services.executor.api.auth import Admins, Reads, Trades
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.json_body import read, read_optional
from bft.services.executor.api.orders import Mode
from bft.services.executor.api.placing import check_mode
from bft.services.executor.api.problems import Problem, shape, unknown
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.symbols import parse_symbol
from bft.services.executor.closing import Selection

router = APIRouter(tags=["controls"])
Strict = ConfigDict(strict=True, extra="forbid")
Reasoned = Annotated[str, Field(max_length=500)]


class Limits(BaseModel):
    """What may be set at run time; money is decimal text."""

    max_trades_per_day: int
    daily_loss_cap_usd: str
    session_windows: list[str]
    ignore_session: bool
    require_model_gate: bool


class Config(BaseModel):
    """As settings say, as it holds now, and what a person set in between."""

    configured: Limits
    effective: Limits
    runtime_override: dict[str, Any]


class ConfigBody(BaseModel):
    """Fields that are left out stay; null takes an override back."""

    model_config = Strict
    max_trades_per_day: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    daily_loss_cap_usd: f.Price = None
    session_windows: (
        Annotated[str, Field(max_length=500)]
        | Annotated[list[str | dict[str, str]], Field(max_length=50)]
        | dict[str, str]
        | None
    ) = None
    ignore_session: bool | None = None
    require_model_gate: bool | None = None


class KillState(BaseModel):
    """The kill switch; `generation` is what clearing must confirm."""

    latched: bool
    generation: int
    sources: list[str]
    pulled_now: str | None
    by: str
    reason: str
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


class Halts(BaseModel):
    """Halts in force, oldest first."""

    halts: list[HaltView]


class CloseBody(BaseModel):
    """What is closed; `all` needs `confirm`, the account's id."""

    model_config = Strict
    symbols: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=500)] | None = (
        None
    )
    strategy: f.Word | None = None
    instrument: Literal["stock", "option"] | None = None
    all: bool = False
    confirm: Annotated[str, Field(max_length=64)] | None = None


class ClosingItem(BaseModel):
    """One thing that is being closed; `entry` null: no bracket holds it."""

    symbol: str
    quantity: int
    entry: str | None
    what: str


class Closing(BaseModel):
    """What leaves; the positions end when executions say so."""

    closing: list[ClosingItem]


class Reconciliation(BaseModel):
    """The newest result, or null before the first."""

    result: dict[str, Any] | None


class Accepted(BaseModel):
    """It has begun."""

    status: str


@router.get("/v1/config", response_model=Config, responses=errors())
async def get_config(request: Request, _: Reads) -> JSONResponse:
    """Limits that may be set at run time."""
    return JSONResponse(config_view(service_of(request)))


@router.put(
    "/v1/config",
    response_model=Config,
    openapi_extra=body_of(ConfigBody),
    responses=errors(write=True),
)
async def put_config(request: Request, subject: Admins) -> JSONResponse:
    """Set limits until they are taken back; in live they only become tighter."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, ConfigBody)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if body.daily_loss_cap_usd is not None:
        changes["daily_loss_cap_usd"] = money_text(body.daily_loss_cap_usd)
    await override(service, changes, by=subject.name)
    return JSONResponse(config_view(service))


async def override(service: Service, changes: Mapping[str, object], *, by: str) -> None:
    """Make limits hold from now on, over restarts too.

    Raises:
        ConfigError: an unusable value.
        Problem: 403, looser in live.
    """
    desk = service.desk
    wanted = {**desk.state.overrides, **changes}
    held = {name: value for name, value in wanted.items() if value is not None}
    try:
        profile = overridden(service.configured, held, live=service.live)
    except RefusedError as error:
        raise Problem(403, Reason.MODE, str(error)) from error
    noted = [
        entries.override(desk.now, name=name, value=value, by=by)
        for name, value in changes.items()
        if desk.state.overrides.get(name) != value
    ]
    if noted:
        desk.profile = profile
        await desk.note(*noted)


def config_view(service: Service) -> dict[str, Any]:
    """Limits as settings say, as they hold, and the difference."""
    return {
        "configured": _limits(service.configured),
        "effective": _limits(service.desk.profile),
        "runtime_override": dict(service.desk.state.overrides),
    }


def _limits(profile: Profile) -> dict[str, Any]:
    return {
        "max_trades_per_day": profile.max_entries_per_day,
        "daily_loss_cap_usd": money_text(profile.daily_loss_cap_usd),
        "session_windows": [text for hours in profile.hours for text in _windows(hours)],
        "ignore_session": profile.ignore_session,
        "require_model_gate": profile.require_model_gate,
    }


def _windows(hours: Hours) -> list[str]:
    return [
        f"{w.start_min // 60:02}:{w.start_min % 60:02}-{w.end_min // 60:02}:{w.end_min % 60:02}"
        for w in hours.windows
    ]


@router.get("/v1/kill", response_model=KillState, responses=errors())
async def get_kill(request: Request, _: Reads) -> JSONResponse:
    """The kill switch."""
    return JSONResponse(kill_view(service_of(request)))


@router.post(
    "/v1/kill",
    response_model=KillState,
    openapi_extra=body_of(KillBody, required=False),
    responses=errors(413, 415),
)
async def post_kill(request: Request, subject: Trades) -> JSONResponse:
    """Let no opening order leave, cancel those that live; again is fine."""
    service = service_of(request)
    body = await read_optional(request, KillBody)
    service.executor.killing.latch("api", by=subject.name, reason=body.reason, flatten=body.flatten)
    return JSONResponse(kill_view(service))


@router.delete(
    "/v1/kill",
    response_model=KillState,
    openapi_extra=body_of(ClearBody, required=False),
    responses=errors(409, 413, 415),
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
    response_model=HaltView,
    openapi_extra=body_of(HaltBody),
    responses=errors(write=True),
)
async def post_halt(request: Request, subject: Admins) -> JSONResponse:
    """Refuse entries in a scope until an admin resumes."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, HaltBody)
    halt = Halt(
        halt_id=f"manual:{body.scope}:{_key(service, body)}:{service.now.isoformat()}",
        scope=body.scope,
        key=_key(service, body),
        rule="manual",
        reason=body.reason,
        set_by=subject.name,
        set_at=service.now,
    )
    await service.desk.note(entries.halt(halt))
    service.metrics.halts.labels("manual").inc()
    return JSONResponse(encode(halt), 201)


def _key(service: Service, body: HaltBody) -> str:
    """What is halted; account and profile have only one."""
    own = {"account": service.desk.account, "profile": service.desk.profile.name}
    if body.scope in own:
        if body.key not in {None, own[body.scope]}:
            raise shape(f"key: this server's {body.scope} is another; leave it out")
        return own[body.scope]
    if body.key is None:
        raise shape(f"key: which {body.scope}")
    if body.scope == "strategy":
        return body.key
    return _symbol(body.key)


def _symbol(text: str) -> str:
    try:
        return parse_symbol(text, None)[0]
    except ValueError as error:
        raise shape(f"{text!r}: {error}") from error


@router.post(
    "/v1/resume",
    response_model=HaltView,
    openapi_extra=body_of(ResumeBody),
    responses=errors(404, 409, write=True),
)
async def post_resume(request: Request, subject: Admins) -> JSONResponse:
    """End a halt."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, ResumeBody)
    halt = service.desk.state.halts.get(body.confirm)
    if halt is None:
        raise unknown(f"halt {body.confirm[:64]}; see GET /v1/halts")
    if not halt.active(service.now):
        raise Problem(409, Reason.OTHER, f"halt {halt.halt_id} is over already")
    told = entries.resume(service.now, halt_id=halt.halt_id, by=subject.name, note=body.note)
    await service.desk.note(told)
    return JSONResponse(encode(service.desk.state.halts[halt.halt_id]))


@router.post(
    "/v1/close",
    status_code=202,
    response_model=Closing,
    openapi_extra=body_of(CloseBody),
    responses=errors(409, 413, 415),
)
async def post_close(request: Request, _: Trades, mode: Mode = None) -> JSONResponse:
    """Have positions leave and cancel entries that still work; again doubles nothing."""
    service = service_of(request)
    check_mode(service, mode)
    body = await read(request, CloseBody)
    if not (body.all or body.symbols or body.strategy or body.instrument):
        raise shape("say what to close: symbols, strategy, instrument or all")
    if body.all and body.confirm != service.desk.account:
        raise Problem(409, Reason.OTHER, "confirm must be the account's id to close all")
    selection = Selection(
        symbols=tuple(_symbol(text) for text in body.symbols or ()),
        strategy=body.strategy,
        instrument=body.instrument,
        everything=body.all,
    )
    closed = service.executor.closing.close(selection)
    told = [
        {"symbol": c.symbol, "quantity": c.qty, "entry": c.entry, "what": c.what} for c in closed
    ]
    return JSONResponse({"closing": told}, 202)


@router.post("/v1/reconcile", status_code=202, response_model=Accepted, responses=errors(409, 429))
async def post_reconcile(request: Request, subject: Trades) -> JSONResponse:
    """Compare book and broker now; GET /v1/reconcile/last tells the result."""
    service = service_of(request)
    service.writes.count(subject.name)
    if not service.desk.broker.state.may_close:
        text = f"session {service.desk.broker.state}: nothing is compared while the broker is away"
        raise Problem(503, Reason.NOT_ARMED, text)
    work = service.executor.reconciler.run(full=True, why="request")
    service.desk.spawn(work, "reconcile")
    return JSONResponse({"status": "started"}, 202)


@router.get("/v1/reconcile/last", response_model=Reconciliation, responses=errors())
async def get_reconcile(request: Request, _: Reads) -> JSONResponse:
    """Result and differences of the newest reconciliation."""
    return JSONResponse({"result": service_of(request).executor.reconciler.last})
