"""The application: routes, errors, request ids, figures.

Source: executor specification, section 1.1.
"""

import secrets
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bft.domain.errors import BftError
from bft.domain.orders import Reason
from bft.services.executor.api import (
    auditing,
    brokers,
    controls,
    halting,
    health,
    models,
    monitoring,
    orders,
    reading,
    telegram,
)
from bft.services.executor.api.auth import Subject
from bft.services.executor.api.documents import document
from bft.services.executor.api.placing import Placing
from bft.services.executor.api.problems import Problem, error_body, problem_of
from bft.services.executor.api.routing import serve_routes
from bft.services.executor.api.service import Service
from bft.services.executor.api.wording import sentence, worded
from bft.services.executor.page import page

log = structlog.get_logger()
ORDERING = frozenset({"/v1/orders", "/v1/signal", "/v1/signals"})
REFUSED = frozenset({400, 401, 403, 409, 413, 415, 422})  # denials of risk are answers, no problems
ABOUT = "Orders, risk and state of one account. Paper unless unlocked."
_UNTOLD: Any = {"tracing": False, "metrics": False, "logs": False}
"""Figures are `Metrics`; FastAPI's own telemetry asks three providers at each request."""
ROUTERS = (
    orders.router,
    controls.router,
    halting.router,
    brokers.router,
    models.router,
    reading.router,
    auditing.router,
    telegram.router,
    health.router,
    monitoring.public,
    monitoring.router,
    page.router,
)


def build(service: Service) -> FastAPI:
    """The API of one executor."""
    paths = {"openapi_url": None, "docs_url": None, "redoc_url": None} if service.live else {}
    app = bare(version=service.about.version, **paths)
    app.state.service, app.state.placing = service, Placing(service)
    service.collector.collect()
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(BftError, _fault)
    app.add_exception_handler(RequestValidationError, _shape)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(Outside, service=service)
    return app


def bare(*, version: str = "", **paths: Any) -> FastAPI:
    """Routes and their document, without an executor behind them."""
    app = FastAPI(
        title="bft executor",
        version=version or "0",
        description=ABOUT,
        redirect_slashes=False,
        telemetry=_UNTOLD,
        **paths,
    )
    serve_routes(app, ROUTERS)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def build_health(service: Service) -> FastAPI:
    """Health and metrics alone, for probes that bear no certificate."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=_UNTOLD)
    app.state.service = service
    serve_routes(app, (health.router, monitoring.public))
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(Outside, service=service)
    return app


def answer(request: Request, problem: Problem) -> JSONResponse:
    """A problem as HTTP."""
    decision = _recorded(request, problem)
    body = error_body(problem, request_id=request.state.request_id, decision=decision)
    return JSONResponse(body, problem.status, headers=problem.headers)


def _recorded(request: Request, problem: Problem) -> str | None:
    """The denial that a refused order leaves; of who was not let in, as long as that is kept."""
    state = request.state
    subject: Subject | None = getattr(state, "subject", None)
    name = subject.name if subject else getattr(state, "stranger", None)
    ordering = request.method == "POST" and request.url.path in ORDERING
    kept = ordering and problem.status in REFUSED and getattr(state, "recorded", True)
    if name is None or not kept:
        return None
    service: Service = request.app.state.service
    agent = request.headers.get("user-agent", "")
    return service.turned_away(problem, subject=name, user_agent=agent)


async def _problem(request: Request, error: Exception) -> JSONResponse:
    return answer(request, error if isinstance(error, Problem) else problem_of(BftError()))


async def _fault(request: Request, error: Exception) -> JSONResponse:
    found = problem_of(error) if isinstance(error, BftError) else problem_of(BftError())
    if found.status == 500:
        log.error("executor.api_fault", request_id=request.state.request_id, error=str(error))
    return answer(request, found)


async def _shape(request: Request, error: Exception) -> JSONResponse:
    wrong = worded(error.errors() if isinstance(error, RequestValidationError) else [])
    text = sentence(wrong[0]) if wrong else "request: malformed"
    return answer(request, Problem(422, Reason.VALIDATION, text, details=wrong))


async def _http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = f"{request.method} {request.url.path[:128]}: {getattr(error, 'detail', status)}"
    headers = getattr(error, "headers", None)
    return answer(request, Problem(status, Reason.OTHER, text, headers=headers))


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error(
        "executor.api_bug",
        request_id=request.state.request_id,
        path=request.url.path,
        exc_info=error,
    )
    text = "internal error; the log names it by request_id"
    made = answer(request, Problem(500, Reason.OTHER, text))
    made.headers["x-request-id"] = request.state.request_id  # it is answered outside of `Outside`
    return made


class Outside:
    """Around every request: its id, one form of its path, how long it took."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope["path"] = path.rstrip("/") or "/"
            scope["raw_path"] = scope["path"].encode()
        began, code = self._service.desk.timer(), 500

        async def told(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            self._count(scope, code, self._service.desk.timer() - began)

    def _count(self, scope: Scope, code: int, took_s: float) -> None:
        route: Any = scope.get("route")
        name = getattr(route, "path", "other")
        self._service.metrics.api.labels(name, str(code)).observe(took_s)
