"""The overlay is gold: its columns are those of a full build that is given the quote as a bar."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from markets import LAST, flat, known, raw, walk
from rich_market import market

from bft.domain import sessions
from bft.domain.gold import COLUMNS, PROVISIONAL, SIMULATED
from bft.features.build import build_gold
from bft.features.overlay import Overlay, history_of, overlay

ASOF = sessions.shift(LAST, -1)
OPEN, CLOSE = sessions.open_at(LAST), sessions.close_at(LAST)
NOON = OPEN + timedelta(hours=2)
BARS_ONLY = [
    *(c.name for c in COLUMNS if c.pit == "B" and c.name != "bull_bear_delta"),
    *("beta", "52_week_high", "52_week_low", "adj_factor", "split_factor"),
]
DUE = [
    {"symbol": "S04", "ex_date": LAST, "kind": "split", "value": 2.0},
    {"symbol": "S06", "ex_date": LAST, "kind": "dividend", "value": 0.7},
]


@cache
def _rich() -> dict[str, pa.Table]:
    """The market, a split and a dividend on the last day; the split halves that day's prices."""
    found = market()
    found["actions"] = pa.concat_tables([found["actions"], raw("actions", DUE)])
    bars = found["bars"].to_pylist()
    bars += raw("bars", walk("SPY", 330)[200:]).to_pylist()
    for row in bars:
        if row["symbol"] == "S04" and row["date"] == LAST:
            row |= {name: row[name] / 2 for name in ("open", "high", "low", "close")}
    return {**found, "bars": raw("bars", bars)}


def rich() -> dict[str, pa.Table]:
    """`_rich`, for a test to put other tables into; a table itself cannot be changed."""
    return dict(_rich())


