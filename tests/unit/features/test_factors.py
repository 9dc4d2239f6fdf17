"""Forward factors: hand-worked events, invariants, and public data sets of both conventions."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import LAST, actions_of, bars_of, flat, tables

from bft.domain import sessions
from bft.features.bars import Bars, bars_by_symbol
from bft.features.factors import Actions, Factors, actions_by_symbol, forward_factors, split_on
from bft.features.facts import day_number


def factors(closes: list[float], *events: tuple[int, str, float]) -> Factors:
    bars = bars_of(closes)
    return forward_factors(bars, actions_of(bars, events))


def test_split_and_dividend_of_one_day_follow_the_rule() -> None:
    # f = 2, d = 1 per new share, P = 100: S = 2, C = 2 * 100 / (100 - 2) = 2.040816...
    made = factors([99, 100, 49], (2, "split", 2.0), (2, "dividend", 1.0))
    assert made.split.tolist() == [1, 1, 2]
    assert made.total.tolist() == pytest.approx([1, 1, 2 * 100 / 98])


def test_spin_off_moves_the_total_factor_alone() -> None:
    made = factors([100, 80], (1, "other", 1.25))
    assert made.split.tolist() == [1, 1]
    assert made.total.tolist() == [1, 1.25]


def test_dividend_not_below_the_price_before_is_refused() -> None:
    made = factors([10, 10, 10], (1, "dividend", 10.0), (2, "dividend", 1.0))
    assert made.total.tolist() == pytest.approx([1, 1, 10 / 9])
    assert made.actions.value.tolist() == [1.0]


def test_action_without_a_bar_on_its_day_counts_on_the_next_bar() -> None:
    rows = flat([10, 10, 10, 5])
    del rows[2]
    split = {"symbol": "A", "ex_date": sessions.shift(LAST, -1), "kind": "split", "value": 2.0}
    known = tables(bars=rows, actions=[split])
    bars = next(bars_by_symbol(known["bars"]))
    made = forward_factors(bars, actions_by_symbol(known["actions"])["A"])
    assert made.split.tolist() == [1, 1, 2]


def test_dividend_before_a_split_counts_per_share_of_its_own_day() -> None:
    """1 USD on 100 and then 4:1, both without a bar: C = 4 * 100/99; red: 4 * 100/96.

    Paid after the split, 1 USD is of four shares: 4 * 100 / (100 - 4).
    """
    rows = flat([100, 0, 0, 24.75])
    del rows[1:3]
    first, then = sessions.shift(LAST, -2), sessions.shift(LAST, -1)
    for paid, split, total in ((first, then, 4 * 100 / 99), (then, first, 4 * 100 / 96)):
        acted = [
            {"symbol": "A", "ex_date": paid, "kind": "dividend", "value": 1.0},
            {"symbol": "A", "ex_date": split, "kind": "split", "value": 4.0},
        ]
        known = tables(bars=rows, actions=acted)
        bars = next(bars_by_symbol(known["bars"]))
        made = forward_factors(bars, actions_by_symbol(known["actions"])["A"])
        assert made.total.tolist() == pytest.approx([1, total])


def test_action_on_the_first_bar_is_part_of_its_price() -> None:
    assert factors([10, 10], (0, "split", 2.0), (0, "dividend", 1.0)).total.tolist() == [1, 1]


def test_split_basis_counts_days_after_the_last_bar_too() -> None:
    days = np.array([day_number(date(2018, 2, d)) for d in (1, 5, 6, 9)])
    actions = Actions(ex_day=days[[1, 3]], kind=("split", "split"), value=np.array([2.0, 3.0]))
    assert split_on(actions, days, since=int(days[0])).tolist() == [1, 2, 2, 6]
    assert split_on(actions, days, since=int(days[1])).tolist() == [0.5, 1, 1, 3]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(closes=st.lists(st.floats(1, 1000), min_size=3, max_size=30), data=st.data())
def test_factors_start_at_one_and_never_look_ahead(
    closes: list[float], data: st.DataObject
) -> None:
    """1 at the first bar; constant without actions; a later action leaves earlier rows alone."""
    kinds = st.sampled_from([("split", 2.0), ("split", 0.1), ("dividend", 0.3)])
    rows = data.draw(st.lists(st.integers(1, len(closes) - 1), max_size=5, unique=True))
    events = [(row, *data.draw(kinds)) for row in rows]
    made = factors(closes, *events)
    assert made.split[0] == made.total[0] == 1
    assert (made.total >= made.split * (1 - 1e-12)).all()
    quiet = np.setdiff1d(np.arange(1, len(closes)), rows)
    assert (made.total[quiet] == made.total[quiet - 1]).all()
    last = max(rows, default=len(closes))
    fewer = factors(closes, *(event for event in events if event[0] != last))
    assert made.total[:last].tobytes() == fewer.total[:last].tobytes()


def test_forward_series_reproduces_published_adjusted_closes(real_data: Path) -> None:
    """WIKI divides by P + D with P of the ex-date; both conventions agree within 2e-3 an event."""
    folder = real_data / "corporate_actions"
    daily = pd.read_parquet(folder / "wiki_raw_adjusted_daily.parquet")
    events = pd.read_csv(folder / "wiki_events.csv", parse_dates=["ex_date"])
    checked = 0
    for symbol, rows in daily.groupby("symbol"):
        rows = rows.sort_values("date").reset_index(drop=True)
        mine = forward_factors(*_from_wiki(str(symbol), rows, events))
        own = np.diff(np.log(mine.total))
        theirs = np.diff(np.log(rows["adj_close"].to_numpy() / rows["close"].to_numpy()))
        whole = np.diff(rows["date"].to_numpy().astype("datetime64[D]").astype(int)) < 10
        assert np.abs(own - theirs)[whole].max() < 2e-3, symbol
        checked += (whole & (np.abs(theirs) > 1e-6)).sum()
    assert checked > 300


def test_factor_of_an_event_equals_what_a_vendor_restated(real_data: Path) -> None:
    """This vendor's factor on the close before is (P - d)/P, our own convention."""
    events = pd.read_csv(real_data / "corporate_actions" / "pystock_events_2015.csv")
    events = events[events["price_confirms"].astype(str) != "False"]
    kinds = {"cash_dividend": "dividend", "split": "split", "reverse_split": "split"}
    events = events[events["kind"].isin(kinds)]
    assert len(events) > 900
    for row in events.itertuples():
        made = factors([row.prev_close, row.ex_close], (1, kinds[row.kind], row.value))
        assert 1 / made.total[1] == pytest.approx(row.factor, rel=2e-3), row


def _from_wiki(symbol: str, rows: pd.DataFrame, events: pd.DataFrame) -> tuple[Bars, Actions]:
    mine = events[events["symbol"] == symbol].sort_values("ex_date")
    close = rows["close"].to_numpy(float)
    prices = ("open", "high", "low", "close", "volume", "vendor_close")
    bars = Bars(
        symbol=symbol,
        day=rows["date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        **{name: np.zeros(len(rows), np.int64) for name in ("session", "close_at")},
        **dict.fromkeys(prices, close),
        **{name: np.zeros(len(rows), bool) for name in ("revised", "simulated")},
    )
    actions = Actions(
        ex_day=mine["ex_date"].to_numpy().astype("datetime64[D]").astype(np.int64),
        kind=tuple("split" if kind == "split" else "dividend" for kind in mine["kind"]),
        value=mine["value"].to_numpy(float),
    )
    return bars, actions
