"""A day that was never pulled is read from the newest tables, whoever reads it."""

from argparse import Namespace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from fakes import FakePorts
from panels import table
from predictions import ASOF, score

from bft.dataset.arrays import open_arrays
from bft.domain import sessions
from bft.domain.gold import INPUTS
from bft.steps import predict_inputs, record, scan, training

PULLED = sessions.shift(ASOF, 5)
LEVEL = 155_986.0


def arrived_later(ports: FakePorts) -> None:
    """Thirteen months of payrolls and two members, pulled after ASOF as history."""
    common = {"arrived_at": sessions.evening(PULLED), "backfilled": True, "status": "ok"}
    common |= {"revision": 0, "source": "files"}
    months = [date(2024 + n // 12, n % 12 + 1, 1) for n in range(22)]
    payrolls: list[dict[str, Any]] = [
        {
            **common,
            "series": "nonfarm_payroll",
            "date": month,
            "value": LEVEL + 100 * n,
            "known_at": sessions.evening(sessions.on_or_after(month + timedelta(days=40))),
        }
        for n, month in enumerate(months)
    ]
    members = [{**common, "symbol": name, "from": None, "to": None} for name in ("S000", "S001")]
    members[1]["to"] = date(2025, 6, 2)
    for name, rows in (("macro", payrolls), ("universe", members)):
        ports.store.publish(name, asof=PULLED, partitions={f"arrived={PULLED}": table(name, rows)})


@pytest.fixture
def loaded_later(ready: tuple[FakePorts, str]) -> FakePorts:
    arrived_later(ready[0])
    return ready[0]


def test_predict_reads_the_macro_figures_that_gold_was_made_of(loaded_later: FakePorts) -> None:
    market, _ = predict_inputs.load_market(loaded_later, ASOF, first=ASOF, lookback=20, past=False)
    assert np.isfinite(market.arrays.inputs[-1, INPUTS.index("nonfarm_payroll")])


def test_training_reads_them_too_and_is_made_anew_when_they_come(
    ready: tuple[FakePorts, str],
) -> None:
    ports = ready[0]
    before = training.arrays_folder(ports, ASOF)
    arrived_later(ports)
    after = training.arrays_folder(ports, ASOF)
    column = INPUTS.index("nonfarm_payroll")
    found = [open_arrays(folder).inputs[-1, column] for folder in (before, after)]
    assert [bool(np.isfinite(value)) for value in found] == [False, True]


def test_scan_reads_the_same_members_and_is_stale_when_they_change(
    ready: tuple[FakePorts, str],
) -> None:
    ports = ready[0]
    args = Namespace(asof=ASOF)
    before = record.table_digests(ports.store, ("gold", "universe", "macro"), args)
    assert before["universe"] == before["macro"] == "absent"
    arrived_later(ports)
    after = record.table_digests(ports.store, ("gold", "universe", "macro"), args)
    assert before["gold"] == after["gold"]
    assert "absent" not in after.values()
    members = scan.read_stored(ports, ASOF, []).universe
    assert members["symbol"].to_pylist() == ["S000", "S001"]


def test_forecasts_of_a_day_that_the_models_had_learned_from_are_told(
    built: tuple[Any, str, str], ready: tuple[FakePorts, str]
) -> None:
    ports, two = ready[0], built[2]
    assert score(ports, ready[1]).values["warnings"] == []
    first = sessions.shift(ASOF, -42)  # test blocks start 40 sessions before asof
    values = score(ports, two, "--walk-forward", str(first)).values
    (said,) = values["warnings"]
    assert said.startswith(
        f"forecasts of 2 days from {first} to {sessions.shift(first, 1)} are in-sample"
    )
