"""What Arrow's threads read must not belong to Python: they may let go of it after its end."""

import sys

from bft.adapters.sources.memory import arrow_reader


def test_reader_holds_no_python_object() -> None:
    data = bytes(range(256)) * 64
    before = sys.getrefcount(data)
    reader = arrow_reader(data)
    assert sys.getrefcount(data) == before
    assert reader.read() == data
