"""Rules 9 to 12: is the market open to entries, do clocks agree, is what was seen still so.

Source: executor specification, section 4; strategies specification, sections 5 and 8.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from bft.domain import sessions, xnys
from bft.domain.broker import FAR_FRAC, Quote
from bft.domain.encoding import money_text
from bft.domain.trading import Instrument
from bft.domain.trading_days import trading_day
from bft.risk.case import Case
from bft.risk.finding import PASSED, Finding, blocked, judged, missing, passed
from bft.risk.numbers import positive, seconds
from bft.risk.profiles import DAY_TRADE, Profile
from bft.risk.windows import closed_because, new_york_date, zone

FIRST, LAST = date.fromisoformat(xnys.FIRST), date.fromisoformat(xnys.LAST)
SKEW_S, SKEW_SAMPLES = 2.0, 3
BAR_AGE_S, SIGNAL_AGE_S, AHEAD_S = 120.0, 300.0, 5.0
SESSIONS_AHEAD = 10


def session(case: Case) -> Finding:
    """9: no session, outside the entry windows, inside a no-trade band."""
    at, profile = case.context.at, case.profile
    if profile.ignore_session:
        return passed("ignore_session")
    if not FIRST < new_york_date(at) < LAST:
        return missing("calendar")
    problem = closed_because(
        at,
        profile.times,
        close_decided=case.order.close_decided,
        day_trade=case.order.strategy_type == DAY_TRADE,
    )
    problem = problem or _outside_hours(profile, at)
    return blocked(problem) if problem else PASSED


def entries_open(profile: Profile, at: datetime) -> bool:
    """Whether any entry window is open, that of close-decided orders before the open included."""
    return any(_admits(profile, at, close_decided=early) for early in (False, True))


def entries_from(profile: Profile, at: datetime, *, close_decided: bool) -> datetime | None:
    """From when entries of that kind may leave: `at` where they may, else within ten sessions."""
    if _admits(profile, at, close_decided=close_decided):
        return at
    first = sessions.on_or_after(new_york_date(at))
    days = [sessions.shift(first, number) for number in range(SESSIONS_AHEAD)]
    starts = sorted(start for day in days for start in _starts(profile, day))
    later = (start for start in starts if start > at)
    return next((s for s in later if _admits(profile, s, close_decided=close_decided)), None)


def _admits(profile: Profile, at: datetime, *, close_decided: bool) -> bool:
    if profile.ignore_session:
        return True
    closed = closed_because(at, profile.times, close_decided=close_decided, day_trade=False)
    return closed is None and not _outside_hours(profile, at)


def _starts(profile: Profile, day: date) -> Iterator[datetime]:
    """Instants of a session at which a window of a profile may begin."""
    opens, times = sessions.open_at(day), profile.times
    yield opens - timedelta(minutes=times.before_open_min or 0)
    yield opens + timedelta(minutes=times.after_open_min or 0)
    for hours in profile.hours:
        midnight = datetime.combine(day, time(), zone(hours.timezone))
        for window in hours.windows:
            yield midnight + timedelta(minutes=window.start_min)


def clock(case: Case) -> Finding:
    """10: the gateway's clock differs on 3 samples in a row, or there is no sample."""
    recent = [seconds(skew) for skew in case.context.skews_s[-SKEW_SAMPLES:]]
    known = [abs(skew) for skew in recent if skew is not None]
    if not recent or len(known) < len(recent):
        return missing("clock difference", SKEW_S)
    off = len(known) == SKEW_SAMPLES and min(known) > SKEW_S
    return judged(not off, known[-1], SKEW_S, "clock differs")


def signal_age(case: Case) -> Finding:
    """11: decided on old bars, features or closes; expired."""
    order, at = case.order, case.context.at
    if order.expires_at is not None and at >= order.expires_at:
        return blocked("expired", order.expires_at.isoformat())
    return _close_decided(case) if order.close_decided else _intraday(case)


