"""Routes about the broker: its health, and ticks for the paper one.

Source: executor specification, section 1.1.
"""

from decimal import Decimal
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from bft.domain.broker import SessionState
from bft.domain.errors import RefusedError
from bft.domain.orders import Reason
from bft.domain.trading import Instrument
from bft.services.executor.api import fields as f
from bft.services.executor.api.auth import Reads, Trades
from bft.services.executor.api.documents import body_of, errors
from bft.services.executor.api.json_body import read
from bft.services.executor.api.naming import unmet
from bft.services.executor.api.orders import Mode
from bft.services.executor.api.placing import check_mode
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.api.service import Service, service_of
from bft.services.executor.api.symbols import parse_symbol
from bft.services.executor.option_facts import VIX

router = APIRouter(tags=["broker"])
_AWAY = frozenset({SessionState.DOWN, SessionState.HANDSHAKE, SessionState.HALF_OPEN})
_SYNCED = frozenset({SessionState.ARMED, SessionState.RECONCILING, SessionState.DRAINING})


class Ticked(Protocol):
    """A broker that takes prices from outside."""

    def tick(
        self,
        symbol: str,
        price_usd: Decimal,
        *,
        bid_usd: Decimal | None = None,
        ask_usd: Decimal | None = None,
        size: int | None = None,
        confirmed: bool = False,
    ) -> None:
        """Take a price; one that is far off only when it is confirmed."""


class BrokerHealth(BaseModel):
    """A broker's session; `status` is healthy, warning, error or disabled."""

    status: str
    broker: str
    enabled: bool
    connected: bool
    authenticated: bool
    credentials_provided: bool
    host: str
    port: int
    session_state: str
    client_id: int | None
    account: str
    epoch: int
    simulated: bool


class TickBody(BaseModel):
    """A price; without bid and ask it is both."""

    model_config = ConfigDict(strict=True, extra="forbid")
    symbol: Annotated[str, Field(min_length=1, max_length=32)] = Field(
        description="a share, an option's OCC symbol, a future such as NQZ5, or VIX"
    )
    price: f.Price = Field(description="the last trade, USD, above 0")
    bid: f.Price = Field(None, description="USD; left out: the price")
    ask: f.Price = Field(None, description="USD; left out: the price")
    size: Annotated[int, Field(ge=1, le=99_999_999)] | None = Field(
        None, description="units that either side fills before the next tick; left out: any"
    )
    confirm: bool = Field(
        default=False,
        description="the price is real, though it lies more than 40 % from the newest price and "
        "from the last close; without it such a price is refused (400), and nothing fills",
    )


class Ticks(BaseModel):
    """The price was taken; `warning` where nobody trades its symbol."""

    status: str
    symbol: str
    warning: str | None


@router.get("/v1/broker/health", response_model=BrokerHealth, responses=errors())
async def broker_health(request: Request, _: Reads) -> JSONResponse:
    """The broker in use."""
    service = service_of(request)
    return JSONResponse(view(service, service.desk.route.broker))


@router.get("/v1/ibkr/health", response_model=BrokerHealth, responses=errors())
async def ibkr_health(request: Request, _: Reads) -> JSONResponse:
    """Interactive Brokers."""
    return JSONResponse(view(service_of(request), "ib"))


@router.get("/v1/paper/health", response_model=BrokerHealth, responses=errors())
async def paper_health(request: Request, _: Reads) -> JSONResponse:
    """The paper broker."""
    return JSONResponse(view(service_of(request), "paper"))


def view(service: Service, name: str) -> dict[str, Any]:
    """Health of a broker by name; one that is not in use is disabled."""
    desk, about = service.desk, service.about
    enabled, state = desk.route.broker == name, desk.broker.state
    connected = enabled and state not in _AWAY
    status = "error" if not connected else "healthy" if state is SessionState.ARMED else "warning"
    return {
        "status": status if enabled else "disabled",
        "broker": name,
        "enabled": enabled,
        "connected": connected,
        "authenticated": enabled and state in _SYNCED,
        "credentials_provided": name == "paper" or (enabled and about.credentials),
        "host": about.host if enabled else "",
        "port": about.port if enabled else 0,
        "session_state": state.value if enabled else "DISABLED",
        "client_id": desk.broker.client_id if enabled else None,
        "account": desk.account[-3:] if enabled else "",
        "epoch": desk.broker.epoch if enabled else 0,
        "simulated": desk.broker.simulated if enabled else False,
    }


@router.post(
    "/v1/tick",
    response_model=Ticks,
    openapi_extra=body_of(TickBody),
    responses=errors(409, write=True),
)
async def post_tick(request: Request, subject: Trades, mode: Mode = None) -> JSONResponse:
    """Show the paper broker a price; it may fill orders."""
    service = service_of(request)
    check_mode(service, mode)
    service.writes.count(subject.name)
    body = await read(request, TickBody)
    try:
        symbol, instrument = parse_symbol(body.symbol, None)
    except ValueError as error:
        raise shape(f"symbol: {error}") from error
    if body.price is None:
        raise shape("price: a number above 0")
    if getattr(service.desk.broker, "source", None) != "tick":
        text = "prices of this server come from elsewhere; ticks need broker paper, source tick"
        raise Problem(409, Reason.OTHER, text)
    broker = cast("Ticked", service.desk.broker)
    try:
        broker.tick(
            symbol,
            body.price,
            bid_usd=body.bid,
            ask_usd=body.ask,
            size=body.size,
            confirmed=body.confirm,
        )
    except RefusedError as error:
        raise Problem(409, Reason.OTHER, str(error)) from error
    share = instrument is Instrument.STOCK and symbol != VIX.symbol
    warning = unmet(service, symbol) if share else None
    return JSONResponse({"status": "taken", "symbol": symbol, "warning": warning})
