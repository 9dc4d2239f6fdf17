"""Rows of a renamed symbol under its new name, worked by hand."""

from datetime import date

from markets import SPECS, raw, tables, walk

from bft.domain.symbols import Rename
from bft.features.renames import known_renames, under_new_names

ON = date(2018, 2, 5)
FB = Rename(old="FB", new="META", on=ON)
UNIVERSE = [
    {"symbol": "FB", "from": None, "to": None, "revision": 0},
    {"symbol": "FB", "from": None, "to": ON, "revision": 1},
    {"symbol": "FB", "from": ON, "to": ON},
    {"symbol": "META", "from": None, "renamed_from": "FB"},
]


def renames_of(rows: list) -> tuple[Rename, ...]:
    return known_renames(tables(universe=rows)["universe"])


def test_entry_without_a_day_tells_when_a_name_ended() -> None:
    assert renames_of(UNIVERSE) == (FB,)
    assert renames_of(UNIVERSE[:1] + UNIVERSE[3:]) == ()  # a part of a pull: no day is told yet
    chain = [*UNIVERSE, {"symbol": "FB", "from": date(2012, 5, 18), "to": date(2015, 1, 2)}]
    assert renames_of(chain) == (FB,)


def bar(symbol: str, day: int, close: float, **more: object) -> dict:
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    return {"symbol": symbol, "date": date(2018, 2, day), "volume": 9, **prices, **more}


def test_old_rows_fill_what_the_new_name_lacks_and_go() -> None:
    """1 and 2 February are FB's; META has the 2nd, revised; a later FB is another company."""
    rows = [bar("FB", 1, 10), bar("FB", 2, 11), bar("FB", 6, 70), bar("GE", 1, 5)]
    rows += [bar("META", 2, 12), bar("META", 2, 13, revision=1), bar("META", 5, 14)]
    made = under_new_names(raw("bars", rows), SPECS["bars"], [FB])
    found = [(r["symbol"], r["date"].day, r["close"]) for r in made.to_pylist()]
    own = [("META", 1, 10), ("META", 2, 12), ("META", 2, 13), ("META", 5, 14)]
    assert found == [("FB", 6, 70), ("GE", 1, 5), *own]
    untouched = raw("bars", walk("A", 3))
    assert under_new_names(untouched, SPECS["bars"], [FB]) is untouched


def test_actions_and_reports_go_on_under_the_new_name() -> None:
    paid = {"symbol": "FB", "ex_date": date(2018, 2, 1), "kind": "dividend", "value": 1.0}
    again = {**paid, "symbol": "META", "status": "refused"}  # the new name's word counts
    split = {**paid, "kind": "split", "value": 2.0}
    made = under_new_names(raw("actions", [paid, split, again]), SPECS["actions"], [FB])
    found = [(r["symbol"], r["kind"], r["status"]) for r in made.to_pylist()]
    assert found == [("META", "dividend", "refused"), ("META", "split", "ok")]
    report = {"symbol": "FB", "fiscal_date_ending": date(2017, 12, 31), "reported_eps": 2.0}
    made = under_new_names(raw("earnings", [report]), SPECS["earnings"], [FB])
    assert made["symbol"].to_pylist() == ["META"]
