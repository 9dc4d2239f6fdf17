"""Exits of an option that are judged on its underlying, and its end before expiry.

A position of one unit in the underlying is kept beside the premium's, in the same exit engine; it
never fills, it only says when the option has to go. Source: executor specification, section 6;
strategies specification, section 7.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from bft import exits
from bft.domain import sessions
from bft.domain.broker import Quote
from bft.domain.errors import DataError
from bft.domain.orders import Contract, OrderRequest
from bft.domain.trading import Direction, ExitPolicy, Instrument
from bft.services.executor.covers import Cover, Under
from bft.services.executor.desk import Desk
from bft.services.executor.reference import Reference, acted, action_key

QUOTE_AGE_S = 15.0  # an older quote judges nothing
ENTRY_QUOTE_AGE_S = 120.0  # nor does an older one set levels; strategies specification, section 7
MAX_SPREAD_FRAC = Decimal("0.01")  # nor does a wider one
_PASSED = {  # a quote that runs through the session passes a level; it gaps over none
    exits.Reason.STOP_GAP: exits.Reason.STOP,
    exits.Reason.TRAIL_GAP: exits.Reason.TRAIL,
    exits.Reason.TARGET_GAP: exits.Reason.TARGET,
}
BEFORE_CLOSE = timedelta(minutes=10)  # the end of a day begins so long before its close


def stock_of(contract: Contract) -> Contract:
    """The stock an option is on, as it is asked for."""
    return Contract(con_id=0, symbol=contract.symbol)


def under_of(
    desk: Desk, order: OrderRequest, contract: Contract, atr_usd: Decimal | None
) -> Under | None:
    """Exits on the underlying of an option order; None for what is no option.

    Fractions and ATR multiples count from the underlying's price now.

    Raises:
        DataError: its price is not known, or a level lies on the wrong side of it.
    """
    if contract.sec_type != "OPT":
        return None
    stock = desk.contracts.get(stock_of(contract))
    quote = None if stock is None else desk.quote(stock)
    price = quote.mid_usd if quote and _usable(quote, desk.now, ENTRY_QUOTE_AGE_S) else None
    if stock is None or price is None:
        raise DataError(f"{contract.symbol} has no live quote to set the option's levels by")
    long = order.instrument is Instrument.CALL
    _check_side(order, price, sign=1 if long else -1)
    session = sessions.on_or_before(desk.now.astimezone(sessions.NEW_YORK).date())
    entry = exits.EntryFill(
        direction=Direction.LONG if long else Direction.SHORT,
        price_usd=price,
        qty=Decimal(1),
        bar_key=session.isoformat(),
        session=session,
        at=desk.now,
        at_open=False,
        stop_usd=order.stop_price_usd,
        target_usd=order.target_price_usd,
    )
    policy = replace(order.exits or ExitPolicy(), partials=())
    return Under(contract=stock, state=exits.opened(entry, policy, atr_usd))


def judged(desk: Desk, under: Under) -> Under:
    """The exits after the newest quote: a level it reached stays reached."""
    bar = _bar(desk, under)
    if under.reached is not None or bar is None:
        return under
    under = on_basis(under, desk.reference, bar.session)
    fills = exits.wanted(under.state, bar)
    return replace(under, reached=passed(fills[0].reason)) if fills else under


def passed(reason: exits.Reason) -> exits.Reason:
    """The level's own reason where a quote lies beyond it."""
    return _PASSED.get(reason, reason)


def on_basis(under: Under, night: Reference, today: date) -> Under:
    """The exits in the units that the underlying trades in today, by the actions table; once each.

    From its ex-date on a split is in every price. The one unit of the state stays one: it counts
    no shares.
    """
    first = under.state
    for split in night.splits_of(under.contract.symbol):
        past = first.entry.session < split.ex_date <= today
        if past and not acted(under.state.actions, "split", split.ex_date):
            key = action_key("split", split.ex_date)
            scaled = exits.split(under.state, split.ratio, key=key)
            entry = replace(scaled.entry, qty=first.entry.qty)
            under = replace(under, state=replace(scaled, open_qty=first.open_qty, entry=entry))
    return under


def expires_soon(cover: Cover, now: datetime) -> bool:
    """Whether an option has to go: the end of the session before its expiry has begun.

    Trades of one session end with it, also that of the expiry. Source: executor specification,
    section 6, end of day.
    """
    expiry = cover.contract.expiry if cover.contract.sec_type == "OPT" else None
    if expiry is None or cover.policy.same_session:
        return False
    last = sessions.shift(sessions.on_or_before(expiry), -1)
    return now >= sessions.close_at(last) - BEFORE_CLOSE


def _check_side(order: OrderRequest, price: Decimal, *, sign: int) -> None:
    stop, target = order.stop_price_usd, order.target_price_usd
    if stop is not None and sign * (price - stop) <= 0:
        raise DataError(f"stop {stop} is not on the losing side of the underlying's {price}")
    if target is not None and sign * (target - price) <= 0:
        raise DataError(f"target {target} is not on the winning side of the underlying's {price}")


def _usable(quote: Quote, now: datetime, age_s: float) -> bool:
    """Live, fresh and no wider than a price can be read from."""
    live = not (quote.frozen or quote.delayed or quote.halted)
    mid, bid, ask = quote.mid_usd, quote.bid_usd, quote.ask_usd
    if not live or mid is None or bid is None or ask is None:
        return False
    fresh = (now - quote.at).total_seconds() <= age_s
    return fresh and ask - bid <= MAX_SPREAD_FRAC * mid


def _bar(desk: Desk, under: Under) -> exits.Bar | None:
    """The side of the underlying's quote that leaving would meet, as a bar of equal prices."""
    now, quote = desk.now, desk.quote(under.contract)
    if quote is None or not _usable(quote, now, QUOTE_AGE_S) or not sessions.is_open(now):
        return None
    price = quote.bid_usd if under.state.sign > 0 else quote.ask_usd
    if price is None:
        return None
    return exits.Bar(
        bar_key=now.isoformat(),
        session=now.astimezone(sessions.NEW_YORK).date(),
        ends_at=now,
        open_usd=price,
        high_usd=price,
        low_usd=price,
        close_usd=price,
    )
