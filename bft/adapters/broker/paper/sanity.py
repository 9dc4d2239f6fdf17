"""Prices too far from all that is known of a contract: nothing trades on them.

Rule 12 refuses entries on such a quote (executor specification, section 4; strategies, bad input);
here no order fills on it either. Decision record 0155.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.adapters.broker.paper.board import Board
from bft.adapters.broker.paper.books import Books
from bft.adapters.broker.paper.orders import key_of
from bft.adapters.broker.paper.prices import Price, checked
from bft.domain.broker import FAR_FRAC, ErrorKind, ErrorReport
from bft.domain.errors import DataError

if TYPE_CHECKING:
    from bft.ports.broker import BrokerHooks

ODD_PRICE = 163  # TWS API: the price would violate the percentage constraint
TOLD_EVERY = timedelta(seconds=60)  # of a contract; a broken feed sends many a second
LONGEST_SHARE = 15  # characters; what is longer is an OCC symbol
_log = logging.getLogger(__name__)


class Sanity:
    """Judges prices by the newest that was traded on and by the last close of the night."""

    def __init__(self, board: Board, books: Books, hooks: "BrokerHooks") -> None:
        self._board, self._books, self._hooks = board, books, hooks
        self._odd: dict[str, Decimal] = {}
        self._told_at: dict[str, datetime] = {}

    def sound(self, price: Price, at: datetime, *, confirmed: bool) -> Price:
        """The price that was pushed, if it may be traded on, or somebody says that it is real.

        Raises:
            DataError: it is not above zero, crossed, or too far from all that is known.
        """
        text = "" if confirmed else strayed(checked(price), self._known(price.key))
        if text:
            self._tell(price.key, text, at)
            raise DataError(f"{text}; nothing was filled. Confirm it where it is real")
        return checked(price)

    def doubt_polled(self, price: Price, at: datetime) -> str:
        """Why a polled price is not traded on; nobody confirms it, so the next one near it does."""
        before = self._odd.pop(price.key, None)
        text = strayed(price, self._known(price.key))
        if not text or (before is not None and not strayed(price, (before,))):
            return ""
        self._odd[price.key] = price.last_usd
        self._tell(price.key, text, at)
        return text

    def _known(self, key: str) -> list[Decimal]:
        """Sane prices of a contract; of options, which may jump, none."""
        contract = self._board.contract_of(key, self._books.contracts())
        option = contract.sec_type == "OPT" or len(key) > LONGEST_SHARE
        found = (self._board.mark_usd(key), self._hooks.close_usd(contract))
        return [] if option else [price for price in found if price]

    def _tell(self, key: str, text: str, at: datetime) -> None:
        """Put on record, at each order that it would have met, that a price was refused."""
        last = self._told_at.get(key)
        if last is not None and at - last < TOLD_EVERY:
            return
        self._told_at[key] = at
        _log.warning("paper.price_refused symbol=%s reason=%s", key, text)
        orders = [o.placed for o in self._books.open.values()]
        met = [(p.order_id, p.order_ref) for p in orders if key_of(p.contract) == key]
        told = ErrorReport(
            kind=ErrorKind.DATA,
            code=ODD_PRICE,
            text=f"price refused, nothing filled: {text}",
            epoch=self._books.epoch,
        )
        made = [replace(told, order_id=number, order_ref=ref) for number, ref in met]
        for report in made or [told]:
            self._hooks.report(report)


def strayed(price: Price, known: Sequence[Decimal]) -> str:
    """Which number lies too far from every known price, in words; empty: none, or none known."""
    for name, number in _numbers(price) if known else ():
        nearest = min(known, key=lambda one: abs(number / one - 1))
        away = abs(number / nearest - 1)
        if away > FAR_FRAC:
            return (
                f"{price.key}: {name} {number} lies {100 * away:,.0f} % from {nearest}, the "
                f"nearest price known of it (at most {100 * FAR_FRAC:.0f} %)"
            )
    return ""


def _numbers(price: Price) -> Iterator[tuple[str, Decimal]]:
    yield "price", price.last_usd
    yield "bid", price.bid_usd
    yield "ask", price.ask_usd
