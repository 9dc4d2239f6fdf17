"""Routes that only read: positions, lots, executions, denials, events, results.

What memory holds is answered from it; the rest is read beside the loop.
Source: executor specification, sections 1.1 and 13.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import JSONResponse

from bft.domain import sessions
from bft.domain.encoding import decode, encode, instant_text, money_text
from bft.domain.journal import AtLeast
from bft.domain.orders import Intent, Leg
from bft.domain.trading_days import trading_day
from bft.ledger.daily import Result, by_day, results, summed
from bft.ledger.records import Lot, Position, Trade
from bft.services.executor.api import fields as f
from bft.services.executor.api.auth import Reads
from bft.services.executor.api.denying import Denials, denied, unread
from bft.services.executor.api.documents import errors
from bft.services.executor.api.holding import ExitView, exits_of
from bft.services.executor.api.naming import names_in
from bft.services.executor.api.problems import unknown
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.views import amount, money
from bft.services.executor.contracts import name_of
from bft.services.executor.day_change import open_entry_fees_usd
from bft.services.executor.protection import protected_qty

router = APIRouter(tags=["reading"])
Limit = Annotated[int, Query(ge=1, le=1000)]
Since = Annotated[
    datetime | None,
    BeforeValidator(f.instant),
    Query(description="ISO 8601; without an offset it is UTC"),
]
Level = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]


class PositionView(BaseModel):
    """A position; money is decimal text, `protected_quantity` lies under live stops or is leaving.

    `name` is the contract as orders name it, `underlying` the company's or the root.
    `leaving_quantity`: units that no entry holds, that somebody closed and that are still there.
    """

    symbol: str
    name: str
    quantity: str
    average_cost: str
    multiplier: str
    mark: str | None
    mark_from: str | None = Field(
        description="quote, or close: the last one known; null: no price, paper counts it at cost"
    )
    unrealised_usd: str | None
    protected_quantity: int
    leaving_quantity: int
    exits: list[ExitView]
    opened_at: datetime
    underlying: str
    names: list[str] = Field(
        description="names of it that a close takes, the one it bears now first"
    )
    underlyings: list[str] = Field(description="those of its underlying; of a share its own")
    sec_type: str
    right: str | None = Field(description="C or P of an option")
    con_id: int
    account: str


class CooldownView(BaseModel):
    """No entry in a symbol until then; an empty strategy is any."""

    symbol: str
    strategy_id: str
    until: datetime
    reason: str


class Positions(BaseModel):
    """What is held; where asked for, what was left so lately that it is not entered again."""

    positions: list[PositionView]
    cooldowns: list[CooldownView] | None = None


class Rows(BaseModel):
    """Rows of a table of the book, newest first; money and instants are text."""

    rows: list[dict[str, Any]]


class ResultView(BaseModel):
    """A day's result, of one strategy or (empty) of all."""

    day: date
    strategy_id: str
    realised_usd: str
    fees_usd: str
    r_multiple: str
    closes: int
    trades: int


class Daily(BaseModel):
    """The trading day so far.

    Start, realised and unrealised change less open fees is the equity, but for what closes of the
    day had gained on days before: `realised_usd` counts from cost. The equity is the broker's, of
    the instant `equity_at`; the rest is of now.
    """

    day: date
    realised_usd: str = Field(description="of what was closed, net of its fees")
    open_fees_usd: str = Field(description="paid today to open what is still held; in no other")
    unrealised_usd: str | None
    unrealised_change_usd: str | None
    fees_usd: str
    r_multiple: str
    day_start_equity_usd: str | None
    equity_usd: str | None
    equity_at: datetime | None = Field(description="when the broker told the equity")
    strategies: list[ResultView]


class Summary(BaseModel):
    """All that was realised, by strategy."""

    realised_usd: str
    unrealised_usd: str | None
    fees_usd: str
    r_multiple: str
    trades: int
    strategies: list[ResultView]


class History(BaseModel):
    """Days, oldest first; each with its strategies."""

    days: list[ResultView]
    strategies: list[ResultView]


@router.get("/v1/positions", response_model=Positions, responses=errors())
async def get_positions(request: Request, _: Reads, *, cooldowns: bool = False) -> JSONResponse:
    """What is held, by the executor's own book; with `cooldowns`, those of the same instant."""
    service = service_of(request)
    held = {"positions": positions_of(service)}
    return JSONResponse({**held, "cooldowns": cooldowns_of(service)} if cooldowns else held)


