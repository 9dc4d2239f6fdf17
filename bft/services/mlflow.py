"""The MLflow page on the root's database: `bft serve mlflow`."""

import argparse
import errno
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.domain.numbers import PORT
from bft.ports import Ports, Summary

VIEW = "workflowType=machine_learning&viewStateShareKey=bft"
"""MLflow's pages for models, not those for language models, and columns of metrics."""
# Half a gigabyte less without job execution (platform specification, section 4).
_ENVIRONMENT = (
    "MLFLOW_DISABLE_TELEMETRY=true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",
    "PYTHONWARNINGS=ignore",  # of the library's own imports
)
_NOTICE = "[MLflow] Security middleware enabled"  # no option of MLflow 3.17 keeps it quiet


def serve(ports: Ports, argv: Sequence[str]) -> Summary:
    """Answer until SIGTERM or Ctrl-C; runs the library's own server in a process of its own.

    Raises:
        ConfigError: the root is a bucket, whose runs are on a server already.
        DataError: nothing was tracked in this root yet.
        UnavailableError: the port is taken, or the server ended by itself; its own words are on
            stderr.
    """
    args = _parser().parse_args(argv)
    if "://" in ports.store.root:
        raise ConfigError("runs of a bucket root are on the server of BFT_TRACKER_URL; open that")
    database = Path(ports.store.root) / "mlflow.db"
    if not database.exists():
        raise DataError(f"no {database}; train first: bft train all")
    url = f"http://{args.host}:{args.port}"
    _check_free(args.host, args.port)
    words = command(database, host=args.host, port=args.port)
    sys.stderr.write(f"models and their metrics: {url}{runs_page(database)}\n")
    sys.stderr.write("mlflow starts there, ready in about ten seconds; Ctrl-C ends it\n")
    sys.stderr.flush()
    server = subprocess.Popen(  # noqa: S603  our own argv
        words, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    asked = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        asked.set()
        server.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    complaints = threading.Thread(target=_pass_on, args=(server.stderr,), daemon=True)
    complaints.start()
    code = server.wait()
    complaints.join(1)  # a worker that outlives the server holds the other end
    if code > 0 or not asked.is_set():
        raise UnavailableError(f"mlflow server on {url} ended with {code}; is the port taken?")
    return Summary(values={"url": url})


def _pass_on(lines: Iterable[str]) -> None:
    """Show what the server complains of, until it ends."""
    for line in lines:
        if not line.startswith(_NOTICE):
            sys.stderr.write(line)
            sys.stderr.flush()


def _check_free(host: str, port: int) -> None:
    """See that the address can be listened on: the library's server ends with 0 if it cannot.

    Raises:
        UnavailableError: it cannot.
    """
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UnavailableError(
                f"port {port} of {host} is in use (another root's?); use --port N"
            ) from error
        raise UnavailableError(f"{host}:{port}: {error.strerror}; use --host or --port") from error


def runs_page(database: Path) -> str:
    """Path of the runs with metrics as columns; the view is a tag of the experiment `bft`."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as link:
        row = link.execute("SELECT experiment_id FROM experiments WHERE name = 'bft'").fetchone()
    return f"/#/experiments/{row[0]}/runs?{VIEW}" if row else "/"


def command(database: Path, *, host: str, port: int) -> list[str]:
    """Command line of the library's server on a database."""
    artifacts = database.parent / "mlflow" / "artifacts"
    return [
        *("/usr/bin/env", *_ENVIRONMENT, sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--registry-store-uri", f"sqlite:///{database}", "--uvicorn-opts", "--log-level warning"),
        *("--artifacts-destination", artifacts.as_uri()),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bft serve mlflow")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=PORT, default=5000, help="port")
    return parser
