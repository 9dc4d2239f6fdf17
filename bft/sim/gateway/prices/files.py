"""Daily bars from SYMBOL.csv in a folder: date, open, high, low, close, volume."""

import csv
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

from bft.domain.errors import ConfigError, DataError
from bft.sim.gateway.prices.intraday import DayBar

_COLUMNS = ("open", "high", "low", "close", "volume")


class FileDays:
    """Bars of every `SYMBOL.csv` of a folder; class shares as `BRK-B.csv`.

    Raises:
        ConfigError: no such folder, or no CSV in it.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.seed = seed
        self._files = {f.stem.upper().replace("-", " "): f for f in sorted(folder.glob("*.csv"))}
        if not self._files:
            raise ConfigError(f"--prices files:{folder}: no SYMBOL.csv there, such as AAPL.csv")
        self._read: dict[str, dict[date, DayBar]] = {}

    @cached_property
    def names(self) -> Sequence[tuple[str, str]]:
        """See `Days`."""
        return [(symbol, symbol) for symbol in self._files]

    def day(self, symbol: str, session: date) -> DayBar | None:
        """See `Days`.

        Raises:
            DataError: a file that holds something else.
        """
        return self._bars(symbol).get(session)

    def first(self, symbol: str) -> date | None:
        """See `Days`."""
        return min(self._bars(symbol), default=None)

    def _bars(self, symbol: str) -> dict[date, DayBar]:
        file = self._files.get(symbol)
        if file is None:
            return {}
        if symbol not in self._read:
            self._read[symbol] = _read(file)
        return self._read[symbol]


def _read(file: Path) -> dict[date, DayBar]:
    found: dict[date, DayBar] = {}
    previous = 0.0
    rows = csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines())
    for row in sorted(rows, key=lambda one: _cell(one, "date", file)):
        try:
            day = date.fromisoformat(_cell(row, "date", file)[:10])
            prices = [float(_cell(row, name, file)) for name in _COLUMNS]
        except ValueError as error:
            raise DataError(f"{file}: {error}; columns date,{','.join(_COLUMNS)}") from error
        bar = DayBar(**dict(zip(_COLUMNS, prices, strict=True)), previous=previous or prices[0])
        found[day], previous = bar, bar.close
    return found


def _cell(row: dict[str, str], name: str, file: Path) -> str:
    for key, value in row.items():
        if str(key).strip().lower() == name:
            return (value or "").strip()
    raise DataError(f"{file}: no column {name}; columns date,{','.join(_COLUMNS)}")
