"""What the live page shows: everything a person asks at a glance, as text.

Source: executor specification, section 1.1 (live page), 4, 6 and 9.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bft.domain.orders import Intent, IntentState, Leg, Verdict
from bft.domain.sessions import NEW_YORK
from bft.ledger.daily import summed
from bft.reports.shown import UNKNOWN, number, usd
from bft.services.executor.api import health
from bft.services.executor.api.auth import Subject
from bft.services.executor.api.denying import OF_ORDERS, unread
from bft.services.executor.api.halting import kill_view
from bft.services.executor.api.reading import positions_of, results_today
from bft.services.executor.api.service import Service
from bft.services.executor.api.views import STATUS, order_view
from bft.services.executor.contracts import name_of
from bft.services.executor.day_change import open_entry_fees_usd
from bft.services.executor.page.limits import used

SHOWN_ORDERS, SHOWN_DENIALS, SHOWN_EVENTS = 20, 12, 15
UNREAD_FOR = timedelta(days=1)
_MARKS = {"quote": "", "close": " last close", None: " no quote"}
_KINDS = {"STK": "stock", "OPT": "option", "FUT": "future"}
Row = dict[str, Any]


async def board(service: Service, subject: Subject) -> Row:
    """Every value of the page; Decimals and instants are text already."""
    book = service.executor.facts.book("")
    return {
        "health": health.summary(service),
        "checks": [name for name, good in health.checks(service).items() if not good],
        "now": f"{service.now.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York",
        "broker": service.desk.route.broker,
        "profile": service.desk.profile.name,
        "may": _may(subject),
        "user": subject.name or "anybody",
        "tiles": _tiles(service),
        "limits": used(service.desk, book),
        "positions": _positions(service),
        "orders": _orders(service),
        "closing": _closing(service),
        "denials": await _denials(service),
        "halts": _halts(service),
        "kill": kill_view(service),
        "events": _events(service),
    }


def _may(subject: Subject) -> dict[str, bool]:
    """Which buttons a subject gets; the routes check again."""
    return {"trade": subject.role >= 2, "admin": subject.role >= 3}


def _tiles(service: Service) -> list[Row]:
    desk = service.desk
    values = desk.broker.account_values()
    facts = service.executor.facts
    book = facts.book("")
    change = facts.unrealised_change_usd()
    start = book.day_start_equity_usd
    equity = values.equity_usd if values else None
    since = equity - start if equity is not None and start is not None else None
    told = _told(values.equity_at if values else None)
    realised = summed(results_today(service), day=desk.trading_day).realised_usd
    fees = open_entry_fees_usd(desk)
    return [
        {
            "name": "Equity",
            "value": usd(equity),
            "note": f"{told}{_signed(since)} since the day began",
        },
        {"name": "Realised today", "value": _signed(realised), "note": "of closes, net of fees"},
        {"name": "Open fees", "value": _signed(-fees), "note": "paid today for what is held"},
        {"name": "Unrealised change", "value": _signed(change), "note": "since the prior close"},
        {"name": "Available", "value": usd(values.available_usd if values else None), "note": ""},
    ]


def _told(at: datetime | None) -> str:
    """When the broker told the equity: the parts beside it are of now."""
    return f"as the broker told at {at.astimezone(NEW_YORK):%H:%M:%S}, " if at else ""


def _positions(service: Service) -> list[Row]:
    return [_position(row) for row in positions_of(service)]


def _position(row: Row) -> Row:
    gap = abs(int(float(row["quantity"]))) - row["protected_quantity"]
    return {
        **row,
        "quantity": number(float(row["quantity"]), 0, sign=True),
        "average_cost": usd(_float(row["average_cost"])),
        "mark": usd(_float(row["mark"])) + _MARKS[row["mark_from"]],
        "gain": _signed(_float(row["unrealised_usd"])),
        "kind": _KINDS.get(row["sec_type"], row["sec_type"]),
        "gap": gap,
        "exits": [_exit(each) for each in row["exits"]],
    }


def _exit(row: Row) -> Row:
    hold = f"{row['held_days']} of {row['max_hold_days'] or 'any'} sessions"
    return {
        **row,
        "stop": _level(row["stop"], row["stop_level"]),
        "target": _level(row["target"], row["target_level"]),
        "trail": usd(_float(row["trail"])) if row["trail"] else UNKNOWN,
        "hold": hold,
        "protected": row["protected_quantity"] == row["quantity"],
    }


def _level(rests: str | None, wanted: str | None) -> str:
    """Where an order rests, and what the policy wants where that is another price."""
    told = usd(_float(rests))
    same = wanted is None or (rests is not None and float(rests) == float(wanted))
    return told if same else f"{told} (policy {usd(_float(wanted))})"


def _orders(service: Service) -> list[Row]:
    """Entries, those at work first, then the newest."""
    state = service.desk.state
    entries = [i for i in state.intents.values() if i.leg is Leg.ENTRY]
    entries.sort(key=lambda i: (i.created_at or service.now, i.intent_id), reverse=True)
    entries.sort(key=lambda i: i.state.terminal)
    made = []
    for intent in entries[:SHOWN_ORDERS]:
        row = order_view(service.desk, intent)
        made.append(
            {
                **row,
                "at": _clock(intent.created_at),
                "price": usd(_float(row["price"])),
                "filled": f"{row['filled_quantity']} of {row['quantity']}",
                "fill_price": usd(_float(row["avg_fill_price"])),
                "stop": usd(_float(row["bracket"]["stop"])),
                "target": usd(_float(row["bracket"]["target"])),
                "word": STATUS[intent.state].replace("_", " ").lower(),
                "odd": intent.state in {IntentState.UNKNOWN, IntentState.LAPSED},
                "working": not intent.state.terminal,
            }
        )
    return made


def _closing(service: Service) -> list[Row]:
    """Stops, targets and exits that work, then the newest that filled something."""
    legs = [i for i in service.desk.state.intents.values() if i.leg is not Leg.ENTRY]
    told = [i for i in legs if not i.state.terminal or i.filled_qty]
    told.sort(key=lambda i: (i.created_at or service.now, i.intent_id), reverse=True)
    told.sort(key=lambda i: i.state.terminal)
    return [_closing_row(intent) for intent in told[:SHOWN_ORDERS]]


def _closing_row(intent: Intent) -> Row:
    price = intent.stop_price_usd or intent.limit_price_usd
    return {
        "at": _clock(intent.created_at),
        "leg": intent.leg.value,
        "side": intent.side.value,
        "symbol": name_of(intent.contract),
        "price": "the market" if price is None else usd(float(price)),
        "filled": f"{intent.filled_qty} of {intent.qty}",
        "word": STATUS[intent.state].replace("_", " ").lower(),
        "odd": intent.state is IntentState.UNKNOWN,
        "working": not intent.state.terminal,
    }


async def _denials(service: Service) -> list[Row]:
    """The newest denials, each with the rules that failed and their numbers; unread ones last."""
    where = OF_ORDERS
    rows = await service.rows("denials", where=where, limit=SHOWN_DENIALS, newest_first=True)
    names = [row["decision_id"] for row in rows]
    decisions = await service.rows("decisions", where={"decision_id": names}) if names else []
    bodies = {row["decision_id"]: row["body"] for row in decisions}
    told = [_denial(row, bodies.get(row["decision_id"], {})) for row in rows]
    return [*told, *_unread(await unread(service, since=service.now - UNREAD_FOR))]


def _unread(found: Mapping[str, Any]) -> list[Row]:
    """One line for all requests that were refused before risk saw them."""
    if not found["rows"]:
        return []
    newest = found["rows"][0]
    many = f"the newest of {found['count']:,} in 24 h: " if found["count"] > 1 else ""
    return [_denial({**newest, "detail": f"{many}{newest['detail']}"}, {})]


def _denial(row: Mapping[str, Any], body: Mapping[str, Any]) -> Row:
    rules = body.get("rules", ())
    blocked = [r for r in rules if r.get("verdict") == Verdict.BLOCK.value]
    unknown = [r for r in rules if r.get("verdict") == Verdict.MISSING.value]
    return {
        "at": _clock(datetime.fromisoformat(row["at"])),
        "symbol": row["symbol"],
        "side": row["side"],
        "reason": row["reason"].replace("_", " "),
        "detail": row["detail"],
        "again": row["transient"],
        "rules": [_rule(rule) for rule in blocked or unknown],
        "unknown": len(unknown) if blocked else 0,
        "id": row["decision_id"],
    }


def _rule(rule: Mapping[str, Any]) -> str:
    value, limit = rule.get("value"), rule.get("limit")
    told = f"rule {rule['number']} {rule['rule'].replace('_', ' ')}"
    told += f": {_figure(value)}" if value is not None else ""
    told += f" against {_figure(limit)}" if limit is not None else ""
    note = rule.get("note")
    return f"{told} ({note})" if note else told


def _figure(value: Any) -> str:
    """A number of a rule as people read it; words and days as they are."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return str(value)
    places = 0 if found == int(found) else 2 if abs(found) >= 1 else 4
    return number(found, places)


def _halts(service: Service) -> list[Row]:
    return [
        {
            "id": halt.halt_id,
            "where": f"{halt.scope} {'' if halt.scope == 'account' else halt.key}".strip(),
            "reason": halt.reason,
            "by": halt.set_by,
            "until": _clock(halt.until) if halt.until else "a person resumes",
        }
        for halt in service.desk.state.active_halts(service.now)
    ]


def _events(service: Service) -> list[Row]:
    newest = list(service.desk.state.events)[-SHOWN_EVENTS:]
    return [
        {
            "at": _clock(event.at),
            "type": event.type.lower(),
            "severity": event.severity.lower(),
            "name": event.name,
            "message": event.message,
        }
        for event in reversed(newest)
    ]


def _clock(at: datetime | None) -> str:
    return f"{at.astimezone(NEW_YORK):%m-%d %H:%M:%S}" if at else UNKNOWN


def _signed(value: Any) -> str:
    return number(value, 2, sign=True)


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)
