"""A symbol that is renamed between two nights: its history goes on under the new name alone."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft
from fakes import FakePorts, make_ports

from bft.domain import sessions
from bft.domain.symbols import newest_entries
from bft.services.executor.reference import read_reference
from bft.steps.gold_tables import known_universe

LAST, ON, NOW = date(2022, 6, 8), date(2022, 6, 9), date(2022, 6, 10)
SPAN = sessions.sessions(date(2022, 1, 3), NOW)
CLOSES = [float(n) for n in range(10, 10 + len(SPAN))]
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
    assert rows_of(ports) == {"AAA": CLOSES[:-2], "FB": CLOSES[:-2]}
    Path("prices.csv").write_text(prices(NOW))
    night(NOW, "--universe", "u.csv")
    assert rows_of(ports) == {"AAA": CLOSES, "META": CLOSES}
    listed = ports.store.read("universe", asof=NOW, symbols=["FB"]).to_pylist()
    # its end is the rename's day, not that of the pull
    assert [(row["from"], row["to"]) for row in listed] == [(ON, ON), (None, None), (None, ON)]
    before = ports.store.read("gold", asof=LAST, columns=["symbol"])["symbol"].to_pylist()
    assert set(before) == {"AAA", "FB"}  # as that night had it


def test_part_of_a_pull_renames_too(ports: FakePorts) -> None:
    Path("prices.csv").write_text(prices(NOW))
    night(NOW, "--universe", "u.csv", "--symbols", "META,AAA")
    assert set(rows_of(ports)) == {"AAA", "META"}


def renamed(*lines: str) -> None:
    Path("renames.csv").write_text("old,new,date\n" + "".join(f"{line}\n" for line in lines))


@pytest.fixture
def mistaken(ports: FakePorts) -> FakePorts:
    """The night of ON was told, and had its bar, of AAA as BBB: the other days say otherwise."""
    renamed("FB,META,2022-06-09", "AAA,BBB,2022-06-09")
    Path("prices.csv").write_text(prices(ON).replace(f"AAA,{ON}", f"BBB,{ON}"))
    night(ON, "--universe", "u.csv")
    Path("prices.csv").write_text(prices(NOW))
    return ports


def universe_of(ports: FakePorts, *symbols: str) -> set[tuple]:
    """Entries as they stand: symbol, from, to, the name before."""
    rows = known_universe(ports.store, NOW).to_pylist()
    entries = [row for row in newest_entries(rows) if row["symbol"] in symbols]
    return {(row["symbol"], row["from"], row["to"], row["renamed_from"]) for row in entries}


def test_rename_that_is_taken_back_gives_the_history_back(mistaken: FakePorts) -> None:
    """Red: AAA kept two rows, for its mark stood; BBB keeps what was stored under its name."""
    renamed("FB,META,2022-06-09")
    night(NOW, "--universe", "u.csv")
    assert rows_of(mistaken) == {"AAA": CLOSES, "BBB": CLOSES[:-1], "META": CLOSES}
    assert universe_of(mistaken, "AAA", "BBB") == {
        ("AAA", None, None, None),
        ("BBB", None, NOW, None),
    }
    renames = read_reference(mistaken.store).renames
    assert renames == {"FB": "META"}


def test_rename_to_another_name_is_mended(mistaken: FakePorts) -> None:
    """Red: BBB had the rows of AAA, beside its own that ended."""
    text = prices(NOW).replace(f"AAA,{ON}", f"CCC,{ON}")
    Path("prices.csv").write_text(text.replace(f"AAA,{NOW}", f"CCC,{NOW}"))
    renamed("FB,META,2022-06-09", "AAA,CCC,2022-06-09")
    night(NOW, "--universe", "u.csv")
    assert rows_of(mistaken) == {"BBB": CLOSES[:-1], "CCC": CLOSES, "META": CLOSES}
    assert ("AAA", ON, ON, None) in universe_of(mistaken, "AAA")


def test_day_of_a_rename_is_mended(mistaken: FakePorts) -> None:
    Path("prices.csv").write_text(prices(NOW).replace(f"AAA,{NOW}", f"BBB,{NOW}"))
    renamed("FB,META,2022-06-09", "AAA,BBB,2022-06-10")
    night(NOW, "--universe", "u.csv")
    assert rows_of(mistaken) == {"BBB": CLOSES, "META": CLOSES}
    marks = {entry[1:3] for entry in universe_of(mistaken, "AAA") if entry[1]}
    assert marks == {(NOW, NOW)}


def test_part_of_a_pull_takes_no_rename_back(mistaken: FakePorts) -> None:
    renamed("FB,META,2022-06-09")
    night(NOW, "--universe", "u.csv", "--symbols", "META")
    assert ("AAA", ON, ON, None) in universe_of(mistaken, "AAA")
    assert ("BBB", None, None, "AAA") in universe_of(mistaken, "BBB")


def test_part_of_a_day_that_was_pulled_stores_a_rename_once(ports: FakePorts) -> None:
    """Red: FB, which was not asked for, was kept and written again; gold was built whole."""
    Path("prices.csv").write_text(prices(NOW))
    night(NOW, "--universe", "u.csv")
    before = ports.store.read("universe", asof=NOW).drop_columns(["arrived_at"]).to_pylist()
    night(NOW, "--universe", "u.csv", "--symbols", "META")
    rows = ports.store.read("universe", asof=NOW).drop_columns(["arrived_at"]).to_pylist()
    assert rows == before
    told = bft("gold", "--asof", str(NOW), "--root", "r")[1]
    assert told["cached"] is True
