import errno
from pathlib import Path

import pytest

from bft.dataset.folders import file_sum, publish
from bft.domain.errors import UnavailableError


def test_a_folder_is_replaced_whole_and_open_files_stay_readable(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    publish(target, lambda aside: (aside / "old").write_text("1") and None)
    with (target / "old").open() as held:
        publish(target, lambda aside: (aside / "new").write_text("2") and None)
        assert held.read() == "1"
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("fault", "seen"), [(OSError(errno.ENOSPC, "full"), UnavailableError), (KeyError(), KeyError)]
)
def test_a_fault_leaves_the_old_folder_and_nothing_beside_it(
    tmp_path: Path, fault: Exception, seen: type[Exception]
) -> None:
    target = tmp_path / "folder"
    publish(target, lambda aside: (aside / "old").write_text("1") and None)

    def write(aside: Path) -> None:
        (aside / "half").write_text("x")
        raise fault

    with pytest.raises(seen):
        publish(target, write)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


def test_file_sum_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sum(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")  # FIPS 180-2
