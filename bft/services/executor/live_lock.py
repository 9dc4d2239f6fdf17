"""The live lock: real money needs a mode, an account and a port that agree with a file.

Source: executor specification, section 8.
"""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bft.domain.errors import RefusedError

LONGEST = timedelta(days=90)
PAPER_PORTS, LIVE_PORTS = frozenset({4002, 7497}), frozenset({4001, 7496})
PAPER_ACCOUNTS = ("DU", "DF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where orders would go: what the settings say. `port` None: no gateway.

    `flags`: other words of the call that was started with, for whoever starts it again.
    """

    mode: str
    account: str
    broker: str
    profile: str
    lock_file: Path | None = None
    port: int | None = None
    other_port: bool = False
    clock: str = "system"
    flags: str = ""


def check_route(route: Route, *, now: datetime) -> None:
    """Refuse what can never be right; called at start.

    Raises:
        RefusedError: mode, account, port, broker, profile or lock contradict each other.
    """
    problem = (
        _broker_problem(route) or _account_problem(route) or _port_problem(route)
    ) or lock_problem(route, now=now)
    if problem:
        raise RefusedError(problem)


def lock_problem(route: Route, *, now: datetime) -> str | None:
    """Why live is not unlocked at `now`, or None; paper needs no lock. Checked in each send."""
    if route.mode != "live":
        return None
    if route.lock_file is None:
        return "mode live without a lock file; set BFT_LIVE_LOCK_FILE"
    try:
        lock = tomllib.loads(route.lock_file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return f"live lock {route.lock_file} is unreadable: {error}"
    return _lock_contents_problem(route, lock, now)


def peer_problem(route: Route, *, account_type: str) -> str | None:
    """Why a connected peer may not be traded with: a simulator must never count as live."""
    simulated = "SIMULATED" in account_type.upper()
    if route.mode == "live" and simulated:
        return "mode live, but the gateway says AccountType SIMULATED; orders would be play money"
    return None


def _lock_contents_problem(route: Route, lock: dict[str, Any], now: datetime) -> str | None:
    name = f"live lock {route.lock_file}"
    unknown = set(lock) - {"mode", "account", "by", "expires"}
    if unknown or set(lock) != {"mode", "account", "by", "expires"}:
        return f"{name}: needs exactly mode, account, by, expires; has {', '.join(sorted(lock))}"
    if lock["mode"] != "live" or lock["account"] != route.account:
        return f"{name}: mode or account is not that of BFT_TRADING_MODE and BFT_ACCOUNT"
    expires = lock["expires"]
    if not isinstance(expires, datetime):
        return f"{name}: expires must be an instant such as 2026-12-31T21:00:00Z"
    expires = expires if expires.tzinfo else expires.replace(tzinfo=UTC)
    if expires <= now:
        return f"{name} expired at {expires.isoformat()}; a person must renew it"
    if expires > now + LONGEST:
        return f"{name}: expires {expires.isoformat()} is more than 90 days ahead"
    return None if str(lock["by"]).strip() else f"{name}: `by` names nobody"


def _broker_problem(route: Route) -> str | None:
    if route.mode != "live":
        return None
    if route.broker != "ib":
        return f"mode live with --broker {route.broker}, which only knows paper; use --broker ib"
    if "paper-small" in {name.strip() for name in route.profile.split(",")}:
        return "mode live with profile paper-small, which is for paper only"
    if route.clock != "system":
        return f"mode live with --clock {route.clock}; only the system clock may trade money"
    return None


def _account_problem(route: Route) -> str | None:
    if route.broker != "ib":
        return None
    paper = route.account.startswith(PAPER_ACCOUNTS)
    if route.mode == "live" and paper:
        return f"mode live, but account ...{route.account[-3:]} is a paper account (DU, DF)"
    if route.mode != "live" and not paper:
        return f"mode paper, but account ...{route.account[-3:]} is no paper account (DU, DF)"
    return None


def _port_problem(route: Route) -> str | None:
    if route.broker != "ib" or route.port is None:
        return None
    if route.mode == "live":
        fits = route.port in LIVE_PORTS
        return None if fits else f"mode live on port {route.port}; live gateways use 4001, 7496"
    if route.port in PAPER_PORTS:
        return None
    if route.port in LIVE_PORTS:
        return f"mode paper on port {route.port}, where live gateways listen; use 4002 or 7497"
    allowed = None if route.other_port else "set BFT_IB_PORT_OTHER=1 if this is meant"
    return allowed and f"mode paper on port {route.port}, neither 4002 nor 7497; {allowed}"
