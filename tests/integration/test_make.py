"""Make targets, with stand-ins for the tools they call."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
NOTE = '#!/bin/bash\necho "$(basename "$0") $*" >> "$CALLS"\n'
RUFF = NOTE + '[ "$1" != check ]\n'
PYTHON = NOTE + 'mkdir -p "$3/bin"; cp "$TOOLS/pip" "$TOOLS/uv" "$3/bin"\n'

Make = Callable[[str], tuple[int, list[str]]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Runs a target in a clean checkout; tells its exit code and what it called."""
    if shutil.which("make") is None:
        pytest.skip("make is absent (apt-get install make)")
    top, tools = tmp_path / "top", tmp_path / "tools"
    shutil.copytree(TOP / "requirements", top / "requirements")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(TOP / name, top)
    tools.mkdir()
    for name, text in {"python3.11": PYTHON, "pip": NOTE, "uv": NOTE, "ruff": RUFF}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(calls), "TOOLS": str(tools)}  # noqa: TID251  make's own

    def run(target: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            ["make", target], cwd=top, env=env, capture_output=True, check=False, timeout=60
        )
        (tmp_path / "said").write_text(done.stdout.decode() + done.stderr.decode())
        return done.returncode, calls.read_text().splitlines()

    return run


def test_fmt_formats_and_then_fails_where_ruff_found_what_it_cannot_mend(
    make: Make, tmp_path: Path
) -> None:
    bin_folder = tmp_path / "top" / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder.parent / ".done").touch()
    shutil.copy(tmp_path / "tools" / "ruff", bin_folder)
    code, calls = make("fmt")
    assert code != 0
    assert calls == ["ruff check --fix --quiet .", "ruff format ."]


def test_setup_says_what_it_does_before_it_does_it(make: Make, tmp_path: Path) -> None:
    code, calls = make("setup")
    assert code == 0
    first, second = (tmp_path / "said").read_text().splitlines()
    assert "some minutes" in first
    assert "about a minute; nothing more is said unless it fails" in second
    (sync,) = [call for call in calls if call.startswith("uv pip sync")]
    assert "--quiet" in sync  # else it names each of them


def test_setup_that_fails_shows_what_its_tool_said_and_is_not_done(
    make: Make, tmp_path: Path
) -> None:
    said = 'echo "error: Failed to download torch" >&2; [ "$2" != sync ]\n'
    (tmp_path / "tools" / "uv").write_text(NOTE + said)
    code, calls = make("setup")
    assert (code, calls[-1].split()[:3]) == (2, ["uv", "pip", "sync"])
    assert "error: Failed to download torch\n" in (tmp_path / "said").read_text()
    assert not (tmp_path / "top/.venv/.done").exists()


def test_lock_needs_no_environment_and_makes_none(make: Make, tmp_path: Path) -> None:
    """It mends locks that setup cannot install, so it brings its own uv, hash-locked."""
    code, calls = make("lock")
    assert code == 0
    assert any("--require-hashes" in call and "uv.txt" in call for call in calls)
    compiled = [call.rpartition("-o ")[2] for call in calls if call.startswith("uv pip compile")]
    assert compiled == [f"requirements/{name}.txt" for name in ("dev", "train", "base")]
    assert not (tmp_path / "top" / ".venv").exists()
    assert (tmp_path / "top/requirements/uv.txt").read_text().startswith("uv==")
