"""What the executor reads of a night: actions by their newest word, names by the universe."""

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from bft.services.executor.night import from_line, to_line
from bft.services.executor.reference import Dividend, Reference, Split, read_reference

ASOF, EX_DATE = date(2026, 1, 5), date(2026, 1, 6)


def action(kind: str, value: float, *, revision: int = 0, status: str = "told", **more: Any) -> Any:
    base = {"symbol": "META", "ex_date": EX_DATE, "known_at": datetime(2026, 1, 4, tzinfo=UTC)}
    return {**base, "kind": kind, "value": value, "revision": revision, "status": status, **more}


def price(symbol: str) -> dict[str, Any]:
    bar = {"open": 99.0, "high": 101.0, "low": 98.0, "adjusted_close": 100.0, "volume": 1e6}
    more = {"atr_14": 2.0, "sector": "Tech", "split_factor": 1.0, "row_flags": 0}
    return {"date": ASOF, "symbol": symbol, **bar, **more}


class Tables:
    """A store of one night, which was built on Monday."""

    def __init__(self, *actions: Any) -> None:
        member = {"symbol": "META", "from": None, "to": None, "renamed_from": "FB", "revision": 0}
        self._tables = {
            "gold": pa.Table.from_pylist([price("META")]),
            "universe": pa.Table.from_pylist([member]),
            "actions": pa.Table.from_pylist(list(actions)),
        }

    def manifest(self, name: str) -> Any:
        known = name in self._tables
        return SimpleNamespace(asof=ASOF, digest=f"digest of {name}") if known else None

    def read(self, name: str, **_: Any) -> pa.Table:
        return self._tables[name]


def read(*actions: Any, held: tuple[str, ...] = ("META",)) -> Reference:
    store: Any = Tables(*actions)
    return read_reference(store, held=held)


def test_dividends_of_what_is_held_are_read_by_their_newest_word() -> None:
    told = [
        action("dividend", 15.0),
        action("dividend", 15.5, revision=1),
        action("split", 4.0),
        action("dividend", 3.0, symbol="OTHER"),
        action("dividend", 9.0, ex_date=date(2026, 1, 7), status="refused"),
    ]
    night = read(*told)
    paid = Dividend(symbol="META", ex_date=EX_DATE, amount_usd=Decimal("15.5"))
    assert night.dividends == (paid,)
    assert night.splits == (Split(symbol="META", ex_date=EX_DATE, ratio=Decimal("4.0")),)
    assert from_line(to_line(night)) == night
    assert read(*told, held=()).dividends == ()


def test_what_is_held_under_its_old_name_has_all_of_the_new_one() -> None:
    night = read(action("dividend", 15.0), action("split", 4.0), held=("FB",))
    assert [bar.close_usd for bar in night.bars_of("FB")] == [100]
    assert [told.amount_usd for told in night.dividends_of("FB")] == [15]
    assert [split.ratio for split in night.splits_of("FB")] == [4]
    row = night.row("FB")
    assert row is not None
    assert (row.symbol, night.name_now("FB")) == ("META", "META")


@pytest.mark.parametrize("name", ["FB", "META"])
def test_actions_told_under_the_old_name_are_those_of_the_new_one(name: str) -> None:
    told = [action("dividend", 15.0, symbol="FB"), action("split", 4.0, symbol="FB")]
    night = read(*told, held=(name,))
    assert [told.amount_usd for told in night.dividends_of(name)] == [15]
    assert [split.ratio for split in night.splits_of(name)] == [4]
    assert night.action_open("META", EX_DATE)


def test_action_told_under_both_names_is_one_by_the_word_on_the_new_name() -> None:
    late = {"known_at": datetime(2026, 1, 5, tzinfo=UTC), "symbol": "FB"}
    pairs = [("dividend", 15.0, 14.0), ("split", 4.0, 3.0)]
    told = [
        row
        for kind, new, old in pairs
        for row in (action(kind, old, **late), action(kind, new), action(kind, old, **late))
    ]
    night = read(*told, held=("FB",))
    assert [told.amount_usd for told in night.dividends_of("FB")] == [15]
    assert [split.ratio for split in night.splits_of("FB")] == [4]
