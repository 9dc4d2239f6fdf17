"""Routes that open and shut the executor: configuration, kill, halts, closing, reconciling.

Source: executor specification, sections 1.1, 4, 6, 8 and 9.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.encoding import money_text
from bft.domain.errors import RefusedError
from bft.domain.orders import IntentState, Reason
from bft.ledger import entries
from bft.risk.overrides import overridden, tightened
from bft.risk.profiles import Profile
from bft.risk.windows import Hours
from bft.services.executor.api import fields as f
from bft.services.executor.api import naming
from bft.services.executor.api.auth import Admins, Reads, Trades
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.idempotency import hash_of
from bft.services.executor.api.json_body import read
from bft.services.executor.api.orders import Mode
from bft.services.executor.api.placing import check_mode
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.symbols import symbol_named
from bft.services.executor.closing import Closed, Selection
from bft.services.executor.doubts import awaited

router = APIRouter(tags=["controls"])
Strict = ConfigDict(strict=True, extra="forbid")


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
    session_windows: f.Windows = None
    ignore_session: bool | None = None
    require_model_gate: bool | None = None


class CloseBody(BaseModel):
    """What is closed; `all` needs `confirm`, the account's id; `quantity` needs one symbol."""

    model_config = Strict
    symbols: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=500)] | None = (
        None
    )
    strategy: f.Word | None = None
    instrument: Literal["stock", "option"] | None = None
    all: bool = False
    quantity: Annotated[int, Field(ge=1, le=99_999_999)] | None = None
    confirm: Annotated[str, Field(max_length=64)] | None = None


class ClosingItem(BaseModel):
    """One thing that is being closed; `entry` null: no bracket holds it.

    `stays`: units of that entry, or of no entry, that nobody has asked to leave.
    """

    symbol: str
    con_id: int
    quantity: int
    entry: str | None
    what: str
    stays: int


class Closing(BaseModel):
    """What leaves; the positions end when executions say so."""

    closing: list[ClosingItem]
    not_held: list[str] = Field(
        description="named symbols of which there is neither a position nor a pending entry"
    )


class Reconciliation(BaseModel):
    """The newest result, or null before the first."""

    result: dict[str, Any] | None


class UnknownOrder(BaseModel):
    """An order nobody knows about; `awaited` says what settles it."""

    id: str
    symbol: str
    leg: str
    side: str
    quantity: int
    awaited: str


class UnknownOrders(BaseModel):
    """Orders of any leg that are UNKNOWN."""

    orders: list[UnknownOrder]


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
    others = {name: v for name, v in desk.state.overrides.items() if name not in changes}
    wanted = {name: value for name, value in changes.items() if value is not None}
    kept, _ = tightened(service.configured, others, live=service.live)
    try:
        profile = overridden(kept, wanted, live=service.live)
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


@router.post(
    "/v1/close",
    status_code=202,
    response_model=Closing,
    openapi_extra=body_of(CloseBody),
    responses=errors(400, 404, 409, 413, 415),
)
async def post_close(request: Request, subject: Trades, mode: Mode = None) -> JSONResponse:
    """Have positions leave and cancel entries that still work; again doubles nothing.

    What a cancelled entry fills before its cancel leaves too. What others buy later stays.
    With `quantity` so many units leave, oldest entries first; the rest stays under its stop and
    target, and entries go on. More than is held closes all (`bft close --qty` refuses that). The
    same again within 10 s is refused, later it is more of them.
    Where nothing of what is named is there: 404, which says what is held. Of several symbols those
    that are there leave; the others are told as `not_held`. `all` of nothing is an empty answer.
    """
    service = service_of(request)
    check_mode(service, mode)
    body = await read(request, CloseBody)
    if not (body.all or body.symbols or body.strategy or body.instrument):
        raise shape("say what to close: symbols, strategy, instrument or all")
    if body.all and body.confirm != service.desk.account:
        given = "none was given" if body.confirm is None else f"{body.confirm!r} is not it"
        text = f"confirm: to close all it is the whole id of the account; {given}"
        raise Problem(409, Reason.OTHER, text)
    selection = Selection(
        symbols=tuple(symbol_named(text) for text in body.symbols or ()),
        strategy=body.strategy,
        instrument=body.instrument,
        everything=body.all,
    )
    if body.quantity is not None:
        _check_part(service, body, subject.name)
    service.executor.guard.recount_all()
    absent = naming.unheld(service, selection, part=body.quantity is not None)
    closed = _closed(service, selection, body.quantity)
    if body.quantity is not None and not closed:
        service.executor.facts.forget_twin(subject.name, hash_of(body.model_dump()))
    if not closed and (absent == selection.symbols) and not body.all:
        raise naming.nothing_of(service, selection, part=body.quantity is not None)
    await service.stored()
    told = [
        {
            "symbol": c.symbol,
            "con_id": c.con_id,
            "quantity": c.qty,
            "entry": c.entry,
            "what": c.what,
            "stays": c.stays_qty,
        }
        for c in closed
    ]
    return JSONResponse({"closing": told, "not_held": absent}, 202)


def _closed(service: Service, selection: Selection, quantity: int | None) -> list[Closed]:
    """Have all of a selection leave, or so many units."""
    with service.desk.together():
        closing = service.executor.closing
        if quantity is None:
            return closing.close(selection)
        return closing.close_part(selection, quantity)


def _check_part(service: Service, body: CloseBody, name: str) -> None:
    """Refuse a part of more than one symbol, and the same part again within 10 s."""
    if body.all or len(body.symbols or ()) != 1:
        raise shape("quantity: of which one symbol; without it the whole is closed")
    if service.executor.facts.twin(name, hash_of(body.model_dump())):
        raise Problem(
            409, Reason.DUPLICATE, "the same part within 10 s; look at the position first"
        )


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


@router.get("/v1/reconcile/unknown", response_model=UnknownOrders, responses=errors())
async def get_unknown(request: Request, _: Reads) -> JSONResponse:
    """Orders nobody knows about, with the evidence that each awaits."""
    live = service_of(request).desk.state.live_intents()
    found = [
        {
            "id": i.intent_id,
            "symbol": i.contract.symbol,
            "leg": i.leg.value,
            "side": i.side.value,
            "quantity": i.qty,
            "awaited": awaited(i),
        }
        for i in live
        if i.state is IntentState.UNKNOWN
    ]
    return JSONResponse({"orders": found})
