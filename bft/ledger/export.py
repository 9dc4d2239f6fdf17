"""The book as files: JSON of everything, the trade log as CSV.

Source: executor specification, sections 10 and 13; decision record 24.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bft.ledger.records import TRADE_COLUMNS

CSV_COLUMNS = tuple(
    "created_at symbol side qty entry_price stop_price target_price exit_price pnl_usd r_multiple "
    "outcome notes".split()
)
CLOSED_COLUMNS = TRADE_COLUMNS[:24]
"""The 24 columns of the closed CSV: the trade log up to `simulated`."""

Row = Mapping[str, Any]


def trades_csv(rows: Iterable[Row]) -> str:
    """The trade log's short form, as GET /v1/export/trades.csv gives it."""
    return _csv(CSV_COLUMNS, rows)


def closed_csv(rows: Iterable[Row]) -> str:
    """Closed trades, 24 columns, oldest exit first."""
    closed = [row for row in rows if row["exited_at"] is not None]
    closed.sort(key=lambda row: (row["exited_at"], row["id"]))
    return _csv(CLOSED_COLUMNS, closed)


def book_json(tables: Mapping[str, Sequence[Row]], *, seq: int, digest: str) -> str:
    """Tables of the book with the journal's end they stand for; equal books, equal bytes."""
    told = {"journal": {"seq": seq, "hash": digest}, **tables}
    return json.dumps(told, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def trade_row(row: Row) -> dict[str, Any]:
    """The trade log's columns of a row of the table."""
    return {name: row[name] for name in TRADE_COLUMNS}


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """A cell; objects as JSON, unknown as nothing."""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "" if value is None else value
