"""Splits that a file of bars does not name: what a person may say of them in actions.csv."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from commandline import bft

from bft.domain import sessions

NOW = date(2018, 2, 8)
SPAN = sessions.sessions(date(2017, 11, 1), NOW)
HEAD = "symbol,date,open,high,low,close,volume\n"
ACTIONS = "symbol,ex_date,kind,value\n"


def rows(symbol: str, closes: Sequence[float], volumes: Sequence[int]) -> str:
    """Bars of the first sessions; open, high and low follow the close, all in cents."""
    return "".join(
        f"{symbol},{day},{c - 0.1:.2f},{c + 0.25:.2f},{c - 0.25:.2f},{c:.2f},{v}\n"
        for day, c, v in zip(SPAN, closes, volumes, strict=False)
    )


def test_actions_of_kind_none_alone_dismiss_a_suspicion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red: `actions.csv has only nulls in column kind; fill it`, for none was read as a null."""
    monkeypatch.chdir(tmp_path)
    halved = [100 + n % 3 for n in range(len(SPAN) - 1)] + [50]
    Path("bars.csv").write_text(HEAD + rows("A", halved, [1000] * (len(SPAN) - 1) + [2000]))
    asof = ("--asof", str(NOW), "--root", "r")
    held = []
    for entered in (None, ACTIONS + f"A,{NOW},none,\n"):
        if entered:
            Path("actions.csv").write_text(entered)
        assert bft("pull", *asof, "--source", "files:bars.csv")[0] == 0
        assert bft("gold", *asof)[0] == 0
        held.append("A" in bft("validate", *asof, "--only", "Q09")[1]["reasons"])
    assert held == [True, False]
