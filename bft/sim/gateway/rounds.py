"""What time brings: quotes step by step, expiry at the close, the nightly reset."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.sim.gateway.agenda import Planned
from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.prices.control import ControlPrices

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


class Rounds:
    """Plans on the agenda what recurs."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self._step: Planned | None = None
        self._close: Planned | None = None
        self._close_at: datetime | None = None

    def begin(self) -> None:
        """Plan the first of each; a night that passed while the gateway was away is made up for."""
        self.plan()
        last, oldest = self._reset_day(-1), self.gateway.exchange.oldest_ended()
        if last is not None and oldest is not None and oldest < last:
            self.gateway.exchange.new_day()
            self.gateway.settle()
        self._plan_reset()

    def plan(self) -> None:
        """Plan the next step and the next close, where something waits for them."""
        self._plan_step()
        due = self.gateway.exchange.books.working.next_expiry()
        if due == self._close_at:
            return
        if self._close is not None:
            self._close.cancel()
        self._close_at = due
        self._close = None if due is None else self.gateway.agenda.at(due, self._expire)

    def _expire(self) -> None:
        self._close = self._close_at = None
        self.gateway.exchange.close(self.gateway.now())
        self.gateway.settle()

    # steps -------------------------------------------------------------------------------

    def _plan_step(self) -> None:
        """Step while something is watched and trades; else wake up at its opening."""
        gateway = self.gateway
        if self._step is not None or isinstance(gateway.market.prices, ControlPrices):
            return
        now, watched = gateway.now(), self.watched()
        if not watched:
            return
        if any(hours.session_of(contract, now) for contract in watched):
            due = _next_multiple(now, gateway.config.step_s)
        else:
            due = min(hours.next_open(contract, now) for contract in watched)
        self._step = gateway.agenda.at(due, self._run_step)

    def _run_step(self) -> None:
        self._step = None
        now = self.gateway.now()
        for contract in self.watched():
            if hours.session_of(contract, now):
                self.gateway.refresh(contract)
        self._plan_step()

    def watched(self) -> list[Contract]:
        """Contracts with live orders, subscribers, or holdings whose value is followed."""
        gateway, found = self.gateway, {}
        books = gateway.exchange.books
        for contract in [*books.working.contracts(), *gateway.board.data.watched()]:
            found[contract.con_id] = contract
        if gateway.board.accounts.wants_marks:
            found |= {p.contract.con_id: p.contract for p in books.positions.values() if p.qty}
        return list(found.values())

    # the night ---------------------------------------------------------------------------

    def _plan_reset(self) -> None:
        due = self._reset_day(+1)
        if due is not None:
            self.gateway.agenda.at(due, self._reset_due)

    def _reset_day(self, way: int) -> datetime | None:
        """The next reset (1) or the last one (-1); None where there are none."""
        at, now = self.gateway.config.reset_at, self.gateway.now()
        if at is None:
            return None
        day = now.astimezone(sessions.NEW_YORK).date()
        due = datetime.combine(day, at, sessions.NEW_YORK).astimezone(UTC)
        if (due > now) is (way > 0):
            return due
        day += timedelta(days=way)
        return datetime.combine(day, at, sessions.NEW_YORK).astimezone(UTC)

    def _reset_due(self) -> None:
        config = self.gateway.config
        self.reset(config.reset_s, config.reset_ending)
        self._plan_reset()

    def reset(self, silent_s: float, ending: str) -> None:
        """1100, silence, then the end that was asked for: close, 1101 or 1102."""
        gateway = self.gateway
        gateway.note("reset", silent_s=silent_s, ending=ending)
        gateway.board.say_all(1100, "Connectivity between IB and Trader Workstation has been lost.")
        gateway.board.silent = True
        gateway.agenda.after(silent_s, lambda: self._after_reset(ending))

    def _after_reset(self, ending: str) -> None:
        gateway = self.gateway
        gateway.board.silent = False
        gateway.exchange.new_day()
        gateway.settle()
        if ending == "close":
            gateway.board.close_all()
        else:
            gateway.board.restore(int(ending))


def _next_multiple(now: datetime, step_s: float) -> datetime:
    """The next instant that is a multiple of the step, so that equal runs step alike."""
    epoch = now.timestamp()
    return datetime.fromtimestamp((epoch // step_s + 1) * step_s, UTC)
