"""What a source of prices gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.orders import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Prices from `start` (inclusive) to `end`; USD, volume in shares or contracts."""

    start: datetime
    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def mean(self) -> float:
        """A stand-in for the volume-weighted price."""
        return (self.high + self.low + self.close) / 3


class Prices(Protocol):
    """Prices of stocks and futures by instant; the same question has the same answer."""

    @property
    def names(self) -> Sequence[tuple[str, str]] | None:
        """(symbol, company) of what it can price, or None: whatever the gateway lists."""

    def quote(self, contract: Contract, at: datetime) -> Quote | None:
        """The market at an instant: in a session as it runs, else as it closed. None: unknown."""

    def bars(self, contract: Contract, spans: Sequence[tuple[datetime, datetime]]) -> list[Bar]:
        """One bar per span of session time that has one, in order of the spans."""

    def head(self, contract: Contract) -> datetime | None:
        """Where its history begins."""
