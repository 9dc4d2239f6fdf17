"""`bft scan --positions executor`: what is held comes from the executor's own API."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, make_ports
from running_session import ASOF, NAMES, QUOTES, intraday, market, rows_of, tell

from bft.adapters.executor.http import HttpExecutor
from bft.adapters.sources.files import Files
from bft.domain.errors import UnavailableError
from bft.ports import Reply

ENTRIES = ("--param", "bollinger.intraday_entries=true")
BOOK = ("--positions", "executor")


class Executor:
    """An ExecutorApi that holds 90 shares of one symbol for strategy bollinger."""

    url = "http://executor"

    def __init__(self, symbol: str) -> None:
        self._held = {
            "symbol": symbol,
            "underlying": symbol,
            "quantity": "90",
            "average_cost": "100",
            "mark": None,
            "multiplier": "1",
            "sec_type": "STK",
            "right": None,
            "exits": [{"strategy_id": "bollinger", "quantity": 90, "held_days": 3}],
        }

    def ask(self, _method: str, _path: str, **_: Any) -> Reply:
        body = {"mode": "paper", "positions": [self._held], "cooldowns": [], "orders": []}
        return Reply(status=200, body=body)


@dataclass
class Running:
    """A clock that goes on while it is asked."""

    at: datetime

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built") / "root"
    market(root)
    return root


@pytest.fixture
def ports(built: Path, tmp_path: Path) -> FakePorts:
    shutil.copytree(built, tmp_path / "root")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "bars.csv").write_text("symbol,date\n")
    found = make_ports(tmp_path / "root", sources={"files": Files(folder)})
    tell(found, QUOTES)
    return found


def test_held_symbol_gets_no_second_entry_and_its_rule_is_shown(ports: FakePorts) -> None:
    ports.api = Executor("NEWS")
    summary = intraday(ports, *ENTRIES, *BOOK)
    assert rows_of(ports)["NEWS", "entry"]["tag_reason"] == "held_or_pending"
    assert (summary.values["held"], summary.values["pending"]) == (1, 0)
    ports.api = Executor("QUIET")
    tell(ports, QUOTES, at="10:19:30")
    intraday(ports, *BOOK, slot="1020")
    shown = rows_of(ports, "1020")["QUIET", "exit"]
    assert (shown["tag"], shown["tag_reason"]) == ("watch", "decided_at_close")
    tell(ports, QUOTES, at="10:34:30")  # its strategy is not scanned: the same exit is shown
    intraday(ports, *BOOK, "--strategies", "low_bounce", slot="1035")
    assert rows_of(ports, "1035")["QUIET", "exit"]["tag_reason"] == "decided_at_close"


def test_executor_away_ends_the_scan_before_anything_is_written(ports: FakePorts) -> None:
    ports.api = HttpExecutor("http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="is it running"):
        intraday(ports, *BOOK)
    manifest = ports.store.manifest("signals", asof=ASOF)
    assert manifest is not None
    assert [ref.partition for ref in manifest.objects] == [f"asof={ASOF},slot=close"]


def test_what_the_executor_says_is_asked_anew_each_time(ports: FakePorts) -> None:
    """The same slot again after a fill: nothing of before may answer for it."""
    ports.api = Executor("QUIET")
    first = intraday(ports, *ENTRIES, *BOOK)
    ports.api = Executor("NEWS")
    again = intraday(ports, *ENTRIES, *BOOK)
    assert "cached" not in {*first.values, *again.values}
    assert rows_of(ports)["NEWS", "entry"]["tag_reason"] == "held_or_pending"


def test_scan_on_a_clock_that_runs_is_recorded(ports: FakePorts) -> None:
    """Quotes of a file are read anew each time; that is no input that changed meanwhile."""
    ports.clock = Running(ports.clock.now())  # type: ignore[assignment]
    summary = intraday(ports)
    assert summary.exit_code == 0
    assert summary.values["symbols"] == len(NAMES)
    assert ports.store.digest(f"lineage/scan/{ASOF}-1005-quotes.json") is not None
