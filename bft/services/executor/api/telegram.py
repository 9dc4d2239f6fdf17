"""Orders by Telegram, and the page's session.

Text: `[trade] SYMBOL buy|sell QTY @|at entry PRICE stop S target T [strat:x] [conf:0.7] [at:ISO]`.
Source: executor specification, section 1.1.
"""

import hmac
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from bft.domain.orders import Reason
from bft.services.executor.api.auth import COOKIE, PAGE_HEADER, Role
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.json_body import read, read_body, strict_json, validated
from bft.services.executor.api.order_body import WholeOrderBody
from bft.services.executor.api.orders import placing_of
from bft.services.executor.api.placing import Caller
from bft.services.executor.api.problems import Problem, unknown
from bft.services.executor.api.service import service_of

router = APIRouter(tags=["session"])
_ORDER = re.compile(
    r"(?:\[?trade\]?\s+)?(?P<symbol>\S{1,32})\s+(?P<side>buy|sell)\s+(?P<qty>[0-9]{1,8})"
    r"(?P<rest>(?:\s+\S{1,64})*)\s*",
    re.IGNORECASE,
)
_PAIRS = {"stop": "stop_price", "target": "target_price", "entry": "price"}
_TAGS = {"strat": "strategy_id", "conf": "confidence", "at": "entered_at"}
_LAST_S = 2**32  # of Telegram's dates, seconds since 1970
_SECRET = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  a header's name


class Done(BaseModel):
    """Telegram asks for no more."""

    ok: bool
    order: dict[str, Any] | None = None


class Update(BaseModel):
    """What Telegram sends; more than these fields may come."""

    model_config = ConfigDict(extra="allow")
    update_id: int


class SessionBody(BaseModel):
    """A token of `bft token`."""

    model_config = ConfigDict(strict=True, extra="forbid")
    token: str


@router.post(
    "/v1/hooks/telegram",
    response_model=Done,
    openapi_extra=body_of(Update),
    responses=errors(404, write=True),
)
async def telegram(
    request: Request, secret: Annotated[str | None, Header(alias=_SECRET)] = None
) -> JSONResponse:
    """Take a message; whatever is no order is answered ok."""
    service = service_of(request)
    about = service.about
    if not about.telegram_secret:
        raise unknown("hook for Telegram: BFT_TELEGRAM_SECRET is not set")
    if not hmac.compare_digest((secret or "").encode(), about.telegram_secret.encode()):
        service.refused(request, "telegram", "wrong secret")
        raise Problem(401, Reason.AUTH, "wrong secret")
    update = strict_json(await read_body(request))
    message = _message(update)
    user = str((message.get("from") or {}).get("id", ""))
    if user not in about.telegram_users:
        service.refused(request, f"telegram {user[:32]}", "user is not listed")
        raise Problem(403, Reason.AUTH, "user is not listed")
    fields = parsed(str(message.get("text") or ""))
    if fields is None:
        return JSONResponse({"ok": True, "order": None})
    service.writes.count(f"telegram:{user}")
    key = f"tg:{update.get('update_id')}"
    try:
        caller = Caller(
            subject=f"telegram:{user}",
            roles=("viewer", "trader"),
            user_agent="telegram",
            request_id=request.state.request_id,
            written_at=_written_at(message),
        )
        body = validated(WholeOrderBody, fields)
        made = await placing_of(request).place(body, fields, caller, header=key)
    except Problem as problem:  # an error status would make Telegram send it again and again
        told = {"error": problem.reason.value, "message": problem.message}
        return JSONResponse({"ok": True, "order": told})
    return JSONResponse({"ok": True, "order": dict(made.body)})


def parsed(text: str) -> dict[str, Any] | None:
    """Fields of an order in a message's text, or None where it is none."""
    found = _ORDER.fullmatch(text.strip())
    if found is None:
        return None
    made: dict[str, Any] = {
        "symbol": found["symbol"],
        "side": found["side"],
        "quantity": int(found["qty"]),
    }
    words = found["rest"].split()
    place = 0
    while place < len(words):
        word = words[place].lower()
        tag, colon, value = words[place].partition(":")
        if word in {"@", "at"} and place + 1 < len(words) and words[place + 1].lower() == "entry":
            place += 1
            continue
        name = _PAIRS.get(word) or ("price" if word in {"@", "at"} else None)
        if name is not None and place + 1 < len(words):
            made[name] = words[place + 1]
            place += 2
        elif colon and tag.lower() in _TAGS:
            made[_TAGS[tag.lower()]] = value
            place += 1
        else:
            return None
    return made


def _written_at(message: dict[str, Any]) -> datetime:
    """When a message was written, which Telegram delivers again for hours.

    Raises:
        Problem: 400, it does not say.
    """
    date = message.get("date")
    if isinstance(date, bool) or not isinstance(date, int) or not 0 < date < _LAST_S:
        raise Problem(400, Reason.STALE_DATA, "age of the message is unknown: it has no date")
    return datetime.fromtimestamp(date, UTC)


def _message(update: Any) -> dict[str, Any]:
    message = update.get("message") if isinstance(update, dict) else None
    if not isinstance(message, dict):
        return {}
    sender = message.get("from")
    return message if isinstance(sender, dict) else {**message, "from": {}}


@router.post(
    "/session",
    status_code=204,
    response_class=Response,
    openapi_extra=body_of(SessionBody),
    responses=errors(400, 413, 415),
)
async def post_session(request: Request) -> Response:
    """Put a token into the page's cookie."""
    service = service_of(request)
    body = await read(request, SessionBody)
    try:
        subject = service.keyring.subject(body.token)
        if subject.role is Role.NONE:
            raise Problem(403, Reason.AUTH, "the token holds no role")
    except Problem as problem:
        service.refused(request, "", problem.message)
        raise
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        body.token,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return answer


@router.delete("/session", status_code=204, response_class=Response, responses=errors())
async def delete_session(request: Request) -> Response:
    """Forget the cookie."""
    if request.cookies.get(COOKIE) and PAGE_HEADER not in request.headers:
        raise Problem(403, Reason.AUTH, f"writes of the page need the header {PAGE_HEADER}")
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer
