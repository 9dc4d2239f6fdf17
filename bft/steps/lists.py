"""Files of symbols that options name: watchlists, rankings of a backtest."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def symbols_of(path: str) -> list[str]:
    """Symbols of a CSV with a column Symbol or Ticker, in its order, upper case.

    Raises:
        DataError: no such file or column.
    """
    rows = csv_rows(path)
    named = [column for column in rows if str(column).strip().lower() in {"symbol", "ticker"}]
    if not named:
        raise DataError(f"{path}: no column Symbol among {list(rows)}")
    return [str(text).strip().upper() for text in rows[named[0]].dropna()]


def csv_rows(path: str) -> "pd.DataFrame":
    """Rows of a CSV.

    Raises:
        DataError: it cannot be read.
    """
    import pandas as pd

    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def file_digest(path: str | None) -> str:
    """sha256 of a file, `none` without one.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else "none"
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
