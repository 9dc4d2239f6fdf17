"""A seat at each broker, for the suites over the Broker port."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brokers import VENUES, Seat, Venue, running
from virtual_time import run


@pytest.fixture(params=VENUES)
def venue(request: pytest.FixtureRequest) -> Venue:
    """One venue per test, fresh."""
    return VENUES[request.param]()


@pytest.fixture
def play(venue: Venue, tmp_path: Path) -> Callable[..., None]:
    """Plays a story, in virtual time, at a seat that is armed."""

    def at_seat(story: Callable[[Seat], Any], *, needs: str = "", **more: Any) -> None:
        if needs and needs not in venue.features:
            pytest.skip(f"{type(venue).__name__} has no {needs}")
        run(running(venue, tmp_path, story, **more))

    return at_seat
