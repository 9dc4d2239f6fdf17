"""What a root remembers of its source, and which other source it refuses."""

from pathlib import Path

import pytest

from bft.adapters.store.folder import FolderObjects
from bft.domain import origin
from bft.domain.errors import ConfigError


def test_file_is_named_as_first_called_from_there_and_in_full_from_elsewhere(
    tmp_path: Path,
) -> None:
    made = origin.origin_of("files:mine.csv", tmp_path, simulated=False)
    assert made.spec(tmp_path) == "files:mine.csv"
    assert made.spec(tmp_path / "below") == f"files:{tmp_path.resolve()}/mine.csv"
    assert origin.origin_of("sim", tmp_path, simulated=True).spec(tmp_path / "below") == "sim"


def test_note_is_read_back(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    assert origin.remembered(store) is None
    made = origin.origin_of("files:mine.csv", tmp_path, simulated=False)
    store.put(origin.KEY, origin.encoded(made))
    assert origin.remembered(store) == made


def test_root_without_a_note_is_what_its_newest_pull_says(tmp_path: Path) -> None:
    store = FolderObjects(tmp_path)
    store.put("lineage/pull/2018-02-06.json", b'{"args": {"source": "sim"}}')
    store.put("lineage/pull/2018-02-07.json", b'{"args": {"source": "files:a.csv"}}')
    found = origin.remembered(store)
    assert found is not None
    assert (found.spec(tmp_path), found.simulated) == ("files:a.csv", False)


@pytest.mark.parametrize("held", [True, False])
def test_other_kind_is_refused_and_says_what_to_do(tmp_path: Path, held: bool) -> None:
    made = origin.origin_of("sim" if held else "files:a.csv", tmp_path, simulated=held)
    made.check(simulated=held, spec="x", root="mine")
    with pytest.raises(ConfigError, match=r"root mine holds .* another --root"):
        made.check(simulated=not held, spec="x", root="mine")
