"""The close of a session: trails move, holds count, time exits are decided.

Daily strategies move their trail at the close, as in the backtest: from gold's bar of the session
when the night has built it, else from what the quotes of the day showed.
Source: executor specification, section 6; strategies specification, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from bft import exits
from bft.domain import sessions
from bft.domain.broker import Quote
from bft.domain.orders import Contract
from bft.ledger import entries
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.dividends import Dividends
from bft.services.executor.guard import Guard
from bft.services.executor.reference import DayBar
from bft.services.executor.underlying import on_basis

FALLBACK_BEFORE_OPEN = timedelta(minutes=60)
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Range:
    """Open, high, low, close of quotes seen so far."""

    session: date
    started: datetime
    open_usd: Decimal
    high_usd: Decimal
    low_usd: Decimal
    close_usd: Decimal

    def add(self, price: Decimal) -> None:
        """One more price."""
        self.high_usd = max(self.high_usd, price)
        self.low_usd = min(self.low_usd, price)
        self.close_usd = price

    def last(self) -> "Range":
        """Its last price alone: what came before may be older than a position."""
        price = self.close_usd
        return Range(self.session, self.started, price, price, price, price)


class DayClose:
    """Feeds finished bars to the exit engine, each once."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        self._desk, self._guard = desk, guard
        self._dividends = Dividends(desk, self._close_usd)
        self._days: dict[int, Range] = {}
        self._minutes: dict[int, Range] = {}

    def quoted(self, quote: Quote) -> None:
        """Take a price of a held contract into the bars of the day and of the minute."""
        price, now = quote.mark_usd if quote.mid_usd is not None else None, self._desk.now
        session = now.astimezone(sessions.NEW_YORK).date()
        usable = price is not None and not (quote.frozen or quote.delayed or quote.halted)
        if not usable or price is None or not sessions.is_open(now):
            return
        con_id = quote.contract.con_id
        day = self._days.get(con_id)
        if day is None or day.session != session:
            self._days[con_id] = Range(session, now, price, price, price, price)
        else:
            day.add(price)
        self._minute(con_id, session, now, price)

    def _minute(self, con_id: int, session: date, now: datetime, price: Decimal) -> None:
        """Same-session policies decide on bars of one minute."""
        minute = self._minutes.get(con_id)
        if minute is not None and now - minute.started >= MINUTE:
            for cover in [c for c in self._guard.covers.values() if c.policy.same_session]:
                with self._guard.spared(cover):
                    self._close_minute(cover, minute, con_id)
            minute = None
        if minute is None:
            self._minutes[con_id] = Range(session, now, price, price, price, price)
        else:
            minute.add(price)

    def _close_minute(self, cover: Cover, minute: Range, con_id: int) -> None:
        if cover.state is None:
            return
        began_before = minute.started < cover.state.entry.at
        bar = _bar(minute.last() if began_before else minute, self._desk.now)
        if cover.contract.con_id == con_id:
            self._close(cover, bar, ends_session=False)
        elif cover.under is not None and cover.under.contract.con_id == con_id:
            self._close_under(cover, bar, ends_session=False)

    def turn(self) -> None:
        """Close sessions that are over for every cover that has not seen their close."""
        now = self._desk.now
        last = sessions.last_closed(now)
        self._mark(last)
        for cover in list(self._guard.covers.values()):
            with self._guard.spared(cover):
                self._close_missed(cover, last)

    def _close_missed(self, cover: Cover, last: date) -> None:
        state = cover.state
        if state is None or state.entry.session > last:
            return
        for bar in self._missed(cover.contract, state, last):
            self._close(self._paid(cover.entry, bar.session), bar, ends_session=True)
        if cover.under is not None:
            for bar in self._missed(cover.under.contract, cover.under.state, last):
                self._close_under(self._paid(cover.entry, bar.session), bar, ends_session=True)
        self._paid(cover.entry)

    def _paid(self, entry: str, by: date | None = None) -> Cover:
        """The cover with the dividends up to a day, or all that are due, in its levels."""
        cover = self._guard.covers[entry]
        judged = cover.under.state if cover.under is not None else cover.state
        if judged is not None:
            moved = self._dividends.paid(cover, by or self._dividends.due(judged))
            if moved != cover:
                self._guard.put(moved)
        return self._guard.covers[entry]

    def _mark(self, last: date) -> None:
        """Note what each position was worth at the newest close: the day's loss counts from it."""
        closed = sessions.close_at(last)
        for position in list(self._desk.state.positions.values()):
            at = position.marked_at
            known = position.mark_usd if at is not None and at >= closed else None
            price = self._close_usd(position.contract, last)
            if price is None or price == known or position.opened_at >= closed:
                continue
            account, con_id = position.account, position.con_id
            made = entries.mark(self._desk.now, account=account, con_id=con_id, price_usd=price)
            self._desk.note(made)

    def _close_usd(self, contract: Contract, session: date) -> Decimal | None:
        """Gold's close, until it is built the last quote; on the basis of splits booked since."""
        gold = self._gold(contract, session)
        seen = self._days.get(contract.con_id)
        price = gold.close_usd if gold else None
        if price is None and seen is not None and seen.session == session:
            price = seen.close_usd
        closed = sessions.close_at(session)
        for split in self._desk.state.adjustments.values():
            mine = split.contract.con_id == contract.con_id and split.at >= closed
            if price is not None and split.ratio is not None and mine:
                price /= split.ratio
        return price

    def _gold(self, contract: Contract, session: date) -> DayBar | None:
        """Gold's bar of a share; it knows no other contract."""
        if contract.sec_type != "STK":
            return None
        known = self._desk.reference.bars_of(contract.symbol)
        return next((bar for bar in known if bar.session == session), None)

    def _missed(
        self, contract: Contract, state: exits.ExitState, last: date
    ) -> Iterator[exits.Bar]:
        """Bars of sessions not closed yet, in order.

        A session without a bar that a later one follows was missing: held stands still for it.
        """
        if state.closed_at is not None and state.closed_at >= sessions.close_at(last):
            return
        since = state.closed_at or state.entry.at
        first = sessions.on_or_after(since.astimezone(sessions.NEW_YORK).date())
        for session in sessions.sessions(first, last):
            if state.closed_at and sessions.close_at(session) <= state.closed_at:
                continue
            bar = self._day_bar(contract, session)
            if bar is not None:
                yield bar

    def _day_bar(self, contract: Contract, session: date) -> exits.Bar | None:
        gold = self._gold(contract, session)
        if gold is not None:
            return _gold_bar(gold)
        seen = self._days.get(contract.con_id)
        following = sessions.open_at(sessions.shift(session, 1))
        late = self._desk.now >= following - FALLBACK_BEFORE_OPEN
        if seen is not None and seen.session == session and late:
            return _bar(seen, sessions.close_at(session), key=session.isoformat())
        return None

    def _close(self, cover: Cover, bar: exits.Bar, *, ends_session: bool) -> None:
        if cover.state is None:
            return
        row = exits.Close(bar=bar, ends_session=ends_session)
        state, reason = exits.at_close(exits.observed(cover.state, bar), row)
        if state != cover.state:
            self._guard.put(replace(cover, state=state))
        if reason is not None:
            self._told(cover, reason)

    def _close_under(self, cover: Cover, bar: exits.Bar, *, ends_session: bool) -> None:
        """A bar of an option's underlying: its trail moves, and what it decides is scheduled."""
        if cover.under is None or cover.state is None:
            return
        row = exits.Close(bar=bar, ends_session=ends_session)
        held = on_basis(cover.under, self._desk.reference, bar.session)
        under, reason = exits.at_close(exits.observed(held.state, bar), row)
        state = cover.state if reason is None else exits.schedule(cover.state, reason)
        if reason is not None and state.closed_at is None:  # it leaves at the next open
            state = replace(state, closed_at=bar.ends_at)
        cover = replace(cover, state=state, under=replace(held, state=under))
        self._guard.put(cover)
        if reason is not None:
            self._told(cover, reason)

    def _told(self, cover: Cover, reason: exits.Reason) -> None:
        text = f"{cover.contract.symbol} leaves at the next open: {reason}"
        self._desk.event("POSITION", "INFO", "exit_scheduled", text)


def _gold_bar(bar: DayBar) -> exits.Bar:
    return exits.Bar(
        bar_key=bar.session.isoformat(),
        session=bar.session,
        ends_at=sessions.close_at(bar.session),
        open_usd=bar.open_usd,
        high_usd=bar.high_usd,
        low_usd=bar.low_usd,
        close_usd=bar.close_usd,
    )


def _bar(seen: Range, ends_at: datetime, *, key: str | None = None) -> exits.Bar:
    return exits.Bar(
        bar_key=key or ends_at.isoformat(),
        session=seen.session,
        ends_at=ends_at,
        open_usd=seen.open_usd,
        high_usd=seen.high_usd,
        low_usd=seen.low_usd,
        close_usd=seen.close_usd,
    )
