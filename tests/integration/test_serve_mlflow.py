"""`bft serve mlflow`: what it says before there is anything to look at."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
from commandline import bft
from waiting import until


def test_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    """Red: the address of another root's page came first, and the end was 0."""
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, told = bft("serve", "--root", str(tmp_path), "mlflow", "--port", port)
    assert (code, told.count("\n")) == (75, 1)
    assert f"error: port {port} of 127.0.0.1 is in use (another root's?); use --port N" in told


def test_root_without_models_is_told_what_makes_them(tmp_path: Path) -> None:
    code, _, told = bft("serve", "--root", str(tmp_path), "mlflow")
    assert (code, "train first" in told) == (65, True)


def test_it_says_where_it_is_and_how_it_ends_and_nothing_else(tmp_path: Path) -> None:
    """Red: a banner of middleware, a deprecation of the library's own import, nine log lines."""
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").create_experiment("bft")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [sys.executable, "-m", "bft", "serve", "--root", str(tmp_path), "mlflow"]
    log = tmp_path / "told.log"
    with log.open("w") as told:
        server = subprocess.Popen([*words, "--port", port], stdout=subprocess.DEVNULL, stderr=told)
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), seconds=90)
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
    first, second = log.read_text().splitlines()
    page = f"http://127.0.0.1:{port}/#/experiments/1/runs?"
    assert first.startswith(f"models and their metrics: {page}")
    assert second.endswith("Ctrl-C ends it")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
