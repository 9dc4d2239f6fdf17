"""`bft serve executor`: one account's orders behind an API.

Start: settings, database, lease, live lock, kill latch, HTTP, then the broker in the background.
Source: executor specification, section 1.
"""

import argparse
import asyncio
import gc
import json
import os
import shlex
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from bft import wiring
from bft.domain.broker import SessionState
from bft.domain.errors import (
    BftError,
    ConfigError,
    ForeignStateError,
    RefusedError,
    UnavailableError,
)
from bft.domain.numbers import PORT, Number
from bft.domain.roots import root_id
from bft.ports import Book, Ports, Summary
from bft.services.executor.api.app import build, build_health
from bft.services.executor.api.auth import Keyring
from bft.services.executor.api.health import PROBE_S, TICK_S, probe
from bft.services.executor.api.service import About, Service
from bft.services.executor.api.unreadable import HttpProtocol
from bft.services.executor.chain_night import ChainNight
from bft.services.executor.clocks import ShiftedClock, clock_for
from bft.services.executor.executor import Executor
from bft.services.executor.live_lock import check_route
from bft.services.executor.marker import machine_boot_id
from bft.services.executor.night import Night
from bft.services.executor.parts import Parts
from bft.services.executor.peer_clock import PATIENCE_S, READER_ID, peer_time
from bft.services.executor.restart import parse_time
from bft.services.executor.settings import check_bind, check_files, folder_of, profile_of, route_of
from bft.services.executor.tenure import TTL_S
from bft.settings import Settings, token_secrets
from bft.wiring.brokers import broker_of

T = TypeVar("T")
HEALTH_PORT = 9002
GRACE_S = 2
_WORKERS = Number(whole=True, low=1)


def serve(ports: Ports, argv: Sequence[str]) -> Summary:
    """Serve until SIGTERM or Ctrl-C; says its address on stderr when it listens.

    Raises:
        ConfigError: a setting that can never work.
        RefusedError: another executor holds the account, or the live lock says no.
        UnavailableError: the port is taken, or the database does not answer.
    """
    args = _parser().parse_args(argv)
    values = _chosen(wiring.settings(), args)
    if args.workers != 1:
        raise ConfigError(f"--workers {args.workers}: an executor is one process; give 1")
    check_bind(values, host=args.host, tls=bool(args.tls_cert))
    check_files(args.tls_cert, args.tls_key, args.client_ca)
    return asyncio.run(_Life(ports, values, args).run())


