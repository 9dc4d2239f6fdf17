"""CSV and Parquet files as named, typed columns; every fault names file, column and line."""

import csv
import hashlib
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from bft.adapters.sources.cells import NULLS, floats, mapped
from bft.adapters.sources.memory import arrow_reader
from bft.domain.errors import DataError
from bft.domain.sessions import NEW_YORK

_DELIMITERS = {";": "a semicolon (;)", "\t": "a tab", "|": "a bar (|)"}
"""What separates columns where a comma should."""
AN_INSTANT = "2018-02-07T16:00:00-05:00"
_NAMED_ZONE = re.compile(r"\s*\d{4}-\d\d-\d\d[T ][\d:.]+\s*([A-Za-z][\w/+-]*)\s*$")
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_COMMA = r"^\s*[+-]?[\d.]*\d,\d+\s*$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Columns of one file by their names here, and the names that mean nothing here."""

    path: Path
    columns: Mapping[str, pa.Array]
    seen: tuple[str, ...]
    ignored: tuple[str, ...]
    digest: str

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return len(next(iter(self.columns.values()), ()))

    def line(self, row: int) -> int:
        """Line (CSV, below its header) or row (Parquet) of a row, for messages."""
        return row + 2 if self.path.suffix == ".csv" else row + 1

    def cell(self, row: int, name: str) -> str:
        """Where a cell is, for messages."""
        word = "line" if self.path.suffix == ".csv" else "row"
        return f"{self.path} {word} {self.line(row)}, column {name}"


def read_grid(
    path: Path,
    *,
    known: Sequence[str],
    aliases: Mapping[str, str],
    required: Sequence[str],
    words: Collection[str] = (),
    may_be_empty: bool = False,
) -> Grid:
    """Read a file's known columns, headers in any case.

    `words` are columns of words, in which `none` is one of them and no unknown number. A list that
    `may_be_empty` says something by having no rows below its header.

    Raises:
        DataError: absent, unreadable, empty, of another kind; a required column is missing,
            ambiguous or wholly null.
    """
    data = _bytes(path)
    table = _csv(path, data) if path.suffix == ".csv" else _parquet(path, data)
    there = ", ".join(table.column_names)
    columns: dict[str, pa.Array] = {}
    ignored = []
    for place, header in enumerate(table.column_names):
        word = header.strip().lower().replace(" ", "_")
        name = aliases.get(word, word)
        if name in columns:
            raise DataError(f"{path}: two columns mean {name}; keep one; columns: {there}")
        if name in known:
            columns[name] = _flat(table.column(place))
        else:
            ignored.append(header)
    if absent := [name for name in required if name not in columns]:
        raise DataError(
            f"{path} misses column {', '.join(absent)}; add it, or rename the one that holds it; "
            f"columns: {there}"
        )
    blank = [name for name in required if _empty(columns[name], null_words=name not in words)]
    if blank and table.num_rows:
        raise DataError(
            f"{path} has only nulls in column {', '.join(blank)}; fill it; columns: {there}"
        )
    if not (table.num_rows or may_be_empty):
        raise DataError(f"{path} holds no rows below its header; export it again, with them")
    return Grid(
        path=path,
        columns=columns,
        seen=tuple(table.column_names),
        ignored=tuple(ignored),
        digest=hashlib.sha256(data).hexdigest(),
    )


def numbers(grid: Grid, name: str, *, lenient: bool = False) -> pa.Array:
    """Column as f8, null words as null; `lenient` turns other text into NaN.

    Raises:
        DataError: text, or a decimal comma; names the line.
    """
    column = grid.columns[name]
    if not pa.types.is_string(column.type):
        return _cast(grid, name, column)
    values, bad = floats(column)
    if pc.any(bad).as_py():
        comma = pc.fill_null(pc.match_substring_regex(column, _COMMA), fill_value=False)
        if not lenient or pc.any(comma).as_py():
            _refuse_text(grid, name, column, comma if pc.any(comma).as_py() else bad)
        values = pc.if_else(bad, float("nan"), values)
    return values


def as_written(grid: Grid, name: str, values: pa.Array) -> pa.Array:
    """Text of the cells of a column that gave no number; null where one was given, or of Parquet.

    `values` is the column as `numbers` reads it.
    """
    column = grid.columns[name]
    if not pa.types.is_string(column.type):
        return pa.nulls(grid.rows, pa.string())
    known = pc.fill_null(pc.is_finite(values), fill_value=False)
    return pc.if_else(known, pa.scalar(None, pa.string()), column)


def days(grid: Grid, name: str) -> pa.Array:
    """Column as exchange dates; null words as null.

    Raises:
        DataError: no ISO date, or a naive time of day; names the line and gives an example.
    """
    column = grid.columns[name]
    if pa.types.is_date(column.type):
        return pc.cast(column, pa.date32())
    return mapped(column, lambda value: _day(grid, name, value), pa.date32())


def instants(grid: Grid, name: str) -> pa.Array:
    """Column as UTC instants; null words as null.

    Raises:
        DataError: no timestamp with a zone; names the line and gives an example.
    """
    column = grid.columns[name]
    kind = pa.timestamp("us", tz="UTC")
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return pc.cast(column, kind)
    return mapped(column, lambda value: _instant(grid, name, value), kind)


def texts(grid: Grid, name: str) -> pa.Array:
    """Column as trimmed text, null where empty or absent."""
    if name not in grid.columns:
        return pa.nulls(grid.rows, pa.string())
    return mapped(grid.columns[name], lambda v: str(v).strip() or None, pa.string())


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a CSV or Parquet file") from error
    if not data.strip():
        raise DataError(f"{path} is empty; export it again, with a header and rows")
    _check_readable(path, data[:4096])
    kind = "Parquet" if data[:4] == b"PAR1" else "text" if b"\0" not in data[:4096] else "binary"
    if (path.suffix == ".parquet") != (kind == "Parquet") or kind == "binary":
        named = {"Parquet": "name it .parquet", "text": "name it .csv if it is one"}
        instead = named.get(kind, "export it as CSV or Parquet")
        raise DataError(f"{path} holds {kind}, not what {path.suffix} says; {instead}")
    return data


