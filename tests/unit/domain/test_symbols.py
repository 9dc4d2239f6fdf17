"""Symbol spelling, symbol files, renames."""

from datetime import date

import pytest

from bft.domain.errors import DataError
from bft.domain.symbols import Rename, read_list, read_renames, renamed, symbol_of


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        (" brk.b ", "BRK-B"),
        ("BF/B", "BF-B"),
        ("aapl", "AAPL"),
        ("A1B2C3", "A1B2C3"),
        ("1ABC", None),
        ("TOOLONG", None),
        ("BRK-BBB", None),
        ("", None),
    ],
)
def test_symbol_is_spelled_one_way_or_refused(text: str, symbol: str | None) -> None:
    assert symbol_of(text) == symbol


def test_list_with_header_keeps_order_and_the_first_of_repeats() -> None:
    head, rows = (
        "\ufeffTicker,Security,Is ETF\r\n",
        "MSFT,Micro,no\r\n# note\r\nspy,SPDR,Yes\r\n",
    )
    found = read_list(head + rows + "MSFT,Other,no\r\n", origin="a.csv")
    assert [(m.symbol, m.name, m.is_etf) for m in found.members] == [
        ("MSFT", "Micro", False),
        ("SPY", "SPDR", True),
    ]


def test_broker_export_skips_titles_and_footers_by_line() -> None:
    text = 'Positions for account 12\n\nSymbol,Qty\nAAPL,5\n"Brk.B",2\nAccount total,7\n'
    found = read_list(text, origin="export.csv")
    assert [m.symbol for m in found.members] == ["AAPL", "BRK-B"]
    assert found.refused == (
        "export.csv:1: Positions for account 12",
        "export.csv:6: Account total,7",
    )


def test_one_symbol_a_line_needs_no_header() -> None:
    found = read_list("AAPL\n\n# mine\nmsft\n", origin="x.txt")
    assert [m.symbol for m in found.members] == ["AAPL", "MSFT"]


def test_list_without_a_symbol_is_refused() -> None:
    with pytest.raises(DataError, match=r"x\.txt"):
        read_list("hello world\n", origin="x.txt")


def test_membership_days_keep_several_spells_of_a_symbol() -> None:
    text = "symbol,from,to\nAMD,2012-01-01,2013-09-23\nAMD,2017-03-20,\n"
    spells = [(m.from_on, m.to_on) for m in read_list(text, origin="x").members]
    assert spells == [(date(2012, 1, 1), date(2013, 9, 23)), (date(2017, 3, 20), None)]


def test_renames_apply_from_their_day_and_chain() -> None:
    renames = read_renames("old,new,date\nB,C,2020-01-02\nA,B,2019-01-02\n", origin="r.csv")
    assert renames[0] == Rename(old="A", new="B", on=date(2019, 1, 2))
    assert renamed("A", renames, asof=date(2018, 12, 31)) == "A"
    assert renamed("A", renames, asof=date(2019, 1, 2)) == "B"
    assert renamed("A", renames, asof=date(2020, 1, 2)) == "C"


def test_rename_without_a_day_is_refused() -> None:
    with pytest.raises(DataError, match=r"r\.csv:1"):
        read_renames("FB,META\n", origin="r.csv")
