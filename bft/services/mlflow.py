"""The MLflow page on the root's database: `bft serve mlflow`."""

import argparse
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.domain.numbers import PORT
from bft.ports import Ports, Summary

# Half a gigabyte less without job execution (platform specification, section 4).
_ENVIRONMENT = ("MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")


def serve(ports: Ports, argv: Sequence[str]) -> Summary:
    """Answer until SIGTERM or Ctrl-C; runs the library's own server in a process of its own.

    Raises:
        ConfigError: the root is a bucket, whose runs are on a server already.
        DataError: nothing was tracked in this root yet.
        UnavailableError: the server ended by itself; its own words are on stderr.
    """
    args = _parser().parse_args(argv)
    if "://" in ports.store.root:
        raise ConfigError("runs of a bucket root are on the server of BFT_TRACKER_URL; open that")
    database = Path(ports.store.root) / "mlflow.db"
    if not database.exists():
        raise DataError(f"no {database}; train first: bft train all")
    url = f"http://{args.host}:{args.port}"
    words = command(database, host=args.host, port=args.port)
    server = subprocess.Popen(words, stdout=sys.stderr)  # noqa: S603  our own argv
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda _number, _frame: server.terminate())
    sys.stderr.write(f"models and their metrics: {url}{runs_page(database)}\n")
    sys.stderr.write("mlflow starts there, ready in about ten seconds; Ctrl-C ends it\n")
    sys.stderr.flush()
    code = server.wait()
    if code > 0:
        raise UnavailableError(f"mlflow server on {url} ended with {code}; is the port taken?")
    return Summary(values={"url": url})


def runs_page(database: Path) -> str:
    """Path of the runs with metrics as columns; the view is a tag of the experiment `bft`."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as link:
        row = link.execute("SELECT experiment_id FROM experiments WHERE name = 'bft'").fetchone()
    return f"/#/experiments/{row[0]}/runs?viewStateShareKey=bft" if row else "/"


def command(database: Path, *, host: str, port: int) -> list[str]:
    """Command line of the library's server on a database."""
    artifacts = database.parent / "mlflow" / "artifacts"
    return [
        *("/usr/bin/env", *_ENVIRONMENT, sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", f"sqlite:///{database}"),
        *("--artifacts-destination", artifacts.as_uri()),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bft serve mlflow")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=PORT, default=5000, help="port")
    return parser
