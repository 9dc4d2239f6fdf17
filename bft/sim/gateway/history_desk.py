"""Requests about the past: bars, their updates, and where history begins."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.sim.gateway import spans
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.market import Span
from bft.sim.gateway.orders_desk import read_instant
from bft.sim.gateway.prices.source import Bar
from bft.sim.gateway.reference_desk import NO_DEFINITION
from bft.sim.gateway.session import About, Session
from bft.sim.gateway.spans import HistoryError, Size
from bft.sim.gateway.wire.contract_fields import least_increment
from bft.sim.gateway.wire.order_fields import stamp
from bft.sim.gateway.wire.reader import FieldError, Reader

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

UPDATE_EVERY_S = 5.0
KINDS = frozenset(["TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST", "BID_ASK"])
_SERVICE = "Historical Market Data Service error message:"
_PACED = f"{_SERVICE}API historical data query cancelled: pacing violation"
_TEN_MINUTES_S, _SAME_S, _BURST_S = 600.0, 15.0, 2.0
_IN_TEN_MINUTES, _IN_BURST, _MOST_OPEN = 60, 6, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for bars; `end` None: now."""

    req_id: int
    contract: Contract
    end: datetime | None
    size: Size
    duration: str
    what: str
    epoch_dates: bool
    follow: bool


class Pacing:
    """The broker's limits on history requests, against the loop's clock."""

    def __init__(self) -> None:
        self._asked: deque[tuple[float, str, int, int]] = deque()

    def allows(self, now: float, request: str, con_id: int, weight: int) -> bool:
        """Whether a request may pass; it counts if so."""
        while self._asked and now - self._asked[0][0] >= _TEN_MINUTES_S:
            self._asked.popleft()
        recent = list(self._asked)
        total = sum(w for _, _, _, w in recent) + weight
        same = any(r == request and now - t < _SAME_S for t, r, _, _ in recent)
        burst = sum(c == con_id and now - t < _BURST_S for t, _, c, _ in recent)
        if total > _IN_TEN_MINUTES or same or burst + 1 >= _IN_BURST:
            return False
        self._asked.append((now, request, con_id, weight))
        return True


