"""A finished night is found from every folder, and after its gold was exported by hand."""

from datetime import date
from pathlib import Path

import pytest
from commandline import bft

from bft.domain import sessions

LAST = "2018-02-07"
SPAN = sessions.sessions(date(2017, 1, 3), date(2018, 2, 7))
BARS = "symbol,date,open,high,low,close,volume\n" + "".join(
    f"{name},{day},10,11,9,10,90\n" for name in "ABCDE" for day in SPAN
)


def test_finished_work_is_found_from_another_folder_and_after_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: a job that began in / pulled again; gold was built again after its export."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/prices.csv").write_text(BARS)
    monkeypatch.chdir(tmp_path)
    day = ("--asof", LAST, "--root", str(tmp_path / "root"))
    assert bft("pull", *day, "--source", "files:in/prices.csv")[0] == 0
    assert bft("gold", *day)[0] == 0
    note = (tmp_path / "root/source.json").read_bytes()
    monkeypatch.chdir("/")
    assert bft("pull", *day)[1].get("cached") is True
    assert bft("pull", *day, "--fresh")[0] == 0
    assert (tmp_path / "root/source.json").read_bytes() == note
    assert bft("gold", *day, "--export", f"csv:{tmp_path}/out")[1]["exported"] == 1
    line = bft("gold", *day)[1]
    assert (line.get("cached"), "exported" in line) == (True, False)
