"""Routes about models: what is in production, its threshold, promotion.

Promotion is `bft promote` in a process of its own: the same function, without its libraries here.
Source: executor specification, section 1.1.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.encoding import money_text
from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError, UsageError
from bft.domain.orders import Reason
from bft.services.executor.api import fields as f
from bft.services.executor.api.auth import Admins, Reads
from bft.services.executor.api.controls import override
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.json_body import read, read_optional
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.api.service import Service, service_of

router = APIRouter(tags=["models"])
Strict = ConfigDict(strict=True, extra="forbid")
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class ModelStatus(BaseModel):
    """What the night's forecasts say of their models; ages in days."""

    gold_asof: str | None
    forecast_asof: str | None
    symbols: int
    set_digests: list[str]
    model_age_days: int | None
    paper_only: bool | None
    simulated: bool
    require_model_gate: bool
    threshold: str


class ThresholdBody(BaseModel):
    """The least score the model gate lets pass; null takes the change back."""

    model_config = Strict
    threshold: f.Share


class PromoteBody(BaseModel):
    """A gated set (the newest), the revision it replaces, and why."""

    model_config = Strict
    set: Digest | None = None
    expect: Annotated[int, Field(ge=0, le=2**31)] | None = None
    asof: f.Day = None
    reason: Annotated[str, Field(max_length=500)] = ""
    approve: bool = False
    dry_run: bool = False


class Promoted(BaseModel):
    """The JSON line of `bft promote`."""

    model_config = ConfigDict(extra="allow")
    status: str


@router.get("/v1/model/status", response_model=ModelStatus, responses=errors())
async def model_status(request: Request, _: Reads) -> JSONResponse:
    """What forecasts the executor holds."""
    return JSONResponse(view(service_of(request)))


@router.post("/v1/model/reload", response_model=ModelStatus, responses=errors(400, 429))
async def model_reload(request: Request, subject: Admins) -> JSONResponse:
    """Read the night's facts again, now."""
    service = service_of(request)
    service.writes.count(subject.name)
    await service.executor.refresh()
    return JSONResponse(view(service))


@router.put(
    "/v1/model/threshold",
    response_model=ModelStatus,
    openapi_extra=body_of(ThresholdBody),
    responses=errors(write=True),
)
async def model_threshold(request: Request, subject: Admins) -> JSONResponse:
    """Set the least score of the model gate; in live only upwards."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read(request, ThresholdBody)
    value = None if body.threshold is None else money_text(body.threshold)
    await override(service, {"model_threshold": value}, by=subject.name)
    return JSONResponse(view(service))


@router.post(
    "/v1/model/promote",
    response_model=Promoted,
    openapi_extra=body_of(PromoteBody, required=False),
    responses=errors(409, write=True),
)
async def model_promote(request: Request, subject: Admins) -> JSONResponse:
    """Move the production pointer to a gated set; what did not pass, or a conflict, is 409."""
    service = service_of(request)
    service.writes.count(subject.name)
    body = await read_optional(request, PromoteBody)
    code, told = await service.command(_words(body, subject.name))
    if code == 0 and told.get("status") not in {"not_promoted", "conflict"}:
        return JSONResponse(told)
    raise _refusal(code, told, dry_run=body.dry_run)


def _words(body: PromoteBody, name: str) -> list[str]:
    words = ["promote", "--as", name]
    words += ["--set", body.set] if body.set else []
    words += ["--expect", str(body.expect)] if body.expect is not None else []
    words += ["--asof", body.asof.isoformat()] if body.asof else []
    words += [f"--reason={body.reason}"] if body.reason else []
    words += ["--approve"] if body.approve else []
    return words + (["--dry-run"] if body.dry_run else [])


def _refusal(code: int, told: dict[str, Any], *, dry_run: bool) -> Problem:
    """Why it was not promoted."""
    del dry_run
    text = str(told.get("error") or ", ".join(map(str, told.get("reasons", ()))) or "not promoted")
    if code in {0, RefusedError.exit_code}:
        return Problem(409, Reason.MODEL_GATE, text, details=told)
    if code == DataError.exit_code:
        return Problem(409, Reason.MODEL_GATE, text)
    if code in {UsageError.exit_code, ConfigError.exit_code}:
        return shape(text)
    if code == UnavailableError.exit_code:
        return Problem(503, Reason.OTHER, text)
    return Problem(500, Reason.OTHER, "bft promote failed; its log says why")


def view(service: Service) -> dict[str, Any]:
    """Models as the executor sees them."""
    held, profile = service.desk.reference, service.desk.profile
    rows = list(held.forecasts.values())
    return {
        "gold_asof": held.gold_asof.isoformat() if held.gold_asof else None,
        "forecast_asof": held.forecast_asof.isoformat() if held.forecast_asof else None,
        "symbols": len(rows),
        "set_digests": sorted({row.set_digest for row in rows if row.set_digest}),
        "model_age_days": max((row.model_age_days for row in rows), default=None),
        "paper_only": any(row.paper_only for row in rows) if rows else None,
        "simulated": held.simulated,
        "require_model_gate": profile.require_model_gate,
        "threshold": money_text(profile.min_model_score),
    }
