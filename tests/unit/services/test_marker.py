from pathlib import Path

import pytest

from bft.domain.errors import UnavailableError
from bft.services.executor.marker import UNKNOWN_BOOT, Process, SendMarker, machine_boot_id

BEFORE, NOW = Process(boot_id="b1", lease_token=1), Process(boot_id="b1", lease_token=2)


def _left_by(folder: Path, process: Process, *intents: str) -> Path:
    marker = SendMarker(folder, process)
    marker.open()
    marker.mark(intents)
    marker.close()
    return next(folder.glob(f"send.marker.*{process.lease_token}"))


def test_unmarked_order_of_the_same_boot_was_not_sent(tmp_path: Path) -> None:
    _left_by(tmp_path, BEFORE, "SENT")
    after = SendMarker(tmp_path, NOW)
    assert after.proves_unsent("OTHER", BEFORE.text)
    assert not after.proves_unsent("SENT", BEFORE.text)


@pytest.mark.parametrize(
    "now", [Process(boot_id="b2", lease_token=2), Process(boot_id=UNKNOWN_BOOT, lease_token=2)]
)
def test_another_boot_proves_nothing(tmp_path: Path, now: Process) -> None:
    _left_by(tmp_path, BEFORE)
    assert not SendMarker(tmp_path, now).proves_unsent("A", BEFORE.text)


def test_unknown_boots_are_never_the_same(tmp_path: Path) -> None:
    unknown = Process(boot_id=UNKNOWN_BOOT, lease_token=1)
    _left_by(tmp_path, unknown)
    now = Process(boot_id=UNKNOWN_BOOT, lease_token=2)
    assert not SendMarker(tmp_path, now).proves_unsent("A", unknown.text)


def test_absent_file_or_other_process_proves_nothing(tmp_path: Path) -> None:
    assert not SendMarker(tmp_path, NOW).proves_unsent("A", BEFORE.text)
    _left_by(tmp_path, BEFORE)
    assert not SendMarker(tmp_path, NOW).proves_unsent("A", "b1 7")


@pytest.mark.parametrize("damage", ["torn", "altered", "headless", "empty"])
def test_damaged_file_proves_nothing(tmp_path: Path, damage: str) -> None:
    path = _left_by(tmp_path, BEFORE, "A", "B")
    data = path.read_bytes()
    path.write_bytes(
        {
            "torn": data[:-5],
            "altered": data.replace(b"\nB ", b"\nC "),
            "headless": data.partition(b"\n")[2],
            "empty": b"",
        }[damage]
    )
    assert not SendMarker(tmp_path, NOW).proves_unsent("Z", BEFORE.text)


def test_marks_of_orders_that_state_does_not_hold_are_named(tmp_path: Path) -> None:
    _left_by(tmp_path, BEFORE, "A", "B")
    assert SendMarker(tmp_path, NOW).strangers(["A"]) == {"B"}


def test_own_file_is_kept_when_earlier_ones_go(tmp_path: Path) -> None:
    _left_by(tmp_path, BEFORE, "A")
    marker = SendMarker(tmp_path, NOW)
    marker.open()
    marker.drop_earlier()
    assert [f.name for f in tmp_path.iterdir()] == ["send.marker.0000000002"]


def test_nothing_is_marked_before_the_file_is_open(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="not open"):
        SendMarker(tmp_path, NOW).mark(["A"])


def test_machine_says_the_same_boot_twice() -> None:
    assert machine_boot_id() == machine_boot_id()
