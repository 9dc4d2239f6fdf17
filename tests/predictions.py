"""Scoring of a small market by a set of tiny models."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from fakes import FakePorts, arguments, no_tick

from bft.models.model_set import read_set
from bft.ports import Summary
from bft.steps import predict

ASOF = date(2025, 12, 31)


NAMES = [f"S{n:03d}" for n in range(24)]


def score(ports: FakePorts, digest: str, *words: str, asof: date = ASOF) -> Summary:
    args = arguments(predict.STEP, "--asof", str(asof), "--set", digest, *words)
    return predict.STEP.run(ports, args, no_tick)


def forecasts(ports: FakePorts, asof: date = ASOF, table: str = "forecasts") -> dict[str, Any]:
    rows = ports.store.read(table, asof=ASOF, since=asof)
    rows = rows.filter(pa.compute.equal(rows["asof"], asof))
    return {name: rows[name].to_pylist() for name in rows.column_names}


def change_gold(ports: FakePorts, edit: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Republish gold after `edit` changed its columns, or returned the rows to keep."""
    rows = ports.store.read("gold", asof=ASOF)
    cells = {
        name: rows[name].to_numpy().copy()
        for name in ("symbol", "date", "adjusted_close", "adjusted_open", "rsi_14", "sma_20_pct")
    }
    keep = edit(cells)
    for name, values in cells.items():
        place = rows.schema.get_field_index(name)
        column = pa.array(values, from_pandas=name in {"symbol", "date"})
        rows = rows.set_column(place, name, column.cast(rows.schema.field(place).type))
    rows = rows.filter(pa.array(keep)) if keep is not None else rows
    ports.store.publish("gold", asof=ASOF, partitions={"all": rows}, replaces=True)


def flip(ports: FakePorts, digest: str, name: str) -> None:
    """Change one byte of a model's weights."""
    file = artifact_of(ports, digest, name) / "weights.pt"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def artifact_of(ports: FakePorts, digest: str, name: str) -> Path:
    return ports.store.path(f"models/{read_set(ports.store, digest).entry(name).digest}")
