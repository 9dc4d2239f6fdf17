"""When a contract trades: XNYS sessions; index futures nearly around the clock on those days."""

from datetime import date, datetime, time, timedelta

from bft.domain import sessions
from bft.domain.orders import Contract

_EVENING = timedelta(hours=6)  # CME Globex opens at 18:00 New York of the evening before
_FUTURES_CLOSE = time(17)  # and pauses from 17:00 to 18:00


def open_at(contract: Contract, day: date) -> datetime:
    """Opening instant of a contract's session `day`, UTC."""
    if contract.sec_type != "FUT":
        return sessions.open_at(day)
    midnight = datetime.combine(day, time(0), sessions.NEW_YORK)
    return (midnight - _EVENING).astimezone(sessions.open_at(day).tzinfo)


def close_at(contract: Contract, day: date) -> datetime:
    """Closing instant of a contract's session `day`, UTC."""
    if contract.sec_type != "FUT":
        return sessions.close_at(day)
    evening = datetime.combine(day, _FUTURES_CLOSE, sessions.NEW_YORK)
    return evening.astimezone(sessions.open_at(day).tzinfo)


def session_after(contract: Contract, at: datetime) -> date:
    """Session in progress at an instant, else the next one: where a DAY order lives."""
    day = sessions.on_or_after(at.astimezone(sessions.NEW_YORK).date())
    while close_at(contract, day) <= at:
        day = sessions.shift(day, 1)
    return day


def opened(contract: Contract, at: datetime) -> datetime | None:
    """Opening instant of the session in progress, or None while the market is closed."""
    began = open_at(contract, session_after(contract, at))
    return began if began <= at else None
