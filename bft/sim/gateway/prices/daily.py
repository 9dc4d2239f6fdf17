"""Quotes and bars of any size from daily bars."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from bft.domain import sessions
from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.orders import Quote, is_option
from bft.sim.gateway.prices import intraday
from bft.sim.gateway.prices.intraday import DayBar, draw
from bft.sim.gateway.prices.source import Bar

_HALF_SPREAD_FRAC = 0.0001  # of the price, at least half an increment
_LOTS = 8  # displayed size: 1 to 8 lots of 100


class Days(Protocol):
    """Daily bars by symbol."""

    @property
    def names(self) -> Sequence[tuple[str, str]] | None:
        """What there is, or None for anything."""

    @property
    def seed(self) -> int:
        """Seeds the path within a session."""

    def day(self, symbol: str, session: date) -> DayBar | None:
        """Bar of a session, or None."""

    def first(self, symbol: str) -> date | None:
        """First session with a bar."""


class DailyPrices:
    """Prices whose sessions follow given daily bars."""

    def __init__(self, days: Days) -> None:
        self.days = days

    @property
    def names(self) -> Sequence[tuple[str, str]] | None:
        """See `Prices`."""
        return self.days.names

    def quote(self, contract: Contract, at: datetime) -> Quote | None:
        """See `Prices`."""
        if is_option(contract):
            return None
        session = hours.session_of(contract, at)
        share = 1.0
        if session is None:
            session = _last_session(contract, at)
        else:
            share = _share(contract, session, at)
        bar = self.days.day(contract.symbol, session)
        return None if bar is None else self._quoted(contract, bar, share, session, at)

    def _quoted(
        self, contract: Contract, bar: DayBar, share: float, session: date, at: datetime
    ) -> Quote:
        name = f"{self.days.seed}/{contract.symbol}/{session}"
        exact = intraday.price(bar, share, name)
        low, high = intraday.extremes(bar, 0.0, share, name) if share else (exact, exact)
        last = contract.rounded(exact)
        half = max(contract.rounded(exact * _HALF_SPREAD_FRAC), contract.increment(last))
        lots = [1 + int(_LOTS * draw(name, at.timestamp(), side)) for side in ("bid", "ask")]
        return Quote(
            at=at,
            bid=last - half,
            ask=last + half,
            last=last,
            bid_size=Decimal(100 * lots[0]),
            ask_size=Decimal(100 * lots[1]),
            last_size=Decimal(100),
            volume=Decimal(round(intraday.volume(bar, 0.0, share))),
            open=contract.rounded(bar.open),
            high=contract.rounded(high),
            low=contract.rounded(low),
            previous=contract.rounded(bar.previous),
        )

    def bars(self, contract: Contract, spans: Sequence[tuple[datetime, datetime]]) -> list[Bar]:
        """See `Prices`."""
        found = (self._bar(contract, start, end) for start, end in spans)
        return [bar for bar in found if bar is not None]

    def _bar(self, contract: Contract, start: datetime, end: datetime) -> Bar | None:
        session = hours.session_of(contract, start)
        bar = None if session is None else self.days.day(contract.symbol, session)
        if session is None or bar is None:
            return None
        since, until = (_share(contract, session, at) for at in (start, end))
        name = f"{self.days.seed}/{contract.symbol}/{session}"
        low, high = intraday.extremes(bar, since, until, name)
        return Bar(
            start=start,
            end=end,
            open=float(contract.rounded(intraday.price(bar, since, name))),
            high=float(contract.rounded(high)),
            low=float(contract.rounded(low)),
            close=float(contract.rounded(intraday.price(bar, until, name))),
            volume=float(round(intraday.volume(bar, since, until))),
        )

    def head(self, contract: Contract) -> datetime | None:
        """See `Prices`."""
        first = self.days.first(contract.symbol)
        return None if first is None else hours.opens_at(contract, first)


def _last_session(contract: Contract, at: datetime) -> date:
    day = sessions.on_or_before(at.astimezone(sessions.NEW_YORK).date())
    while hours.closes_at(contract, day) > at:
        day = sessions.shift(day, -1)
    return day


def _share(contract: Contract, session: date, at: datetime) -> float:
    opened, closed = hours.opens_at(contract, session), hours.closes_at(contract, session)
    return min(max((at - opened) / (closed - opened), 0.0), 1.0)
