"""The time of a simulated gateway, asked before anything is written: `--clock gateway`.

An executor that began by the machine's clock would journal its first seconds on another day.
Source: executor specification, section 1.
"""

import asyncio
from datetime import datetime, timedelta

from bft.domain.broker import SessionState
from bft.domain.errors import ConfigError, UnavailableError
from bft.ports import Broker, BrokerHooks, Clock
from bft.services.executor.clocks import ShiftedClock
from bft.services.executor.desk import Desk

READER_ID = 90  # ad hoc, reads only; executor specification, section 7.1
SIMULATED = "SIMULATED"
RESOLUTION = timedelta(seconds=1)  # of current-time answers; docs/gateway-sim.md
PATIENCE_S = 60.0


async def peer_time(broker: Broker, *, patience_s: float = PATIENCE_S) -> datetime:
    """What a simulated peer says the time is; the session is opened for it and closed again.

    Raises:
        ConfigError: the peer is no simulator; a real one's clock is nobody's but its own.
        UnavailableError: no peer within `patience_s`.
    """
    heard = asyncio.Event()
    await broker.start(
        BrokerHooks(
            report=lambda _: heard.set(),
            next_epoch=lambda: 1,
            id_floor=lambda: 1,
            id_acknowledged=lambda: 0,
        )
    )
    try:
        async with asyncio.timeout(patience_s):
            while broker.state is not SessionState.RECONCILING or not said_kind(broker):
                heard.clear()
                await heard.wait()
            kind = said_kind(broker)
            told = await broker.broker_time()
    except TimeoutError as error:
        raise UnavailableError(
            f"--clock gateway: no gateway told the time within {patience_s:g} s; "
            "is it running? bft serve gateway-sim"
        ) from error
    finally:
        await broker.stop()
    if kind != SIMULATED:
        raise ConfigError(
            f"--clock gateway: the gateway's AccountType is {kind}, not {SIMULATED}; "
            "leave --clock away"
        )
    return told


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
