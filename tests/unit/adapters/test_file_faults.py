"""What is said of a file that is no table: what it is, where it is broken, what to do."""

from pathlib import Path

import pytest

from bft.adapters.sources.grid import days, read_grid
from bft.domain.errors import DataError

TABLE = "symbol,date,close\nAAA,2018-02-06,1\nAAA,2018-02-07,2\n"
PAGE = "\n <!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"


def fault(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    with pytest.raises(DataError) as told:
        days(
            read_grid(file, known=("symbol", "date", "close"), aliases={}, required=("date",)),
            "date",
        )
    return str(told.value).removeprefix(f"{file}")


@pytest.mark.parametrize("name", ["html.csv", "html.parquet"])
@pytest.mark.parametrize(
    "text", [PAGE, "\ufeff<HTML><body>404</body></HTML>", "<?xml version='1.0'?>"]
)
def test_web_page_is_called_one(tmp_path: Path, name: str, text: str) -> None:
    """Red: `misses column symbol; columns: <!DOCTYPE html>`, or that it holds text."""
    assert fault(tmp_path / name, text.encode()) == (
        " holds a web page, no table: a page to sign in, or of an error; export the table again"
    )


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, code: str) -> None:
    """Red: `holds binary`."""
    told = fault(tmp_path / "a.csv", TABLE.encode(code))
    assert told == " holds text in UTF-16; save it as CSV in UTF-8"


def test_cut_line_is_named_by_its_number(tmp_path: Path) -> None:
    """Red: `CSV parse error: Expected 3 columns, got 2`, and `that line` was any."""
    told = fault(tmp_path / "a.csv", TABLE.encode() + b"AAA,2018-0")
    assert told.startswith(" line 4: 2 columns, expected 3; mend that line: 'AAA,2018-0'; columns:")
    quoted = TABLE.replace("AAA,2018-02-06", '"A\nB",2018-02-06') + "A,1,2,3\n"
    assert fault(tmp_path / "b.csv", quoted.encode()).startswith(" line 5: 4 columns, expected 3;")


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        ("Mars/Olympus", "there is no zone Mars/Olympus"),
        ("America/New_York", "the zone America/New_York may mean several"),
        ("CST", "the zone CST may mean several"),
    ],
)
def test_zone_that_is_none_is_told_from_one_of_several(
    tmp_path: Path, zone: str, says: str
) -> None:
    """Red: that Mars/Olympus may mean several."""
    text = TABLE.replace("2018-02-06", f"2018-02-06 16:00 {zone}")
    assert says in fault(tmp_path / "a.csv", text.encode())


def test_quote_that_never_ends_in_a_long_file_is_told(tmp_path: Path) -> None:
    """Red: `_csv.Error: field larger than field limit (131072)`, a traceback."""
    body = "AAA,2018-02-06,1\n" * 9000
    told = fault(tmp_path / "a.csv", f'symbol,date,close\n{body}AAA,"2018-02-07,2\n{body}'.encode())
    assert told.endswith("; mend that line; columns: symbol, date, close")
