"""Who asks: tokens, roles, the page's cookie.

Source: executor specification, section 1.3.
"""

import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Any

import jwt
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bft.domain.orders import Reason
from bft.services.executor.api.problems import Problem
from bft.steps.token import LONGEST, LONGEST_SERVICE, PARTY, ROLES
from bft.wiring import SystemClock

LEEWAY_S = 30
KNOWN = 1000  # verified tokens in memory
SYSTEM = SystemClock()
COOKIE, PAGE_HEADER = "bft_session", "X-BFT-Page"
REQUIRED = ("sub", "username", "roles", "iat", "exp", "nbf", "aud", "iss")
BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", description="token of bft token")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Role(IntEnum):
    """What a subject may do; each may all that those below it may."""

    NONE = 0
    VIEWER = 1
    TRADER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks, as the token says; `expires_at` in seconds since 1970."""

    name: str
    role: Role
    expires_at: int

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles held, the lower ones included."""
        return ROLES[: self.role]


ANYBODY = Subject(name="", role=Role.VIEWER, expires_at=0)
"""Readers where reads are open."""


def _wall_s() -> float:
    """Seconds since 1970 by the machine's clock: tokens are never judged by a simulated one."""
    return SYSTEM.now().timestamp()


class Keyring:
    """Secrets of tokens: the first signs, all verify."""

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        open_reads: bool = False,
        now_s: Callable[[], float] = _wall_s,
    ) -> None:
        self._secrets, self.open_reads = tuple(secrets), open_reads
        self._known: dict[str, Subject] = {}
        self._now_s = now_s

    def subject(self, token: str) -> Subject:
        """Who a token speaks for; what was verified once is only asked for its end.

        Raises:
            Problem: 401, saying what is wrong with it but nothing it holds.
        """
        known = self._known.get(token)
        if known is not None and known.expires_at + LEEWAY_S > self._now_s():
            return known
        found = self._verified(token)
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[token] = found
        return found

    def _verified(self, token: str) -> Subject:
        claims = self._claims(token)
        roles, name = claims["roles"], claims["username"]
        if not isinstance(roles, list) or not isinstance(name, str) or not name:
            raise denied("claims roles and username have another form")
        held = [ROLES.index(role) + 1 for role in roles if role in ROLES]
        ends, made = claims["exp"], claims["iat"]
        if not (isinstance(ends, int | float) and isinstance(made, int | float)):
            raise denied("claims exp and iat are numbers of seconds")
        lifetime_s = ends - made
        service = claims.get("service") is True
        longest = LONGEST_SERVICE if service else LONGEST
        if lifetime_s > longest.total_seconds():
            raise denied(f"lifetime above {longest // timedelta(hours=1)} h")
        role = Role(max(held, default=0))
        if service and role is Role.ADMIN:
            raise denied("a service token is never admin")
        return Subject(name=name, role=role, expires_at=int(claims["exp"]))

    def _claims(self, token: str) -> dict[str, Any]:
        for secret in self._secrets:
            try:
                return self._decoded(token, secret)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                raise denied(_why(error)) from error
        raise denied("it is signed with another secret than this server's (BFT_JWT_SECRET_FILE)")

    @staticmethod
    def _decoded(token: str, secret: str) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            audience=PARTY,
            issuer=PARTY,
            leeway=LEEWAY_S,
            options={"require": list(REQUIRED)},
        )
        return found


_WHYS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired"),
    (jwt.ImmatureSignatureError, "it is not valid yet by this machine's clock"),
    (jwt.InvalidAudienceError, "it was made for another service"),
    (jwt.InvalidIssuerError, "it was made by another service"),
    (jwt.InvalidAlgorithmError, "it is not signed with HS256"),
    (jwt.DecodeError, "it is no token: not the three parts that bft token prints; was it cut?"),
)


def _why(error: Exception) -> str:
    """What is wrong with a token, in words of ours: the library's may quote what it holds."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it lacks the claim {error.claim}"
    told = (text for kind, text in _WHYS if isinstance(error, kind))
    return next(told, "its claims have another form")


def denied(why: str) -> Problem:
    """401."""
    headers = {"WWW-Authenticate": "Bearer"}
    return Problem(401, Reason.AUTH, f"token refused: {why}", headers=headers)


def subject_of(request: Request) -> Subject:
    """Who asks, by header or by the page's cookie.

    Raises:
        Problem: 401; 403 for a write with the cookie alone.
    """
    keyring: Keyring = request.app.state.service.keyring
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        return keyring.subject(token.strip())
    cookie = request.cookies.get(COOKIE)
    if cookie:
        found = keyring.subject(cookie)
        if request.method not in _SAFE and PAGE_HEADER not in request.headers:
            raise Problem(403, Reason.AUTH, f"writes of the page need the header {PAGE_HEADER}")
        return found
    if keyring.open_reads and request.method in _SAFE:
        return ANYBODY
    raise denied("none was sent; use Authorization: Bearer TOKEN (bft token)")


def need(role: Role) -> Callable[..., Awaitable[Subject]]:
    """A dependency: the subject, who holds at least that role; refusals are put on record."""

    async def check(
        request: Request,
        _bearer: HTTPAuthorizationCredentials | None = Security(BEARER),  # noqa: B008  FastAPI
    ) -> Subject:
        name = ""
        try:
            subject = subject_of(request)
            name = subject.name
            if subject.role < role:
                raise _below(subject, role)
        except Problem as problem:
            request.state.recorded = request.app.state.service.refused(
                request, name, problem.message
            )
            request.state.stranger = name
            raise
        request.state.subject = subject
        return subject

    return check


def _below(subject: Subject, role: Role) -> Problem:
    """403: what is needed, what the token has, and how another is made."""
    needed, held = role.name.lower(), ", ".join(subject.roles) or "none of bft's"
    text = f"needs role {needed}; the token of {subject.name} has {held}"
    made = f"bft token {shlex.quote(subject.name)} --roles {needed}"
    return Problem(403, Reason.AUTH, f"{text}; another: {made}")


viewer, trader, admin = need(Role.VIEWER), need(Role.TRADER), need(Role.ADMIN)
Reads = Annotated[Subject, Depends(viewer)]
Trades = Annotated[Subject, Depends(trader)]
Admins = Annotated[Subject, Depends(admin)]
