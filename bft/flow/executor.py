"""How the executor stands, as `bft status` tells it.

Source: executor specification, section 10.
"""

import sys
from typing import Any

from bft.domain.alerts import runbook
from bft.domain.errors import RefusedError, UnavailableError
from bft.domain.runs import Json
from bft.ports import ExecutorApi

LOOK_S = 5.0
SHOWN_ALERTS = 5
SHOWN = ("status", "mode", "account", "simulated", "session_state", "may_open", "reasons")


def standing(api: ExecutorApi) -> Json:
    """Mode, account, session, what is open and what forbids opening; `away` says why nobody told.

    What needs a token is left out where none is accepted; `partial` says so.
    """
    try:
        health = _body(api, "/v1/health")
    except UnavailableError as error:
        return {"url": api.url, "away": str(error)}
    told: Json = {"url": api.url, **{name: health.get(name) for name in SHOWN}}
    try:
        return told | _inside(api)
    except (RefusedError, UnavailableError) as error:
        return told | {"partial": str(error)}


def _inside(api: ExecutorApi) -> Json:
    held = _body(api, "/v1/positions")["positions"]
    orders = _body(api, "/v1/orders?limit=1000")["orders"]
    kill, halts = _body(api, "/v1/kill"), _body(api, "/v1/halts")["halts"]
    return {
        "positions": [_position(row) for row in held],
        "unprotected": [row["symbol"] for row in held if not _protected(row)],
        "unknown": [order["id"] for order in orders if order["state"] == "UNKNOWN"],
        "working": sum(order["status"] in {"PENDING", "SUBMITTED"} for order in orders),
        "halts": [_halt(halt) for halt in halts],
        "kill": {name: kill[name] for name in ("latched", "generation", "sources")},
        "alerts": _alerts(_body(api, "/v1/events?limit=1000")["rows"]),
    }


def _alerts(events: list[Json]) -> list[Json]:
    """Of the newest alerts one of each name, with its runbook; at most five."""
    newest: dict[str, Json] = {}
    for event in events:
        where = runbook(event["name"])
        if where is not None:
            told = {"at": event["at"], "text": event["message"], "runbook": where}
            newest.setdefault(event["name"], {"name": event["name"], **told})
    return list(newest.values())[:SHOWN_ALERTS]


def _halt(row: Json) -> str:
    """In words, with the id that resuming it asks for."""
    return f"{row['scope']} {row['key']}: {row['reason']} ({row['halt_id']})"


def _position(row: Json) -> Json:
    stops = [exit_["stop"] for exit_ in row["exits"]]
    return {
        "symbol": row["symbol"],
        "quantity": row["quantity"],
        "average_cost": row["average_cost"],
        "stops": stops,
        "protected": _protected(row),
    }


def _protected(row: Json) -> bool:
    """All units lie under live stops."""
    return bool(abs(float(row["quantity"])) == row["protected_quantity"])


def _body(api: ExecutorApi, path: str) -> Json:
    reply = api.ask("GET", path, wait_s=LOOK_S)
    if reply.status >= 400 or not isinstance(reply.body, dict):
        raise UnavailableError(f"executor {api.url}: {path} answers {reply.status}")
    return reply.body


def check(told: Json) -> None:
    """Refuse where nothing may be opened.

    Raises:
        UnavailableError: no executor answers.
        RefusedError: it is closed to opening; says why.
    """
    if "away" in told:
        raise UnavailableError(told["away"])
    if not told["may_open"]:
        why = "; ".join(told["reasons"]) or "no reason given"
        raise RefusedError(f"executor {told['url']} is closed to opening: {why}")


def say(told: Json) -> None:
    """The same for people, on stderr."""
    write = sys.stderr.write
    if "away" in told:
        write(f"executor: none at {told['url']}\n")
        return
    kind = ", simulated" if told["simulated"] else ""
    opening = "open" if told["may_open"] else "closed: " + "; ".join(told["reasons"])
    write(
        f"executor: {told['mode']}{kind}, account ...{told['account']}, "
        f"{told['session_state']}, {opening}\n"
    )
    if "partial" in told:
        write(f"  more with a token: {told['partial']}\n")
        return
    for row in told["positions"]:
        sign = "protected" if row["protected"] else "NOT PROTECTED"
        stops = ", ".join(str(stop) for stop in row["stops"]) or "none"
        write(f"  {row['symbol']:<8} {row['quantity']:>8}  stop {stops}  {sign}\n")
    _say_trouble(told)


def _say_trouble(told: Json) -> None:
    lines: list[tuple[str, Any]] = [
        ("orders at work", told["working"]),
        ("unknown orders", ", ".join(told["unknown"])),
        ("halts", "; ".join(told["halts"])),
        ("kill switch", "latched" if told["kill"]["latched"] else ""),
    ]
    for name, value in lines:
        if value:
            sys.stderr.write(f"  {name}: {value}\n")
    for alert in told["alerts"]:
        sys.stderr.write(f"  {alert['at'][:16]} {alert['name']}: {alert['text']}\n")
        sys.stderr.write(f"    what to do: {alert['runbook']}\n")
