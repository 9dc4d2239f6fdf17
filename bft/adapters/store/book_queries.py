"""Filters of rows in words of the port."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bft.adapters.store.book_schema import DERIVED
from bft.domain.encoding import instant_text
from bft.domain.errors import DataError
from bft.domain.journal import TABLES, AtLeast


def table_of(name: str) -> sa.Table:
    """The table of this name.

    Raises:
        DataError: there is none; names those there are.
    """
    if name not in DERIVED:
        raise DataError(f"no table {name!r} in the book; there are {', '.join(DERIVED)}")
    return DERIVED[name]


def conditions(
    table: sa.Table, where: Mapping[str, object] | None, *, since: datetime | None = None
) -> list[Any]:
    """Conditions on columns: a value, None, a list of values, or AtLeast; and on its instant.

    Raises:
        DataError: no such column.
    """
    found: list[Any] = []
    if since is not None:
        found.append(table.c[TABLES[table.name].instant] >= instant_text(since))
    for name, wanted in (where or {}).items():
        if name not in table.c:
            raise DataError(f"table {table.name} has no column {name!r}")
        column = table.c[name]
        if isinstance(wanted, AtLeast):
            found.append(column >= wanted.value)
        elif isinstance(wanted, list | tuple | set | frozenset):
            found.append(column.in_(sorted(wanted)))
        else:
            found.append(column.is_(None) if wanted is None else column == wanted)
    return found
