"""`bft serve gateway-sim`: an IB Gateway with invented prices."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bft.domain.errors import ConfigError, UsageError
from bft.ports import Ports, Summary
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.exchange.books import ChildMode, Orphans, Rules
from bft.sim.gateway.gateway import GatewaySim
from bft.sim.gateway.records import reached

SLACK = timedelta(seconds=5)  # so far a machine's clock may have been set back meanwhile


def serve(ports: Ports, argv: Sequence[str]) -> Summary:
    """Answer until SIGTERM or Ctrl-C; says its addresses on stderr when ready.

    Raises:
        ConfigError: a bad fault script, account or price source, or a state that is ahead of
            this machine's clock.
        UnavailableError: the port is taken, or the state cannot be kept.
    """
    args = _parser().parse_args(argv)
    config = _config(args, default_state=_default_state(ports))
    at = _begins(ports, args.at, config.state)
    config = replace(config, at=at if args.clock == "virtual" else None)
    clock = None if config.at else _clock(ports, at)
    sim = GatewaySim(config, clock=clock)
    return asyncio.run(_run(sim))


async def _run(sim: GatewaySim) -> Summary:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await sim.start()
    control = f", control http://{sim.config.host}:{sim.control_port}" if sim.control_port else ""
    sys.stderr.write(
        f"gateway-sim ready on tcp://{sim.config.host}:{sim.port}{control} "
        f"(simulated prices and fills, accounts {','.join(sim.config.accounts)})\n"
    )
    sys.stderr.flush()
    address = f"{sim.config.host}:{sim.port}"
    await stopped.wait()
    await sim.stop()
    return Summary(values={"url": f"tcp://{address}", "simulated": True, "tape": len(sim.tape)})


def _default_state(ports: Ports) -> Path:
    """A folder in the root; a bucket root has none, so it must be given."""
    if "://" in ports.store.root:
        return Path()
    return Path(ports.store.root) / "gateway-sim"


def _begins(ports: Ports, at: datetime | None, state: Path | None) -> datetime | None:
    """Where the clock starts: never before what the stored state has seen.

    Raises:
        ConfigError: it is to show the machine's time, and that is earlier.
    """
    seen = reached(state) if state is not None else None
    if seen is None or seen <= (at or ports.clock.now() + SLACK):
        return at
    if at is None:
        raise ConfigError(
            f"--state {state} has reached {_shown(seen)}, and it is {_shown(ports.clock.now())} by "
            f"this machine's clock; give --at {_shown(seen)} or later, or another --state"
        )
    sys.stderr.write(
        f"--at {_shown(at)} is earlier than {_shown(seen)}, which the state in {state} has "
        "reached: the clock goes on from there; to begin anew give another --state\n"
    )
    return seen


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _clock(ports: Ports, at: datetime | None) -> Callable[[], datetime]:
    """The machine's clock, or one that starts at an instant and runs on."""
    if at is None:
        return ports.clock.now
    ahead = at - ports.clock.now()
    return lambda: ports.clock.now() + ahead


def _config(args: argparse.Namespace, *, default_state: Path) -> GatewayConfig:
    state = args.state or default_state
    if state == Path():
        raise UsageError("--state: name a folder; the root is a bucket")
    if args.clock == "virtual" and args.at is None:
        raise UsageError("--clock virtual needs --at INSTANT, where it starts")
    script = ""
    if args.script is not None:
        try:
            script = args.script.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--script {args.script}: {error.strerror}") from error
    return GatewayConfig(
        host=args.host,
        port=args.port,
        control_port=args.control_port,
        accounts=tuple(name for name in args.accounts.split(",") if name),
        cash_usd=args.cash,
        seed=args.seed,
        prices=args.prices,
        state=state,
        script=script,
        script_name=str(args.script or ""),
        rules=Rules(
            child_mode=ChildMode(args.child_mode),
            orphans=Orphans(args.orphans),
            keep_untransmitted=args.keep_untransmitted,
        ),
        messages_per_s=args.messages_per_s,
        master_client=args.master_client,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bft serve gateway-sim", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=4002, help="0 picks a free one")
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--script", type=Path, help="TOML file of faults; see docs/gateway-sim.md")
    add("--seed", type=int, default=7)
    add("--state", type=Path, help="folder that survives a restart (ROOT/gateway-sim)")
    add("--accounts", default="DU0000001", help="names with commas, each DU...")
    add("--cash", type=_usd, default=Decimal(1_000_000), help="USD of a new account")
    add("--prices", default="walk", help="walk, files:FOLDER, market-sim[:START], control")
    add("--clock", choices=("real", "virtual"), default="real")
    add(
        "--at",
        type=_instant,
        help="where its clock starts, 2026-11-20T14:30:00Z",
    )
    add("--control-port", type=int, help="loopback HTTP: tick, advance, order, ...; 0: a free one")
    add("--child-mode", choices=[str(mode) for mode in ChildMode], default="held")
    add("--orphans", choices=[str(word) for word in Orphans], default="keep")
    add("--keep-untransmitted", action="store_true", help="untransmitted legs outlive the socket")
    add("--messages-per-s", type=int, default=50, help="limit of a client; 0: none")
    add("--master-client", type=int, help="client id that sees all orders")
    return parser


def _checked(make: Callable[[str], object], example: str) -> Callable[[str], object]:
    def value(text: str) -> object:
        try:
            return make(text)
        except (ValueError, InvalidOperation):
            raise argparse.ArgumentTypeError(f"{text!r}: give one such as {example}") from None

    return value


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at.astimezone(UTC)


_instant = _checked(_utc, "2026-11-20T14:30:00Z")
_usd = _checked(Decimal, "1000000")
