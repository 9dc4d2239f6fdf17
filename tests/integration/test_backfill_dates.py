"""A backfill without its dates is refused before anything runs."""

from pathlib import Path

import pytest
from commandline import bft


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        ((), "needs --param from=DATE --param to=DATE"),
        (("from=2018-02-07",), "needs --param from=DATE --param to=DATE"),
        (("from=2018-02-07", "to=2018-02-06"), "from=2018-02-07 is after --param to=2018-02-06"),
    ],
)
def test_dates_are_asked_for(tmp_path: Path, dates: tuple[str, ...], told: str) -> None:
    """Red: `argument --from: '' is no ISO date`, and a failed run to resume."""
    words = [word for pair in dates for word in ("--param", pair)]
    code, _, err = bft("run", "backfill", "--root", str(tmp_path / "mine"), *words)
    assert (code, told in err) == (2, True), err
    assert not (tmp_path / "mine" / "runs").exists()