class _Life:
    """From start to end of one process."""

    def __init__(self, ports: Ports, values: Settings, args: argparse.Namespace) -> None:
        self._ports, self._values, self._args = ports, values, args
        self._sql = ThreadPoolExecutor(1, thread_name_prefix="book")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="notify")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="reads")
        self._keys = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._stop = asyncio.Event()

    async def run(self) -> Summary:
        keyring = Keyring(token_secrets(self._values), open_reads=self._values.api_open_reads)
        executor, book = await self._executor()
        service = self._service(executor, book, keyring)
        try:
            ended = await self._serve(service)
        finally:
            executor.desk.closing_down = True
            with suppress(TimeoutError):
                await asyncio.wait_for(service.keys.drain(), GRACE_S)
            await executor.stop()
            await self._offload(book.close)
            self._sql.shutdown()
            self._reads.shutdown(cancel_futures=True)
            self._keys.shutdown(cancel_futures=True)
            self._slow.shutdown(cancel_futures=True)
        if ended:
            raise (RefusedError if ended.startswith("lease") else BftError)(ended)
        return Summary(values={"url": self._url})

    async def _executor(self) -> tuple[Executor, Book]:
        """The lease is taken and the state loaded; nothing is sent yet."""
        values, ports = self._values, self._ports
        profile = profile_of(values)
        route = replace(route_of(values, clock=self._args.clock), flags=_flags(self._args))
        clock = clock_for(self._args.clock, ports.clock, broker=values.broker)
        check_route(route, now=clock.now())
        folder = folder_of(values, ports.store.root)
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(clock, ShiftedClock) and route.clock == "gateway":
            reads = replace(values, ib_client_id=READER_ID)
            peer = broker_of(reads, folder=folder, clock=ports.clock)
            clock.set(await peer_time(peer, tell=_waits))
        broker = broker_of(values, folder=folder, clock=clock)
        notifier, book = ports.notifier, ports.book
        parts = Parts(
            book=book,
            broker=broker,
            clock=clock,
            notifier=notifier,
            route=route,
            profile=profile,
            folder=folder,
            boot_id=machine_boot_id(),
            holder=f"bft serve executor, pid {os.getpid()} on {socket.gethostname()}",
            load_reference=Night(ports.store.root),
            load_chains=ChainNight(ports.store.root, folder),
            offload=self._offload,
            aside=self._aside,
            config_map=Path(values.kill_config_map) if values.kill_config_map else None,
            restart_at=parse_time(values.gateway_restart_at) if values.broker == "ib" else None,
            restricted=frozenset(s.strip().upper() for s in values.restricted.split(",") if s),
        )
        return await _leased(parts, patient=bool(values.state_url)), book

    def _service(self, executor: Executor, book: Book, keyring: Keyring) -> Service:
        values = self._values
        about = About(
            version=version("bft"),
            environment=values.environment,
            timezone=executor.desk.profile.timezone,
            settings={f.name: getattr(values, f.name) for f in fields(values)}
            | {"root": str(self._ports.store.root)},
            host=values.ib_host if values.broker == "ib" else "",
            port=executor.desk.route.port or 0,
            credentials=bool(values.alpaca_key_id and values.alpaca_secret),
            telegram_secret=str.__str__(values.telegram_secret),
            root_id=root_id(self._ports.store.root),
            telegram_users=frozenset(u.strip() for u in values.telegram_users.split(",") if u),
        )
        return Service(
            executor=executor,
            book=book,
            offload=self._offload,
            aside=self._reading,
            lookup=self._looking_up,
            keyring=keyring,
            about=about,
            command=self._command,
            configured=profile_of(values),
            began=executor.desk.timer(),
        )

    async def _serve(self, service: Service) -> str | None:
        """Listen, then connect; why it ended by itself, or None."""
        loop, executor = asyncio.get_running_loop(), service.executor
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR2, self._kill, executor)
        servers = [_Server(build(service), self._args, self._args.port)]
        if self._args.client_ca:
            servers.append(
                _Server(build_health(service), self._args, self._args.health_port, probes=True)
            )
        turning: list[asyncio.Task[Any]]
        turning = [asyncio.create_task(s.serve(sockets=[s.listener])) for s in servers]
        turning += [asyncio.create_task(w) for w in (_ticks(service), _probes(service))]
        self._url = servers[0].url
        for server in servers:
            await server.up.wait()
        with suppress(UnavailableError):  # then each key is looked up
            await service.keys.read()
        await executor.start()
        _collect_seldom()
        sys.stderr.write(f"executor listens on {self._url} ({_told(executor)})\n")
        sys.stderr.flush()
        stopped = asyncio.create_task(self._stop.wait())
        ends: set[asyncio.Future[Any]] = {stopped, executor.ended, *turning}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        executor.desk.closing_down = True
        for server in servers:
            server.should_exit = True
        await asyncio.wait(turning[: len(servers)], timeout=GRACE_S + 1)
        for task in (*turning, stopped):
            task.cancel()
        outcomes = await asyncio.gather(*turning, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return executor.ended.result() if executor.ended.done() else None

    @staticmethod
    def _kill(executor: Executor) -> None:
        executor.sources.signalled = True
        executor.killing.latch("signal", by="SIGUSR2")

    async def _offload(self, work: Callable[[], T]) -> T:
        """SQL on the one thread."""
        return await asyncio.get_running_loop().run_in_executor(self._sql, work)

    async def _aside(self, work: Callable[[], T]) -> T:
        """Work that may take long, where nothing waits behind it."""
        return await asyncio.get_running_loop().run_in_executor(self._slow, work)

    async def _reading(self, work: Callable[[], T]) -> T:
        """Long reading of the book: no commit waits behind it."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, work)

    async def _looking_up(self, work: Callable[[], T]) -> T:
        """Short reading that an order waits for: it waits for no commit."""
        return await asyncio.get_running_loop().run_in_executor(self._keys, work)

    async def _command(self, words: list[str]) -> tuple[int, dict[str, Any]]:
        """`bft WORDS` in a process of its own: what needs libraries an executor does not carry."""
        argv = [sys.executable, "-m", "bft", *words, "--root", self._ports.store.root, "--json"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
        out, _ = await process.communicate()
        last = out.decode(errors="replace").strip().rpartition("\n")[2]
        try:
            return process.returncode or 0, json.loads(last)
        except ValueError as error:
            raise UnavailableError(f"bft {words[0]} ended with {process.returncode}") from error


class _Server(uvicorn.Server):
    """One listener; signals are the process's own business."""

    def __init__(
        self, app: Any, args: argparse.Namespace, port: int, *, probes: bool = False
    ) -> None:
        tls = bool(args.tls_cert)
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=args.tls_cert if tls else None,
                ssl_keyfile=args.tls_key if tls else None,
                ssl_ca_certs=args.client_ca if tls and not probes else None,
                ssl_cert_reqs=ssl.CERT_REQUIRED if args.client_ca and not probes else ssl.CERT_NONE,
            )
        )
        self.up = asyncio.Event()
        try:
            self.listener = socket.create_server((args.host, port), backlog=256)
        except OSError as error:
            text = f"{args.host}:{port}: {error.strerror}; is another executor there?"
            raise UnavailableError(text) from error
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shown = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{args.host}:{shown}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield


