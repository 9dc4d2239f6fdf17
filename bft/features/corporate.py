"""Splits, dividends and other corporate actions: read off prices, checked against them."""

from datetime import date

import numpy as np
import pandas as pd

from bft.features.arrivals import newest

UNCONFIRMED_RATIOS = (0.8, 1.25)  # from..to, which the price need not confirm (1.4)
SPLIT_RATIOS = tuple(
    sorted(
        ratio
        for c in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 3 / 2, 4 / 3, 5 / 4)
        for ratio in (c, 1 / c)
    )
)
"""Candidates of a suspected split (data specification, Q09)."""
DIVIDEND_FRAC = 0.20  # of an old installation's adjusted closes, larger ones are not believed
STEP = 5e-4  # smaller changes of adjusted / raw are rounding
FLOAT_FRAC = 1e-6  # of the price; what is left of a ratio in single precision
DECIMALS_MAX = 8
_KINDS = {
    "symbol": "str",
    "ex_date": "datetime64[ms]",
    "kind": "str",
    "value": "float64",
    "declared_on": "datetime64[ms]",
}
COLUMNS = list(_KINDS)


def delivered_actions(bars: pd.DataFrame) -> pd.DataFrame:
    """Actions in the dividend_amount and split_coefficient columns of bars."""
    parts = []
    for column, kind, none in (
        ("split_coefficient", "split", 1.0),
        ("dividend_amount", "dividend", 0.0),
    ):
        if column in bars:
            rows = bars[bars[column].notna() & (bars[column] != none)]
            parts.append(_actions(rows["symbol"], rows["date"], kind, rows[column]))
    return _joined(parts)


def inferred_actions(bars: pd.DataFrame) -> pd.DataFrame:
    """Actions that the ratio of adjusted to as-traded close implies.

    q = change of the ratio over one row: a split within 1 % of a candidate, a dividend of
    P (1 - 1/q) above 1 (P = close of the row before), else `other` with the whole factor q.
    """
    ratio = bars["vendor_adjusted_close"] / bars["close"]
    same = bars["symbol"] == bars["symbol"].shift()
    q = (ratio / ratio.shift()).where(same)
    steps = bars.assign(q=q, before=bars["close"].shift())[(q - 1).abs() > STEP]
    near = _nearest_ratio(steps["q"])
    split = near.notna()
    dividend = ~split & (steps["q"] > 1)
    rest = steps[~split & ~dividend]
    paid, divided = steps[dividend], steps[split]
    return _joined(
        [
            _actions(divided["symbol"], divided["date"], "split", near[split]),
            _actions(paid["symbol"], paid["date"], "dividend", paid["before"] * (1 - 1 / paid.q)),
            _actions(rest["symbol"], rest["date"], "other", rest["q"]),
        ]
    )


