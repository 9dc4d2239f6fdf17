"""By what the book differs from what the broker last said, like with like.

What the broker says is compared with the book of its own time: a fill that comes after it moves
both. Source: executor specification, section 6 (positions are compared after executions).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Contract
from bft.ledger.state import BookState


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Units of a contract as the broker said at an instant.

    `books` are the units that the book held when the broker was asked, or was heard, and when what
    it said was compared: a fill between them is in it or not.
    """

    contract: Contract
    qty: Decimal
    at: datetime
    books: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Units of one contract by book and broker, and since when the broker's are known."""

    contract: Contract
    book: Decimal
    broker: Decimal
    at: datetime

    @property
    def qty(self) -> Decimal:
        """Units by which they differ."""
        return abs(self.broker - self.book)


def differences(words: Mapping[int, Word], state: BookState, account: str) -> Iterator[Difference]:
    """Contracts, by con id, of which the broker's newest word fits no book of its time or later.

    The book of now is one of them: a fill that was told late explains an older word.
    """
    for con_id, word in sorted(words.items()):
        books = (state.position_qty(account, con_id), *word.books)
        book = min(books, key=lambda held: abs(word.qty - held))
        if book != word.qty:
            yield Difference(contract=word.contract, book=book, broker=word.qty, at=word.at)


def units(qty: Decimal) -> str:
    """Units without a fraction of zeros: a gateway tells 3343.0."""
    return f"{qty.normalize():f}"
