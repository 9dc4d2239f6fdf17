"""One call to Alpaca: paced, timed, judged."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from bft.adapters.broker.alpaca.pace import Pace
from bft.domain.broker import Priority
from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError

PAPER_URL = "https://paper-api.alpaca.markets"
DATA_URL = "https://data.alpaca.markets"
TIMEOUT_S = 10.0
TOO_MANY = 429

logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per poll says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaSettings:
    """Whom to call, as whom. `account` is the account number that must answer.

    `poll_s` is the time between looks at open orders and fills.
    """

    account: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    url: str = PAPER_URL
    data_url: str = DATA_URL
    client_id: int = 10
    poll_s: float = 2.0


@dataclass(slots=True)
class Refused(Exception):  # noqa: N818  what the peer did
    """Alpaca understood and said no: status and code of its answer, message in its words."""

    status: int
    code: int
    message: str

    def __str__(self) -> str:
        return f"alpaca refused: {self.status} {self.message}"


def check(settings: AlpacaSettings) -> None:
    """Refuse what cannot be paper trading.

    Raises:
        RefusedError: an address other than paper trading or loopback.
        ConfigError: no account or no keys.
    """
    if not settings.account or not settings.key_id or not settings.secret:
        raise ConfigError(
            "alpaca needs BFT_ACCOUNT, BFT_ALPACA_KEY_ID and BFT_ALPACA_SECRET of paper trading"
        )
    for url, only in ((settings.url, PAPER_URL), (settings.data_url, DATA_URL)):
        if url.rstrip("/") != only and urlsplit(url).hostname not in {"127.0.0.1", "::1"}:
            raise RefusedError(f"alpaca is for paper trading at {only} only, not {url}")


class Client:
    """Calls trading and data addresses with the account's keys."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self._settings, self.pace = settings, Pace()
        keys = {"APCA-API-KEY-ID": settings.key_id, "APCA-API-SECRET-KEY": settings.secret}
        real = settings.url.startswith("https://")
        self._http = httpx.AsyncClient(headers=keys, timeout=TIMEOUT_S, trust_env=real)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str, **params: str) -> Any:
        """JSON of a question about the account."""
        await self.pace.call(Priority.QUERY)
        return await self._call("GET", self._settings.url + path, params=params)

    async def data(self, path: str, **params: str) -> Any:
        """JSON of a question about the market."""
        await self.pace.call(Priority.DATA)
        return await self._call("GET", self._settings.data_url + path, params=params)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None, priority: Priority
    ) -> Any:
        """JSON of the answer to a message that changes orders."""
        await self.pace.message(priority)
        return await self._call(method, self._settings.url + path, body=body)

    async def _call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        what = f"alpaca {method} {urlsplit(url).path}"
        try:
            answer = await self._http.request(method, url, params=params, json=body)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{what}: {type(error).__name__}; tried again") from error
        if answer.status_code >= 500:
            raise UnavailableError(f"{what}: {answer.status_code}; tried again")
        if answer.status_code >= 400:
            raise _refused(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise DataError(f"{what}: the answer is no JSON") from error


def _refused(answer: httpx.Response) -> Refused:
    try:
        body = answer.json()
        return Refused(answer.status_code, int(body.get("code", 0)), str(body.get("message", "")))
    except (ValueError, AttributeError):
        return Refused(answer.status_code, 0, answer.text[:200])
