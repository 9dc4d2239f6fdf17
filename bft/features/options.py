"""Option volumes of one symbol's chains on its rows: columns 22-24 and 64-67."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bft.features import windows
from bft.features.bars import Bars
from bft.features.facts import Floats, Ints, days, numbers, spans

VOLUMES = ("call_volume", "put_volume", "total_volume")
COLUMNS = (*VOLUMES, "options_14_mean", "options_14_std", "pcr", "pcr_14_mean")
WINDOW_ROWS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Volumes summed over a symbol's kept contracts; shape (chains,) each."""

    day: Ints
    call_volume: Floats
    put_volume: Floats
    total_volume: Floats


def chains_by_symbol(rows: pa.Table) -> dict[str, Chains]:
    """Volumes of every symbol that has a chain, in date order."""
    rows = rows.sort_by([("symbol", "ascending"), ("date", "ascending")])
    columns: dict[str, Any] = {
        "day": days(rows["date"]),
        **{name: numbers(rows[name]) for name in VOLUMES},
    }
    return {
        symbol: Chains(**{name: values[a:b] for name, values in columns.items()})
        for symbol, (a, b) in spans(rows["symbol"]).items()
    }


def option_columns(chains: Chains, bars: Bars) -> dict[str, Floats]:
    """Volumes, put/call ratio and their 14-row figures; null without a chain."""
    place = np.minimum(np.searchsorted(chains.day, bars.day), len(chains.day) - 1)
    found = chains.day[place] == bars.day
    out = {name: np.where(found, getattr(chains, name)[place], np.nan) for name in VOLUMES}
    with np.errstate(divide="ignore", invalid="ignore"):
        pcr = out["put_volume"] / out["call_volume"]
    out["pcr"] = np.where(out["call_volume"] == 0, np.nan, pcr)
    out |= {name: np.empty(len(bars)) for name in COLUMNS[3:] if name != "pcr"}
    for a, b in bars.segments:
        total = out["total_volume"][a:b]
        out["options_14_mean"][a:b] = windows.mean(total, WINDOW_ROWS)
        out["options_14_std"][a:b] = windows.sample_sd(total, WINDOW_ROWS)
        out["pcr_14_mean"][a:b] = windows.mean(out["pcr"][a:b], WINDOW_ROWS)
    return out
