"""The journal against the tables: replaying one must give the other, row for row."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bft.domain.journal import TABLES, Entry, RowChange
from bft.ledger.fold import apply
from bft.ledger.state import BookState

Key = tuple[Any, ...]
PRUNED = frozenset({"broker_snapshots"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that the journal and the tables tell differently; None is absent."""

    table: str
    key: Key
    replayed: Mapping[str, Any] | None
    stored: Mapping[str, Any] | None

    def __str__(self) -> str:
        named = f"{self.table} {'/'.join(str(part) for part in self.key)}"
        if self.replayed is None or self.stored is None:
            return f"{named}: only in the {'tables' if self.replayed is None else 'journal'}"
        names = sorted(k for k, v in self.replayed.items() if self.stored.get(k) != v)
        parts = (f"{k} {self.stored.get(k)!r}, journal {self.replayed[k]!r}" for k in names)
        return f"{named}: {'; '.join(parts)}"

    @property
    def repair(self) -> RowChange:
        """The change that makes the table say what the journal says."""
        key = dict(zip(TABLES[self.table].key, self.key, strict=True))
        return RowChange(table=self.table, key=key, row=self.replayed, stored=True)


def rows_of(entries: Iterable[Entry]) -> dict[str, dict[Key, Mapping[str, Any]]]:
    """Every table as the entries give it, by key."""
    state = BookState()
    tables: dict[str, dict[Key, Mapping[str, Any]]] = {name: {} for name in TABLES}
    for entry in entries:
        for change in apply(state, entry):
            key, values = tuple(change.key.values()), change.values
            if values is None:
                tables[change.table].pop(key, None)
            else:
                tables[change.table][key] = values
    return tables


def compare(
    entries: Iterable[Entry], stored: Callable[[str], Sequence[Mapping[str, Any]]]
) -> list[Difference]:
    """What all tables tell otherwise than the journal; `stored` gives the rows of one."""
    return [
        difference
        for table, replayed in rows_of(entries).items()
        for difference in differences(table, replayed, stored(table))
    ]


def differences(
    table: str, replayed: Mapping[Key, Mapping[str, Any]], stored: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    """Rows of one table that differ, by key; rows that age removes may be absent."""
    names = TABLES[table].key
    found = {tuple(row[name] for name in names): row for row in stored}
    for key in sorted(replayed.keys() | found.keys(), key=repr):
        told, kept = replayed.get(key), found.get(key)
        if kept is None and table in PRUNED:
            continue
        if told is None or kept is None or any(kept.get(k) != v for k, v in told.items()):
            yield Difference(table=table, key=key, replayed=told, stored=kept)
