"""When a contract trades: XNYS sessions; index futures nearly around the clock on those days."""

from datetime import date, datetime, time, timedelta

from bft.domain import sessions
from bft.sim.gateway.exchange.contracts import Contract, SecType

_FUTURE_DAY = timedelta(hours=6)  # Globex opens at 18:00 New York of the day before
_FUTURE_CLOSE = time(17)  # and pauses from 17:00 to 18:00


def session_of(contract: Contract, at: datetime) -> date | None:
    """Session that is in progress for a contract at an instant, or None."""
    local = at.astimezone(sessions.NEW_YORK)
    if contract.sec_type is SecType.FUTURE:
        day = (local + _FUTURE_DAY).date()
        paused = _FUTURE_CLOSE <= local.time() < time(18)
        return day if sessions.is_session(day) and not paused else None
    day = local.date()
    if not sessions.is_session(day):
        return None
    return day if sessions.open_at(day) <= at < sessions.close_at(day) else None


def opens_at(contract: Contract, day: date) -> datetime:
    """Opening instant of a contract's session."""
    if contract.sec_type is SecType.FUTURE:
        midnight = datetime.combine(day, time(0), sessions.NEW_YORK)
        return midnight.astimezone(sessions.open_at(day).tzinfo) - _FUTURE_DAY
    return sessions.open_at(day)


def closes_at(contract: Contract, day: date) -> datetime:
    """Closing instant of a contract's session."""
    if contract.sec_type is SecType.FUTURE:
        evening = datetime.combine(day, _FUTURE_CLOSE, sessions.NEW_YORK)
        return evening.astimezone(sessions.open_at(day).tzinfo)
    return sessions.close_at(day)


def next_close(contract: Contract, at: datetime) -> datetime:
    """The close that ends a DAY order sent at an instant."""
    day = at.astimezone(sessions.NEW_YORK).date()
    day = sessions.on_or_after(day)
    while closes_at(contract, day) <= at:
        day = sessions.shift(day, 1)
    return closes_at(contract, day)


def next_open(contract: Contract, at: datetime) -> datetime:
    """The first opening after an instant."""
    day = sessions.on_or_after(at.astimezone(sessions.NEW_YORK).date())
    while opens_at(contract, day) <= at:
        day = sessions.shift(day, 1)
    return opens_at(contract, day)