def _check_readable(path: Path, head: bytes) -> None:
    """Refuse what a download or an office program leaves in place of a table."""
    every_second = ({*head[:16:2]}, {*head[1:16:2]})  # of UTF-16 without a mark one is zeros
    if head[:2] in {BOM_UTF16_LE, BOM_UTF16_BE} or {0} in every_second:
        raise DataError(f"{path} holds text in UTF-16; save it as CSV in UTF-8")
    if head.removeprefix(BOM_UTF8).lstrip().lower().startswith(_PAGES):
        raise DataError(
            f"{path} holds a web page, no table: a page to sign in, or of an error; export the "
            "table again"
        )


def _csv(path: Path, data: bytes) -> pa.Table:
    first = data.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").strip()
    header = next(csv.reader([first]))
    _commas(path, first, header)
    convert = pv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()))
    try:
        return pv.read_csv(
            arrow_reader(data),
            read_options=pv.ReadOptions(column_names=header, skip_rows=1),
            parse_options=pv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
    except pa.ArrowInvalid as error:
        told = _odd_line(data, len(header)) or f": {error}; mend that line"
        raise DataError(f"{path}{told}; columns: {', '.join(header)}") from error


def _odd_line(data: bytes, expected: int) -> str:
    """Where a line has other than the expected number of columns, in words; empty: nowhere."""
    rows = csv.reader(StringIO(data.decode("utf-8-sig", errors="replace"), newline=""))
    with suppress(csv.Error):  # a quote that never ends: its field outgrows the reader's limit
        for cells in rows:
            if cells and len(cells) != expected:
                text = ",".join(cells)[:80]
                many = f"{len(cells)} columns, expected {expected}"
                return f" line {rows.line_num}: {many}; mend that line: {text!r}"
    return ""


def _commas(path: Path, first: str, header: Sequence[str]) -> None:
    """Refuse a file whose header is cut by something else than commas."""
    other = max(_DELIMITERS, key=first.count)
    if len(header) > 1 or not first.count(other):
        return
    point = ", with a point as decimal mark" if other == ";" else ""
    raise DataError(
        f"{path} line 1: columns are separated by {_DELIMITERS[other]}, expected a comma; save it "
        f"as CSV with commas{point}, or as Parquet; the line is {first[:80]!r}"
    )


def _parquet(path: Path, data: bytes) -> pa.Table:
    try:
        return pq.read_table(arrow_reader(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} is damaged or cut off, no whole Parquet file; copy or export it again: {error}"
        ) from error


def _flat(column: pa.ChunkedArray) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind):
        kind = pa.string()
    return column.cast(kind).combine_chunks()


def _empty(column: pa.Array, *, null_words: bool) -> bool:
    if column.null_count == len(column):
        return True
    if not pa.types.is_string(column.type):
        return False
    nulls = pa.array(NULLS if null_words else [""])
    return bool(pc.all(pc.is_in(pc.utf8_lower(column), nulls)).as_py())


def _cast(grid: Grid, name: str, column: pa.Array) -> pa.Array:
    try:
        return pc.cast(column, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{grid.path} column {name} holds {column.type}, not numbers; convert it ({error})"
        ) from error


def _refuse_text(grid: Grid, name: str, text: pa.Array, where: pa.Array) -> None:
    row = pc.index(where, value=True).as_py()
    word = text[row].as_py()
    if re.match(_COMMA, word):
        told = f"{word!r} is no number; write it with a point, {word.strip().replace(',', '.')}"
    else:
        told = f"{word!r} is no number such as 12.5; mend it, or leave it empty if it is unknown"
    raise DataError(f"{grid.cell(row, name)}: {told}")


def _day(grid: Grid, name: str, value: Any) -> date | None:
    moment = _moment(value)
    if isinstance(moment, datetime):
        if moment.tzinfo is not None:
            return moment.astimezone(NEW_YORK).date()
        if moment.time() == time(0):
            return moment.date()
        told = (
            f"{value!s} has no time zone, so its day in New York is a guess; write that day, "
            f"{moment.date()}, or the offset too, {moment.replace(tzinfo=NEW_YORK).isoformat()}"
        )
    elif isinstance(moment, date) or moment is None:
        return moment
    else:
        told = _no_time(value, "ISO date (year-month-day); write it as 2018-02-07")
    row = pc.index(grid.columns[name], value).as_py()
    raise DataError(f"{grid.cell(row, name)}: {told}")


def _instant(grid: Grid, name: str, value: Any) -> datetime | None:
    moment = _moment(value)
    if moment is None or (isinstance(moment, datetime) and moment.tzinfo is not None):
        return moment
    row = pc.index(grid.columns[name], value).as_py()
    told = _no_time(value, f"timestamp with a zone; write it as {AN_INSTANT}")
    raise DataError(f"{grid.cell(row, name)}: {told}")


def _no_time(value: Any, wanted: str) -> str:
    """What is wrong with a cell that is not what is wanted, or whose zone is but a name."""
    if zone := _NAMED_ZONE.match(str(value)):
        none = "/" in zone[1] and zone[1] not in available_timezones()
        told = f"there is no zone {zone[1]}" if none else f"the zone {zone[1]} may mean several"
        return f"{value!s}: {told}; write the offset: {AN_INSTANT}"
    return f"{value!s} is no {wanted}"


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in NULLS:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text
