"""The audit chain of promotions: is it intact, what was in production, what was demoted."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime

from bft.domain.runs import Json

GENESIS = "0" * 64


def row_hash(row: Json) -> str:
    """sha256(prev_hash + canonical JSON of everything but prev_hash and hash)."""
    rest = {key: value for key, value in row.items() if key not in {"prev_hash", "hash"}}
    body = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((row["prev_hash"] + body).encode()).hexdigest()


def fault(rows: Sequence[Json]) -> str | None:
    """First thing wrong with the chain, in words, or None."""
    before: Json = {"seq": 0, "hash": GENESIS, "to": None, "revision": 0}
    for row in rows:
        checks = {
            "seq": row["seq"] == before["seq"] + 1,
            "prev_hash": row["prev_hash"] == before["hash"],
            "hash": row["hash"] == row_hash(row),
            "revision": row["revision"] == before["revision"] + 1,
            "from": row["from"] == before["to"],
        }
        bad = [name for name, good in checks.items() if not good]
        if bad:
            return f"audit row {row['seq']}: {', '.join(bad)} does not follow from the row before"
        before = row
    return None


def in_production(rows: Sequence[Json], *, at: datetime) -> Json | None:
    """Row that put into production what was there at an instant."""
    earlier = [row for row in rows if datetime.fromisoformat(row["ts_utc"]) <= at]
    return earlier[-1] if earlier else None


def before(rows: Sequence[Json], digest: str) -> str | None:
    """The set that was in production before `digest` last came there by promotion."""
    moved = [row for row in rows if row["to"] == digest and row["action"] == "promote"]
    return moved[-1]["from"] if moved else None


def demoted(rows: Sequence[Json], alike: Callable[[str], bool]) -> bool:
    """Whether models were rolled back and not promoted since; `alike`: a set is made of them."""
    left = {row["from"] for row in rows if row["action"] == "rollback" and row["from"]}
    if not any(alike(digest) for digest in left):  # few: no other set is looked at
        return False
    for row in reversed(rows):
        if alike(row["to"]):
            return False
        if row["action"] == "rollback" and row["from"] and alike(row["from"]):
            return True
    return False
