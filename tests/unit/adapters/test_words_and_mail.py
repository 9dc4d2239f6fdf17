"""The ollama library against a loopback server, and SMTP against a loopback mail server."""

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from bft.adapters.llm.ollama import GIVE_UP_AFTER, Ollama
from bft.adapters.llm.template import Template
from bft.adapters.notify.smtp import Smtp
from bft.domain.errors import ConfigError, UnavailableError

FACTS = {"close": "$10.00", "day_change": "+1.00%", "volume": "1.0 M"}
BY_TEMPLATE = ["ALFA closed at $10.00, +1.00% on the day, with 1.0 M shares traded."]


@contextmanager
def serving(server: Any) -> Iterator[int]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def ollama_server(status: int, text: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"model": "m", "response": text, "error": "no such model"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}", asked


def test_template_leaves_out_what_it_does_not_know() -> None:
    assert Template().summarize("ALFA", FACTS) == BY_TEMPLATE
    assert Template().summarize("ALFA", {}) == []


def test_ollama_returns_the_models_lines_at_temperature_zero() -> None:
    with ollama_server(200, "- ALFA closed at $10.00.\n\n2) It rose +1.00%.\n") as (url, asked):
        model = Ollama(url, "tiny", limit=5)
        assert model.summarize("ALFA", FACTS) == ["ALFA closed at $10.00.", "It rose +1.00%."]
    assert model.fallbacks == 0
    assert asked[0]["options"] == {"temperature": 0, "seed": 1}
    assert "close: $10.00" in asked[0]["prompt"]


def test_ollama_failure_falls_back_to_the_template_and_is_counted() -> None:
    with ollama_server(404, "") as (url, asked):
        model = Ollama(url, "absent", limit=50)
        for _ in range(GIVE_UP_AFTER + 2):
            assert model.summarize("ALFA", FACTS) == BY_TEMPLATE
    assert model.fallbacks == GIVE_UP_AFTER + 2
    assert len(asked) == GIVE_UP_AFTER  # then the server is left alone


def test_ollama_away_falls_back_to_the_template() -> None:
    with serving(socketserver.TCPServer(("127.0.0.1", 0), None)) as port:  # type: ignore[arg-type]
        pass
    model = Ollama(f"http://127.0.0.1:{port}", "tiny", limit=5)
    assert model.summarize("ALFA", FACTS) == BY_TEMPLATE
    assert model.fallbacks == 1


def test_ollama_asks_for_no_more_symbols_than_its_limit() -> None:
    with ollama_server(200, "Calm.") as (url, asked):
        model = Ollama(url, "tiny", limit=1)
        assert model.summarize("ALFA", FACTS) == ["Calm."]
        assert model.summarize("ALFA", FACTS) == BY_TEMPLATE
    assert len(asked) == 1


class _Mail(socketserver.StreamRequestHandler):
    received: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.received.append(text.decode())
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


def test_mail_arrives_with_subject_and_text() -> None:
    received: list[str] = []
    handler = type("Handler", (_Mail,), {"received": received})
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)) as port:
        Smtp(f"smtp://127.0.0.1:{port}", "me@mail.example").notify("Night\nfailed", "gold: 65")
    (mail,) = received
    assert "Subject: Night failed" in mail
    assert "To: me@mail.example" in mail
    assert "gold: 65" in mail


def test_mail_server_away_is_unavailable_and_keeps_the_password() -> None:
    with serving(socketserver.TCPServer(("127.0.0.1", 0), None)) as port:  # type: ignore[arg-type]
        pass
    mail = Smtp(f"smtp://me:secret@127.0.0.1:{port}", "me@mail.example")
    with pytest.raises(UnavailableError, match=r"mail server 127\.0\.0\.1") as failed:
        mail.notify("a", "b")
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(("url", "to"), [("http://x", "a@b"), ("smtp://", "a@b"), ("smtp://x", "")])
def test_mail_settings_that_cannot_work_are_refused(url: str, to: str) -> None:
    with pytest.raises(ConfigError):
        Smtp(url, to)
