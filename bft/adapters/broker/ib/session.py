"""The session with the gateway: its states, its reconnects, its probes.

Source: executor specification, section 7.1, table of session states.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from bft.adapters.broker.ib import codes
from bft.adapters.broker.ib.link import Link
from bft.adapters.broker.ib.pacer import Pacer
from bft.adapters.broker.ib.quotes import Feed
from bft.adapters.broker.ib.settings import IbSettings, next_id, range_of
from bft.adapters.broker.ib.values import SIMULATED
from bft.adapters.broker.ib.windows import LoginWatch, restarting
from bft.domain.broker import (
    AccountReport,
    ErrorKind,
    FeedLine,
    Report,
    SessionNote,
    SessionReport,
    SessionState,
)
from bft.domain.errors import BftError, UnavailableError
from bft.domain.orders import Contract
from bft.ports.broker import BrokerHooks
from bft.ports.night import Clock

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
JITTER_FRAC = 0.2
HANDSHAKE_S = 20.0
PROBE_EVERY_S, PROBE_S, PROBES = 10.0, 5.0, 2
IN_USE_EVERY_S, IN_USE_FOR_S = 5.0, 60.0
LIST_S = 10.0  # patience with positions, orders, executions
SYNC_AGAIN_S = 1.0
ACCOUNT_S, ACCOUNT_EVERY_PROBES = 3.0, 3  # without figures closing must still be possible
TIMETABLE_EVERY_S = 15.0
RENEW_EVERY_S = 1.0  # at most one quiet line
_RETOLD = frozenset({SessionState.DOWN})  # another reason is news
_SETTLED = frozenset({SessionState.RECONCILING, SessionState.ARMED, SessionState.DRAINING})
_FED = frozenset({SessionState.SYNCING, *_SETTLED})  # states in which quotes come
_NO_SESSION = frozenset({SessionState.DOWN, SessionState.HANDSHAKE, SessionState.HALF_OPEN})


class Session:
    """Keeps one link alive for ever, and knows what may be sent on it."""

    def __init__(self, settings: IbSettings, *, clock: Clock, rng: random.Random) -> None:
        self.settings, self._clock, self._rng = settings, clock, rng
        self.client_id = settings.client_id
        self.state, self.epoch = SessionState.DOWN, 0
        self._told = (SessionState.DOWN, "")
        self.simulated = settings.account.startswith(("DU", "DF"))
        self.pacer = Pacer()
        self.feed = Feed(self.pacer, clock.now, self.report)
        self.link: Link | None = None
        self._known: dict[int, Contract] = {}
        self._hooks: BrokerHooks | None = None
        self._login = LoginWatch(settings.login_at, clock.now())
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._broken: set[str] = set()
        self._wanted = False  # the executor has armed this epoch
        self._failures = 0
        self._next_order_id = 0
        self._in_use_since_s: float | None = None

    # life --------------------------------------------------------------------------------

    def start(self, hooks: BrokerHooks) -> None:
        """Begin to connect."""
        self._hooks = hooks
        self._login.alive_at = self._clock.now()
        self._run("connect", self._connect_forever())
        self._run("timetable", self._timetable())

    async def stop(self) -> None:
        """End the session; nothing reconnects."""
        if self.link is not None:
            await self.link.leave()
        for name in list(self._tasks):
            self._end(name)
        self.link = None
        self.feed.detach()
        if self._hooks is not None:
            self._enter(SessionState.DOWN, "stopped")

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Start the one task of that name."""
        if name in self._tasks:
            self._tasks[name].cancel()
        self._tasks[name] = asyncio.get_running_loop().create_task(work)

    def _end(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    # connecting --------------------------------------------------------------------------

    async def _connect_forever(self) -> None:
        while True:
            reason, code, note = await self._connect_once()
            wait_s = self._pause_s(code)
            if code == codes.CLIENT_ID_IN_USE:
                note = self._client_id_in_use() or note
            self._enter(SessionState.DOWN, reason, code=code, note=note)
            await asyncio.sleep(wait_s)

    async def _connect_once(self) -> tuple[str, int | None, SessionNote | None]:
        """One connection from its first byte to its last; returns why it ended."""
        link = Link(
            self.settings,
            self.client_id,
            owner=self,
            pacer=self.pacer,
            feed=self.feed,
            known=self._known,
        )
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await link.open()
        except (OSError, TimeoutError) as error:
            link.close("no connection")
            return (
                f"{self.settings.host}:{self.settings.port}: {str(error) or 'no answer'}",
                None,
                None,
            )
        self.link, self._broken = link, set()
        self._enter(SessionState.HANDSHAKE, "connected")
        patience = asyncio.get_running_loop().call_later(HANDSHAKE_S, self._impatient, link)
        try:
            reason, code = await asyncio.shield(link.closed)
        finally:
            patience.cancel()
            self._over(link)
        note = SessionNote.WRONG_ACCOUNT if reason.startswith("wrong account") else None
        return reason, code, note

    def _over(self, link: Link) -> None:
        """A link has ended: nothing of it goes on."""
        link.close("stopped")
        self.link = None
        self._end("sync")
        self._end("probe")
        self._end("renew")
        self.feed.detach()

    def _impatient(self, link: Link) -> None:
        if link.epoch == 0:
            link.close(f"no handshake within {HANDSHAKE_S:g} s")

    def _pause_s(self, code: int | None) -> float:
        """Seconds until the next try."""
        if code == codes.CLIENT_ID_IN_USE:
            return BACKOFF_S[-1] if self._long_in_use() else IN_USE_EVERY_S
        base_s = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        return base_s * (1 + self._rng.uniform(-JITTER_FRAC, JITTER_FRAC))

    def _long_in_use(self) -> bool:
        since_s = self._in_use_since_s
        now_s = asyncio.get_running_loop().time()
        return since_s is not None and now_s - since_s > IN_USE_FOR_S - IN_USE_EVERY_S / 2

    def _client_id_in_use(self) -> SessionNote | None:
        """Readers try the next id of their range; the executor's is never replaced."""
        if range_of(self.client_id) is not None:
            self.client_id = next_id(self.client_id)
            return None
        if self._in_use_since_s is None:
            self._in_use_since_s = asyncio.get_running_loop().time()
        return SessionNote.CLIENT_ID_IN_USE if self._long_in_use() else None

    # what a link tells -------------------------------------------------------------------

    def now(self) -> datetime:
        """The clock's instant."""
        return self._clock.now()

    def report(self, report: Report) -> None:
        """Pass a report on; the account's own word on being simulated counts from then on."""
        if isinstance(report, AccountReport) and report.values.account_type:
            self.simulated |= report.values.account_type == SIMULATED
        if self._hooks is not None:
            self._hooks.report(report)

    def greeted(self, link: Link) -> None:
        """Check the account; the first time, count the connection and ask for everything."""
        if not self._right_account(link) or link.epoch or self._hooks is None:
            return
        try:
            link.inbox.epoch = self.epoch = self._hooks.next_epoch()
            floor, known = self._hooks.id_floor(), self._hooks.id_acknowledged()
        except BftError as error:
            link.close(f"state: {error}")
            return
        told = link.client.next_order_id
        self._next_order_id = max(self._next_order_id, told, floor)
        self._in_use_since_s = None
        link.ask_data_type()
        self.feed.attach(link)
        self._run("probe", self._probe(link))
        self._run("renew", self._renew_lines())
        rolled = told <= known  # ids that were reserved and never sent leave a gap: no rollback
        text = f"id_rollback: next id {told}, though {known} was acknowledged; {floor} is used"
        reason = text if rolled else "connected"
        self._begin_sync(link, reason, note=SessionNote.ID_ROLLBACK if rolled else None)

    def _right_account(self, link: Link) -> bool:
        wanted, told = self.settings.account, link.inbox.accounts
        if wanted in told:
            return True
        link.close(f"wrong account: {wanted} is not among {', '.join(told)}; log in to its user")
        return False

    def said(self, link: Link, code: int, text: str) -> None:
        """A code about the connection as a whole."""
        if codes.kind_of(code) is ErrorKind.CONNECTION and code != codes.CLIENT_ID_IN_USE:
            link.close(f"gateway {code}: {text}", code)
        elif link.epoch and code in codes.LOST_CODES:
            self._end("sync")
            self._enter(SessionState.LOST, text, code=code)
        elif link.epoch and code in {codes.DATA_LOST, codes.DATA_KEPT}:
            if code == codes.DATA_LOST:
                self.feed.attach(link)
            self.feed.disturbed()
            self._begin_sync(link, text, code=code)
        elif (farm := codes.farm_of(code, text)) is not None:
            self._farm(farm, code)

    def _farm(self, farm: str, code: int) -> None:
        broken = codes.kind_of(code) is ErrorKind.CONNECTIVITY
        if farm.startswith(codes.MARKET_DATA):
            self.feed.disturbed()
        (self._broken.add if broken else self._broken.discard)(farm)
        self._settle(f"{farm} {'is broken' if broken else 'is back'}", code)

    def line(self, contract: Contract) -> FeedLine:
        """Whether a contract's quotes still come: line, farms and connection are sound."""
        problem = self._unfed() or self.feed.problem(contract)
        if problem or self.link is None:
            return FeedLine(problem=problem or "no connection")
        return FeedLine(alive_at=self.link.inbox.heard_at)

    def _unfed(self) -> str:
        """Why no quotes come at all; which farm is whose the gateway does not say."""
        if self.state not in _FED:
            return f"session {self.state}"
        broken = sorted(farm for farm in self._broken if farm.startswith(codes.MARKET_DATA))
        return f"{', '.join(broken)} is broken" if broken else ""

    # states ------------------------------------------------------------------------------

    def _enter(
        self,
        state: SessionState,
        reason: str,
        *,
        code: int | None = None,
        note: SessionNote | None = None,
    ) -> None:
        told = (state, reason) if state in _RETOLD else (state, "")
        if told == self._told and note is None and state is not SessionState.SYNCING:
            return
        self.state, self._told = state, told
        self.report(
            SessionReport(state=state, epoch=self.epoch, reason=reason, code=code, note=note)
        )

    def _begin_sync(
        self, link: Link, reason: str, *, code: int | None = None, note: SessionNote | None = None
    ) -> None:
        self._wanted = False
        self._enter(SessionState.SYNCING, reason, code=code, note=note)
        self._run("sync", self._sync(link))

    async def _sync(self, link: Link) -> None:
        """Ask for everything until all end markers are in."""
        told = ""
        while True:
            try:
                await link.ask_account()
                await asyncio.gather(
                    link.account_told(ACCOUNT_S),
                    link.ask_positions(LIST_S),
                    link.ask_open_orders(LIST_S),
                    link.ask_completed(LIST_S),
                    link.ask_executions(LIST_S),
                )
            except BftError as error:  # a refused question too: nothing else asks it again
                if link.closed.done():
                    return
                if told != str(error):
                    told = str(error)
                    self._enter(SessionState.SYNCING, told)
                await asyncio.sleep(SYNC_AGAIN_S)
                continue
            self._failures = 0
            self._login.alive_at = self._clock.now()
            self._enter(SessionState.RECONCILING, "all end markers are in")
            return

    def resync(self, reason: str) -> None:
        """Ask for everything again; where there is no connectivity that follows by itself."""
        if self.link is not None and self.state in {*_SETTLED, SessionState.SYNCING}:
            self._begin_sync(self.link, reason)

    def arm(self) -> None:
        """Allow openings, unless something forbids them."""
        if self.state in _SETTLED:
            self._wanted = True
            self._settle("reconciled")

    def _settle(self, reason: str, code: int | None = None) -> None:
        """Be in the best of the settled states that is allowed."""
        if self.state not in _SETTLED or not self._wanted:
            return
        if restarting(self._clock.now(), self.settings.restart_at):
            self._enter(SessionState.DRAINING, "restart window", code=code)
        elif self._broken:
            self._enter(SessionState.RECONCILING, reason, code=code)
        else:
            self._enter(SessionState.ARMED, reason, code=code)

    # tasks -------------------------------------------------------------------------------

    async def _probe(self, link: Link) -> None:
        """Ask for the time every 10 s; two silences mean that nobody is there."""
        loop, missed = asyncio.get_running_loop(), 0
        for number in range(1, 1 << 60):
            began_s = loop.time()
            try:
                await link.ask_time(PROBE_S)
                missed = 0
                self._login.alive_at = self._clock.now()
                if number % ACCOUNT_EVERY_PROBES == 0:
                    await link.ask_account()
            except UnavailableError:
                missed += 1  # or the link is closed
            if link.closed.done():
                return
            if missed == PROBES:
                self._enter(SessionState.HALF_OPEN, f"{PROBES} current-time probes unanswered")
                link.close("half-open socket")
                return
            await asyncio.sleep(PROBE_EVERY_S - (loop.time() - began_s))

    async def _renew_lines(self) -> None:
        """Ask anew for quiet lines, while quotes come at all."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            if not self._unfed():
                self.feed.renew_one()

    async def _timetable(self) -> None:
        """Watch the restart window and the weekly login."""
        while True:
            now = self._clock.now()
            inside = restarting(now, self.settings.restart_at)
            if self.state is SessionState.DRAINING and not inside:
                self.resync("the restart window is over")
            else:
                self._settle("restart window")
            if self._login.tomorrow(now):
                self._note(SessionNote.LOGIN_TOMORROW, "the weekly login is due in 24 h")
            if self.state in _NO_SESSION and self._login.needed(now):
                self._note(SessionNote.APPROVAL_NEEDED, "weekly login: approve it on the phone")
            await asyncio.sleep(TIMETABLE_EVERY_S - now.timestamp() % TIMETABLE_EVERY_S)

    def _note(self, note: SessionNote, reason: str) -> None:
        self._enter(self.state, reason, note=note)

    # ids ---------------------------------------------------------------------------------

    def reserve_ids(self, count: int, link: Link, floor: Callable[[], int]) -> list[int]:
        """Ids above all that were told, stored or given; the library's counter goes past them."""
        heard = link.inbox.orders.highest_id + 1
        first = max(self._next_order_id, floor(), link.client.next_order_id, heard)
        self._next_order_id = first + count
        link.client.updateReqId(self._next_order_id)
        return list(range(first, self._next_order_id))
