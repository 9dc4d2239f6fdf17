"""Levels of positions watched on live quotes, beside the orders that rest at them.

Source: executor specification, section 7.3 (second guarantee), and strategies specification,
sections 3.2 and 3.3 (partials).
"""

from bft import exits
from bft.domain.trading_days import market_open, trading_day
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.underlying import passed

BREACH_S, QUOTE_AGE_S = 10.0, 15.0  # a level passed so long closes; an older quote judges nothing


class Levels:
    """Tells which level the market has passed; remembers since when."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._since_s: dict[str, float] = {}

    def reached(self, cover: Cover) -> tuple[int, exits.Reason | None]:
        """Units that a partial takes now, and why all of the cover has to leave (None: it stays).

        No order rests at a partial, so the first price beyond it counts; stop and target have
        theirs, which get `BREACH_S` to fill.
        """
        bar = self._bar(cover)
        fills = exits.wanted(cover.state, bar) if cover.state and bar else ()
        partial = exits.Reason.PARTIAL
        rest = [fill.reason for fill in fills if fill.reason is not partial]
        if not rest:
            self._since_s.pop(cover.entry, None)
            return int(sum(fill.qty for fill in fills)), None
        now_s = self._desk.timer()
        since_s = self._since_s.setdefault(cover.entry, now_s)
        return 0, passed(rest[0]) if now_s - since_s >= BREACH_S else None

    def _bar(self, cover: Cover) -> exits.Bar | None:
        """A fresh quote as a bar of four equal prices; the side that closing would meet."""
        now, quote = self._desk.now, self._desk.quote(cover.contract)
        if quote is None or quote.mid_usd is None or quote.frozen or quote.delayed or quote.halted:
            return None
        price = quote.bid_usd if cover.sign > 0 else quote.ask_usd
        sec_type = cover.contract.sec_type
        fresh = (now - quote.at).total_seconds() <= QUOTE_AGE_S
        if price is None or not fresh or not market_open(now, sec_type=sec_type):
            return None
        return exits.Bar(
            bar_key=now.isoformat(),
            session=trading_day(now, sec_type=sec_type),
            ends_at=now,
            open_usd=price,
            high_usd=price,
            low_usd=price,
            close_usd=price,
        )