async def _leased(parts: Parts, *, patient: bool) -> Executor:
    """The executor once it holds the lease; with PostgreSQL one lifetime of it is waited for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (TTL_S + 1 if patient else 0)
    while True:
        try:
            return Executor(parts, timer=loop.time)
        except ForeignStateError:
            raise
        except RefusedError:
            if loop.time() >= until:
                raise
        await asyncio.sleep(1.0)


def _collect_seldom() -> None:
    """Look through old objects for cycles hardly ever: a month of orders takes half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 1_000)
    sys.setswitchinterval(0.0005)


async def _ticks(service: Service) -> None:
    while True:
        service.tick_at = service.desk.timer()
        await asyncio.sleep(TICK_S)


async def _probes(service: Service) -> None:
    while True:
        with suppress(UnavailableError):
            await probe(service)
        await asyncio.sleep(PROBE_S)


def _chosen(values: Settings, args: argparse.Namespace) -> Settings:
    """Settings with what the command line says."""
    changes = {name: getattr(args, name) for name in ("broker", "profile") if getattr(args, name)}
    return replace(values, **changes)


def _flags(args: argparse.Namespace) -> str:
    """Words that change the usual, for whoever starts it again; broker and clock are told apart."""
    usual = _parser().parse_args([])
    apart = {"broker", "clock", "workers"}
    given = {name: value for name, value in vars(args).items() if name not in apart}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    words = ((f"--{name.replace('_', '-')}", str(value)) for name, value in changed.items())
    return shlex.join(word for pair in words for word in pair)


def _waits(why: str) -> None:
    sys.stderr.write(f"--clock gateway: no gateway yet: {why}; asking for {PATIENCE_S:g} s\n")
    sys.stderr.flush()


def _told(executor: Executor) -> str:
    desk = executor.desk
    simulated = ", simulated" if desk.broker.simulated else ""
    told = f"{desk.route.mode}, account ...{desk.account[-3:]}, {desk.route.broker}{simulated}"
    if desk.broker.state is SessionState.ARMED or desk.route.broker == "paper":
        return told
    where = f" at port {desk.route.port}" if desk.route.port else ""
    return (
        f"{told}; broker {desk.broker.state}, connecting{where}: bft status says when it is ARMED"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bft serve executor")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=PORT, default=9001, help="port (9001); 0: any free one")
    parser.add_argument("--broker", help="paper, ib or alpaca (BFT_BROKER)")
    parser.add_argument("--profile", help="limits, names with commas (BFT_PROFILE)")
    parser.add_argument("--clock", default="system", help="system, gateway, or an instant (paper)")
    parser.add_argument("--tls-cert", metavar="F", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="F", help="its key")
    parser.add_argument(
        "--client-ca", metavar="F", help="who signs clients; probes use --health-port"
    )
    parser.add_argument(
        "--health-port", type=PORT, default=HEALTH_PORT, help="of health and metrics (9002)"
    )
    parser.add_argument("--workers", type=_WORKERS, default=1, help="1, always")
    return parser
