"""A symbol that is renamed between two nights: its history goes on under the new name alone."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import FakePorts, make_ports

from bft.domain import sessions

LAST, ON, NOW = date(2022, 6, 8), date(2022, 6, 9), date(2022, 6, 10)
SPAN = sessions.sessions(date(2022, 1, 3), NOW)
HEAD = "symbol,date,open,high,low,close,volume\n"


def prices(now: date, new: str = "META") -> str:
    """Bars up to a day; of FB under its new name from the rename on, its close the day's number."""
    rows = [
        f"{new if name == 'FB' and day >= ON else name},{day},{n},{n + 1},{n - 1},{n},{90 + n}\n"
        for name in ("AAA", "FB")
        for n, day in enumerate(SPAN, start=10)
        if day <= now
    ]
    return HEAD + "".join(rows)


def night(day: date, *words: str) -> dict:
    root = ("--asof", str(day), "--root", "r")
    code, line, told = bft("pull", *root, "--source", "files:prices.csv", *words)
    assert code == 0, told
    code, _, told = bft("gold", *root)
    assert code == 0, told
    return line


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u.csv").write_text("symbol,name,sector\nFB,f,Technology\nAAA,a,Technology\n")
    (tmp_path / "renames.csv").write_text("old,new,date\nFB,META,2022-06-09\n")
    (tmp_path / "prices.csv").write_text(prices(LAST))
    night(LAST, "--universe", "u.csv")
    return make_ports(tmp_path / "r")


def rows_of(ports: FakePorts) -> dict[str, list[float]]:
    gold = ports.store.read("gold", asof=NOW, columns=["symbol", "adjusted_close"]).to_pylist()
    found: dict[str, list[float]] = {}
    for row in gold:
        found.setdefault(row["symbol"], []).append(row["adjusted_close"])
    return found


def test_renamed_company_has_its_rows_once(ports: FakePorts) -> None:
    """Red: FB kept its 109 rows beside META's 111, was trained twice and counted twice."""
    closes = [float(n) for n in range(10, 10 + len(SPAN))]
    assert rows_of(ports) == {"AAA": closes[:-2], "FB": closes[:-2]}
    Path("prices.csv").write_text(prices(NOW))
    night(NOW, "--universe", "u.csv")
    assert rows_of(ports) == {"AAA": closes, "META": closes}
    listed = ports.store.read("universe", asof=NOW, symbols=["FB"]).to_pylist()
    # its end is the rename's day, not that of the pull
    assert [(row["from"], row["to"]) for row in listed] == [(ON, ON), (None, None), (None, ON)]
    before = ports.store.read("gold", asof=LAST, columns=["symbol"])["symbol"].to_pylist()
    assert set(before) == {"AAA", "FB"}  # as that night had it


def test_part_of_a_pull_renames_too(ports: FakePorts) -> None:
    Path("prices.csv").write_text(prices(NOW))
    night(NOW, "--universe", "u.csv", "--symbols", "META,AAA")
    assert set(rows_of(ports)) == {"AAA", "META"}
