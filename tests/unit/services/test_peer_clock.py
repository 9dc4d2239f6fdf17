"""`--clock gateway` begins with the time of a simulated peer, or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from executors import usd
from servers import free_port
from virtual_time import START, LoopClock, run

from bft.adapters.broker.ib import Ib, IbSettings
from bft.domain.broker import AccountValues, SessionNote, SessionReport, SessionState
from bft.domain.errors import ConfigError, UnavailableError
from bft.services.executor.clocks import ShiftedClock, clock_for
from bft.services.executor.peer_clock import follow, peer_time

TOLD = datetime(2025, 7, 1, 13, 29, tzinfo=UTC)


class Peer:
    """A Broker that is up at once and says what kind of account it is."""

    state = SessionState.RECONCILING

    def __init__(self, kind: str) -> None:
        self.kind, self.stopped = kind, False

    async def start(self, _hooks: Any) -> None:
        pass

    async def stop(self) -> None:
        self.stopped = True

    async def broker_time(self) -> datetime:
        return TOLD

    def account_values(self) -> AccountValues:
        return AccountValues(account="U", at=TOLD, equity_usd=usd(1), account_type=self.kind)


def test_simulated_peer_tells_the_time_and_is_left(tmp_path: Any) -> None:
    async def main() -> None:
        peer: Any = Peer("SIMULATED")
        assert await peer_time(peer) == TOLD
        assert peer.stopped

    run(main())


def test_real_peer_lends_nobody_its_clock() -> None:
    async def main() -> None:
        peer: Any = Peer("INDIVIDUAL")
        with pytest.raises(ConfigError, match="AccountType is INDIVIDUAL, not SIMULATED"):
            await peer_time(peer)
        clock = ShiftedClock(START, timer=lambda: 0.0)
        follow(clock, "gateway", peer, TOLD)
        assert clock.now() == START
        peer.kind = "SIMULATED"
        follow(clock, "system", peer, TOLD)
        assert clock.now() == START
        follow(clock, "gateway", peer, TOLD)
        assert clock.now() == TOLD + timedelta(seconds=1)

    run(main())


def test_clock_is_never_behind_its_peer_whose_answers_are_whole_seconds() -> None:
    """The peer is at 13:29:00.2, then at 20.9, 35.4, 50.6: ahead by 0.1 once it told 20."""
    peer: Any = Peer("SIMULATED")
    timer = [0.0]
    clock = ShiftedClock(START, timer=lambda: timer[0])
    true = TOLD + timedelta(seconds=0.2)
    ahead = []
    for passed_s in (0.0, 20.7, 35.2, 50.4):
        timer[0] = passed_s
        now = true + timedelta(seconds=passed_s)
        follow(clock, "gateway", peer, now.replace(microsecond=0))
        ahead.append((clock.now() - now).total_seconds())
    assert ahead == pytest.approx([0.8, 0.1, 0.1, 0.1])


def test_no_peer_is_said_once_the_patience_is_over() -> None:
    async def main() -> None:
        about = IbSettings(host="127.0.0.1", port=free_port(), account="DU1", client_id=90)
        broker = Ib(about, clock=LoopClock(START), rng=Random(1))
        said: list[str] = []
        where = f"127.0.0.1:{about.port}: "
        with pytest.raises(UnavailableError, match=rf"\({where}.*bft serve gateway-sim"):
            await peer_time(broker, patience_s=5, tell=said.append)
        assert [text.startswith(where) for text in said] == [True]  # at once, and only once

    run(main())


def test_clock_of_a_gateway_needs_one() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="needs --broker ib"):
            clock_for("gateway", LoopClock(START), broker="paper")

    run(main())


class Stranger(Peer):
    """A gateway that is logged in to another account."""

    state = SessionState.DOWN

    async def start(self, hooks: Any) -> None:
        why = "wrong account: DU1 is not among DU2; log in to its user"
        note = SessionNote.WRONG_ACCOUNT
        hooks.report(SessionReport(state=self.state, epoch=0, reason=why, note=note))


def test_wrong_account_is_said_at_once() -> None:
    async def main() -> None:
        peer: Any = Stranger("SIMULATED")
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConfigError, match=r"DU1 is not among DU2.*BFT_ACCOUNT"):
            await peer_time(peer)
        assert asyncio.get_running_loop().time() - began < 1
        assert peer.stopped

    run(main())
