"""The executor's API in process: virtual time, a real book, the paper broker, httpx over ASGI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from executors import OPEN, World
from virtual_time import LoopClock, run

from bft.services.executor.api.app import build
from bft.services.executor.api.auth import Keyring
from bft.services.executor.api.health import probe
from bft.services.executor.api.service import About, Service
from bft.services.executor.writer import inline
from bft.steps.token import issued, token_claims

SECRET = "".join(map(chr, range(48, 88)))


def token(*roles: str, secret: str = SECRET, **changes: Any) -> str:
    now = datetime.now(UTC)  # noqa: TID251  tokens are judged by the machine's clock
    claims = token_claims("ada", roles, now=now, lifetime=timedelta(minutes=30))
    return issued(claims | changes, secret)


@dataclass
class Api:
    """A world with its API; `service` changes with every restart."""

    world: World
    about: dict[str, Any] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    command_answer: tuple[int, dict[str, Any]] = (0, {"status": "promoted"})
    open_reads: bool = False
    service: Service = field(init=False)
    client: httpx.AsyncClient = field(init=False)

    async def up(self, **changes: Any) -> None:
        await self.world.start(**changes)
        self.service = Service(
            executor=self.world.executor,
            book=self.world.book,
            offload=inline,
            aside=inline,
            keyring=Keyring([SECRET], open_reads=self.open_reads),
            about=About(version="1", environment="test", timezone="UTC", **self.about),
            command=self._command,
            configured=self.world.profile,
        )
        self.service.tick_at = self.service.desk.timer()
        await probe(self.service)
        app = build(self.service)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
            base_url="http://executor",
            headers={"user-agent": "bft-test"},
        )

    @property
    def token(self) -> str:
        return token("admin")

    async def _command(self, words: list[str]) -> tuple[int, dict[str, Any]]:
        self.commands.append(words)
        return self.command_answer

    async def ask(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", **more: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(role)}"} | more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return await self.client.request(method, path, headers=headers, **more)

    async def order(self, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
        return await self.ask("POST", "/v1/orders", order(**changes), headers=headers or {})


def order(**changes: Any) -> dict[str, Any]:
    """A body that risk lets pass six minutes into the session."""
    return {
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": 10,
        "price": 100.02,
        "stop_price": 95,
        "target_price": 110,
        "confidence": 0.7,
    } | changes


def signal(**changes: Any) -> dict[str, Any]:
    """One decided as `armed` begins."""
    made = order(**changes)
    made.setdefault("strategy_id", "bollinger")
    made.setdefault("decided_at", (OPEN + timedelta(minutes=6)).isoformat())
    return {name: value for name, value in made.items() if value is not None}


def armed(folder: Path, then: Callable[[Api], Awaitable[None]], **changes: Any) -> None:
    """Run a test against an armed API with a price for AAPL, six minutes into the session.

    `starts` is another instant: hours of a quiet session take a minute.
    """

    async def main() -> None:
        about = changes.pop("about", {})
        reads, kind = changes.pop("open_reads", False), changes.pop("kind", World)
        clock = LoopClock(changes.pop("starts", OPEN + timedelta(minutes=6)))
        api = Api(kind(folder=folder, clock=clock, **changes), about, open_reads=reads)
        await api.up()
        await api.world.until_armed()
        api.service.tick_at = api.service.desk.timer()
        await probe(api.service)
        api.world.price("AAPL", "100.00")
        await then(api)
        await api.client.aclose()
        await api.service.keys.drain()
        await api.world.stop()

    run(main())
