"""`bft serve executor` as a process: start, orders, SIGTERM, restart, second process, refusals."""

import http.client
import json
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from executor_process import CLOCK, Process, running
from servers import free_port, wait_for

from bft import wiring
from bft.adapters.broker.ib import login_of
from bft.adapters.executor.http import HttpExecutor, Tls
from bft.cli import main
from bft.domain.errors import UnavailableError


def test_executor_lives_through_a_restart(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with running(root) as first:
        first.until_ready()
        print(f"rss {first.rss_mib():.0f} MiB")  # noqa: T201  for the reader of a slow machine
        assert first.loaded() == set()
        tick = {"symbol": "AAPL", "price": 100}
        assert first.ask("POST", "/v1/tick", tick).status_code == 200
        body = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "price": 100, "stop": 95}
        made = first.ask("POST", "/v1/orders", body)  # there is no night: no universe
        assert (made.status_code, made.json()["error"]) == (400, "symbol")
        assert first.ask("POST", "/v1/kill", {"reason": "test"}).json()["latched"] is True
        second = Process(root)
        assert second.process.wait(20) == 77
        assert "stop that one first" in second.process.communicate()[1]
        code, told, took_s = first.stop()
        assert code == 0, told
        assert took_s < 10
    with running(root) as again:
        assert again.ask("GET", "/v1/kill").json()["latched"] is True
        assert len(again.ask("GET", "/v1/denials").json()["rows"]) == 1
        assert again.stop()[0] == 0


def test_signal_latches_the_kill_switch(tmp_path: Path) -> None:
    with running(tmp_path / "root") as one:
        one.process.send_signal(signal.SIGUSR2)
        end = time.monotonic() + 10
        while not one.ask("GET", "/v1/kill").json()["latched"]:
            assert time.monotonic() < end
        assert one.ask("GET", "/v1/kill").json()["sources"] == ["signal"]


def test_request_that_is_no_http_is_refused_as_any_other(tmp_path: Path) -> None:
    with running(tmp_path / "root") as one:
        address = httpx.URL(one.url)
        for head, why in (
            (b"GET /v1/health HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\x01b", "header value"),
            (b"GET /\x01 HTTP/1.1\r\nHost: x", "url"),
        ):
            with socket.create_connection((address.host, address.port or 0), timeout=10) as line:
                line.sendall(head + b"\r\n\r\n")
                answer = http.client.HTTPResponse(line)
                answer.begin()
                told = json.loads(answer.read())
                assert line.recv(1) == b""
            assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
            assert told.pop("request_id") == answer.headers["x-request-id"]
            message = told.pop("message")
            assert message.startswith("the request cannot be read: Invalid ")
            assert why in message
            empty = {"rule": None, "value": None, "limit": None, "details": None, "decision": None}
            assert told == {"error": "validation", **empty}
        assert httpx.get(f"{one.url}/v1/health").status_code == 200


class Start(Protocol):
    def __call__(self, *options: str, **environment: str) -> tuple[int, str]: ...


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Start]:
    """The command line in this process, for starts that end at once: exit code and stderr."""
    secret = tmp_path / "secret"
    secret.write_text(secrets.token_hex(32))

    def run(*options: str, **environment: str) -> tuple[int, str]:
        for name, value in {"BFT_JWT_SECRET_FILE": str(secret), **environment}.items():
            monkeypatch.setenv(name, value)
        wiring.settings.cache_clear()
        words = ("serve", "--root", str(tmp_path / "root"), "executor", "--port", "0")
        return main([*words, "--clock", CLOCK, *options]), capsys.readouterr().err

    yield run
    wiring.settings.cache_clear()


@pytest.mark.parametrize(
    ("options", "environment", "code", "says"),
    [
        (["--host", "0.0.0.0"], {}, 78, "BFT_API_ALLOW_PLAINTEXT"),  # noqa: S104  refused
        (["--client-ca", "ca.pem"], {}, 78, "--tls-cert"),
        (["--broker", "tradovate"], {}, 78, "tradovate"),
        (["--broker", "ib"], {}, 78, "BFT_ACCOUNT"),
        (["--profile", "equites"], {}, 78, "did you mean equities"),
        (["--workers", "2"], {}, 78, "one process"),
        ([], {"SESSION_WINDOWS": "08:00"}, 78, "HH:MM-HH:MM"),
        ([], {"MAX_CONTRACTS": "many"}, 78, "MAX_CONTRACTS"),
        ([], {"BFT_TRADING_MODE": "live", "BFT_ACCOUNT": "U1"}, 78, "--clock"),
        (["--clock", "noon"], {}, 78, "--clock noon"),
        (["--clock", "gateway", "--broker", "ib"], {"BFT_ACCOUNT": "U1"}, 77, "no paper account"),
        (["--broker", "alpaca", "--clock", "system"], {"BFT_ACCOUNT": "P1"}, 78, "ALPACA_KEY_ID"),
    ],
)
def test_start_that_can_never_work_is_refused(
    start: Start, options: list[str], environment: dict[str, str], code: int, says: str
) -> None:
    found, err = start(*options, **environment)
    assert (found, says in err) == (code, True), err


def test_refused_start_is_the_exit_code_of_its_process(tmp_path: Path) -> None:
    one = Process(tmp_path / "root", "--workers", "2")
    out, err = one.process.communicate(timeout=60)
    assert (one.process.returncode, "one process" in err) == (78, True), out + err


def test_weekly_login_is_a_day_and_a_time() -> None:
    assert str(login_of("Sun 13:00")) == "(6, datetime.time(13, 0))"
    assert login_of("") is None


def certificates(folder: Path) -> None:
    """An authority, and one certificate each for the server and a client."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program")
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"]
    commands = [[*new, *made]]
    for name in ("server", "client"):
        wanted = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
        by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"]
        commands.append([*new, *wanted, *by, "-addext", "basicConstraints=critical,CA:FALSE"])
    for words in commands:
        subprocess.run(words, cwd=folder, check=True, capture_output=True)


def test_clients_show_certificates_and_probes_need_none(tmp_path: Path) -> None:
    certificates(tmp_path)
    probes = free_port()
    options = ["--tls-cert", "server.pem", "--tls-key", "server.key", "--client-ca", "ca.pem"]
    options = [str(tmp_path / word) if "." in word else word for word in options]
    one = Process(tmp_path / "root", *options, "--health-port", str(probes))
    try:
        wait_for(probes, one.process)  # type: ignore[arg-type]
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        health = f"https://127.0.0.1:{probes}"
        assert httpx.get(f"{health}/v1/health/live", verify=trust).status_code == 200
        assert httpx.get(f"{health}/v1/metrics/prom", verify=trust).status_code == 200
        assert httpx.get(f"{health}/v1/orders", verify=trust).status_code == 404
        api = one.url.replace("http:", "https:")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{api}/v1/health/live", verify=trust)
        files = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        tls = Tls(**{name: str(tmp_path / file) for name, file in files.items()})
        assert HttpExecutor(api, tls=tls).ask("GET", "/v1/health").body["mode"] == "paper"
        with pytest.raises(UnavailableError):
            HttpExecutor(api, tls=Tls(ca=tls.ca)).ask("GET", "/v1/health")
        trust.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        assert httpx.get(f"{api}/v1/health/live", verify=trust).status_code == 200
    finally:
        assert one.stop()[0] == 0
