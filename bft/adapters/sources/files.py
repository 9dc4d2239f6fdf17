"""Market facts from your own CSV and Parquet files (data specification, 1.9)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bft.adapters.sources.cells import mapped
from bft.adapters.sources.grid import (
    Grid,
    as_written,
    days,
    instants,
    numbers,
    read_grid,
    texts,
)
from bft.domain.delivery import Answer, Skips, Want
from bft.domain.errors import DataError
from bft.domain.market import MACRO_SERIES
from bft.domain.symbols import Member, member_of, symbol_of
from bft.ports import Tick

SUFFIXES = (".csv", ".parquet")
_KINDS = ("bars", "constituents", "sectors", "macro", "actions", "earnings")
_TOPIC = {"constituents": "universe", "sectors": "universe"}
_PRICES = ("open", "high", "low", "close", "volume")
_BARS_EXTRA = ("adjusted_close", "dividend_amount", "split_coefficient")
_QUOTE = ("last", "open", "high", "low", "prev_close", "volume")
_EARNINGS = ("reported_eps", "estimated_eps", "surprise", "surprise_percentage")
_MEMBER = ("name", "sector", "industry", "is_etf", "from", "to")
_ALIASES = {
    "ticker": "symbol",
    "timestamp": "date",
    "adj_close": "adjusted_close",
    "reported_date": "reported_on",
    "ex-date": "ex_date",
}
_QUOTE_ALIASES = {"ticker": "symbol", "timestamp": "at", "price": "last", "close": "last"}


class Files:
    """One file of bars with what lies beside it, or a folder; the Source port."""

    name = "files"
    replayed, bulk, live = True, True, False
    calls = 0

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def paths(self) -> Mapping[str, Path]:
        """File by kind.

        Raises:
            DataError: no such file, no bars, or two files of one kind.
        """
        folder = self.path if self.path.is_dir() else self.path.parent
        found = {} if self.path.is_dir() else {"bars": self.path}
        for kind in _KINDS:
            there = [p for p in (folder / f"{kind}{suffix}" for suffix in SUFFIXES) if p.exists()]
            if kind in found or not there:
                continue
            if len(there) > 1:
                raise DataError(f"{folder}: {there[0].name} and {there[1].name}; keep one of them")
            found[kind] = there[0]
        if "bars" not in found:
            raise DataError(f"{folder} holds no bars.csv or bars.parquet; give --source files:PATH")
        if not found["bars"].exists():
            raise DataError(f"{found['bars']}: no such file; {_instead(found['bars'])}")
        if found["bars"].suffix not in SUFFIXES:
            raise DataError(f"{found['bars']} is neither .csv nor .parquet")
        return found

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the files there are."""
        return tuple(dict.fromkeys(_TOPIC.get(kind, kind) for kind in self.paths))

    def check(self) -> None:
        """See that there are bars.

        Raises:
            DataError: none, or two files of one kind.
        """
        if not self.paths["bars"].is_file():
            raise DataError(f"{self.paths['bars']} is no file; give --source files:PATH")

    def world(self) -> str:
        """None: files are nobody's simulation."""
        return ""

    def digests(self) -> Mapping[str, str]:
        """sha256 of each file."""
        import hashlib

        try:
            return {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in self.paths.values()
            }
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}") from error

    def fetch(
        self, wants: Sequence[Want], *, asof: date, fresh: bool, tick: Tick
    ) -> Iterator[Answer]:
        """Read each topic's file."""
        readers = {
            "universe": self._universe,
            "bars": self._bars,
            "macro": self._macro,
            "actions": self._actions,
            "earnings": self._earnings,
            "quotes": self._quotes,
        }
        for done, want in enumerate(wants):
            tick(done, len(wants), want.topic)
            yield readers[want.topic](want)

    def _grid(self, kind: str, known: Sequence[str], required: Sequence[str]) -> Grid:
        aliases = {name: mean for name, mean in _ALIASES.items() if mean in known}
        path = self.paths[kind]
        return read_grid(
            path,
            known=known,
            aliases=aliases,
            required=required,
            words=("kind",),
            may_be_empty=kind == "actions",
        )

    def _bars(self, want: Want) -> Answer:
        required = ("symbol", "date", *_PRICES)
        grid = self._grid("bars", (*required, *_BARS_EXTRA), required)
        first = grid.line(0)
        columns = {"date": days(grid, "date"), "line": pa.array(range(first, first + grid.rows))}
        for name in (*_PRICES, *_BARS_EXTRA):
            if name in grid.columns:
                column = numbers(grid, name, lenient=name == "close")
                columns["vendor_adjusted_close" if name == "adjusted_close" else name] = column
        columns["close_written"] = as_written(grid, "close", columns["close"])
        return _answer(want, grid, "bars", columns)

    def _macro(self, want: Want) -> Answer:
        grid = self._grid("macro", ("date", "series", "value", "known_on"), ("date", "series"))
        columns = {
            "series": texts(grid, "series"),
            "reference_on": days(grid, "date"),
            "value": numbers(grid, "value", lenient=True),
        }
        if "known_on" in grid.columns:
            columns["known_on"] = days(grid, "known_on")
        rows, refused = pa.table(columns), Skips()
        known = pc.is_in(rows["series"], pa.array(MACRO_SERIES))
        good = pc.and_(known, pc.and_(rows["reference_on"].is_valid(), _finite(rows["value"])))
        odd = rows.filter(pc.invert(good))
        names = [f"{r['series']} {r['reference_on']}" for r in odd.slice(0, 20).to_pylist()]
        refused.add("macro_row", names, count=odd.num_rows)
        return _made(want, grid, {"macro": rows.filter(good)}, refused)

    def _actions(self, want: Want) -> Answer:
        known = ("symbol", "ex_date", "kind", "value")
        grid = self._grid("actions", known, known[:3])
        kinds = mapped(texts(grid, "kind"), str.lower, pa.string())
        odd = pc.invert(pc.is_in(kinds, pa.array(["split", "dividend", "other", "none"])))
        if pc.any(odd).as_py():
            row = pc.index(odd, value=True).as_py()
            raise DataError(
                f"{grid.path} line {grid.line(row)}: kind {kinds[row].as_py()!r}; "
                "give split, dividend, other or none"
            )
        value = numbers(grid, "value") if "value" in grid.columns else pa.nulls(grid.rows)
        columns = {"ex_date": days(grid, "ex_date"), "kind": kinds, "value": value}
        return _answer(want, grid, "actions", columns)

    def _earnings(self, want: Want) -> Answer:
        required = ("symbol", "fiscal_date_ending")
        known = (*required, "reported_on", "report_time", *_EARNINGS)
        grid = self._grid("earnings", known, required)
        columns = {"fiscal_date_ending": days(grid, "fiscal_date_ending")}
        if "reported_on" in grid.columns:
            columns["reported_on"] = days(grid, "reported_on")
        columns["report_time"] = texts(grid, "report_time")
        columns |= {name: numbers(grid, name) for name in _EARNINGS if name in grid.columns}
        return _answer(want, grid, "earnings", columns)

    def _quotes(self, want: Want) -> Answer:
        """Quotes of the symbols asked for, of the day up to the instant; a file of its own.

        It is no part of a pull, so neither of the topics nor of the digests.
        """
        path = quotes_path(self.path)
        if path is None or want.at is None:
            return Answer(want=want, source=self.name, skipped="absent")
        known = ("symbol", "at", *_QUOTE)
        grid = read_grid(path, known=known, aliases=_QUOTE_ALIASES, required=known[:3])
        symbols = mapped(texts(grid, "symbol"), symbol_of, pa.string())
        at = instants(grid, "at")
        last = pa.scalar(want.at, type=at.type)
        first = pa.scalar(want.at - timedelta(days=1), type=at.type)
        asked = pc.is_in(symbols, pa.array(want.name.split(","), pa.string()))
        timely = pc.and_(pc.greater(at, first), pc.less_equal(at, last))
        columns = {name: numbers(grid, name) for name in _QUOTE if name in grid.columns}
        rows = pa.table({"symbol": symbols, "at": at, **columns})
        chosen = rows.filter(pc.fill_null(pc.and_(asked, timely), fill_value=False))
        timed = pa.repeat(pa.scalar(value=True), chosen.num_rows)
        return _made(want, grid, {"quotes": chosen.append_column("bulk", timed)}, Skips())

    def _universe(self, want: Want) -> Answer:
        """Constituents, with sectors filled in from the sectors file."""
        refused, notes, listed = Skips(), [], {}
        for kind in ("constituents", "sectors"):
            if kind not in self.paths:
                continue
            grid = self._grid(kind, ("symbol", *_MEMBER), ("symbol",))
            notes += _notes(grid)
            listed[kind] = _members(grid, refused)
        members = listed.get("constituents", [])
        sectors = {m.symbol: m for m in listed.get("sectors", [])}
        rows = [_filled(m, sectors.get(m.symbol)) for m in members or sectors.values()]
        table = pa.Table.from_pylist(rows, schema=_UNIVERSE)
        return Answer(
            want=want,
            tables={"universe": table},
            source=self.name,
            refused=refused,
            notes=tuple(notes),
        )


