"""The executor's API as the command line asks it: every kind of answer, against a real server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bft.adapters.executor.http import HttpExecutor, Tls
from bft.domain.errors import BftError, ConfigError, RefusedError, UnavailableError

SHOWN = ".".join("abc")
SEEN: list[tuple[str, dict[str, str], Any]] = []


class Answers(BaseHTTPRequestHandler):
    """Answers `/STATUS` with that status; `/text` and `/torn` with what they say."""

    def _do(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        SEEN.append((f"{self.command} {self.path}", dict(self.headers), body))
        name = self.path.strip("/").partition("?")[0]
        text = {"text": b"a,b\n", "torn": b'{"a": '}.get(name, b'{"message": "why"}')
        self.send_response(int(name) if name.isdigit() else 200)
        self.send_header("content-type", "text/csv" if name == "text" else "application/json")
        self.send_header("content-length", str(len(text)))
        self.send_header("Idempotency-Replayed", "true" if name == "200" else "false")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _do  # noqa: N815  the library's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"cert": "c.pem"}, "belong together"),
        ({"key": "c.key"}, "belong together"),
        ({"ca": "none.pem"}, "none.pem"),
        ({"cert": "none.pem", "key": "none.key"}, "none.key"),
    ],
)
def test_certificates_that_cannot_work_are_a_misconfiguration(
    files: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        HttpExecutor("https://127.0.0.1:1", tls=Tls(**files))
    HttpExecutor("http://127.0.0.1:1", tls=Tls(**files))  # nobody needs them there


def test_question_carries_token_mode_and_body(url: str) -> None:
    api = HttpExecutor(url + "/", token=SHOWN, mode="live")
    reply = api.ask("POST", "/200", body={"a": 1}, params={"b": 2})
    assert (reply.status, reply.body, reply.replayed) == (200, {"message": "why"}, True)
    line, headers, body = SEEN[-1]
    assert (line, body) == ("POST /200?b=2", {"a": 1})
    assert headers["Authorization"] == f"Bearer {SHOWN}"
    assert (headers["X-BFT-Mode"], headers["User-Agent"]) == ("live", "bft-cli")
    HttpExecutor(url).ask("GET", "/201")
    assert not {"Authorization", "X-BFT-Mode"} & SEEN[-1][1].keys()


@pytest.mark.parametrize("status", [201, 202, 400, 404, 409, 422, 423, 503])
def test_answers_of_the_matter_are_returned(url: str, status: int) -> None:
    reply = HttpExecutor(url).ask("GET", f"/{status}")
    assert (reply.status, reply.body) == (status, {"message": "why"})


@pytest.mark.parametrize(
    ("status", "fault", "hint"),
    [
        (401, RefusedError, "bft token"),
        (403, RefusedError, "why"),
        (429, UnavailableError, "try again"),
        (500, UnavailableError, "try again"),
    ],
)
def test_refusals_and_faults_are_raised(
    url: str, status: int, fault: type[BftError], hint: str
) -> None:
    with pytest.raises(fault, match=hint):
        HttpExecutor(url, token=SHOWN).ask("GET", f"/{status}")


def test_text_stays_text_and_a_torn_answer_is_no_answer(url: str) -> None:
    assert HttpExecutor(url).ask("GET", "/text").body == "a,b\n"
    with pytest.raises(UnavailableError, match="cut off"):
        HttpExecutor(url).ask("GET", "/torn")


def test_nobody_there_says_what_to_start() -> None:
    with pytest.raises(UnavailableError, match="bft serve executor"):
        HttpExecutor("http://127.0.0.1:9").ask("GET", "/v1/health", wait_s=2)


@pytest.mark.parametrize("url", ["", "127.0.0.1:9001", "ftp://x", "http://"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="BFT_API_URL"):
        HttpExecutor(url)
