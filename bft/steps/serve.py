"""Start a long-running process: `bft serve NAME`."""

import argparse
import importlib

from bft.domain.errors import UsageError
from bft.ports import Ports, Step, Summary, Tick

SERVERS = {
    "executor": "bft.services.executor.server:serve",
    "gateway-sim": "bft.sim.gateway.server:serve",
    "market-sim": "bft.sim.market.server:serve",
    "mlflow": "bft.services.mlflow:serve",
}
"""name -> module:function; called as function(ports, argv), it returns when it is stopped."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The name; what follows it belongs to that server (common options come before the name)."""
    parser.add_argument("name", choices=sorted(SERVERS), help="which one; NAME --help lists more")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of that server")


def run(ports: Ports, args: argparse.Namespace, _tick: Tick) -> Summary:
    """Serve until SIGTERM or Ctrl-C."""
    _check(args.options)
    module, function = SERVERS[args.name].split(":")
    summary: Summary = getattr(importlib.import_module(module), function)(ports, args.options)
    return summary


def _check(options: list[str]) -> None:
    """Common options stand before the name; say so instead of what a server's parser would."""
    late = next((word for word in options if word.split("=")[0] in {"--root", "--json"}), None)
    if late is not None:
        raise UsageError(f"{late} stands before the server's name: bft serve --root ROOT NAME")


STEP = Step(
    effect="once",
    summary="Start a server and stay until SIGTERM or Ctrl-C.",
    arguments=arguments,
    run=run,
    outputs={"url": "where it listened"},
)
