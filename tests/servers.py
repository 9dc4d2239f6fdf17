"""Real servers for tests, on loopback and in a test's own folder."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"server ended with {process.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


def as_user(user: str) -> dict[str, object]:
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def server_folder(user: str) -> Iterator[Path]:
    """A folder that `user` owns; outside pytest's, which only its own user may enter."""
    with tempfile.TemporaryDirectory(prefix=f"bft-{user}-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, user, user)
        yield Path(name)


class PostgresServer:
    """A PostgreSQL server that can die like a machine and come back on the same port."""

    def __init__(self, words: list[object], port: int, who: dict[str, object]) -> None:
        self._words, self._port, self._who = words, port, who
        self.url = f"postgresql://bft@127.0.0.1:{port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(  # type: ignore[call-overload]
            self._words, cwd="/", start_new_session=True, **quiet, **self._who
        )
        wait_for(self._port, self._process)
        self._answers()

    def _answers(self, *, seconds: float = 30) -> None:
        """A server listens before it has recovered; until then it refuses every session."""
        end = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """All of its processes at once, without a word."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of Debian's packages; yields its URL."""
    with postgres_server() as server:
        yield server.url


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """The same, with the means to kill it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("no PostgreSQL server (apt-get install postgresql)")
    programs, port, who = found[-1].parent, free_port(), as_user("postgres")
    with server_folder("postgres") as data:
        make = [programs / "initdb", "-D", data, "-A", "trust", "-U", "bft", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd="/", **who)  # type: ignore[call-overload]
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}"]
        options += ["-c", "dynamic_shared_memory_type=mmap"]  # in `data`: it goes with the killed
        words = [programs / "postgres", "-D", data, "-p", str(port), *options]
        server = PostgresServer(words, port, who)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB server of Debian's packages; yields the URL of its empty database `legacy`."""
    server, maker = shutil.which("mariadbd", path="/usr/sbin"), shutil.which("mariadb-install-db")
    if not server or not maker:
        pytest.skip("no MariaDB server (apt-get install mariadb-server)")
    port, who = free_port(), as_user("mysql")
    with server_folder("mysql") as data:
        (data / "init.sql").write_text(
            "CREATE DATABASE legacy;\nCREATE USER reader@'127.0.0.1' IDENTIFIED BY 'secret';\n"
            "GRANT ALL ON legacy.* TO reader@'127.0.0.1';\n"
        )
        make = [maker, "--no-defaults", f"--datadir={data}/db", "--skip-test-db"]
        subprocess.run(make, check=True, capture_output=True, cwd="/", **who)  # type: ignore[call-overload]
        options = [f"--datadir={data}/db", f"--socket={data}/s", f"--port={port}"]
        options += ["--bind-address=127.0.0.1", f"--init-file={data}/init.sql"]
        with running([server, "--no-defaults", *options], port, who, signal.SIGKILL):
            yield f"mysql+pymysql://reader@127.0.0.1:{port}/legacy"


@contextmanager
def running(
    words: list[object],
    port: int,
    who: dict[str, object],
    stop: signal.Signals,
) -> Iterator[None]:
    """A server process, from the moment it listens until the end of the block."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=quiet, stderr=quiet, cwd="/", **who)  # type: ignore[call-overload]
    try:
        wait_for(port, process)
        yield
    finally:
        process.send_signal(stop)
        process.wait(20)
