"""Prices and latency of the paper account as settings name them."""

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bft.adapters.broker.paper.matching import Bar
from bft.adapters.broker.paper.prices import BarPrices, Prices, SimPrices
from bft.domain import sessions
from bft.domain.errors import ConfigError, DataError

_PRICES = ("open", "high", "low", "close")


def prices_named(name: str, *, sim_url: str) -> Prices:
    """The source that `tick`, `files:FILE.csv` or `market-sim[:URL]` names.

    Raises:
        ConfigError: no such source, or no such file.
        DataError: a line of the file is no bar.
    """
    kind, _, rest = name.partition(":")
    if kind == "tick" and not rest:
        return Prices()
    if kind == "files" and rest:
        return BarPrices(read_bars(Path(rest)))
    if kind == "market-sim":
        return SimPrices(rest or sim_url)
    raise ConfigError(f"BFT_PAPER_PRICES={name}: tick, files:FILE.csv or market-sim[:URL]")


def latency_of(text: str) -> tuple[float, float]:
    """Least and most seconds of `LOW-HIGH` milliseconds.

    Raises:
        ConfigError: it is no such range.
    """
    low, _, high = text.partition("-")
    try:
        found = int(low) / 1000, int(high or low) / 1000
    except ValueError:
        found = (-1.0, -1.0)
    if not 0 <= found[0] <= found[1] <= 60:
        raise ConfigError(f"BFT_PAPER_LATENCY_MS={text}: LOW-HIGH, such as 100-500")
    return found


def read_bars(path: Path) -> list[Bar]:
    """Bars of a CSV: symbol, date (a session) or start and end, open, high, low, close, volume.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a line is no bar; names it.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"BFT_PAPER_PRICES: {path}: {error.strerror}") from error
    return list(_bars(csv.DictReader(text.splitlines()), path))


def _bars(rows: Iterable[dict[str, str]], path: Path) -> Iterable[Bar]:
    for line, row in enumerate(rows, 2):
        try:
            yield _bar(row)
        except (KeyError, TypeError, ValueError, InvalidOperation, DataError) as error:
            raise DataError(f"{path}:{line}: no bar ({error})") from error


def _bar(row: dict[str, str]) -> Bar:
    start, end = _span(row)
    first, high, low, close = (Decimal(row[name]) for name in _PRICES)
    if not (0 < low <= min(first, close) <= max(first, close) <= high) or start >= end:
        raise ValueError("prices or times contradict each other")
    return Bar(
        key=row["symbol"].strip().upper(),
        start=start,
        end=end,
        open_usd=first,
        high_usd=high,
        low_usd=low,
        close_usd=close,
        volume=int(Decimal(row["volume"])),
    )


def _span(row: dict[str, str]) -> tuple[datetime, datetime]:
    if row.get("date"):
        day = date.fromisoformat(row["date"])
        sessions.number(day)  # raises where it is no session
        return sessions.open_at(day), sessions.close_at(day)
    start, end = (datetime.fromisoformat(row[name]) for name in ("start", "end"))
    return tuple(at if at.tzinfo else at.replace(tzinfo=UTC) for at in (start, end))  # type: ignore[return-value]
