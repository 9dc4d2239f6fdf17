"""What a held contract is worth: by its newest quote, and whether that is a price of now.

Source: executor specification, sections 4 (day loss) and 14 (QuoteStale); decision record 0101.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from bft.domain import sessions
from bft.domain.broker import FeedLine, Quote
from bft.domain.orders import Contract
from bft.domain.trading_days import CHICAGO, FUTURES_ROLL, market_open, trading_day
from bft.risk.numbers import positive
from bft.services.executor.contracts import is_foreign, name_of
from bft.services.executor.desk import Desk

QUOTE_AGE_S = 60  # so old the quote of a held symbol is stale; some profiles let older ones pass
LINE_S = 60  # a line that was not known to live for so long is dead
QUIET_S = 180  # nor is a line, however alive it looks, that told nothing for so long
AHEAD_S = 2  # by so much clocks may differ


def quoted_usd(desk: Desk, contract: Contract) -> Decimal | None:
    """Mark of the newest quote, however old; one not above zero or not in dollars is none."""
    quote = desk.quote(contract)
    return positive(quote.mark_usd) if quote and not is_foreign(contract) else None


def worth_usd(desk: Desk, contract: Contract) -> Decimal | None:
    """`quoted_usd`, else of a share the last close of gold."""
    if contract.sec_type != "STK" or is_foreign(contract):  # gold's close is of another thing
        return quoted_usd(desk, contract)
    row = desk.reference.row(contract.symbol)
    return quoted_usd(desk, contract) or (row.bar.close_usd if row and row.bar else None)


def worth_now_usd(desk: Desk, contract: Contract) -> Decimal | None:
    """While its market is open a fresh, live quote alone tells; else `worth_usd`."""
    if market_open(desk.now, sec_type=contract.sec_type):
        return None if stale(desk, contract) else quoted_usd(desk, contract)
    return worth_usd(desk, contract)


def stale(desk: Desk, contract: Contract) -> str:
    """Why the newest quote is no price of now, in words; empty: it is."""
    quote, name = desk.quote(contract), name_of(contract)
    if is_foreign(contract):
        return f"{name} is priced in {contract.currency}, not USD; keep it in another account"
    if quote is None or positive(quote.mark_usd) is None:
        return f"no quote of {name}"
    if quote.frozen or quote.delayed:
        return f"quote of {name} {'frozen' if quote.frozen else 'delayed'}"
    age_s = (desk.now - quote.at).total_seconds()
    limit_s = max(QUOTE_AGE_S, desk.profile.max_quote_age_s)
    if age_s < -AHEAD_S:
        return f"quote of {name} is from the future"
    told = f"quote of {name} {age_s:.0f} s old, at most {limit_s}"
    return _unless_alive(desk, quote, told) if age_s > limit_s else ""


def _unless_alive(desk: Desk, quote: Quote, told: str) -> str:
    """What is told of an old quote, and why; empty: its line lives, nothing has changed on it."""
    line = desk.broker.line(quote.contract)
    if line is None:
        return told
    dead = _dead(desk, quote, line)
    return f"{told}: {dead}" if dead else ""


def _dead(desk: Desk, quote: Quote, line: FeedLine) -> str:
    if line.alive_at is None:
        return line.problem
    if quote.at < _opened_at(quote.contract, desk.now):
        return "nothing of it since the open"
    if (desk.now - quote.at).total_seconds() > QUIET_S:
        return f"a line is believed for {QUIET_S} s"
    silent_s = (desk.now - line.alive_at).total_seconds()
    return "" if -AHEAD_S <= silent_s <= LINE_S else f"{desk.broker.name} silent {silent_s:.0f} s"


def _opened_at(contract: Contract, now: datetime) -> datetime:
    """When the running session began: what stood before may be the touch of an earlier one."""
    if contract.sec_type != "FUT":
        return sessions.open_at(trading_day(now))
    local = now.astimezone(CHICAGO)
    began = local.date() - timedelta(days=int(local.time() < FUTURES_ROLL))
    return datetime.combine(began, FUTURES_ROLL, CHICAGO)