def positions_of(service: Service) -> list[dict[str, Any]]:
    """Every position as the API shows it, by symbol."""
    held = sorted(service.desk.state.positions.values(), key=lambda p: (p.symbol, p.con_id))
    closing, naming = closing_by_contract(service), service.executor.closing.naming()
    views = (position_view(service, each, closing.get(each.con_id, ())) for each in held)
    return [v | names_in(naming, p.contract) for p, v in zip(held, views, strict=True)]


def cooldowns_of(service: Service) -> list[dict[str, str]]:
    """Cooldowns that run now, by symbol."""
    rows, now = service.desk.state.cooldowns.values(), service.now
    running = (row for row in rows if row.account == service.desk.account and row.until > now)
    return [
        {
            "symbol": row.symbol,
            "strategy_id": row.strategy,
            "until": row.until.isoformat(),
            "reason": row.reason,
        }
        for row in sorted(running, key=lambda row: (row.symbol, row.strategy))
    ]


def closing_by_contract(service: Service) -> dict[int, list[Intent]]:
    """Stops and exits that are not over, by contract."""
    found: dict[int, list[Intent]] = {}
    for leg in service.desk.state.live_intents():
        if leg.leg in {Leg.STOP, Leg.EXIT}:
            found.setdefault(leg.contract.con_id, []).append(leg)
    return found


def position_view(service: Service, held: Position, closing: Sequence[Intent]) -> dict[str, Any]:
    """A position with its price now; `closing` are its stops and exits."""
    price, source = priced(service, held)
    gain = gain_of(held, price)
    return {
        "symbol": held.symbol,
        "name": name_of(held.contract),
        "quantity": money_text(held.qty),
        "average_cost": money_text(held.average_cost_usd),
        "multiplier": money_text(held.multiplier),
        "mark": money(price),
        "mark_from": source,
        "unrealised_usd": amount(gain),
        "protected_quantity": protected_qty(closing),
        "leaving_quantity": service.executor.closing.leaving_qty(held),
        "exits": exits_of(service, held),
        "underlying": held.contract.symbol,
        "opened_at": held.opened_at.isoformat(),
        "sec_type": held.contract.sec_type,
        "right": held.contract.right,
        "con_id": held.con_id,
        "account": held.account[-3:],
    }


def priced(service: Service, held: Position) -> tuple[Decimal | None, str | None]:
    """The quote's mark, else the last close that book or night know; and which of them."""
    quote = service.desk.quote(held.contract)
    if quote is not None and quote.mark_usd:
        return quote.mark_usd, "quote"
    close = service.desk.close_usd(held.contract) or held.mark_usd
    return (close, "close") if close else (None, None)


def gain_of(held: Position, price: Decimal | None) -> Decimal | None:
    """Unrealised gain in USD from the exact cost; None where no price is known."""
    if price is None:
        return None
    return price * held.qty * held.multiplier - held.cost_usd  # the average is rounded


async def table(service: Service, name: str, since: datetime | None, limit: int) -> JSONResponse:
    """Newest rows of a table."""
    rows = await service.rows(name, since=since, limit=limit, newest_first=True)
    return JSONResponse({"rows": rows})


@router.get("/v1/lots", response_model=Rows, responses=errors())
async def get_lots(
    request: Request, _: Reads, since: Since = None, limit: Limit = 100
) -> JSONResponse:
    """Lots with what was closed of them."""
    return await table(service_of(request), "lots", since, limit)


@router.get("/v1/executions", response_model=Rows, responses=errors())
async def get_executions(
    request: Request, _: Reads, since: Since = None, limit: Limit = 100
) -> JSONResponse:
    """Fills."""
    return await table(service_of(request), "executions", since, limit)


@router.get("/v1/denials", response_model=Denials, responses=errors())
async def get_denials(
    request: Request, _: Reads, since: Since = None, limit: Limit = 100
) -> JSONResponse:
    """Denied orders and signals with rule, value and limit; beside them what was refused unread."""
    service = service_of(request)
    rows = await denied(service, since=since, limit=limit)
    return JSONResponse({"rows": rows, "refused_requests": await unread(service, since=since)})


@router.get("/v1/events", response_model=Rows, responses=errors())
async def get_events(
    request: Request,
    _: Reads,
    since: Since = None,
    severity: Annotated[Level | None, Query()] = None,
    limit: Limit = 100,
) -> JSONResponse:
    """The last 1,000 events, newest first."""
    found = [
        encode(event)
        for event in reversed(service_of(request).desk.state.events)
        if (since is None or event.at >= since) and (severity is None or event.severity == severity)
    ]
    return JSONResponse({"rows": found[:limit]})


