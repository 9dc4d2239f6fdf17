from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from synthetic import LAST, gold_table, make_arrays, names_of, random_gold

from bft.dataset.arrays import Arrays, arrays_digest, build, cached_arrays, open_arrays
from bft.dataset.labels import State
from bft.dataset.members import with_members
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.gold import INPUTS, SIMULATED

DAYS = [sessions.shift(LAST, -n) for n in (2, 1, 0)]
KEYS = [(name, day) for name in ("AAA", "BBB") for day in DAYS]
INPUT = np.zeros((6, len(INPUTS)), dtype=np.float32)


def table(**changes: object) -> pa.Table:
    made = gold_table(KEYS, np.arange(6) + 10.0, np.arange(6) + 20.0)
    for name, values in changes.items():
        made = made.set_column(made.column_names.index(name), name, pa.array(values))
    return made


def made(gold: pa.Table, folder: Path, *, asof: date = LAST, inputs: np.ndarray = INPUT) -> Arrays:
    build(gold, inputs, folder / "a", asof=asof, gold_digest="g")
    return open_arrays(folder / "a")


def test_rows_are_mapped_with_forward_prices(tmp_path: Path) -> None:
    found = made(table(adj_factor=[1.0, 1.0, 2.0, 1.0, 1.0, 1.0]), tmp_path)
    assert found.symbols == ("AAA", "BBB")
    assert found.offsets.tolist() == [0, 3, 6]
    assert found.dates.tolist() == [sessions.number(day) for _, day in KEYS]
    assert found.opens.tolist() == [10, 11, 24, 13, 14, 15]
    assert found.closes.tolist() == [20, 21, 44, 23, 24, 25]
    assert found.owner.tolist() == [0, 0, 0, 1, 1, 1]
    assert not found.simulated


def test_column_order_and_extra_columns_do_not_matter(tmp_path: Path) -> None:
    plain = made(table(), tmp_path / "plain")
    shuffled = table().select(table().column_names[::-1]).append_column("extra", pa.array([0] * 6))
    other = made(shuffled, tmp_path / "other")
    for name in ("inputs", "dates", "offsets", "opens", "closes", "y", "label_state"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(other, name))


def test_infinite_cells_become_null(tmp_path: Path) -> None:
    inputs = INPUT.copy()
    inputs[2, 3] = np.inf
    assert np.isnan(made(table(), tmp_path, inputs=inputs).inputs[2, 3])


@pytest.mark.parametrize("column", ["adjusted_open", "adj_factor", "row_flags", "symbol", "date"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match=column):
        made(table().drop_columns([column]), tmp_path)


def test_a_text_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="adjusted_close is string"):
        made(table(adjusted_close=["1"] * 6), tmp_path)


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    twice = pa.concat_tables([table().slice(0, 2), table().slice(1, 5)])
    with pytest.raises(DataError, match=r"AAA, .*repeats"):
        made(twice, tmp_path, inputs=np.zeros((7, 52), np.float32))


def test_unsorted_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="out of order"):
        made(table().take([1, 0, 2, 3, 4, 5]), tmp_path)


def test_a_row_after_asof_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="after asof"):
        made(table(), tmp_path, asof=DAYS[1])


def test_percent_where_a_fraction_is_due_is_refused(tmp_path: Path) -> None:
    inputs = INPUT.copy()
    inputs[:, INPUTS.index("close_1d_roc")] = 0.5  # 1.2 % clipped to 0.5
    with pytest.raises(DataError, match="unit"):
        made(table(), tmp_path, inputs=inputs)


def test_simulated_and_real_rows_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mixes simulated"):
        made(table(row_flags=pa.array([0, 0, 0, 0, 0, SIMULATED], pa.int32())), tmp_path)


def test_empty_gold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        made(table().slice(0, 0), tmp_path)


def test_rows_outside_their_membership_have_no_label(tmp_path: Path) -> None:
    """Constituents by day: a joiner's earlier rise, and a leaver's later fall, are not learned."""
    spans = [("AAA", None, None, 0), ("AAA", None, DAYS[1], 1)]  # red: the first one held on
    spans += [("AAA", DAYS[2], None, 0), ("ZZZ", None, None, 0)]
    universe = pa.table(
        {
            "symbol": [symbol for symbol, *_ in spans],
            "from": pa.array([first for _, first, _, _ in spans], pa.date32()),
            "to": pa.array([last for _, _, last, _ in spans], pa.date32()),
            "revision": [revision for *_, revision in spans],
        }
    )
    free = made(table(), tmp_path / "free")
    held = made(with_members(table(), universe), tmp_path / "held")
    mine, then = held.owner == held.symbols.index("AAA"), sessions.number(DAYS[1])
    own = np.flatnonzero(mine & (held.dates == then))
    others = np.setdiff1d(np.arange(len(held.dates)), own)
    assert len(own) == 1
    assert (held.label_state[own] == State.NOT_MEMBER).all()
    assert np.isnan(held.y[own]).all()
    assert np.array_equal(held.label_state[others], free.label_state[others])
    assert np.array_equal(held.y[others], free.y[others], equal_nan=True)


def test_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    calls = []

    def build_folder(folder: Path) -> None:
        calls.append(folder)
        build(table(), INPUT, folder, asof=LAST, gold_digest="g")

    digest = arrays_digest(
        gold_digest="g", facts_digest="u", asof=LAST, clock="next_open", code="c"
    )
    folder = cached_arrays(tmp_path, digest, build_folder)
    cached_arrays(tmp_path, digest, build_folder)
    assert len(calls) == 1
    with (folder / "y.npy").open("ab") as file:
        file.write(b"x")
    cached_arrays(tmp_path, digest, build_folder)
    assert len(calls) == 2
    assert open_arrays(folder).digest == digest


def test_the_digest_depends_on_each_of_its_parts() -> None:
    base = {"gold_digest": "g", "facts_digest": "u", "asof": LAST, "clock": "next_open"}
    base |= {"code": "c"}
    changed = [
        {**base, key: value}
        for key, value in (
            ("gold_digest", "h"),
            ("facts_digest", "v"),
            ("asof", DAYS[0]),
            ("clock", "close"),
            ("code", "d"),
        )
    ]
    assert len({arrays_digest(**parts) for parts in [base, *changed]}) == 6  # type: ignore[arg-type]


def test_synthetic_arrays_have_the_shape_tests_rely_on(tmp_path: Path) -> None:
    arrays = make_arrays(tmp_path / "a", symbols=12, days=300)
    assert arrays.inputs.shape == (3600, 52)
    assert list(arrays.symbols) == names_of(12)
    assert arrays.simulated
    assert random_gold()[0].num_rows == 3600