def meant(spec: str) -> str:
    """What a `--source` of no known kind was meant for, if it is a path; else empty."""
    kind, colon, rest = spec.partition(":")
    path = Path(rest if colon else spec)
    if "://" in spec or not path.name:
        return ""
    slip = colon and get_close_matches(kind, ["files"])
    return f"files:{path}" if slip or path.suffix in SUFFIXES or path.exists() else ""


def _instead(path: Path) -> str:
    """What to give for a path at which there is nothing: a near name in its folder."""
    folder = path.parent
    there = folder.iterdir() if folder.is_dir() else ()
    names = [one.name for one in there if one.is_dir() or one.suffix in SUFFIXES]
    near = get_close_matches(path.name, names, n=1)
    if near:
        return f"did you mean files:{path.with_name(near[0])}?"
    return "give --source files:PATH" if folder.is_dir() else f"{folder} is no folder"


def quotes_path(path: Path) -> Path | None:
    """The file of quotes in a folder, or beside a file of bars; CSV first."""
    folder = path if path.is_dir() else path.parent
    there = [p for p in (folder / f"quotes{suffix}" for suffix in SUFFIXES) if p.exists()]
    return there[0] if there else None


_UNIVERSE = pa.schema(
    [
        ("symbol", pa.string()),
        ("name", pa.string()),
        ("sector", pa.string()),
        ("industry", pa.string()),
        ("is_etf", pa.bool_()),
        ("from", pa.date32()),
        ("to", pa.date32()),
    ]
)


