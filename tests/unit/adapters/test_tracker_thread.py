"""Whatever happens on the tracker's thread, who waits for an answer gets one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fakes import FakePorts, FixedClock

from bft.adapters.tracker.mlflow import MlflowTracker
from bft.domain.errors import UnavailableError

PATIENCE_S = 5.0


class Reset:
    """A connection that ends without a word."""

    def versions(self, _name: str) -> list[Any]:
        raise ConnectionResetError


class Ending(MlflowTracker):
    """A tracker whose session breaks off."""

    def _connected(self) -> Any:
        return Reset()


class Rootless(MlflowTracker):
    """A tracker that cannot read its spool."""

    def _connected(self) -> Any:
        raise UnavailableError("the bucket does not answer")


@pytest.mark.parametrize(
    ("kind", "words"), [(Ending, "ConnectionResetError"), (Rootless, "bucket")]
)
def test_who_asks_is_answered(ports: FakePorts, kind: type[MlflowTracker], words: str) -> None:
    tracker = kind("http://127.0.0.1:9", database=None, store=ports.store, clock=FixedClock())
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(tracker.versions, "x")
    try:
        with pytest.raises(UnavailableError, match=words):
            answer.result(PATIENCE_S)
    finally:
        pool.shutdown(wait=answer.done())
