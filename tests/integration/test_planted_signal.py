"""What the simulator plants is found from its prices, and nothing where nothing is planted.

Over HTTP with the real client: pull, gold, one fit. A model that shows skill with both strengths at
0 sees the future. Source: models specification, Q1; data specification, the simulator.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sims import TODAY, market_sim

TOPICS = "bars,splits,fundamentals,macro,earnings,listings"


def bft(root: Path, *words: str) -> dict[str, Any]:
    line = [sys.executable, "-m", "bft", *words, "--root", str(root), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def rank_ic(root: Path, strength: str) -> tuple[float, float, float]:
    """RankIC on held-out days of `reg_3d`, and its 95 % interval."""
    words = ("--start", "2019-07-01", "--kappa-fast", strength, "--kappa-slow", "0")
    day = ("--asof", str(TODAY))
    with market_sim(*words) as url:
        bft(root, "pull", *day, "--source", f"sim:{url}", "--topics", TOPICS)
    bft(root, "gold", *day)
    bft(root, "train", "reg_3d", *day, "--profile", "demo", "--no-baselines")
    (evidence,) = (root / "models").glob("*/export_manifest.json")
    found = json.loads(evidence.read_text(encoding="utf-8"))["kpis"]["rank_ic"]
    return found["value"], found["lower_ci"], found["upper_ci"]


@pytest.mark.parametrize(("strength", "found"), [("0.6", True), ("0", False)])
def test_planted_signal_is_found_and_no_other(tmp_path: Path, strength: str, found: bool) -> None:
    skill, low, high = rank_ic(tmp_path / "root", strength)
    assert low < skill < high
    assert (low > 0) is found
    assert high > 0
