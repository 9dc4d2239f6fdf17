"""Scores as rows of the tables `forecasts` and `outcomes`. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.domain import sessions
from bft.domain.forecast import FORECASTS, HORIZONS_DAYS
from bft.domain.market import EXCLUDED
from bft.models.infer import Scores

_ARROW = {"f4": pa.float32(), "i1": pa.int8(), "i4": pa.int32(), "s": pa.string(), "b": pa.bool_()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Columns that are equal in all rows of a day."""

    oos: bool
    set_digest: str
    gold_digest: str
    feature_set: str
    model_age_days_max: int
    paper_only: bool
    simulated: bool


def forecast_rows(scores: Scores, about: Provenance) -> pa.Table:
    """One row per active symbol in the table's schema; refused symbols have nulls."""
    names, count = list(scores.status), len(scores.status)
    scored = np.array([why == "ok" for why in scores.status.values()])
    same: dict[str, Any] = {
        "asof": sessions.session(scores.day),
        "degraded": bool(scores.missing),
        "missing_models": ",".join(map(str, scores.missing)),
        **asdict(about),
    }
    columns = []
    for name, kind in FORECASTS.columns:
        arrow = pa.date32() if kind == "d" else _ARROW[kind]
        if name == "symbol":
            column = pa.array(names, arrow)
        elif name == "status":
            column = pa.array(list(scores.status.values()), arrow)
        elif name in same:
            column = pa.array([same[name]] * count, arrow)
        else:
            column = _spread(scores.columns.get(name), scored, arrow)
        columns.append(column)
    return pa.table(columns, names=list(FORECASTS.names))


def outcome_rows(arrays: Arrays, known: int, wanted: Collection[int]) -> pa.Table:
    """Labels whose last session is `known`, of the days `wanted`; context funds are left out."""
    ends = (arrays.label_end == known) & np.isfinite(arrays.y)
    rows, places = np.nonzero(ends & np.isin(arrays.dates, list(wanted))[:, None])
    owner = np.searchsorted(arrays.offsets, rows, side="right") - 1
    symbols = np.array(arrays.symbols, dtype=object)[owner]
    keep = np.array([name not in EXCLUDED for name in symbols], dtype=bool)
    days = [sessions.session(int(day)) for day in arrays.dates[rows[keep]]]
    return pa.table(
        {
            "asof": pa.array(days, pa.date32()),
            "symbol": pa.array(symbols[keep].tolist(), pa.string()),
            "h": pa.array(np.array(HORIZONS_DAYS)[places[keep]], pa.int16()),
            "y": pa.array(arrays.y[rows[keep], places[keep]], pa.float32()),
        }
    )


def refusal_counts(status: Mapping[str, str]) -> dict[str, int]:
    """Refused symbols by reason."""
    reasons = sorted({why for why in status.values() if why != "ok"})
    return {why: list(status.values()).count(why) for why in reasons}


def _spread(values: NDArray[Any] | None, scored: NDArray[np.bool_], arrow: pa.DataType) -> pa.Array:
    """Values of the scored symbols at their rows, null elsewhere."""
    if values is None:
        return pa.nulls(len(scored), arrow)
    place = pa.array(np.cumsum(scored) - 1, mask=~scored)
    return pa.array(values.tolist()).cast(arrow, safe=False).take(place)
