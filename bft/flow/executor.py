"""How the executor stands, as `bft status` tells it.

Source: executor specification, section 10.
"""

import shlex
import sys
import textwrap
from datetime import datetime
from typing import Any

from bft.domain.advice import before_clear, rooted
from bft.domain.alerts import FLATTENS, OVER_AFTER, RETOLD, runbook
from bft.domain.encoding import number_text, utc_told
from bft.domain.errors import RefusedError, UnavailableError
from bft.domain.roots import elsewhere
from bft.domain.runs import Json
from bft.ports import ExecutorApi

LOOK_S, WIDTH = 5.0, 80
ENTRIES, ORDERS, ARMED = "entries", "orders", "ARMED"
CONNECTED = ("RECONCILING", "ARMED", "DRAINING")
"""Broker sessions in which stops are seen; in others they are told as they last were."""
SHOWN_ALERTS = 5
SHOWN_HELD = 10
SHOWN = ("status", "mode", "account", "simulated", "session_state", "may_open", "reasons", "note")
KILL = ("latched", "generation", "sources", "flatten")
HALTING = {
    "DayLossHalt": {"daily_loss", "loss_streak"},
    "DrawdownHalt": {"drawdown"},
    "PositionMismatch": {"position_mismatch"},
    "StateRestored": {"state_restored"},
}
"""Alerts that tell of a halt, with the rules that set it: without the halt they are over."""


def standing(api: ExecutorApi, root: str, *, given: str | None = None) -> Json:
    """Mode, account, session, what is open and what forbids opening; `away` says why nobody told.

    `given`: the root as the call named it, for the commands that are advised.

    `foreign`: what listens on this machine trades for another root, and is asked nothing more.
    What needs a token is left out where none is accepted; `partial` says so.
    """
    try:
        health = _body(api, "/v1/health")
    except UnavailableError as error:
        return {"url": api.url, "away": str(error)}
    told: Json = {"url": api.url, **{name: health.get(name) for name in SHOWN}}
    if elsewhere(api.url, health.get("root"), root):
        return told | {"foreign": True}
    try:
        return told | _inside(api, root, given, health)
    except (RefusedError, UnavailableError) as error:
        return told | {"partial": str(error)}


def _inside(api: ExecutorApi, root: str, given: str | None, health: Json) -> Json:
    held = _body(api, "/v1/positions")["positions"]
    orders = _body(api, "/v1/orders?limit=1000")["orders"]
    kill, halts = _body(api, "/v1/kill"), _body(api, "/v1/halts")["halts"]
    found: Json = {
        "positions": [_position(row) for row in held],
        "unprotected": [row["symbol"] for row in held if not _protected(row)],
        "unknown": [order["id"] for order in _body(api, "/v1/reconcile/unknown")["orders"]],
        "working": sum(order["status"] in {"PENDING", "SUBMITTED"} for order in orders),
        "halts": [_halt(halt, given) for halt in halts],
        "kill": {name: kill[name] for name in KILL}
        | {"clear": rooted(f"bft kill --clear {kill['generation']}", given)}
        | {"first": before_clear(kill.get("pulled_now"), root)},
    }
    events = _body(api, "/v1/events?limit=1000")["rows"]
    last = [event for event in events if not _quiet(event, health.get("now"))]
    over = _over(found, halts, armed=health.get("session_state") == ARMED)
    return found | {"alerts": _alerts(last, over)}


def _over(found: Json, halts: list[Json], *, armed: bool) -> frozenset[str]:
    """Alerts whose cause a person, or the day, has ended, or that is seen to be gone."""
    held = {halt.get("rule") for halt in halts}
    lasts = {name: bool(rules & held) for name, rules in HALTING.items()} | {
        "KillLatched": found["kill"]["latched"],
        "BrokerDown": not armed,
        "ProtectionMissing": found["unprotected"],
    }
    return frozenset(name for name, there in lasts.items() if not there)


def _quiet(event: Json, now: str | None) -> bool:
    """Whether an alert that is told again while it lasts was not, by the executor's own clock."""
    if event["name"] not in RETOLD or now is None:
        return False
    return datetime.fromisoformat(now) - datetime.fromisoformat(event["at"]) > OVER_AFTER


def _alerts(events: list[Json], over: frozenset[str]) -> list[Json]:
    """Of the newest alerts one of each name that is not over, with its runbook; at most five."""
    newest: dict[str, Json] = {}
    for event in events:
        where = runbook(event["name"])
        if where is not None and event["name"] not in over:
            told = {"at": event["at"], "text": event["message"], "runbook": where}
            newest.setdefault(event["name"], {"name": event["name"], **told})
    return list(newest.values())[:SHOWN_ALERTS]


