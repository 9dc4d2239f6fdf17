"""The time of a simulated gateway, asked before anything is written: `--clock gateway`.

An executor that began by the machine's clock would journal its first seconds on another day.
Source: executor specification, section 1.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from bft.domain.broker import Report, SessionNote, SessionReport, SessionState
from bft.domain.errors import ConfigError, UnavailableError
from bft.ports import Broker, BrokerHooks, Clock
from bft.services.executor.clocks import ShiftedClock
from bft.services.executor.desk import Desk

READER_ID = 90  # ad hoc, reads only; executor specification, section 7.1
SIMULATED = "SIMULATED"
RESOLUTION = timedelta(seconds=1)  # of current-time answers; docs/gateway-sim.md
PATIENCE_S = 60.0


class _Ear:
    """What the session says while it comes up; each trouble is told once, and kept."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.news, self.trouble, self.wrong = asyncio.Event(), "", ""
        self._tell = tell

    def hear(self, report: Report) -> None:
        """Keep why there is no session; wake who waits."""
        self.news.set()
        if not isinstance(report, SessionReport) or report.state is not SessionState.DOWN:
            return
        if report.note is SessionNote.WRONG_ACCOUNT:
            self.wrong = report.reason
        elif report.note is None and report.reason != self.trouble:
            self.trouble = report.reason
            self._tell(report.reason)


async def peer_time(
    broker: Broker,
    *,
    patience_s: float = PATIENCE_S,
    tell: Callable[[str], object] = lambda _: None,
) -> datetime:
    """What a simulated peer says the time is; the session is opened for it and closed again.

    `tell` hears at once why there is no session yet: a gateway may still be starting.

    Raises:
        ConfigError: the peer is no simulator (a real one's clock is nobody's but its own), or it
            has another account.
        UnavailableError: no peer within `patience_s`.
    """
    ear = _Ear(tell)
    hooks = BrokerHooks(
        report=ear.hear, next_epoch=lambda: 1, id_floor=lambda: 1, id_acknowledged=lambda: 0
    )
    await broker.start(hooks)
    try:
        async with asyncio.timeout(patience_s):
            await _up(broker, ear)
            kind, told = said_kind(broker), await broker.broker_time()
    except TimeoutError as error:
        why = f" ({ear.trouble})" if ear.trouble else ""
        raise UnavailableError(
            f"--clock gateway: no gateway told the time within {patience_s:g} s{why}; "
            "is it running? bft serve gateway-sim"
        ) from error
    finally:
        ear.trouble = "stopped"
        await broker.stop()
    if kind != SIMULATED:
        raise ConfigError(
            f"--clock gateway: the gateway's AccountType is {kind}, not {SIMULATED}; "
            "leave --clock away"
        )
    return told


async def _up(broker: Broker, ear: _Ear) -> None:
    """Wait for a session that says whose it is; a wrong account does not become right."""
    while broker.state is not SessionState.RECONCILING or not said_kind(broker):
        if ear.wrong:
            raise ConfigError(f"--clock gateway: {ear.wrong}, or set BFT_ACCOUNT to one of them")
        ear.news.clear()
        await ear.news.wait()


async def sample(desk: Desk) -> None:
    """Ask the broker's time: how far it differs, and where the clock follows a simulated peer."""
    if not desk.broker.state.may_cancel and desk.broker.state is not SessionState.SYNCING:
        return
    told = await desk.broker.broker_time()
    follow(desk.clock, desk.route.clock, desk.broker, told)
    desk.skew.sample((told - desk.now).total_seconds())
    if desk.skew.broken and desk.skew.samples_s:
        text = f"the broker's clock differs by {desk.skew.samples_s[-1]:+.1f} s"
        desk.alert("ClockSkew", desk.account, text)


def follow(clock: Clock, name: str, broker: Broker, told: datetime) -> None:
    """Keep the clock that `--clock gateway` named within the second its simulated peer tells.

    It is set to that second's end: a clock behind the peer's would stamp the fill at the opening
    before the open. Each answer that comes early in its second narrows what it is ahead by.
    """
    if name != "gateway" or not isinstance(clock, ShiftedClock) or said_kind(broker) != SIMULATED:
        return
    latest = told + RESOLUTION
    if not told <= clock.now() <= latest:
        clock.set(latest)


def said_kind(broker: Broker) -> str:
    """AccountType as the peer said it in this session; empty before it did."""
    values = broker.account_values()
    return (values.account_type if values else None) or ""
