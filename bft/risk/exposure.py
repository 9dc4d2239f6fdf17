"""What the book already carries, as sums a limit is held against; None where a part is unknown."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from bft.domain.orders import OrderRequest
from bft.domain.trading import Instrument
from bft.risk.context import Context, Holding
from bft.risk.numbers import ZERO, number

NO_SECTOR = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """USD and units that positions and pending entries hold, of the order's class of instrument.

    `held` is the contract itself, `symbol` its underlying. `risk` is initial risk of all;
    `pending_cost` what entries not filled yet still take from available funds.
    """

    held_units: int
    held_usd: Decimal | None
    symbol_usd: Decimal | None
    sector_usd: Decimal | None
    gross_usd: Decimal | None
    risk_usd: Decimal | None
    pending_cost_usd: Decimal | None


def exposure_of(order: OrderRequest, context: Context) -> Exposure | None:
    """Sums over positions and pending entries; None while the book is unknown."""
    book = context.book
    if book.positions is None or book.pending is None:
        return None
    every = (*book.positions, *book.pending)
    same = [h for h in every if _class(h.instrument) == _class(order.instrument)]
    held = [h for h in same if h.symbol == order.symbol]
    sector = context.symbol.sector or NO_SECTOR
    return Exposure(
        held_units=sum(abs(h.qty) for h in held),
        held_usd=_notional(held),
        symbol_usd=_notional(h for h in same if h.underlying == context.symbol.underlying),
        sector_usd=_notional(h for h in same if (h.sector or NO_SECTOR) == sector),
        gross_usd=_notional(same),
        risk_usd=_sum(same, lambda h: h.risk_usd),
        pending_cost_usd=_sum(book.pending, lambda h: h.cost_usd),
    )


def _class(instrument: Instrument) -> str:
    return "option" if instrument.is_option else instrument.value


def _notional(holdings: Iterable[Holding]) -> Decimal | None:
    return _sum(holdings, lambda h: h.notional_usd)


def _sum(
    holdings: Iterable[Holding], amount: Callable[[Holding], Decimal | None]
) -> Decimal | None:
    total = ZERO
    for holding in holdings:
        value = number(amount(holding))
        if value is None:
            return None
        total += abs(value)
    return total
