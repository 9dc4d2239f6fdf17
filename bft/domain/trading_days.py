"""Trading days: the XNYS date; for futures the day that begins at 17:00 Chicago."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bft.domain.sessions import NEW_YORK, is_open, is_session, on_or_after

CHICAGO = ZoneInfo("America/Chicago")
FUTURES_ROLL = time(17)  # executor specification, section 4
FUTURES_BREAK = time(16)  # CME Globex, equity index futures: closed from 16:00 to 17:00 Chicago


def trading_day(at: datetime, *, sec_type: str = "STK") -> date:
    """Session an instant counts to; nights, weekends and holidays count to the next one."""
    if sec_type != "FUT":
        return on_or_after(at.astimezone(NEW_YORK).date())
    local = at.astimezone(CHICAGO)
    return on_or_after(local.date() + timedelta(days=int(local.time() >= FUTURES_ROLL)))


def market_open(at: datetime, *, sec_type: str = "STK") -> bool:
    """Whether a contract trades: shares and options in a session, futures all day but an hour.

    Days without a session are closed for futures too, as are weekends from Friday's 16:00 Chicago
    to Sunday's 17:00; the shorter days that CME trades on holidays are not in the calendar.
    """
    if sec_type != "FUT":
        return is_open(at)
    local = at.astimezone(CHICAGO)
    day = local.date() + timedelta(days=int(local.time() >= FUTURES_ROLL))
    return is_session(day) and not FUTURES_BREAK <= local.time() < FUTURES_ROLL
