"""What strategies may see: gold rows and forecasts as known at the close of `asof`.

During a session a provisional row of that session follows them, all of whose columns have been
computed from its quotes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.gold import GAP_SESSIONS, LOOKAHEAD, SIMULATED, SUSPECTED_SPLIT
from bft.domain.market import EXCLUDED
from bft.strategies.entry_prices import read_by_entry
from bft.strategies.rules import Columns, Floats, Strategy

MODEL_AGE_MAX_DAYS = 90
SUSPECT_DAYS = LATELY_DAYS = 20
IN_SAMPLE = "in_sample"
"""Forecast column: 1 where the models had learned from the day or later ones, else NaN."""
_DIRECTIONS = {"BUY": 1.0, "SELL": -1.0, "NEUTRAL": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The last sessions as a panel; `columns` are (T, S), the last row is that of `bar_day`.

    `bar_day` is asof, or the session after it while that is unfinished. `blocked` maps a symbol to
    why it may not be entered; `forecast_status` to why it has no usable forecast (absent: it has
    one). `history_rows` are the rows of each symbol since its windows began, of those read;
    `absent` are symbols that had a row lately and have none on the last day. `in_sample` says that
    usable forecasts come of models that learned from this day, or from later ones.
    """

    asof: date
    bar_day: date
    symbols: tuple[str, ...]
    history_rows: NDArray[np.int64]
    columns: Columns
    absent: tuple[str, ...]
    blocked: Mapping[str, str]
    forecast_status: Mapping[str, str]
    set_digest: str | None
    simulated: bool
    in_sample: bool

    @property
    def provisional(self) -> bool:
        """Whether the last row is of an unfinished session."""
        return self.bar_day != self.asof


def needed_columns(strategies: Sequence[Strategy]) -> list[str]:
    """Gold columns a scan reads."""
    named = {name for strategy in strategies for name in strategy.needs.gold} - {"delta9"}
    named |= {name for s in strategies for name in read_by_entry(s.params.entry_order)}
    always = {"symbol", "date", "row_flags", "bull_bear_delta", "atr_signal", "atr_14"}
    return sorted(named | always | {"adjusted_close", "volume"})


def view_of(
    gold: pa.Table, forecasts: pa.Table, *, asof: date, lookback: int, quarantined: Sequence[str]
) -> View:
    """Cut a view from own-basis gold rows up to asof (a year of them) and forecasts.

    Context funds are left out. Forecasts of another day count as absent.

    Raises:
        DataError: the forecasts of the day come from two model sets.
    """
    days = [sessions.shift(asof, back) for back in range(1 - lookback, 1)]
    return _view(_frame(gold), forecasts, asof=asof, days=days, quarantined=quarantined)


def running_views(
    gold: pa.Table,
    forecasts: pa.Table,
    today: pa.Table,
    *,
    asof: date,
    lookback: int,
    quarantined: Sequence[str],
) -> tuple[View, View]:
    """The view with the provisional rows `today` after asof, and with them in place of asof.

    The first is what new decisions see. The second asks whether what fired at the close of asof
    would fire at the price of now: the rows before are those it was decided on.
    """
    session = sessions.shift(asof, 1)
    frame = pd.concat([_frame(gold), _frame(today.select(gold.column_names))], ignore_index=True)
    days = [sessions.shift(asof, back) for back in range(1 - lookback, 2)]
    whole = _view(frame, forecasts, asof=asof, days=days, quarantined=quarantined)
    after = {name: values[1:] for name, values in whole.columns.items()}
    instead = {name: np.delete(values, -2, axis=0) for name, values in whole.columns.items()}
    view = replace(whole, bar_day=session, columns=after)
    return view, replace(view, columns=instead)


def with_volume(rows: pa.Table, volume: pd.Series) -> pa.Table:
    """Rows whose volume is that of another series by symbol: what is usual, for a part of a day."""
    values = volume.reindex(rows["symbol"].to_pylist()).to_numpy(np.float64)
    place = rows.schema.get_field_index("volume")
    return rows.set_column(place, "volume", pa.array(values, from_pandas=True))


def _frame(gold: pa.Table) -> pd.DataFrame:
    frame = gold.drop_columns([n for n in LOOKAHEAD if n in gold.column_names]).to_pandas()
    return frame[~frame["symbol"].isin(EXCLUDED)]


def _view(
    frame: pd.DataFrame,
    forecasts: pa.Table,
    *,
    asof: date,
    days: Sequence[date],
    quarantined: Sequence[str],
) -> View:
    now = frame[frame["date"] == days[-1]]
    symbols = tuple(sorted(now["symbol"]))
    columns = _panel(frame[frame["date"].isin(days)], days, symbols)
    columns["delta9"] = columns["bull_bear_delta"] - columns["atr_signal"]
    predicted, status, set_digest = _forecasts(forecasts, asof, symbols)
    blank = np.full((len(days) - 1, len(symbols)), np.nan)
    columns |= {name: np.vstack([blank, row[None]]) for name, row in predicted.items()}
    return View(
        asof=asof,
        bar_day=days[-1],
        symbols=symbols,
        history_rows=_history_rows(frame, symbols),
        columns=columns,
        absent=_absent(frame, days[-1], symbols),
        blocked=_blocked(frame, asof, quarantined),
        forecast_status=status,
        set_digest=set_digest,
        simulated=bool((now["row_flags"] & SIMULATED).any()),
        in_sample=bool(np.isfinite(predicted[IN_SAMPLE]).any()),
    )


