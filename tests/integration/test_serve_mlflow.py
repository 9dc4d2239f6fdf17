"""`bft serve mlflow`: what it says before there is anything to look at."""

import socket
from pathlib import Path

from commandline import bft


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
