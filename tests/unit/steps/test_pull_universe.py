"""Whom a pull asks about."""

from datetime import date
from pathlib import Path

import pytest

from bft.domain.delivery import Skips
from bft.domain.errors import DataError
from bft.domain.market import EXCLUDED
from bft.domain.symbols import Member
from bft.steps.pull_universe import Universe, chosen, universe_frame, universe_of

ASOF = date(2026, 1, 5)


def universe(listed: str | None = None, watched: str | None = None, **given: object) -> Universe:
    values = {"own": None, "asof": ASOF, "skips": Skips(), **given}
    return universe_of(listed=listed, watched=watched, **values)  # type: ignore[arg-type]


def test_shipped_lists_hold_the_context_funds_last_and_known_sectors() -> None:
    found = universe()
    assert set(found.watch) >= EXCLUDED
    assert len(found.symbols) > 500
    funds = {m.symbol for m in found.members if m.is_etf}
    assert set(found.symbols[-len(funds) :]) == funds >= EXCLUDED
    notes: list[str] = []
    rows = universe_frame(found, found.symbols, notes=notes)
    assert notes == []
    assert rows.loc[~rows["is_etf"].astype(bool), "sector"].notna().all()


def test_renamed_member_is_asked_for_under_its_new_name() -> None:
    assert "META" in universe().symbols
    assert "FB" not in universe().symbols
    assert "FB" in universe(asof=date(2022, 6, 8)).symbols


def test_list_and_watchlist_are_united_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("symbol,sector\nZZZ,Energy\nAAA,Sorcery\n")
    (tmp_path / "w.csv").write_text("symbol,is etf\nXRT,true\nAAA,false\nMMM,false\n")
    found = universe(str(tmp_path / "a.csv"), str(tmp_path / "w.csv"))
    assert found.symbols == ("ZZZ", "AAA", "MMM", "XRT")
    assert found.watch == ("AAA", "MMM", "XRT")
    notes: list[str] = []
    rows = universe_frame(found, found.symbols, notes=notes).set_index("symbol")
    assert rows.loc["ZZZ", "sector"] == "ENERGY"
    assert notes == ["no sector is called 'Sorcery'"]
    assert rows["watch"].fillna(-1).tolist() == [-1, 0, 1, 2]


def test_members_are_active_from_and_until_their_days() -> None:
    own = [
        Member(symbol="A", to_on=ASOF),
        Member(symbol="B", from_on=ASOF),
        Member(symbol="C", from_on=date(2026, 1, 6)),
        Member(symbol="D"),
    ]
    assert universe(own=own).active(ASOF) == ("B", "D")


@pytest.mark.parametrize("words", ["", "A,B C", "1X"])
def test_chosen_symbols_must_be_symbols(words: str) -> None:
    with pytest.raises(DataError, match="--symbols"):
        chosen(words)


def test_absent_list_is_named() -> None:
    with pytest.raises(DataError, match=r"none\.csv"):
        universe("none.csv")
