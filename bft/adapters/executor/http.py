"""The executor's API over HTTP. Source: executor specification, sections 1.1 and 10."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bft.domain.errors import ConfigError, RefusedError, UnavailableError
from bft.ports.executor import Reply

CONNECT_S = 5.0
AGENT = "bft-cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM, empty where there is none: whom to trust, and what to show who asks."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Both sides of TLS.

        Raises:
            ConfigError: half a pair, or a file that is absent or no such thing.
        """
        if bool(self.cert) != bool(self.key):
            raise ConfigError("BFT_API_CERT_FILE and BFT_API_KEY_FILE belong together; set both")
        names = ", ".join(name for name in (self.ca, self.cert, self.key) if name)
        try:
            made = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                made.load_cert_chain(self.cert, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            text = f"certificates of BFT_API_CA_FILE, _CERT_FILE, _KEY_FILE ({names}): {error}"
            raise ConfigError(text) from error
        return made


SYSTEM = Tls()
"""The machine's own authorities, no certificate of ours."""


class HttpExecutor:
    """An ExecutorApi; `token` empty asks without one, `mode` is what the caller believes."""

    def __init__(
        self, url: str, *, token: str = "", mode: str | None = None, tls: Tls = SYSTEM
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            example = "http://127.0.0.1:9001"
            raise ConfigError(f"--api {url!r}: no address such as {example} (BFT_API_URL)")
        self.url = url.rstrip("/")
        self._headers = {"User-Agent": AGENT}
        self._headers |= {"Authorization": f"Bearer {token}"} if token else {}
        self._headers |= {"X-BFT-Mode": mode} if mode else {}
        self._secure = tls.context() if parts.scheme == "https" else False

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_s: float = 30.0,
    ) -> Reply:
        """See `ExecutorApi.ask`."""
        timeout = httpx.Timeout(wait_s, connect=min(CONNECT_S, wait_s))
        try:
            # a proxy is for the world, not for the machine's own executor
            with httpx.Client(verify=self._secure, trust_env=False, timeout=timeout) as client:
                got = client.request(
                    method, self.url + path, json=body, params=params, headers=self._headers
                )
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            text = f"executor {self.url}: {why}; is it running? bft serve executor"
            raise UnavailableError(text) from error
        reply = Reply(
            status=got.status_code,
            body=_body(got),
            replayed=got.headers.get("Idempotency-Replayed") == "true",
        )
        _check(f"executor {self.url}, {method} {path}", reply)
        return reply


def _no_password() -> str:
    """Never ask a terminal for the password of a key."""
    raise ValueError("the key is encrypted; give one that is not, readable by its owner alone")


def _body(got: httpx.Response) -> Any:
    if "json" not in got.headers.get("content-type", ""):
        return got.text
    try:
        return got.json()
    except ValueError as error:
        raise UnavailableError(f"executor {got.url}: an answer that is cut off") from error


def _check(asked: str, reply: Reply) -> None:
    said = reply.body.get("message") if isinstance(reply.body, dict) else None
    why = said or f"status {reply.status}"
    if reply.status == 401:
        raise RefusedError(
            f"{asked}: {why}; issue one with bft token USER --roles trader --output FILE "
            "and name it in BFT_TOKEN_FILE"
        )
    if reply.status == 403:
        raise RefusedError(f"{asked}: {why}")
    if reply.status in {429, 500, 502, 504}:
        raise UnavailableError(f"{asked}: {why}; try again")
