"""Contracts and their markets: what is listed, and at which price."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.domain import sessions
from bft.sim.gateway.catalogue import Catalogue, Wanted
from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import ZERO, Contract, SecType, stock
from bft.sim.gateway.exchange.orders import Quote, is_option
from bft.sim.gateway.prices.control import ControlPrices
from bft.sim.gateway.prices.greeks import Greeks, greeks
from bft.sim.gateway.prices.intraday import draw
from bft.sim.gateway.prices.source import Bar, Prices

Span = tuple[datetime, datetime]
_LOWEST_VIX, _VIX_REACH = 14.0, 10.0  # percent a year: an ordinary year of the index


class Market:
    """Answers for contracts of all kinds; options follow their underlying."""

    def __init__(self, catalogue: Catalogue, prices: Prices) -> None:
        self.catalogue, self.prices = catalogue, prices

    def find(self, wanted: Wanted, at: datetime) -> list[Contract]:
        """Contracts a description fits, in a stable order."""
        today = at.astimezone(sessions.NEW_YORK).date()
        near = None
        if wanted.sec_type == SecType.OPTION and not wanted.con_id:
            under = self.catalogue.stock(wanted.symbol or wanted.local_symbol[:6].strip())
            near = None if under is None else self.reference(under, at)
        return self.catalogue.find(wanted, today=today, near=near)

    def reference(self, under: Contract, at: datetime) -> Decimal | None:
        """Price that the day's strikes lie around: the close before the session."""
        quote = self.prices.quote(under, at)
        if quote is None:
            return None
        live = hours.session_of(under, at) is not None
        return (quote.previous if live and quote.previous > 0 else quote.last) or None

    def quote(self, contract: Contract, at: datetime) -> Quote | None:
        """The market of a contract, or None where there is no price."""
        given = self.prices.quote(contract, at)
        if given is None and is_option(contract):
            return self._option_quote(contract, at)
        if given is None and contract.sec_type is SecType.INDEX:
            return self._index_quote(contract, at)
        return given

    def bars(self, contract: Contract, spans: Sequence[Span]) -> list[Bar]:
        """Bars of spans that lie within a session each; an option's follow its underlying's."""
        under = self.catalogue.stock(contract.symbol)
        if not is_option(contract) or under is None:
            return self.prices.bars(contract, spans)
        return [self._option_bar(contract, bar) for bar in self.prices.bars(under, spans)]

    def head(self, contract: Contract) -> datetime | None:
        """Where history begins, an option's with its underlying's."""
        under = self.catalogue.stock(contract.symbol) if is_option(contract) else None
        return self.prices.head(under or contract)

    def _option_bar(self, contract: Contract, bar: Bar) -> Bar:
        vol = _volatility(contract)
        made = [
            float(contract.rounded(max(greeks(contract, price, vol, bar.end).value, 0.01)))
            for price in (bar.open, bar.high, bar.low, bar.close)
        ]
        high, low = max(made), min(made)
        few = float(round(bar.volume / 10_000))
        return replace(bar, open=made[0], high=high, low=low, close=made[3], volume=few)

    def greeks(self, contract: Contract, at: datetime) -> Greeks | None:
        """Model greeks of an option, or None where its underlying has no price."""
        under = self.catalogue.stock(contract.symbol) or stock(contract.symbol)
        quote = self.prices.quote(under, at)
        if quote is None or quote.last <= 0:
            return None
        return greeks(contract, float(quote.last), _volatility(contract), at)

    def _option_quote(self, contract: Contract, at: datetime) -> Quote | None:
        made = self.greeks(contract, at)
        under = self.catalogue.stock(contract.symbol)
        base = self.prices.quote(under, at) if under is not None else None
        if made is None or base is None:
            return None
        middle = contract.rounded(max(made.value, 0.01))
        half = max(contract.rounded(float(middle) * 0.01), contract.increment(middle))
        size = Decimal(10 + int(40 * draw(contract.local_symbol, at.timestamp())))
        return replace(
            base,
            bid=max(middle - half, ZERO),
            ask=middle + half,
            last=middle,
            bid_size=size,
            ask_size=size,
            last_size=Decimal(1),
            volume=Decimal(100 + int(900 * draw(contract.local_symbol))),
            open=middle,
            high=middle + half,
            low=max(middle - half, ZERO),
            previous=middle,
        )

    def _index_quote(self, contract: Contract, at: datetime) -> Quote | None:
        """An index that the source of prices does not know; prices by hand stay by hand."""
        if isinstance(self.prices, ControlPrices):
            return None
        day = sessions.on_or_before(at.astimezone(sessions.NEW_YORK).date())
        level, before = (
            contract.rounded(_LOWEST_VIX + _VIX_REACH * draw(contract.symbol, session.isoformat()))
            for session in (day, sessions.shift(day, -1))
        )
        return Quote(
            at=at,
            bid=ZERO,
            ask=ZERO,
            last=level,
            bid_size=ZERO,
            ask_size=ZERO,
            last_size=ZERO,
            volume=ZERO,
            open=level,
            high=level,
            low=level,
            previous=before,
        )


def _volatility(contract: Contract) -> float:
    """Yearly volatility of a symbol, 0.20 to 0.55."""
    return 0.20 + 0.35 * draw("vol", contract.symbol)
