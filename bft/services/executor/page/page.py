"""`GET /`: the live page, rendered here; a token pasted into it becomes its cookie.

Nothing on the page comes from elsewhere: style and script stand in it, named by their digests in
the content security policy, so that no other script or style runs.
Source: executor specification, section 1.1; decision record 0036.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from bft.services.executor.api.auth import Role, Subject, subject_of
from bft.services.executor.api.problems import Problem
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.page.board import board

router = APIRouter(include_in_schema=False)
TEMPLATES = Path(__file__).parent / "templates"
REFRESH_MS = 3000


@router.get("/")
async def page(
    request: Request, part: Annotated[Literal["board"] | None, Query()] = None
) -> HTMLResponse:
    """The page; `part=board`: only what changes. Without a session, the form that asks for one."""
    service = service_of(request)
    subject = _subject(request)
    if subject is None:
        name = "gone.html.j2" if part else "login.html.j2"
        return _html(name, {"told": _outside(service)}, status=401 if part else 200)
    told = await board(service, subject)
    return _html("board.html.j2" if part else "page.html.j2", told)


def _subject(request: Request) -> Subject | None:
    try:
        found = subject_of(request)
    except Problem:
        return None
    return found if found.role >= Role.VIEWER else None


def _outside(service: Service) -> dict[str, Any]:
    """What may be said to anybody: whose kind of money this is."""
    desk = service.desk
    return {"mode": desk.route.mode, "simulated": desk.broker.simulated}


def _html(name: str, values: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    text = _environment().get_template(name).render(values)
    return HTMLResponse(text, status, headers=dict(_headers()))


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["style"] = Markup(_file("page.css"))  # noqa: S704  our own file
    made.globals["script"] = Markup(_file("page.js"))  # noqa: S704  our own file
    made.globals["refresh_ms"] = REFRESH_MS
    return made


@cache
def _file(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _headers() -> tuple[tuple[str, str], ...]:
    policy = (
        "default-src 'none'",
        f"script-src '{_digest('page.js')}'",
        f"style-src '{_digest('page.css')}'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return (
        ("content-security-policy", "; ".join(policy)),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
        ("cache-control", "no-store"),
    )


def _digest(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_file(name).encode()).digest()).decode()
