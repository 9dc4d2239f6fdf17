"""A backfill without its dates is refused before anything runs."""

from pathlib import Path

import pytest
from commandline import bft


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        (("from=2018-02-03", "to=2018-02-04"), "no session from 2018-02-03 to 2018-02-04"),
        ((), "needs --param from=DATE --param to=DATE"),
        (("from=2018-02-07",), "needs --param from=DATE --param to=DATE"),
        (("from=2018-02-07", "to=2018-02-06"), "from=2018-02-07 is after --param to=2018-02-06"),
    ],
)
def test_dates_are_asked_for(tmp_path: Path, dates: tuple[str, ...], told: str) -> None:
    """Red: `argument --from: '' is no ISO date`, and a failed run to resume; so all of them."""
    words = [word for pair in dates for word in ("--param", pair)]
    code, _, err = bft("run", "backfill", "--root", str(tmp_path / "mine"), *words)
    assert (code, told in err) == (2, True), err
    assert not (tmp_path / "mine" / "runs").exists()


def test_span_that_is_too_long_is_refused_with_the_options_of_the_call(tmp_path: Path) -> None:
    """Red: node `plan` failed, speaking of its own `--from`, and the run was to be resumed."""
    words = ("--param", "from=2016-01-04", "--param", "to=2018-02-07")
    code, _, err = bft("run", "backfill", "--root", str(tmp_path / "mine"), *words)
    assert code == 78, err
    parts = ("from=2016-01-04", "to=2017-01-12"), ("from=2017-01-13", "to=2018-01-25")
    told = [f"--param {a} --param {b}" for a, b in (*parts, ("from=2018-01-26", "to=2018-02-07"))]
    assert f"split it: {', then '.join(told)}  [78]" in err
    assert not (tmp_path / "mine" / "runs").exists()
