"""What ranking goes by besides signals: money, what is held and pending, limits of strategies.

Source: strategies specification, sections 2.3 and 6 (ADR 0120, 0145).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain import sessions
from bft.ports import Store
from bft.steps.sizes import sizes
from bft.steps.standing import Pending, Standing

if TYPE_CHECKING:
    import pandas as pd

    from bft.domain.trading import Signal
    from bft.strategies.ranking import Book

Taken = tuple[str, str, float]
"""Symbol, strategy, value in USD."""
NOMINAL_USD = 100_000.0
"""Equity where nobody tells one (strategies specification, 11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What ranking goes by: money, how many entries, what is on, why entries are only shown.

    `pending` are stored signals of entries that wait for their fill.
    """

    equity_usd: float
    top_n: int
    standing: Standing
    pending: "tuple[Signal, ...]" = ()
    shown_only: Mapping[str, str] | None = None


def equity_of(given_usd: float | None, standing: Standing) -> float:
    """What sizes and sector caps are reckoned from: as given, else the account's own."""
    return given_usd or standing.equity_usd or NOMINAL_USD


def book_of(
    facts: "pd.DataFrame", signals: "Sequence[Signal]", strategies: Sequence[Any], terms: Terms
) -> "Book":
    """The book that signals are judged by.

    Positions and pending entries count whatever strategy they are of, scanned or not. A pending
    entry that is decided here anew is no other one.
    """
    from bft.risk.profiles import EQUITIES, OPTIONS
    from bft.strategies.ranking import Book

    prices = facts["adjusted_close"].to_dict()
    known = [*signals, *(s for s in terms.pending if s.symbol in prices)]
    sized = sizes(facts, known, equity_usd=terms.equity_usd)
    planned = {
        s.signal_id: sized[s.signal_id][0] * float(prices[s.symbol])
        for s in known
        if s.signal_id in sized
    }
    taken = [
        *((h.symbol, h.strategy_id, h.value_usd) for h in terms.standing.held),
        *_waiting(terms, planned, prices, again={s.signal_id for s in signals}),
    ]
    unreadable = dict.fromkeys((s.id for s in strategies), "positions_unreadable")
    return Book(
        equity_usd=terms.equity_usd,
        max_positions=max(s.params.max_positions for s in strategies),
        min_confidence={
            instrument: float(profile.min_confidence or 0)
            for profile in (EQUITIES, OPTIONS)
            for instrument in profile.instruments
        },
        open_usd=_by_symbol(taken),
        cooling=terms.standing.cooling,
        allow_short=frozenset(s.id for s in strategies if s.params.allow_short),
        notional_usd=planned,
        drift_frac={s.id: s.params.max_drift_frac for s in strategies},
        places={s.id: s.params.max_positions for s in strategies},
        open_by=frozenset((symbol, strategy_id) for symbol, strategy_id, _ in taken),
        shown_only=unreadable if terms.standing.error else terms.shown_only or {},
    )


def still_waiting(store: Store, asof: date, standing: Standing) -> "tuple[Signal, ...]":
    """Entries of the session before asof that the book says still wait at its close."""
    if not standing.pending:
        return ()
    return tuple(standing.waiting(stored_entries(store, sessions.shift(asof, -1))))


def stored_entries(store: Store, asof: date) -> "list[tuple[Signal, str]]":
    """Entries of asof, of the close and of scans since, with their tags; each id once."""
    from bft.strategies.tables import signals_of

    manifest = store.manifest("signals", asof=asof)
    names = [ref.partition for ref in manifest.objects] if manifest else []
    parts = [name for name in names if name.startswith(f"asof={asof},")]
    table = store.read("signals", asof=asof, partitions=parts)
    pairs = zip(signals_of(table), table["slot"].to_pylist(), table["tag"].to_pylist(), strict=True)
    found: dict[str, tuple[Signal, str]] = {}
    for signal, _, tag in sorted(pairs, key=lambda each: each[1] != "close"):
        if signal.kind == "entry":
            found.setdefault(signal.signal_id, (signal, tag))
    return list(found.values())


def _waiting(
    terms: Terms, planned: Mapping[str, float], prices: Mapping[Any, Any], *, again: set[str]
) -> Iterator[Taken]:
    """Pending entries with the value they are to have: as sent, else as sized here."""
    told = {each.signal_id: each for each in terms.standing.pending or () if each.symbol}
    for each in told.values():
        if each.signal_id not in again:
            yield str(each.symbol), each.strategy_id, _value(each, prices)
    for signal in terms.pending:
        if signal.signal_id not in again | told.keys():
            yield signal.symbol, signal.strategy_id, planned.get(signal.signal_id, 0.0)


def _value(each: Pending, prices: Mapping[Any, Any]) -> float:
    """Units at the order's price; one at the market, at the last close where gold has it."""
    price = prices.get(each.symbol, 0.0) if each.price_usd is None else each.price_usd
    return each.units * float(price)


def _by_symbol(taken: Iterable[Taken]) -> dict[str, float]:
    found: dict[str, float] = {}
    for symbol, _, value_usd in taken:
        found[symbol] = found.get(symbol, 0.0) + value_usd
    return found
