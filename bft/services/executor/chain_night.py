"""Stored option chains, read in a process of its own that ends at once.

`python -m bft.services.executor.chain_night ROOT CACHE SYMBOL ...` prints them as one JSON line.
Volatilities at the money are worked out once for each stored object, newest first, and kept in
the file CACHE: objects never change, and a year of chains is more than one call should read.
Source: executor specification, section 16 (memory); decision record 0048.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bft.domain.encoding import decode, encode
from bft.domain.errors import BftError
from bft.ports import Store
from bft.services.executor.chains import RANK_SESSIONS, Chain, ChainRow
from bft.services.executor.night import child, fingerprint

if TYPE_CHECKING:
    import pyarrow as pa

READING_S = 20.0
MONTH_DAYS, LEAST_DAYS = 30, 7
_ROWS = "symbol date type expiration strike delta implied_volatility volume open_interest".split()
_AT_MONEY = "symbol date type expiration strike delta implied_volatility status".split()
_RIGHTS = {"call": "C", "put": "P"}
Volatilities = dict[str, dict[str, float]]
"""Session -> symbol -> fraction a year."""


class ChainNight:
    """Reads chains of symbols from a root; what it learned is kept in `folder`."""

    def __init__(self, root: str, folder: Path) -> None:
        self._root, self._cache = root, folder / "option-volatilities.json"
        self._turn = asyncio.Lock()  # two children at once would write one file
        self._read: tuple[object, frozenset[str], Mapping[str, Chain]] | None = None

    async def __call__(self, symbols: frozenset[str]) -> Mapping[str, Chain]:
        """The chain of each symbol.

        Raises:
            UnavailableError: the root does not answer, or reading took too long.
            DataError: an object is absent or altered.
        """
        mark = fingerprint(self._root, ("options",))
        if self._read is not None and mark is not None and self._read[:2] == (mark, symbols):
            return self._read[2]
        async with self._turn:
            found = {chain.symbol: chain for chain in await self._asked(symbols)}
        whole = not any(chain.unread for chain in found.values())
        self._read = (mark, symbols, found) if whole else None
        return found

    async def _asked(self, symbols: frozenset[str]) -> list[Chain]:
        words = (self._root, str(self._cache), *sorted(symbols))
        out = await child("option chains", "chain_night", *words)
        return [decode(Chain, value) for value in json.loads(out)]


def read_chains(
    store: Store, symbols: Sequence[str], known: dict[str, Volatilities], *, budget_s: float
) -> list[Chain]:
    """Chains of symbols; `known` volatilities by object digest, added to within `budget_s`.

    Raises:
        DataError: an object is absent or altered.
        UnavailableError: the root does not answer.
    """
    manifest = store.manifest("options")
    objects = list(manifest.objects) if manifest else []
    until, unread = time.monotonic() + budget_s, 0
    for ref in reversed(objects):
        if ref.digest in known:
            continue
        if time.monotonic() > until:
            unread += 1
            continue
        rows = store.read("options", columns=_AT_MONEY, partitions=[ref.partition])
        known[ref.digest] = at_the_money(rows)
    for digest in known.keys() - {ref.digest for ref in objects}:
        del known[digest]
    if not objects:
        return [Chain(symbol=symbol) for symbol in symbols]
    days: Volatilities = {}
    for ref in objects:
        for day, found in known.get(ref.digest, {}).items():
            days.setdefault(day, {}).update(found)
    newest = objects[-1].partition
    rows = store.read("options", columns=[*_ROWS, "status"], symbols=symbols, partitions=[newest])
    return [_made(symbol, rows.to_pylist(), days, unread) for symbol in symbols]


def _made(symbol: str, rows: Sequence[Mapping[str, Any]], days: Volatilities, unread: int) -> Chain:
    mine = [row for row in rows if row["symbol"] == symbol and row["status"] == "ok"]
    asof = max((row["date"] for row in mine), default=None)
    history = [
        (date.fromisoformat(day), Decimal(str(round(found[symbol], 6))))
        for day, found in sorted(days.items())
        if symbol in found
    ]
    return Chain(
        symbol=symbol,
        asof=asof,
        rows=tuple(_row(row) for row in mine if row["date"] == asof),
        volatilities=tuple(history[-RANK_SESSIONS:]),
        unread=unread,
    )


def _row(row: Mapping[str, Any]) -> ChainRow:
    return ChainRow(
        expiry=row["expiration"],
        right=_RIGHTS.get(row["type"], ""),
        strike_usd=Decimal(str(round(row["strike"], 3))).normalize(),
        delta=_number(row["delta"]),
        implied_volatility=_number(row["implied_volatility"]),
        volume=row["volume"],
        open_interest=row["open_interest"],
    )


def _number(value: float | None) -> Decimal | None:
    known = value is not None and abs(value) < float("inf")
    return Decimal(str(round(value or 0.0, 6))) if known else None


def at_the_money(rows: "pa.Table") -> Volatilities:
    """Implied volatility of each symbol and session, at the money about a month ahead.

    Of the expiry nearest 30 days ahead (7 at least; a tie: the earlier), the call and the put whose
    |delta| is nearest 0.5, their mean. A symbol without both has none. Source: decision record
    0048.
    """
    best: dict[tuple[str, str, str], tuple[tuple[float, ...], float, date]] = {}
    for row in _usable(rows):
        away = (row["expiration"] - row["date"]).days
        rank = (abs(away - MONTH_DAYS), away, abs(abs(row["delta"]) - 0.5), row["strike"])
        place = (row["date"].isoformat(), row["symbol"], row["type"])
        known = best.get(place)
        if known is None or rank < known[0]:
            best[place] = rank, row["implied_volatility"], row["expiration"]
    found: Volatilities = {}
    for (day, symbol, kind), (_, call, expiry) in best.items():
        put = best.get((day, symbol, "put")) if kind == "call" else None
        if put is not None and put[2] == expiry:
            found.setdefault(day, {})[symbol] = (call + put[1]) / 2
    return found


def _usable(rows: "pa.Table") -> Iterator[dict[str, Any]]:
    """Rows that can count, cut down before they become Python objects."""
    import pyarrow as pa
    import pyarrow.compute as pc

    away = pc.subtract(rows["expiration"].cast(pa.int32()), rows["date"].cast(pa.int32()))
    near = pc.and_(pc.greater_equal(away, LEAST_DAYS), pc.less_equal(away, 3 * MONTH_DAYS))
    middle = pc.less_equal(pc.abs(pc.subtract(pc.abs(rows["delta"]), 0.5)), 0.25)
    priced = pc.greater(rows["implied_volatility"], 0)
    sound = pc.equal(rows["status"], "ok")
    kept = rows.filter(pc.and_(pc.and_(near, middle), pc.and_(priced, sound)))
    for batch in kept.to_batches():
        yield from batch.to_pylist()


def _cached(path: Path) -> dict[str, Volatilities]:
    try:
        known: dict[str, Volatilities] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def main(argv: Sequence[str]) -> int:
    """Print the chains of a root; the exit code of the fault where there is one."""
    from bft import wiring

    root, cache, symbols = argv[0], Path(argv[1]), argv[2:]
    known = _cached(cache)
    try:
        store = wiring.tables(wiring.settings(), root)
        before = set(known)
        found = read_chains(store, symbols, known, budget_s=READING_S)
        if set(known) != before:
            aside = cache.with_suffix(".new")
            aside.write_text(json.dumps(known), encoding="utf-8")
            aside.replace(cache)
        sys.stdout.write(json.dumps(encode(found)) + "\n")
    except BftError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
