"""Loops of the documentation that wait for an executor end with it."""

import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LOOPS = [
    (path.name, line)
    for path in sorted(DOCS.glob("*.md"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("until ")
]


@pytest.mark.parametrize(("page", "line"), LOOPS)
def test_loop_ends_where_the_executor_has_ended(page: str, line: str) -> None:
    """Red: an executor that could not start left its reader waiting for ever."""
    assert page
    script = f"bft() {{ return 75; }}\ntrue &\nwait $!\n{line}\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_there_are_such_loops() -> None:
    assert {page for page, _ in LOOPS} == {"executor.md", "orders.md"}