def _halt(row: Json, given: str | None) -> Json:
    """In words, and the command that ends it."""
    until = f", until {utc_told(row['until'])}" if row["until"] else ""
    words = f"{row['scope']} {row['key']}: {row['reason']}{until}"
    return {"what": words, "resume": rooted(f"bft resume {shlex.quote(row['halt_id'])}", given)}


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


def check(told: Json, what: str = ENTRIES) -> None:
    """Refuse where nothing may be opened; of `orders` only where no order at all can leave.

    Halts, the kill switch and limits keep entries back, never exits.

    Raises:
        UnavailableError: no executor answers, or of `orders` its broker is away.
        RefusedError: it is closed to opening; says why.
    """
    if "away" in told:
        raise UnavailableError(told["away"])
    if "foreign" in told:
        raise UnavailableError(_elsewhere(told))
    if what == ORDERS and told["session_state"] != ARMED:
        state = told["session_state"]
        raise UnavailableError(
            f"executor {told['url']}: its broker session is {state}, not {ARMED}"
        )
    if what == ENTRIES and not told["may_open"]:
        why = "; ".join(told["reasons"]) or "no reason given"
        raise RefusedError(f"executor {told['url']} is closed to opening: {why}")


def say(told: Json) -> None:
    """The same for people, on stderr."""
    write = sys.stderr.write
    if "away" in told:
        write(f"executor: none at {told['url']}\n")
        _say_held(told)
        return
    if "foreign" in told:
        write(_elsewhere(told) + "\n")
        _say_held(told)
        return
    kind = ", simulated" if told["simulated"] else ""
    opening = (
        f"open {told.get('note') or ''}".strip()
        if told["may_open"]
        else "closed: " + "; ".join(told["reasons"])
    )
    write(
        f"executor: {told['mode']}{kind}, account ...{told['account']}, "
        f"{told['session_state']}, {opening}\n"
    )
    if "partial" in told:
        write("  not shown: positions, orders, halts, alerts\n")
        write(_folded(told["partial"]) + "\n")
        return
    seen = "" if told["session_state"] in CONNECTED else ", as last seen"
    for row in told["positions"]:
        sign = ("protected" if row["protected"] else "NOT PROTECTED") + seen
        stops = ", ".join(number_text(stop) for stop in row["stops"]) or "none"
        qty = number_text(row["quantity"])
        write(f"  {row['symbol']:<8} {qty:>8}  stop {stops}  {sign}\n")
    _say_trouble(told)


def _folded(text: str) -> str:
    """A long sentence below its head, as a terminal of 80 columns shows it."""
    pad = "    "
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=pad,
        subsequent_indent=pad,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _say_held(told: Json) -> None:
    """Positions of a book that no executor watches."""
    if held := told.get("held"):
        names = ", ".join(held[:SHOWN_HELD]) + (", ..." if len(held) > SHOWN_HELD else "")
        count = f"{len(held)} position" + ("" if len(held) == 1 else "s")
        sys.stderr.write(
            f"  the book of this root holds {count} ({names}); stops at the broker stay, nothing "
            f"else watches: {told['start']}\n"
        )


def _elsewhere(told: Json) -> str:
    return (
        f"executor at {told['url']} belongs to another root ({told['mode']}, account "
        f"...{told['account']}); of this root none answers: start it on another --port, and name "
        "that in BFT_API_URL or --api"
    )


def _say_trouble(told: Json) -> None:
    lines: list[tuple[str, Any]] = [
        ("orders at work", told["working"]),
        ("unknown orders", ", ".join(told["unknown"])),
    ]
    for name, value in lines:
        if value:
            sys.stderr.write(f"  {name}: {value}\n")
    _say_shut(told)
    for alert in told["alerts"]:
        sys.stderr.write(f"  {utc_told(alert['at'])} {alert['name']}: {alert['text']}\n")
        sys.stderr.write(f"    what to do: {alert['runbook']}\n")


def _say_shut(told: Json) -> None:
    """Halts and the kill switch, each with the command that an admin ends it by."""
    for halt in told["halts"]:
        sys.stderr.write(f"  halt: {halt['what']}\n    {halt['resume']}\n")
    kill = told["kill"]
    if kill["latched"]:
        pulled = ", ".join(kill["sources"])
        sys.stderr.write(f"  kill switch: latched ({pulled})\n")
        if kill["flatten"]:
            sys.stderr.write(f"    {FLATTENS}\n")
        if kill["first"]:
            sys.stderr.write(f"    {kill['first']}, then:\n")
        sys.stderr.write(f"    {kill['clear']}\n")
