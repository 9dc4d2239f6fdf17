"""Special dividends: exit levels move to the price without them before their ex-date opens.

A cash dividend of a tenth of the prior close or more takes the price with it; levels that stayed
would be reached by nobody's selling. Source: strategies specification, section 3.1.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from bft import exits
from bft.domain import sessions
from bft.domain.orders import Contract
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.reference import Dividend, acted, action_key

LATEST = timedelta(minutes=30)  # before the open: no bar of the day before is waited for any longer
Close = Callable[[Contract, date], Decimal | None]
"""Price of a contract at the close of a session; None: not known (yet)."""


class Dividends:
    """Takes the dividends of the actions table into the levels of covers, each once."""

    def __init__(self, desk: Desk, close_usd: Close) -> None:
        self._desk, self._close_usd = desk, close_usd

    def paid(self, cover: Cover, by: date) -> Cover:
        """The cover once every dividend with an ex-date up to `by` is in its levels."""
        if cover.state is None:
            return cover
        if cover.under is not None:
            state = self._paid(cover.under.state, cover.under.contract, by)
            return replace(cover, under=replace(cover.under, state=state))
        if cover.contract.sec_type != "STK":
            return cover
        state = self._paid(cover.state, cover.contract, by)
        if state is cover.state:
            return cover
        return replace(cover, state=state, rebased_at=self._desk.now)

    def due(self, state: exits.ExitState) -> date:
        """Up to which day levels may be moved now: today once the last close has been seen."""
        now = self._desk.now
        today = now.astimezone(sessions.NEW_YORK).date()
        before = sessions.on_or_before(today - timedelta(days=1))
        if state.closed_at is not None and state.closed_at >= sessions.close_at(before):
            return today
        late = sessions.on_or_before(today) == today and now >= sessions.open_at(today) - LATEST
        return today if late else before

    def _paid(self, state: exits.ExitState, contract: Contract, by: date) -> exits.ExitState:
        for told in self._new(state, contract, by):
            prior = sessions.shift(sessions.on_or_after(told.ex_date), -1)
            close_usd = self._close_usd(contract, prior)
            if close_usd is None or not 0 <= told.amount_usd < close_usd:
                continue  # not known yet; or no dividend: the night's checks tell of it
            key = action_key("dividend", told.ex_date)
            moved = exits.dividend(state, told.amount_usd, close_usd, key=key)
            if moved is not state:
                ended = max(state.closed_at or sessions.close_at(prior), sessions.close_at(prior))
                self._tell(contract, told, ended)
                state = replace(moved, closed_at=ended)  # no bar of the old basis follows
        return state

    def _new(self, state: exits.ExitState, contract: Contract, by: date) -> Iterable[Dividend]:
        for told in self._desk.reference.dividends_of(contract.symbol):
            past = state.entry.session < told.ex_date <= by
            if past and not acted(state.actions, "dividend", told.ex_date):
                yield told

    def _tell(self, contract: Contract, told: Dividend, closed_at: datetime) -> None:
        name, day = contract.symbol, closed_at.astimezone(sessions.NEW_YORK).date()
        text = f"{name}: dividend of {told.amount_usd} USD after the close of {day}: levels moved"
        self._desk.event("POSITION", "INFO", "dividend", text)
