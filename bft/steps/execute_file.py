"""signals.csv read once, and refused whole where anything is wrong.

Source: strategies specification, section 5; executor specification, sections 10, 12 (F4) and 15.
"""

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import Any

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.trading import SIGNALS
from bft.steps.execute_rows import PARSED, Row, body_of, one_set, parsed

FIRST = (
    "action symbol shares price strategy reason timestamp stop_loss_pct take_profit_pct "
    "trailing_stop_pct trailing_activation_pct max_hold_days instrument_type"
).split()
"""The columns every file has, in this order."""
REST = [name for name in SIGNALS.names if name not in {"symbol", "reason"}]
LEVELS = {
    "stop_loss_pct": "stop_frac",
    "take_profit_pct": "target_frac",
    "trailing_stop_pct": "trail_frac",
    "trailing_activation_pct": "activation_frac",
}
"""Column of the file -> field of an order in fractions, and of an exit policy."""
MOST_BYTES = 4 * 1024 * 1024
_KINDS = dict(SIGNALS.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of the file: its cells by column."""

    number: int
    cells: Mapping[str, str]

    def wrong(self, column: str, why: str) -> DataError:
        return DataError(f"line {self.number}, column {column}: {why}; nothing was sent")


def read_file(path: Path, asof: date, *, fractions: bool = False) -> list[Row]:
    """The signals of a file, in its order; no line may be wrong.

    `fractions`: the `_pct` columns hold fractions, as old files did.

    Raises:
        DataError: torn, contradictory, of another day, or of two forecast sets; names line and
            column.
    """
    lines = _lines(_text(path))
    unit = 100 if fractions else 1
    rows = [_row(line, asof, unit) for line in lines]
    _one_day(lines, asof)
    rows = _one_content_each(lines, rows)
    one_set(rows, str(path))
    return rows


def _text(path: Path) -> str:
    """The whole file, read once; one that changes meanwhile is refused."""
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read(MOST_BYTES + 1)
        after = path.stat()
    except OSError as error:
        raise DataError(f"--signals {path}: {error.strerror}") from error
    marks = [(s.st_ino, s.st_size, s.st_mtime_ns) for s in (before, after)]
    if marks[0] != marks[1]:
        raise DataError(f"--signals {path} changed while it was read; run it again")
    if len(data) > MOST_BYTES:
        raise DataError(f"--signals {path}: above {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"line {line}, column 1: no UTF-8; nothing was sent") from error


def _lines(text: str) -> list[_Line]:
    if not text.strip():
        return []
    if not text.endswith("\n"):
        number = text.count("\n") + 1
        raise DataError(
            f"line {number}, column {FIRST[-1]}: the line does not end, so the file may be cut "
            "off; end it with a newline if it is whole; nothing was sent"
        )
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _columns(next(table))
        return [_line(table.line_num, columns, cells) for cells in table if cells]
    except csv.Error as error:
        text = f"line {table.line_num}, column 1: {error}; nothing was sent"
        raise DataError(text) from error


def _columns(head: Sequence[str]) -> list[str]:
    names = [name.strip() for name in head]
    for place, wanted in enumerate(FIRST):
        if place >= len(names) or names[place] != wanted:
            found = names[place] if place < len(names) else "nothing"
            raise DataError(f"line 1, column {wanted}: found {found!r}; nothing was sent")
    extra = names[len(FIRST) :]
    for name in extra:
        if name not in REST or extra.count(name) > 1:
            raise DataError(f"line 1, column {name}: no column of signals.csv; nothing was sent")
    missing = [name for name in REST if name not in extra] if extra else []
    if missing:
        raise DataError(f"line 1, column {missing[0]}: it is missing; nothing was sent")
    return names


def _line(number: int, columns: Sequence[str], cells: Sequence[str]) -> _Line:
    if len(cells) != len(columns):
        column = columns[len(cells)] if len(cells) < len(columns) else "beyond the last"
        why = f"{len(cells)} cells, {len(columns)} expected"
        raise DataError(f"line {number}, column {column}: {why}; nothing was sent")
    return _Line(number=number, cells=dict(zip(columns, map(str.strip, cells), strict=True)))


def _row(line: _Line, asof: date, unit: int) -> Row:
    short = _short_body(line, asof, unit)
    if "signal_id" not in line.cells:
        return Row(body=short, place=f"line {line.number}")
    return _whole_row(line, asof, short)


def _short_body(line: _Line, asof: date, unit: int) -> dict[str, Any]:
    """What the 13 columns say."""
    side, symbol = line.cells["action"].upper(), line.cells["symbol"].upper()
    if side not in {"BUY", "SELL"}:
        raise line.wrong("action", f"{line.cells['action']!r} is neither BUY nor SELL")
    if not symbol or len(symbol) > 32:
        raise line.wrong("symbol", f"{symbol!r} is none")
    at = _instant(line, "timestamp")
    made: dict[str, Any] = {
        "side": side,
        "symbol": symbol,
        "quantity": _whole(line, "shares", most=99_999_999) or None,
        "price": _price(line),
        "strategy_id": line.cells["strategy"] or None,
        "strategy_type": "close" if at and _after_close(at, asof) else None,
        "reason": _short(line, "reason", 160),
        "decided_at": at.isoformat() if at else None,
        "asof": asof.isoformat(),
        "max_hold_days": _whole(line, "max_hold_days", most=10_000) or None,
        "instrument": _instrument(line),
    }
    made["client_order_id"] = _key(made)
    made |= {LEVELS[column]: _fraction(line, column, unit) for column in LEVELS}
    return {name: value for name, value in made.items() if value is not None}


def _key(made: Mapping[str, Any]) -> str:
    """What a line without an id is known by, however often and in whatever file it is sent.

    Whether a SELL closes or opens short depends on what is held, so the executor makes the signal's
    id; this key keeps the same line from being decided twice.
    """
    names = ("side", "symbol", "strategy_id", "instrument", "asof")
    text = "|".join(str(made[name]) for name in names)
    return "csv." + hashlib.sha256(text.encode()).hexdigest()[:32]


def _after_close(at: datetime, asof: date) -> bool:
    """Decided between the close of asof and the next open."""
    return sessions.close_at(asof) <= at < sessions.open_at(sessions.shift(asof, 1))


def _whole_row(line: _Line, asof: date, short: Mapping[str, Any]) -> Row:
    """A row of a scan's own file; the older columns must say what the newer ones do."""
    values = {name: _typed(line, name) for name in SIGNALS.names}
    if values["asof"] != asof:
        raise line.wrong("asof", f"{values['asof']}, but --asof is {asof}")
    for name in PARSED:
        try:
            parsed(name, values[name])
        except (ValueError, TypeError) as error:
            raise line.wrong(name, str(error)) from error
    try:
        body = body_of(values)
    except (ValueError, TypeError, KeyError) as error:
        raise line.wrong("exits", f"no such signal: {error}") from error
    same = {
        "action": (short["side"], body["side"]),
        "shares": (short.get("quantity"), body.get("quantity")),
        "price": (float(short.get("price") or 0), body["ref_price_usd"]),
        "strategy": (short.get("strategy_id"), body["strategy_id"]),
        "instrument_type": (short["instrument"], body["instrument"]),
    }
    for column, (told, other) in same.items():
        if told != other:
            raise line.wrong(column, f"{told} contradicts {other} further on in the line")
    _same_levels(line, short, body["exits"])
    return Row(body=body, tag=values["tag"], place=f"line {line.number}")


def _same_levels(line: _Line, short: Mapping[str, Any], exits: Mapping[str, Any]) -> None:
    for column, name in LEVELS.items():
        told, other = float(short.get(name, 0)), float(exits.get(name) or 0)
        if abs(told - other) > 1e-6:
            raise line.wrong(column, f"contradicts {name} {other} in column exits")


def _typed(line: _Line, name: str) -> Any:
    text, kind = line.cells[name], _KINDS[name]
    if not text:
        return 0 if name == "qty" else None
    if kind == "ts":
        return _instant(line, name)
    try:
        if kind == "d":
            return date.fromisoformat(text)
        if kind == "b":
            return {"true": True, "false": False}[text.lower()]
        if kind.startswith("i"):
            return int(text)
        return _float(text) if kind.startswith("f") else text
    except (ValueError, KeyError, InvalidOperation):
        raise line.wrong(name, f"{text!r} is no {kind}") from None


def _one_day(lines: Sequence[_Line], asof: date) -> None:
    """All lines were decided on one day of New York, from asof to the session after it."""
    days = [_day(line) for line in lines]
    for line, day in zip(lines, days, strict=True):
        if day != days[0]:
            raise line.wrong("timestamp", f"{day} in a file of {days[0]}")
        if not asof <= day <= sessions.shift(asof, 1):
            raise line.wrong("timestamp", f"{day} is not of --asof {asof} nor the session after")


def _day(line: _Line) -> date:
    at = _instant(line, "timestamp")
    if at is None:
        raise line.wrong("timestamp", "it is empty")
    return at.astimezone(sessions.NEW_YORK).date()


def _one_content_each(lines: Sequence[_Line], rows: Sequence[Row]) -> list[Row]:
    """Equal lines count once; one signal with two contents is refused."""
    seen: dict[tuple[Any, ...], Row] = {}
    for line, row in zip(lines, rows, strict=True):
        known = seen.setdefault(_identity(row), row)
        if known.body != row.body or known.tag != row.tag:
            column = _differs(known.body, row.body)
            raise line.wrong(column, f"contradicts {known.place}, which is the same signal")
    return list(seen.values())


def _identity(row: Row) -> tuple[Any, ...]:
    body = row.body
    if "signal_id" in body:
        return (body["signal_id"],)
    return body["symbol"], body.get("strategy_id"), body.get("instrument")


def _differs(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    columns = {"side": "action", "quantity": "shares", "strategy_id": "strategy"}
    columns |= {field: column for column, field in LEVELS.items()}
    columns |= {"decided_at": "timestamp", "instrument": "instrument_type"}
    name = next((n for n in {**one, **other} if one.get(n) != other.get(n)), "tag")
    return columns.get(name, name)


def _instant(line: _Line, column: str) -> datetime | None:
    text = line.cells[column]
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise line.wrong(column, f"{text!r} is no instant") from None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def _number(text: str) -> Decimal:
    found = Decimal(text)
    if not found.is_finite():
        raise InvalidOperation(text)
    return found


def _float(text: str) -> float:
    found = float(_number(text))
    if not isfinite(found):
        raise InvalidOperation(text)  # finite as a decimal, too large for a float
    return found


def _price(line: _Line) -> str | None:
    text = line.cells["price"]
    try:
        found = _number(text) if text else None
        _float(text or "0")
    except InvalidOperation:
        raise line.wrong("price", f"{text!r} is no number") from None
    if found is not None and found <= 0:
        raise line.wrong("price", f"{text} is not above 0")
    return None if found is None else f"{found:f}"


def _whole(line: _Line, column: str, *, most: int) -> int:
    text = line.cells[column] or "0"
    try:
        found = _number(text)
    except InvalidOperation:
        found = Decimal(-1)
    if found != found.to_integral_value() or not 0 <= found <= most:
        raise line.wrong(column, f"{text!r} is no whole number from 0 to {most}")
    return int(found)


def _fraction(line: _Line, column: str, unit: int) -> str | None:
    """A level as a fraction; percent between 0 and 1 is refused, not guessed."""
    text = line.cells[column]
    try:
        percent = abs(_number(text or "0")) * unit
    except InvalidOperation:
        raise line.wrong(column, f"{text!r} is no number") from None
    if percent and not 1 <= percent <= 99:
        why = "percent from 1 to 99, or 0; old files: --pct-unit fraction"
        raise line.wrong(column, f"{text} is not {why}")
    return f"{percent / 100:f}" if percent else None


def _instrument(line: _Line) -> str:
    text = line.cells["instrument_type"].upper() or "STOCK"
    if text not in {"STOCK", "CALL", "PUT", "FUTURE"}:
        raise line.wrong("instrument_type", f"{text!r} is none of STOCK, CALL, PUT, FUTURE")
    return text


def _short(line: _Line, column: str, most: int) -> str | None:
    text = line.cells[column]
    if len(text) > most:
        raise line.wrong(column, f"above {most} characters")
    return text or None
