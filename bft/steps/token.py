"""Tokens for the executor's API: `bft token USER --roles trader`.

Source: executor specification, section 1.3.
"""

import argparse
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bft.domain.errors import ConfigError, UnavailableError, UsageError
from bft.domain.numbers import Number
from bft.ports import Ports, Step, Summary, Tick

PARTY = "bft-executor"
"""Audience and issuer."""
ROLES = ("viewer", "trader", "admin")
SECRET_BYTES = 32
LONGEST, LONGEST_SERVICE = timedelta(hours=24), timedelta(days=90)
_MINUTES = Number(whole=True, low=1, high=90 * 24 * 60)
_EXAMPLES = ("change", "example", "secret", "password", "your-", "insert")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft token`."""
    parser.add_argument("user", help="whom it names")
    parser.add_argument(
        "--roles", nargs="+", required=True, choices=ROLES, help="what the bearer may do"
    )
    parser.add_argument(
        "--expires", type=_MINUTES, metavar="MIN", help="minutes (30, at most 1440)"
    )
    parser.add_argument("--service", action="store_true", help="for a pod: up to 90 days, no admin")
    parser.add_argument("--output", metavar="FILE", help="write it there, mode 600")


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Issue a token under the current secret.

    Raises:
        ConfigError: no usable secret.
        UsageError: a lifetime or role that the API would refuse.
    """
    secret = secrets_of(args.jwt_secret)[0]
    lifetime = timedelta(minutes=args.expires or args.jwt_expire_minutes)
    longest = LONGEST_SERVICE if args.service else LONGEST
    if lifetime > longest:
        raise UsageError(f"--expires: at most {int(longest.total_seconds() // 60)} minutes")
    if args.service and "admin" in args.roles:
        raise UsageError("--service: a pod is never admin; give viewer or trader")
    now = ports.clock.now()
    claims = token_claims(args.user, args.roles, now=now, lifetime=lifetime, service=args.service)
    token = issued(claims, secret)
    told: dict[str, Any] = {"user": args.user, "roles": sorted(set(args.roles))}
    told["expires_at"] = (now + lifetime).isoformat(timespec="seconds")
    if args.output:
        _write(Path(args.output), token)
        return Summary(values=told | {"output": args.output})
    return Summary(values=told | {"token": token})


def token_claims(
    user: str, roles: Sequence[str], *, now: datetime, lifetime: timedelta, service: bool = False
) -> dict[str, Any]:
    """Every claim the API asks for."""
    claims: dict[str, Any] = {
        "sub": user,
        "username": user,
        "roles": sorted(set(roles)),
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "aud": PARTY,
        "iss": PARTY,
    }
    return claims | ({"service": True} if service else {})


def issued(claims: dict[str, Any], secret: str) -> str:
    """A signed token (HS256)."""
    import jwt

    return jwt.encode(claims, secret, algorithm="HS256")


def secrets_of(setting: str) -> tuple[str, ...]:
    """Secrets of the (masked) setting: the current one, then the previous one, if there is one.

    Raises:
        ConfigError: absent, shorter than 32 bytes, a shipped example, or more than two lines.
    """
    lines = [line.strip() for line in str.__str__(setting).splitlines() if line.strip()]
    hint = "write 32 random bytes to a file, for example: openssl rand -hex 32"
    if not lines:
        raise ConfigError(f"no secret for tokens; set BFT_JWT_SECRET_FILE or JWT_SECRET; {hint}")
    if len(lines) > 2:
        raise ConfigError("BFT_JWT_SECRET_FILE: two lines at most, current and previous secret")
    for line in lines:
        if len(line.encode()) < SECRET_BYTES:
            raise ConfigError(f"the secret for tokens is shorter than {SECRET_BYTES} bytes; {hint}")
        if line.lower().startswith(_EXAMPLES) or len(set(line)) < 8:
            raise ConfigError(f"the secret for tokens is an example; {hint}")
    return tuple(lines)


def _write(path: Path, token: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token + "\n")
        path.chmod(0o600)
    except OSError as error:
        raise UnavailableError(f"--output {path}: {error.strerror}") from error


STEP = Step(
    effect="once",
    summary="issue a token for the executor's API",
    arguments=arguments,
    run=run,
    outputs={"expires_at": "when it ends", "output": "file that holds it"},
    settings=("jwt_secret", "jwt_expire_minutes"),
)
