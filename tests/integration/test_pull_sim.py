"""`bft pull --source sim` against the shipped simulator: two nights, faults, indicators."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pandas as pd
import pytest
from fakes import FixedClock, arguments, make_ports, no_tick

from bft.adapters.sources.alphavantage import AlphaVantage
from bft.adapters.sources.av_client import Client, Vendor
from bft.adapters.sources.bucket import Bucket
from bft.domain.errors import ConfigError
from bft.ports import Summary
from bft.steps import pull

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
FEW = ("--topics", "bars,splits,fundamentals,macro,earnings,listings")
CLOCK = FixedClock(datetime(2026, 1, 7, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    words = "--port 0 --symbols 3 --start 2024-12-02 --today 2026-01-06".split()
    command = [sys.executable, "-m", "bft", "serve", "market-sim", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd="/")
    try:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if "ready on" in line)
        yield ready.split("ready on ")[1].split()[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def run(root: Path, address: str, asof: date, *words: str) -> Summary:
    client = Client(
        Vendor(url=f"{address}/query", key="sim", sim=True),
        bucket=Bucket(0, sleep=lambda _s: None),
        clock=CLOCK,
        charge=lambda _day: True,
    )
    store = make_ports(root).store
    source = AlphaVantage(client, store=store, clock=CLOCK, sim=True, address=address, in_flight=8)
    ports = make_ports(root, clock=CLOCK, sources={"sim": source})
    args = arguments(pull.STEP, "--source", "sim", *words, fresh=False, asof=asof)
    try:
        return pull.STEP.run(ports, args, no_tick)
    finally:
        client.close()


def bars(root: Path, asof: date) -> pd.DataFrame:
    return make_ports(root).store.read("bars", asof=asof).to_pandas()


def test_two_nights_store_each_bar_once(tmp_path: Path, address: str) -> None:
    first = run(tmp_path, address, MONDAY, *FEW)
    second = run(tmp_path, address, TUESDAY, *FEW)
    assert first.exit_code == second.exit_code == 0
    assert second.values["tables"]["bars"] == second.values["with_bar"]
    stored = bars(tmp_path, TUESDAY)
    assert not stored.duplicated(["symbol", "date"]).any()
    assert set(stored["source"]) == {"sim"}
    assert stored["arrived_at"].max() == datetime(2026, 1, 6, 23, tzinfo=UTC)
    assert second.values["simulated"]


def test_day_before_anybody_is_listed_is_bad_data(tmp_path: Path, address: str) -> None:
    """No retry can bring bars of a day on which nobody traded; what is told is what is stored."""
    found = run(tmp_path, address, date(2015, 5, 15))
    assert found.exit_code == 65
    assert "nobody of the universe is listed on 2015-05-15; give another --asof" in found.error
    assert (found.rows, found.values["tables"]) == (0, {})


def test_faults_on_the_way_change_no_byte(tmp_path: Path, address: str) -> None:
    clean = run(tmp_path / "clean", address, MONDAY, *FEW)
    rates = {"http_500": 0.1, "http_429": 0.05, "html": 0.05, "minute_limit": 0.02, "unsorted": 0.3}
    faults: list[dict[str, object]] = [{"kind": kind, "rate": rate} for kind, rate in rates.items()]
    # Of half a CSV that ends with a line nobody can tell; of half a JSON anybody.
    faults.append({"kind": "half_json", "rate": 0.1, "functions": ["OVERVIEW", "CPI", "EARNINGS"]})
    httpx.put(f"{address}/sim/faults", json=faults).raise_for_status()
    try:
        rough = run(tmp_path / "rough", address, MONDAY, *FEW)
    finally:
        httpx.put(f"{address}/sim/faults", json=[]).raise_for_status()
    assert rough.values["calls"] > clean.values["calls"]
    assert rough.objects == clean.objects


def test_indicators_of_the_vendor_agree_with_ours(tmp_path: Path, address: str) -> None:
    words = ("--topics", "bars", "--verify-indicators", "4", "--strict")
    summary = run(tmp_path, address, MONDAY, *words)
    assert summary.exit_code == 0
    assert [note for note in summary.values["notes"] if "differ from ours" in note] == []


def test_files_have_no_indicators(tmp_path: Path) -> None:
    from bft.adapters.sources.files import Files

    path = tmp_path / "bars.csv"
    path.write_text("symbol,date,open,high,low,close,volume\nA,2026-01-05,1,1,1,1,1\n")
    ports = make_ports(tmp_path / "root", sources={"f": Files(path)})
    words = ("--source", "f", "--verify-indicators")
    args = arguments(pull.STEP, *words, fresh=False, asof=MONDAY)
    with pytest.raises(ConfigError, match="no indicators"):
        pull.STEP.run(ports, args, no_tick)