@router.get("/v1/signal/{id}", response_model=Rows, responses=errors(404))
async def get_signal(request: Request, id: str, _: Reads) -> JSONResponse:
    """A signal as it arrived, last."""
    rows = await service_of(request).rows("signals", where={"signal_id": id})
    if not rows:
        raise unknown(f"signal {id[:64]}")
    return JSONResponse({"rows": rows})


# results


@router.get("/v1/pnl/daily", response_model=Daily, responses=errors())
async def pnl_daily(request: Request, _: Reads) -> JSONResponse:
    """Result of the trading day so far."""
    service = service_of(request)
    desk, state = service.desk, service.desk.state
    day = desk.trading_day
    rows = results_today(service)
    total = summed(rows, day=day)
    start = state.limits_of("account", desk.account, day, at=desk.now).day_start_equity_usd
    values = desk.broker.account_values()
    return JSONResponse(
        {
            "day": day.isoformat(),
            **_figures(total),
            "open_fees_usd": amount(open_entry_fees_usd(desk)),
            "unrealised_usd": amount(unrealised(service)),
            "unrealised_change_usd": amount(service.executor.facts.unrealised_change_usd()),
            "day_start_equity_usd": amount(start),
            "equity_usd": amount(values.equity_usd) if values else None,
            "equity_at": values.equity_at.isoformat() if values and values.equity_at else None,
            "strategies": [_view(row) for row in rows],
        }
    )


@router.get("/v1/pnl/summary", response_model=Summary, responses=errors())
async def pnl_summary(request: Request, _: Reads) -> JSONResponse:
    """Everything realised since the book began."""
    service = service_of(request)
    rows = await _results(service, date(1970, 1, 1))
    day = trading_day(service.now)
    names = sorted({row.strategy_id for row in rows})
    parts = [
        summed([r for r in rows if r.strategy_id == name], day=day, strategy_id=name)
        for name in names
    ]
    total = summed(parts, day=day)
    return JSONResponse(
        {
            **_figures(total),
            "trades": total.trades,
            "unrealised_usd": amount(unrealised(service)),
            "strategies": [_view(row) for row in parts],
        }
    )


@router.get("/v1/pnl/history", response_model=History, responses=errors())
async def pnl_history(
    request: Request, _: Reads, days: Annotated[int, Query(ge=1, le=3660)] = 30
) -> JSONResponse:
    """Results by day and by day and strategy."""
    service = service_of(request)
    start = service.now.astimezone(sessions.NEW_YORK).date() - timedelta(days=days - 1)
    rows = await _results(service, start)
    return JSONResponse(
        {"days": [_view(r) for r in by_day(rows)], "strategies": [_view(r) for r in rows]}
    )


def results_today(service: Service) -> list[Result]:
    """What the trading day so far has realised, by strategy."""
    day, state = service.desk.trading_day, service.desk.state
    return [r for r in results(state.lots.values(), state.trades, since=day) if r.day == day]


async def _results(service: Service, since: date) -> list[Result]:
    """Results from the book's tables."""
    start = instant_text(datetime(since.year, since.month, since.day, tzinfo=UTC))
    lots = await service.rows("lots", where={"closed_at": AtLeast(start)})
    lots += await service.rows("lots", where={"closed_at": None})
    rows = await service.rows("trades", where={"exited_at": AtLeast(start)})
    rows += await service.rows("trades", where={"exited_at": None})
    trades = {row["id"]: decode(Trade, row) for row in rows}
    return results((decode(Lot, row) for row in lots), trades, since=since)


def unrealised(service: Service) -> Decimal | None:
    """Gain of what is held against its cost; None where a price is missing."""
    total = Decimal(0)
    for held in service.desk.state.positions.values():
        gain = gain_of(held, priced(service, held)[0])
        if gain is None:
            return None
        total += gain
    return total


def _figures(total: Result) -> dict[str, Any]:
    return {
        "realised_usd": amount(total.realised_usd),
        "fees_usd": amount(total.fees_usd),
        "r_multiple": money_text(total.r_multiple),
    }


def _view(row: Result) -> dict[str, Any]:
    return {
        "day": row.day.isoformat(),
        "strategy_id": row.strategy_id,
        **_figures(row),
        "closes": row.closes,
        "trades": row.trades,
    }
