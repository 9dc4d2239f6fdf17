"""No call says, or keeps, the password of an address it was given as its source."""

from pathlib import Path

import pytest
from commandline import bft


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sim:http://u:hunter2pw@127.0.0.1:3999", "--source sim:URL: no password in it"),
        ("mysql:mysql+pymysql://u:hunter2pw@127.0.0.1:3999/b", "mysql:URL: no password in it"),
        ("http://u:hunter2pw@127.0.0.1:3999", "unknown source 'http://u:***@127.0.0.1:3999'"),
    ],
)
@pytest.mark.parametrize("verb", ["pull", "run nightly"])
@pytest.mark.usefixtures("silent")
def test_password_of_a_source_is_neither_said_nor_kept(
    verb: str, source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = (*verb.split(), "--source", source, "--root", "r", "--asof", "2024-06-04")
    code, line, told = bft(*words)
    assert code == 78
    assert said in told
    assert "hunter2pw" not in f"{line} {told}"
    code, line, _ = bft(*words, "--json")
    assert said in line["error"]
    assert "hunter2pw" not in str(line)
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(b"hunter2pw" in text for text in kept)