def _members(grid: Grid, refused: Skips) -> list[Member]:
    dates = {name: days(grid, name) for name in ("from", "to") if name in grid.columns}
    rows = pa.table({**grid.columns, **dates}).to_pylist()  # a list of symbols, not of days
    found: dict[tuple[str, date | None], Member] = {}
    bad = []
    for n, row in enumerate(rows):
        member = member_of(row)
        if member is None:
            bad.append(f"{grid.path.name}:{grid.line(n)}: {row['symbol']}")
        else:
            found.setdefault((member.symbol, member.from_on), member)
    refused.add("bad_symbol", bad)
    return list(found.values())


def _filled(member: Member, other: Member | None) -> dict[str, object]:
    return {
        "symbol": member.symbol,
        "name": member.name or (other.name if other else None),
        "sector": member.sector or (other.sector if other else None),
        "industry": member.industry or (other.industry if other else None),
        "is_etf": member.is_etf or (other.is_etf if other else False),
        "from": member.from_on,
        "to": member.to_on,
    }


def _answer(want: Want, grid: Grid, table: str, columns: Mapping[str, pa.Array]) -> Answer:
    """Rows with a valid symbol and date; the others are named by line."""
    symbols = mapped(texts(grid, "symbol"), symbol_of, pa.string())
    rows = pa.table({"symbol": symbols, **columns})
    refused = Skips()
    day = next(iter(columns))
    for reason, column, raw in (("bad_symbol", symbols, "symbol"), ("no_date", columns[day], day)):
        absent = pc.indices_nonzero(pc.is_null(column))
        first = absent.slice(0, 20).to_pylist()
        names = [f"{grid.path.name}:{grid.line(n)}: {grid.columns[raw][n]}" for n in first]
        refused.add(reason, names, count=len(absent))
    good = pc.and_(pc.is_valid(symbols), pc.is_valid(columns[day]))
    if table == "bars" and not pc.any(good).as_py():
        if pc.any(pc.is_valid(symbols)).as_py():
            raise DataError(f"{grid.path}: no row has both a symbol and a date; mend them")
        raise DataError(
            f"{grid.cell(0, 'symbol')}: {grid.columns['symbol'][0]} is no symbol such as KO or "
            f"BRK-B, nor is any of the {grid.rows:,} rows; mend them"
        )
    return _made(want, grid, {table: rows.filter(good)}, refused)


def _made(want: Want, grid: Grid, tables: Mapping[str, pa.Table], refused: Skips) -> Answer:
    return Answer(
        want=want,
        tables=tables,
        source="files",
        refused=refused,
        notes=tuple(_notes(grid)),
        file=grid.path.name,
    )


def _notes(grid: Grid) -> list[str]:
    return [f"{grid.path.name}: ignored column {name}" for name in grid.ignored]


def _finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.is_finite(values), fill_value=False)