def at_asof(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """What was known the evening before."""
    return known(tables, asof=ASOF)


def quote(symbol: str, at: datetime = NOON, **values: Any) -> dict[str, Any]:
    return {"symbol": symbol, "at": at, "bulk": True, **values}


def as_quotes(bars: pa.Table, at: datetime) -> pa.Table:
    """The last day's bars as quotes of that instant."""
    rows = [row for row in bars.to_pylist() if row["date"] == LAST]
    names = ("open", "high", "low", "volume")
    told = [
        quote(row["symbol"], at, last=row["close"], **{n: row[n] for n in names}) for row in rows
    ]
    return raw("quotes", told)


def laid(tables: dict[str, pa.Table], quotes: pa.Table, at: datetime) -> Overlay:
    history = history_of(at_asof(tables), asof=ASOF)
    return overlay(history, quotes, at=at, active=history.symbols)


def full(tables: dict[str, pa.Table]) -> pa.Table:
    made = build_gold(known(tables))
    return made.filter(pc.equal(made["date"], LAST))


def test_final_bar_gives_the_evenings_columns_bit_for_bit() -> None:
    tables = rich()
    made, evening = laid(tables, as_quotes(tables["bars"], CLOSE), CLOSE), full(tables)
    assert made.without_row == {}
    assert made.rows["symbol"].equals(evening["symbol"])
    for name in BARS_ONLY:
        assert made.rows[name].equals(evening[name]), name
    assert len(evening) == 27
    assert evening["total_volume"].null_count == 26
    assert made.rows["total_volume"].null_count == 27  # the chain comes in the evening


def test_action_announced_for_the_day_is_applied_before_any_price_confirms_it() -> None:
    """Red: nothing of a later day was stored, so the session's quotes met yesterday's basis."""
    tables = rich()
    evening = full(tables)
    told = [{**row, "status": "expected", "arrived_at": sessions.evening(ASOF)} for row in DUE]
    others = tables["actions"].filter(pc.not_equal(tables["actions"]["ex_date"], LAST))
    tables["actions"] = pa.concat_tables([others, raw("actions", told)])
    made = laid(tables, as_quotes(tables["bars"], CLOSE), CLOSE)
    for name in BARS_ONLY:
        assert made.rows[name].equals(evening[name]), name
    before = build_gold(at_asof(tables))
    assert before.equals(build_gold(at_asof({**tables, "actions": others})))


def test_every_column_at_noon_is_that_of_a_full_build_but_the_projection() -> None:
    tables = rich()
    chains = tables["options_summary"]
    tables["options_summary"] = chains.filter(pc.less(chains["date"], LAST))
    made, whole = laid(tables, as_quotes(tables["bars"], NOON), NOON), full(tables)
    for name in [n for n in whole.column_names if n not in {"volume_pct", "row_flags"}]:
        assert made.rows[name].equals(whole[name]), name
    marks = whole["row_flags"].to_numpy()
    assert (made.rows["row_flags"].to_numpy() == marks | PROVISIONAL).all()
    # Two of six and a half hours: volume is taken times 3.25.
    projected = (1 + whole["volume_pct"].to_numpy() / 100) * 3.25 - 1
    np.testing.assert_allclose(made.rows["volume_pct"].to_numpy(), 100 * projected, rtol=1e-5)


def test_yesterday_moves_nothing_but_what_it_should() -> None:
    """An indicator beside another price than its own would show here."""
    tables = rich()
    quotes = as_quotes(tables["bars"], NOON)
    up = quotes.set_column(
        quotes.schema.get_field_index("last"), "last", pc.multiply(quotes["last"], 1.1)
    )
    up = up.set_column(up.schema.get_field_index("high"), "high", pc.multiply(up["high"], 1.2))
    one, two = laid(tables, quotes, NOON).rows, laid(tables, up, NOON).rows
    for name in ("rsi_14", "sma_20", "bbands_lower_20", "macd", "adx_14", "cci_14", "atr_14"):
        assert (one[name].to_numpy() != two[name].to_numpy()).all(), name


def test_missing_prices_are_the_last_one_and_volume_stays_unknown() -> None:
    tables = {**rich(), "bars": raw("bars", flat([10.0] * 30, symbol="A", last=ASOF))}
    told = raw("quotes", [{**quote("A", last=10.5), "source": "sim"}])
    (row,) = laid(tables, told, NOON).rows.to_pylist()
    assert [row[n] for n in ("open", "high", "low", "adjusted_close")] == [10.5] * 4
    assert (row["volume"], row["volume_pct"]) == (None, None)
    assert row["row_flags"] & (PROVISIONAL | SIMULATED) == PROVISIONAL | SIMULATED


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"last": 10.1, "prev_close": 10.0, "low": 10.1, "high": 10.1}, ""),
        ({"last": 12.0}, ""),
        ({"last": 10.1, "at": NOON - timedelta(seconds=120)}, ""),
        ({"last": 10.1, "at": NOON - timedelta(seconds=121)}, "stale_quote"),
        ({"last": 10.1, "at": NOON + timedelta(seconds=121)}, "stale_quote"),
        ({"last": 10.1, "at": NOON - timedelta(days=1)}, "stale_quote"),
        ({"last": 10.1, "bulk": False}, "stale_quote"),
        ({"last": None}, "bad_quote"),
        ({"last": 0.0}, "bad_quote"),
        ({"last": float("nan")}, "bad_quote"),
        ({"last": 10.1, "low": 10.2}, "bad_quote"),
        ({"last": 10.1, "high": 10.0}, "bad_quote"),
        ({"last": 12.1}, "bad_quote"),
        ({"last": 7.9}, "bad_quote"),
        ({"last": 10.1, "prev_close": 20.0}, "bad_quote"),
        ({"last": 5.1}, "suspected_split"),
        ({"last": 30.5}, "suspected_split"),
        ({"last": 10.1, "volume": 0}, "halted"),
    ],
)
def test_quote_of_no_use_makes_no_row(told: dict[str, Any], why: str) -> None:
    tables = {**rich(), "bars": raw("bars", flat([10.0] * 30, symbol="A", last=ASOF))}
    found = laid(tables, raw("quotes", [quote("A", **told)]), NOON)
    assert dict(found.without_row) == ({"A": why} if why else {})
    assert found.rows.num_rows == (not why)


def test_newest_quote_counts_and_absent_ones_are_named() -> None:
    bars = [*flat([10.0] * 9, symbol="A", last=ASOF), *flat([10.0] * 9, symbol="B", last=ASOF)]
    bars += flat([10.0] * 9, symbol="OLD", last=sessions.shift(ASOF, -1))
    history = history_of(at_asof({**rich(), "bars": raw("bars", bars)}), asof=ASOF)
    times = (timedelta(seconds=s) for s in (20, 5, 40))
    told = [quote("A", NOON - t, last=n) for t, n in zip(times, (1, 9.5, 2), strict=True)]
    found = overlay(history, raw("quotes", told), at=NOON, active=["A", "B", "OLD"])
    assert found.rows["adjusted_close"].to_pylist() == [9.5]
    assert found.without_row == {"B": "no_quote", "OLD": "stale_history"}
    assert found.rows["date"].to_pylist() == [date(2018, 2, 7)]


def test_no_quote_at_all_is_an_empty_overlay() -> None:
    tables = rich()
    found = laid(tables, raw("quotes", []), datetime(2018, 2, 7, 16, tzinfo=UTC))
    assert (found.rows.num_rows, set(found.without_row.values())) == (0, {"no_quote"})
