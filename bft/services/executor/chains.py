"""What the night stored of an underlying's options: its newest chain, its implied volatilities.

Source: strategies specification, section 7 (IV rank); decision record 0048.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from bft.domain.orders import Contract

RANK_SESSIONS = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRow:
    """One contract at a close; None is unknown. `implied_volatility` is a fraction a year."""

    expiry: date
    right: str
    strike_usd: Decimal
    delta: Decimal | None
    implied_volatility: Decimal | None
    volume: int | None
    open_interest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An underlying's options as stored.

    `rows` are those of `asof`, None where there never was a chain. `volatilities` are at the money
    about 30 days ahead, (session, fraction a year), oldest first, of the last 252 sessions.
    `unread` counts stored parts that were not looked into yet.
    """

    symbol: str
    asof: date | None = None
    rows: tuple[ChainRow, ...] = ()
    volatilities: tuple[tuple[date, Decimal], ...] = ()
    unread: int = 0

    def row(self, contract: Contract) -> ChainRow | None:
        """The row of a contract."""
        place = (contract.expiry, contract.right, contract.strike_usd)
        found = (r for r in self.rows if (r.expiry, r.right, r.strike_usd) == place)
        return next(found, None)


def iv_rank(now: Decimal, history: Sequence[Decimal]) -> Decimal | None:
    """Where a volatility lies between the lowest (0) and the highest (1) of a history.

    Clipped to 0..1; of a flat history 0 at or below it, 1 above. None without a history.
    Source: strategies specification, section 7.
    """
    if not history:
        return None
    low, high = min(history), max(history)
    if now <= low:
        return Decimal(0)
    return Decimal(1) if now >= high else (now - low) / (high - low)
