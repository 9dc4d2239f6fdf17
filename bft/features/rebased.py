"""Files whose past is re-based at a split: told by what is stored, and taken back to as traded.

An adjusted file divides all its earlier prices by a split's ratio on the ex-date. Stored bars stay
on their own day's basis, so such a delivery is the stored history over again, not a correction
(data specification, 1.4).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from bft.features.arrivals import KEY, PRICES, REVISION_FRAC
from bft.features.corporate import SPLIT_RATIOS, UNCONFIRMED_RATIOS, decimal_unit
from bft.features.facts import Bools, Floats

RATIO_FRAC = 1e-4  # a ratio may be written with four digits (1.3333), a price with five
AGREE_FRAC = 0.90  # of the bars before an ex-date; the others are corrections, judged as such
CENT = 0.01  # few dividends are a sample too small to tell a coarser rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action that would explain a re-based past; `value` as actions.csv has it."""

    ex_date: date
    kind: str
    value: float


def as_traded(
    bars: pd.DataFrame, stored: pd.DataFrame, actions: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Delivered bars on the basis of the stored ones, and the actions taken out, in words.

    `stored` are accepted bars, one of a key; `actions` known splits and others, one of a key and
    kind: those of one day divide together. What then agrees with the stored value within the
    file's rounding is that value. Volumes are multiplied by the ratio in the file, or left alone,
    whichever is nearer to the stored ones. A `dividend_amount` of both, divided like the prices, is
    the stored one.
    """
    paid = {"dividend_amount"} & set(bars.columns) & set(stored.columns)
    names = [*PRICES, "volume", *paid]
    was = stored.rename(columns={name: f"{name}_was" for name in names})
    was = was.astype({name: bars[name].dtype for name in KEY})
    rows = bars[[*KEY, *names]].reset_index(drop=True).merge(was, on=KEY, how="left")
    moved = (rows["close"] / rows["close_was"] - 1).abs() > REVISION_FRAC
    bars, told = bars.reset_index(drop=True), []
    actions = _by_day(actions)
    named = set(rows.loc[moved, "symbol"]) & set(actions["symbol"])
    for symbol, mine in rows[rows["symbol"].isin(named)].groupby("symbol"):
        mine = mine.sort_values("date")
        chosen = actions[actions["symbol"] == symbol].sort_values("ex_date")
        price, share, words = _taken(mine, chosen)
        if words:
            told += [f"{symbol} {word}" for word in words]
            back = _back(mine, price, share)
            bars.loc[back.index, back.columns] = back
    return bars, told


def likely_step(
    day: npt.NDArray[np.int64], close: Floats, refused_day: npt.NDArray[np.int64], refused: Floats
) -> Step | None:
    """The action that explains a symbol's refused closes: all before a day, one ratio apart.

    `day` and `close` are the accepted bars, shape (T,). None where the past is not wholly re-based
    or the price of that day does not confirm it.
    """
    both = np.isin(refused_day, day)
    place, refused = np.searchsorted(day, refused_day[both]), refused[both]
    end = int(place.max(initial=-1)) + 1
    if not len(place) or end == len(day) or len(place) < AGREE_FRAC * end:
        return None
    was = close[place]
    ratio = float(np.median(was / refused))
    if abs(ratio - 1) <= REVISION_FRAC:
        return None  # the closes are the stored ones: what was refused is another price
    near = min(SPLIT_RATIOS, key=lambda each: abs(np.log(each / ratio)))
    q = close[end - 1] / close[end]
    least, most = UNCONFIRMED_RATIOS
    confirmed = abs(np.log(q / ratio)) < abs(np.log(q)) or least <= ratio <= most
    units = decimal_unit(pd.Series(refused)), decimal_unit(pd.Series(close))
    ex_date = date.fromordinal(date(1970, 1, 1).toordinal() + int(day[end]))
    for kind, value in (("split", near), ("other", float(f"{ratio:.6g}"))):
        if confirmed and _mostly(_near(refused * value, was, np.full(len(was), value), units)):
            return Step(ex_date=ex_date, kind=kind, value=value)
    return None


def _by_day(actions: pd.DataFrame) -> pd.DataFrame:
    """Of each symbol and day what its actions divide: prices by `value`, shares by `share`."""
    share = actions["value"].where(actions["kind"] == "split", 1.0)
    days = actions.assign(share=share).groupby(["symbol", "ex_date"], as_index=False)
    return days.agg(value=("value", "prod"), share=("share", "prod"), kind=("kind", " and ".join))


def _taken(rows: pd.DataFrame, actions: pd.DataFrame) -> tuple[Floats, Floats, list[str]]:
    """Factors of price and of shares that each row lacks, newest action first; those in words.

    An action is in the file where the rows before it, back to the action before, agree with the
    stored ones times its value and do not without, while the next row lacks nothing: a day that
    is entered too early or too late explains nothing.
    """
    price, share, told = np.ones(len(rows)), np.ones(len(rows)), []
    close, was = rows["close"].to_numpy(float), rows["close_was"].to_numpy(float)
    units = decimal_unit(rows["close"]), decimal_unit(rows["close_was"])
    both = np.isfinite(close) & np.isfinite(was)
    ends = np.searchsorted(rows["date"].to_numpy(), actions["ex_date"].to_numpy())
    starts = np.r_[0, ends[:-1]]
    order = list(zip(starts, ends, actions.itertuples(index=False), strict=True))
    for start, end, action in reversed(order):
        before = start + np.flatnonzero(both[start:end])
        after = end + np.flatnonzero(both[end:])[:1]
        held = _near(close * price, was, price, units)
        lacked = _near(close * price * action.value, was, price * action.value, units)
        if _mostly(lacked[before]) and not _mostly(held[before]) and held[after].all():
            price[:end] *= action.value
            share[:end] *= action.share
            told.append(f"{action.ex_date.date()} {action.kind} {action.value:.6g}")
    return price, share, told


def _mostly(near: Bools) -> bool:
    """Whether nearly all bars agree, and so does the last of them."""
    return bool(len(near) and near[-1]) and float(np.mean(near)) >= AGREE_FRAC


def _near(made: Floats, was: Floats, factor: Floats, units: tuple[float, float]) -> Bools:
    """Where prices differ by rounding alone: half a unit of either side's last decimal."""
    rounding = 0.5 * (units[0] * factor + units[1])
    close: Bools = np.abs(made - was) <= RATIO_FRAC * np.abs(was) + rounding
    return close


def _back(rows: pd.DataFrame, price: Floats, share: Floats) -> pd.DataFrame:
    """Prices, volumes and dividends as traded, with the index of `rows`."""
    back = {}
    units = decimal_unit(rows["close"]), decimal_unit(rows["close_was"])
    for name in PRICES:
        made, was = rows[name].to_numpy(float) * price, rows[f"{name}_was"].to_numpy(float)
        back[name] = np.where((price != 1) & _near(made, was, price, units), was, made)
    if "dividend_amount" in rows:
        back["dividend_amount"] = _paid(rows, price)
    volume, was = rows["volume"].to_numpy(float), rows["volume_was"].to_numpy(float)
    both = (volume > 0) & (was > 0) & (share != 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = np.log(volume / was)[both]
    if len(grown) and np.median(np.abs(grown - np.log(share[both]))) < np.median(np.abs(grown)):
        made = volume / share
        rounded = np.abs(made - was) <= 1 + RATIO_FRAC * was
        volume = np.where((share != 1) & rounded, was, np.round(made))
    return pd.DataFrame({**back, "volume": volume}, index=rows.index)


def _paid(rows: pd.DataFrame, price: Floats) -> Floats:
    """Dividends delivered; the stored one where the file divides it like the prices."""
    paid, was = rows["dividend_amount"], rows["dividend_amount_was"].to_numpy(float)
    units = min(CENT, decimal_unit(paid)), min(CENT, decimal_unit(rows["dividend_amount_was"]))
    amount = paid.to_numpy(float)
    kept: Floats = np.where((price != 1) & _near(amount * price, was, price, units), was, amount)
    return kept
