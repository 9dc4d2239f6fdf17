"""Health: whether the process lives, is able, may open. Source: executor specification, 1."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from bft.domain import sessions, xnys
from bft.domain.broker import SessionState
from bft.domain.errors import BftError
from bft.domain.orders import IntentState
from bft.risk.freshness import entries_from, entries_open
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.desk import HEARTBEAT_S

router = APIRouter(tags=["health"])
TICK_S, STALLED_S = 1.0, 5.0
PROBE_S, PROBE_AGE_S, PROBE_MOST_S = 4.0, 10.0, 1.0
QUEUE_S, CALENDAR = 2.0, timedelta(days=5)


class Live(BaseModel):
    """Whether the event loop turns."""

    status: str
    tick_age_s: float


class Ready(BaseModel):
    """Checks by name; `reasons` says why entries may not leave."""

    status: str
    checks: dict[str, bool]
    may_open: bool
    reasons: list[str]


class Health(BaseModel):
    """A summary for people.

    `now` is the executor's own clock, which `--clock` may set; `note` says from when entries may
    leave that may not yet; `market_opens` is null while the market is open; `root` tells one root
    from another, not where it lies.
    """

    status: str
    service: str
    version: str
    environment: str
    timezone: str
    now: datetime
    mode: str
    account: str
    simulated: bool
    session_state: str
    may_open: bool
    reasons: list[str]
    note: str
    market_opens: datetime | None
    root: str


def checks(service: Service) -> dict[str, bool]:
    """Every check of readiness."""
    desk, now = service.desk, service.desk.timer()
    probed = service.probed
    written = probed is not None and now - probed[0] <= PROBE_AGE_S and probed[1] <= PROBE_MOST_S
    oldest = min(
        (
            i.created_at
            for i in desk.state.live_intents()
            if i.state is IntentState.RESERVED and i.created_at
        ),
        default=None,
    )
    waits_s = 0.0 if oldest is None else (service.now - oldest).total_seconds()
    today = service.now.astimezone(sessions.NEW_YORK).date()
    return {
        "database": written and desk.writer.writable,
        "lease": desk.lease_held and not desk.closing_down,
        "broker": desk.broker.state is SessionState.ARMED and desk.reconciled,
        "queue": waits_s <= QUEUE_S,
        "calendar": (today + CALENDAR).isoformat() <= xnys.LAST,
        "monitor": desk.beat is not None and now - desk.beat <= HEARTBEAT_S,
        "clock": not desk.skew.broken,
    }


def reasons(service: Service, checked: Mapping[str, bool]) -> list[str]:
    """Why no entry may leave now, in words; none: it may. `checked` is what `checks` told."""
    desk, found = service.desk, []
    fence = desk.may_open()
    if fence:
        found.append(fence)
    found += [
        f"halt {halt.halt_id}: {halt.reason}"
        for halt in desk.state.active_halts(service.now)
        if desk.halts_all(halt)
    ]
    if not entries_open(desk.profile, service.now):
        opens = entries_from(desk.profile, service.now, close_decided=True)
        following = f", next {_local(opens)}" if opens else ""
        found.append(f"outside the entry windows{following}")
    found += service.executor.facts.shut()
    found += [f"check {name}" for name, good in checked.items() if not good]
    return found


def summary(service: Service) -> dict[str, Any]:
    """The summary for people: unhealthy where a check fails, degraded where opening is shut."""
    checked = checks(service)
    failed, why = [n for n, good in checked.items() if not good], reasons(service, checked)
    desk, about = service.desk, service.about
    halted = desk.killed or bool(desk.state.active_halts(service.now))
    status = "unhealthy" if failed else "degraded" if halted else "healthy"
    return {
        "status": status,
        "service": "bft-executor",
        "version": about.version,
        "environment": about.environment,
        "timezone": about.timezone,
        "now": service.now.isoformat(),
        "mode": desk.route.mode,
        "account": desk.account[-3:],
        "simulated": desk.broker.simulated,
        "session_state": desk.broker.state.value,
        "may_open": not why,
        "reasons": why,
        "note": _note(service) if not why else "",
        "market_opens": None if sessions.is_open(service.now) else _market_opens(service.now),
        "root": about.root_id,
    }


def _note(service: Service) -> str:
    """From when entries may leave that were not decided at a close, where others may already."""
    profile, now = service.desk.profile, service.now
    starts = entries_from(profile, now, close_decided=False)
    if starts is None or starts <= now:
        return ""
    return f"to entries decided at a close; others from {_local(starts)}"


def _market_opens(now: datetime) -> str:
    day = sessions.on_or_after(now.astimezone(sessions.NEW_YORK).date())
    opens = sessions.open_at(day)
    return (opens if opens > now else sessions.open_at(sessions.shift(day, 1))).isoformat()


def _local(at: datetime) -> str:
    return f"{at.astimezone(sessions.NEW_YORK):%a %H:%M} New York"


@router.get("/v1/health/live", response_model=Live, responses={503: {"model": Live}})
async def live(request: Request) -> JSONResponse:
    """Whether the event loop turned within 5 s; asks neither database nor broker."""
    service = service_of(request)
    age_s = max(0.0, service.desk.timer() - service.tick_at)
    good = age_s <= STALLED_S
    body = {"status": "live" if good else "stalled", "tick_age_s": round(age_s, 3)}
    return JSONResponse(body, 200 if good else 503)


@router.get("/v1/health/ready", response_model=Ready, responses={503: {"model": Ready}})
async def ready(request: Request) -> JSONResponse:
    """Whether everything an order needs is there; halts and hours change `may_open` alone."""
    service = service_of(request)
    found = checks(service)
    why = reasons(service, found)
    good = all(found.values())
    body = {
        "status": "ready" if good else "not_ready",
        "checks": found,
        "may_open": not why,
        "reasons": why,
    }
    return JSONResponse(body, 200 if good else 503)


@router.get("/v1/health", response_model=Health)
async def health(request: Request) -> JSONResponse:
    """A summary for people."""
    return JSONResponse(summary(service_of(request)))


async def probe(service: Service) -> None:
    """Write one row and remember how long it took."""
    try:
        took_s = await service.offload(service.book.probe)
    except BftError:
        return
    service.probed = (service.desk.timer(), float(took_s))