def _panel(frame: pd.DataFrame, days: Sequence[date], symbols: Sequence[str]) -> dict[str, Floats]:
    rows = pd.Index(days).get_indexer(frame["date"])
    cols = pd.Index(symbols).get_indexer(frame["symbol"])
    inside = cols >= 0
    panel = {}
    for name in frame.select_dtypes("number").columns:
        values = np.full((len(days), len(symbols)), np.nan)
        values[rows[inside], cols[inside]] = frame[name].to_numpy(np.float64, na_value=np.nan)[
            inside
        ]
        panel[name] = values
    return panel


def _history_rows(frame: pd.DataFrame, symbols: Sequence[str]) -> NDArray[np.int64]:
    """Rows of each symbol since its last long gap, where gold's windows begin anew; (S,)."""
    counts = frame["symbol"].value_counts().to_dict()
    span = sessions.number(frame["date"].max()) - sessions.number(frame["date"].min()) + 1
    gone = [name for name, rows in counts.items() if rows < span - GAP_SESSIONS]
    for symbol, days in frame[frame["symbol"].isin(gone)].groupby("symbol")["date"]:
        numbers = np.sort([sessions.number(day) for day in days])  # no others have a long gap
        cuts = np.flatnonzero(np.diff(numbers) > GAP_SESSIONS + 1)
        counts[symbol] = len(numbers) - (int(cuts[-1]) + 1 if len(cuts) else 0)
    return np.array([counts[symbol] for symbol in symbols], np.int64)


def _absent(frame: pd.DataFrame, last: date, symbols: Sequence[str]) -> tuple[str, ...]:
    lately = frame["date"] >= sessions.shift(last, 1 - LATELY_DAYS)
    return tuple(sorted(set(frame.loc[lately, "symbol"]) - set(symbols)))


def _blocked(frame: pd.DataFrame, asof: date, quarantined: Sequence[str]) -> dict[str, str]:
    since = sessions.shift(asof, 1 - SUSPECT_DAYS)
    suspect = (frame["date"] >= since) & ((frame["row_flags"] & SUSPECTED_SPLIT) != 0)
    blocked = dict.fromkeys(frame.loc[suspect, "symbol"], "suspected_split")
    return blocked | dict.fromkeys(quarantined, "quarantined")


def _forecasts(
    forecasts: pa.Table, asof: date, symbols: Sequence[str]
) -> tuple[dict[str, Floats], dict[str, str], str | None]:
    frame = forecasts.to_pandas()
    stale = frame["asof"] != asof
    old = "stale_forecast" if len(frame) and stale.all() else "no_forecast"
    rows = frame[~stale].set_index("symbol").reindex(list(symbols))
    aged = rows["model_age_days_max"] > MODEL_AGE_MAX_DAYS
    usable = (rows["status"] == "ok") & ~aged
    reasons = np.where(aged.to_numpy(), "stale_model", old)
    status = {
        symbol: str(reason)
        for symbol, reason, good in zip(symbols, reasons, usable.to_numpy(), strict=True)
        if not good
    }
    names = [
        *(f"expected_return_{h}d" for h in HORIZONS_DAYS),
        *(f"rank_{h}d" for h in HORIZONS_DAYS),
        *(f"lift_bin_{h}d" for h in HORIZONS_DAYS),
        *(f"prob_1_bin_{h}d" for h in HORIZONS_DAYS),
        "horizon_agreement",
    ]
    # Stored as float32: six decimals give back what was written, so that a limit can be met.
    shown = {name: rows[name].to_numpy(np.float64, na_value=np.nan).round(6) for name in names}
    shown["consensus"] = rows["consensus_direction"].map(_DIRECTIONS).to_numpy(np.float64)
    shown[IN_SAMPLE] = np.where(rows["oos"].fillna(value=True).to_numpy(bool), np.nan, 1.0)
    columns = {name: np.where(usable, values, np.nan) for name, values in shown.items()}
    return columns, status, _set_digest(frame[~stale], asof)


def _set_digest(rows: pd.DataFrame, asof: date) -> str | None:
    digests = sorted(rows["set_digest"].dropna().unique())
    if len(digests) > 1:
        shown = ", ".join(digest[:16] for digest in digests)
        raise DataError(
            f"forecasts {asof} carry {len(digests)} set digests ({shown}); "
            f"run: bft predict --asof {asof} --fresh"
        )
    return str(digests[0]) if digests else None


def check_probabilities(view: View) -> None:
    """Check that forecasts of a class lie in 0..1.

    Raises:
        DataError: one does not; names the first.
    """
    for h in HORIZONS_DAYS:
        values = view.columns[f"prob_1_bin_{h}d"][-1]
        odd = np.flatnonzero((values < 0) | (values > 1))
        if len(odd):
            worst = f"{view.symbols[odd[0]]} {values[odd[0]]}"
            raise DataError(f"forecasts {view.asof}: prob_1_bin_{h}d outside 0..1, first {worst}")
