"""Tokens for the executor's API: `bft token USER --roles trader`.

Source: executor specification, section 1.3.
"""

import argparse
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bft.domain.errors import UnavailableError, UsageError
from bft.domain.numbers import Number
from bft.ports import Ports, Step, Summary, Tick

PARTY = "bft-executor"
"""Audience and issuer."""
ROLES = ("viewer", "trader", "admin")
LONGEST, LONGEST_SERVICE = timedelta(hours=24), timedelta(days=90)
_MINUTES = Number(whole=True, low=1, high=90 * 24 * 60)


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
    secret = ports.token_secrets()[0]
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
    settings=("jwt_expire_minutes",),
)
