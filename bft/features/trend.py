"""The small feature table of one symbol that other tools read (data specification, 4)."""

import numpy as np
import pyarrow as pa

from bft.features import windows
from bft.features.facts import numbers

SLOPE_ROWS, VOLUME_ROWS = 5, 20


def trend_features(gold: pa.Table) -> pa.Table:
    """date, ema_20, ema_50, ema_20_slope, trend_strength, atr_14 and vol_z of one symbol's rows.

    Slope: change over 5 rows. Strength: (ema_20 - ema_50) / ema_50. vol_z: the volume's distance
    from its 20-row mean in sample standard deviations, split-adjusted.
    """
    fast, slow = numbers(gold["ema_20"]), numbers(gold["ema_50"])
    volume = numbers(gold["volume"]) / numbers(gold["split_factor"])
    sd = windows.sample_sd(volume, VOLUME_ROWS, least=VOLUME_ROWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        vol_z = (volume - windows.mean(volume, VOLUME_ROWS)) / np.where(sd > 0, sd, np.nan)
        columns = {
            "ema_20": fast,
            "ema_50": slow,
            "ema_20_slope": fast - windows.lag(fast, SLOPE_ROWS),
            "trend_strength": (fast - slow) / slow,
            "atr_14": numbers(gold["atr_14"]),
            "vol_z": vol_z,
        }
    made = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    return pa.table({"date": gold["date"], **made})
