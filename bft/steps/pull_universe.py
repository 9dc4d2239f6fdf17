"""Whom a pull asks about: symbol lists, renames, watch order, sectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import pandas as pd

from bft.domain.delivery import Skips
from bft.domain.errors import DataError
from bft.domain.market import EXCLUDED, sector_of
from bft.domain.symbols import Member, Rename, read_list, read_renames, renamed, symbol_of
from bft.steps.lists import renames_beside

SHIPPED = files("bft") / "universe"
"""Dated example lists: sp500.csv, watchlist.csv, renames.csv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """Members in rank order under their names at asof, the watched ones in order, and renames."""

    members: tuple[Member, ...]
    watch: tuple[str, ...]
    renames: tuple[Rename, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Distinct symbols in rank order."""
        return tuple(dict.fromkeys(m.symbol for m in self.members))

    @property
    def stocks(self) -> tuple[str, ...]:
        """Distinct symbols that are no fund."""
        funds = {m.symbol for m in self.members if m.is_etf}
        return tuple(s for s in self.symbols if s not in funds)

    def active(self, asof: date) -> tuple[str, ...]:
        """Members at asof."""
        return tuple(dict.fromkeys(m.symbol for m in self.members if _member_at(m, asof)))


def universe_of(
    *,
    listed: str | None,
    watched: str | None,
    own: Sequence[Member] | None,
    asof: date,
    skips: Skips,
) -> Universe:
    """Union of a symbol list and a watchlist.

    `own` is the source's list, used where no file is named; without it the shipped lists count.
    `watched` is a file, or `all`.

    Raises:
        DataError: a file is absent or holds no symbol.
    """
    renames = _renames(listed)
    shipped = own is None and listed is None
    members = list(own or ()) if listed is None else _file(listed, skips)
    if shipped:
        members = _shipped("sp500.csv", skips)
    if watched not in {None, "all"}:
        watch = _file(str(watched), skips)
    elif shipped:
        watch = _shipped("watchlist.csv", skips)
    else:
        watch = members if watched == "all" else []
    return Universe(
        members=tuple(_united([*members, *watch], renames, asof)),
        watch=tuple(dict.fromkeys(m.symbol for m in _united(watch, renames, asof))),
        renames=renames,
    )


def chosen(symbols: str | None) -> tuple[str, ...] | None:
    """Symbols of a comma-separated argument.

    Raises:
        DataError: one is no symbol.
    """
    if symbols is None:
        return None
    words = [word for word in symbols.split(",") if word.strip()]
    odd = [word for word in words if symbol_of(word) is None]
    if odd or not words:
        raise DataError(f"--symbols {symbols}: {odd} is no symbol; give --symbols AAPL,BRK-B")
    return tuple(dict.fromkeys(str(symbol_of(word)) for word in words))


def universe_frame(universe: Universe, symbols: Iterable[str], *, notes: list[str]) -> pd.DataFrame:
    """Rows of the universe table; a sector that names none is noted."""
    place = {symbol: n for n, symbol in enumerate(universe.watch)}
    old = {rename.new: rename.old for rename in universe.renames}
    wanted = set(symbols)
    members = [m for m in universe.members if m.symbol in wanted]
    odd = {m.sector for m in members if m.sector and sector_of(m.sector) is None}
    notes += [f"no sector is called {text!r}" for text in sorted(map(str, odd))]
    rows: Mapping[str, list[object]] = {
        "symbol": [m.symbol for m in members],
        "from": [m.from_on for m in members],
        "to": [m.to_on for m in members],
        "name": [m.name for m in members],
        "sector": [sector_of(m.sector) for m in members],
        "industry": [m.industry for m in members],
        "renamed_from": [old.get(m.symbol) for m in members],
        "is_etf": [m.is_etf for m in members],
        "watch": [place.get(m.symbol) for m in members],
    }
    made = pd.DataFrame({name: pd.Series(v, dtype="object") for name, v in rows.items()})
    return made.astype({"from": "datetime64[ms]", "to": "datetime64[ms]", "watch": "float64"})


def _united(members: Iterable[Member], renames: Sequence[Rename], asof: date) -> list[Member]:
    """Members without repeats, under their names at asof, funds last."""
    found: dict[tuple[str, date | None], Member] = {}
    for m in members:
        symbol = renamed(m.symbol, renames, asof=asof)
        fund = m.is_etf or symbol in EXCLUDED
        found.setdefault(
            (symbol, m.from_on),
            Member(
                symbol=symbol,
                name=m.name,
                sector=None if fund else m.sector,
                industry=m.industry,
                is_etf=fund,
                from_on=m.from_on,
                to_on=m.to_on,
            ),
        )
    dated = {m.symbol for m in found.values() if m.from_on}
    kept = [m for m in found.values() if m.from_on or m.symbol not in dated]
    return sorted(kept, key=lambda m: m.is_etf)


def _member_at(member: Member, asof: date) -> bool:
    begun = member.from_on is None or member.from_on <= asof
    return begun and (member.to_on is None or asof < member.to_on)


def _file(path: str, skips: Skips) -> list[Member]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; give a symbol file") from error
    return _listed(text, Path(path).name, skips)


def _shipped(name: str, skips: Skips) -> list[Member]:
    return _listed((SHIPPED / name).read_text(encoding="utf-8"), name, skips)


def _listed(text: str, origin: str, skips: Skips) -> list[Member]:
    found = read_list(text, origin=origin)
    skips.add("bad_symbol", found.refused)
    return list(found.members)


def _renames(listed: str | None) -> tuple[Rename, ...]:
    """Renames beside a symbol file, else the shipped ones."""
    if beside := renames_beside(listed):
        return read_renames(beside.read_text(encoding="utf-8"), origin=beside.name)
    return read_renames((SHIPPED / "renames.csv").read_text(encoding="utf-8"), origin="renames.csv")
