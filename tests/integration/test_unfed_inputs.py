"""The inputs said to stay unknown are those that a real pull and gold table leave empty."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fakes import FakePorts, arguments, no_tick

from bft.adapters.sources.files import Files
from bft.adapters.store.tables import schema
from bft.domain import sessions
from bft.domain.gold import INPUTS
from bft.features.inputs import COLUMNS, model_inputs
from bft.features.unfed import MARKET, SECTOR
from bft.ports import RunRequest
from bft.steps import gold, preflight, pull

ASOF = date(2018, 2, 7)
SPAN = sessions.sessions(sessions.shift(ASOF, -320), ASOF)
MACRO = ("treasury_yield_2year", "treasury_yield_10year", "unemployment", "nonfarm_payroll")
SOURCE = "files:bars"


def bars(symbols: int) -> str:
    walk = np.random.default_rng(3)
    lines = ["symbol,date,open,high,low,close,volume"]
    for number in range(symbols):
        closes = 50 * np.exp(np.cumsum(walk.normal(0, 0.01, len(SPAN))))
        volumes = walk.integers(1_000, 9_000, len(SPAN))
        lines += [
            f"S{chr(65 + number)},{day},{c:.4f},{1.01 * c:.4f},{0.99 * c:.4f},{c:.4f},{v}"
            for day, c, v in zip(SPAN, closes, volumes, strict=True)
        ]
    return "\n".join(lines) + "\n"


def beside(symbols: int) -> dict[str, str]:
    names = [f"S{chr(65 + number)}" for number in range(symbols)]
    months = [f"{year}-{month:02d}-01" for year in (2015, 2016, 2017) for month in range(1, 13)]
    quarters = ("2016-09-30", "2016-12-31", "2017-03-31", "2017-06-30", "2017-09-30")
    return {
        "macro": "date,series,value\n"
        + "".join(f"{day},{name},{100 + n}\n" for name in MACRO for n, day in enumerate(months)),
        "sectors": "symbol,sector\n" + "".join(f"{name},Energy\n" for name in names),
        "earnings": "symbol,fiscal_date_ending,reported_on,reported_eps,estimated_eps\n"
        + "".join(f"{name},{day},{day},1,0.9\n" for name in names for day in quarters),
        "actions": "symbol,ex_date,kind,value\n"
        + "".join(f"{name},2017-02-01,dividend,0.1\n" for name in names),
    }


def empty_inputs(ports: FakePorts) -> list[str]:
    """Inputs that are unknown on every row of the gold built from the file."""
    words = {"source": SOURCE, "asof": ASOF, "verb": "pull", "fresh": False, "root": "r"}
    assert pull.STEP.run(ports, arguments(pull.STEP, **words), no_tick).exit_code == 0
    told = arguments(gold.STEP, asof=ASOF, history_start="2016-01-01")
    gold.STEP.run(ports, told, no_tick)
    rows = ports.store.read("gold", asof=ASOF, columns=COLUMNS)
    values = model_inputs(rows, macro=ports.store.read("macro", asof=ASOF))
    return [
        name for name, known in zip(INPUTS, ~np.isnan(values).T, strict=True) if not known.any()
    ]


@pytest.mark.parametrize(
    ("symbols", "kinds", "count"),
    [
        (5, "", 22),
        (22, "", 18),
        (22, "macro sectors", 10),
        (22, "macro sectors earnings actions", 7),
    ],
)
def test_unfed_inputs_are_those_that_gold_leaves_empty(
    ports: FakePorts, tmp_path: Path, symbols: int, kinds: str, count: int
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    texts = {"bars": bars(symbols), **{k: beside(symbols)[k] for k in kinds.split()}}
    for kind, text in texts.items():
        (folder / f"{kind}.csv").write_text(text)
    ports.sources = {SOURCE: Files(folder)}
    asked = RunRequest(source=SOURCE, profile="demo", asof=ASOF, again="")
    held = preflight.history(ports, SOURCE, ASOF)
    told = preflight.unknown_inputs(ports, held, asked)
    assert list(told) == empty_inputs(ports)
    assert len(told) == count
    assert (
        preflight.unknown_inputs(ports, held, asked) == told
    )  # the root's own tables change nothing


def test_what_the_root_holds_of_another_source_feeds_too(ports: FakePorts, tmp_path: Path) -> None:
    """Red: sectors of snapshots and the market's fund, imported before, did not count."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "bars.csv").write_text(bars(5))
    ports.sources = {SOURCE: Files(folder)}
    asked = RunRequest(source=SOURCE, profile="demo", asof=ASOF, again="")
    held = preflight.history(ports, SOURCE, ASOF)
    alone = set(preflight.unknown_inputs(ports, held, asked))
    assert {*SECTOR, *MARKET} <= alone
    for name, cells in (
        ("fundamentals", {"symbol": "SA", "sector": "ENERGY", "arrived_on": ASOF}),
        ("bars", {"symbol": "SPY", "date": ASOF, "close": 260.0}),
    ):
        rows = pa.Table.from_pylist([cells], schema=schema(name))
        ports.store.publish(name, asof=ASOF, partitions={"p": rows})
    assert not {*SECTOR, *MARKET} & set(preflight.unknown_inputs(ports, held, asked))
