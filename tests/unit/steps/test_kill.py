"""`bft kill` where no executor answers: the file, and what it cannot do."""

from pathlib import Path
from typing import Any

import pytest
from fakes import arguments, make_ports, no_tick

from bft.domain.errors import UnavailableError
from bft.steps import kill


class Silent:
    """Nobody is there."""

    url = "http://executor"

    def ask(self, *_: Any, **__: Any) -> Any:
        raise UnavailableError("executor: no answer")


@pytest.mark.parametrize(("words", "told"), [((), False), (("--flatten",), True)])
def test_file_stops_opening_and_says_that_it_closes_nothing(
    tmp_path: Path, words: tuple[str, ...], told: bool
) -> None:
    args = arguments(kill.STEP, *words, "--reason", "drill", api_url="", state_dir="")
    with pytest.raises(UnavailableError) as caught:
        kill.STEP.run(make_ports(tmp_path, api=Silent()), args, no_tick)
    assert "drill" in (tmp_path / "KILL").read_text()
    assert ("closes no position" in str(caught.value)) is told
