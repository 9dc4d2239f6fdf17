"""What people are told without being asked: outages, silence, too many refusals.

Source: executor specification, sections 7.1 and 14.
"""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, time, timedelta

from bft.domain import sessions
from bft.domain.broker import ErrorKind, ErrorReport, SessionNote, SessionReport, SessionState
from bft.domain.orders import Contract, IntentState, Leg
from bft.services.executor.desk import Desk
from bft.services.executor.peer_clock import SIMULATED, said_kind
from bft.services.executor.restart import in_restart_window
from bft.services.executor.underlying import stock_of

DOWN_S, QUOTE_S, MONITOR_S = 60.0, 60.0, 5.0
ERRORS, ERRORS_S = 5, 60.0
QUIET = frozenset({ErrorKind.MESSAGE, ErrorKind.FARM_OK, ErrorKind.CANCELLED, ErrorKind.DATA})
SIGNALS_BY = time(10)
REJECTS_WITHIN, REJECTS_LEAST, REJECTS_FRAC = timedelta(hours=1), 10, 0.05
NOTES = {
    SessionNote.ID_ROLLBACK: "IdRollback",
    SessionNote.WRONG_ACCOUNT: "WrongAccount",
    SessionNote.APPROVAL_NEEDED: "ApprovalNeeded",
    SessionNote.CLIENT_ID_IN_USE: "BrokerDown",
}


class Watching:
    """Looks around once a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._away_since: float | None = None
        self._login: str | None = None
        self._quoted: dict[int, tuple[datetime | None, float]] = {}
        self._errors: deque[tuple[float, int]] = deque(maxlen=ERRORS)

    def noted(self, report: SessionReport) -> None:
        """A session report with something people must know."""
        if report.note is SessionNote.LOGIN_TOMORROW:
            self._login = report.reason  # told once the peer has said that it is no simulator
        elif report.note is not None:
            self._desk.alert(NOTES[report.note], self._desk.account, report.reason)

    def erred(self, report: ErrorReport) -> None:
        """Count a code that says something went wrong; five within a minute are told."""
        if report.kind in QUIET:
            return
        now = self._desk.timer()
        self._errors.append((now, report.code))
        if len(self._errors) == ERRORS and now - self._errors[0][0] <= ERRORS_S:
            codes = ", ".join(str(code) for _, code in self._errors)
            self._desk.alert("BrokerErrors", self._desk.account, f"codes {codes} within 60 s")

    def turn(self) -> None:
        """Tell what has gone on for too long."""
        self._session()
        self._weekly_login()
        if sessions.is_open(self._desk.now):
            self._quotes()
            self._signals()
        self._rejects()
        beat = self._desk.beat
        if beat is not None and self._desk.timer() - beat > MONITOR_S:
            late = self._desk.timer() - beat
            self._desk.alert("MonitorSlow", "monitor", f"the exit monitor is {late:.1f} s late")

    def _session(self) -> None:
        desk = self._desk
        planned = in_restart_window(desk.now, desk.restart_at)
        if desk.broker.state is SessionState.ARMED or planned:
            self._away_since = None
            return
        if self._away_since is None:
            self._away_since = desk.timer()
        elif desk.timer() - self._away_since > DOWN_S:
            text = f"the broker session is {desk.broker.state} for more than 60 s"
            desk.alert("BrokerDown", desk.account, text)

    def _weekly_login(self) -> None:
        kind = said_kind(self._desk.broker)
        if self._login is None or not kind:
            return
        if kind != SIMULATED:
            self._desk.alert("LoginTomorrow", self._desk.account, self._login)
        self._login = None

    def _quotes(self) -> None:
        """Held symbols whose quote does not move, and underlyings that options are judged by."""
        for contract, name in self._judged_by():
            quote = self._desk.quote(contract)
            at, now = quote.at if quote else None, self._desk.timer()
            known = self._quoted.get(contract.con_id)
            if known is None or known[0] != at:
                self._quoted[contract.con_id] = (at, now)
            elif now - known[1] > QUOTE_S:
                self._desk.alert("QuoteStale", name, f"no quote of {name}")

    def _judged_by(self) -> Iterator[tuple[Contract, str]]:
        for position in self._desk.state.positions.values():
            yield position.contract, position.symbol
            under = self._desk.contracts.get(stock_of(position.contract))
            if position.contract.sec_type == "OPT" and under is not None:
                yield under, f"{under.symbol}, by which {position.symbol} is judged"

    def _signals(self) -> None:
        desk = self._desk
        local = desk.now.astimezone(sessions.NEW_YORK)
        counted = desk.state.limits_of("account", desk.account, local.date(), at=desk.now)
        heard = counted.orders or desk.heard_on == local.date()
        if local.time() >= SIGNALS_BY and not heard:
            desk.alert("NoSignals", str(local.date()), "no signal arrived by 10:00 New York")

    def _rejects(self) -> None:
        desk = self._desk
        day, since = desk.trading_day, desk.now - REJECTS_WITHIN
        sent = [
            intent.state
            for intent in desk.state.intents.values()
            if intent.trading_day == day
            and intent.leg is Leg.ENTRY
            and intent.sent_at is not None
            and intent.sent_at > since
        ]
        refused = sent.count(IntentState.REJECTED)
        if len(sent) >= REJECTS_LEAST and refused > REJECTS_FRAC * len(sent):
            text = f"{refused} of {len(sent)} entries were refused in an hour"
            desk.alert("RejectRate", desk.account, text)
