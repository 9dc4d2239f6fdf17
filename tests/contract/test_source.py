"""What every Source does, whatever lies behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fakes import FixedClock, make_ports, no_tick
from vendor import Vendor, serving

from bft.adapters.sources.alphavantage import AlphaVantage
from bft.adapters.sources.av_client import Client
from bft.adapters.sources.av_client import Vendor as Address
from bft.adapters.sources.bucket import Bucket
from bft.adapters.sources.files import Files
from bft.adapters.store.tables import schema
from bft.domain.delivery import Answer, Want
from bft.domain.symbols import symbol_of
from bft.ports import Source

ASOF = date(2026, 1, 5)
BARS = "symbol,date,open,high,low,close,volume,split_coefficient\naaa,2026-01-05,1,1,1,1,1,1\n"
EXTRA = {"dividend_amount", "split_coefficient", "known_on", "line", "close_written"}


@dataclass(frozen=True)
class Case:
    source: Source
    wants: tuple[Want, ...]


def from_files(folder: Path) -> Case:
    texts = {
        "bars": BARS,
        "constituents": "symbol,sector\nAAA,Energy\n",
        "macro": "date,series,value,known_on\n2025-11-01,cpi,1,2025-12-10\n",
        "actions": "symbol,ex_date,kind,value\nAAA,2026-01-05,dividend,0.1\n",
        "earnings": "symbol,fiscal_date_ending,reported_eps\nAAA,2025-09-30,1\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    source = Files(folder)
    return Case(source, tuple(Want(topic=topic) for topic in source.topics))


def from_vendor(vendor: Vendor, folder: Path) -> Case:
    clock = FixedClock(datetime(2026, 1, 5, 23, tzinfo=UTC))
    address = Address(url=vendor.url, key="k")
    client = Client(address, bucket=Bucket(0), clock=clock, charge=lambda _day: True)
    store = make_ports(folder / "root").store
    source = AlphaVantage(
        client, store=store, clock=clock, sim=False, address=vendor.url, in_flight=4
    )
    by_symbol = ("bars", "splits", "fundamentals", "earnings", "statements", "options", "news")
    wants = [Want(topic=topic, name=name) for topic in by_symbol for name in ("AAA", "BBB")]
    wants += [Want(topic="macro", name="cpi"), Want(topic="listings", name="active")]
    return Case(source, (*wants, Want(topic="earnings_calendar")))


@pytest.fixture(params=["files", "alphavantage"])
def case(request: Any, tmp_path: Path) -> Iterator[Case]:
    if request.param == "files":
        yield from_files(tmp_path)
        return
    with serving(Vendor(asof=ASOF)) as vendor:
        yield from_vendor(vendor, tmp_path)


def answers(case: Case) -> list[Answer]:
    return list(case.source.fetch(case.wants, asof=ASOF, fresh=False, tick=no_tick))


def test_every_want_is_answered_once_in_order(case: Case) -> None:
    assert [answer.want for answer in answers(case)] == list(case.wants)
    assert {want.topic for want in case.wants} <= set(case.source.topics)


def test_facts_bear_the_columns_of_their_tables(case: Case) -> None:
    told = [pair for answer in answers(case) for pair in answer.tables.items()]
    assert told
    for name, rows in told:
        known = {field.name: field.type for field in schema(name)}
        for field in rows.schema:
            assert field.name in known.keys() | EXTRA, (name, field.name)
            if pa.types.is_date(known.get(field.name, pa.null())):
                assert pa.types.is_date32(field.type), (name, field.name)
        names = rows["symbol"].to_pylist() if "symbol" in rows.column_names else []
        assert all(symbol_of(word) == word for word in names)


def test_an_answer_has_facts_or_a_reason(case: Case) -> None:
    for answer in answers(case):
        assert bool(answer.tables) != bool(answer.skipped)
        assert answer.source == case.source.name


def test_digests_are_stable_and_say_no_secret(case: Case) -> None:
    first = dict(case.source.digests())
    assert first == dict(case.source.digests())
    assert all(len(digest) == 64 for digest in first.values())


def test_lines_of_bars_come_with_the_file_they_stand_in(case: Case) -> None:
    for answer in answers(case):
        lined = [rows for rows in answer.tables.values() if "line" in rows.column_names]
        assert bool(lined) == (answer.want.topic == "bars" and bool(answer.file))
        for rows in lined:
            assert rows["line"].to_pylist() == list(range(2, 2 + rows.num_rows))


def test_source_that_is_there_passes_its_check(case: Case) -> None:
    case.source.check()
    assert case.source.calls == 0
