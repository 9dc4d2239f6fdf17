"""Reads of an embedded registry straight from MLflow's SQLite tables.

The library takes five seconds to import; a night that only looks needs none of it. A contract test
compares these answers with the library's.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from bft.domain.errors import UnavailableError
from bft.domain.runs import ModelVersion

_ALIASES = "SELECT alias, version FROM registered_model_aliases WHERE name = ?"
_VERSIONS = (
    "SELECT version, run_id FROM model_versions WHERE name = ? "
    "AND current_stage != 'Deleted_Internal' ORDER BY version DESC"
)
_TAGS = "SELECT version, key, value FROM model_version_tags WHERE name = ?"


def aliases(database: Path, name: str) -> dict[str, str]:
    """Alias to version; none without a database."""
    return {alias: str(version) for alias, version in _rows(database, _ALIASES, name)}


def versions(database: Path, name: str) -> list[ModelVersion]:
    """Versions, newest first; none without a database."""
    tags: dict[int, dict[str, str]] = {}
    for version, key, value in _rows(database, _TAGS, name):
        tags.setdefault(version, {})[key] = value
    return [
        ModelVersion(name=name, version=str(v), run_id=run or None, tags=tags.get(v, {}))
        for v, run in _rows(database, _VERSIONS, name)
    ]


def _rows(database: Path, query: str, name: str) -> list[Any]:
    if not database.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 20000")
            return connection.execute(query, (name,)).fetchall()
    except sqlite3.Error as error:
        raise UnavailableError(f"MLflow database {database}: {error}") from error
