"""Ticker changes overnight: what is held under a contract id that now has another name.

The position goes on under its id. A change that the night's universe confirms is told once; one
that nothing confirms fences the symbol. Source: executor specification, section 6 and F20.
"""

from bft.domain.orders import Contract
from bft.services.executor.desk import Desk
from bft.services.executor.fencing import fence

TICKER_CHANGE = "ticker_change"  # rule of the halt
_HAVE_NAMES = frozenset({"STK", "OPT"})  # a future's code says its month


class Tickers:
    """Compares the names of what is held by book and broker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def check(self, held: Contract, symbol: str) -> None:
        """`symbol` is how the broker spells what the book holds as `held`."""
        night = self._desk.reference
        if symbol == held.symbol or held.sec_type not in _HAVE_NAMES or night.gold_asof is None:
            return
        if night.name_now(held.symbol) == symbol:
            self._tell(f"{held.symbol} is {symbol} now, by the universe; contract {held.con_id}")
            return
        why = f"{held.symbol} is held as {symbol} at the broker, and no universe tells of a change"
        told = (halt.reason for halt in self._desk.state.halts.values())
        if why not in told:  # a person who resumed has seen it
            fence(self._desk, held.symbol, rule=TICKER_CHANGE, why=why, alert="PositionMismatch")

    def _tell(self, text: str) -> None:
        if all(event.message != text for event in self._desk.state.events):
            self._desk.event("POSITION", "INFO", "ticker", text)
