"""By what the book differs from what the broker last said, like with like.

What the broker says is compared with the book of its own time: a fill that comes after it moves
both. Source: executor specification, section 6 (positions are compared after executions).
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from bft.domain.orders import Contract
from bft.domain.trading_days import trading_day
from bft.ledger.records import Position
from bft.ledger.state import BookState
from bft.services.executor.reference import Split


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


def differences(
    words: Mapping[int, Word],
    state: BookState,
    account: str,
    pending: Callable[[int], Sequence[Split]] = lambda _con_id: (),
) -> Iterator[Difference]:
    """Contracts, by con id, of which the broker's newest word fits no book of its time or later.

    The book of now is one of them: a fill that was told late explains an older word. So does one of
    the `pending` splits, by con id, that the book takes over at the next look.
    """
    for con_id, word in sorted(words.items()):
        books = (state.position_qty(account, con_id), *word.books)
        book = min(books, key=lambda held: abs(word.qty - held))
        if book == word.qty:
            continue
        if not any(held * s.ratio == word.qty for s in pending(con_id) for held in books if held):
            yield Difference(contract=word.contract, book=book, broker=word.qty, at=word.at)


def pending_splits(
    splits: Iterable[Split], held: Position, adjustments: Container[str], today: date
) -> list[Split]:
    """Which of its symbol's splits took effect by `today` and are not in the book yet.

    What was bought on the ex-date or later is in new units already.
    """
    since = trading_day(held.opened_at)
    return [
        split
        for split in splits
        if since < split.ex_date <= today and split_name(held.con_id, split) not in adjustments
    ]


def split_name(con_id: int, split: Split) -> str:
    """Id of the adjustment that a split of a contract becomes."""
    return f"split:{con_id}:{split.ex_date}"


def units(qty: Decimal) -> str:
    """Units without a fraction of zeros: a gateway tells 3343.0."""
    return f"{qty.normalize():f}"
