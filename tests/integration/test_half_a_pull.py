"""A pull that dies between two tables leaves no night that gold takes for whole."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, make_ports, no_tick

from bft.adapters.sources.files import Files
from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.tables import TableStore
from bft.domain import sessions
from bft.domain.errors import StaleDataError
from bft.ports import Manifest
from bft.steps import gold, gold_tables, pull

BEFORE, NOW = date(2018, 2, 6), date(2018, 2, 7)
HEAD = "symbol,date,open,high,low,close,volume\n"
TABLES = ("actions", "bars", "macro", "universe")
Died = type("Died", (Exception,), {})


class Dying(TableStore):
    """A store whose process dies before it publishes once more than it may."""

    def __init__(self, store: TableStore, may: int) -> None:
        super().__init__(FolderObjects(Path(store.root)))
        self.may, self.published = may, list[str]()

    def publish(self, table: str, **rows: Any) -> Manifest:
        if len(self.published) == self.may:
            raise Died
        self.published.append(table)
        return super().publish(table, **rows)


def files(folder: Path, day: date) -> Path:
    folder.mkdir(exist_ok=True)
    days = sessions.sessions(date(2018, 1, 2), day)
    rows = [f"{s},{d},10,11,9,{10 + n % 3},90\n" for s in "AB" for n, d in enumerate(days)]
    (folder / "bars.csv").write_text(HEAD + "".join(rows))
    told = [f"{d},treasury_yield_10year,{4 + n / 100}\n" for n, d in enumerate(days)]
    (folder / "macro.csv").write_text("date,series,value\n" + "".join(told))
    ended = "" if day == BEFORE else "2018-03-01"
    (folder / "constituents.csv").write_text(f"symbol,to\nA,\nB,{ended}\n")
    paid = f"A,{day},dividend,0.5\n"
    (folder / "actions.csv").write_text("symbol,ex_date,kind,value\n" + paid)
    return folder


def pulled(ports: FakePorts, day: date) -> None:
    given = replace(ports, sources={"f": Files(files(Path(ports.store.root, "in"), day))})
    pull.STEP.run(given, arguments(pull.STEP, "--source", "f", fresh=True, asof=day), no_tick)


@pytest.mark.parametrize("may", range(len(TABLES)))
def test_pull_that_dies_between_two_tables_is_no_night(may: int, tmp_path: Path) -> None:
    """Red: bars came second, and with them alone the night was taken for pulled."""
    ports = make_ports(tmp_path)
    pulled(ports, BEFORE)
    dying = Dying(ports.store, may)
    with pytest.raises(Died):
        pulled(replace(ports, store=dying), NOW)
    assert len(dying.published) == may
    assert gold_tables.reading(ports.store, NOW) is None
    words = arguments(gold.STEP, asof=NOW, history_start="2016-01-01", root="r", source="f")
    with pytest.raises(StaleDataError, match="bars end 2018-02-06"):
        gold.STEP.run(ports, words, no_tick)
    pulled(ports, NOW)
    assert gold_tables.reading(ports.store, NOW) == NOW
    assert all(ports.store.manifest(name, asof=NOW).asof == NOW for name in TABLES)
