"""Waiting for a condition in real time."""

import time
from collections.abc import Callable


def until(done: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait until something is so; fails when it never is."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)
