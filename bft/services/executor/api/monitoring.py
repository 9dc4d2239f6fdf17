"""Metrics, settings and routes, for machines and for those who look after them.

Source: executor specification, sections 1.1 and 1.4.
"""

from dataclasses import fields
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from bft.domain.orders import IntentState
from bft.services.executor.api import health
from bft.services.executor.api.auth import Admins
from bft.services.executor.api.documents import document, errors
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.protection import unprotected_qty
from bft.settings import Secret, Settings, origins

public = APIRouter(tags=["metrics"])
router = APIRouter(tags=["debug"])
DEFAULTS = {f.name: f.default for f in fields(Settings)}
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Debug(BaseModel):
    """Values by name."""

    values: dict[str, Any]


class Routes(BaseModel):
    """Every method and path."""

    routes: list[str]


@public.get(
    "/v1/metrics/prom",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def prometheus(request: Request) -> Response:
    """Prometheus exposition."""
    service = service_of(request)
    gauge(service)
    return Response(service.metrics.text(), media_type=TEXT)


def gauge(service: Service) -> None:
    """Bring the gauges up to now."""
    desk, metrics = service.desk, service.metrics
    service.collector.collect()
    found = health.checks(service)
    why = health.reasons(service, found)
    live = list(desk.state.live_intents())
    held = {p.con_id: int(p.qty) for p in desk.state.positions.values()}
    differs = sum(float(difference.qty) for difference in desk.differences())
    skews = desk.skew.samples_s
    values: dict[str, float | None] = {
        "ready": float(all(found.values())),
        "may_open": float(not why),
        "kill_latched": float(desk.killed or desk.state.kill.latched),
        "unknown_orders": sum(1 for i in live if i.state is IntentState.UNKNOWN),
        "open_orders": len(live),
        "positions": len(held),
        "protection_gap_qty": unprotected_qty(held, live),
        "position_mismatch_qty": differs if desk.reconciled else 0,
        "clock_skew_seconds": skews[-1] if skews else None,
        **_money(service),
    }
    for name, value in values.items():
        metrics.values[name].set(float("nan") if value is None else float(value))
    metrics.uptime.set(desk.timer() - service.began)
    metrics.version.labels(service.about.version, service.about.environment).set(1)
    metrics.session(desk.broker.state)


def _money(service: Service) -> dict[str, float | None]:
    facts = service.executor.facts.book("")
    values = service.desk.broker.account_values()
    equity = float(values.equity_usd) if values and values.equity_usd is not None else None
    change, realised = facts.unrealised_change_usd, facts.realised_usd
    day = None if change is None or realised is None else float(change + realised)
    peak = float(facts.peak_equity_usd) if facts.peak_equity_usd else None
    fallen = None if equity is None or not peak else max(0.0, 1 - equity / peak)
    return {"equity_usd": equity, "day_pnl_usd": day, "drawdown_frac": fallen}


@router.get("/v1/metrics/debug", response_model=Debug, responses=errors())
async def metrics_debug(request: Request, _: Admins) -> JSONResponse:
    """Figures as JSON."""
    service = service_of(request)
    gauge(service)
    found = {
        f"{sample.name}{dict(sample.labels) or ''}": None
        if sample.value != sample.value
        else sample.value
        for metric in service.metrics.registry.collect()
        for sample in metric.samples
    }
    return JSONResponse({"values": found})


@router.get("/v1/debug/config", response_model=Debug, responses=errors())
async def debug_config(request: Request, _: Admins) -> JSONResponse:
    """Settings with where each comes from; secrets are masked."""
    given: dict[str, str] = {}
    for variable, name in origins().items():
        given.setdefault(name, variable)
    found = {
        name: {
            "value": repr(value).strip("'") if isinstance(value, Secret) else value,
            "source": given.get(name, "default" if value == DEFAULTS.get(name) else "command line"),
        }
        for name, value in service_of(request).about.settings.items()
    }
    return JSONResponse({"values": found})


@router.get("/v1/debug/routes", response_model=Routes, responses=errors())
async def debug_routes(request: Request, _: Admins) -> JSONResponse:
    """Every route of the document."""
    paths = document(request.app)["paths"]
    found = [f"{method.upper()} {path}" for path, told in paths.items() for method in told]
    return JSONResponse({"routes": sorted(found)})
