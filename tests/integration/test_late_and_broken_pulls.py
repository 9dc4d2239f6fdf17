"""Nights pulled out of turn, and pulled objects that are not what they were."""

import shlex
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from fakes import FakePorts, arguments, make_ports, no_tick

from bft.adapters.sources.files import Files
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.ports import Summary
from bft.steps import gold, pull

DAYS = sessions.sessions(date(2018, 1, 29), date(2018, 2, 8))
FRIDAY, MONDAY, TUESDAY, WEDNESDAY = DAYS[4:8]


def prices(folder: Path, *, close: float = 10.0) -> None:
    """Two symbols, both split two for one on Monday."""
    folder.mkdir(exist_ok=True)
    rows = [
        f"{name},{day},{price},{price},{price},{price},90,{2 if day == MONDAY else 1}"
        for name in "AB"
        for day in DAYS
        for price in [close if day < MONDAY else 5.0]
    ]
    head = "symbol,date,open,high,low,close,volume,split_coefficient\n"
    text = head + "\n".join(rows) + "\n"
    (folder / "bars.csv").write_text(text)


def pulled(ports: FakePorts, asof: date, *words: str) -> Summary:
    """A pull by a process of its own: what another one verified counts for nothing."""
    root = Path(ports.store.root)
    given = make_ports(root, sources={"f": Files(root.parent / "in")})
    args = arguments(pull.STEP, "--source", "f", *words, fresh=False, asof=asof)
    return pull.STEP.run(given, args, no_tick)


def gold_of(ports: FakePorts, asof: date) -> pa.Table:
    args = arguments(gold.STEP, asof=asof, history_start="2016-01-01")
    given = make_ports(Path(ports.store.root))
    gold.STEP.run(given, args, no_tick)
    return given.store.read("gold", asof=asof)


@pytest.fixture
def mine(ports: FakePorts) -> FakePorts:
    prices(Path(ports.store.root).parent / "in")
    return ports


@pytest.mark.parametrize("close", [10.0, 10.05])
def test_a_night_pulled_after_a_later_one_gives_no_fact_twice(
    mine: FakePorts, close: float
) -> None:
    """A missed night, whose bars and split the next one brought, is filled in afterwards.

    With a revised bar in the tables, gold was built of bars once and of the split twice.
    """
    pulled(mine, FRIDAY)
    prices(Path(mine.store.root).parent / "in", close=close)
    pulled(mine, TUESDAY)
    before = gold_of(mine, TUESDAY)
    pulled(mine, MONDAY)
    assert gold_of(mine, TUESDAY).equals(before)
    assert before["split_factor"].to_pylist() == [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0] * 2


def spoilt(ports: FakePorts, asof: date, partition: str) -> str:
    """Alter an object of bars on the disk; what the next reader is told to do."""
    made = ports.store.manifest("bars", asof=asof)
    (ref,) = (ref for ref in made.objects if ref.partition == partition)
    ports.store.path(ref.key).write_bytes(b"PAR1 not any more")
    with pytest.raises(DataError, match=rf"object {ref.key} has digest ") as caught:
        pulled(ports, sessions.shift(asof, 1))
    return str(caught.value).partition("fetch it again: ")[2].partition(", then")[0]


def mended(ports: FakePorts, command: str) -> None:
    verb, asof, day, fresh = shlex.split(command)[1:]
    assert (verb, asof, fresh) == ("pull", "--asof", "--fresh")
    assert pulled(ports, date.fromisoformat(day)).exit_code == 0


@pytest.mark.parametrize(
    ("asof", "partition"),
    [(TUESDAY, f"arrived={FRIDAY}"), (TUESDAY, f"arrived={TUESDAY}"), (MONDAY, "month=2018-01")],
)
def test_an_altered_pulled_object_is_mended_by_the_command_it_names(
    mine: FakePorts, asof: date, partition: str
) -> None:
    for day in (DAYS[2], FRIDAY, MONDAY, TUESDAY):
        pulled(mine, day)
    digests = [mine.store.manifest("bars", asof=day).digest for day in (FRIDAY, MONDAY, TUESDAY)]
    whole = gold_of(mine, TUESDAY)
    mended(mine, spoilt(mine, asof, partition))
    assert pulled(mine, WEDNESDAY).exit_code == 0
    again = [mine.store.manifest("bars", asof=day).digest for day in (FRIDAY, MONDAY, TUESDAY)]
    assert again == digests
    assert gold_of(mine, TUESDAY).equals(whole)


def test_an_altered_object_whose_source_says_otherwise_now_is_replaced_in_later_nights(
    mine: FakePorts,
) -> None:
    for day in (FRIDAY, MONDAY, TUESDAY):
        pulled(mine, day)
    prices(Path(mine.store.root).parent / "in", close=10.05)
    mended(mine, spoilt(mine, TUESDAY, f"arrived={FRIDAY}"))
    rows = make_ports(Path(mine.store.root)).store.read("bars", asof=TUESDAY).to_pylist()
    closes = {(row["date"], row["close"]) for row in rows}
    assert closes == {*((day, 10.05) for day in DAYS[:5]), (MONDAY, 5.0), (TUESDAY, 5.0)}


def test_a_part_of_a_night_does_not_replace_what_is_broken_of_the_rest(mine: FakePorts) -> None:
    pulled(mine, FRIDAY)
    spoilt(mine, FRIDAY, f"arrived={FRIDAY}")
    with pytest.raises(DataError, match=f"bft pull --asof {FRIDAY} --fresh"):
        pulled(mine, FRIDAY, "--symbols", "A")
