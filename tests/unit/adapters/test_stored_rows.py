from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bft.adapters.store.order import by_key
from bft.adapters.store.rows import Wanted

MONDAY = date(2024, 1, 8)
SYMBOLS = ("A", "B", "BRK-B", "Z")
NAMES, WORDS = ["symbol", "date", "y"], ["symbol"]
rows_of_days = st.lists(
    st.tuples(st.sampled_from([*SYMBOLS, None]), st.integers(0, 9), st.floats(0, 1)), max_size=30
)


def written(folder: Path, rows: list[tuple[str | None, int, float]]) -> tuple[Path, pa.Table]:
    symbols, days, values = zip(*rows, strict=True) if rows else ((), (), ())
    table = pa.table(
        {
            "symbol": pa.array(symbols, pa.string()),
            "date": pa.array([MONDAY + timedelta(day) for day in days], pa.date32()),
            "y": pa.array(values, pa.float64()),
        }
    )
    table = by_key(table, ("symbol", "date"))
    pq.write_table(table, folder / "rows.parquet", row_group_size=4)
    return folder / "rows.parquet", table


@settings(deadline=None)
@given(
    rows=rows_of_days,
    symbols=st.none() | st.lists(st.sampled_from([*SYMBOLS, "C"])),
    since=st.none() | st.integers(-1, 10),
)
def test_rows_are_those_that_a_filter_of_all_would_give(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str | None, int, float]],
    symbols: list[str] | None,
    since: int | None,
) -> None:
    path, table = written(tmp_path_factory.mktemp("rows"), rows)
    first = None if since is None else MONDAY + timedelta(since)
    found = Wanted(symbols=symbols, since=first, day="date").load(path, NAMES, WORDS)
    expected = [
        row
        for row in table.to_pylist()
        if (symbols is None or row["symbol"] in symbols) and (first is None or row["date"] >= first)
    ]
    assert found.to_pylist() == expected


def test_row_groups_without_a_wanted_row_are_not_decoded(tmp_path: Path) -> None:
    rows = [(symbol, day, 0.5) for symbol in SYMBOLS for day in range(4)]
    path, _ = written(tmp_path, rows)
    whole = path.read_bytes()
    group = pq.ParquetFile(path).metadata.row_group(0)  # symbol A
    start = group.column(2).data_page_offset
    path.write_bytes(whole[:start] + bytes(40) + whole[start + 40 :])
    with pytest.raises(OSError, match="page"):
        Wanted(symbols=["A"], since=None, day=None).load(path, NAMES, WORDS)
    found = Wanted(symbols=["Z"], since=None, day=None).load(path, NAMES, WORDS)
    assert found.num_rows == 4


@settings(deadline=None)
@given(parts=st.lists(rows_of_days, min_size=1, max_size=3))
def test_coded_words_sort_as_their_texts(parts: list[list[tuple[str | None, int, float]]]) -> None:
    tables = [
        pa.table(
            {
                "symbol": pa.array([row[0] for row in rows], pa.string()),
                "day": pa.array([row[1] for row in rows], pa.int64()),
            }
        )
        for rows in parts
    ]
    key = ("symbol", "day")
    coded = pa.concat_tables(
        [t.set_column(0, "symbol", pc.dictionary_encode(t["symbol"])) for t in tables]
    )
    found = by_key(coded.unify_dictionaries(), key)
    assert found.to_pylist() == by_key(pa.concat_tables(tables), key).to_pylist()


def test_coded_words_sort_where_no_number_holds_the_key() -> None:
    """Red: Arrow sorts no table by coded words; texts it does."""
    times = pa.array([0, 2**61, None, 5], pa.int64())
    texts = pa.table({"symbol": pa.array(["B", "A", None, "A"]), "at": times})
    coded = texts.set_column(0, "symbol", texts["symbol"].dictionary_encode())
    key = ("symbol", "at")
    assert by_key(coded, key).to_pylist() == by_key(texts, key).to_pylist()
    assert by_key(texts, key)["symbol"].to_pylist() == ["A", "A", "B", None]
