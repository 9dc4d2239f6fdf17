"""Trading days: the XNYS date; for futures the day that begins at 17:00 Chicago."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bft.domain.sessions import NEW_YORK, on_or_after

CHICAGO = ZoneInfo("America/Chicago")
FUTURES_ROLL = time(17)  # executor specification, section 4


def trading_day(at: datetime, *, sec_type: str = "STK") -> date:
    """Session an instant counts to; nights, weekends and holidays count to the next one."""
    if sec_type != "FUT":
        return on_or_after(at.astimezone(NEW_YORK).date())
    local = at.astimezone(CHICAGO)
    return on_or_after(local.date() + timedelta(days=int(local.time() >= FUTURES_ROLL)))
