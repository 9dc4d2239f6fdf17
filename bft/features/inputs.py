"""The 52 model inputs of gold rows (data specification, 4).

Each row's inputs depend on rows up to it alone; computed on the last rows only, they are the same
bits as long as `HISTORY_ROWS` rows lie before.
"""

from collections.abc import Iterator
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.gold import GAP_SESSIONS, INPUTS, LOOKAHEAD
from bft.domain.market import MACRO, SECTOR_FUNDS
from bft.features import context, windows
from bft.features.basis import own_basis
from bft.features.facts import Floats, Ints, as_known, days, numbers, spans
from bft.features.macro import payroll_change

HISTORY_ROWS = 60
"""Rows before the first wanted one that its inputs look at."""
CLIPS: dict[str, tuple[float, float]] = {
    "volume_pct": (-95, 500),
    **dict.fromkeys(("close_1d_roc", "close_3d_roc", "close_10d_roc"), (-0.5, 0.5)),
    **dict.fromkeys(("vol_3d_mean", "vol_10d_mean"), (-3, 3)),
    **dict.fromkeys(("sma_20_pct", "sma_50_pct", "sma_200_pct"), (-100, 100)),
    "cci_14": (-500, 500),
    **dict.fromkeys(("52_week_high_pct", "52_week_low_pct"), (-100, 300)),
    **dict.fromkeys(("high_pct", "low_pct", "open_pct", "adjusted_close_pct"), (-50, 50)),
    **dict.fromkeys(("pe_ratio", "forward_pe", "surprise_percentage"), (-200, 200)),
    "beta": (-2, 5),
    "dividend_yield": (0, 0.3),
    "price_to_book_ratio": (0, 50),
}
WEEK_ROWS, VOLUME_ROWS = 5, 60
PRICE_INPUTS = "return close_3d_roc close_10d_roc close_5d_vol vol_3d_mean vol_10d_mean".split()
COMPUTED = frozenset(
    [
        *("close_1d_roc", "close_3d_roc", "close_10d_roc", "close_5d_vol"),
        *("vol_3d_mean", "vol_10d_mean", "nonfarm_payroll"),
        *("sector_etf_ret_1d", "sector_etf_ret_5d", "sector_etf_vol_5d", "sector_rel_ret_1d"),
        *("spy_ret_1d", "spy_ret_5d", "spy_vol_5d"),
    ]
)
"""Inputs that are no gold column, or another figure of the same name."""
COLUMNS = (
    *("symbol", "date", "adjusted_close", "volume", "sector", "adj_factor", "split_factor"),
    *(name for name in INPUTS if name not in COMPUTED),
)
"""Gold columns that `model_inputs` reads."""


def model_inputs(gold: pa.Table, *, macro: pa.Table | None = None) -> npt.NDArray[np.float32]:
    """Inputs of every row, unknown = NaN; shape (rows, 52), columns as `domain.gold.INPUTS`.

    `gold` is sorted by symbol and date and holds all symbols, context funds included, on their own
    day's basis; columns other than `COLUMNS` are ignored. `macro` is the raw table as read: input
    45 compares with the value of 12 reference months before and is null without it.

    Raises:
        DataError: `gold` has been rebased, or hands in targets that are not null.
    """
    own_basis(gold)
    _refuse_targets(gold)
    out = np.full((gold.num_rows, len(INPUTS)), np.nan, dtype=np.float32)
    if not gold.num_rows:
        return out
    for place, name in enumerate(INPUTS):
        if name not in COMPUTED:
            out[:, place] = _clipped(name, numbers(gold[name]))
    for name, values in _computed(gold, macro).items():
        out[:, INPUTS.index(name)] = _clipped(name, values)
    return out


def _computed(gold: pa.Table, macro: pa.Table | None) -> dict[str, Floats]:
    day = days(gold["date"]).astype("datetime64[D]")
    first, last = day.min().item(), day.max().item()
    grid = np.array(sessions.sessions(first, last), dtype="datetime64[D]")
    slot = np.searchsorted(grid, day)
    own = _price_inputs(gold, slot)
    return {
        **{name: values for name, values in own.items() if name != "return"},
        **_market_inputs(gold, slot, own["return"]),
        **_payroll(macro, first, last, slot),
    }


def _payroll(macro: pa.Table | None, first: date, last: date, slot: Ints) -> dict[str, Floats]:
    if macro is None:
        return {}
    known = as_known(macro, MACRO, asof=last)
    return {"nonfarm_payroll": payroll_change(known, first, last)[slot]}


