"""Every import contract breaks when somebody breaks it: the tree is copied, imports are planted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# contract -> (file, import that breaks it)
PLANTED = {
    "layers": ("bft/domain/planted.py", "import bft.ports"),
    "adapters, sim, flow: domain and ports only": ("bft/flow/planted.py", "import bft.features"),
    "only wiring picks adapters": ("bft/steps/planted.py", "import bft.adapters.store"),
    "adapters do not lean on each other": (
        "bft/adapters/llm/planted.py",
        "import bft.adapters.notify",
    ),
    "simulators are started, not called": ("bft/services/planted.py", "import bft.sim"),
    "workflows are command lines": ("workflows/planted.py", "import bft.domain"),
    "torch lives in models": ("bft/features/planted.py", "import torch"),
    "client libraries live at the edge": ("bft/reports/planted.py", "import httpx"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> str:
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("bft", "workflows"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=ignore)
    for file, statement in PLANTED.values():
        (copy / file).write_text(f"{statement}\n")
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=copy, capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize("contract", PLANTED)
def test_planted_import_breaks_its_contract(contract: str, verdicts: str) -> None:
    assert f"{contract} BROKEN" in verdicts, verdicts