class HistoryDesk:
    """Bars of the past, and of the running moment for those who follow."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self.following: dict[tuple[Session, int], Asked] = {}
        self.pacing = Pacing()
        self._planned = False
        self.handlers = {
            20: self.bars,
            25: self.cancel,
            87: self.head,
            90: lambda _session, _fields: None,
        }

    def forget(self, session: Session) -> None:
        """A client is gone, or all its subscriptions are."""
        for key in [key for key in self.following if key[0] is session]:
            del self.following[key]

    def bars(self, session: Session, fields: list[str]) -> None:
        """Bars; with keepUpToDate the running one again every five seconds."""
        req_id = Reader(fields, skip=1).number()
        try:
            asked = self._asked(fields)
            if asked is None:
                session.error(req_id, 200, NO_DEFINITION)
            elif self._refused(fields, asked):
                session.error(req_id, 162, _PACED)
            else:
                self._answer(session, asked)
        except (HistoryError, FieldError) as error:
            session.error(req_id, 321, f"Error validating request:-'bW' : {error}")

    def _answer(self, session: Session, asked: Asked) -> None:
        made = self._made(asked)
        if not made:
            session.error(asked.req_id, 162, f"{_SERVICE}HMDS query returned no data")
            return
        self._send(session, asked, made)
        if asked.follow:
            self.following[session, asked.req_id] = asked
            self._plan()

    def cancel(self, session: Session, fields: list[str]) -> None:
        """Stop following."""
        req_id = Reader(fields, skip=2).number()
        if self.following.pop((session, req_id), None) is None:
            session.error(req_id, 366, f"No historical data query found for ticker id:{req_id}")

    def head(self, session: Session, fields: list[str]) -> None:
        """Where the history of a contract begins."""
        reader = Reader(fields, skip=1)
        req_id, wanted = reader.number(), reader.wanted()
        reader.skip(3)
        epoch = reader.text() == "2"
        found = self.gateway.market.find(wanted, self.gateway.now())
        first = self.gateway.market.head(found[0]) if len(found) == 1 else None
        if not found:
            session.error(req_id, 200, NO_DEFINITION)
        elif first is None:
            session.error(req_id, 162, f"{_SERVICE}No head time stamp")
        else:
            text = str(int(first.timestamp())) if epoch else f"{first:%Y%m%d-%H:%M:%S}"
            session.send((88, req_id, text))

    def _asked(self, fields: list[str]) -> Asked | None:
        reader = Reader(fields, skip=1)
        req_id, wanted = reader.number(), reader.wanted()
        _expired, end, size, duration, _rth, what, epoch = reader.texts(7)
        if wanted.sec_type == "BAG":
            raise FieldError("BAG unsupported")
        follow = reader.flag()
        if what not in KINDS:
            raise FieldError(f"whatToShow {what!r}: one of {', '.join(sorted(KINDS))}")
        if end and follow:
            raise FieldError("end date not supported with keepUpToDate")
        found = self.gateway.market.find(wanted, self.gateway.now())
        if len(found) != 1:
            return None
        return Asked(
            req_id=req_id,
            contract=found[0],
            end=read_instant(end) if end else None,
            size=spans.size_of(size),
            duration=duration,
            what=what,
            epoch_dates=epoch == "2",
            follow=follow,
        )

    def _refused(self, fields: list[str], asked: Asked) -> bool:
        if len(self.following) >= _MOST_OPEN:
            return True
        weight = 2 if asked.what == "BID_ASK" else 1
        request = "/".join(fields[2:])
        number = asked.contract.con_id
        now = self.gateway.loop_time()
        paced = self.gateway.config.history_paced
        return paced and not self.pacing.allows(now, request, number, weight)

    def _made(self, asked: Asked) -> list[Bar]:
        now = self.gateway.now()
        end = min(asked.end or now, now)
        wanted = spans.spans(asked.contract, end, asked.duration, asked.size)
        made = (self._bar(asked.contract, parts) for parts in wanted)
        return [_shown(bar, asked) for bar in made if bar is not None]

    def _bar(self, contract: Contract, parts: Sequence[Span]) -> Bar | None:
        bars = self.gateway.market.bars(contract, parts)
        if len(bars) < 2:
            return bars[0] if bars else None
        return replace(
            bars[0],
            end=bars[-1].end,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            close=bars[-1].close,
            volume=sum(bar.volume for bar in bars),
        )

    def _send(self, session: Session, asked: Asked, made: Sequence[Bar]) -> None:
        body: list[object] = []
        for bar in made:
            prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, round(bar.mean, 4))
            body += [_date(bar, asked), *prices, _count(bar)]
        ends = (stamp(made[0].start), stamp(made[-1].end))
        session.send((17, asked.req_id, *ends, len(made), *body), About(asked.contract.symbol))

    def _plan(self) -> None:
        if not self._planned and self.following:
            self._planned = True
            self.gateway.agenda.after(UPDATE_EVERY_S, self._update)

    def _update(self) -> None:
        self._planned = False
        for (session, req_id), asked in self.following.items():
            made = self._made(asked)[-1:]
            for bar in made:
                prices = (bar.open, bar.close, bar.high, bar.low, round(bar.mean, 4), bar.volume)
                values = (90, req_id, _count(bar), _date(bar, asked), *prices)
                session.send(values, About(asked.contract.symbol))
        self._plan()


def _shown(bar: Bar, asked: Asked) -> Bar:
    """Bars of bid and ask lie one increment beside the trades."""
    if asked.what not in {"BID", "ASK"}:
        return bar
    half = float(least_increment(asked.contract)) * (1 if asked.what == "ASK" else -1)
    names = ("open", "high", "low", "close")
    moved = {name: round(getattr(bar, name) + half, 4) for name in names}
    return replace(bar, **moved)


def _date(bar: Bar, asked: Asked) -> str:
    local = bar.end if asked.size.unit else bar.start
    if asked.size.unit:
        return f"{local.astimezone(sessions.NEW_YORK):%Y%m%d}"
    return str(int(bar.start.timestamp())) if asked.epoch_dates else stamp(bar.start)


def _count(bar: Bar) -> int:
    return max(1, int(bar.volume // 100))
