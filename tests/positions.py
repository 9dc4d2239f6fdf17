"""One builder for positions and bars of the exit engine; sessions from 2025-03-03."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from bft.domain import sessions
from bft.domain.trading import Direction, ExitPolicy
from bft.exits import Bar, Close, EntryFill, ExitFill, ExitState, Ordering, at_close, on_bar, opened

FIRST = date(2025, 3, 3)
PLAIN = ExitPolicy(stop_frac=0.05, target_frac=0.10)  # from 100: stop 95, target 110
HALVES = replace(PLAIN, partials=((0.04, 0.5), (0.06, 0.25)))  # 104 and 106


def day(number: int) -> date:
    """Session `number` of a trade, the entry session being 1."""
    return sessions.shift(FIRST, number - 1)


def entry(price: str = "100", qty: str = "100", **other: Any) -> EntryFill:
    values = {
        "direction": Direction.LONG,
        "price_usd": Decimal(price),
        "qty": Decimal(qty),
        "bar_key": FIRST.isoformat(),
        "session": FIRST,
        "at": sessions.open_at(FIRST),
        "at_open": True,
    }
    return EntryFill(**(values | other))


def position(
    policy: ExitPolicy = PLAIN, *, price: str = "100", atr: str | None = None, **other: Any
) -> ExitState:
    return opened(entry(price, **other), policy, None if atr is None else Decimal(atr))


def bar(number: int, prices: str) -> Bar:
    """The daily bar of session `number`; prices are `O H L C`."""
    session = day(number)
    return bar_at(session.isoformat(), session, sessions.close_at(session), prices)


def minute(number: int, at: str, prices: str) -> Bar:
    """An intraday bar ending `at` HH:MM New York of session `number`."""
    session = day(number)
    ends = datetime.combine(session, time.fromisoformat(at), sessions.NEW_YORK).astimezone(UTC)
    return bar_at(f"{ends:%Y%m%dT%H%MZ}", session, ends, prices)


def bar_at(key: str, session: date, ends_at: datetime, prices: str) -> Bar:
    o, h, low, c = map(Decimal, prices.split())
    return Bar(
        bar_key=key,
        session=session,
        ends_at=ends_at,
        open_usd=o,
        high_usd=h,
        low_usd=low,
        close_usd=c,
    )


def ran(
    state: ExitState, *bars: Bar, ordering: Ordering = Ordering.WORST
) -> tuple[ExitState, list[ExitFill]]:
    """A daily strategy's position over bars: checks, then the close."""
    fills: list[ExitFill] = []
    for one in bars:
        state, found = on_bar(state, one, ordering)
        fills += found
        state, _ = at_close(state, Close(bar=one))
    return state, fills


def held(state: ExitState, closes: int) -> ExitState:
    """The position after quiet sessions 1 to `closes` at its entry price."""
    price = state.entry.price_usd
    quiet = [bar(n, f"{price} {price} {price} {price}") for n in range(1, closes + 1)]
    return ran(state, *quiet)[0]


def shown(fills: list[ExitFill] | tuple[ExitFill, ...]) -> list[str]:
    """Fills as `reason qty@price moment`."""
    return [f"{f.reason} {f.qty}@{f.price_usd} {f.moment}" for f in fills]


def later(at: datetime, seconds: int) -> datetime:
    return at + timedelta(seconds=seconds)
