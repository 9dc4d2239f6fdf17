"""Routes of the audit: why an order is as it is, the trade log, its export, the report.

Source: executor specification, section 13.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from bft.domain.encoding import utc_told
from bft.domain.errors import DataError
from bft.domain.orders import IntentState, Leg, TimeInForce
from bft.ledger import audit as report
from bft.ledger.export import trade_row, trades_csv
from bft.services.executor.adoption import adopted
from bft.services.executor.agreement import units
from bft.services.executor.api.auth import Reads
from bft.services.executor.api.documents import errors
from bft.services.executor.api.problems import unknown
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.closing import NOBODY
from bft.services.executor.protection import unprotected_qty

router = APIRouter(tags=["audit"])
OLD = timedelta(days=1)
MENTIONS = 500
LEAST_PREFIX = 4
OLDER = ("created_at", "signal_id", "intent_id", "side", "qty", "filled_qty", "leg", "state")
CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    204: {"description": "the trade log is empty"},
}


class Why(BaseModel):
    """Everything on record about one order, intent, signal, execution or denial.

    `older`: asked by a symbol whose newest is a denial, the newest order before it.
    """

    id: str
    older: dict[str, Any] | None = None
    signal: dict[str, Any] | None = None
    decisions: list[dict[str, Any]] = []
    denials: list[dict[str, Any]] = []
    intents: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    executions: list[dict[str, Any]] = []
    bracket: list[dict[str, Any]] = []
    trade: list[dict[str, Any]] = []
    history: list[dict[str, Any]] = []


class TradeLog(BaseModel):
    """Rows of the trade log, newest first, 30 columns."""

    trades: list[dict[str, Any]] = Field(
        description="stop_price and target_price are the plan, before the fill (the levels that "
        "rest: bracket of the order); outcome is null while the entry works, fill while it is open"
    )


class CheckView(BaseModel):
    """One check: OK, WARN or FAIL."""

    level: str
    name: str
    text: str


class AuditReport(BaseModel):
    """Checks and the page that `bft audit` writes."""

    at: str
    worst: str
    checks: list[CheckView]
    markdown: str


@router.get("/v1/why/{id}", response_model=Why, responses=errors(404))
async def why(request: Request, id: str, _: Reads) -> JSONResponse:
    """The whole story of an order, signal, execution or denial.

    By any id of it, the beginning of one, or a symbol: then its newest order or denial.
    """
    service = service_of(request)
    signal_id, older = await _signal_id(service, id), None
    if signal_id is None:
        signal_id, older = await _newest(service, id)
    signal_id = signal_id or await _beginning(service, id)
    if signal_id is not None:
        return JSONResponse({"id": id, "older": older, **await story(service, signal_id)})
    refused = await service.rows("denials", where={"decision_id": id})
    if not refused:
        raise unknown(f"order, signal, execution or denial {id[:64]}")
    return JSONResponse(Why(id=id, denials=refused).model_dump())


async def story(service: Service, signal_id: str) -> dict[str, Any]:
    """All rows of a signal, and what the journal tells of its orders in order."""
    mine = {"signal_id": signal_id}
    signals = await service.rows("signals", where=mine)
    intents = await service.rows("intents", where=mine)
    names = [row["intent_id"] for row in intents]
    entries = [row["intent_id"] for row in intents if row["leg"] == Leg.ENTRY.value]
    by_intent = {"intent_id": names or [""]}
    history: list[dict[str, Any]] = []
    for name in names[:8]:
        found = await service.aside(partial(service.book.mentions, name, limit=MENTIONS))
        history += [
            {
                "seq": row.seq,
                "at": row.entry.at.isoformat(),
                "kind": row.entry.kind,
                "body": row.entry.body,
            }
            for row in found
            if row.entry.kind not in {"decision", "signal", "snapshot", "reconciliation"}
        ]
    return {
        "signal": signals[0] if signals else None,
        "decisions": await service.rows("decisions", where=mine),
        "denials": await service.rows("denials", where=mine),
        "intents": intents,
        "orders": await service.rows("orders", where=by_intent),
        "executions": await service.rows("executions", where=by_intent),
        "bracket": await service.rows("brackets", where={"entry": entries or [""]}),
        "trade": [trade_row(row) for row in await service.rows("trades", where=mine)],
        "history": sorted({row["seq"]: row for row in history}.values(), key=lambda r: r["seq"]),
    }


async def _signal_id(service: Service, name: str) -> str | None:
    """The signal behind an id of any kind."""
    if await service.rows("signals", where={"signal_id": name}):
        return name
    for table, column in (("intents", "intent_id"), ("decisions", "decision_id"), ("trades", "id")):
        rows = await service.rows(table, where={column: name})
        if rows:
            return str(rows[0]["signal_id"])
    rows = await service.rows("executions", where={"exec_id": name})
    if rows and rows[0]["intent_id"]:
        return await _signal_id(service, rows[0]["intent_id"])
    return None


async def _newest(service: Service, symbol: str) -> tuple[str | None, dict[str, Any] | None]:
    """The signal of a symbol's newest order or denial, and before a denial the newest order.

    Stops and targets that the executor sets anew for a position hide no denial.
    """
    where = {"symbol": symbol.upper()}
    legs = {"leg": {Leg.ENTRY.value, Leg.EXIT.value}}
    order = await _last(service, "intents", where | legs) or await _last(service, "intents", where)
    denial = await _last(service, "denials", where)
    newest = next((row for row in (order, denial) if row and row["signal_id"]), None)
    if order and denial and denial["signal_id"] and denial["at"] > order["created_at"]:
        newest = denial
    if newest is None:
        return None, None
    if order is None or newest["signal_id"] == order["signal_id"]:
        return str(newest["signal_id"]), None
    return str(newest["signal_id"]), {name: order[name] for name in OLDER}


async def _last(service: Service, table: str, where: dict[str, Any]) -> dict[str, Any] | None:
    rows = await service.rows(table, where=where, newest_first=True, limit=1)
    return rows[0] if rows else None


async def _beginning(service: Service, text: str) -> str | None:
    """The one signal an id of which begins so, among orders in memory and the newest denials."""
    if len(text) < LEAST_PREFIX:
        return None
    orders = service.desk.state.intents.values()
    ids = [(i.signal_id, (i.signal_id, i.intent_id)) for i in orders]
    denied = await service.rows("denials", newest_first=True, limit=MENTIONS)
    # a body refused unread has no signal: all those are no one story
    ids += [(r["signal_id"], (r["signal_id"], r["decision_id"])) for r in denied if r["signal_id"]]
    found = {signal for signal, names in ids if any(name.startswith(text) for name in names)}
    return found.pop() if len(found) == 1 else None


@router.get("/v1/logs/trades", response_model=TradeLog, responses=errors())
async def trade_log(
    request: Request, _: Reads, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> JSONResponse:
    """The newest rows of the trade log."""
    rows = await service_of(request).rows("trades", limit=limit, newest_first=True)
    return JSONResponse({"trades": [trade_row(row) for row in rows]})


@router.get("/v1/export/trades.csv", response_class=Response, responses=errors() | CSV)
async def export(
    request: Request, _: Reads, limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000
) -> Response:
    """The newest rows of the trade log as CSV, 12 columns; 204 where there is none.

    Columns are those of `/v1/logs/trades`: stop and target as planned, outcome fill while open.
    """
    rows = await service_of(request).rows("trades", limit=limit, newest_first=True)
    if not rows:
        return Response(status_code=204)
    name = {"content-disposition": "attachment; filename=trades.csv"}
    return Response(trades_csv(rows), media_type="text/csv", headers=name)


@router.get("/v1/audit/report", response_model=AuditReport, responses=errors())
async def audit_report(request: Request, _: Reads) -> JSONResponse:
    """Every check of the audit, and the report as Markdown."""
    service = service_of(request)
    made = report.audit(await evidence(service))
    checks = [{"level": c.level.value, "name": c.name, "text": c.text} for c in made.checks]
    return JSONResponse(
        {
            "at": service.now.isoformat(),
            "worst": made.worst.value,
            "checks": checks,
            "markdown": made.markdown,
        }
    )


async def evidence(service: Service) -> report.Evidence:
    """What the report is made of, the whole journal checked."""
    desk = service.desk
    trades = await service.rows("trades")
    entries = await service.rows("intents", where={"leg": Leg.ENTRY.value})
    decided = await service.aside(
        lambda: set(service.book.distinct("decisions", "signal_id", where={"allowed": True}))
    )
    undecided = [row for row in entries if row["signal_id"] not in decided]
    live = list(desk.state.live_intents())
    held = {p.con_id: int(p.qty) for p in desk.state.positions.values()}
    old = [
        i for i in live if i.leg is Leg.ENTRY and i.created_at and service.now - i.created_at > OLD
    ]
    return report.Evidence(
        at=service.now,
        trades=trades,
        entries=entries,
        chain=await _chain(service),
        undecided=[r["intent_id"] for r in undecided if not adopted(r)],
        adopted=[r["intent_id"] for r in undecided if adopted(r)],
        unknown=[i.intent_id for i in live if i.state is IntentState.UNKNOWN],
        differences=_differences(service),
        gap_qty=unprotected_qty(held, live),
        old_orders=[i.intent_id for i in old],
        lasting=frozenset(i.intent_id for i in old if i.time_in_force is TimeInForce.GTC),
        known=desk.reference.universe,
        by_hand=await _by_hand(service, trades),
        mode=desk.route.mode,
        simulated=desk.broker.simulated,
    )


def _differences(service: Service) -> list[str]:
    """What differs now; while the broker is away, what differed when it was last asked."""
    desk = service.desk
    if desk.reconciled:
        return [
            f"{d.contract.symbol} book {units(d.book)}, "
            f"broker {units(d.broker)} at {d.at:%H:%M:%S} UTC"
            for d in desk.differences()
        ]
    last = service.executor.reconciler.last or {}
    at = f" at {utc_told(last['at'])}" if "at" in last else ""
    return [
        f"{d['symbol']} book {d['book']}, broker {d['broker']}{at}, when it was last asked"
        for d in last.get("differences", ())
    ]


async def _by_hand(service: Service, trades: Sequence[dict[str, Any]]) -> frozenset[str]:
    """Of rows without stop or target those no strategy decided: none is named, or an order came."""
    bare = [row for row in trades if not (row["stop_price"] and row["target_price"])]
    named = {row["signal_id"] for row in bare if row["strategy_id"] != NOBODY}
    told = await service.rows("signals", where={"signal_id": named}) if named else []
    placed = {row["signal_id"] for row in told if not row["body"]["is_signal"]}
    return frozenset(
        str(row["id"]) for row in bare if row["strategy_id"] == NOBODY or row["signal_id"] in placed
    )


async def _chain(service: Service) -> str | None:
    try:
        await service.aside(service.book.verify_chain)
    except DataError as error:
        return str(error)
    return None
