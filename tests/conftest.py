"""Shared fixtures; only loopback sockets may be opened."""

import gc
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fakes import FakePorts, make_ports

MEMORY = Path("/dev/shm")  # noqa: S108  where it is big, and programs may be started from it
ROOM_BYTES = 4 << 30


def _memory_has_room() -> bool:
    """Whether the tests' files may lie in memory: a disk's speed is no part of what they prove."""
    try:
        programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        return programs and shutil.disk_usage(MEMORY).free >= ROOM_BYTES
    except OSError:
        return False


if _memory_has_room() and "TMPDIR" not in os.environ:  # noqa: TID251  of all workers and servers
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)  # noqa: TID251  pytest has asked before

# Two workers on two cores: a second thread of torch would spin for the core that the other has.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # noqa: TID251  read when a library is loaded

gc.disable()  # modules and tests stay: looking for garbage among them takes a third of collecting


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


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


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    """Logs go where pytest keeps them, whatever a command line configured in the test before.

    The default draws every local of a traceback in boxes: two thirds of the time of a test whose
    process dies.
    """
    render = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.reset_defaults()
    structlog.configure(
        processors=[structlog.processors.add_log_level, render],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


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


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens where the simulator should, whoever serves one on this machine."""
    from bft import wiring

    with socket.socket() as taken:  # bound and not listening: refused, and nobody else's
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BFT_SIM_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        wiring.settings.cache_clear()
        yield
    wiring.settings.cache_clear()
