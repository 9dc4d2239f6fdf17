"""From the shipped simulator to provisional signals, by the command line alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import make_ports
from sims import TODAY, market_sim

from bft.domain import sessions
from bft.domain.gold import PROVISIONAL

ASOF = sessions.shift(TODAY, -1)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with market_sim("--symbols", "4", "--start", "2021-10-01") as url:
        yield url


def bft(root: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    line = [sys.executable, "-m", "bft", *words, "--asof", str(ASOF), "--root", str(root)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture(scope="module")
def root(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sim") / "root"
    topics = "bars,splits,fundamentals,macro,earnings,listings"
    for words in (("pull", "--source", f"sim:{address}", "--topics", topics), ("gold",), ("scan",)):
        code, _, error = bft(made, *words)
        assert code == 0, error
    return made


SCAN = ("scan", "--mode", "intraday", "--quotes", "--slot")


def test_slot_of_a_replay_is_scanned_at_its_own_time(root: Path) -> None:
    code, line, error = bft(root, *SCAN, "1005")
    assert code == 0, error
    assert (line["symbols"], line["slot"], line["simulated"]) == (5, "1005", True)  # XLC is one
    assert line["session"] == str(TODAY)
    models = ("oversold_reversal", "ml_prediction", "regression_momentum")
    assert line["strategies"]["skipped"] == dict.fromkeys(models, "no_forecast")
    assert isinstance(line["send"], bool)
    quotes = make_ports(root).store.read("quotes", asof=TODAY).to_pylist()
    slot = datetime(2022, 12, 30, 15, 5, tzinfo=UTC)
    assert {row["source"] for row in quotes} == {"sim"}
    assert all(0 <= (slot - row["at"]).total_seconds() <= 120 for row in quotes)
    assert bft(root, *SCAN, "1005")[1]["cached"] is True


def test_overlay_leaves_no_trace_in_gold(root: Path) -> None:
    bft(root, *SCAN, "1105")
    gold = make_ports(root).store.read("gold", columns=["date", "row_flags"])
    assert max(gold["date"].to_pylist()) == ASOF
    assert not any(flags & PROVISIONAL for flags in gold["row_flags"].to_pylist())


def test_scan_before_the_session_is_scanned_says_when(root: Path) -> None:
    code, _, error = bft(root, *SCAN, "0930")
    assert code == 2
    assert "outside 2022-12-30 09:35-16:00" in error