def quote(case: Case) -> Finding:
    """12: quote missing, old, not above zero, crossed, frozen or delayed."""
    found, limit_s = case.context.quote, case.profile.max_quote_age_s
    if case.pre_open:
        mid = case.touch.mid
        return passed("pre_open", None if mid is None else money_text(mid))
    if found is None:
        return missing("quote")
    problem = _quote_problem(case, found)
    if problem is not None:
        return problem
    if case.touch.mid is None:
        return missing("bid or ask")
    age_s = (case.context.at - found.at).total_seconds()
    if age_s < -SKEW_S:
        return missing("age of the quote, which is from the future,", limit_s)
    return judged(age_s <= limit_s, age_s, limit_s, "quote too old")


def _outside_hours(profile: Profile, at: datetime) -> str:
    if any(not hours.admit(at) for hours in profile.hours):
        return "outside the session windows"
    if any(band.admit(at) for band in profile.no_trade):
        return "inside a no-trade band"
    return ""


def _close_decided(case: Case) -> Finding:
    order, data = case.order, case.context.data
    newest = sessions.last_closed(case.context.at)
    needs_forecast = order.set_digest is not None or case.profile.require_model_gate
    for name, asof in (("asof", order.asof), ("gold asof", data.gold_asof)):
        if asof is None:
            return missing(name, newest.isoformat())
        if asof != newest:
            return blocked(f"{name} is not the last session", asof.isoformat(), newest.isoformat())
    if data.forecast_asof is None:
        return missing("forecast asof") if needs_forecast else PASSED
    same = data.forecast_asof == newest
    return judged(same, data.forecast_asof.isoformat(), newest.isoformat(), "forecast asof differs")


def _intraday(case: Case) -> Finding:
    order, data = case.order, case.context.data
    future = order.instrument is Instrument.FUTURE
    running = trading_day(case.context.at, sec_type="FUT" if future else "STK")
    before = sessions.shift(running, -1)
    if order.asof is not None and not before <= order.asof <= running:
        late = order.asof < before
        which, limit = ("too old", before) if late else ("of the future", running)
        return blocked(f"asof is {which}", order.asof.isoformat(), limit.isoformat())
    decided = order.decided_at or (None if order.is_signal else order.created_at)
    signal_age_s = (case.context.at - decided).total_seconds() if decided else None
    ages = [("signal", signal_age_s, SIGNAL_AGE_S)]
    if data.uses_bars:
        ages.append(("bar", seconds(data.bar_age_s), BAR_AGE_S))
    if data.uses_features:
        ages.append(("feature", seconds(data.feature_age_s), SIGNAL_AGE_S))
    for name, age_s, limit_s in ages:
        if age_s is None:
            return missing(f"age of the {name}", limit_s)
        if not -AHEAD_S <= age_s <= limit_s:
            which = "is too old" if age_s > 0 else "is from the future"
            return blocked(f"{name} {which}", age_s, limit_s)
    return PASSED


def _quote_problem(case: Case, found: Quote) -> Finding | None:
    if found.frozen or found.delayed:
        return blocked("quote frozen" if found.frozen else "quote delayed")
    sides = (found.bid_usd, found.ask_usd)
    low = [side for side in sides if side is not None and side.is_finite() and side <= 0]
    if low:
        return blocked("bid or ask not above zero", min(low), 0)
    bid, ask, mid = case.touch.bid, case.touch.ask, case.touch.mid
    if bid is not None and ask is not None and bid > ask:
        return blocked("quote crossed", bid, ask)
    close = positive(case.context.symbol.last_close_usd)
    if case.order.instrument.is_option or mid is None or close is None:
        return None
    away = abs(mid / close - 1)
    if away <= FAR_FRAC:
        return None
    note = f"quote {money_text(mid)} more than 40 % from the last close {money_text(close)}"
    return blocked(note, away, FAR_FRAC)
