"""docs/sources.md: its examples are pulled as they stand, and it names every column there is."""

import re
from datetime import date
from pathlib import Path

from fakes import FakePorts, arguments, make_ports, no_tick

from bft.adapters.sources import files
from bft.adapters.sources.files import Files
from bft.domain.market import MACRO_SERIES
from bft.features.suspects import STEP_DOWN, STEP_UP
from bft.steps import pull
from bft.strategies.ranking import MAX_PER_SECTOR

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
ASOF = date(2018, 2, 7)


def test_examples_are_pulled_without_a_row_or_column_left_out(
    ports: FakePorts, tmp_path: Path
) -> None:
    blocks = re.findall(r"```csv (\S+)\n(.*?)```", TEXT, re.DOTALL)
    assert [name for name, _ in blocks] == [
        f"{kind}.csv" for kind in ("bars", "sectors", "earnings", "actions", "macro")
    ]
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    given = make_ports(Path(ports.store.root), sources={"f": Files(tmp_path / "bars.csv")})
    args = arguments(pull.STEP, "--source", "f", fresh=False, asof=ASOF)
    summary = pull.STEP.run(given, args, no_tick)
    rows = {"bars": 4, "universe": 2, "earnings": 1, "macro": 2, "actions": 1}
    assert (summary.exit_code, summary.skipped, summary.values["notes"]) == (0, {}, [])
    assert {name: summary.values["tables"][name] for name in rows} == rows
    universe = given.store.read("universe", asof=ASOF).to_pylist()
    assert [row["sector"] for row in universe] == ["CONSUMER DEFENSIVE", "TECHNOLOGY"]


def test_every_column_and_series_is_named() -> None:
    columns = (*files._PRICES, *files._BARS_EXTRA, *files._QUOTE, *files._EARNINGS, *files._MEMBER)  # noqa: SLF001  no public list
    words = (*columns, *files._ALIASES, *files._KINDS, *MACRO_SERIES)  # noqa: SLF001  no public list
    assert [word for word in words if f"`{word}`" not in TEXT] == []


def test_cap_of_a_sector_is_the_ranking_s() -> None:
    assert "sector has two at most" in TEXT
    assert MAX_PER_SECTOR == 2


def test_smallest_step_that_looks_like_a_split_is_told() -> None:
    """Below it no check speaks, so who has such a split must name it."""
    assert f"fell by {1 - 1 / STEP_DOWN:.1%} or more".replace("%", " %") in TEXT
    assert f"rose by\n  {1 / STEP_UP - 1:.1%} or more".replace("%", " %") in TEXT
    assert f"a day that rose by some {1.5 / STEP_DOWN - 1:.0%}".replace("%", " %") in TEXT
    assert max(5 / 4, 4 / 3) < STEP_DOWN < 3 / 2
