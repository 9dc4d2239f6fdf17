"""Shared fixtures; only loopback sockets may be opened."""

import ipaddress
import socket
from pathlib import Path

import pytest
from fakes import FakePorts, make_ports

_connect = socket.socket.connect


def _loopback(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _guarded(self: socket.socket, address: object) -> None:
    if not _loopback(address):
        raise OSError(f"tests connect to loopback only, not to {address}")
    _connect(self, address)  # type: ignore[arg-type]


socket.socket.connect = _guarded  # type: ignore[method-assign]


@pytest.fixture
def ports(tmp_path: Path) -> FakePorts:
    """Ports on a fresh folder root, a clock at 2026-01-05 23:30 UTC, and nothing else wired."""
    return make_ports(tmp_path / "root")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data beside the checkout; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "sp500_daily_2013_2018.parquet").exists():
        pytest.skip(f"real data is not beside the project ({folder.name} absent)")
    return folder
