"""Rows of signals as the bodies an executor takes.

Source: strategies specification, sections 1 and 5; executor specification, section 1.2.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from bft.domain.errors import DataError
from bft.domain.runs import check_finite
from bft.domain.trading import Direction, SignalKind
from bft.ports import Ports, Store
from bft.steps import lacking

if TYPE_CHECKING:
    import pyarrow as pa

CLOSE = "close"
RANKED_DAYS = (3, 10, 30)
SENT_AS_IS = (
    "signal_id kind direction strategy_id strategy_type strategy_version params_digest set_digest "
    "source symbol asof bar_key decided_at provisional instrument confidence confidence_kind "
    "strength horizon_days expires_at reason ref_price_usd entry_order limit_price_usd "
    "stop_price_usd tag"
).split()
PARSED = ("evidence", "exits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One signal to send: its body, and its place in a file where it has one."""

    body: Mapping[str, Any]
    tag: str = "execute"
    place: str = ""

    @property
    def is_exit(self) -> bool:
        """It closes a position."""
        return self.body.get("kind") == SignalKind.EXIT

    @property
    def sent(self) -> bool:
        """What execute sends: every exit, and entries tagged `execute`."""
        return self.is_exit or self.tag == "execute"


def stored_rows(ports: Ports, asof: date, slot: str) -> list[Row]:
    """Signals that a scan of asof published, entries in the order of their picks.

    Raises:
        DataError: that scan did not run; names the newest day with signals.
    """
    store = ports.store
    part = f"asof={asof},slot={slot}"
    manifest = store.manifest("signals", asof=asof)
    objects = manifest.objects if manifest and manifest.asof == asof else ()
    if part not in {ref.partition for ref in objects}:
        raise _absent(ports, asof, slot)
    rows = _plain_rows(store.read("signals", asof=asof, partitions=[part]))
    ranks = _ranks(store, asof) if slot == CLOSE else {}
    rows.sort(key=lambda r: (ranks.get(r["signal_id"], len(ranks) + 1), -r["confidence"]))
    try:
        return [Row(body=body_of(row), tag=row["tag"]) for row in rows]
    except ValueError as error:
        told = f"signals {asof} slot {slot}: {error}; nothing was sent"
        text = f"{told}; run: bft scan --asof {asof} --fresh"
        raise DataError(text) from error


def _absent(ports: Ports, asof: date, slot: str) -> DataError:
    if slot == CLOSE:
        return lacking.absent(ports, "signals", asof)
    run = f"bft scan --asof {asof} --mode intraday --quotes"
    return DataError(f"signals {asof} slot {slot} are absent; run: {run}")


def _plain_rows(table: "pa.Table") -> list[dict[str, Any]]:
    """Rows with instants by way of text: Arrow's turning them into Python's would import pandas."""
    import pyarrow as pa

    instants = [column.name for column in table.schema if pa.types.is_timestamp(column.type)]
    for name in instants:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(pa.string()))
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        row |= {name: datetime.fromisoformat(row[name]) for name in instants if row[name]}
    return rows


def _ranks(store: Store, asof: date) -> dict[str, int]:
    manifest = store.manifest("picks", asof=asof)
    if manifest is None or manifest.asof != asof:
        return {}
    parts = [r.partition for r in manifest.objects if r.partition == f"asof={asof}"]
    picks = store.read("picks", asof=asof, columns=["signal_id", "rank"], partitions=parts or None)
    return {row["signal_id"]: row["rank"] for row in picks.to_pylist()}


def body_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The body of one stored row; unknown values are left away.

    Raises:
        ValueError: a number that is none, or text that is no JSON; names signal and column.
    """
    made: dict[str, Any] = {name: _plain(row[name]) for name in SENT_AS_IS}
    for name, value in made.items():
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{row['signal_id']}, column {name}: {value} is no number")
    made |= {name: parsed(name, row[name]) for name in PARSED}
    opens = row["kind"] == SignalKind.ENTRY
    made["side"] = "BUY" if (row["direction"] == Direction.LONG) == opens else "SELL"
    made["quantity"] = int(row["qty"]) or None
    made["model_score"] = _score(made["evidence"], row)
    return {name: value for name, value in made.items() if value is not None}


def parsed(name: str, text: str) -> Any:
    """What a column of JSON says.

    Raises:
        ValueError: it is no JSON, or a number in it is NaN, infinite or too large.
    """
    found = json.loads(text)
    try:
        check_finite(found)
    except DataError as error:
        raise ValueError(f"column {name}: {error}") from error
    return found


def _score(evidence: Mapping[str, float], row: Mapping[str, Any]) -> float | None:
    """The forecast's rank in the signal's direction, at the horizon nearest to the signal's."""
    known = [days for days in RANKED_DAYS if f"rank_{days}d" in evidence]
    if not known:
        return None
    nearest = min(known, key=lambda days: abs(days - row["horizon_days"]))
    rank = evidence[f"rank_{nearest}d"]
    return round(rank if row["direction"] == Direction.LONG else 1 - rank, 6)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def one_set(rows: Iterable[Row], where: str) -> None:
    """Refuse signals of two model sets in one file.

    Raises:
        DataError: names both digests and the line of the second.
    """
    seen: dict[str, str] = {}
    for row in rows:
        digest = row.body.get("set_digest")
        if digest:
            seen.setdefault(digest, row.place)
    if len(seen) > 1:
        (first, _), (other, place) = list(seen.items())[:2]
        raise DataError(
            f"{where}: {place or 'a row'}, column set_digest: {other[:12]} beside {first[:12]}; "
            "signals of two forecast sets are not sent together"
        )
