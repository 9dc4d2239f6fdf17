"""Files of symbols that options name: watchlists, rankings of a backtest."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain.errors import DataError
from bft.domain.symbols import read_list

if TYPE_CHECKING:
    import pandas as pd


def symbols_of(path: str) -> list[str]:
    """Symbols of a symbol file in its order, each once: a CSV, or one symbol a line.

    Raises:
        DataError: it cannot be read, or names no symbol.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--watchlist {path}: {error}") from error
    listed = read_list(text, origin=path).members
    return list(dict.fromkeys(member.symbol for member in listed))


def renames_beside(listed: str | None) -> Path | None:
    """The file of renames beside a symbol file, where there is one."""
    beside = Path(listed).with_name("renames.csv") if listed else None
    return beside if beside and beside.exists() else None


def csv_rows(path: str) -> "pd.DataFrame":
    """Rows of a CSV as text: NA is a ticker, no missing value.

    Raises:
        DataError: it cannot be read.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def file_digest(path: str | Path | None) -> str:
    """sha256 of a file, `none` without one.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else "none"
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
