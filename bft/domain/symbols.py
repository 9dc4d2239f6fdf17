"""Symbols, symbol lists and renames (data specification, section 6)."""

import csv
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

from bft.domain.errors import DataError

PATTERN = re.compile(r"[A-Z][A-Z0-9]{0,5}(-[A-Z]{1,2})?")
NEVER = date(1900, 1, 1)
"""End of an entry that was replaced by one with other days: before all sessions."""
_HEADERS = {
    "ticker": "symbol",
    "security": "name",
    "company": "name",
    "isetf": "is_etf",
    "etf": "is_etf",
    "gics_sector": "sector",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One line of a symbol list; `to_on` is exclusive, None without membership by day."""

    symbol: str
    name: str | None = None
    sector: str | None = None
    industry: str | None = None
    is_etf: bool = False
    from_on: date | None = None
    to_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolList:
    """Members in file order without repeats, and the lines that were none: `file:line: text`."""

    members: tuple[Member, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A symbol whose history goes on under another name from `on`."""

    old: str
    new: str
    on: date


def symbol_of(text: str) -> str | None:
    """Symbol in its stored spelling, or None where the text is none."""
    word = text.strip().upper().replace(".", "-").replace("/", "-")
    return word if PATTERN.fullmatch(word) else None


def read_list(text: str, *, origin: str) -> SymbolList:
    """Read a symbol file: CSV with a header, one symbol a line, or a broker's export.

    Raises:
        DataError: no line holds a symbol.
    """
    lines = [(n, cells) for n, cells in _rows(text) if not cells[0].startswith("#")]
    place = next((k for k, (_, cells) in enumerate(lines) if _columns(cells).get("symbol")), None)
    columns = ["symbol"]
    titles: list[tuple[int, list[str]]] = []
    if place is not None:
        columns = [column_name(cell) for cell in lines[place][1]]
        titles, lines = lines[:place], lines[place + 1 :]
    refused = [_shown(origin, n, cells) for n, cells in titles]
    members: dict[tuple[str, date | None], Member] = {}
    for n, cells in lines:
        member = member_of(dict(zip(columns, cells, strict=False)))
        if member is None:
            refused.append(_shown(origin, n, cells))
        else:
            members.setdefault((member.symbol, member.from_on), member)
    if not members:
        raise DataError(f"{origin}: no line holds a symbol such as AAPL; first: {refused[:3]}")
    return SymbolList(members=tuple(members.values()), refused=tuple(refused))


def member_of(cells: Mapping[str, object]) -> Member | None:
    """Member from cells by column name, or None where the symbol is none.

    Raises:
        DataError: from or to is no ISO date.
    """
    symbol = symbol_of(str(cells.get("symbol") or ""))
    if symbol is None:
        return None
    return Member(
        symbol=symbol,
        name=_text(cells.get("name")),
        sector=_text(cells.get("sector")),
        industry=_text(cells.get("industry")),
        is_etf=str(cells.get("is_etf") or "").strip().lower() in {"1", "1.0", "true", "yes", "y"},
        from_on=_day(cells.get("from"), symbol),
        to_on=_day(cells.get("to"), symbol),
    )


def column_name(cell: str) -> str:
    """Column a header cell means: any case, spaces as underscores, aliases resolved."""
    word = re.sub(r"[\s.]+", "_", cell.strip().lower())
    return _HEADERS.get(word, word)


def read_renames(text: str, *, origin: str) -> tuple[Rename, ...]:
    """Read a renames file (old, new, date), oldest first.

    Raises:
        DataError: a line that holds no two symbols and a date.
    """
    found = []
    for n, cells in _rows(text):
        if cells[0].startswith("#") or [cell.lower() for cell in cells] == ["old", "new", "date"]:
            continue
        old, new = (symbol_of(cell) for cell in (*cells[:2], "", "")[:2])
        if len(cells) < 3 or old is None or new is None:
            raise DataError(f"{_shown(origin, n, cells)}: give old,new,date, as FB,META,2022-06-09")
        found.append(Rename(old=old, new=new, on=_day(cells[2], old) or date.min))
    return tuple(sorted(found, key=lambda r: (r.on, r.old)))


def newest_entries(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the universe as they stand: of each entry (symbol, from) the newest revision.

    Entries that never were are left out.
    """
    ordered = sorted(rows, key=lambda row: row["revision"])
    newest = {(row["symbol"], row["from"]): row for row in ordered}
    return [row for row in newest.values() if row["to"] != NEVER]


def renamed(symbol: str, renames: Sequence[Rename], *, asof: date) -> str:
    """Name a symbol bears at `asof`."""
    for rename in renames:
        if rename.old == symbol and rename.on <= asof:
            symbol = rename.new
    return symbol


def _rows(text: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(), skipinitialspace=True)
    for cells in reader:
        trimmed = [cell.strip() for cell in cells]
        if any(trimmed):
            yield reader.line_num, trimmed


def _columns(cells: Sequence[str]) -> dict[str, int]:
    return {column_name(cell): n + 1 for n, cell in enumerate(cells)}


def _text(value: object) -> str | None:
    text = str(value).strip() if value is not None else ""
    return text or None


def _day(value: object, symbol: str) -> date | None:
    if isinstance(value, date) or value is None or not str(value).strip():
        return value if isinstance(value, date) else None
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise DataError(f"{symbol}: {value!r} is no ISO date such as 2025-01-06") from None


def _shown(origin: str, line: int, cells: Sequence[str]) -> str:
    return f"{origin}:{line}: {','.join(cells)[:60]}"


def not_among(symbol: str, known: Collection[str]) -> str:
    """That a root does not hold a symbol, and which of its own are near, or its first ones."""
    near = get_close_matches(symbol, sorted(known), n=3)
    if near:
        return f"{symbol} is not in the root; did you mean {' or '.join(near)}?"
    some = ", ".join(sorted(known)[:3])
    return f"{symbol} is not in the root" + (
        f"; it holds {some} and others" if some else ", which holds no symbol yet"
    )
