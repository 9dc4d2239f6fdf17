"""How `bft status` tells of an executor, for people at a terminal of 80 columns."""

from typing import Any

import pytest

from bft.domain.encoding import number_text
from bft.domain.errors import RefusedError
from bft.flow import executor
from bft.ports.executor import Reply

HEALTH = {"may_open": True, "mode": "paper", "account": "001", "session_state": "ARMED"}
UNTOKENED = (
    "executor http://127.0.0.1:9001, GET /v1/positions: a token is needed; issue one with bft "
    "token USER --roles trader --output FILE and name it in BFT_TOKEN_FILE"
)


class Api:
    """Tells its health; for all else a token is needed."""

    url = "http://executor"

    def ask(self, _method: str, path: str, **_: Any) -> Reply:
        if path != "/v1/health":
            raise RefusedError(UNTOKENED)
        return Reply(status=200, body=HEALTH | {"reasons": [], "simulated": True, "note": None})


def test_what_needs_a_token_is_told_in_lines_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Red: one line of 180 columns, `more with a token: executor ...`."""
    executor.say(executor.standing(Api(), "root"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "  not shown: positions, orders, halts, alerts"
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines[2:]) == UNTOKENED


def test_sizes_and_prices_are_told_without_trailing_zeros(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Red: `100.000000  stop 93.500000`, as a database of numerics tells them."""
    row = {"symbol": "AAPL", "quantity": "100.000000", "stops": ["93.500000"], "protected": True}
    told = HEALTH | {"reasons": [], "simulated": True, "positions": [row], "working": 0}
    told |= {"unknown": [], "halts": [], "alerts": [], "kill": {"latched": False}}
    executor.say(told)
    assert "  AAPL          100  stop 93.5  protected\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("100.000000", "100"),
        (100, "100"),
        (0.1, "0.1"),
        ("1E+2", "100"),
        ("the market", "the market"),
    ],
)
def test_number_text(value: object, shown: str) -> None:
    assert number_text(value) == shown