def _price_inputs(gold: pa.Table, slot: Ints) -> dict[str, Floats]:
    """Inputs 2-7 and the unclipped one-row return."""
    price = numbers(gold["adjusted_close"]) * numbers(gold["adj_factor"])
    volume = numbers(gold["volume"])
    volume = np.where(volume > 0, volume, np.nan) / numbers(gold["split_factor"])
    out = {name: np.full(len(slot), np.nan) for name in PRICE_INPUTS}
    low, high = CLIPS["close_1d_roc"]
    for a, b in _segments(gold, slot):
        x, v = price[a:b], volume[a:b]
        change = x / windows.lag(x, 1) - 1
        out["return"][a:b] = change
        out["close_5d_vol"][a:b] = windows.sample_sd(
            np.clip(change, low, high), WEEK_ROWS, least=WEEK_ROWS
        )
        usual = windows.mean(v, VOLUME_ROWS)
        usual[: VOLUME_ROWS - 1] = np.nan
        for n in (3, 10):
            out[f"close_{n}d_roc"][a:b] = x / windows.lag(x, n) - 1
            recent = np.where(np.isnan(v), np.nan, windows.mean(v, n))
            out[f"vol_{n}d_mean"][a:b] = np.log(recent / usual)
    return out | {"close_1d_roc": out["return"]}


def _market_inputs(gold: pa.Table, slot: Ints, change: Floats) -> dict[str, Floats]:
    """Inputs 46-52: the sector's and the market's return of 1 and 5 rows, and its sd of 5."""
    found = spans(gold["symbol"])
    symbol = np.repeat(np.arange(len(found)), [b - a for a, b in found.values()])
    returns = context.Returns(slot=slot, value=change, symbol=symbol, names=tuple(found))
    market, _ = context.market_returns(returns)
    market_5d, market_sd = _week(market)
    daily, weekly, sd = _sector_inputs(gold, returns)
    return {
        "sector_etf_ret_1d": daily,
        "sector_etf_ret_5d": weekly,
        "sector_etf_vol_5d": sd,
        "sector_rel_ret_1d": change - daily,
        "spy_ret_1d": market[slot],
        "spy_ret_5d": market_5d[slot],
        "spy_vol_5d": market_sd[slot],
    }


def _sector_inputs(gold: pa.Table, returns: context.Returns) -> tuple[Floats, Floats, Floats]:
    """1- and 5-row return and 5-row sd of each row's sector; shape (rows,)."""
    sectors = tuple(SECTOR_FUNDS)
    coded = {name: place for place, name in enumerate(sectors)}
    words = gold["sector"].combine_chunks().dictionary_encode()
    table = np.array([*(coded.get(word, -1) for word in words.dictionary.to_pylist()), -1])
    place = words.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    sector = table[place]
    daily, proxied = context.sector_returns(returns, sector, sectors)
    weekly, sd = np.full(len(daily), np.nan), np.full(len(daily), np.nan)
    for number, name in enumerate(sectors):
        fund, _ = returns.of(context.FEATURE_FUNDS[name])
        rows = (sector == number) & ~proxied
        for out, figure in zip((weekly, sd), _week(fund), strict=True):
            out[rows] = figure[returns.slot[rows]]
    for a, b in _segments(gold, returns.slot):
        if proxied[a:b].any():
            own = proxied[a:b]
            for out, figure in zip((weekly, sd), _week(daily[a:b]), strict=True):
                out[a:b][own] = figure[own]
    return daily, weekly, sd


def _week(daily: Floats) -> tuple[Floats, Floats]:
    """Compounded return and sample sd of the last five daily returns, null unless all are known."""
    product = np.ones(len(daily))
    for rows in range(WEEK_ROWS):
        product = product * (1 + windows.lag(daily, rows))
    return product - 1, windows.sample_sd(daily, WEEK_ROWS, least=WEEK_ROWS)


def _segments(gold: pa.Table, slot: Ints) -> Iterator[tuple[int, int]]:
    for a, b in spans(gold["symbol"]).values():
        cuts = a + 1 + np.flatnonzero(np.diff(slot[a:b]) > GAP_SESSIONS + 1)
        yield from zip([a, *cuts.tolist()], [*cuts.tolist(), b], strict=True)


def _clipped(name: str, values: Floats) -> Floats:
    return np.clip(values, *CLIPS[name]) if name in CLIPS else values


def _refuse_targets(gold: pa.Table) -> None:
    held = [name for name in LOOKAHEAD if name in gold.schema.names]
    told = [name for name in held if gold[name].null_count < gold.num_rows]
    if told:
        raise DataError(f"gold holds targets {told}, which look ahead; drop them before inputs")
