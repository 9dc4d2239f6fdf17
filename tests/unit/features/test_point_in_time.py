"""No row, no input knows anything later: the future is scaled by nine and nothing before moves.

The first of the two tests that guard money (house style, section 7).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from markets import LAST, known
from rich_market import market

from bft.domain import sessions
from bft.domain.gold import COLUMNS, LOOKAHEAD
from bft.features.basis import rebase
from bft.features.build import build_gold
from bft.features.inputs import COLUMNS as INPUT_COLUMNS
from bft.features.inputs import HISTORY_ROWS, model_inputs
from bft.features.quality.rebuilt import cut

CUT = sessions.shift(LAST, -40)
KEPT = [
    *(column.name for column in COLUMNS if column.pit not in {"K", "L"}),
    *("adj_factor", "split_factor", "row_flags"),
]


def perturbed(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Every number of every fact that is later than the cut, times nine."""
    out = dict(tables)
    close = pa.scalar(sessions.close_at(CUT), type=pa.timestamp("us", tz="UTC"))
    for name, rows in tables.items():
        dated = {"bars": "date", "actions": "ex_date", "options_summary": "date"}.get(name)
        late = pc.greater(rows[dated], CUT) if dated else pc.greater(rows["known_at"], close)
        if name == "universe":
            continue
        for place, field in enumerate(rows.schema):
            number = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
            if number and field.name != "revision":
                nine = pc.multiply(rows[field.name], pa.scalar(9, type=field.type))
                changed = pc.if_else(late, nine, rows[field.name])
                rows = rows.set_column(place, field, changed)
        out[name] = rows
    return out


def upto(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.less_equal(rows["date"], CUT))


@pytest.fixture(scope="module")
def before() -> pa.Table:
    return build_gold(known(market()))


@pytest.fixture(scope="module")
def after() -> pa.Table:
    return build_gold(known(perturbed(market())))


def test_gold_at_t_ignores_every_bar_after_t(before: pa.Table, after: pa.Table) -> None:
    assert not before["adjusted_close"].equals(after["adjusted_close"])
    for name in KEPT:
        assert upto(before)[name].equals(upto(after)[name]), name


@pytest.mark.parametrize("back", [0, 1, 60])
def test_gold_read_at_an_earlier_asof_ignores_what_came_later(
    before: pa.Table, after: pa.Table, back: int
) -> None:
    asof = sessions.shift(CUT, -back)
    one, two = (rebase(rows, asof=asof) for rows in (before, after))
    for name in KEPT:
        assert one[name].equals(two[name]), name


def test_inputs_at_t_ignore_every_fact_after_t(before: pa.Table, after: pa.Table) -> None:
    raw_macro = (market()["macro"], perturbed(market())["macro"])
    one, two = (
        model_inputs(rows, macro=macro)
        for rows, macro in zip((before, after), raw_macro, strict=True)
    )
    rows = pc.less_equal(before["date"], CUT).to_numpy()
    assert one[rows].tobytes() == two[rows].tobytes()
    assert one[~rows].tobytes() != two[~rows].tobytes()


def test_gold_of_cut_data_is_the_same_gold(before: pa.Table) -> None:
    again = build_gold(cut(known(market()), CUT))
    for name in KEPT:
        assert upto(before)[name].equals(again[name]), name


def test_appended_rows_equal_those_of_a_full_build(before: pa.Table) -> None:
    since = sessions.shift(LAST, -3)
    appended = build_gold(known(market()), since=since)
    assert before.filter(pc.greater_equal(before["date"], since)).equals(appended)


def test_inputs_of_the_last_rows_need_only_their_history(before: pa.Table) -> None:
    macro = market()["macro"]
    first = sessions.shift(LAST, -20)
    since = sessions.shift(first, -HISTORY_ROWS)
    part = before.filter(pc.greater_equal(before["date"], since)).select(INPUT_COLUMNS)
    whole, few = (model_inputs(rows, macro=macro) for rows in (before, part))
    one = whole[pc.greater_equal(before["date"], first).to_numpy()]
    two = few[pc.greater_equal(part["date"], first).to_numpy()]
    assert one.tobytes() == two.tobytes()


def test_every_kind_of_fact_takes_part(before: pa.Table) -> None:
    """The guard above is worth nothing for a column that is null throughout."""
    absent = {"exchange", "country", "industry", "inflation", "cpi", "ffer", "durables", "sector"}
    absent |= {"retail_sales", "unemployment", "treasury_yield_2year", "treasury_yield_10year"}
    absent |= {f"analyst_rating_{w}" for w in ("strong_buy", "hold", "sell", "strong_sell")}
    empty = {name for name in KEPT if before[name].null_count == before.num_rows}
    assert empty <= absent
    assert {*LOOKAHEAD} & {*KEPT} == set()
    assert np.unique(before["row_flags"]).tolist() == [0, 128]