def settled(inferred: pd.DataFrame, stored: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Inferred actions with the value that is stored, where they differ by rounding alone.

    A vendor scales the whole past at every dividend and rounds it again, so each old ratio moves
    by up to half a unit of the last decimal of its two adjusted closes, then and now.
    """
    adjusted, key = bars["vendor_adjusted_close"], ["symbol", "ex_date", "kind"]
    rounding = FLOAT_FRAC + decimal_unit(adjusted) * (1 / adjusted + 1 / adjusted.shift())
    places = bars[["symbol"]].assign(ex_date=bars["date"], rounding=rounding)
    places["before"] = bars["close"].shift()
    last = newest(stored, key)
    last = last[[*key, "value"]].astype({"ex_date": inferred["ex_date"].dtype})
    rows = inferred.merge(places, on=["symbol", "ex_date"], how="left")
    rows = rows.merge(last, on=key, how="left", suffixes=("", "_was"))
    size = rows["before"].where(rows["kind"] == "dividend", rows["value"].abs())
    equal = (rows["value"] - rows["value_was"]).abs() <= rows["rounding"] * size
    value = rows["value"].mask(equal, rows["value_was"])
    return inferred.assign(value=value.to_numpy())


def ordinary(actions: pd.DataFrame, closes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inferred splits and dividends up to 20 % of the close before; and the other steps."""
    rows = _with_closes(actions, closes)
    good = rows["kind"] == "split"
    good |= (rows["kind"] == "dividend") & (rows["value"] <= DIVIDEND_FRAC * rows["before"])
    return rows.loc[good, COLUMNS], rows.loc[~good, COLUMNS]


def preferred(entered: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Entered actions, and those found on days without an entered one."""
    days = pd.MultiIndex.from_frame(entered[["symbol", "ex_date"]])
    free = ~pd.MultiIndex.from_frame(found[["symbol", "ex_date"]]).isin(days)
    entered = entered.reindex(columns=COLUMNS).astype({"declared_on": _KINDS["declared_on"]})
    return _joined([entered, found[free][COLUMNS]])


def with_expected(
    actions: pd.DataFrame, stored: pd.DataFrame, closes: pd.DataFrame
) -> pd.DataFrame:
    """Delivered actions, and stored ones that were expected and whose day has a bar now."""
    waiting = _untold(actions, stored)
    newest = waiting["symbol"].map(closes.groupby("symbol")["date"].max())
    due = waiting[waiting["ex_date"] <= newest]
    actions = actions.reindex(columns=COLUMNS).astype({"declared_on": _KINDS["declared_on"]})
    return _joined([actions, due])


def withdrawn(actions: pd.DataFrame, stored: pd.DataFrame, closes: pd.DataFrame) -> pd.DataFrame:
    """Stored actions that were expected and that a list of all, delivered now, lacks; refused.

    Of symbols with closes alone: of others nothing was delivered.
    """
    gone = _untold(actions, stored)
    gone = gone[gone["symbol"].isin(closes["symbol"])]
    gone = gone.astype({"ex_date": closes["date"].dtype})
    return gone.assign(status="refused", reason="withdrawn")


def judged(actions: pd.DataFrame, closes: pd.DataFrame, *, asof: date) -> pd.DataFrame:
    """Actions with `status` and, where refused, `reason`; those before the first bar are dropped.

    One of a day after asof is expected: what it does to the price will judge it.

    bad_action: an impossible value, or two values of a kind on one day. unconfirmed_split: q =
    close(t-1)/close(t) is no nearer to the ratio f than to 1; f within 0.8..1.25 is exempt.
    """
    actions = actions.drop_duplicates(["symbol", "ex_date", "kind", "value"])
    rows = _with_closes(actions, closes)
    rows = rows[rows["before"].notna() | (rows["kind"] == "none")]
    value, split = rows["value"], rows["kind"] == "split"
    bad = split & ~((value > 0) & (value <= 1000))
    bad |= (rows["kind"] == "dividend") & ~((value >= 0) & (value < rows["before"]))
    bad |= (rows["kind"] == "other") & ~(value > 0)
    bad |= rows.duplicated(["symbol", "ex_date", "kind"], keep=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = np.log(rows["before"] / rows["after"])
        off = ~((q - np.log(value)).abs() < q.abs())
    later = rows["ex_date"] > pd.Timestamp(asof)
    unconfirmed = split & ~bad & ~later & off & ~value.between(*UNCONFIRMED_RATIOS)
    reason = pd.Series(None, index=rows.index, dtype="object")
    reason = reason.mask(bad, "bad_action").mask(unconfirmed, "unconfirmed_split")
    status = np.where(reason.notna(), "refused", np.where(later, "expected", "ok"))
    return rows[COLUMNS].assign(status=status, reason=reason).reset_index(drop=True)


def _untold(actions: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Stored actions whose newest revision is expected, without those delivered."""
    key = ["symbol", "ex_date", "kind"]
    last = newest(stored, key)
    last = last[last["status"] == "expected"]
    told = pd.MultiIndex.from_frame(last[key]).isin(pd.MultiIndex.from_frame(actions[key]))
    return last.loc[~told, COLUMNS]


def decimal_unit(prices: pd.Series) -> float:
    """One in the last decimal that the prices have; 0 where they are not rounded."""
    values = prices.dropna().to_numpy()
    for decimals in range(DECIMALS_MAX + 1):
        if np.allclose(values, values.round(decimals), rtol=1e-12, atol=0):
            return float(10**-decimals)
    return 0.0


def _with_closes(actions: pd.DataFrame, closes: pd.DataFrame) -> pd.DataFrame:
    """Close of the last bar before each ex-date and of the first one on or after it."""
    closes = closes[closes["symbol"].isin(actions["symbol"])].sort_values("date")
    closes = closes[["symbol", "date", "close"]]
    rows = actions.astype({"ex_date": closes["date"].dtype}).sort_values("ex_date", kind="stable")
    for name, direction, exact in (("before", "backward", False), ("after", "forward", True)):
        side = closes.rename(columns={"date": "ex_date", "close": name})
        rows = pd.merge_asof(
            rows, side, on="ex_date", by="symbol", direction=direction, allow_exact_matches=exact
        )
    return rows.sort_values(["symbol", "ex_date", "kind"], ignore_index=True)


def _nearest_ratio(q: pd.Series) -> pd.Series:
    ratios = np.array(SPLIT_RATIOS)
    near = ratios[np.abs(np.log(q.to_numpy()[:, None] / ratios[None, :])).argmin(axis=1)]
    return pd.Series(near, index=q.index).where((q / near - 1).abs() <= 0.01)


def _actions(symbol: pd.Series, day: pd.Series, kind: str, value: pd.Series) -> pd.DataFrame:
    made = pd.DataFrame({"symbol": symbol, "ex_date": day, "kind": kind, "value": value})
    return made.assign(declared_on=pd.Series(pd.NaT, index=made.index, dtype="datetime64[ms]"))


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _KINDS.items()})
    order = ["symbol", "ex_date", "kind"]
    return pd.concat(filled).sort_values(order, kind="stable", ignore_index=True)
